package verdict

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"assize.dev/shared/config"
)

// The examples of docs/policy.md are policies and cases that load.
func TestPolicyDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```(yaml|rego)\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 5 {
		t.Fatalf("%d examples, want 5", len(blocks))
	}
	for _, b := range blocks {
		if strings.Contains(b[2], "evidence: leaky") {
			var c PolicyCase
			if err := config.ParseYAML([]byte(b[2]), &c); err != nil || c.Reasons["secret/live"] != "github_token" {
				t.Errorf("%+v, %v", c, err)
			}
			continue
		}
		file := filepath.Join(t.TempDir(), "policy."+b[1])
		if err := os.WriteFile(file, []byte(b[2]), 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := LoadPolicy(t.Context(), file)
		if err != nil {
			t.Errorf("%s:\n%v", b[2], err)
			continue
		}
		d, _, err := Decide(t.Context(), p, clean().toCase(t))
		if err != nil || d.Reasons[0].Rule == "policy/error" {
			t.Errorf("%s: %+v, %v", b[1], d, err)
		}
	}
}

func TestTestPolicyRefuses(t *testing.T) {
	dir := t.TempDir()
	p, err := LoadPolicy(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"escapes.case.yaml": "evidence: ../../etc/passwd\ndecision: allow\n",
		"asks.case.yaml":    "evidence: record.json\n",
		"gone.case.yaml":    "evidence: gone.json\ndecision: allow\n",
		"broken.case.yaml":  "evidence: broken.json\ndecision: allow\n",
		"broken.json":       "{}",
		"record.json":       "",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, record, err := Decide(t.Context(), p, clean().toCase(t))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "record.json"), record, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	tests, err := TestPolicy(t.Context(), p, dir)
	if err != nil || len(tests) != 4 {
		t.Fatalf("%+v, %v", tests, err)
	}
	for i, want := range []string{"asks for nothing", "artifact", "want the name of a record beside", "no such file"} {
		if tests[i].Result != TestFailed || !strings.Contains(tests[i].Problem, want) {
			t.Errorf("%+v, want %q", tests[i], want)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "bad_test.rego"), []byte("package x\ntest_a if {"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := TestPolicy(t.Context(), p, dir); err == nil || !strings.Contains(err.Error(), "bad_test.rego") {
		t.Errorf("%v", err)
	}
}
