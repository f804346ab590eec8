package version

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/osv-scalibr/semantic"

	"assize.dev/shared/realdata"
)

// pools are versions of each ecosystem to make others of.
var pools = map[string][]string{
	"npm":       {"1.2.3", "1.2.3-rc.1", "1.2.3-rc.10", "1.2.3-alpha", "1.2.3-0", "1.2", "1", "v1.2.3", "1.2.3+build.5", "0.0.0-20210101000000-abcdefabcdef", "1.16rc1", "99999999999999999999.0.1"},
	"Pub":       {"1.2.3", "1.2.3+1", "1.2.3+2", "1.2.3-dev.1"},
	"NuGet":     {"1.2.3", "1.2.3.4", "1.2.3-Beta", "1.2.3-beta", "1.2.3-beta.2", "1.2"},
	"PyPI":      {"1.0", "1.0.0", "1.0a1", "1.0b2", "1.0rc1", "1.0c1", "1.0.post1", "1.0-1", "1.0.dev3", "1.0a1.dev2", "1!0.5", "1.0+local.1", "1.0+1", "1.0.post1.dev2", "1.0rc", "v1.0", "1.0-alpha-1", "1.0_rc_2", "2013b"},
	"RubyGems":  {"1.0", "1.0.0", "1.0.0.pre", "1.0.0.pre1", "1.0.a10", "1.0.b2", "1.0.0.rc.1", "2", "1.0.0.0.1"},
	"Packagist": {"1.0.0", "v1.0.0", "1.0.0-dev", "1.0.0-alpha1", "1.0.0-beta.2", "1.0.0-RC1", "1.0.0-p1", "1.0", "1.0.0.1", "2.0-patch"},
	"Maven":     {"1.0", "1.0.0", "1", "1.0-alpha-1", "1.0-a1", "1.0-SNAPSHOT", "1.0-rc1", "1.0-cr1", "1.0.Final", "1.0-ga", "1.0-sp1", "1.0.1", "1.0-1", "1.0.x", "2.0-m1", "1.0.0.RELEASE", "1-1.foo-bar1baz-.1", "1.0-jre"},
	"Debian":    {"1.0-1", "1.0~rc1-1", "1:1.0-1", "1.0-1+b1", "1.0-1~deb12u1", "1.0", "1.0+dfsg-2", "2.0.0a-1", "0:1.0-1"},
	"AlmaLinux": {"1.0-1.el9", "1.0-1.el9_4", "1:1.0-1.el8", "1.0~rc1-1.el9", "1.0^git1-1.el9", "1.0a-1.el9", "1.0", "2.0.0-0.1.el9"},
	"Alpine":    {"1.0-r0", "1.0-r10", "1.0_rc1-r0", "1.0_p1-r0", "1.0a-r1", "1.0.1", "1.0_alpha", "1.0_git20210101-r0", "1.01-r0", "1.0~abcdef-r0"},
	"CRAN":      {"1.0", "1.0-1", "1.0.1", "1.0.0", "2.3-10"},
	"Hackage":   {"1.0", "1.0.0", "1.0.0.1", "2.3", "1.10"},
}

var parts = regexp.MustCompile(`\d+|[a-zA-Z]+|.`)

// mutate changes one piece of a version for another of the pool.
func mutate(r *rand.Rand, pool []string) string {
	a := parts.FindAllString(pool[r.IntN(len(pool))], -1)
	b := parts.FindAllString(pool[r.IntN(len(pool))], -1)
	switch r.IntN(5) {
	case 0:
		return strings.Join(a, "")
	case 1: // the end of one after the beginning of another
		return strings.Join(a[:r.IntN(len(a)+1)], "") + strings.Join(b[r.IntN(len(b)+1):], "")
	case 2:
		a[r.IntN(len(a))] = b[r.IntN(len(b))]
	case 3:
		a[r.IntN(len(a))] = fmt.Sprint(r.IntN(12))
	default:
		return strings.Join(a, "") + "." + fmt.Sprint(r.IntN(3))
	}
	return strings.Join(a, "")
}

// oracle compares with osv-scalibr.
func oracle(ecosystem, a, b string) (int, error) {
	v, err := semantic.Parse(a, ecosystem)
	if err != nil {
		return 0, err
	}
	return v.CompareStr(b)
}

