#!/usr/bin/env bash
# Applies an overlay: first what the migration needs, then the migration, then the replicas, each new one before an old
# one goes. `apply-kubernetes.sh deploy/kubernetes/overlays/production`; KUBE_CONTEXT names another cluster than the usual.
set -euo pipefail
cd "$(dirname "$0")/.."
overlay=${1:?which overlay, as in deploy/kubernetes/overlays/production}
kubectl() { command kubectl ${KUBE_CONTEXT:+--context "$KUBE_CONTEXT"} "$@"; }

manifests=$(mktemp)
trap 'rm -f "$manifests"' EXIT
chmod 600 "$manifests" # secrets are in it
kubectl kustomize "$overlay" >"$manifests"

kubectl --namespace rowcast delete job migrate --ignore-not-found --wait 2>/dev/null || true # there is no namespace yet
kubectl apply --selector stage=first --filename "$manifests"
kubectl --namespace rowcast wait --for=condition=complete --timeout=1h job/migrate
kubectl apply --filename "$manifests"
for name in api worker dashboard; do
    kubectl --namespace rowcast rollout status --timeout=15m deployment/$name
done
