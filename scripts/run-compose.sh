#!/usr/bin/env bash
# Starts all of compose.yaml and says where it is. What is given goes to `docker compose up`, as in --pull never.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/make-secrets.sh
docker compose up --detach --wait --wait-timeout 300 "$@"
address=${ROWCAST_PUBLIC_URL:-$(sed -n 's/^ROWCAST_PUBLIC_URL=//p' .env 2>/dev/null | tail -1)}
cat <<EOF
Rowcast is at ${address:-https://localhost}, with a certificate that only this machine vouches for unless you gave one (TLS_DIR).
A link that signs a browser in as its administrator, once:
  docker compose exec api rowcast link
Consoles, on this machine alone: MLflow at http://127.0.0.1:${MLFLOW_PORT:-5000}, RabbitMQ at http://127.0.0.1:${RABBITMQ_CONSOLE_PORT:-15672}, S3 at http://127.0.0.1:${S3_PORT:-8333}
EOF
