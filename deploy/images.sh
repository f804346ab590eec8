#!/usr/bin/env bash
# Builds every image of the stack from source, with no base image and no
# registry: assize/<name>:<tag> for the six services, the CLI (which is also
# the NATS server and the provisioner) and the object store.
#
#   deploy/images.sh [tag]      tag defaults to "dev"
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."
tag=${1:-dev}
out=$PWD/deploy/.build/$tag # one for each tag: builds may run side by side
rm -rf "$out"
trap 'rm -rf "$out"' EXIT

version=$(git describe --always --dirty 2>/dev/null || echo devel)
flags=(-trimpath -ldflags "-s -w -X assize.dev/shared/run.Version=$version")
export CGO_ENABLED=0 GOOS=linux
# Without the buildx plugin the client cannot use BuildKit, and fails if told to.
docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0

root() { # name: an empty file system with what a static program needs
  mkdir -p "$out/$1/root"/{bin,data,tmp,etc/ssl/certs}
  chmod 1777 "$out/$1/root/tmp"
  echo 'assize:x:65532:65532:assize:/data:/none' >"$out/$1/root/etc/passwd"
  if [ -f /etc/ssl/certs/ca-certificates.crt ]; then
    cp /etc/ssl/certs/ca-certificates.crt "$out/$1/root/etc/ssl/certs/"
  fi
}
image() { # name
  docker build --quiet --tag "assize/$1:$tag" --file deploy/Dockerfile "$out/$1" >/dev/null
  echo "assize/$1:$tag"
}

for service in ingest sign sbom scan verdict audit; do
  root "$service"
  go build "${flags[@]}" -o "$out/$service/root/bin/main" "./services/$service/cmd/$service"
  image "$service"
done
root assize
go build "${flags[@]}" -o "$out/assize/root/bin/main" ./cmd/assize
image assize
root store
(cd deploy/store && GOWORK=off go build "${flags[@]}" -o "$out/store/root/bin/main" .)
image store
