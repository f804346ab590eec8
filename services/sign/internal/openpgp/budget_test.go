package openpgp

import (
	"bytes"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"assize.dev/services/sign/internal/signature"
)

// TestBudget: each salted signature has to hash all bytes for itself.
func TestBudget(t *testing.T) {
	config := &packet.Config{V6Keys: true, Algorithm: packet.PubKeyAlgoEd25519, Time: func() time.Time { return at(500) }}
	key, err := openpgp.NewEntity("Name", "", "a@example.org", config)
	if err != nil {
		t.Fatal(err)
	}
	old := edKey("signer", day0)
	ring := parse(t, public(t, key), cert{key: old}.packets())
	salted := func(n int) []byte {
		var file bytes.Buffer
		for range n {
			if err := openpgp.DetachSign(&file, []*openpgp.Entity{key}, bytes.NewReader(artifact), config); err != nil {
				t.Fatal(err)
			}
		}
		return file.Bytes()
	}
	counted := &countingReaderAt{r: bytes.NewReader(artifact)}
	c := signature.NewContent(t.Context(), counted, int64(len(artifact)))
	judge := func(file []byte, n int, want string) {
		t.Helper()
		results, err := VerifyDetached(c, file, ring, received)
		if err != nil || len(results) != n {
			t.Fatalf("%d results, error %v", len(results), err)
		}
		for _, r := range results {
			check(t, r, want)
		}
	}
	judge(salted(16), 16, "valid")
	judge(salted(8), 8, "valid")
	judge(salted(9), 9, signature.ErrBudget.Error()) // of 8 that are left
	// Any number of signatures without salt is one pass.
	judge(bytes.Repeat(old.sign(forged{created: at(500)}, artifact), 16), 16, "valid")
	if counted.n != 3*c.Size() {
		t.Errorf("read %d bytes of an artifact of %d", counted.n, c.Size())
	}
	if err := c.Spend(7); err != nil {
		t.Error(err)
	}
	judge(old.sign(forged{created: at(500)}, artifact), 1, signature.ErrBudget.Error())
	inline, err := VerifyInline(c, ring, received)
	if err != nil || len(inline) != 1 {
		t.Fatalf("%+v, error %v", inline, err)
	}
	check(t, inline[0], signature.ErrBudget.Error())
	// Nobody's signature needs no pass.
	judge(edKey("other", day0).sign(forged{created: at(500)}, artifact), 1, "stranger")
}
