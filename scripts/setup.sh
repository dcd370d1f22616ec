#!/usr/bin/env bash
# Makes .venv with everything that the product and its tests need, hash-pinned. Run by make; does nothing when in step.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        [ -n "$candidate" ] && command -v "$candidate" >/dev/null || continue
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$candidate"; return; }
    done
    fail "needs Python 3.11 or newer; set PYTHON=/path/to/python3 if it is not on the PATH"
}

# As root on Debian, install what Python's packages cannot bring; elsewhere say what is missing.
need_debian() {
    local why=$1; shift
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing $* ($why)"
        apt-get update -qq >/dev/null 2>&1 || true
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null \
            || fail "apt-get install $* failed; run it by hand to see why"
    else
        fail "$why: install $* with your system's package manager (Debian: sudo apt-get install $*)"
    fi
}

python=$(find_python)
"$python" -c 'import ensurepip, venv' 2>/dev/null || need_debian "Python's venv module is missing" python3-venv
PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null | grep -q 'libgomp\.so\.1' || [ "$(uname)" != Linux ] \
    || need_debian "LightGBM needs the OpenMP runtime" libgomp1

if ! .venv/bin/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    rm -rf .venv
    "$python" -m venv .venv
fi
say "installing the locked packages into .venv (2.4 GB the first time, minutes on a slow line)"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
export UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=$PWD/.venv
# A company's own certificate authority is known to the system, not to uv; slim images have no such list.
for list in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
    [ ! -s "$list" ] || export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-true}
done
.venv/bin/uv pip install --quiet --require-hashes --compile-bytecode -r requirements/dev.txt
.venv/bin/uv pip install --quiet --no-deps --no-build-isolation --offline --editable .
touch .venv/.ready
