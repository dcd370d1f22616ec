#!/usr/bin/env bash
# Makes .venv-clients/NAME for each of requirements/clients/NAME.txt: clients of other servers, unchanged from PyPI, that
# the tests call Rowcast with. They do not get on with each other's dependencies, so each has an environment of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$PWD/.venv/bin/uv
export UV_PYTHON_DOWNLOADS=never
for list in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
    [ ! -s "$list" ] || export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-true}
done
for lock in requirements/clients/*.txt; do
    name=$(basename "$lock" .txt) folder=.venv-clients/$(basename "$lock" .txt)
    [ ! "$folder/.ready" -nt "$lock" ] || continue
    printf 'setup: installing the client %s\n' "$name" >&2
    rm -rf "$folder"
    .venv/bin/python -m venv --without-pip "$folder"
    VIRTUAL_ENV=$PWD/$folder "$uv" pip install --quiet --require-hashes -r "$lock"
    touch "$folder/.ready"
done
