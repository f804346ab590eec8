package scan

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"assize.dev/services/scan/internal/testdata"
	"assize.dev/shared/blob"
	"assize.dev/shared/config"
	"assize.dev/shared/event"
	"assize.dev/shared/evidence"
	"assize.dev/shared/realdata"
)

// input is what the service would hand to an analyser for these bytes.
func input(t *testing.T, name, format string, data []byte) evidence.Input {
	t.Helper()
	return evidence.Input{
		Artifact: event.Artifact{Filename: name, Format: format},
		Bytes: func(ctx context.Context) (*blob.File, error) {
			s, err := blob.Spool(ctx, t.TempDir(), bytes.NewReader(data), 1<<30)
			if err != nil {
				return nil, err
			}
			return &s.File, nil
		},
	}
}

func analyse(t *testing.T, a evidence.Analyser, in evidence.Input) *evidence.Answer {
	t.Helper()
	answer, err := a.Analyse(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestAnalysers(t *testing.T) {
	secrets, err := NewSecrets([]byte(strings.Repeat("k", 16)))
	if err != nil {
		t.Fatal(err)
	}
	password := "tr0ub" + "4dor&3x"
	data := []byte("user=a\nDB_PASSWORD=" + password + "\n")
	answer := analyse(t, secrets, input(t, "settings.env", "unknown", data))
	if answer.Status != event.Complete || len(answer.Findings) != 1 || answer.Findings[0].Line != 2 || answer.Findings[0].Class != event.ClassSecret {
		t.Errorf("secrets: %+v", answer)
	}
	if text, err := json.Marshal(answer); err != nil || bytes.Contains(text, []byte(password)) {
		t.Errorf("the answer holds the password: %v", err)
	}
	answer = analyse(t, NewContent(), input(t, "settings.env", "unknown", data))
	if answer.Status != event.Complete || len(answer.Findings) != 0 {
		t.Errorf("content: %+v", answer)
	}
	answer = analyse(t, NewVulnerabilities(new(Advisories)), evidence.Input{})
	if answer.Status != event.Failed || !strings.Contains(answer.Reason, "ASSIZE_ADVISORIES") {
		t.Errorf("vulnerabilities: %+v", answer)
	}
	kinds := []event.Kind{secrets.Kind(), NewContent().Kind(), NewVulnerabilities(new(Advisories)).Kind()}
	if fmt.Sprint(kinds) != fmt.Sprint([]event.Kind{event.KindSecrets, event.KindContent, event.KindVulnerabilities}) {
		t.Errorf("kinds %v", kinds)
	}
}

func TestBytesUnreachable(t *testing.T) {
	secrets, err := NewSecrets([]byte(strings.Repeat("k", 16)))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []evidence.Analyser{secrets, NewContent()} {
		_, err := a.Analyse(context.Background(), evidence.Input{Bytes: func(context.Context) (*blob.File, error) { return nil, blob.ErrNotFound }})
		if err == nil {
			t.Errorf("%s: no error although the bytes cannot be had", a.Kind())
		}
	}
}

func TestConfig(t *testing.T) {
	for _, bad := range []Config{{Workers: -1}, {Workers: 5000}, {SecretsKey: config.Secret("short")}} {
		if err := bad.Validate(); err == nil {
			t.Errorf("%+v is valid", bad)
		}
	}
	if err := (&Config{}).Validate(); err != nil {
		t.Errorf("the zero value must be useful: %v", err)
	}
	if _, err := NewSecrets(nil); err == nil {
		t.Error("an empty key was taken")
	}
}

// TestRealPackages scans real packages: no secret, nothing partial.
func TestRealPackages(t *testing.T) {
	secrets, err := NewSecrets([]byte(strings.Repeat("k", 16)))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(realdata.Dir(t), "packages")
	n := 0
	err = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) == ".json" {
			return err
		}
		if n++; testdata.Race && n%4 != 0 {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		answer := analyse(t, secrets, input(t, filepath.Base(path), "unknown", data))
		if answer.Status != event.Complete {
			t.Errorf("%s: %s %s", path, answer.Status, answer.Reason)
		}
		for _, f := range answer.Findings {
			t.Logf("%s: %s %s %s:%d %s", e.Name(), f.ID, f.Severity, f.Location, f.Line, f.Message)
		}
		return nil
	})
	if err != nil || n < 15 {
		t.Errorf("%d packages, %v", n, err)
	}
}
