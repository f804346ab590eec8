package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"assize.dev/services/sign"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// An envelope with a good signature must not vouch for an event that says
// something else: not another decision, and not another artifact.
func TestAWatchBelievesOnlyWhatIsSigned(t *testing.T) {
	dir := t.TempDir()
	r, envelope := checkedNote(t, dir)
	byKey, err := (&watchCmd{Key: dataDir(dir).publicKey()}).verifier()
	if err != nil {
		t.Fatal(err)
	}
	bySet, err := (&watchCmd{Keys: dataDir(dir).keys()}).verifier()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*event.Verdict){
		"":         func(*event.Verdict) {},
		"decision": func(v *event.Verdict) { v.Decision = event.Allow },
		"grade":    func(v *event.Verdict) { v.Grade = "locked" },
		"run":      func(v *event.Verdict) { v.Run = event.NewRun() },
		"registry": func(v *event.Verdict) { v.Registry = "npm-prod" },
		"artifact": func(v *event.Verdict) { v.Artifact = digest.Of([]byte("other")) },
	} {
		for by, verify := range map[string]verdictVerifier{"key": byKey, "key set": bySet} {
			v := event.Verdict{
				Run: r.Run, Registry: "local", Artifact: digest.Of([]byte("text")), Decision: event.Hold,
				Grade: event.Grade(r.Grade), Envelope: envelope, Name: "claimed", PURL: "pkg:npm/claimed@1",
			}
			change(&v)
			if err := signedWords(verify, &v); (err == nil) != (name == "") {
				t.Errorf("by the %s, %q changed: %v", by, name, err)
			} else if err == nil && (v.Name != "note.txt" || v.PURL != "" || len(v.Reasons) == 0) {
				t.Errorf("by the %s, unsigned words are left: %+v", by, v)
			}
		}
	}
}

// A watch goes on with a new key, and no further with one that was revoked.
func TestAWatchFollowsItsKeySet(t *testing.T) {
	dir := t.TempDir()
	_, old := checkedNote(t, dir)
	folder := dataDir(dir).keys()
	file := filepath.Join(folder, "keys.json")
	watches := map[string]verdictVerifier{}
	for _, path := range []string{folder, file} {
		verify, err := (&watchCmd{Keys: path}).verifier()
		if err != nil {
			t.Fatal(err)
		}
		watches[path] = verify
	}
	check := func(what string, envelope []byte, problem string) {
		t.Helper()
		for path, verify := range watches {
			_, err := verify(envelope)
			if problem == "" && err != nil || problem != "" && (err == nil || !strings.Contains(err.Error(), problem)) {
				t.Errorf("%s, by %s: %v, want %q", what, path, err, problem)
			}
		}
	}
	change := func(args ...string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if code := execute(append(args, "--keys", folder), &stdout, &stderr); code != exitPass {
			t.Fatalf("%q: exit %d: %s", args, code, stderr.String())
		}
	}
	check("the first key", old, "")
	change("keys", "rotate", "--hybrid")
	check("the first key, retired", old, "")
	change("keys", "rotate", "--reason", "again")
	_, next := checkedNote(t, t.TempDir())
	check("another installation", next, sign.ErrUntrusted.Error())
	history, err := sign.LoadKeySet(folder)
	if err != nil {
		t.Fatal(err)
	}
	change("keys", "revoke", history.Newest().Keys[0].KeyID, "--reason", "stolen")
	check("the first key, revoked", old, "is revoked")
	for _, k := range history.Newest().Keys[1:3] { // two versions at once
		change("keys", "revoke", k.KeyID, "--reason", "stolen")
	}
	for path, problem := range map[string]string{folder: "is revoked", file: "versions between are missing"} {
		if _, err := watches[path](old); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("two versions on, by %s: %v, want %q", path, err, problem)
		}
	}
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	check("a broken set", old, "keys.json")
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	check("no set", old, "no such file")
	if _, err := (&watchCmd{Keys: folder}).verifier(); err == nil {
		t.Error("a watch began without its key set")
	}
	if verify, err := (&watchCmd{}).verifier(); err != nil || verify != nil {
		t.Errorf("nobody to trust was named: %v", err)
	}
	var stdout, stderr bytes.Buffer
	if code := execute([]string{"watch", "--key", os.Args[0], "--keys", folder}, &stdout, &stderr); code != exitError || !strings.Contains(stderr.String(), "can't be used together") {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
}

// checkedNote checks a small file with the data directory: what is printed of
// it, and the signed verdict.
func checkedNote(t *testing.T, data string) (result, []byte) {
	t.Helper()
	t.Setenv("ASSIZE_LOG_LEVEL", "error")
	note := filepath.Join(t.TempDir(), "note.txt")
	if err := os.WriteFile(note, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := execute([]string{"check", "--json", "--data", data, note}, &stdout, &stderr); code != exitUndetermined {
		t.Fatalf("exit %d: %s", code, stderr.String())
	}
	var r result
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	envelope, err := os.ReadFile(r.Verdict)
	if err != nil {
		t.Fatal(err)
	}
	return r, envelope
}
