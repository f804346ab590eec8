package eddsa

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"assize.dev/services/sign/internal/signature"
	"assize.dev/shared/realdata"
)

func content(message []byte) *signature.Content {
	return signature.NewContent(context.Background(), bytes.NewReader(message), int64(len(message)))
}

func publics(names ...string) (all []ed25519.PublicKey) {
	for _, name := range names {
		all = append(all, key(name).Public().(ed25519.PublicKey))
	}
	return all
}

func TestParseSignature(t *testing.T) {
	raw := ed25519.Sign(key("a"), []byte("m"))
	b64, digits := base64.StdEncoding.EncodeToString(raw), hex.EncodeToString(raw)
	for name, data := range map[string][]byte{
		"raw": raw, "base64": []byte(b64), "hexadecimal": []byte(digits), "HEXADECIMAL": []byte(strings.ToUpper(digits)),
		"base64 and newline": []byte(b64 + "\n"), "hexadecimal and CRLF": []byte(" " + digits + "\r\n"),
	} {
		if got, ok := ParseSignature(data); !ok || !bytes.Equal(got, raw) {
			t.Errorf("%s: %x, %v", name, got, ok)
		}
	}
	for name, data := range map[string][]byte{
		"empty": nil, "63 bytes": raw[1:], "65 bytes": append(raw[:64:64], '\n'), "128 bytes": append(raw[:64:64], raw...),
		"base64 of 66 bytes": []byte(base64.StdEncoding.EncodeToString(append(raw[:64:64], 1, 2))),
		"no hexadecimal":     []byte("g" + digits[1:]), "base64, not canonical": []byte(b64[:85] + "B=="),
		"far too much space": []byte(digits + strings.Repeat(" ", 200)), "base64 in two lines": []byte(b64[:40] + "\n" + b64[40:]),
	} {
		if got, ok := ParseSignature(data); ok {
			t.Errorf("%s: read as %x", name, got)
		}
	}
	for n := range len(digits) {
		if _, ok := ParseSignature([]byte(digits[:n])); ok != (n == 64) { // 64 characters are 64 bytes
			t.Errorf("%d digits: %v", n, ok)
		}
	}
}

func TestVerifyDetached(t *testing.T) {
	message := bytes.Repeat([]byte("0123456789abcdef"), 40_000) // larger than the copy's buffer
	sig := ed25519.Sign(key("b"), message)
	for _, c := range []struct {
		name    string
		message []byte
		sig     []byte
		keys    []ed25519.PublicKey
		index   int
		ok      bool
	}{
		{"second of three", message, sig, publics("a", "b", "c"), 1, true},
		{"twice the same", message, sig, publics("b", "b"), 0, true},
		{"no keys", message, sig, nil, 0, false},
		{"other keys", message, sig, publics("a", "c"), 0, false},
		{"changed", message[1:], sig, publics("a", "b"), 0, false},
		{"empty content", nil, ed25519.Sign(key("b"), nil), publics("b"), 0, true},
	} {
		index, ok, err := VerifyDetached(content(c.message), c.sig, c.keys)
		if index != c.index || ok != c.ok || err != nil {
			t.Errorf("%s: key %d, %v, %v", c.name, index, ok, err)
		}
	}
	for i := range sig {
		bad := bytes.Clone(sig)
		bad[i] ^= 1
		if _, ok, err := VerifyDetached(content(message[:0]), bad, publics("b")); ok || err != nil {
			t.Errorf("byte %d changed: %v, %v", i, ok, err)
		}
	}
}

