#!/usr/bin/env bash
# Holds the Dockerfile and the manifests of Kubernetes against linters, and the manifests against the schemas of the oldest
# and the newest Kubernetes that they are for. Needs kubectl; the linters are installed into .venv-deploy.
set -euo pipefail
cd "$(dirname "$0")/.."
oldest=1.33 newest=1.37
lock=requirements/deploy.txt bin=.venv-deploy/bin

if [ ! .venv-deploy/.ready -nt $lock ]; then
    rm -rf .venv-deploy
    .venv/bin/python -m venv --without-pip .venv-deploy
    for list in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
        [ ! -s "$list" ] || export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-true}
    done
    UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=$PWD/.venv-deploy .venv/bin/uv pip install --quiet --require-hashes -r $lock
    touch .venv-deploy/.ready
fi

$bin/hadolint deploy/docker/*Dockerfile

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cp -r deploy/kubernetes "$place/"
mkdir -p "$place/kubernetes/overlays/minikube/secrets" # what run-minikube makes; here it is empty
for name in rowcast_api_key rowcast_broker_url rowcast_database_url rowcast_storage_access_key \
    rowcast_storage_secret_key tls.crt tls.key; do
    echo none >"$place/kubernetes/overlays/minikube/secrets/$name"
done

for overlay in minikube production; do # each with Ray, too
    mkdir "$place/kubernetes/overlays/$overlay-ray"
    cat >"$place/kubernetes/overlays/$overlay-ray/kustomization.yaml" <<EOF
namespace: rowcast
resources: [../$overlay]
components: [../../components/ray]
images: [{name: rowcast-ray, newName: registry.example.org/rowcast-ray, newTag: "0.1.0"}]
EOF
done

# Left out: the digest of an image (43) and pulling it each time (15), for a tag is never used twice here; a readiness
# probe of workers (9), whom nobody calls.
skipped=CKV_K8S_43,CKV_K8S_15,CKV_K8S_9
for overlay in minikube production minikube-ray production-ray; do
    manifests=$place/$overlay.yaml
    kubectl kustomize "$place/kubernetes/overlays/$overlay" >"$manifests"
    for version in $oldest $newest; do
        # A kind that it does not know is no failure to it; that of a Ray cluster comes with its operator.
        if ! found=$($bin/kubernetes-validate --kubernetes-version "$version" --strict "$manifests" 2>&1) ||
            grep "Couldn't find schema" <<<"$found" | grep -vq RayCluster; then
            echo "$found" >&2
            exit 1
        fi
    done
    $bin/checkov --file "$manifests" --framework kubernetes --compact --quiet --skip-download \
        --skip-check $skipped >"$place/found" 2>/dev/null || { cat "$place/found" >&2; exit 1; }
    echo "$overlay: $(grep -c '^kind:' "$manifests") manifests are valid for Kubernetes $oldest and $newest, and hardened"
done
