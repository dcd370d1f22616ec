#!/usr/bin/env bash
# Fetches the pinned swagger-ui-dist from npm and keeps the files that /api/docs needs.
set -euo pipefail
cd "$(dirname "$0")/.."
target=src/rowcast/entrypoints/rest/swagger
version=$(sed -n 's/.*`swagger-ui-dist` \([0-9.]*\).*/\1/p' "$target/README.md")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "swagger-ui-dist@$version" >/dev/null && tar xzf swagger-ui-dist-*.tgz)
for name in swagger-ui-bundle.js swagger-ui-bundle.js.LICENSE.txt swagger-ui.css favicon-32x32.png LICENSE NOTICE; do
    cp "$work/package/$name" "$target/$name"
done
sed -i '/sourceMappingURL/d' "$target/swagger-ui-bundle.js" "$target/swagger-ui.css"
