package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// up is a running assize up.
type up struct {
	t          testing.TB
	data       string
	http, nats string
	args       []string
	cmd        *exec.Cmd
	log        bytes.Buffer
}

func startUp(t testing.TB) *up {
	t.Helper()
	advisories := filepath.Join(t.TempDir(), "advisories")
	writeAdvisories(t, advisories)
	u := &up{t: t, data: t.TempDir(), http: freeAddress(t), nats: freeAddress(t)}
	u.args = []string{"up", "--data", u.data, "--http", u.http, "--nats", u.nats, "--advisories", advisories}
	t.Cleanup(func() {
		u.kill()
		if t.Failed() {
			t.Logf("assize up said:\n%s", tail(u.log.Bytes(), 4000))
		}
	})
	u.start()
	return u
}

func (u *up) start() {
	u.t.Helper()
	u.cmd = exec.Command(filepath.Join(binaries(u.t), "assize"), u.args...)
	u.cmd.Stdout, u.cmd.Stderr = &u.log, &u.log
	if err := u.cmd.Start(); err != nil {
		u.t.Fatal(err)
	}
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get("http://" + u.http + "/readyz")
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
	}
	u.t.Fatal("assize up is not ready")
}

func (u *up) kill() {
	_ = u.cmd.Process.Kill()
	_ = u.cmd.Wait()
}

// assize runs another command against it.
func (u *up) assize(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(binaries(u.t), "assize"), args...)
	cmd.Env = append(os.Environ(), "ASSIZE_URL=http://"+u.http, "ASSIZE_NATS_URL=nats://"+u.nats, "ASSIZE_DATA_DIR="+u.data)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("assize %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out), err
}

// What a person does with a standing Assize: submit, watch, audit, stop. A
// SIGKILL in between costs nothing.
func TestUp(t *testing.T) {
	t.Parallel()
	u := startUp(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()

	dir := t.TempDir()
	const n = 12
	var files []string
	for i := range n {
		name, body := npmPackage(i)
		file := filepath.Join(dir, name+".tgz")
		if err := os.WriteFile(file, body, 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	out, err := u.assize(ctx, append([]string{"submit", "--json"}, files[:n/2]...)...)
	if err != nil || strings.Count(out, `"run":`) != n/2 {
		t.Fatalf("submit: %v\n%s", err, out)
	}
	u.kill() // in the middle of the work
	u.start()
	if out, err = u.assize(ctx, append([]string{"submit"}, files[n/2:]...)...); err != nil {
		t.Fatalf("submit: %v\n%s", err, out)
	}

	seen := u.watch(ctx, n)
	for i := range n {
		name, _ := npmPackage(i)
		want := "allow"
		if vulnerable(i) {
			want = "deny"
		}
		if got := seen[name+".tgz"]; got != want {
			t.Errorf("%s: %q, want %s", name, got, want)
		}
	}

	resp, err := http.Get("http://" + u.http + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	metrics, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if !bytes.Contains(metrics, []byte("messaging_")) || !bytes.Contains(metrics, []byte("assize_bus_consumer_pending")) {
		t.Errorf("/metrics says nothing about messages:\n%.500s", metrics)
	}

	// The log is written a moment behind.
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		out, err = u.assize(ctx, "audit", "log", "--type", "dev.assize.verdict.v1")
		if err == nil && strings.Count(out, "\n") == n {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("audit log: %v: %d verdicts, want %d", err, strings.Count(out, "\n"), n)
		}
	}

	// It drains and ends by itself, and what it leaves holds.
	if err := u.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- u.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("assize up ended with %v", err)
		}
	case <-time.After(40 * time.Second):
		t.Fatal("assize up does not end after SIGTERM")
	}
	if out, err = u.assize(ctx, "audit", "verify"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// watch reads the feed from its beginning until n verdicts have come, and
// returns the decision by file name. The signatures are verified.
func (u *up) watch(ctx context.Context, n int) map[string]string {
	u.t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(binaries(u.t), "assize"), "watch", "--json", "--all",
		"--nats", "nats://"+u.nats, "--key", filepath.Join(u.data, "keys", "assize.pub"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		u.t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		u.t.Fatal(err)
	}
	seen := map[string]string{}
	for dec := json.NewDecoder(out); len(seen) < n; {
		var v verdictLine
		if err := dec.Decode(&v); err != nil {
			u.t.Errorf("watch ended after %d verdicts: %v", len(seen), err)
			break
		}
		if _, twice := seen[v.Artifact]; twice {
			u.t.Errorf("two verdicts of %s", v.Artifact)
		}
		seen[v.Artifact] = v.Decision
	}
	cancel()
	_ = cmd.Wait() // killed
	return seen
}
