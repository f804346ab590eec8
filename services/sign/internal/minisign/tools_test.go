package minisign

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"assize.dev/shared/realdata"
)

func run(t *testing.T, dir, tool string, args ...string) error {
	t.Helper()
	cmd := exec.Command(tool, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	t.Logf("%s %q: %v\n%s", tool, args, err, out)
	return err
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func parseKey(t *testing.T, text string) PublicKey {
	t.Helper()
	k, err := ParsePublicKey([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestMinisign takes what the real program signs, and gives it what is signed
// here.
func TestMinisign(t *testing.T) {
	if _, err := exec.LookPath("minisign"); err != nil {
		t.Skip("no minisign")
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), string(message))
	if err := run(t, dir, "minisign", "-G", "-W", "-p", "a.pub", "-s", "a.key"); err != nil {
		t.Fatal(err)
	}
	key := parseKey(t, read(t, dir, "a.pub"))
	if !key.minisign || key.Comment() != "minisign public key "+key.Signer() {
		t.Errorf("%+v", key)
	}
	if _, err := ParsePublicKey([]byte(read(t, dir, "a.key"))); err != ErrSecretKey {
		t.Errorf("secret key: %v", err)
	}
	for name, args := range map[string][]string{"hashed": {"-H"}, "legacy": {"-l"}, "comment": {"-t", "seq 42"}} {
		if err := run(t, dir, "minisign", append(args, "-S", "-s", "a.key", "-m", "file", "-x", name)...); err != nil {
			t.Fatal(err)
		}
		sig := read(t, dir, name)
		r := verify(t, message, sig, key)
		if recent := time.Since(r.Time) < time.Hour; !r.Valid || r.Kind != "minisign" || r.Signer != key.Signer() || recent == (name == "comment") {
			t.Errorf("%s: %+v", name, r)
		}
		if r := verify(t, message[1:], sig, key); r.Valid {
			t.Errorf("%s, changed: %+v", name, r)
		}
	}

	write(t, filepath.Join(dir, "own.pub"), publicFile("x", "a", id))
	good := byMinisign("a", message, comment, true)
	for name, sig := range map[string]string{
		"good": good, "legacy": byMinisign("a", message, comment, false), "comment changed": strings.Replace(good, "17", "18", 1),
		"cut": bySignify("a", message), "other key": byMinisign("b", message, comment, true), "other content": byMinisign("a", nil, comment, true),
	} {
		write(t, filepath.Join(dir, "sig"), sig)
		err := run(t, dir, "minisign", "-V", "-p", "own.pub", "-m", "file", "-x", "sig")
		if r := verify(t, message, sig, publicKey(t, "minisign public key", "a", id)); r.Valid != (err == nil) {
			t.Errorf("%s: %+v, minisign says %v", name, r, err)
		}
	}
}

func TestSignify(t *testing.T) {
	signify := "signify-openbsd"
	if _, err := exec.LookPath(signify); err != nil {
		t.Skip("no signify-openbsd")
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), string(message))
	for _, args := range [][]string{
		{"-G", "-n", "-p", "a.pub", "-s", "a.sec", "-c", "demo"},
		{"-S", "-s", "a.sec", "-m", "file", "-x", "sig"},
		{"-S", "-e", "-s", "a.sec", "-m", "file", "-x", "embedded"},
	} {
		if err := run(t, dir, signify, args...); err != nil {
			t.Fatal(err)
		}
	}
	key := parseKey(t, read(t, dir, "a.pub"))
	if key.minisign || key.Comment() != "demo public key" {
		t.Errorf("%+v", key)
	}
	if _, err := ParsePublicKey([]byte(read(t, dir, "a.sec"))); err != ErrSecretKey {
		t.Errorf("secret key: %v", err)
	}
	if r := verify(t, message, read(t, dir, "sig"), key); !r.Valid || r.Kind != "signify" || r.Signer != key.Signer() {
		t.Errorf("%+v", r)
	}
	if r := verify(t, message[1:], read(t, dir, "sig"), key); r.Valid {
		t.Errorf("changed: %+v", r)
	}
	if r := verify(t, message, read(t, dir, "embedded"), key); r.Valid || !strings.Contains(r.Reason, "signify -e") {
		t.Errorf("embedded: %+v", r)
	}
	write(t, filepath.Join(dir, "own.pub"), publicFile("x", "a", id))
	for name, sig := range map[string]string{"good": bySignify("a", message), "other key": bySignify("b", message), "other content": bySignify("a", nil)} {
		write(t, filepath.Join(dir, "sig"), sig)
		err := run(t, dir, signify, "-V", "-p", "own.pub", "-m", "file", "-x", "sig")
		if r := verify(t, message, sig, publicKey(t, "x", "a", id)); r.Valid != (err == nil) {
			t.Errorf("%s: %+v, signify says %v", name, r, err)
		}
	}
}

// TestRealSamples verifies signatures made with both programs elsewhere.
func TestRealSamples(t *testing.T) {
	dir := filepath.Join(realdata.Dir(t), "signatures", "rawkeys")
	tried := map[string]bool{}
	for text := range strings.Lines(read(t, dir, "manifest.jsonl")) {
		var c struct{ Kind, Signature, Artifact, Key, Want string }
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			t.Fatal(err)
		}
		if c.Kind != kindMinisign && c.Kind != kindSignify {
			continue
		}
		tried[c.Kind] = true
		key := parseKey(t, read(t, dir, c.Key))
		r := verify(t, []byte(read(t, dir, c.Artifact)), read(t, dir, c.Signature), key)
		if r.Valid != (c.Want == "accept") || r.Kind != c.Kind || r.Signer != key.Signer() {
			t.Errorf("%s: %+v, want %s", text, r, c.Want)
		}
	}
	if len(tried) != 2 {
		t.Errorf("the manifest has %v only", tried)
	}
}
