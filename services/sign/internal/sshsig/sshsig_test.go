package sshsig

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"assize.dev/services/sign/internal/signature"
)

const (
	me        = "me@example.test"
	namespace = "file"
)

var (
	message = []byte("an artifact\n")
	now     = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)
)

func content(message []byte) *signature.Content {
	return signature.NewContent(context.Background(), bytes.NewReader(message), int64(len(message)))
}

// list is a list of allowed signers with one line: what stands before the key,
// and the key.
func list(t testing.TB, before string, key ssh.PublicKey) *AllowedSigners {
	t.Helper()
	l, err := ParseAllowedSigners([]byte(before + " " + string(ssh.MarshalAuthorizedKey(key))))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func verify(t testing.TB, message, sig []byte, l *AllowedSigners, identity, namespace string) signature.Result {
	t.Helper()
	r, err := Verify(content(message), sig, l, identity, namespace, now)
	if err != nil {
		t.Fatal(err)
	}
	if r.Kind != "ssh" || r.Valid && (r.Stranger || r.Signer == "") || !r.Valid && r.Reason == "" || !r.Time.IsZero() || r.Valid == (r.Key == "") {
		t.Fatalf("contradicts itself: %+v", r)
	}
	return r
}

// signers are all that are accepted.
func signers() map[string]ssh.Signer {
	return map[string]ssh.Signer{
		"ed25519": ed25519Signer("a"), "p256": ecdsaSigner(elliptic.P256()), "p384": ecdsaSigner(elliptic.P384()),
		"p521": ecdsaSigner(elliptic.P521()), "rsa2048": rsaSigner(2048),
		"sk-ed25519": ed25519Token(userPresent), "sk-ecdsa": ecdsaToken(userPresent | userVerified),
	}
}

func TestEveryKind(t *testing.T) {
	for name, signer := range signers() {
		l := list(t, me, signer.PublicKey())
		for _, hash := range []string{"sha256", "sha512"} {
			sig := making{signer: signer, hash: hash}.armored()
			want := me + " " + ssh.FingerprintSHA256(signer.PublicKey())
			for _, identity := range []string{me, ""} {
				if r := verify(t, message, sig, l, identity, namespace); !r.Valid || r.Signer != want || r.Reason != "" || !slices.Equal(l.Keys(), []string{r.Key}) {
					t.Errorf("%s, %s: %+v", name, hash, r)
				}
			}
			if r := verify(t, []byte("another"), sig, l, me, namespace); r.Valid || r.Stranger || !strings.Contains(r.Reason, "does not hold") {
				t.Errorf("%s, %s, changed: %+v", name, hash, r)
			}
			if r := verify(t, message, sig, nil, me, namespace); r.Valid || !r.Stranger || r.Signer != ssh.FingerprintSHA256(signer.PublicKey()) {
				t.Errorf("%s, %s, nobody allowed: %+v", name, hash, r)
			}
		}
	}
	rsa256 := making{signer: rsaSigner(2048), format: ssh.KeyAlgoRSASHA256}.armored()
	if r := verify(t, message, rsa256, list(t, me, rsaSigner(2048).PublicKey()), me, namespace); !r.Valid {
		t.Errorf("rsa-sha2-256: %+v", r)
	}
}

func TestRefused(t *testing.T) {
	key := ed25519Signer("a")
	good := making{signer: key}.armored()
	p256 := ecdsaSigner(elliptic.P256())
	shortRest := func(s *ssh.Signature) { s.Rest = s.Rest[:4] }
	for _, c := range []struct {
		name, reason string
		sig          []byte
	}{
		{"empty", "no SSH signature", nil},
		{"space before", "no SSH signature", append([]byte("\n"), good...)},
		{"header only", "no SSH signature", []byte(header)},
		{"no line end after the header", "no SSH signature", bytes.Replace(good, []byte(header+"\n"), []byte(header), 1)},
		{"no footer", "cut short", []byte(header + "\n")},
		{"trailing text", "follows", append(good, "x\n"...)},
		{"two signatures", "follows", append(good, good...)},
		{"not base64", "illegal base64", []byte(header + "\n????\n" + footer)},
		{"empty blob", "malformed", armor(nil)},
		{"trailing bytes", "malformed", armor(append(making{signer: key}.blob(), 0))},
		{"too large", "at most", bytes.Repeat([]byte(" "), maxArmored+1)},
		{"preamble", "inside the armor", making{signer: key, preamble: "SSHSIX"}.armored()},
		{"version", "version 2", making{signer: key, version: 2}.armored()},
		{"reserved", "reserved", making{signer: key, reserved: "x"}.armored()},
		{"sha1", `hash "sha1"`, making{signer: key, hash: "sha1"}.armored()},
		{"empty namespace", "no namespace", armor(bytes.Replace(making{signer: key}.blob(), []byte("\x00\x00\x00\x04file"), make([]byte, 4), 1))},
		{"ssh-rsa", `format "ssh-rsa"`, making{signer: rsaSigner(2048), format: ssh.KeyAlgoRSA}.armored()},
		{"rsa1024", "1024 bits", making{signer: rsaSigner(1024)}.armored()},
		{"dsa", "malformed", armor(bytes.Replace(making{signer: key}.blob(), []byte("ssh-ed25519"), []byte("ssh-dss\x00\x00\x00\x00"), 1))},
		{"real dsa", "key is ssh-dss", armor(withKey(making{signer: key}.blob(), dsaKey()))},
		{"format of another key", "format", making{signer: key, edit: func(s *ssh.Signature) { s.Format = p256.PublicKey().Type() }}.armored()},
		{"webauthn", "format", making{signer: ecdsaToken(1), edit: func(s *ssh.Signature) { s.Format = "webauthn-sk-ecdsa-sha2-nistp256@openssh.com" }}.armored()},
		{"something after the signature", "want 0", making{signer: key, edit: func(s *ssh.Signature) { s.Rest = []byte{1} }}.armored()},
		{"flags cut", "want 5", making{signer: ed25519Token(userPresent), edit: shortRest}.armored()},
		{"no flags", "want 5", making{signer: ed25519Token(userPresent), edit: func(s *ssh.Signature) { s.Rest = nil }}.armored()},
		{"not touched", "touched", making{signer: ed25519Token(0)}.armored()},
		{"not touched, PIN", "touched", making{signer: ecdsaToken(userVerified)}.armored()},
		{"flag added", "does not hold", making{signer: ed25519Token(0), edit: func(s *ssh.Signature) { s.Rest[0] = userPresent }}.armored()},
		{"counter changed", "does not hold", making{signer: ecdsaToken(1), edit: func(s *ssh.Signature) { s.Rest[4]++ }}.armored()},
		{"no signature", "does not hold", making{signer: key, edit: func(s *ssh.Signature) { s.Blob = nil }}.armored()},
		{"weak key", "weak", making{signer: weakSigner{}}.armored()},
	} {
		r := verify(t, message, c.sig, list(t, me, key.PublicKey()), me, namespace)
		if r.Valid || r.Stranger || !strings.Contains(r.Reason, c.reason) {
			t.Errorf("%s: %+v, want reason %q", c.name, r, c.reason)
		}
	}
}

func TestNamespace(t *testing.T) {
	key := ed25519Signer("a")
	l := list(t, "*", key.PublicKey())
	for _, made := range []string{"file", "git"} {
		for _, wanted := range []string{"file", "git", "File", "*", ""} {
			r := verify(t, message, making{signer: key, namespace: made}.armored(), l, me, wanted)
			if r.Valid != (made == wanted) || r.Stranger || !r.Valid && !strings.Contains(r.Reason, "is for namespace") {
				t.Errorf("made for %q, want %q: %+v", made, wanted, r)
			}
			// Whoever is not listed is a stranger, in this namespace or another.
			for _, others := range []*AllowedSigners{nil, list(t, "*", ed25519Signer("b").PublicKey()), list(t, "you", key.PublicKey())} {
				sig := making{signer: key, namespace: made}.armored()
				if r := verify(t, message, sig, others, me, wanted); r.Valid || !r.Stranger {
					t.Errorf("made for %q, want %q, of others: %+v", made, wanted, r)
				}
				if r := verify(t, message[1:], sig, others, me, wanted); r.Valid || r.Stranger || !strings.Contains(r.Reason, "does not hold") {
					t.Errorf("made for %q, want %q, of others and changed: %+v", made, wanted, r)
				}
			}
		}
	}
}

// TestOtherProtocols signs what is close to the right thing: the digest
// itself, and what older formats sign.
func TestOtherProtocols(t *testing.T) {
	key := ed25519Signer("a")
	sum := must(content(message).Sum(crypto.SHA512))
	for name, signed := range map[string][]byte{
		"message": message, "digest": sum, "no preamble": ssh.Marshal(struct{ N, R, H, S string }{"file", "", "sha512", string(sum)}),
	} {
		sig := making{signer: key, edit: func(s *ssh.Signature) { *s = *must(key.Sign(rand.Reader, signed)) }}.armored()
		if r := verify(t, message, sig, list(t, me, key.PublicKey()), me, namespace); r.Valid || !strings.Contains(r.Reason, "does not hold") {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestEveryBit flips bits in every byte of an armored signature and of the blob
// within, and cuts both at every length.
func TestEveryBit(t *testing.T) {
	t.Parallel()
	authority := ed25519Signer("authority")
	l := list(t, "*", ed25519Signer("a").PublicKey())
	for name, signer := range signers() {
		l.lines = append(l.lines, list(t, "*", signer.PublicKey()).lines...)
		everyBit(t, name, making{signer: signer}, l)
	}
	l.lines = append(l.lines, list(t, "* cert-authority", authority.PublicKey()).lines...)
	key := ed25519Signer("certified")
	everyBit(t, "certificate", making{signer: key, cert: certify(key.PublicKey(), authority, nil)}, l)
}

func everyBit(t *testing.T, name string, m making, l *AllowedSigners) {
	t.Helper()
	blob := m.blob()
	good := armor(blob)
	if r := verify(t, message, good, l, "", namespace); !r.Valid {
		t.Fatalf("%s: %+v", name, r)
	}
	for i := range good {
		for bit := range 8 {
			if name != "ed25519" && bit != i%8 { // other keys are slow
				continue
			}
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			if r := verify(t, message, bad, l, "", namespace); r.Valid {
				t.Errorf("%s: byte %d of the armored form, bit %d: %+v", name, i, bit, r)
			}
		}
	}
	for i := range blob {
		bad := bytes.Clone(blob)
		bad[i] ^= 0x80
		if r := verify(t, message, armor(bad), l, "", namespace); r.Valid {
			t.Errorf("%s: byte %d of the blob: %+v", name, i, r)
		}
		if r := verify(t, message, armor(blob[:i]), l, "", namespace); r.Valid {
			t.Errorf("%s: %d bytes of the blob: %+v", name, i, r)
		}
	}
	for n := range len(good) - 1 { // the last line end may be missing
		if r := verify(t, message, good[:n], l, "", namespace); r.Valid {
			t.Errorf("%s: %d bytes: %+v", name, n, r)
		}
	}
}

func TestLineEnds(t *testing.T) {
	key := ed25519Signer("a")
	good := string(making{signer: key}.armored())
	for name, sig := range map[string]string{
		"no last line end": strings.TrimSuffix(good, "\n"),
		"CRLF":             strings.ReplaceAll(good, "\n", "\r\n"),
		"empty lines":      good + "\n \n",
	} {
		if r := verify(t, message, []byte(sig), list(t, me, key.PublicKey()), me, namespace); !r.Valid {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestReadingFails(t *testing.T) {
	key := ed25519Signer("a")
	l := list(t, me, key.PublicKey())
	short := signature.NewContent(context.Background(), bytes.NewReader(message), int64(len(message))+1)
	if r, err := Verify(short, making{signer: key}.armored(), l, me, namespace, now); !errors.Is(err, io.ErrUnexpectedEOF) || r.Valid {
		t.Errorf("%+v, %v", r, err)
	}
}

// BenchmarkVerify verifies 16 MiB and, in the same run, does what cannot be
// spared: the digest and one signature.
func BenchmarkVerify(b *testing.B) {
	key := ed25519Signer("a")
	large := make([]byte, 16<<20)
	saved := message
	message = large
	sig := making{signer: key}.armored()
	message = saved
	l := list(b, me, key.PublicKey())
	p := must(parse(sig))
	var ours, primitives time.Duration
	for b.Loop() {
		start := time.Now()
		if r, err := Verify(content(large), sig, l, me, namespace, now); !r.Valid || err != nil {
			b.Fatal(r, err)
		}
		ours += time.Since(start)
		start = time.Now()
		h := crypto.SHA512.New()
		h.Write(large)
		if !ed25519.Verify(ed25519.PublicKey(p.key.(ssh.CryptoPublicKey).CryptoPublicKey().(ed25519.PublicKey)), p.signed(h.Sum(nil)), p.signature.Blob) {
			b.Fatal("refused")
		}
		primitives += time.Since(start)
	}
	b.ReportMetric(float64(ours)/float64(primitives), "ours/primitives")
	b.ReportMetric(float64(len(large))*float64(b.N)/ours.Seconds()/1e6, "ours-MB/s")
}
