#!/usr/bin/env bash
# Starts all of compose.yaml and says where it is. What is given goes to `docker compose up`, as in --pull never.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/make-secrets.sh
docker compose up --detach --wait --wait-timeout 300 "$@"

# What a variable of compose.yaml is: of the environment, else of .env, else the default.
value() {
    local found=${!1:-}
    if [ -z "$found" ] && [ -f .env ]; then found=$(sed -n "s/^$1=//p" .env | tail -1); fi
    echo "${found:-$2}"
}
cat <<EOF
Rowcast is at $(value ROWCAST_PUBLIC_URL https://localhost), with a certificate that only this machine vouches for unless you gave one (TLS_DIR).
A link that signs a browser in as its administrator, once:
  docker compose exec api rowcast link
Consoles, on this machine alone: MLflow at http://127.0.0.1:$(value MLFLOW_PORT 5000), RabbitMQ at http://127.0.0.1:$(value RABBITMQ_CONSOLE_PORT 15672), S3 at http://127.0.0.1:$(value S3_PORT 8333)
EOF
