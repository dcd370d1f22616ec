#!/usr/bin/env bash
# Starts Rowcast in minikube, its services in Compose beside it, and says where it is. What is given goes to `docker
# compose up`. Needs minikube, kubectl and a Docker engine.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=rowcast overlay=deploy/kubernetes/overlays/minikube
services=(postgres rabbitmq seaweedfs buckets mlflow)

minikube status --profile $profile >/dev/null 2>&1 ||
    minikube start --profile $profile --cpus "${MINIKUBE_CPUS:-4}" --memory "${MINIKUBE_MEMORY:-8g}"
minikube addons enable ingress --profile $profile
minikube addons enable metrics-server --profile $profile

# The services listen on the one address of this machine that the cluster knows it by.
MINIKUBE_HOST=$(minikube ssh --profile $profile -- getent hosts host.minikube.internal | awk '{print $1; exit}')
export MINIKUBE_HOST
scripts/make-secrets.sh
docker compose -f compose.yaml -f deploy/compose/minikube.yaml up --detach --wait --wait-timeout 300 "$@" "${services[@]}"

mkdir -p $overlay/secrets
chmod 700 $overlay/secrets
for name in rowcast_api_key rowcast_storage_access_key rowcast_storage_secret_key; do
    cp deploy/compose/secrets/$name $overlay/secrets/
done
for name in rowcast_database_url rowcast_broker_url; do
    sed 's/@[a-z]*:/@host.minikube.internal:/' deploy/compose/secrets/$name >$overlay/secrets/$name
done
[ -s $overlay/secrets/tls.key ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
    -keyout $overlay/secrets/tls.key -out $overlay/secrets/tls.crt -subj /CN=rowcast.test \
    -addext subjectAltName=DNS:rowcast.test 2>/dev/null

docker build --quiet --tag rowcast:local --file deploy/docker/Dockerfile .
minikube image load rowcast:local --profile $profile
KUBE_CONTEXT=$profile scripts/apply-kubernetes.sh $overlay

cat <<EOF
Rowcast is at https://rowcast.test once this machine knows the name:
  echo "$(minikube ip --profile $profile) rowcast.test" | sudo tee -a /etc/hosts
A link that signs a browser in as its administrator, once:
  kubectl --context $profile --namespace rowcast exec deploy/api -- sh -c 'ROWCAST_API_KEY=\$(cat /run/secrets/rowcast_api_key) rowcast link'
EOF
