package minisign

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/blake2b"

	"assize.dev/services/sign/internal/signature"
)

var message = []byte("an artifact\n")

const (
	comment = "timestamp:1700000000\tfile:artifact\thashed"
	id      = 0xE8E6C01423FD3470
)

func content(message []byte) *signature.Content {
	return signature.NewContent(context.Background(), bytes.NewReader(message), int64(len(message)))
}

func private(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// line is a line of base64: algorithm, id and what follows.
func line(algorithm string, id uint64, body []byte) string {
	return base64.StdEncoding.EncodeToString(append(binary.LittleEndian.AppendUint64([]byte(algorithm), id), body...))
}

func publicFile(comment, name string, id uint64) string {
	return untrusted + comment + "\n" + line("Ed", id, private(name)[32:]) + "\n"
}

func publicKey(t testing.TB, comment, name string, id uint64) PublicKey {
	t.Helper()
	k, err := ParsePublicKey([]byte(publicFile(comment, name, id)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// byMinisign signs as minisign does, with the old format unless prehashed.
func byMinisign(name string, message []byte, comment string, prehashed bool) string {
	key, algorithm, signed := private(name), "Ed", message
	if prehashed {
		sum := blake2b.Sum512(message)
		algorithm, signed = "ED", sum[:]
	}
	sig := ed25519.Sign(key, signed)
	global := ed25519.Sign(key, append(bytes.Clone(sig), comment...))
	return fmt.Sprintf("%ssignature from minisign secret key\n%s\n%s%s\n%s\n", untrusted, line(algorithm, id, sig),
		trusted, comment, base64.StdEncoding.EncodeToString(global))
}

func bySignify(name string, message []byte) string {
	return untrusted + "verify with a.pub\n" + line("Ed", id, ed25519.Sign(private(name), message)) + "\n"
}

func verify(t testing.TB, message []byte, sig string, keys ...PublicKey) signature.Result {
	t.Helper()
	r, err := Verify(content(message), []byte(sig), keys)
	if err != nil {
		t.Fatal(err)
	}
	if r.Kind != "minisign" && r.Kind != "signify" || r.Valid && (r.Stranger || r.Signer == "") || !r.Valid && r.Reason == "" || r.TimeProven || r.Valid == (r.Key == "") {
		t.Fatalf("contradicts itself: %+v", r)
	}
	return r
}

func TestVerify(t *testing.T) {
	mini, openbsd := publicKey(t, "minisign public key E8E6C01423FD3470", "a", id), publicKey(t, "demo public key", "a", id)
	other, sameID := publicKey(t, "minisign public key 1", "b", 1), publicKey(t, "minisign public key", "b", id)
	signed := time.Unix(1700000000, 0).UTC()
	hashed, legacy, signify := byMinisign("a", message, comment, true), byMinisign("a", message, comment, false), bySignify("a", message)
	cut := func(sig string, lines int) string {
		return strings.Join(strings.SplitAfter(sig, "\n")[:lines], "")
	}
	replace := strings.Replace
	for _, c := range []struct {
		name   string
		sig    string
		keys   []PublicKey
		kind   string
		valid  bool
		time   time.Time
		reason string // "stranger" if it is one
	}{
		{"hashed", hashed, []PublicKey{mini}, "minisign", true, signed, ""},
		{"legacy", legacy, []PublicKey{mini}, "minisign", true, signed, ""},
		{"signify", signify, []PublicKey{openbsd}, "signify", true, time.Time{}, ""},
		{"second key", hashed, []PublicKey{other, mini}, "minisign", true, signed, ""},
		{"twice the key", hashed, []PublicKey{mini, openbsd}, "minisign", true, signed, ""},
		{"minisign, key of a changed comment", hashed, []PublicKey{openbsd}, "minisign", true, signed, ""},
		{"CRLF", replace(hashed, "\n", "\r\n", -1), []PublicKey{mini}, "minisign", true, signed, ""},
		{"no last line end", strings.TrimSuffix(hashed, "\n"), []PublicKey{mini}, "minisign", true, signed, ""},
		{"other untrusted comment", replace(hashed, "signature from", "anything", 1), []PublicKey{mini}, "minisign", true, signed, ""},
		{"no timestamp", byMinisign("a", message, "seq 42", true), []PublicKey{mini}, "minisign", true, time.Time{}, ""},
		{"empty comment", byMinisign("a", message, "", true), []PublicKey{mini}, "minisign", true, time.Time{}, ""},
		{"timestamp later", byMinisign("a", message, "file:x timestamp:1700000000", true), []PublicKey{mini}, "minisign", true, signed, ""},
		{"timestamp too large", byMinisign("a", message, "timestamp:99999999999999", true), []PublicKey{mini}, "minisign", true, time.Time{}, ""},
		{"timestamp negative", byMinisign("a", message, "timestamp:-1 timestamp:5", true), []PublicKey{mini}, "minisign", true, time.Time{}, ""},

		{"no keys", hashed, nil, "minisign", false, time.Time{}, "stranger"},
		{"unknown id", signify, []PublicKey{other}, "signify", false, time.Time{}, "stranger"},
		{"two keys of one id", hashed, []PublicKey{mini, sameID}, "minisign", false, time.Time{}, "two of the known keys"},
		{"two keys of one id, other way round", signify, []PublicKey{sameID, openbsd}, "signify", false, time.Time{}, "two of the known keys"},
		{"other key of the id", hashed, []PublicKey{sameID}, "minisign", false, time.Time{}, "trusted comment does not hold"},
		{"other key of the id, signify", signify, []PublicKey{publicKey(t, "x", "b", id)}, "signify", false, time.Time{}, "over these bytes"},

		// What was cut or put together.
		{"legacy without comment", cut(legacy, 2), []PublicKey{mini}, "signify", false, time.Time{}, "cut off"},
		{"legacy without comment, signify's key", cut(legacy, 2), []PublicKey{openbsd}, "signify", true, time.Time{}, ""},
		{"legacy without comment, key of both", cut(legacy, 2), []PublicKey{openbsd, mini}, "signify", false, time.Time{}, "cut off"},
		{"hashed without comment", cut(hashed, 2), []PublicKey{openbsd}, "minisign", false, time.Time{}, "cut short"},
		{"without global signature", cut(hashed, 3), []PublicKey{mini}, "minisign", false, time.Time{}, "fourth line"},
		{"hashed as legacy", cut(hashed, 1) + line("Ed", id, decoded(hashed, 1)[10:]) + "\n" + cut2(hashed), []PublicKey{mini}, "minisign", false, time.Time{}, "over these bytes"},
		{"legacy as hashed", cut(legacy, 1) + line("ED", id, decoded(legacy, 1)[10:]) + "\n" + cut2(legacy), []PublicKey{mini}, "minisign", false, time.Time{}, "over these bytes"},
		{"comment of another signature", cut(hashed, 2) + cut2(byMinisign("a", []byte("x"), comment, true)), []PublicKey{mini}, "minisign", false, time.Time{}, "trusted comment does not hold"},
		{"comment changed", replace(hashed, "1700000000", "1700000001", 1), []PublicKey{mini}, "minisign", false, time.Time{}, "trusted comment does not hold"},
		{"id changed", cut(hashed, 1) + line("ED", 1, decoded(hashed, 1)[10:]) + "\n" + cut2(hashed), []PublicKey{mini, other}, "minisign", false, time.Time{}, "trusted comment does not hold"},
		{"embedded", signify + string(message), []PublicKey{openbsd}, "signify", false, time.Time{}, "signify -e"},
		{"embedded, like a comment", signify + trusted + "\n", []PublicKey{openbsd}, "minisign", false, time.Time{}, "fourth line"},
		{"something follows", hashed + "\n", []PublicKey{mini}, "minisign", false, time.Time{}, "follows"},

		{"empty", "", []PublicKey{mini}, "minisign", false, time.Time{}, "want"},
		{"no comment", cut2(hashed), []PublicKey{mini}, "minisign", false, time.Time{}, "want"},
		{"not base64", untrusted + "\n%%%%\n", []PublicKey{mini}, "minisign", false, time.Time{}, "base64"},
		{"a public key", publicFile("x", "a", id), []PublicKey{mini}, "minisign", false, time.Time{}, "42 bytes"},
		{"algorithm", untrusted + "\n" + line("EC", id, make([]byte, 64)) + "\n", []PublicKey{mini}, "minisign", false, time.Time{}, `"EC"`},
		{"too large", hashed + strings.Repeat("x", maxFile), []PublicKey{mini}, "minisign", false, time.Time{}, "at most"},
	} {
		r := verify(t, message, c.sig, c.keys...)
		if r.Kind != c.kind || r.Valid != c.valid || !r.Time.Equal(c.time) || r.Stranger != (c.reason == "stranger") || !r.Stranger && !strings.Contains(r.Reason, c.reason) || r.Valid && r.Reason != "" {
			t.Errorf("%s: %+v, want reason %q", c.name, r, c.reason)
		}
		if r.Valid && r.Key != signature.KeyFingerprint(mini.Key()) {
			t.Errorf("%s: key %s", c.name, r.Key)
		}
		if (r.Valid || r.Stranger) && r.Signer != "E8E6C01423FD3470" {
			t.Errorf("%s: signer %s", c.name, r.Signer)
		}
	}
	for name, sig := range map[string]string{"hashed": hashed, "legacy": legacy, "signify": signify} {
		if r := verify(t, message[1:], sig, openbsd); r.Valid || r.Stranger || !strings.Contains(r.Reason, "over these bytes") {
			t.Errorf("%s, changed content: %+v", name, r)
		}
	}
}

// cut2 is the lines from the third, decoded the base64 of one.
func cut2(sig string) string { return strings.Join(strings.SplitAfter(sig, "\n")[2:], "") }

func decoded(sig string, n int) []byte {
	b, err := base64.StdEncoding.DecodeString(strings.Split(sig, "\n")[n])
	if err != nil {
		panic(err)
	}
	return b
}

// TestDigestAsContent takes a prehashed signature for one over the digest.
func TestDigestAsContent(t *testing.T) {
	openbsd := publicKey(t, "x", "a", id)
	sum := blake2b.Sum512(message)
	hashed := byMinisign("a", message, comment, true)
	for name, sig := range map[string]string{
		"minisign": untrusted + "\n" + line("Ed", id, decoded(hashed, 1)[10:]) + "\n" + cut2(hashed),
		"signify":  untrusted + "\n" + line("Ed", id, decoded(hashed, 1)[10:]) + "\n",
	} {
		if r := verify(t, sum[:], sig, openbsd); r.Valid || !strings.Contains(r.Reason, "digest of other content") {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r := verify(t, sum[:], byMinisign("a", sum[:], comment, true), openbsd); !r.Valid {
		t.Errorf("64 bytes, prehashed: %+v", r)
	}
}

// TestGlobalSignatureAsSignature takes the signature of a trusted comment for
// one over content.
func TestGlobalSignatureAsSignature(t *testing.T) {
	mini := publicKey(t, "minisign public key", "a", id)
	hashed := byMinisign("a", message, comment, true)
	forged := append(decoded(hashed, 1)[10:], comment...)
	sig := untrusted + "\n" + line("Ed", id, decoded(hashed, 3)) + "\n"
	if r := verify(t, forged, sig, mini); r.Valid || !strings.Contains(r.Reason, "cut off") {
		t.Errorf("%+v", r)
	}
}

// TestEveryBit flips each bit after the comment that nobody signs, which only
// must not break anything, and cuts at every length.
func TestEveryBit(t *testing.T) {
	for name, c := range map[string]struct {
		sig string
		key PublicKey
	}{
		"hashed":  {byMinisign("a", message, comment, true), publicKey(t, "minisign public key", "a", id)},
		"legacy":  {byMinisign("a", message, comment, false), publicKey(t, "minisign public key", "a", id)},
		"signify": {bySignify("a", message), publicKey(t, "x", "a", id)},
	} {
		for i := range len(c.sig) {
			for bit := range 8 {
				bad := []byte(c.sig)
				bad[i] ^= 1 << bit
				unsigned := i >= len(untrusted) && i < strings.Index(c.sig, "\n") && bad[i] != '\n'
				if r := verify(t, message, string(bad), c.key); r.Valid != unsigned {
					t.Errorf("%s: byte %d, bit %d: %+v", name, i, bit, r)
				}
			}
			if r := verify(t, message, c.sig[:i], c.key); r.Valid != (i == len(c.sig)-1) {
				t.Errorf("%s: %d bytes: %+v", name, i, r)
			}
		}
	}
}

func TestParsePublicKey(t *testing.T) {
	file := publicFile("minisign public key 123", "a", 0x123)
	bare := strings.Split(file, "\n")[1]
	for name, c := range map[string]struct {
		text, comment string
		minisign      bool
	}{
		"file": {file, "minisign public key 123", true}, "CRLF": {strings.ReplaceAll(file, "\n", "\r\n"), "minisign public key 123", true},
		"bare": {bare, "", true}, "bare and line end": {bare + "\n", "", true}, "signify": {publicFile("openbsd 7.9", "a", 0x123), "openbsd 7.9", false},
	} {
		k, err := ParsePublicKey([]byte(c.text))
		if err != nil || k.Signer() != "123" || k.Comment() != c.comment || k.minisign != c.minisign || !bytes.Equal(k.Key(), private("a")[32:]) {
			t.Errorf("%s: %+v, %v", name, k, err)
		}
	}
	weak := base64.StdEncoding.EncodeToString(append([]byte("Ed12345678"), make([]byte, 32)...))
	for name, c := range map[string]struct{ text, reason string }{
		"empty": {"", "0 bytes"}, "comment only": {untrusted + "x\n", "0 bytes"}, "not base64": {"RW%%", "no public key"},
		"other comment": {"comment: x\n" + bare, "no public key"}, "short": {bare[:52], "39 bytes"}, "two": {bare + "\n" + bare, "84 bytes"},
		"text after": {file + "x", "no public key"}, "weak": {weak, "weak"}, "hashed": {line("ED", 1, private("a")[32:]), `"ED"`},
		"secret of minisign": {untrusted + "minisign encrypted secret key\n" + base64.StdEncoding.EncodeToString(make([]byte, 158)), "secret"},
		"secret of signify":  {untrusted + "signify secret key\n" + base64.StdEncoding.EncodeToString(make([]byte, 104)), "secret"},
		"a signature":        {bySignify("a", nil), "74 bytes"}, "too large": {strings.Repeat(" ", maxFile+1), "at most"},
	} {
		k, err := ParsePublicKey([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.reason) || errors.Is(err, ErrSecretKey) != strings.HasPrefix(name, "secret") {
			t.Errorf("%s: %+v, %v", name, k, err)
		}
	}
	for n := range len(bare) {
		if k, err := ParsePublicKey([]byte(bare[:n])); err == nil {
			t.Errorf("%d characters: %+v", n, k)
		}
	}
}

func TestReadingFails(t *testing.T) {
	key := publicKey(t, "x", "a", id)
	for name, sig := range map[string]string{"hashed": byMinisign("a", message, "", true), "signify": bySignify("a", message)} {
		short := signature.NewContent(context.Background(), bytes.NewReader(message), int64(len(message))+1)
		if r, err := Verify(short, []byte(sig), []PublicKey{key}); !errors.Is(err, io.ErrUnexpectedEOF) || r.Valid {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// TestBudget: signatures by the old formats, which are over all bytes, are
// refused when there are too many; those over a digest are not.
func TestBudget(t *testing.T) {
	mini, openbsd := publicKey(t, "minisign public key", "a", id), publicKey(t, "demo public key", "a", id)
	c := content(message)
	for i := range 40 {
		legacy, err := Verify(c, []byte(byMinisign("a", append(message, byte(i)), comment, false)), []PublicKey{mini})
		want := "over these bytes"
		if i >= 32 {
			want = signature.ErrBudget.Error()
		}
		if err != nil || legacy.Valid || legacy.Stranger || legacy.Signer == "" || !strings.Contains(legacy.Reason, want) {
			t.Fatalf("%d: %+v, %v, want %s", i, legacy, err, want)
		}
	}
	if r, err := Verify(c, []byte(bySignify("a", message)), []PublicKey{openbsd}); err != nil || r.Valid || r.Reason != signature.ErrBudget.Error() {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := Verify(c, []byte(byMinisign("a", message, comment, true)), []PublicKey{mini}); err != nil || !r.Valid {
		t.Errorf("%+v, %v", r, err)
	}
}

func FuzzSignature(f *testing.F) {
	for _, s := range []string{byMinisign("a", message, comment, true), byMinisign("a", message, comment, false), bySignify("a", message), bySignify("a", message) + "x"} {
		f.Add([]byte(s))
	}
	key := publicKey(f, "x", "b", id) // signed nothing
	f.Fuzz(func(t *testing.T, sig []byte) {
		r, err := Verify(content(message), sig, []PublicKey{key})
		if err != nil || r.Valid || r.Reason == "" || r.Stranger && r.Signer == "" {
			t.Errorf("%q: %+v, %v", sig, r, err)
		}
	})
}

func FuzzParsePublicKey(f *testing.F) {
	for _, s := range []string{publicFile("minisign public key 1", "a", 1), publicFile("x", "a", id), line("Ed", 1, private("a")[32:])} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := ParsePublicKey(data)
		if err == nil && (len(k.Key()) != ed25519.PublicKeySize || k.Signer() == "" || strings.Contains(k.Comment(), "\n")) {
			t.Errorf("%q was read as %+v", data, k)
		}
	})
}

func benchmark(b *testing.B, sign func([]byte) string, primitive func(message []byte) bool) {
	large := make([]byte, 16<<20)
	sig, key := sign(large), publicKey(b, "x", "a", id)
	var ours, primitives time.Duration
	for b.Loop() {
		start := time.Now()
		if r, err := Verify(content(large), []byte(sig), []PublicKey{key}); !r.Valid || err != nil {
			b.Fatal(r, err)
		}
		ours += time.Since(start)
		start = time.Now()
		if !primitive(large) {
			b.Fatal("refused")
		}
		primitives += time.Since(start)
	}
	b.ReportMetric(float64(ours)/float64(primitives), "ours/primitives")
	b.ReportMetric(float64(len(large))*float64(b.N)/ours.Seconds()/1e6, "ours-MB/s")
}

// BenchmarkHashed, and BenchmarkSignify, verify 16 MiB and do the same with
// the digest and the signature alone, in one run.
func BenchmarkHashed(b *testing.B) {
	sum := blake2b.Sum512(make([]byte, 16<<20))
	sig := ed25519.Sign(private("a"), sum[:])
	benchmark(b, func(m []byte) string { return byMinisign("a", m, comment, true) }, func(m []byte) bool {
		sum := blake2b.Sum512(m)
		return ed25519.Verify(ed25519.PublicKey(private("a")[32:]), sum[:], sig)
	})
}

func BenchmarkSignify(b *testing.B) {
	sig := ed25519.Sign(private("a"), make([]byte, 16<<20))
	benchmark(b, func(m []byte) string { return bySignify("a", m) }, func(m []byte) bool {
		return ed25519.Verify(ed25519.PublicKey(private("a")[32:]), m, sig)
	})
}
