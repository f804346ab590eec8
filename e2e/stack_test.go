package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"assize.dev/services/audit"
	"assize.dev/services/sign"
	"assize.dev/shared/blob"
	"assize.dev/shared/blob/storetest"
	"assize.dev/shared/bus"
)

// stack is Assize as separate processes on a real NATS server and a real S3
// server, all on loopback.
type stack struct {
	t     testing.TB
	dir   string
	store *storetest.Endpoint
	nats  *process
	// services by name; the pieces that chaos takes away and brings back.
	services map[string]*process
	env      []string
	http     string // of ingest
	public   string // file with the verdicts' public key
	log      string // public key of the audit log
}

var serviceNames = []string{"ingest", "sign", "sbom", "scan", "verdict", "audit"}

// newStack builds and starts everything and waits until it is ready.
func newStack(t testing.TB, extra ...string) *stack {
	t.Helper()
	bin := binaries(t)
	s := &stack{t: t, dir: t.TempDir(), store: storetest.Start(t), services: map[string]*process{}}
	s3 := s.store.Config()
	natsAddr := freeAddress(t)
	s.public = filepath.Join(s.dir, "sign.pub")
	key, err := sign.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := key.WriteFiles(filepath.Join(s.dir, "sign.key"), s.public, ""); err != nil {
		t.Fatal(err)
	}
	logKey, logPublic, err := audit.NewKey("assize.test/e2e")
	if err != nil {
		t.Fatal(err)
	}
	s.log = logPublic
	advisories := filepath.Join(s.dir, "advisories")
	writeAdvisories(t, advisories)
	s.env = append(append(os.Environ(),
		"ASSIZE_NATS_URL=nats://"+natsAddr, "ASSIZE_NATS_USER=assize", "ASSIZE_NATS_PASSWORD=e2e",
		"ASSIZE_NATS_TOKEN=e2e", "ASSIZE_DATA_DIR="+filepath.Join(s.dir, "nats"),
		"ASSIZE_STORE=s3://"+s3.Bucket, "ASSIZE_S3_ENDPOINT="+s3.Endpoint, "ASSIZE_S3_TLS=false",
		"ASSIZE_S3_ACCESS_KEY="+s3.AccessKey.Reveal(), "ASSIZE_S3_SECRET_KEY="+s3.SecretKey.Reveal(),
		"ASSIZE_SIGN_KEY="+filepath.Join(s.dir, "sign.key"), "ASSIZE_ADVISORIES="+advisories,
		"ASSIZE_SECRETS_KEY=0123456789abcdef0123456789abcdef", "ASSIZE_TRIM_INTERVAL=0s", "ASSIZE_LOG_LEVEL=warn",
		"ASSIZE_AUDIT_KEY="+logKey,
	), extra...)
	s.nats = s.start("nats", "", filepath.Join(bin, "assize"), "nats", "--listen", natsAddr)
	provision := exec.Command(filepath.Join(bin, "assize"), "provision")
	provision.Env = s.env
	if out, err := provision.CombinedOutput(); err != nil {
		t.Fatalf("provision: %v\n%s", err, out)
	}
	for _, name := range serviceNames {
		addr := freeAddress(t)
		if name == "ingest" {
			s.http = "http://" + addr
		}
		s.services[name] = s.start(name, addr, filepath.Join(bin, name))
	}
	for _, p := range s.services {
		p.awaitReady()
	}
	return s
}

// bus connects to the stack's NATS server.
func (s *stack) bus() *bus.Bus {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	b, err := bus.Connect(ctx, bus.Config{URL: envOf(s.env, "ASSIZE_NATS_URL"), User: "assize", Password: "e2e", Wait: true}, "e2e")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(b.Close)
	return b
}

// blobs opens the stack's store.
func (s *stack) blobs() blob.Store {
	s.t.Helper()
	store, err := blob.OpenS3(context.Background(), s.store.Config())
	if err != nil {
		s.t.Fatal(err)
	}
	return store
}

func envOf(env []string, name string) string {
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

// process is one program that can be killed and started again.
type process struct {
	s    *stack
	name string
	http string // address of /readyz, "" if it has none
	args []string
	log  *os.File
	cmd  *exec.Cmd
	done chan struct{}
}

func (s *stack) start(name, httpAddr string, args ...string) *process {
	s.t.Helper()
	log, err := os.Create(filepath.Join(s.dir, name+".log"))
	if err != nil {
		s.t.Fatal(err)
	}
	p := &process{s: s, name: name, http: httpAddr, args: args, log: log}
	p.run()
	s.t.Cleanup(func() {
		p.kill()
		log.Close()
		if s.t.Failed() {
			text, _ := os.ReadFile(log.Name())
			s.t.Logf("last of %s.log:\n%s", name, tail(text, 3000))
		}
	})
	return p
}

func (p *process) run() {
	p.cmd = exec.Command(p.args[0], p.args[1:]...)
	p.cmd.Env = p.s.env
	if p.http != "" {
		p.cmd.Env = append(append([]string{}, p.s.env...), "ASSIZE_HTTP="+p.http)
	}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		p.s.t.Error(err)
	}
	done := make(chan struct{})
	p.done = done
	go func(cmd *exec.Cmd) {
		defer close(done)
		_ = cmd.Wait() // killed, as intended
	}(p.cmd)
}

// kill is SIGKILL: the process gets no chance to finish anything.
func (p *process) kill() {
	if p.cmd.Process != nil {
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

func (p *process) awaitReady() {
	p.s.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	last := "no answer"
	for time.Now().Before(deadline) {
		resp, err := http.Get("http://" + p.http + "/readyz")
		if err == nil {
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
			last = string(body)
		} else {
			last = err.Error()
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.s.t.Fatalf("%s is not ready: %s", p.name, last)
}

// binaries are built once for all tests of the package, without the race
// detector: it is their behaviour as shipped that counts.
func binaries(t testing.TB) string {
	t.Helper()
	dir, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var buildOnce = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "assize-e2e-")
	if err != nil {
		return "", err
	}
	builtDir = dir
	// As deploy/images.sh builds them, so that one fills the cache for the other.
	args := []string{"build", "-trimpath", "-o", dir + string(filepath.Separator), "assize.dev/cmd/assize"}
	for _, name := range serviceNames {
		args = append(args, "assize.dev/services/"+name+"/cmd/"+name)
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return dir, nil
})

var builtDir string

func TestMain(m *testing.M) {
	code := m.Run()
	if builtDir != "" {
		_ = os.RemoveAll(builtDir)
	}
	os.Exit(code)
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func tail(text []byte, n int) []byte {
	if len(text) > n {
		return text[len(text)-n:]
	}
	return text
}

// put uploads until it is accepted; the same key makes all tries one upload.
func (s *stack) put(ctx context.Context, name, key string, body []byte, header http.Header) (run string, err error) {
	for {
		run, again, err := s.tryPut(ctx, name, key, body, header)
		if err == nil || !again {
			return run, err
		}
		select {
		case <-ctx.Done():
			return "", errors.Join(ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
