package storetest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// build returns the path of the server's program, which is built unless the
// user's cache has it for the same sources and toolchain.
func build(t testing.TB) string {
	t.Helper()
	source := sourceFolder(t)
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	folder := filepath.Join(cache, "assize-test", "store-"+hashSource(t, source))
	program := filepath.Join(folder, "store")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatalf("preparing to build the S3 server: %v", err)
	}
	// Packages are tested in parallel: one builds, the others wait for it.
	unlock := lock(t, filepath.Join(folder, "lock"))
	defer unlock()
	if _, err := os.Stat(program); err == nil {
		return program
	}
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skipf("skipped: no go command to build the S3 server with: %v", err)
	}
	// As deploy/images.sh builds it, so that one fills the cache for the other.
	command := exec.Command(tool, "build", "-trimpath", "-o", program+".new", ".")
	command.Dir = source
	command.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("building the S3 server: %v\n%s", err, output)
	}
	if err := os.Rename(program+".new", program); err != nil {
		t.Fatalf("building the S3 server: %v", err)
	}
	return program
}

// sourceFolder is deploy/store in the folder above that has it.
func sourceFolder(t testing.TB) string {
	t.Helper()
	at, err := os.Getwd()
	if err != nil {
		t.Fatalf("looking for deploy/store: %v", err)
	}
	for {
		folder := filepath.Join(at, "deploy", "store")
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder
		}
		if filepath.Dir(at) == at {
			t.Fatal("deploy/store is in no folder above this one")
		}
		at = filepath.Dir(at)
	}
}

func hashSource(t testing.TB, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatalf("hashing the S3 server's sources: %v", err)
	}
	sum := sha256.New()
	fmt.Fprintln(sum, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, file := range append(files, filepath.Join(folder, "go.mod"), filepath.Join(folder, "go.sum")) {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("hashing the S3 server's sources: %v", err)
		}
		fmt.Fprintf(sum, "%s %d\n", filepath.Base(file), len(content))
		sum.Write(content)
	}
	return hex.EncodeToString(sum.Sum(nil))[:20]
}

func lock(t testing.TB, file string) (unlock func()) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		t.Fatalf("waiting for the S3 server to be built: %v", err)
	}
	return func() { _ = f.Close() } // which unlocks
}
