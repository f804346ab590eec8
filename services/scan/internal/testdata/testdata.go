// Package testdata finds the real-world files that tests of this service are
// also held against, where a checkout has them.
package testdata

import (
	"os"
	"path/filepath"
	"testing"
)

// Dir is the folder that ASSIZE_TESTDATA names, or ../shared/data of a parent
// folder. The test is skipped where there is none.
func Dir(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("ASSIZE_TESTDATA"); dir != "" {
		if _, err := os.Stat(dir); err != nil {
			t.Fatalf("ASSIZE_TESTDATA: %v", err)
		}
		return dir
	}
	at, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for parent := filepath.Dir(at); parent != at; at, parent = parent, filepath.Dir(parent) {
		if dir := filepath.Join(at, "shared", "data"); isDir(dir) {
			return dir
		}
		if dir := filepath.Join(parent, "shared", "data"); isDir(dir) {
			return dir
		}
	}
	t.Skip("no test data: set ASSIZE_TESTDATA to the folder with osv, packages, hostile and pspf")
	return ""
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
