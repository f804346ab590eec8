package inventory

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"assize.dev/shared/digest"
)

func open(t testing.TB, dir string) *Inventory {
	t.Helper()
	v, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

func row(name string) Row {
	return Row{Registry: "r", Filename: name, Digest: digest.Of([]byte(name)), Run: "run-of-" + name}
}

// with lists the artifacts that have a package, and by which components.
func with(t *testing.T, v *Inventory, ecosystem, name string) string {
	t.Helper()
	var found []string
	if err := v.With([][2]string{{ecosystem, name}}, func(c Candidate) error {
		found = append(found, fmt.Sprint(c.Row.Filename, c.Components))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return fmt.Sprint(found)
}

func TestWith(t *testing.T) {
	t.Run("recent", testWith)
	t.Run("packed", func(t *testing.T) {
		defer func(n uint64) { epochPairs = n }(epochPairs)
		epochPairs = 2
		testWith(t)
	})
}

func testWith(t *testing.T) {
	dir := t.TempDir()
	v := open(t, dir)
	err := v.Apply(Change{Meta: map[string]string{"position": "7"}, Rows: []Put{
		{row("one"), []string{"pkg:npm/lib@1.0.0", "pkg:npm/lib@2.0.0", "pkg:npm/libs@1.0.0", "no purl"}},
		{row("two"), []string{"pkg:npm/libs@1.0.0", "pkg:pypi/Some_Thing@1", "pkg:deb/debian/x@1-1"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, again := range []bool{false, true} {
		if again { // the same from the file
			if err := v.Close(); err != nil {
				t.Fatal(err)
			}
			v = open(t, dir)
		}
		for name, want := range map[string]string{
			"lib": "[one[pkg:npm/lib@1.0.0 pkg:npm/lib@2.0.0]]", "libs": "[one[pkg:npm/libs@1.0.0] two[pkg:npm/libs@1.0.0]]", "li": "[]", "": "[]",
		} {
			if got := with(t, v, "npm", name); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
		if got := with(t, v, "PyPI", "some-thing"); got != "[two[pkg:pypi/Some_Thing@1]]" {
			t.Errorf("names are not normalised: %s", got)
		}
		if got := with(t, v, "Debian", "x"); got != "[two[pkg:deb/debian/x@1-1]]" {
			t.Errorf("a package without its release is lost: %s", got)
		}
		if p, err := v.Meta("position"); err != nil || p != "7" {
			t.Errorf("position %q, %v", p, err)
		}
	}
}

// The same SBOM says nothing new; another may.
func TestOtherSBOM(t *testing.T) {
	v := open(t, t.TempDir())
	r := row("one")
	for _, put := range []struct{ sbom, component string }{{"first", "pkg:npm/a@1"}, {"first", "pkg:npm/b@1"}, {"second", "pkg:npm/c@1"}} {
		r.SBOM = digest.Of([]byte(put.sbom))
		if err := v.Apply(Change{Rows: []Put{{r, []string{put.component}}}}); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"a": "[one[pkg:npm/a@1]]", "b": "[]", "c": "[one[pkg:npm/c@1]]"} {
		if got := with(t, v, "npm", name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// A row is replaced by what is said of the same file and bytes, and a run that
// is under way counts until its verdict is there.
func TestRows(t *testing.T) {
	v := open(t, t.TempDir())
	put := func(r Row) {
		t.Helper()
		if err := v.Apply(Change{Rows: []Put{{Row: r}}}); err != nil {
			t.Fatal(err)
		}
	}
	state := func() string {
		t.Helper()
		n, errN := v.Len()
		p, errP := v.Pending()
		if err := errors.Join(errN, errP); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%d rows, %d pending", n, p)
	}
	one, other := row("one"), row("one")
	other.Digest = digest.Of([]byte("other bytes"))
	put(one)
	put(other)
	one.Pending = "again-1"
	put(one)
	if s := state(); s != "2 rows, 1 pending" {
		t.Error(s)
	}
	one.Pending = "again-2"
	put(one)
	if s := state(); s != "2 rows, 1 pending" {
		t.Error(s)
	}
	one.Run, one.Pending = "again-2", ""
	put(one)
	if s := state(); s != "2 rows, 0 pending" {
		t.Error(s)
	}
	if r, err := v.Row(&one); err != nil || r.Run != "again-2" {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := v.Row(&Row{Registry: "another", Filename: "one", Digest: one.Digest}); err != nil || r != nil {
		t.Errorf("a row of another registry: %+v, %v", r, err)
	}
}

func TestAll(t *testing.T) {
	v := open(t, t.TempDir())
	var puts []Put
	for i := range 2500 { // more than are read at a time
		puts = append(puts, Put{Row: row(fmt.Sprint(i))})
	}
	if err := v.Apply(Change{Rows: puts}); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	if err := v.All(func(r Row) error { seen[r.Filename] = true; return nil }); err != nil || len(seen) != len(puts) {
		t.Errorf("%d of %d rows, %v", len(seen), len(puts), err)
	}
	stop := errors.New("enough")
	if err := v.All(func(Row) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
}

// One process has the inventory.
func TestInUse(t *testing.T) {
	dir := t.TempDir()
	v := open(t, dir)
	if _, err := Open(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("%v", err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

// What another version wrote is not guessed at.
func TestFormat(t *testing.T) {
	dir := t.TempDir()
	v := open(t, dir)
	if err := v.Apply(Change{Meta: map[string]string{"format": "1"}}); err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); !errors.Is(err, ErrFormat) {
		t.Errorf("%v", err)
	}
}
