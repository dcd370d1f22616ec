#!/usr/bin/env bash
# Stops what run-compose and run-minikube started, and keeps all data. `stop-all.sh clean` deletes the data and secrets too.
set -euo pipefail
cd "$(dirname "$0")/.."

clean=${1:-}
[ -z "$clean" ] || [ "$clean" = clean ] || { echo "usage: stop-all.sh [clean]" >&2; exit 2; }
if command -v minikube >/dev/null && minikube status --profile rowcast >/dev/null 2>&1; then
    if [ -n "$clean" ]; then minikube delete --profile rowcast; else minikube stop --profile rowcast; fi
fi
if [ -d deploy/compose/secrets ]; then # else nothing was ever started here
    docker compose --profile watch down --remove-orphans ${clean:+--volumes}
fi
[ -z "$clean" ] || rm -rf deploy/compose/secrets
