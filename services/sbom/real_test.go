package sbom_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"assize.dev/services/sbom"
	"assize.dev/shared/archive"
	"assize.dev/shared/identify"
	"assize.dev/shared/identify/identifytest"
)

// catalogueFile looks at a file of the real test data.
func catalogueFile(t *testing.T, name string) *sbom.Result {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	id, err := identify.Identify(t.Context(), f, info.Size(), filepath.Base(name))
	if err != nil {
		t.Fatal(err)
	}
	result, err := sbom.Catalogue(t.Context(), f, info.Size(), filepath.Base(name), id, archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	checkResult(t, result)
	return result
}

func plain(purl string) string {
	purl, _, _ = strings.Cut(purl, "?")
	return strings.NewReplacer("%2B", "+", "%3A", ":").Replace(purl)
}

// TestRealPackages compares with the truth beside the test data: nothing
// missing, nothing else.
func TestRealPackages(t *testing.T) {
	dir := filepath.Join(identifytest.Data(t), "packages")
	raw, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var truth map[string]struct {
		Self      string
		Contained []string
	}
	if err := json.Unmarshal(raw, &truth); err != nil {
		t.Fatal(err)
	}
	for name, want := range truth {
		t.Run(name, func(t *testing.T) {
			result := catalogueFile(t, filepath.Join(dir, name))
			if !result.Complete() {
				t.Errorf("not complete: %s", result.Reason())
			}
			if got := plain(result.Identity.PURL); got != plain(want.Self) {
				t.Errorf("self %q, want %q", got, want.Self)
			}
			var got []string
			for _, c := range result.Components {
				got = append(got, plain(c.PURL))
			}
			for _, w := range want.Contained {
				if !slices.Contains(got, plain(w)) {
					t.Errorf("missed %s", w)
				}
			}
			for _, g := range got {
				if !slices.ContainsFunc(want.Contained, func(w string) bool { return plain(w) == g }) {
					t.Errorf("not in the truth: %s", g)
				}
			}
		})
	}
}

func TestRealPSPF(t *testing.T) {
	root := filepath.Join(identifytest.Data(t), "pspf")
	for _, tt := range []struct {
		pattern  string
		complete bool
	}{{"valid/*.psp", true}, {"corrupt/attack-metasize-huge.psp", false}, {"corrupt/trunc-half.psp", true}, {"corrupt/meta-body.psp", false}} {
		files, err := filepath.Glob(filepath.Join(root, tt.pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", tt.pattern, files, err)
		}
		for _, name := range files {
			if result := catalogueFile(t, name); result.Complete() != tt.complete {
				t.Errorf("%s: complete %v (%s), want %v", filepath.Base(name), result.Complete(), result.Reason(), tt.complete)
			}
		}
	}
}

// TestHostile ends with a clear answer.
func TestHostile(t *testing.T) {
	if testing.Short() {
		t.Skip("archive bombs take seconds of CPU, more with the race detector; run without -short")
	}
	files, err := filepath.Glob(filepath.Join(identifytest.Data(t), "hostile", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	evil, _ := filepath.Glob(filepath.Join(identifytest.Data(t), "pspf", "evil", "*"))
	for _, name := range append(files, evil...) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			result := catalogueFile(t, name)
			t.Logf("complete %v, %d components: %s", result.Complete(), len(result.Components), result.Reason())
			harmless := strings.HasPrefix(filepath.Base(name), "traversal") || filepath.Base(name) == "dotdot.psp"
			if result.Complete() != harmless {
				t.Errorf("complete %v, want %v", result.Complete(), harmless)
			}
		})
	}
}
