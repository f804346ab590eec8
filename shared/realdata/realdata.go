// Package realdata finds the real packages, signatures and advisories that
// tests are also held against, where a checkout has them. It is shared because
// the tests of every service use some.
package realdata

import (
	"os"
	"path/filepath"
	"testing"
)

// Dir is the folder that ASSIZE_TESTDATA names, or shared/data beside or above
// the repository. The test is skipped where there is none.
func Dir(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("ASSIZE_TESTDATA"); dir != "" {
		if !isDir(dir) {
			t.Fatalf("ASSIZE_TESTDATA: %s is no directory", dir)
		}
		return dir
	}
	at, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for parent := filepath.Dir(at); parent != at; at, parent = parent, filepath.Dir(parent) {
		if dir := filepath.Join(parent, "shared", "data"); isDir(dir) {
			return dir
		}
	}
	t.Skip("no real test data: set ASSIZE_TESTDATA to the folder with packages, signatures, pspf, osv")
	return ""
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
