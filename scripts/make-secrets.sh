#!/usr/bin/env bash
# Makes the secrets of compose.yaml that are missing in deploy/compose/secrets, at random; those that are there stay.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=deploy/compose/secrets
mkdir -p "$folder"
# Containers read the files as users of their own, so all may read them; whom the machine lets in here is said by the folder.
chmod 700 "$folder"

random() { head -c 24 /dev/urandom | od -An -vtx1 | tr -d ' \n'; }
# Writes standard input to a file, whole or not at all, unless it is there.
secret() {
    if [ -s "$folder/$1" ]; then cat >/dev/null; return; fi
    cat >"$folder/.$1"
    chmod 644 "$folder/.$1"
    mv "$folder/.$1" "$folder/$1"
}
of() { cat "$folder/$1"; }

for name in postgres_password postgres_rowcast_password postgres_mlflow_password rabbitmq_password \
    rowcast_api_key rowcast_storage_secret_key mlflow_storage_secret_key grafana_password; do
    random | secret "$name"
done
printf rowcast | secret rowcast_storage_access_key
printf 'postgresql://rowcast:%s@postgres:5432/rowcast' "$(of postgres_rowcast_password)" | secret rowcast_database_url
printf 'postgresql+psycopg2://mlflow:%s@postgres:5432/mlflow' "$(of postgres_mlflow_password)" | secret mlflow_database_url
printf 'amqp://rowcast:%s@rabbitmq:5672/rowcast' "$(of rabbitmq_password)" | secret rowcast_broker_url
secret rabbitmq.conf <<EOF
default_vhost = rowcast
default_user = rowcast
default_pass = $(of rabbitmq_password)
EOF
secret mlflow_s3 <<EOF
[default]
aws_access_key_id = mlflow
aws_secret_access_key = $(of mlflow_storage_secret_key)
EOF
secret s3.json <<EOF
{"identities": [
  {"name": "rowcast", "credentials": [{"accessKey": "rowcast", "secretKey": "$(of rowcast_storage_secret_key)"}],
   "actions": ["Admin:rowcast", "Read:rowcast", "Write:rowcast", "List:rowcast", "Tagging:rowcast"]},
  {"name": "mlflow", "credentials": [{"accessKey": "mlflow", "secretKey": "$(of mlflow_storage_secret_key)"}],
   "actions": ["Admin:mlflow", "Read:mlflow", "Write:mlflow", "List:mlflow", "Tagging:mlflow"]}
]}
EOF
