package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"assize.dev/services/sign"
	"assize.dev/shared/bus"
	"assize.dev/shared/config"
	"assize.dev/shared/event"
)

// The stack of deploy/compose, built and brought up as the documentation
// says: uploads get signed verdicts, the audit log holds, and after every
// container was killed all of it is still there.
func TestComposeStack(t *testing.T) {
	t.Parallel()
	c := newContainers(t)
	c.run(10*time.Minute, "../deploy/images.sh", c.tag)
	c.run(10*time.Minute, "../deploy/compose/up.sh", "--no-build")
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()

	c.checkRefusesStrangers(ctx)
	c.checkVerdict(ctx, 1)
	c.checkVerdict(ctx, 5)
	first := c.checkAudit(ctx, 16) // of each upload eight: artifact, evidence of five kinds, decision, verdict

	c.compose(ctx, "kill")
	c.run(10*time.Minute, "../deploy/compose/up.sh", "--no-build")
	c.checkVerdict(ctx, 2)
	c.checkAudit(ctx, first+8)
}

// containers is a Compose project of a test's own.
type containers struct {
	t       *testing.T
	program []string // of Compose
	tag     string
	secrets string
	nats    string
	env     []string
	uploads *stack   // for its put
	runs    []string // of the uploads, in order
}

// newContainers chooses names and ports, and sees to it that nothing stays.
func newContainers(t *testing.T) *containers {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and starts the containers, which takes minutes; -short leaves it out")
	}
	if out, err := exec.Command("docker", "info").CombinedOutput(); err != nil {
		t.Skipf("no Docker engine to be reached: %v: %s", err, tail(bytes.TrimSpace(out), 200))
	}
	programs := installedComposes()
	if len(programs) == 0 {
		t.Skip("neither docker-compose nor the plugin of docker is installed")
	}
	dir, address, nats := t.TempDir(), freeAddress(t), freeAddress(t)
	advisories := filepath.Join(dir, "advisories")
	writeAdvisories(t, advisories)
	tag := fmt.Sprintf("e2e-%d", os.Getpid())
	c := &containers{
		t: t, program: programs[0], tag: tag, secrets: filepath.Join(dir, "secrets"), nats: nats,
		uploads: &stack{t: t, dir: dir, http: "http://" + address},
	}
	c.env = append(os.Environ(),
		"COMPOSE_PROJECT_NAME=assize-"+tag, "ASSIZE_TAG="+tag, "ASSIZE_SECRETS_DIR="+c.secrets,
		"ASSIZE_HTTP_PORT="+port(t, address), "ASSIZE_NATS_PORT="+port(t, nats),
		"ASSIZE_ADVISORIES="+advisories, "ASSIZE_TRUSTED_KEYS="+t.TempDir())
	t.Cleanup(c.remove)
	return c
}

func port(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// remove takes away what this project made, and first shows what it said if
// the test failed.
func (c *containers) remove() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if c.t.Failed() {
		out, _ := c.command(ctx, c.program[0], append(c.program[1:], "logs", "--no-color", "--tail=40")...).CombinedOutput()
		c.t.Logf("containers:\n%s", tail(out, 30000))
	}
	out, err := c.command(ctx, c.program[0], append(c.program[1:], "down", "-v", "--timeout", "10")...).CombinedOutput()
	if err != nil {
		c.t.Errorf("compose down: %v\n%s", err, out)
	}
	for _, name := range append([]string{"assize", "store"}, serviceNames...) {
		image := "assize/" + name + ":" + c.tag
		if exec.CommandContext(ctx, "docker", "image", "inspect", image).Run() != nil {
			continue // was never built
		}
		if out, err := exec.CommandContext(ctx, "docker", "image", "rm", image).CombinedOutput(); err != nil {
			c.t.Errorf("remove %s: %v\n%s", image, err, out)
		}
	}
}

// command is to be run among the compose files, as an operator would.
func (c *containers) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = composeDir, c.env
	return cmd
}

// run runs a script given relative to this folder.
func (c *containers) run(limit time.Duration, script string, args ...string) {
	c.t.Helper()
	path, err := filepath.Abs(script)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), limit)
	defer cancel()
	cmd := c.command(ctx, path, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Fatalf("%s: %v\n%s", script, errors.Join(err, ctx.Err()), tail(out, 5000))
	}
}

