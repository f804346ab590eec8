package blob_test

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"assize.dev/shared/blob"
	"assize.dev/shared/digest"
)

func TestSpool(t *testing.T) {
	broken := errors.New("broken")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx   context.Context
		body  io.Reader
		limit int64
		want  string
		err   error
	}{
		"below the limit": {t.Context(), strings.NewReader("content"), 100, "content", nil},
		"at the limit":    {t.Context(), strings.NewReader("content"), 7, "content", nil},
		"above the limit": {t.Context(), strings.NewReader("content"), 6, "", blob.ErrTooLarge},
		"no limit":        {t.Context(), strings.NewReader("content"), math.MaxInt64, "content", nil},
		"empty":           {t.Context(), strings.NewReader(""), 0, "", nil},
		"limit of zero":   {t.Context(), strings.NewReader("c"), 0, "", blob.ErrTooLarge},
		"broken":          {t.Context(), io.MultiReader(strings.NewReader("con"), iotest.ErrReader(broken)), 100, "", broken},
		"cancelled":       {cancelled, strings.NewReader("content"), 100, "", context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			s, err := blob.Spool(c.ctx, folder, c.body, c.limit)
			if !errors.Is(err, c.err) {
				t.Fatalf("got %v, want %v", err, c.err)
			}
			if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
				t.Errorf("a crash would leave %v, %v", left, err)
			}
			if err != nil {
				return
			}
			defer s.Close()
			sum := sha512.Sum512([]byte(c.want))
			if s.Digest != digest.Of([]byte(c.want)) || s.SHA512 != hex.EncodeToString(sum[:]) || s.Size() != int64(len(c.want)) {
				t.Errorf("got %s, %s, %d bytes", s.Digest, s.SHA512, s.Size())
			}
			if got, err := io.ReadAll(s); err != nil || string(got) != c.want {
				t.Errorf("Read gives %q, %v", got, err)
			}
		})
	}
}

func TestPutBlobComparesSizes(t *testing.T) {
	store, folder := openDir(t)
	spooled, err := blob.Spool(t.Context(), "", strings.NewReader("content"), 100)
	if err != nil {
		t.Fatal(err)
	}
	defer spooled.Close()
	if created, err := blob.PutBlob(t.Context(), store, spooled); !created || err != nil {
		t.Fatalf("PutBlob is %t, %v", created, err)
	}
	damage(t, folder, blob.BlobKey(spooled.Digest), func(b []byte) []byte { return b[1:] })
	if _, err := blob.PutBlob(t.Context(), store, spooled); !errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("PutBlob over a damaged object: %v, want ErrCorrupt", err)
	}
}

func TestKeys(t *testing.T) {
	d := digest.Of([]byte("content"))
	for got, want := range map[string]string{
		blob.BlobKey(d):     "blobs/sha256/" + d.Hex(),
		blob.DocumentKey(d): "documents/sha256/" + d.Hex(),
		blob.VerdictKey(d, "0190-run", "dsse.json"): "verdicts/sha256/" + d.Hex() + "/0190-run.dsse.json",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if err := blob.CheckKey(got); err != nil {
			t.Error(err)
		}
	}
	if err := blob.CheckKey(blob.VerdictKey("", "run", "name")); !errors.Is(err, blob.ErrKey) {
		t.Errorf("the key of no digest: %v, want ErrKey", err)
	}
	if err := blob.CheckKey(blob.VerdictKey(d, "../..", "name")); !errors.Is(err, blob.ErrKey) {
		t.Errorf("a run that climbs: %v, want ErrKey", err)
	}
}

// Whatever CheckKey accepts, a Dir stores inside its directory and lists.
func FuzzDirKey(f *testing.F) {
	for _, seed := range []string{"a", "a/b", "../a", "a/../../b", "/etc/passwd", "a//b", "tmp/a", "a/.", "...", "@/=", "\x00", "-", "a\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, key string) {
		folder := t.TempDir()
		store, err := blob.OpenDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		err = store.Create(t.Context(), key, bytes.NewReader([]byte("x")), 1)
		if (err == nil) != (blob.CheckKey(key) == nil) {
			t.Fatalf("CheckKey says %v, Create says %v", blob.CheckKey(key), err)
		}
		count := 0
		for info, err := range store.List(t.Context(), "", "") {
			if err != nil || info.Key != key {
				t.Fatalf("listed as %+v, %v", info, err)
			}
			count++
		}
		if (count == 1) != (err == nil) {
			t.Fatalf("%d objects after %v", count, err)
		}
	})
}
