package checkpoint

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func newKey(t testing.TB, name string) (Signers, string, string) {
	t.Helper()
	secret, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSigners(secret)
	if err != nil {
		t.Fatal(err)
	}
	return s, secret, vkey
}

func TestSignAndOpen(t *testing.T) {
	old, oldSecret, oldKey := newKey(t, "log.test")
	_, newSecret, newKey1 := newKey(t, "log.test")
	both, err := NewSigners(newSecret + "\n" + oldSecret + "\n")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := KeysOf(newSecret + "\n" + oldSecret)
	if err != nil || strings.Join(keys, " ") != newKey1+" "+oldKey {
		t.Errorf("%v, %v", keys, err)
	}
	c := Checkpoint{Size: 7, Root: tlog.Hash{1}}
	byOld, err := old.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	byBoth, err := both.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		signed []byte
		key    string
		ok     bool
	}{{byOld, oldKey, true}, {byOld, newKey1, false}, {byBoth, oldKey, true}, {byBoth, newKey1, true}} {
		p, err := KeyPolicy(tc.key)
		if err != nil {
			t.Fatal(err)
		}
		s, err := p.Open(tc.signed)
		if tc.ok != (err == nil) || err != nil && !errors.Is(err, ErrUntrusted) || err == nil && (s.Size != 7 || s.Origin != "log.test") {
			t.Errorf("%+v, %v, want %v", s, err, tc.ok)
		}
	}
	if u, err := Unverified(byBoth); err != nil || u.Size != 7 {
		t.Errorf("%+v, %v", u, err)
	}
	if _, err := NewSigners(""); err == nil {
		t.Error("no key is a key")
	}
	_, other, _ := newKey(t, "other.test")
	if _, err := NewSigners(newSecret + " " + other); err == nil {
		t.Error("keys of two logs are one log's")
	}
}

func TestParse(t *testing.T) {
	root := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for text, ok := range map[string]bool{
		"log\n0\n" + root + "\n":            true,
		"log\n7\n" + root + "\nextension\n": true,
		"":                                  false,
		"log\n7\n":                          false,
		"log\n7\n" + root:                   false,
		"\n7\n" + root + "\n":               false,
		"log\n07\n" + root + "\n":           false,
		"log\n-7\n" + root + "\n":           false,
		"log\n9223372036854775808\n" + root + "\n": false,
		"log\n7\n" + root[:40] + "\n":              false,
		"log\n7\n" + root + "\nno newline":         false,
	} {
		c, err := Parse(text)
		if ok != (err == nil) || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
}

// fakeWitness is a witness after c2sp.org/tlog-witness, as far as a log sees it.
type fakeWitness struct {
	name string
	key  ed25519.PrivateKey
	mu   sync.Mutex
	size uint64
	mode string // "", "hang", "forge", "refuse", "large"
	asks int
}

func newFakeWitness(t testing.TB, name string) (w *fakeWitness, vkey, url string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w = &fakeWitness{name: name, key: private}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	key := append([]byte{algCosignature}, public...)
	return w, fmt.Sprintf("%s+%08x+%s", name, keyHash(name, key), base64.StdEncoding.EncodeToString(key)), server.URL
}

// now sets how it behaves.
func (w *fakeWitness) now(mode string, size int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mode = mode
	if size >= 0 {
		w.size = uint64(size)
	}
}

func (w *fakeWitness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asks++
	body, _ := io.ReadAll(r.Body)
	var old uint64
	fmt.Sscanf(string(body), "old %d\n", &old)
	_, signed, _ := strings.Cut(string(body), "\n\n")
	c, err := Unverified([]byte(signed))
	switch {
	case err != nil || r.URL.Path != "/add-checkpoint":
		http.Error(rw, "what?", http.StatusBadRequest)
	case w.mode == "hang":
		<-r.Context().Done()
	case w.mode == "refuse":
		http.Error(rw, "no", http.StatusForbidden)
	case w.mode == "large":
		rw.Write(bytes.Repeat([]byte("x"), maxAnswer+10))
	case old != w.size:
		rw.WriteHeader(http.StatusConflict)
		fmt.Fprintln(rw, w.size)
	default:
		text := c.Text()
		if w.mode == "forge" {
			text = "forged " + text
		}
		w.size = c.Size
		fmt.Fprint(rw, w.cosign(text, time.Unix(1_700_000_000, 0)))
	}
}

func (w *fakeWitness) cosign(text string, at time.Time) string {
	signature := ed25519.Sign(w.key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at.Unix(), text))
	key := append([]byte{algCosignature}, w.key.Public().(ed25519.PublicKey)...)
	b := binary.BigEndian.AppendUint32(nil, keyHash(w.name, key))
	b = append(binary.BigEndian.AppendUint64(b, uint64(at.Unix())), signature...)
	return fmt.Sprintf("— %s %s\n", w.name, base64.StdEncoding.EncodeToString(b))
}