// compose returns what Compose prints on standard output.
func (c *containers) compose(ctx context.Context, args ...string) []byte {
	c.t.Helper()
	out, stderr, err := c.try(ctx, args...)
	if err != nil {
		c.t.Fatalf("compose %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr)
	}
	return out
}

func (c *containers) try(ctx context.Context, args ...string) (stdout, stderr []byte, err error) {
	var errors bytes.Buffer
	cmd := c.command(ctx, c.program[0], append(c.program[1:], args...)...)
	cmd.Stderr = &errors
	stdout, err = cmd.Output()
	return stdout, []byte(tail(errors.Bytes(), 3000)), err
}

func (c *containers) secret(name string) string {
	c.t.Helper()
	text, err := os.ReadFile(filepath.Join(c.secrets, name))
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func (c *containers) checkRefusesStrangers(ctx context.Context) {
	c.t.Helper()
	if run, err := c.uploads.put(ctx, "stranger", "", nil, nil); err == nil || !strings.HasPrefix(err.Error(), "401") {
		c.t.Errorf("PUT without a token: run %q, %v", run, err)
	}
	b, err := bus.Connect(ctx, bus.Config{URL: "nats://" + c.nats}, "e2e-stranger")
	if err != nil {
		return
	}
	defer b.Close()
	if err := b.Ready(ctx); err == nil {
		c.t.Error("NATS lets in whoever comes")
	}
}

// checkVerdict uploads package n and waits for its verdict, which must come
// after those of all uploads before.
func (c *containers) checkVerdict(ctx context.Context, n int) {
	t := c.t
	t.Helper()
	name, body := npmPackage(n)
	run, err := c.uploads.put(ctx, name, fmt.Sprint("compose-", n), body,
		http.Header{"Authorization": {"Bearer " + c.secret("ingest_token")}})
	if err != nil {
		t.Fatal(err)
	}
	c.runs = append(c.runs, run)
	var v event.Verdict // in the end the last
	var i int
	for i, v = range c.verdicts(ctx) {
		if v.Run != c.runs[i] {
			t.Fatalf("verdict %d is of run %s, want %s", i, v.Run, c.runs[i])
		}
	}
	want := event.Allow
	if vulnerable(n) {
		want = event.Deny
	}
	if v.Decision != want {
		t.Errorf("package %d: %s, want %s: %+v", n, v.Decision, want, v.Reasons)
	}
	keys, err := sign.LoadPublicKeys(filepath.Join(c.secrets, "sign_key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	statement, err := sign.VerifyEnvelope(keys[0].Key, v.Envelope)
	if err != nil || !statement.About(v.Artifact) {
		t.Errorf("package %d: %v, statement %+v", n, err, statement)
	}
}

// verdicts reads the feed from its beginning until there is one for every
// upload.
func (c *containers) verdicts(ctx context.Context) (all []event.Verdict) {
	t := c.t
	t.Helper()
	b, err := bus.Connect(ctx, bus.Config{
		URL: "nats://" + c.nats, User: "assize", Password: config.Secret(c.secret("nats_token")), Wait: true,
	}, "e2e")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	enough := errors.New("all are there")
	err = b.Follow(ctx, bus.Verdicts, 1, nil, func(m *bus.Message) error {
		var v event.Verdict
		if err := event.Decode(m.Event, &v); err != nil {
			return err
		}
		if all = append(all, v); len(all) == len(c.runs) {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatalf("%d verdicts, want %d: %v", len(all), len(c.runs), err)
	}
	return all
}

// checkAudit verifies the log with the CLI of the stack, once it has as many
// entries as there were events, and returns how many.
func (c *containers) checkAudit(ctx context.Context, want uint64) uint64 {
	t := c.t
	t.Helper()
	for {
		var report struct {
			OK       bool
			Entries  uint64
			Problems []json.RawMessage
		}
		// It fails as long as nothing is published; what it says tells.
		out, stderr, failed := c.try(ctx, "run", "--rm", "-T", "assize", "audit", "verify", "--json")
		if err := json.Unmarshal(out, &report); err != nil {
			t.Fatalf("%v, %v: %s%s", err, failed, out, stderr)
		}
		if !report.OK && len(report.Problems) > 0 {
			t.Fatalf("the audit log does not hold: %s", out)
		}
		if report.OK && report.Entries >= want {
			return report.Entries
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%d entries in the audit log, want %d", report.Entries, want)
		case <-time.After(time.Second):
		}
	}
}