// TestReadOnce: the same question is answered without reading again, and
// different ones are not mixed up.
func TestReadOnce(t *testing.T) {
	message := []byte("m")
	r := &counted{ReaderAt: bytes.NewReader(message)}
	c := signature.NewContent(context.Background(), r, int64(len(message)))
	good, bad := ed25519.Sign(key("b"), message), ed25519.Sign(key("b"), []byte("n"))
	for range 100 {
		for _, q := range []struct {
			sig   []byte
			keys  []ed25519.PublicKey
			index int
			ok    bool
		}{
			{good, publics("a", "b"), 1, true}, {good, publics("b", "a"), 0, true}, {good, publics("a"), 0, false}, {bad, publics("b"), 0, false},
		} {
			if index, ok, err := VerifyDetached(c, q.sig, q.keys); index != q.index || ok != q.ok || err != nil {
				t.Fatalf("key %d, %v, %v, want %d, %v", index, ok, err, q.index, q.ok)
			}
		}
		if ok, err := Holds(c, good, publics("b")[0]); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	if r.n != 5 {
		t.Errorf("read %d times", r.n)
	}
}

// TestBudget: signatures without end are not read for without end.
func TestBudget(t *testing.T) {
	message := []byte("m")
	r := &counted{ReaderAt: bytes.NewReader(message)}
	c := signature.NewContent(context.Background(), r, int64(len(message)))
	sig := ed25519.Sign(key("a"), message)
	refused := 0
	for i := range 641 {
		bad := append(sig[:32:32], make([]byte, 32)...)
		bad[40], bad[41] = byte(i), byte(i>>8)
		if ok, err := Holds(c, bad, publics("a")[0]); ok || err != nil && !errors.Is(err, signature.ErrBudget) {
			t.Fatal(ok, err)
		} else if err != nil {
			refused++
		}
	}
	if r.n != 32 || refused != 641-32 {
		t.Errorf("read %d times, refused %d", r.n, refused)
	}
	if ok, err := Holds(c, sig, publics("a")[0]); ok || !errors.Is(err, signature.ErrBudget) {
		t.Errorf("a good one after that: %v, %v", ok, err)
	}
}

func TestHolds(t *testing.T) {
	message := []byte("m")
	sig := ed25519.Sign(key("a"), message)
	identity := append([]byte{1}, make([]byte, 63)...)
	for name, c := range map[string]struct {
		sig    []byte
		public ed25519.PublicKey
		want   bool
	}{
		"good": {sig, publics("a")[0], true}, "other key": {sig, publics("b")[0], false}, "short": {sig[1:], publics("a")[0], false},
		"weak key": {identity, make([]byte, 32), false}, "no key": {sig, nil, false}, "no signature": {nil, publics("a")[0], false},
	} {
		if ok, err := Holds(content(message), c.sig, c.public); ok != c.want || err != nil {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
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

func TestVerifyDetachedRefuses(t *testing.T) {
	message := []byte("m")
	sig := ed25519.Sign(key("a"), message)
	weak := make([]byte, ed25519.PublicKeySize)
	identity := append([]byte{1}, make([]byte, 63)...) // holds for a weak key and some messages
	for name, try := range map[string]func() (int, bool, error){
		"short signature": func() (int, bool, error) { return VerifyDetached(content(message), sig[1:], publics("a")) },
		"weak key": func() (int, bool, error) {
			return VerifyDetached(content(message), identity, append(publics("a"), weak))
		},
		"short key": func() (int, bool, error) {
			return VerifyDetached(content(message), sig, []ed25519.PublicKey{make([]byte, 31)})
		},
		"short content": func() (int, bool, error) {
			return VerifyDetached(signature.NewContent(context.Background(), bytes.NewReader(message), 2), sig, publics("a"))
		},
	} {
		if _, ok, err := try(); ok || err == nil {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, ok, err := VerifyDetached(signature.NewContent(ctx, bytes.NewReader(message), 1), sig, publics("a")); ok || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v, %v", ok, err)
	}
}

// TestRealSample verifies what openssl signed.
func TestRealSample(t *testing.T) {
	dir := filepath.Join(realdata.Dir(t), "signatures", "rawkeys")
	manifest, err := os.ReadFile(filepath.Join(dir, "manifest.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for line := range strings.Lines(string(manifest)) {
		var entry struct {
			Kind, Signature, Artifact, Want string
			Also                            []string
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		if entry.Kind != "ed25519" {
			continue
		}
		tried++
		var files [3][]byte
		for i, name := range []string{entry.Signature, entry.Artifact, entry.Also[0]} {
			if files[i], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		sig, parsed := ParseSignature(files[0])
		_, ok, err := VerifyDetached(content(files[1]), sig, []ed25519.PublicKey{files[2]})
		if !parsed || err != nil || ok != (entry.Want == "accept") {
			t.Errorf("%s: %v, %v, want %s", entry.Signature, ok, err, entry.Want)
		}
	}
	if tried == 0 {
		t.Error("the manifest has no Ed25519 signature")
	}
}

// BenchmarkVerifyDetached verifies 16 MiB as a stream and, in the same run,
// with crypto/ed25519 at once.
func BenchmarkVerifyDetached(b *testing.B) {
	message := make([]byte, 16<<20)
	sig, public := ed25519.Sign(key("a"), message), publics("a")
	var ours, standard time.Duration
	for b.Loop() {
		start := time.Now()
		if _, ok, err := VerifyDetached(content(message), sig, public); !ok || err != nil {
			b.Fatal(ok, err)
		}
		ours += time.Since(start)
		start = time.Now()
		if !ed25519.Verify(public[0], message, sig) {
			b.Fatal("refused")
		}
		standard += time.Since(start)
	}
	b.ReportMetric(float64(ours)/float64(standard), "ours/standard")
	b.ReportMetric(float64(len(message))*float64(b.N)/ours.Seconds()/1e6, "ours-MB/s")
}

func FuzzParseSignature(f *testing.F) {
	raw := ed25519.Sign(key("a"), []byte("m"))
	f.Add(raw)
	f.Add([]byte(base64.StdEncoding.EncodeToString(raw) + "\n"))
	f.Add([]byte(hex.EncodeToString(raw)))
	f.Fuzz(func(t *testing.T, data []byte) {
		sig, ok := ParseSignature(data)
		if !ok {
			return
		}
		again, same := ParseSignature([]byte(hex.EncodeToString(sig)))
		if len(sig) != ed25519.SignatureSize || !same || !bytes.Equal(again, sig) {
			t.Errorf("%q: %x, then %x, %v", data, sig, again, same)
		}
	})
}