func TestCollect(t *testing.T) {
	log, _, logKey := newKey(t, "log.test")
	one, oneKey, oneURL := newFakeWitness(t, "one.test")
	two, twoKey, twoURL := newFakeWitness(t, "two.test")
	policy, err := ParsePolicy(fmt.Appendf(nil, "log %s\nwitness one %s %s\nwitness two %s %s\ngroup both all one two\ngroup any any one two\nquorum any\n", logKey, oneKey, oneURL, twoKey, twoURL))
	if err != nil {
		t.Fatal(err)
	}
	strict, err := ParsePolicy(fmt.Appendf(nil, "log %s\nwitness one %s\nwitness two %s\ngroup both 2 one two\nquorum both", logKey, oneKey, twoKey))
	if err != nil {
		t.Fatal(err)
	}
	c := &Collector{Policy: policy, Client: http.DefaultClient, Timeout: 2 * time.Second, Prove: func(context.Context, uint64, uint64) (tlog.TreeProof, error) {
		return tlog.TreeProof{tlog.Hash{9}}, nil
	}}
	size := uint64(0)
	collect := func() ([]byte, error) {
		t.Helper()
		size += 5
		signed, err := log.Sign(Checkpoint{Size: size})
		if err != nil {
			t.Fatal(err)
		}
		return c.Collect(t.Context(), signed)
	}
	opened := func(p *Policy, signed []byte) string {
		s, err := p.Open(signed)
		if err != nil {
			if !errors.Is(err, ErrUntrusted) {
				t.Error(err)
			}
			return "no"
		}
		var names []string
		for _, c := range s.Cosigned {
			if c.Time.Unix() != 1_700_000_000 {
				t.Errorf("cosigned at %v", c.Time)
			}
			names = append(names, c.Witness)
		}
		return strings.Join(names, " ")
	}

	signed, err := collect()
	if got := opened(policy, signed) + ", " + opened(strict, signed); err != nil || got != "one two, one two" {
		t.Errorf("both: %s, %v", got, err)
	}
	two.now("", 3) // it knows less than the collector thinks
	signed, err = collect()
	if got := opened(strict, signed); err != nil || got != "one two" {
		t.Errorf("after 409: %s, %v", got, err)
	}
	for _, mode := range []string{"hang", "forge", "refuse", "large"} {
		two.now(mode, -1)
		signed, err = collect()
		if got := opened(policy, signed) + ", " + opened(strict, signed); err == nil || !strings.Contains(err.Error(), "witness two") || got != "one, no" {
			t.Errorf("%s: %s, %v", mode, got, err)
		}
	}
	one.now("refuse", -1)
	two.now("", 1000) // it has seen a log that is longer
	if signed, err = collect(); err == nil || opened(policy, signed) != "no" {
		t.Errorf("nobody: %v", err)
	}
	one.now("", -1)
	two.now("", int(size))
	if signed, err = collect(); err != nil || opened(strict, signed) != "one two" {
		t.Errorf("again: %v", err)
	}
	// What others have added is passed over, whatever its type.
	other, _, _ := newKey(t, "stranger.test")
	stranger, err := note.Sign(&note.Note{Text: "x\n"}, other[0])
	if err != nil {
		t.Fatal(err)
	}
	line := string(stranger[bytes.LastIndexByte(stranger[:len(stranger)-1], '\n')+1:])
	if got := opened(strict, append(signed, line...)); got != "one two" {
		t.Errorf("with a stranger's signature: %s", got)
	}
}

