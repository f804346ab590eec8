package blob_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"assize.dev/shared/blob"
)

// Whichever way damaged bytes are read, nobody gets all of them.
func TestDamageIsNoticed(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("content ", 10_000)
	for name, change := range map[string]func([]byte) []byte{
		"last bit flipped": flipLast,
		"first bit flipped": func(b []byte) []byte {
			b[0] ^= 1
			return b
		},
		"truncated": func(b []byte) []byte { return b[:len(b)-1] },
		"extended":  func(b []byte) []byte { return append(b, 0) },
		"emptied":   func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			store, folder := openDir(t)
			blobKey, documentKey, d := key(content)
			for _, k := range []string{blobKey, documentKey} {
				create(t, store, k, content)
				damage(t, folder, k, change)
				for way, read := range map[string]func(blob.Object) error{
					"to the end":   func(r blob.Object) error { _, err := io.Copy(io.Discard, r); return err },
					"byte by byte": func(r blob.Object) error { _, err := io.Copy(io.Discard, iotest.OneByteReader(r)); return err },
					"known length": func(r blob.Object) error { _, err := io.ReadFull(r, make([]byte, max(r.Size(), 1))); return err },
				} {
					object, err := store.Open(t.Context(), k)
					if err != nil {
						t.Fatal(err)
					}
					if err := read(object); !errors.Is(err, blob.ErrCorrupt) {
						t.Errorf("%s, %s: %v, want ErrCorrupt", k, way, err)
					}
					if _, err := object.Read(make([]byte, 1)); !errors.Is(err, blob.ErrCorrupt) {
						t.Errorf("%s, %s, again: %v, want ErrCorrupt", k, way, err)
					}
					object.Close()
				}
				if _, err := blob.Fetch(t.Context(), store, k, d); !errors.Is(err, blob.ErrCorrupt) || !strings.Contains(err.Error(), k) {
					t.Errorf("Fetch: %v, want ErrCorrupt that names the key", err)
				}
			}
			if _, err := blob.GetDocument(t.Context(), store, d, 1<<20); !errors.Is(err, blob.ErrCorrupt) {
				t.Errorf("GetDocument: %v, want ErrCorrupt", err)
			}
		})
	}
}

func TestFetchChecksKeysThatNameNoDigest(t *testing.T) {
	store, _ := openDir(t)
	create(t, store, "verdicts/x", "content")
	_, _, right := key("content")
	_, _, wrong := key("other")
	file, err := blob.Fetch(t.Context(), store, "verdicts/x", right)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p := make([]byte, 3)
	if _, err := file.ReadAt(p, 4); err != nil || string(p) != "ent" || file.Size() != 7 {
		t.Errorf("ReadAt gives %q, %v of %d bytes", p, err, file.Size())
	}
	if got, err := io.ReadAll(file); err != nil || string(got) != "content" {
		t.Errorf("Read gives %q, %v", got, err)
	}
	_, err = blob.Fetch(t.Context(), store, "verdicts/x", wrong)
	for _, part := range []string{"verdicts/x", right.String(), wrong.String()} {
		if !errors.Is(err, blob.ErrCorrupt) || !strings.Contains(err.Error(), part) {
			t.Errorf("Fetch of another digest: %v, want ErrCorrupt with %s", err, part)
		}
	}
	if _, err := blob.Fetch(t.Context(), store, "verdicts/y", right); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Fetch of nothing: %v", err)
	}
}
