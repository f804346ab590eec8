package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"assize.dev/services/sign"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// An envelope with a good signature must not vouch for an event that says
// something else: not another decision, and not another artifact.
func TestAWatchBelievesOnlyWhatIsSigned(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("ASSIZE_LOG_LEVEL", "error")
	note := filepath.Join(dir, "note.txt")
	if err := os.WriteFile(note, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := execute([]string{"check", "--json", "--data", dir, note}, &stdout, &stderr); code != exitUndetermined {
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
	keys, err := sign.LoadPublicKeys(dataDir(dir).publicKey())
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
		v := event.Verdict{
			Run: r.Run, Registry: "local", Artifact: digest.Of([]byte("text")), Decision: event.Hold,
			Grade: event.Grade(r.Grade), Envelope: envelope, Name: "claimed", PURL: "pkg:npm/claimed@1",
		}
		change(&v)
		if err := signedWords(keys[0].Key, &v); (err == nil) != (name == "") {
			t.Errorf("%q changed: %v", name, err)
		} else if err == nil && (v.Name != "note.txt" || v.PURL != "" || len(v.Reasons) == 0) {
			t.Errorf("unsigned words are left: %+v", v)
		}
	}
}
