#!/usr/bin/env bash
# Everything that must hold, in the order of how fast it fails: format, vet,
# staticcheck, each module on its own, all tests under the race detector, and
# a few seconds of every fuzz target. FUZZTIME=0 leaves the fuzzing out.
set -euo pipefail
cd "$(dirname "$0")"
# Seconds are too short for what coverage would guide fuzzing to, and building
# everything once more for it takes minutes: FUZZTIME=1m does both.
fuzztime=${FUZZTIME:-2s}
guided=${FUZZTIME:+-fuzz=.}

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
  (cd "$mod" && GOWORK=off plain go list -export ./... >/dev/null) # compiles, links nothing
done

step modules outside the workspace: the object store, the plug-in for PKCS#11 tokens, which needs cgo, and foreign verifiers
(
  export GOWORK=off
  (cd deploy/store && plain go vet ./... && plain go test ./...)
  (cd services/sign/cmd/sigstore-kms-assize-pkcs11 && go vet ./... && go test ./...)
  (cd e2e/foreign && plain go vet ./... && plain go test ./...)
)

# Passphrases are hashed for as long as a person may wait, a key is rotated
# forty times, thousands of packages are corrupted, commands run one after
# another: work without concurrency, which under the race detector takes minutes.
slow='TestKilledWhileRotating|TestEncrypt|TestCorruptions'
slow+='|TestScripts/(again|audit|decide|key|names|replay|sbom|scan|secrets|sign|verdict|verify)'
step go test -race
go test -race -timeout 20m -skip "$slow" work

step what the race detector makes too slow
plain go test -run "$slow" ./cmd/assize ./services/sign/internal/signer ./services/sign/internal/pspf
plain go test -run 'TestMemoryLimit|TestAnalyseTells|TestImageIs|TestHostileMemory' ./shared/isolate ./services/sbom
plain go test ./services/scan/internal/content

# One binary a package, then each of its targets for a while.
fuzz() { # package directory target...
  local package=$1 dir=$2 tries=8 work target
  shift 2
  work=$(mktemp -d)
  plain go test -c $guided -o "$work/fuzz" "$package" || return 1
  for target; do
    # Before Go 1.27 the fuzzer takes its own deadline for a failure of the
    # target (go.dev/issue/75804), of a fast one as often as one time in four:
    # that alone, with no failing input, is tried again.
    for try in $(seq $tries); do
      (cd "$dir" && "$work/fuzz" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "$fuzztime" \
        -test.fuzzminimizetime 0x -test.fuzzcachedir "$work/cache" -test.parallel 1) >"$work/log" 2>&1 && break
      if [ "$try" = $tries ] || grep -q 'Failing input' "$work/log" || ! grep -qx ' *context deadline exceeded' "$work/log"; then
        echo "-- $package $target failed"
        cat "$work/log"
        return 1
      fi
    done
    echo "-- $package $target"
  done
  rm -rf "$work"
}
packages() { # a line each: package directory target...
  go list -f '{{.ImportPath}} {{.Dir}}{{range .TestGoFiles}} {{.}}{{end}}{{range .XTestGoFiles}} {{.}}{{end}}' work |
    while read -r package dir files; do
      targets=$(cd "$dir" && [ -z "$files" ] || sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(f \*testing\.F).*/\1/p' $files)
      [ -z "$targets" ] || echo "$package" "$dir" $targets
    done
}
if [ "$fuzztime" != 0 ]; then
  step "fuzz targets, $fuzztime each, two packages at a time"
  export fuzztime guided
  export -f fuzz plain
  packages | xargs -P 2 -L 1 bash -c 'fuzz "$@"' _
fi
step passed
