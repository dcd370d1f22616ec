#!/usr/bin/env bash
# Makes .venv-peers/NAME for each of requirements/FOLDER/NAME.txt: what the benchmarks run beside Rowcast, unchanged from
# PyPI, each in an environment of its own. FOLDER is peers, the servers of `make bench-peers`, or tuning for `make
# bench-tune`.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$PWD/.venv/bin/uv
export UV_PYTHON_DOWNLOADS=never
for list in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
    [ ! -s "$list" ] || export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-true}
done
for lock in requirements/"${1:-peers}"/*.txt; do
    name=$(basename "$lock" .txt) folder=.venv-peers/$(basename "$lock" .txt)
    [ ! "$folder/.ready" -nt "$lock" ] || continue
    printf 'setup: installing the peer %s\n' "$name" >&2
    rm -rf "$folder"
    .venv/bin/python -m venv --without-pip "$folder"
    VIRTUAL_ENV=$PWD/$folder "$uv" pip install --quiet --compile-bytecode --require-hashes -r "$lock"
    touch "$folder/.ready"
done
