package keys

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/mldsa"

	"assize.dev/services/sign/internal/dsse"
)

func newMLDSA(t testing.TB, p mldsa.Parameters) *mldsa.PrivateKey {
	t.Helper()
	key, err := mldsa.GenerateKey(p)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestMLDSAFiles has the example of RFC 9881, appendix C.1, for ML-DSA-65: the
// seed 00 01 … 1f. Of its public key there is the SHA-256.
func TestMLDSAFiles(t *testing.T) {
	seed := make([]byte, mldsa.PrivateKeySize)
	for i := range seed {
		seed[i] = byte(i)
	}
	key, err := mldsa.NewPrivateKey(mldsa.MLDSA65(), seed)
	if err != nil {
		t.Fatal(err)
	}
	k, err := FromSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	private, publicPath := filepath.Join(dir, "pq.key"), filepath.Join(dir, "pq.pub")
	if err := k.WriteFiles(private, publicPath, "Quantum"); err != nil {
		t.Fatal(err)
	}
	der := func(path string) []byte {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(data)
		return block.Bytes
	}
	if got, want := hex.EncodeToString(der(private)), "3034020100300b060960864801650304031204228020"+hex.EncodeToString(seed); got != want {
		t.Errorf("PKCS#8 is\n%s, want\n%s", got, want)
	}
	if sum := sha256.Sum256(der(publicPath)); hex.EncodeToString(sum[:]) != "b8b62131bfbe84433efb2273d7f5b87f7a22854a2cfd366fc2aead86d837c52d" {
		t.Errorf("SPKI is %x", der(publicPath))
	}

	read, err := ReadPrivateKey(private)
	if err != nil || read.KeyID() != k.KeyID() || !strings.HasPrefix(k.KeyID(), "MLDSA65:") {
		t.Errorf("private key %v, %v", read, err)
	}
	keys, err := LoadPublicKeys(dir)
	if err != nil || len(keys) != 1 || keys[0].Name != "Quantum" || keys[0].KeyID() != k.KeyID() || !keys[0].Key.(*mldsa.PublicKey).Equal(k.Public()) {
		t.Fatalf("public key %+v, %v", keys, err)
	}
	if want := sha256.Sum256(der(publicPath)); keys[0].Fingerprint() != hex.EncodeToString(want[:]) {
		t.Errorf("fingerprint %s", keys[0].Fingerprint())
	}
	sig := signed(t, read)
	if !bytes.Equal(sig, signed(t, k)) {
		t.Error("the same message has two signatures")
	}
	if !dsse.Holds(keys[0].Key, []byte("m"), sig) || dsse.Holds(keys[0].Key, []byte("n"), sig) {
		t.Error("the signature does not hold")
	}
}

func TestGenerateMLDSA(t *testing.T) {
	a, errA := GenerateMLDSA()
	b, errB := GenerateMLDSA()
	if errA != nil || errB != nil || a.KeyID() == b.KeyID() {
		t.Errorf("%v, %v, %v, %v", a, errA, b, errB)
	}
}

// TestMLDSASPKI changes the parts that are not the key.
func TestMLDSASPKI(t *testing.T) {
	good := mldsaSPKI(t, mldsa.MLDSA65())
	if _, err := ParsePublicKey(good); err != nil {
		t.Fatal(err)
	}
	const keyAt = 22 // after the algorithm and the number of unused bits
	for i := range keyAt {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			if k, err := ParsePublicKey(bad); err == nil {
				t.Errorf("byte %d, bit %d: %+v", i, bit, k.KeyID())
			}
		}
	}
	for _, n := range []int{0, 1, keyAt, len(good) - 1} {
		if k, err := ParsePublicKey(good[:n]); err == nil {
			t.Errorf("%d bytes: %+v", n, k)
		}
	}
	withNull := append([]byte{0x30, 0x82, 0x07, 0xb4, 0x30, 0x0d}, good[6:17]...)
	withNull = append(append(withNull, 5, 0), good[17:]...)
	if k, err := ParsePublicKey(withNull); err == nil { // RFC 9881 forbids parameters
		t.Errorf("with parameters: %+v", k)
	}
}
