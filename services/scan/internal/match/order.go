package match

import (
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/google/osv-scalibr/semantic"

	"assize.dev/services/scan/internal/advisory"
)

// ordering is how one ecosystem orders its versions.
type ordering struct {
	name string // of the ecosystem
	// starts refuses what is no version at all; comparators accept
	// anything and would sort "latest" below every release.
	starts func(version string) bool
	cmp    func(a, b string) (int, error)
}

const maxVersion = 512 // bytes; comparison works on big integers

var semverOrder = ordering{"semver", digitFirst, scalibr("crates.io")}

// errUnordered says nobody here knows the order of an ecosystem's versions.
var errUnordered = errors.New("the order of versions is not known")

func orderOf(ecosystem string) (ordering, error) {
	switch ecosystem {
	case "Julia":
		return ordering{ecosystem, digitFirst, compareJulia}, nil
	case "opam":
		// opam orders as Debian does, without epochs (opam manual,
		// "Version ordering").
		return ordering{ecosystem, anyDigit, scalibr("Debian")}, nil
	case "Bitnami":
		return ordering{ecosystem, digitFirst, func(a, b string) (int, error) {
			return scalibr(ecosystem)(withoutRevision(a), withoutRevision(b))
		}}, nil
	case "GitHub Actions", "VSCode":
		return ordering{ecosystem, digitFirst, scalibr("npm")}, nil
	case advisory.Arch:
		return ordering{ecosystem, anyDigit, func(a, b string) (int, error) { return comparePacman(a, b), nil }}, nil
	case "Azure Linux":
		return ordering{ecosystem, anyDigit, scalibr("Red Hat")}, nil
	}
	if _, err := semantic.Parse("1", ecosystem); err != nil {
		return ordering{}, fmt.Errorf("%w for ecosystem %.60q", errUnordered, ecosystem)
	}
	starts := anyDigit
	switch ecosystem {
	case "npm", "crates.io", "Go", "Hex", "Pub", "NuGet", "RubyGems", "Packagist", "SwiftURL", "Bioconductor", "ConanCenter", "GHC", "Hackage":
		starts = digitFirst
	}
	return ordering{ecosystem, starts, scalibr(ecosystem)}, nil
}

func (o ordering) valid(version string) error {
	switch {
	case version == "":
		return errors.New("it is missing")
	case len(version) > maxVersion:
		return fmt.Errorf("it has %d bytes, at most %d", len(version), maxVersion)
	case !o.starts(version):
		return fmt.Errorf("%.60q is no version of %s", version, o.name)
	}
	_, err := o.compare(version, version)
	return err
}

func (o ordering) compare(a, b string) (c int, err error) {
	if len(a) > maxVersion || len(b) > maxVersion {
		return 0, fmt.Errorf("longer than %d bytes", maxVersion)
	}
	if !o.starts(a) || !o.starts(b) {
		return 0, fmt.Errorf("%.60q or %.60q is no version of %s", a, b, o.name)
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%.60q and %.60q: comparator failed: %v", a, b, p)
		}
	}()
	return o.cmp(a, b)
}

func digitFirst(v string) bool {
	v = strings.TrimLeft(strings.TrimSpace(v), "vV=")
	return v != "" && v[0] >= '0' && v[0] <= '9'
}

func anyDigit(v string) bool { return strings.ContainsAny(v, "0123456789") }

// scalibr is the comparator of osv-scalibr for an ecosystem it knows.
func scalibr(ecosystem string) func(a, b string) (int, error) {
	return func(a, b string) (int, error) {
		v, err := semantic.Parse(strings.TrimSpace(a), ecosystem)
		if err != nil {
			return 0, err
		}
		return v.CompareStr(strings.TrimSpace(b))
	}
}

// compareJulia orders build numbers too: 1.0.7 < 1.0.7+0 < 1.0.7+1
// (Julia's VersionNumber).
func compareJulia(a, b string) (int, error) {
	c, err := scalibr("Julia")(a, b)
	if c != 0 || err != nil {
		return c, err
	}
	_, aBuild, aHas := strings.Cut(a, "+")
	_, bBuild, bHas := strings.Cut(b, "+")
	if !aHas || !bHas {
		return boolRank(aHas) - boolRank(bHas), nil
	}
	an, aOK := new(big.Int).SetString(aBuild, 10)
	bn, bOK := new(big.Int).SetString(bBuild, 10)
	if aOK && bOK {
		return an.Cmp(bn), nil
	}
	return strings.Compare(aBuild, bBuild), nil
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// withoutRevision drops Bitnami's packaging revision: advisories speak of
// the upstream release, and 1.2.3-4 is not older than it.
func withoutRevision(v string) string {
	base, revision, ok := strings.Cut(v, "-")
	if !ok || revision == "" || strings.Trim(revision, "0123456789") != "" {
		return v
	}
	return base
}
