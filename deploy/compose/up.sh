#!/usr/bin/env bash
# Builds the images, makes what secrets are missing, brings the stack up and
# waits until every service is healthy. Works with docker-compose 1.29 and
# with "docker compose".
#
#   deploy/compose/up.sh [--no-build]    the images are there already
set -euo pipefail
cd "$(dirname "$0")"
[ "${1:-}" = --no-build ] || ../images.sh "${ASSIZE_TAG:-dev}"
./secrets.sh
[ -n "${ASSIZE_TRUSTED_KEYS:-}" ] || mkdir -p -m 755 trusted
if docker compose version >/dev/null 2>&1; then compose=(docker compose); else compose=(docker-compose); fi
"${compose[@]}" up -d
for service in ingest sign sbom scan verdict audit; do
  for ((try = 1; ; try++)); do
    "${compose[@]}" exec -T "$service" /bin/main healthcheck 2>/dev/null && break
    if [ "$try" -ge 30 ]; then
      echo "$service is not healthy; it says:" >&2
      "${compose[@]}" logs --tail=20 "$service" >&2
      exit 1
    fi
    sleep 1
  done
done
secrets=$(cd "${ASSIZE_SECRETS_DIR:-./secrets}" && pwd)
echo "Uploads: http://127.0.0.1:${ASSIZE_HTTP_PORT:-8080} with the token in $secrets/ingest_token"