func TestPolicyErrors(t *testing.T) {
	_, _, logKey := newKey(t, "log.test")
	_, wKey, _ := newFakeWitness(t, "w.test")
	for text, want := range map[string]string{
		"":                             "names no log",
		"log " + logKey:                "no quorum",
		"log x\nquorum none":           "line 1",
		"log " + logKey + "\nquorum w": "no such witness",
		"witness w " + logKey:          "type 1",
		"witness w w.test+00000000+" + strings.SplitN(wKey, "+", 3)[2]: "its hash is",
		"witness none " + wKey:                      "it is taken",
		"witness w " + wKey + " ftp://w.test":       "want http",
		"witness w " + wKey + " http://u:p@w.test":  "want http",
		"witness w " + wKey + "\nwitness w " + wKey: "line 2",
		"witness w " + wKey + "\ngroup g 2 w":       "2\" of 1",
		"witness w " + wKey + "\ngroup g 0 w":       "of 1",
		"witness w " + wKey + "\ngroup g all w w":   "twice",
		"group g any w":                             "no witness or group above",
		"quorum none\nquorum none":                  "second quorum",
		"frobnicate":                                "malformed",
	} {
		if _, err := ParsePolicy([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := ParsePolicy([]byte("# comment\n\nlog " + logKey + " https://log.test # where\nquorum none\n")); err != nil {
		t.Error(err)
	}
}

func TestProof(t *testing.T) {
	log, _, key := newKey(t, "log.test")
	policy, err := KeyPolicy(key)
	if err != nil {
		t.Fatal(err)
	}
	entry, other := []byte("entry"), tlog.RecordHash([]byte("other"))
	signed, err := log.Sign(Checkpoint{Size: 2, Root: tlog.NodeHash(tlog.RecordHash(entry), other)})
	if err != nil {
		t.Fatal(err)
	}
	for _, extra := range [][]byte{nil, {}, entry} {
		p := &Proof{Index: 0, Entry: extra, Path: tlog.RecordProof{other}, Checkpoint: signed}
		again, err := ParseProof(p.Marshal())
		if err != nil || !bytes.Equal(again.Marshal(), p.Marshal()) || (again.Entry == nil) != (extra == nil) {
			t.Fatalf("%+v, %v", again, err)
		}
		if s, err := again.Verify(policy, entry); err != nil || s.Size != 2 {
			t.Errorf("%+v, %v", s, err)
		}
		if _, err := again.Verify(policy, []byte("another")); err == nil {
			t.Error("it proves another entry")
		}
		again.Index = 2
		if _, err := again.Verify(policy, entry); err == nil {
			t.Error("it proves an entry beyond the checkpoint")
		}
	}
}

func FuzzCheckpoint(f *testing.F) {
	f.Add([]byte("log\n7\n" + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n\n— log AAAAAA==\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Unverified(b)
		if err != nil {
			return
		}
		if again, err := Parse(c.Text()); err != nil || *again != *c {
			t.Errorf("%q: %+v became %+v, %v", b, c, again, err)
		}
	})
}

func FuzzProof(f *testing.F) {
	f.Add((&Proof{Index: 3, Entry: []byte("e"), Path: tlog.RecordProof{{1}}, Checkpoint: []byte("log\n")}).Marshal())
	f.Add([]byte(proofHeader + "index 0\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseProof(b)
		if err == nil && !bytes.Equal(p.Marshal(), b) {
			t.Errorf("%q became %q", b, p.Marshal())
		}
	})
}

func FuzzPolicy(f *testing.F) {
	_, vkey, err := note.GenerateKey(rand.Reader, "log.test")
	if err != nil {
		f.Fatal(err)
	}
	_, wkey, _ := newFakeWitness(f, "w.test")
	f.Add([]byte("log " + vkey + "\nwitness w " + wkey + " https://w.test\ngroup g any w\nquorum g\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePolicy(b)
		if err != nil {
			return
		}
		if s, err := p.Open([]byte("log.test\n1\n" + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n\n— log.test AAAAAA==\n")); err == nil {
			t.Errorf("%q accepts an unsigned checkpoint: %+v", b, s)
		}
	})
}
