package sign

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"assize.dev/services/sign/internal/keys"
	"assize.dev/services/sign/internal/signer"
	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/event"
)

// flaky is a signer whose key is out of reach at times.
type flaky struct {
	signer.Signer

	mu    sync.Mutex
	gone  bool
	tries map[[32]byte]int // by what was to be signed
}

func (f *flaky) Sign(ctx context.Context, message []byte) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tries[sha256.Sum256(message)]++
	if f.gone {
		return nil, errors.New("the token is not in the reader")
	}
	return f.Signer.Sign(ctx, message)
}

func (f *flaky) set(gone bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gone = gone
}

// most is how often one and the same thing was to be signed.
func (f *flaky) most() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, tries := range f.tries {
		n = max(n, tries)
	}
	return n
}

// TestLosingTheSigner: while the key is out of reach decisions wait, beyond
// the number of attempts that would make a message a dead letter. Once it is
// back every one of them has its verdict.
func TestLosingTheSigner(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s, err := New(f.config, "0.1.0", f.bus, f.store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	lost := &flaky{Signer: signer.NewFile(f.key), gone: true, tries: map[[32]byte]int{}}
	s.signing.open = func(context.Context, string, signer.Options) (signer.Signer, error) { return lost, nil }
	if err := s.signing.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.run(t, s)
	var artifacts []event.Artifact
	for range 12 {
		a := artifact(t, []byte("x"), nil)
		artifacts = append(artifacts, a)
		f.publish(t, decisionOn(a, event.Deny))
	}
	const attempts = 5 // of bus.Consumer.MaxAttempts
	bustest.Eventually(t, "more tries than there are attempts", func() bool { return lost.most() > attempts })
	f.checkNoVerdicts(t, artifacts)
	lost.set(false)
	for _, a := range artifacts {
		f.checkVerdict(t, &a, event.Deny)
	}
	f.checkNoDeadLetters(t)
}

// awaitRedelivery waits until a decision came a second time.
func (f *fixture) awaitRedelivery(t *testing.T) {
	t.Helper()
	bustest.Eventually(t, "the decision came a second time", func() bool {
		c, err := f.bus.JetStream().Consumer(t.Context(), bus.Events, bus.DurableAttest)
		if err != nil {
			return false
		}
		info, err := c.Info(t.Context())
		return err == nil && info.NumRedelivered > 0
	})
}

func (f *fixture) checkNoVerdicts(t *testing.T, artifacts []event.Artifact) {
	t.Helper()
	for _, a := range artifacts {
		subject := event.VerdictSubject(event.Deny, a.Registry, "npm", a.Run)
		if m, err := f.bus.Last(t.Context(), subject); !errors.Is(err, bus.ErrNotFound) {
			t.Errorf("%s: %v, %v", subject, m, err)
		}
	}
}

func (f *fixture) checkNoDeadLetters(t *testing.T) {
	t.Helper()
	if _, last, err := f.bus.Sequences(t.Context(), bus.Dead); err != nil || last != 0 {
		t.Errorf("%d dead letters, %v", last, err)
	}
}

// TestRotatingWhileItRuns: the service goes on with the successor of its key
// by itself; while no key may sign, decisions wait.
func TestRotatingWhileItRuns(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dir := NewKeyDir(t.TempDir(), SignerOptions{})
	if err := dir.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.config.Keys, f.config.KeySet = nil, dir.dir.Path(".")
	f.start(t)
	var old []*event.Verdict
	decide := func() *event.Decision { return decisionOn(artifact(t, []byte("x"), nil), event.Deny) }
	// check waits for the verdict, which must count for those who have the
	// newest key set, and returns it.
	check := func(d *event.Decision, keys int) *event.Verdict {
		t.Helper()
		newest := history(t, dir).Newest()
		var v event.Verdict
		f.await(t, event.VerdictSubject(event.Deny, d.Artifact.Registry, "npm", d.Run), &v)
		verified, err := VerifyVerdict(newest, v.Envelope, time.Now())
		if err != nil || v.KeyVersion != newest.Version || verified.KeyVersion != v.KeyVersion || len(verified.KeyIDs) != keys {
			t.Errorf("verdict by version %d: %+v, %v", v.KeyVersion, verified, err)
		}
		return &v
	}
	d := decide()
	f.publish(t, d)
	old = append(old, check(d, 1))

	// Once two keys sign, a rotation makes two again.
	for _, hybrid := range []bool{false, true, false} {
		if _, err := dir.Rotate(t.Context(), nil, hybrid, KeyChange{}); err != nil {
			t.Fatal(err)
		}
		d = decide()
		f.publish(t, d)
		old = append(old, check(d, len(history(t, dir).Newest().Active())))
	}

	// Without an active key there are no verdicts. What waited gets one.
	for _, k := range history(t, dir).Newest().Active() {
		if _, err := dir.Revoke(t.Context(), k.KeyID, KeyChange{Reason: "lost"}); err != nil {
			t.Fatal(err)
		}
	}
	d = decide()
	f.publish(t, d)
	f.awaitRedelivery(t)
	f.checkNoVerdicts(t, []event.Artifact{d.Artifact})
	if _, err := dir.Rotate(t.Context(), nil, false, KeyChange{}); err != nil {
		t.Fatal(err)
	}
	check(d, 2)
	f.checkNoDeadLetters(t)
	for i, want := range []bool{true, true, true, false} { // the last one's keys are revoked
		if _, err := VerifyVerdict(history(t, dir).Newest(), old[i].Envelope, time.Now()); (err == nil) != want || errors.Is(err, ErrUntrusted) {
			t.Errorf("verdict %d after everything: %v", i, err)
		}
	}
}

// TestDecisionsThatWaitedTooLong: what is older than the keys that sign will
// never have a verdict, and does not wait for one.
func TestDecisionsThatWaitedTooLong(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dir := NewKeyDir(t.TempDir(), SignerOptions{})
	if err := dir.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.config.Keys, f.config.KeySet = nil, dir.dir.Path(".")
	f.start(t)
	decide := func(days int) *event.Decision {
		d := decisionOn(artifact(t, []byte("x"), nil), event.Deny)
		d.Time = time.Now().AddDate(0, 0, -days)
		f.publish(t, d)
		return d
	}
	signed := func(d *event.Decision) {
		t.Helper()
		var v event.Verdict
		f.await(t, event.VerdictSubject(event.Deny, d.Artifact.Registry, "npm", d.Run), &v)
		if _, err := VerifyVerdict(history(t, dir).Newest(), v.Envelope, time.Now()); err != nil {
			t.Errorf("decision of %s: %v", d.Time, err)
		}
	}
	signed(decide(400)) // the first key has no beginning
	if _, err := dir.Rotate(t.Context(), nil, true, KeyChange{}); err != nil {
		t.Fatal(err)
	}
	signed(decide(29))
	f.checkNoDeadLetters(t)
	old := decide(31)
	var letter event.DeadLetter
	bustest.Eventually(t, "a dead letter", func() bool {
		m, err := f.bus.Last(t.Context(), event.DeadSubject("sign"))
		return err == nil && event.Decode(m.Event, &letter) == nil
	})
	if !strings.Contains(letter.Reason, "examine the artifact again") || letter.Attempts != 1 {
		t.Errorf("dead letter after %d attempts: %s", letter.Attempts, letter.Reason)
	}
	f.checkNoVerdicts(t, []event.Artifact{old.Artifact})
	signed(decide(0))
}

func history(t *testing.T, d KeyDir) KeyHistory {
	t.Helper()
	h, err := d.Load()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestKeySetRefusals: a service does not start with keys whose verdicts those
// who have the key set would refuse.
func TestKeySetRefusals(t *testing.T) {
	f := newFixture(t)
	dir := NewKeyDir(t.TempDir(), SignerOptions{})
	if err := dir.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	first, folder := dir.dir.Path(firstKey), dir.dir.Path(".")
	if _, err := dir.Rotate(t.Context(), nil, true, KeyChange{}); err != nil {
		t.Fatal(err)
	}
	var active []string
	for _, k := range history(t, dir).Newest().Active() {
		reference, err := dir.dir.Reference(k.KeyID)
		if err != nil {
			t.Fatal(err)
		}
		active = append(active, reference)
	}
	expired := NewKeyDir(t.TempDir(), SignerOptions{})
	expired.now = func() time.Time { return time.Now().Add(-48 * time.Hour) }
	for _, name := range []string{firstKey, rootKey} {
		if err := os.Link(dir.dir.Path(name), expired.dir.Path(name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := expired.Init(t.Context(), []string{expired.dir.Path(firstKey)}, 1, KeyChange{Lifetime: time.Hour}); err != nil {
		t.Fatal(err)
	}
	revoked := NewKeyDir(t.TempDir(), SignerOptions{})
	if err := revoked.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := revoked.Revoke(t.Context(), history(t, revoked).Newest().Keys[0].KeyID, KeyChange{Reason: "lost"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, keySet string
		keys         []string
		want         string // of the error, "" for none
	}{
		{"what the set says", folder, nil, ""},
		{"the active keys, by name", folder, active, ""},
		{"the active keys and one file of the set", dir.dir.Path("keys.json"), active, ""},
		{"no set, any key", "", []string{first}, ""},
		{"a stranger", folder, f.config.Keys, "ASSIZE_SIGN_KEY: key SHA256:"},
		{"a retired key", folder, []string{first}, "is retired"},
		{"one of two", folder, active[:1], "only together"},
		{"the wrong order", folder, []string{active[1], active[0]}, "name an Ed25519"},
		{"one file of the set, no keys", dir.dir.Path("keys.json"), nil, "ASSIZE_SIGN_KEY: not set, and ASSIZE_KEYSET is a file"},
		{"no such set", folder + ".not", nil, "ASSIZE_KEYSET: "},
		{"an empty directory", t.TempDir(), nil, "ASSIZE_KEYSET: "},
		{"an expired set", expired.dir.Path("."), nil, "ASSIZE_KEYSET: the key set has expired"},
		{"a revoked key", revoked.dir.Path("."), []string{revoked.dir.Path(firstKey)}, "is revoked"},
		{"a set without an active key", revoked.dir.Path("."), nil, "no active key"},
		{"a key that is not there", folder, []string{first + ".not"}, "ASSIZE_SIGN_KEY: "},
	} {
		config := f.config
		config.Keys, config.KeySet = c.keys, c.keySet
		_, err := New(config, "0.1.0", f.bus, f.store, slog.New(slog.DiscardHandler))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestRetiredWhileItRuns: a service that was told which keys to use stops
// using them once its key set says so, and a set that is no successor of the
// one it knows changes nothing.
func TestRetiredWhileItRuns(t *testing.T) {
	f := newFixture(t)
	dir := NewKeyDir(t.TempDir(), SignerOptions{})
	if err := dir.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	handedOut := filepath.Join(t.TempDir(), "keys.json")
	hand := func(d KeyDir) {
		t.Helper()
		data, err := os.ReadFile(d.dir.Path("keys.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(handedOut+".new", data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(handedOut+".new", handedOut); err != nil {
			t.Fatal(err)
		}
	}
	hand(dir)
	f.config.Keys, f.config.KeySet = []string{dir.dir.Path(firstKey)}, handedOut
	s, err := New(f.config, "0.1.0", f.bus, f.store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	may := func(want string) {
		t.Helper()
		_, err := s.signing.forDecision(t.Context(), time.Now())
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	may("")
	other := NewKeyDir(t.TempDir(), SignerOptions{})
	if err := other.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	hand(other)
	may("another history")
	hand(dir)
	may("")
	if _, err := dir.Rotate(t.Context(), nil, false, KeyChange{}); err != nil {
		t.Fatal(err)
	}
	may("")
	hand(dir)
	may("is retired")
	if err := os.Remove(handedOut); err != nil {
		t.Fatal(err)
	}
	may("no such file")
}

// TestSoftHSM: a token signs a verdict end to end. While it is away decisions
// wait, and none is lost.
func TestSoftHSM(t *testing.T) {
	var module string
	for _, pattern := range []string{os.Getenv("SOFTHSM2_MODULE"), "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"} {
		if found, err := filepath.Glob(pattern); err == nil && len(found) > 0 {
			module = found[0]
			break
		}
	}
	for _, program := range []string{"softhsm2-util", "gcc", "go"} {
		if _, err := exec.LookPath(program); err != nil || module == "" {
			t.Skip("softhsm2-util, libsofthsm2.so, gcc or go is not installed")
		}
	}
	dir := t.TempDir()
	command := func(workdir, name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Env = workdir, append(os.Environ(), "GOWORK=off", "CGO_ENABLED=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	command("cmd/sigstore-kms-assize-pkcs11", "go", "build", "-o", dir+string(filepath.Separator), ".")
	tokens, conf, keyFile := filepath.Join(dir, "tokens"), filepath.Join(dir, "softhsm2.conf"), filepath.Join(dir, "key.pem")
	if err := os.Mkdir(tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string][]byte{
		conf: []byte("directories.tokendir = " + tokens + "\nlog.level = ERROR\n"), keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("SOFTHSM2_CONF", conf)
	t.Setenv("ASSIZE_PKCS11_MODULE", module)
	t.Setenv("ASSIZE_PKCS11_PIN", "1234")
	t.Setenv("ASSIZE_PKCS11_PIN_FILE", "")
	command(dir, "softhsm2-util", "--init-token", "--free", "--label", "assize", "--pin", "1234", "--so-pin", "5678")
	command(dir, "softhsm2-util", "--import", keyFile, "--token", "assize", "--label", "verdicts", "--id", "01", "--pin", "1234")

	// The key set is made with the token too, and a post-quantum key in a
	// file signs beside it.
	set := NewKeyDir(t.TempDir(), SignerOptions{})
	if err := set.ensureKey(rootKey); err != nil {
		t.Fatal(err)
	}
	quantum, err := set.generate(keys.GenerateMLDSA)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.Init(t.Context(), []string{"assize-pkcs11://assize/verdicts", quantum}, 1, KeyChange{}); err != nil {
		t.Fatal(err)
	}

	f := newFixture(t)
	if f.key, err = keys.FromSigner(key); err != nil {
		t.Fatal(err)
	}
	f.config.Keys, f.config.KeySet = nil, set.dir.Path(".")
	f.start(t)
	check := func(a *event.Artifact) {
		t.Helper()
		v := f.checkVerdict(t, a, event.Deny)
		if verified, err := VerifyVerdict(history(t, set).Newest(), v.Envelope, time.Now()); err != nil || len(verified.KeyIDs) != 2 {
			t.Errorf("%+v, %v", verified, err)
		}
	}
	a := artifact(t, []byte("x"), nil)
	f.publish(t, decisionOn(a, event.Deny))
	check(&a)

	if err := os.Rename(tokens, tokens+".away"); err != nil {
		t.Fatal(err)
	}
	var waiting []event.Artifact
	for range 4 {
		a := artifact(t, []byte("x"), nil)
		waiting = append(waiting, a)
		f.publish(t, decisionOn(a, event.Deny))
	}
	f.awaitRedelivery(t)
	f.checkNoVerdicts(t, waiting)
	if err := os.Rename(tokens+".away", tokens); err != nil {
		t.Fatal(err)
	}
	for _, a := range waiting {
		check(&a)
	}
	f.checkNoDeadLetters(t)
}
