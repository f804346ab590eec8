// Package version orders the versions of every ecosystem that advisories are
// about, as the ecosystem's own tools do. Comparisons work on the text, with
// numbers of any length, and allocate nothing in the usual case; most schemes
// also give keys that order as bytes.
package version

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
)

// Arch is the ecosystem of Arch Linux packages, which OSV does not know.
const Arch = "Arch"

// Max is the length of the longest version, in bytes. Nobody releases longer
// ones.
const Max = 512

var (
	// ErrUnordered says that nobody here knows how an ecosystem orders its
	// versions.
	ErrUnordered = errors.New("the order of versions is not known")
	// ErrInvalid says that a text is no version of the ecosystem.
	ErrInvalid = errors.New("no version")
)

// Scheme is how one ecosystem orders its versions. The zero Scheme is of no
// use; any number of goroutines may use one.
type Scheme struct {
	ecosystem string
	// starts refuses what is no version at all: comparators would sort
	// "latest" below every release.
	starts  func(string) bool
	check   func(string) error // what else is refused; may be nil
	compare func(a, b string) int
	key     func(dst []byte, v string) ([]byte, bool) // nil: versions have no byte key here
}

// SchemeOf finds the scheme of a base ecosystem ("Debian", not "Debian:12"),
// in the spelling of the OSV schema. Errors wrap ErrUnordered.
func SchemeOf(ecosystem string) (*Scheme, error) {
	if s := schemes[ecosystem]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("%w for ecosystem %.60q", ErrUnordered, ecosystem)
}

// Semver is the scheme of ranges of type SEMVER in ecosystems without an
// order of their own.
func Semver() *Scheme { return schemes["crates.io"] }

var schemes = func() map[string]*Scheme {
	semantic := Scheme{starts: digitFirst, compare: compareSemver, key: keySemver}
	dpkg := Scheme{starts: anyDigit, check: checkDebian, compare: compareDebian, key: keyDebian}
	rpm := Scheme{starts: anyDigit, compare: compareRPM, key: keyRPM}
	apk := Scheme{starts: anyDigit, check: checkAPK, compare: compareAPK, key: keyAPK}
	all := map[string]*Scheme{}
	for scheme, ecosystems := range map[*Scheme]string{
		&semantic: "npm|crates.io|Go|Hex|SwiftURL|Bioconductor|ConanCenter|GHC|GitHub Actions|VSCode|Docker Hardened Images",
		&dpkg:     "Debian|Ubuntu",
		&rpm:      "AlmaLinux|Rocky Linux|Red Hat|SUSE|openSUSE|openEuler|Mageia|Azure Linux",
		&apk:      "Alpine|Alpaquita|Wolfi|Chainguard|MinimOS|BellSoft Hardened Containers",
	} {
		for name := range strings.SplitSeq(ecosystems, "|") {
			own := *scheme
			all[name] = &own
		}
	}
	all["Bitnami"] = &Scheme{starts: digitFirst, compare: compareBitnami, key: keyBitnami}
	all["Julia"] = &Scheme{starts: digitFirst, compare: compareJulia}
	all["Pub"] = &Scheme{starts: digitFirst, compare: comparePub}
	all["NuGet"] = &Scheme{starts: digitFirst, compare: compareNuGet, key: keyNuGet}
	all["PyPI"] = &Scheme{starts: anyDigit, compare: comparePyPI, key: keyPyPI}
	all["RubyGems"] = &Scheme{starts: digitFirst, check: checkGem, compare: compareGem, key: keyGem}
	all["Packagist"] = &Scheme{starts: digitFirst, compare: comparePackagist}
	all["Maven"] = &Scheme{starts: anyDigit, compare: compareMaven}
	all["CRAN"] = &Scheme{starts: anyDigit, check: checkNumbers(".-"), compare: compareNumbers, key: keyNumbers}
	all["Hackage"] = &Scheme{starts: digitFirst, check: checkNumbers("."), compare: compareNumbers, key: keyNumbers}
	// opam orders as Debian does, without epochs (opam manual, "Version
	// ordering").
	all["opam"] = &Scheme{starts: anyDigit, compare: compareOpam, key: keyOpam}
	all[Arch] = &Scheme{starts: anyDigit, compare: comparePacman}
	for name, scheme := range all {
		scheme.ecosystem = name
	}
	return all
}()

// Valid refuses what is no version: nothing, a word, or more than Max bytes.
// The error wraps ErrInvalid.
func (s *Scheme) Valid(v string) error {
	switch {
	case v == "":
		return fmt.Errorf("%w: it is missing", ErrInvalid)
	case len(v) > Max:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrInvalid, len(v), Max)
	case !s.starts(v):
		return fmt.Errorf("%w of %s: %.60q", ErrInvalid, s.ecosystem, v)
	case s.check != nil:
		return s.check(strings.TrimSpace(v))
	}
	return nil
}

// Compare orders two versions: negative if a is older, positive if it is
// newer, 0 if they are the same version however spelt. Errors wrap ErrInvalid.
func (s *Scheme) Compare(a, b string) (int, error) {
	if err := cmp.Or(s.Valid(a), s.Valid(b)); err != nil {
		return 0, err
	}
	return s.Order(a, b), nil
}

// Order is Compare for versions that Valid has accepted.
func (s *Scheme) Order(a, b string) int {
	return s.compare(strings.TrimSpace(a), strings.TrimSpace(b))
}

// Key appends the key of a version that Valid has accepted: where two
// versions have keys, those order as bytes as Order orders the versions. Not
// all do: some schemes, and some odd versions of others, have no total order
// of bytes.
func (s *Scheme) Key(dst []byte, v string) (key []byte, ok bool) {
	if s.key == nil {
		return dst, false
	}
	return s.key(dst, strings.TrimSpace(v))
}

func digitFirst(v string) bool {
	v = strings.TrimLeft(strings.TrimSpace(v), "vV=")
	return v != "" && isDigit(v[0])
}

func anyDigit(v string) bool { return strings.ContainsAny(v, "0123456789") }