// differs explains why the oracle may answer otherwise; "" if nothing does.
func differs(ecosystem, a, b string) string {
	either := func(is func(string) bool) bool { return is(a) || is(b) }
	more := func(pattern string) bool { return either(regexp.MustCompile(pattern).MatchString) }
	switch ecosystem {
	case "npm", "Pub", "NuGet":
		switch {
		case more(`^[vV=]*\d+(\.+\d*){3,}`):
			return "numbers beyond the third (NuGet: fourth) are numbers, not prereleases"
		case more(`\.\.|\.$|\.[-+]|^[vV=]*[vV=]`):
			return "empty numbers"
		case more(`-[-+]|\.[-+]|\+.*\+`):
			return "identifiers such as -5 are words (semver.org, item 9)"
		}
	case "RubyGems":
		if more(`[^0-9a-zA-Z.]`) {
			return "a hyphen is .pre. (Gem::Version); other characters separate"
		}
		if more(`(^|[^0-9])0[0-9]`) {
			return "00 is the number 0"
		}
	case "Alpine":
		if more(`_cvs`) {
			return "the oracle takes no suffix for _cvs"
		}
	}
	return ""
}

// TestOracle holds every scheme against osv-scalibr on random versions: 10,000
// pairs an ecosystem, and 40,000 with ASSIZE_EXHAUSTIVE set.
func TestOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pairs := 10_000
	if os.Getenv("ASSIZE_EXHAUSTIVE") != "" {
		pairs = 40_000
	}
	if testing.Short() {
		pairs = 4000
	}
	for ecosystem, pool := range pools {
		scheme, err := SchemeOf(ecosystem)
		if err != nil {
			t.Fatal(err)
		}
		compared, explained, wrong := 0, 0, 0
		for range pairs {
			a, b := mutate(r, pool), mutate(r, pool)
			got, err := scheme.Compare(a, b)
			if err != nil {
				continue
			}
			want, err := oracle(ecosystem, a, b)
			if err != nil {
				continue
			}
			compared++
			if sign(got) == sign(want) {
				continue
			}
			if differs(ecosystem, a, b) != "" {
				explained++
				continue
			}
			if wrong++; wrong <= 8 {
				t.Errorf("%s: %q and %q: %d, the oracle says %d", ecosystem, a, b, got, want)
			}
		}
		if compared < pairs/4 {
			t.Errorf("%s: only %d of %d pairs could be compared", ecosystem, compared, pairs)
		}
		t.Logf("%s: %d pairs, %d differences explained, %d not", ecosystem, compared, explained, wrong)
	}
}

// TestKeys: keys order as versions do, and total orders are total.
func TestKeys(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for name, scheme := range schemes {
		pool := pools[name]
		if pool == nil {
			pool = slices.Concat(pools["npm"], pools["Debian"])
		}
		for range 3000 {
			a, b, c := mutate(r, pool), mutate(r, pool), mutate(r, pool)
			if scheme.Valid(a) != nil || scheme.Valid(b) != nil || scheme.Valid(c) != nil {
				continue
			}
			ab := scheme.Order(a, b)
			if scheme.Order(a, a) != 0 || sign(ab) != -sign(scheme.Order(b, a)) {
				t.Fatalf("%s: %q and %q: not antisymmetric", name, a, b)
			}
			if keysDiffer(scheme, a, b, ab) {
				t.Fatalf("%s: the keys of %q and %q do not order as they do (%d)", name, a, b, ab)
			}
			if bc, ac := scheme.Order(b, c), scheme.Order(a, c); ab <= 0 && bc <= 0 && ac > 0 && !intransitive[name] {
				t.Fatalf("%s: %q, %q, %q are not in one order", name, a, b, c)
			}
		}
	}
}

// intransitive orders are so by their own tools: a missing pkgrel equals any
// (pacman), a missing part equals some (Maven, PHP).
var intransitive = map[string]bool{Arch: true, "Maven": true, "Packagist": true}

// TestRealVersions does the same with versions that advisories really name.
func TestRealVersions(t *testing.T) {
	dir := filepath.Join(realdata.Dir(t), "bench")
	text, err := os.ReadFile(filepath.Join(dir, "bench10000.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	byEcosystem := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Split(strings.TrimSpace(line), "\t"); len(fields) == 3 {
			byEcosystem[fields[0]] = append(byEcosystem[fields[0]], fields[2])
		}
	}
	r := rand.New(rand.NewPCG(5, 6))
	for ecosystem, versions := range byEcosystem {
		scheme, err := SchemeOf(ecosystem)
		if err != nil {
			t.Logf("%s: %v", ecosystem, err)
			continue
		}
		compared, wrong := 0, 0
		for range 20_000 {
			a, b := versions[r.IntN(len(versions))], versions[r.IntN(len(versions))]
			got, err := scheme.Compare(a, b)
			if err != nil {
				continue
			}
			want, err := oracle(ecosystem, a, b)
			if err != nil {
				continue
			}
			compared++
			if sign(got) != sign(want) && differs(ecosystem, a, b) == "" && ecosystem != "Julia" && ecosystem != "Bitnami" {
				if wrong++; wrong <= 8 {
					t.Errorf("%s: %q and %q: %d, the oracle says %d", ecosystem, a, b, got, want)
				}
			}
		}
		t.Logf("%s: %d pairs", ecosystem, compared)
	}
}
