package tree

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// stored is a log's files.
type stored map[string][]byte

func (s stored) put(objects []Object) {
	for _, o := range objects {
		s[o.Path] = o.Content
	}
}

func (s stored) fetch(_ context.Context, path string, limit int64) ([]byte, error) {
	b, ok := s[path]
	if !ok {
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: %d bytes", path, len(b))
	}
	return b, nil
}

func entry(i int) []byte { return fmt.Appendf(nil, "entry %d%s", i, bytes.Repeat([]byte("x"), i%7)) }

// grown is a tree of n entries, its files, and all hashes as tlog stores them.
func grown(t testing.TB, n int) (*Tree, stored, tlog.HashReaderFunc) {
	t.Helper()
	tree, files := new(Tree), stored{}
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(at []int64) (out []tlog.Hash, err error) {
		for _, i := range at {
			out = append(out, hashes[i])
		}
		return out, nil
	})
	for i := range n {
		if err := tree.Add(entry(i)); err != nil {
			t.Fatal(err)
		}
		more, err := tlog.StoredHashes(int64(i), entry(i), reader)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, more...)
		files.put(tree.Full())
	}
	files.put(tree.Partial())
	return tree, files, reader
}

func sizes() []int {
	all := []int{0, 1, 2, 3, 255, 256, 257, 511, 512, 513, 65535, 65536, 65537, 70000}
	for range 20 {
		all = append(all, rand.IntN(3000))
	}
	return all
}

// The tree is the one of RFC 6962 as x/mod computes it, its tiles are what x/mod
// would store, and what is loaded goes on like what was grown.
func TestAgainstTlog(t *testing.T) {
	for _, n := range sizes() {
		tree, files, reader := grown(t, n)
		want, err := tlog.TreeHash(int64(n), reader)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 && tree.Root() != want {
			t.Fatalf("%d entries: root %v, want %v", n, tree.Root(), want)
		}
		for _, tile := range tlog.NewTiles(height, 0, int64(n)) {
			if tile.W == Width {
				tile.W = Width
			}
			want, err := tlog.ReadTileData(tile, reader)
			if err != nil {
				t.Fatal(err)
			}
			path := tilePath(tile.L, uint64(tile.N), tile.W%Width)
			if !bytes.Equal(files[path], want) {
				t.Fatalf("%d entries: %s is not what tlog makes", n, path)
			}
		}
		again, err := Load(t.Context(), files.fetch, uint64(n))
		if err != nil {
			t.Fatalf("%d entries: %v", n, err)
		}
		for i := range 300 {
			for _, x := range []*Tree{tree, again} {
				if err := x.Add(entry(n + i)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if again.Root() != tree.Root() || fmt.Sprint(again.Full(), again.Partial()) != fmt.Sprint(tree.Full(), tree.Partial()) {
			t.Errorf("%d entries: what was loaded grows otherwise", n)
		}
	}
}

func TestEntriesAndProofs(t *testing.T) {
	const n = 1000
	tree, files, _ := grown(t, n)
	i := 0
	for e, err := range Entries(t.Context(), files.fetch, n) {
		if err != nil || !bytes.Equal(e, entry(i)) {
			t.Fatalf("entry %d: %q, %v", i, e, err)
		}
		i++
	}
	if i != n {
		t.Errorf("%d entries", i)
	}
	hashes := Hashes(t.Context(), files.fetch, n, tree.Root())
	for _, at := range []int64{0, 1, 255, 256, 700, n - 1} {
		p, err := tlog.ProveRecord(n, at, hashes)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckRecord(p, n, tree.Root(), at, tlog.RecordHash(entry(int(at)))); err != nil {
			t.Error(err)
		}
	}
	files["tile/0/001"][5] ^= 1
	if _, err := tlog.ProveRecord(n, 300, Hashes(t.Context(), files.fetch, n, tree.Root())); err == nil {
		t.Error("a changed tile proves something")
	}
}

func TestNumber(t *testing.T) {
	for want, path := range map[string]string{
		"tile/0/000":                tilePath(0, 0, 0),
		"tile/3/067.p/1":            tilePath(3, 67, 1),
		"tile/0/x001/x234/067.p/1":  tilePath(0, 1234067, 1),
		"tile/entries/x001/000":     bundlePath(1000, 0),
		"tile/entries/999.p/255":    bundlePath(999, 255),
		"tile/0/x001/x000/000.p/12": tilePath(0, 1000000, 12),
	} {
		if path != want {
			t.Errorf("%s, want %s", path, want)
		}
	}
}

func TestTooLarge(t *testing.T) {
	if err := new(Tree).Add(make([]byte, MaxEntry+1)); err == nil {
		t.Error("an entry that no bundle can hold was taken")
	}
}

// FuzzBundle: what is read is what the bytes say, or an error; never more than
// there is.
func FuzzBundle(f *testing.F) {
	f.Add([]byte("\x00\x01a\x00\x02bc"), 2)
	f.Add([]byte("\xff\xffa"), 1)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if n < 1 || n > Width {
			return
		}
		entries, err := Bundle(t.Context(), stored{bundlePath(0, n%Width): b}.fetch, 0, n)
		if err != nil {
			return
		}
		tree := new(Tree)
		for _, e := range entries {
			if err := tree.Add(e); err != nil {
				t.Fatal(err)
			}
		}
		if len(entries) != n || !bytes.HasPrefix(b, tree.bundle) {
			t.Errorf("%d entries that are not those of the bundle", len(entries))
		}
	})
}

// BenchmarkAdd grows a tree, and has tlog hash the same entries, in turns.
func BenchmarkAdd(b *testing.B) {
	line := bytes.Repeat([]byte("x"), 500)
	b.Run("ours", func(b *testing.B) {
		tree := new(Tree)
		for b.Loop() {
			if err := tree.Add(line); err != nil {
				b.Fatal(err)
			}
			if tree.Size()%1024 == 0 {
				tree.Full()
			}
		}
	})
	b.Run("tlog", func(b *testing.B) {
		var hashes []tlog.Hash
		reader := tlog.HashReaderFunc(func(at []int64) (out []tlog.Hash, err error) {
			for _, i := range at {
				out = append(out, hashes[i])
			}
			return out, nil
		})
		n := int64(0)
		for b.Loop() {
			more, err := tlog.StoredHashes(n, line, reader)
			if err != nil {
				b.Fatal(err)
			}
			hashes = append(hashes, more...)
			n++
		}
	})
}
