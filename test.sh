#!/usr/bin/env bash
# Everything that must hold, in the order of how fast it fails: format, vet,
# staticcheck, each module on its own, all tests under the race detector, and
# a few seconds of every fuzz target. FUZZTIME=0 leaves the fuzzing out.
set -euo pipefail
cd "$(dirname "$0")"
fuzztime=${FUZZTIME:-3s}

step() { printf '\n== %s\n' "$*"; }

# What needs no race detector is built as deploy/images.sh builds it, so that
# nothing is compiled twice.
plain() { CGO_ENABLED=0 GOFLAGS="$(go env GOFLAGS) -trimpath" "$@"; }

step gofmt
unformatted=$(find . -name '*.go' -not -path './deploy/.build/*' -exec gofmt -l {} +)
[ -z "$unformatted" ] || { echo "not gofmt-ed:"; echo "$unformatted"; exit 1; }

step go vet
plain go vet work

step staticcheck
plain go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 $(go list work)

step each module builds without the workspace
for mod in $(go list -m -f '{{.Dir}}'); do
  (cd "$mod" && GOWORK=off plain go build -o /dev/null ./...)
done

step the object store, a module outside the workspace
(
  cd deploy/store
  export GOWORK=off
  plain go vet ./...
  plain go test ./...
)

step go test -race
go test -race -timeout 20m work

fuzz() { # package target
  local log
  log=$(mktemp)
  plain go test -run '^$' -fuzz "^$2\$" -fuzztime "$fuzztime" -fuzzminimizetime 0x -parallel 1 "$1" >"$log" 2>&1 || {
    echo "-- $1 $2 failed"
    cat "$log"
    rm -f "$log"
    return 1
  }
  rm -f "$log"
  echo "-- $1 $2"
}
targets() {
  go list -f '{{$p := .ImportPath}}{{$d := .Dir}}{{range .TestGoFiles}}{{$p}} {{$d}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$p}} {{$d}}/{{.}}{{"\n"}}{{end}}' work |
    while read -r pkg file; do
      [ -z "$pkg" ] || sed -n "s#^func \(Fuzz[A-Za-z0-9_]*\)(f \*testing\.F).*#$pkg \1#p" "$file"
    done
}
if [ "$fuzztime" != 0 ]; then
  step "fuzz targets, $fuzztime each, two at a time"
  export fuzztime
  export -f fuzz plain
  targets | xargs -P 2 -L 1 bash -c 'fuzz "$@"' _
fi
step passed
