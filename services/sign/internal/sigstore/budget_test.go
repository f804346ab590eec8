package sigstore_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"io"
	"testing"

	"assize.dev/services/sign/internal/signature"
	"assize.dev/services/sign/internal/sigstore"
)

// TestReadsWithinBudget has bundles that name one key, each with a signature
// of its own that could be over all bytes, for several publishers.
func TestReadsWithinBudget(t *testing.T) {
	sum := sha256.Sum256(artifact)
	b := keyID(t, edKey("b").Public())
	pure := ed25519.Sign(edKey("b"), artifact)
	good := blobBundle(t, b, "SHA2_256", sum[:], pure)
	var files [20][]byte
	const lines = 32 // as many as a file may have
	for i := range lines * len(files) {
		bad := bytes.Clone(pure)
		bad[33], bad[34] = bad[33]^byte(1+i), bad[34]^byte(1+i>>8)
		files[i/lines] = append(append(files[i/lines], blobBundle(t, b, "SHA2_256", sum[:], bad)...), '\n')
	}
	r := &counted{ReaderAt: bytes.NewReader(artifact)}
	c := signature.NewContent(t.Context(), r, int64(len(artifact)))
	judge := func(data []byte) []sigstore.Attestation {
		t.Helper()
		all, err := sigstore.Verify(c, data, keyAnchors(t), now)
		if err != nil {
			t.Fatal(err)
		}
		checkPromises(t, all)
		return all
	}
	for range 3 { // publishers
		wants(t, judge(good)[0], "valid")
	}
	for range 3 {
		var all []sigstore.Attestation
		for _, data := range files {
			all = append(all, judge(data)...)
		}
		if len(all) != lines*len(files) {
			t.Fatalf("%d results", len(all))
		}
		for i, r := range all {
			want := "invalid: does not hold by the key that it names"
			if i >= 31 {
				want = "invalid: more signatures than may be checked need the whole artifact read"
			}
			if wants(t, r, want); r.Signer != b {
				t.Fatalf("signer %q", r.Signer)
			}
		}
	}
	// SHA-256 and SHA-512, 1 good signature, 31 of the others.
	if want := int64(34 * len(artifact)); r.n != want {
		t.Errorf("read %d bytes of an artifact of %d, want %d", r.n, len(artifact), want)
	}
	wants(t, judge(good)[0], "valid") // as it is known
	sum512 := sha512.Sum512(artifact)
	ph, err := edKey("b").Sign(nil, sum512[:], crypto.SHA512)
	if err != nil {
		t.Fatal(err)
	}
	wants(t, judge(blobBundle(t, b, "SHA2_256", sum[:], ph))[0], "valid")
}

// counted counts the bytes that are read.
type counted struct {
	io.ReaderAt
	n int64
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.n += int64(n)
	return n, err
}
