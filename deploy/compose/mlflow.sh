# MLflow takes the address of its database from the environment only, and it has a password in it.
set -eu
MLFLOW_BACKEND_STORE_URI=$(cat /run/secrets/mlflow_database_url)
export MLFLOW_BACKEND_STORE_URI
exec mlflow server --host 0.0.0.0 --port 5000 --workers 1 --artifacts-destination s3://mlflow \
    --allowed-hosts "mlflow:5000,host.minikube.internal:5000,localhost:*,127.0.0.1:*"
