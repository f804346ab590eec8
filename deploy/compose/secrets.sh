#!/usr/bin/env bash
# Makes the secrets of the stack that are not there yet, each a file in the
# directory, and says nothing if there is nothing to do. The directory is
# closed to others; the files in it are readable because the containers' user
# is not ours.
#
#   deploy/compose/secrets.sh    ASSIZE_SECRETS_DIR defaults to ./secrets here
set -euo pipefail
cd "$(dirname "$0")"
umask 077
dir=${ASSIZE_SECRETS_DIR:-./secrets}
mkdir -p "$dir"
chmod 700 "$dir"
for name in nats_token store_secret ingest_token fingerprint_key; do
  if [ ! -s "$dir/$name" ]; then
    head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$dir/$name"
    echo "made $dir/$name"
  fi
done
if command -v assize >/dev/null; then assize=(assize); else assize=(go run ../../cmd/assize); fi
if [ ! -s "$dir/sign_key" ]; then # with its public half, sign_key.pub
  "${assize[@]}" keygen -o "$dir/sign_key"
fi
if [ ! -s "$dir/audit_key" ]; then # with its public half, audit_key.pub
  "${assize[@]}" audit keygen -o "$dir/audit_key" "assize.local/$(head -c 5 /dev/urandom | od -An -tx1 | tr -d ' \n')"
fi
chmod 644 "$dir"/*
