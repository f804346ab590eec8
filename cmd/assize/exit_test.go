package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The exit codes are a contract with scripts.
func TestExitCodes(t *testing.T) {
	t.Setenv("ASSIZE_DATA_DIR", t.TempDir())
	t.Setenv("ASSIZE_LOG_LEVEL", "error")
	note := filepath.Join(t.TempDir(), "note.txt")
	if err := os.WriteFile(note, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		want int
	}{
		{"help", []string{"--help"}, exitPass},
		{"version", []string{"version"}, exitPass},
		{"no command", nil, exitError},
		{"unknown command", []string{"frobnicate"}, exitError},
		{"unknown flag", []string{"check", "--frobnicate", note}, exitError},
		{"hold", []string{"check", note}, exitUndetermined},
		{"an error counts more than a hold", []string{"check", note, note + ".not"}, exitError},
		{"the log is whole", []string{"audit", "verify"}, exitPass},
		{"no log is not", []string{"audit", "verify", "--data", t.TempDir()}, exitError},
	} {
		var stdout, stderr bytes.Buffer
		if got := execute(c.args, &stdout, &stderr); got != c.want {
			t.Errorf("%s: exit %d, want %d\n%s%s", c.name, got, c.want, stdout.String(), stderr.String())
		}
	}
}

func TestWorse(t *testing.T) {
	order := []int{exitPass, exitUndetermined, exitFail, exitError}
	for i, a := range order {
		for j, b := range order {
			if got, want := worse(a, b), order[max(i, j)]; got != want {
				t.Errorf("worse(%d, %d) = %d, want %d", a, b, got, want)
			}
		}
	}
}
