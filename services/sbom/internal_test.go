package sbom

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"assize.dev/shared/archive"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
	"assize.dev/shared/identify"
	. "assize.dev/shared/identify/identifytest"
)

// faulty is an extractor that panics.
type faulty struct{}

func (faulty) name() string        { return "faulty" }
func (faulty) wants(e *entry) bool { return e.Path == "trap" }
func (faulty) extract(*entry, *source) ([]identify.Package, error) {
	panic("on purpose")
}

// failing is an artifact whose storage breaks off.
type failing struct {
	*bytes.Reader
	after int64
}

var errDisk = errors.New("disk is gone")

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.after {
		return 0, errDisk
	}
	return f.Reader.ReadAt(p, off)
}

func newCataloguer(limits archive.Limits) *cataloguer {
	return &cataloguer{limits: limits, extractors: extractors(), jars: jars{}, seen: newCollection(identify.Identity{})}
}

func TestPanicCostsOneFile(t *testing.T) {
	data := Tar(File{"trap", "x"}, File{"node_modules/q/package.json", `{"name":"q","version":"1.0.0"}`})
	c := newCataloguer(archive.Limits{})
	c.extractors = append([]extractor{faulty{}}, c.extractors...)
	if err := c.bytes(t.Context(), bytes.NewReader(data), int64(len(data)), "x.tar"); err != nil {
		t.Fatal(err)
	}
	if got := c.seen.components(); len(got) != 1 {
		t.Errorf("components %v", got)
	}
	if !strings.Contains(c.result.Reason(), "trap: damaged: faulty: panicked: on purpose") {
		t.Errorf("reason %q", c.result.Reason())
	}
}

// TestStorageFailureIsNoAnswer: trouble in reading the artifact is not damage
// of the artifact, wherever it strikes.
func TestStorageFailureIsNoAnswer(t *testing.T) {
	data := Tar(File{"node_modules/q/package.json", `{"name":"q","version":"1.0.0","x":"` + strings.Repeat("y", 4000) + `"}`}, File{"b", "c"})
	for after := int64(0); after < int64(len(data)); after += 512 {
		r := failing{bytes.NewReader(data), after}
		_, err := Catalogue(t.Context(), r, int64(len(data)), "x.tar", identify.Identity{Format: "tar"}, archive.Limits{})
		if err == nil || !errors.Is(err, errDisk) {
			t.Fatalf("failing after %d bytes: error %v, want %v", after, err, errDisk)
		}
	}
}

func TestComponentLimit(t *testing.T) {
	c := newCollection(identify.Identity{})
	for i := range maxComponents + 2 {
		c.add(&entry{Path: "x"}, identify.Package{Type: "npm", Name: fmt.Sprint("p", i), Version: "1"})
	}
	if len(c.all) != maxComponents || c.omitted != 2 {
		t.Errorf("%d components, %d omitted", len(c.all), c.omitted)
	}
}

func TestLicenses(t *testing.T) {
	tests := []struct {
		declared []string
		want     string
	}{
		{nil, ""},
		{[]string{"MIT"}, "id=MIT"},
		{[]string{"MIT OR (Apache-2.0 AND BSD-3-Clause)"}, "expression=MIT OR (Apache-2.0 AND BSD-3-Clause)"},
		{[]string{"GPL-2.0-only WITH Classpath-exception-2.0"}, "expression=GPL-2.0-only WITH Classpath-exception-2.0"},
		{[]string{"MIT/Apache-2.0"}, "expression=MIT OR Apache-2.0"},
		{[]string{"MIT OR"}, "name=MIT OR"},
		{[]string{"MIT MIT"}, "name=MIT MIT"},
		{[]string{"(MIT"}, "name=(MIT"},
		{[]string{"MIT", "MIT OR ISC", "custom"}, "id=MIT|name=MIT OR ISC|name=custom"},
	}
	for _, tt := range tests {
		var got []string
		if choices := licenses(tt.declared, ""); choices != nil {
			for _, c := range *choices {
				switch {
				case c.Expression != "":
					got = append(got, "expression="+c.Expression)
				case c.License.ID != "":
					got = append(got, "id="+c.License.ID)
				default:
					got = append(got, "name="+c.License.Name)
				}
			}
		}
		if s := strings.Join(got, "|"); s != tt.want {
			t.Errorf("%q: %q, want %q", tt.declared, s, tt.want)
		}
	}
}

func FuzzAudit(f *testing.F) {
	f.Add([]byte("x\x9c"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = parseAudit(data)
		_, _ = auditSection(bytes.NewReader(data), archive.ELF)
		_, _ = auditSection(bytes.NewReader(data), archive.PE)
		_, _ = auditSection(bytes.NewReader(data), archive.MachO)
	})
}

func FuzzCatalogue(f *testing.F) {
	q := File{"node_modules/q/package.json", `{"name":"q","version":"1.0.0"}`}
	for _, seed := range [][]byte{Tar(q), Zip(q), TarGz(q), Deb("Package: a\nVersion: 1\n", q), PSPF("", `{"slots":[{}]}`, Tar(q))} {
		f.Add(seed)
	}
	limits := archive.Limits{Inflated: 1 << 20, Entries: 1000}
	f.Fuzz(func(t *testing.T, data []byte) {
		id, err := identify.Identify(t.Context(), bytes.NewReader(data), int64(len(data)), "x")
		if err != nil {
			t.Fatal(err)
		}
		result, err := Catalogue(t.Context(), bytes.NewReader(data), int64(len(data)), "x", id, limits)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range Formats {
			one, err := result.Document(f, Subject{})
			if err != nil {
				t.Fatal(err)
			}
			if two, _ := result.Document(f, Subject{}); !slices.Equal(one, two) {
				t.Errorf("%s is not reproducible", f)
			}
		}
	})
}

func FuzzAttested(f *testing.F) {
	f.Add([]byte(`{"payload":"e30="}{"dsseEnvelope":{"payload":"e30="}}`))
	f.Add([]byte(`{"attestations":[{"bundle":{"dsseEnvelope":{"payload":"e30="}}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, b := range attested([]event.Attached{{Name: "a", Data: data}}, digest.Of(nil)) {
			if !json.Valid(b.Document) {
				t.Errorf("a document that is no JSON: %q", b.Document)
			}
		}
	})
}
