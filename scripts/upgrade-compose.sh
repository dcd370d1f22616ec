#!/usr/bin/env bash
# Replaces the containers of Rowcast that run by those of the image and the secrets that are there now, without a call that
# fails: new servers answer before the old ones are asked to end. Build or pull the image first.
set -euo pipefail
cd "$(dirname "$0")/.."

remove() { docker stop --time 20 "$@" >/dev/null && docker rm "$@" >/dev/null; }

docker compose run --rm --no-deps migrate
mapfile -t old < <(docker compose ps --quiet api)
docker compose up --detach --no-deps --no-recreate --scale api=$((2 * ${#old[@]})) api
mapfile -t new < <(docker compose ps --quiet api | grep -vxFf <(printf '%s\n' "${old[@]}"))

end=$((SECONDS + 300))
for container in "${new[@]}"; do
    until [ "$(docker inspect --format '{{.State.Health.Status}}' "$container")" = healthy ]; do
        if [ $SECONDS -gt $end ]; then
            docker logs --tail 20 "$container" >&2
            remove "${new[@]}"
            echo "upgrade: the new servers do not get ready, see above; the old ones still serve" >&2
            exit 1
        fi
        sleep 1
    done
done
# nginx asks every second where servers are; one that is gone is passed over meanwhile.
for container in "${old[@]}"; do remove "$container"; done
# Workers hand back what they cannot finish, and others go on with it.
docker compose up --detach --wait --no-deps --force-recreate worker dashboard
