package version

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/osv-scalibr/semantic"

	"assize.dev/shared/realdata"
)

// TestOrders: each line is in ascending order; "=" joins spellings of one
// version. The sources are the ecosystems' own documents.
func TestOrders(t *testing.T) {
	for ecosystem, line := range map[string]string{
		"npm":       "1.0.0-1 1.0.0-2 1.0.0-10 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0=v1.0.0=1.0=1=1.0.0+build 1.0.1 2.0.0 10.0.0 99999999999999999999999.0.0",
		"Go":        "0.0.0-20190101000000-aaaaaaaaaaaa 0.0.0-20200101000000-000000000000 1.15.8 1.16.0-0 1.16rc1 1.16=1.16.0=1.16.0+incompatible 1.16.1-0.20210101000000-abcdefabcdef 1.16.1 1.16.1.1",
		"Pub":       "1.0.0-dev.1 1.0.0 1.0.0+1 1.0.0+2 1.0.1",
		"Julia":     "1.0.7 1.0.7+0 1.0.7+1 1.0.7+10 1.0.8",
		"Bitnami":   "1.2.2 1.2.3=1.2.3-0=1.2.3-14 1.2.4",
		"NuGet":     "1.0.0-alpha=1.0.0-ALPHA 1.0.0-beta.2 1.0.0=1.0.0.0 1.0.0.1 1.0.1",
		"PyPI":      "1.0.dev456 1.0a1 1.0a2.dev456 1.0a12.dev456 1.0a12=1.0-alpha-12 1.0b1.dev456 1.0b2 1.0b2.post345.dev456 1.0b2.post345 1.0rc1.dev456 1.0rc1=1.0c1=1.0-preview_1 1.0=1.0.0=v1.0 1.0+abc.5 1.0+abc.7 1.0+5 1.0.post456.dev34 1.0.post456=1.0-456 1.0.15 1.1.dev1 1!0.1",
		"RubyGems":  "1.0.0.a10 1.0.0.b2 1.0.0.pre 1.0.0.pre1=1.0.0-1 1.0.0.rc.1 1.0.0=1=1.0 1.0.0.0.1 1.10",
		"Packagist": "1.0.0-dev 1.0.0-alpha1 1.0.0-beta1 1.0.0-RC1=1.0.0-rc1 1.0.0 1.0.0.1 1.0.0-p1 1.0.1",
		"Maven":     "1-alpha-1=1.0-a1=1-alpha1 1-beta-1 1-milestone-1=1-m1 1-rc-1=1-cr1 1-SNAPSHOT=1-snapshot 1=1.0=1.0.0=1-ga=1.final=1-release 1-sp 1-abc 1-1 1.1",
		"Debian":    "1.0~~ 1.0~rc1-1 1.0-1~deb12u1 1.0-1=0:1.0-1=1.0-01 1.0-1+b1 1.0-1.1 1.0-10 1.0a-1 1.0+dfsg-1 1.0.1-1 1:0.1-1",
		"opam":      "1.0~beta 1.0 1.0a 1.0+1 1.0.1",
		"AlmaLinux": "1.0~rc1-1 1.0 1.0-1 1.0-2 1.0-10 1.0^git1-1 1.0.a-1 1.0.1-1 1.10-1 0:2.0-1=2.0-1 1:0.1-1",
		"Alpine":    "1.0_alpha 1.0_alpha2 1.0_beta 1.0_pre 1.0_rc1-r1 1.0=1.0-r0=1.0~abcdef 1.0-r1 1.0-r10 1.0_git1 1.0_p1 1.0a 1.01 1.1 1.10",
		"CRAN":      "1.0 1.0.0=1.0-0 1.0-1 1.1 1.10",
		"Hackage":   "1.0 1.0.0 1.0.1 1.1 1.10",
		Arch:        "1.0rc1-1 1.0-1=1.0=0:1.0-1 1.0-2 1.0.1-1 1.0.10-1 1.1-1 1:0.1-1",
	} {
		scheme, err := SchemeOf(ecosystem)
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(line)
		for i, x := range fields {
			for j, y := range fields {
				for v := range strings.SplitSeq(x, "=") {
					for w := range strings.SplitSeq(y, "=") {
						// A missing pkgrel equals any, so it stands for itself only.
						if ecosystem == Arch && i != j && (v == "1.0" || w == "1.0") {
							continue
						}
						if got, err := scheme.Compare(v, w); err != nil || sign(got) != sign(i-j) {
							t.Errorf("%s: %q and %q: %d, %v, want %d", ecosystem, v, w, got, err, sign(i-j))
						}
					}
				}
			}
		}
	}
}

