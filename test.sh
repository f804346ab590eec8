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

step go test -race
go test -race -timeout 20m work

if [ "$fuzztime" != 0 ]; then
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  step "fuzz targets, $fuzztime each"
  for pkg in $(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' work); do
    for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(f \*testing\.F).*/\1/p' "$(go list -f '{{.Dir}}' "$pkg")"/*_test.go); do
      echo "-- $pkg $target"
      plain go test -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" -fuzzminimizetime 0x "$pkg" >"$log" 2>&1 ||
        { cat "$log"; exit 1; }
    done
  done
fi
step passed
