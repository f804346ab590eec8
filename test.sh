#!/usr/bin/env bash
# Everything that must hold, in the order of how fast it fails: format, vet,
# staticcheck, each module on its own, all tests under the race detector, and
# a few seconds of every fuzz target. FUZZTIME=0 leaves the fuzzing out.
set -euo pipefail
cd "$(dirname "$0")"
fuzztime=${FUZZTIME:-3s}

step() { printf '\n== %s\n' "$*"; }

step gofmt
unformatted=$(find . -name '*.go' -not -path './deploy/.build/*' -exec gofmt -l {} +)
[ -z "$unformatted" ] || { echo "not gofmt-ed:"; echo "$unformatted"; exit 1; }

step go vet
go vet work

step staticcheck
go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 $(go list work)

step each module builds without the workspace
for mod in $(go list -m -f '{{.Dir}}'); do
  (cd "$mod" && GOWORK=off go build ./...)
done

step go test -race
go test -race -timeout 20m work

if [ "$fuzztime" != 0 ]; then
  step "fuzz targets, $fuzztime each"
  for pkg in $(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' work); do
    for target in $(go test -list '^Fuzz' "$pkg" | grep '^Fuzz' || true); do
      echo "-- $pkg $target"
      go test -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" "$pkg" >/tmp/assize-fuzz.log 2>&1 ||
        { cat /tmp/assize-fuzz.log; exit 1; }
    done
  done
fi
step passed
