#!/usr/bin/env bash
# Installs what the tests start privately: PostgreSQL, RabbitMQ, Prometheus and a browser. As root on Debian; elsewhere the tests that need
# what is missing are skipped and say so. Run by make; does nothing when they are there.
set -euo pipefail

command -v kubectl >/dev/null ||
    echo "setup: kubectl is not installed, and Debian's is too old: tests of the Kubernetes manifests are left out" >&2

missing=()
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
compgen -G '/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin' >/dev/null || missing+=(rabbitmq-server)
{ command -v prometheus && command -v promtool; } >/dev/null || missing+=(prometheus)
command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "setup: ${missing[*]} not installed: tests that need them are skipped (Debian: sudo apt-get install ${missing[*]})" >&2
    exit 0
fi

# Debian starts what it installs. The tests use servers of their own, so nothing may be left running because of us:
# packages ask this file before they start anything, and 101 forbids it.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
echo "setup: installing ${missing[*]} for the tests" >&2
apt-get update -qq >/dev/null 2>&1 || true
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null 2>&1 || {
    echo "setup: apt-get install ${missing[*]} failed: tests that need them are skipped; run it by hand to see why" >&2
    [ -z "${CI:-}" ]
}