func TestRefuses(t *testing.T) {
	for _, test := range []struct{ ecosystem, version string }{
		{"npm", ""}, {"npm", "latest"}, {"PyPI", "unknown"}, {"Debian", "x:1.0"}, {"Alpine", "1.0-beta"}, {"Alpine", "v1.0"}, {"CRAN", "1.0a"},
		{"Hackage", "1..0"}, {"RubyGems", "1..0"}, {"Maven", "SNAPSHOT"}, {Arch, "git"}, {"npm", strings.Repeat("1", Max+1)},
	} {
		scheme, err := SchemeOf(test.ecosystem)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := scheme.Compare(test.version, "1.0"); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %.20q: %v", test.ecosystem, test.version, err)
		}
	}
	if _, err := SchemeOf("Atlantis"); !errors.Is(err, ErrUnordered) {
		t.Errorf("an ecosystem that nobody knows: %v", err)
	}
}

// TestPacmanPairs holds the order against pairs taken from pacman.
func TestPacmanPairs(t *testing.T) {
	f, err := os.Open(filepath.Join(realdata.Dir(t), "arch", "vercmp.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for lines := bufio.NewScanner(f); lines.Scan(); n++ {
		var pair struct {
			A, B string
			Want int
		}
		if err := json.Unmarshal(lines.Bytes(), &pair); err != nil {
			t.Fatal(err)
		}
		if got := comparePacman(pair.A, pair.B); got != pair.Want {
			t.Errorf("%q %q: %d, want %d", pair.A, pair.B, got, pair.Want)
		}
	}
	if n < 20 {
		t.Errorf("%d pairs read", n)
	}
}

func ecosystems() []string {
	var names []string
	for name := range schemes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// FuzzCompare: whatever is accepted is ordered without a panic, opposite when
// swapped, and as its keys are.
func FuzzCompare(f *testing.F) {
	names := ecosystems()
	for i, name := range names {
		for _, v := range pools[name] {
			f.Add(v, "1.0.0", uint8(i))
		}
		f.Add("1:1.0~rc1-2+b1", "1\x00.0-\xff", uint8(i))
	}
	f.Fuzz(func(t *testing.T, a, b string, which uint8) {
		name := names[int(which)%len(names)]
		scheme := schemes[name]
		if scheme.Valid(a) != nil || scheme.Valid(b) != nil {
			return
		}
		c := scheme.Order(a, b)
		if scheme.Order(a, a) != 0 || sign(c) != -sign(scheme.Order(b, a)) {
			t.Errorf("%s: %q and %q: %d, and %d when swapped", name, a, b, c, scheme.Order(b, a))
		}
		if keysDiffer(scheme, a, b, c) {
			t.Errorf("%s: keys of %q and %q do not order as they do (%d)", name, a, b, c)
		}
	})
}

// keysDiffer tells whether two versions have keys that order otherwise.
func keysDiffer(s *Scheme, a, b string, order int) bool {
	x, okX := s.Key(nil, a)
	y, okY := s.Key(nil, b)
	return okX && okY && bytes.Compare(x, y) != sign(order)
}

// BenchmarkCompare stands beside osv-scalibr's comparator on the same pairs.
func BenchmarkCompare(b *testing.B) {
	for _, name := range []string{"npm", "PyPI", "RubyGems", "Maven", "NuGet", "Packagist", "Debian", "AlmaLinux", "Alpine"} {
		scheme, pool := schemes[name], pools[name]
		b.Run(name+"/assize", func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				scheme.Order(pool[i%len(pool)], pool[(i*7+3)%len(pool)])
			}
		})
		if key, ok := scheme.Key(nil, "1"); ok {
			b.Run(name+"/key", func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					key, _ = scheme.Key(key[:0], pool[i%len(pool)])
				}
			})
		}
		b.Run(name+"/scalibr", func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				v, err := semantic.Parse(pool[i%len(pool)], name)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := v.CompareStr(pool[(i*7+3)%len(pool)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
