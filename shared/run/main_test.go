package run

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"

	"assize.dev/shared/config"
)

// behaviour names what the child process that TestMain becomes shall do.
const behaviour = "ASSIZE_RUN_TEST_BEHAVIOUR"

func TestMain(m *testing.M) {
	if os.Getenv(behaviour) == "" {
		os.Exit(m.Run())
	}
	Main("child", nil, child)
}

// child stops after a line on its standard input: tests decide how long.
func child(context.Context) ([]Part, error) {
	waits := func(ctx context.Context) error {
		<-ctx.Done()
		_, err := bufio.NewReader(os.Stdin).ReadString('\n')
		return err
	}
	switch os.Getenv(behaviour) {
	case "drain":
		return []Part{{Name: "worker", Run: waits}}, nil
	case "fail":
		return []Part{{Name: "worker", Run: func(context.Context) error { return errors.New("disk full") }}}, nil
	}
	return nil, errors.New("no such store")
}

type childProcess struct {
	*exec.Cmd
	stdin io.WriteCloser
	lines chan map[string]any // of its log
}

func startChild(t *testing.T, does string) *childProcess {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &childProcess{Cmd: exec.Command(executable), lines: make(chan map[string]any, 100)}
	c.Env = []string{behaviour + "=" + does, "ASSIZE_HTTP=127.0.0.1:0"}
	if c.stdin, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill() // by its own handle; an error says it has ended
		_ = c.Wait()
	})
	go func() {
		defer close(c.lines)
		for scanner := bufio.NewScanner(stderr); scanner.Scan(); {
			var line map[string]any
			if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
				line = map[string]any{"msg": "not JSON: " + scanner.Text()}
			}
			c.lines <- line
		}
	}()
	return c
}

// logged waits for a line with the message.
func (c *childProcess) logged(t *testing.T, msg string) map[string]any {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case line, open := <-c.lines:
			if !open {
				t.Fatalf("the child ended without logging %q", msg)
			}
			if line["msg"] == msg {
				return line
			}
			t.Logf("child: %v", line)
		case <-timeout:
			t.Fatalf("the child does not log %q", msg)
		}
	}
}

func (c *childProcess) exitCode() int {
	for range c.lines { // Wait closes the pipe: read it first
	}
	_ = c.Wait()
	return c.ProcessState.ExitCode()
}

