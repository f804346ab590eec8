package bustest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"

	"assize.dev/shared/bus"
	"assize.dev/shared/config"
)

const (
	childEnv = "ASSIZE_BUSTEST_CHILD"
	// prefix keeps a server's settings apart from those of the tests' own
	// environment.
	prefix = "BUSTEST_"
	server = "nats-server"
)

// Main runs the tests, or, in a process that Process or Child started, what
// that process is for. Use it as the whole of TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(bustest.Main(m, nil)) }
//
// The functions in children are what Child can start, by name. Their process
// ends when they return, or with its parent.
func Main(m *testing.M, children map[string]func() error) int {
	name := os.Getenv(childEnv)
	if name == "" {
		return m.Run()
	}
	run := children[name]
	if name == server {
		run = serve
	}
	if run == nil {
		fmt.Fprintf(os.Stderr, "bustest: no child named %q\n", name)
		return 2
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends when the parent does
		os.Exit(3)
	}()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bustest:", err)
		return 1
	}
	return 0
}

func serve() error {
	opts := bus.ServerOptions{Log: slog.New(slog.DiscardHandler)}
	if err := config.Load(context.Background(), envconfig.PrefixLookuper(prefix, envconfig.OsLookuper()), &opts); err != nil {
		return err
	}
	opts.MaxStore = MaxStore
	s, err := bus.StartServer(opts)
	if err != nil {
		return err
	}
	fmt.Println(s.ClientURL())
	select {}
}

// Process is a NATS server in a process of its own, on a port and a
// directory that it keeps over restarts.
type Process struct {
	t     testing.TB
	child *exec.Cmd
	dir   string
	addr  string
	env   []string
}

// NewProcess starts one; TestMain must call Main. It ends with the test. The
// settings are environment variables of bus.ServerOptions, "NAME=value".
func NewProcess(t testing.TB, settings ...string) *Process {
	t.Helper()
	p := &Process{t: t, dir: t.TempDir(), addr: FreeAddress(t)}
	for _, s := range append(settings, "ASSIZE_NATS_DIR="+p.dir, "ASSIZE_NATS_LISTEN="+p.addr) {
		p.env = append(p.env, prefix+s)
	}
	p.Start()
	t.Cleanup(p.Kill)
	return p
}

// FreeAddress is a loopback address at which nobody listens now.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// URL is where to connect, the same after every start.
func (p *Process) URL() string { return "nats://" + p.addr }

// Dir is the server's directory.
func (p *Process) Dir() string { return p.dir }

// PID is the server's process id.
func (p *Process) PID() int { return p.child.Process.Pid }

// Connect opens a connection that ends with the test.
func (p *Process) Connect() *bus.Bus {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 30*time.Second)
	defer cancel()
	b, err := bus.Connect(ctx, bus.Config{URL: p.URL(), Wait: true}, p.t.Name())
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(b.Close)
	return b
}

// Start starts the server and returns when it can be connected to.
func (p *Process) Start() {
	p.t.Helper()
	var out *bufio.Reader
	p.child, out = Child(p.t, server, p.env...)
	line, err := out.ReadString('\n')
	if err != nil {
		p.t.Fatalf("NATS server process: %v: %s", err, line)
	}
}

// Kill ends the server at once, as kill -9 does.
func (p *Process) Kill() {
	if p.child == nil {
		return
	}
	if err := p.child.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("killing the NATS server process: %v", err)
	}
	_ = p.child.Wait() // says that it was killed
	p.child = nil
}

// Restart kills the server and starts it again.
func (p *Process) Restart() {
	p.t.Helper()
	p.Kill()
	p.Start()
}

// Child starts a process that runs the function that Main knows by name,
// with these environment variables, and gives what it prints. Whoever kills
// it must also Wait; a child that is left ends with the test.
func Child(t testing.TB, name string, env ...string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), append(env, childEnv+"="+name)...)
	cmd.Stderr = &lines{t: t, name: name}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return cmd, bufio.NewReader(out)
}

// lines passes a child's complaints to the test's log.
type lines struct {
	t    testing.TB
	name string
}

func (l *lines) Write(p []byte) (int, error) {
	l.t.Logf("%s: %s", l.name, strings.TrimSpace(string(p)))
	return len(p), nil
}