func TestSignalDrains(t *testing.T) {
	for name, sig := range map[string]os.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			c := startChild(t, "drain")
			serving := c.logged(t, "serving")
			url := "http://" + serving["address"].(string)
			if serving["service"] != "child" || serving["version"] == "" {
				t.Errorf("start is logged as %v", serving)
			}
			if code := status(t, url+"/readyz"); code != 200 {
				t.Errorf("/readyz: %d", code)
			}
			if code := status(t, url+"/metrics"); code != 200 {
				t.Errorf("/metrics: %d", code)
			}
			if err := c.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if why := c.logged(t, "draining")["why"]; why != "received "+sig.String() {
				t.Errorf("draining because %v", why)
			}
			// The log comes just before the change.
			for deadline := time.Now().Add(10 * time.Second); status(t, url+"/readyz") != 503; {
				if time.Now().After(deadline) {
					t.Fatal("/readyz stays 200 while draining")
				}
			}
			if code := status(t, url+"/healthz"); code != 200 {
				t.Errorf("/healthz while draining: %d", code)
			}
			if _, err := io.WriteString(c.stdin, "\n"); err != nil {
				t.Fatal(err)
			}
			c.logged(t, "stopped")
			if code := c.exitCode(); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

func status(t *testing.T, url string) int {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

func TestSecondSignalExitsAtOnce(t *testing.T) {
	c := startChild(t, "drain")
	c.logged(t, "serving")
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	c.logged(t, "draining")
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	c.logged(t, "exiting at once, draining is not finished")
	for line := range c.lines {
		t.Errorf("not at once: the child goes on to log %v", line)
	}
	if code := c.exitCode(); code != 1 {
		t.Errorf("exit code %d", code)
	}
}

func TestFailureExitsWithItsReason(t *testing.T) {
	for does, want := range map[string]string{"fail": "part worker: disk full", "refuse": "starting: no such store"} {
		c := startChild(t, does)
		if got := c.logged(t, "stopped")["error"]; got != want {
			t.Errorf("%s: logged %v, want %s", does, got, want)
		}
		if code := c.exitCode(); code != 1 {
			t.Errorf("%s: exit code %d", does, code)
		}
	}
}

// command runs Main's arguments in this process.
func command(env map[string]string, configs []any, args ...string) (code int, stdout, stderr string) {
	var out, problems bytes.Buffer
	p := program{
		name: "sbom", configs: configs, env: envconfig.MapLookuper(env), stdout: &out, stderr: &problems,
		start: func(context.Context) ([]Part, error) { return nil, errors.New("must not start") },
	}
	code = p.run(args)
	return code, out.String(), problems.String()
}

func TestEnv(t *testing.T) {
	type own struct {
		Token config.Secret `env:"ASSIZE_SBOM_TOKEN, required" help:"what to present"`
	}
	const want = `VARIABLE           DEFAULT     MEANING
ASSIZE_HTTP        :8080       address of the HTTP endpoints: /healthz, /readyz, /metrics and the service's own
ASSIZE_DRAIN       25s         how long stopping may take before what is left is abandoned
ASSIZE_LOG_LEVEL   info        least level to log: debug, info, warn or error
ASSIZE_SBOM_TOKEN  (required)  what to present (may be given as a file named by ASSIZE_SBOM_TOKEN_FILE)

Tracing, metrics and logs are exported as the OTEL_* variables of the OpenTelemetry
specification say, and not at all when none names an exporter or an endpoint.
`
	code, stdout, stderr := command(nil, []any{new(own)}, "env")
	if code != 0 || stdout != want || stderr != "" {
		t.Errorf("exit %d, stderr %s, stdout:\n%s\nwant:\n%s", code, stderr, stdout, want)
	}
}

func TestHealthcheck(t *testing.T) {
	healthy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer healthy.Close()
	sick := httptest.NewServer(http.NotFoundHandler())
	defer sick.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	address := func(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }
	_, port, err := net.SplitHostPort(address(healthy))
	if err != nil {
		t.Fatal(err)
	}

	tests := map[string]struct {
		http    string
		problem string
	}{
		"healthy":    {address(healthy), ""},
		"any host":   {":" + port, ""},
		"any IPv4":   {"0.0.0.0:" + port, ""},
		"sick":       {address(sick), "for health: 404 Not Found"},
		"gone":       {address(gone), "connection refused"},
		"no port":    {"127.0.0.1", `ASSIZE_HTTP: "127.0.0.1" is not an address`},
		"any port":   {"127.0.0.1:0", `ASSIZE_HTTP: "127.0.0.1:0" has no fixed port`},
		"not a host": {"a b:80", `ASSIZE_HTTP: "a b:80"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := command(map[string]string{"ASSIZE_HTTP": test.http}, nil, "healthcheck")
			wantCode := 0
			if test.problem != "" {
				wantCode = 1
			}
			if code != wantCode || stdout != "" || !strings.Contains(stderr, test.problem) || (test.problem == "") != (stderr == "") {
				t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
			}
		})
	}
	if got, err := dialAddress("[::]:80"); err != nil || got != "[::1]:80" {
		t.Errorf("any IPv6 is dialled as %s, %v", got, err)
	}
}

func TestArguments(t *testing.T) {
	for _, test := range []struct {
		args           string
		code           int
		stdout, stderr string
	}{
		{"version", 0, "sbom " + BuildVersion() + "\n", ""},
		{"--version", 0, "sbom ", ""},
		{"help", 0, "usage: sbom [env | healthcheck | version | help]", ""},
		{"serve", 2, "", `sbom: unknown argument "serve"`},
		{"env extra", 2, "", "sbom: one argument at most"},
	} {
		code, stdout, stderr := command(nil, nil, strings.Fields(test.args)...)
		if code != test.code || !strings.HasPrefix(stdout, test.stdout) || !strings.HasPrefix(stderr, test.stderr) ||
			(test.stdout == "") != (stdout == "") || (test.stderr == "") != (stderr == "") {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", test.args, code, stdout, stderr)
		}
	}
}

func TestBadConfigurationStopsBeforeStart(t *testing.T) {
	code, _, stderr := command(map[string]string{"ASSIZE_DRAIN": "soon", "ASSIZE_LOG_LEVEL": "loud"}, nil)
	if code != 1 || !strings.Contains(stderr, `ASSIZE_DRAIN: time: invalid duration "soon"`) || !strings.Contains(stderr, `ASSIZE_LOG_LEVEL: "loud"`) {
		t.Errorf("exit %d, stderr %s", code, stderr)
	}
	code, _, stderr = command(map[string]string{"ASSIZE_DRAIN": "0s"}, nil)
	if code != 1 || !strings.Contains(stderr, "ASSIZE_DRAIN: 0s is not a positive duration") {
		t.Errorf("exit %d, stderr %s", code, stderr)
	}
}

func TestVersionOfABuild(t *testing.T) {
	revision := debug.BuildSetting{Key: "vcs.revision", Value: strings.Repeat("0123456789abcdef", 2)}
	for want, info := range map[string]debug.BuildInfo{
		"devel":              {Main: debug.Module{Version: "(devel)"}},
		"v1.2.3":             {Main: debug.Module{Version: "v1.2.3"}},
		"0123456789ab":       {Settings: []debug.BuildSetting{revision, {Key: "vcs.modified", Value: "false"}}},
		"0123456789ab-dirty": {Settings: []debug.BuildSetting{revision, {Key: "vcs.modified", Value: "true"}}},
	} {
		if got := versionOf(&info); got != want {
			t.Errorf("version %q, want %q", got, want)
		}
	}
}
