// Package storetest runs the S3 server of deploy/store for tests: a real
// server in its own process, that tests can also kill.
package storetest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"assize.dev/shared/blob"
	"assize.dev/shared/config"
)

// Bucket is there from the start.
const Bucket = "assize"

// Endpoint is a running server with an empty bucket.
type Endpoint struct {
	URL       string // http://127.0.0.1:<port>
	AccessKey string
	SecretKey string

	t       testing.TB
	program string
	data    string
	server  *server // nil while it is killed
}

// Start builds the server, once per version of it, starts it on a free port of
// the loopback, waits until it answers, and kills it when the test ends. It
// skips the test with -short, and where there is no go command to build with.
func Start(t testing.TB) *Endpoint {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped by -short: builds and starts an S3 server")
	}
	e := &Endpoint{
		AccessKey: rand.Text(),
		SecretKey: rand.Text(),
		t:         t,
		program:   build(t),
		data:      t.TempDir(),
	}
	// Another process can take the port between the choice and its use.
	var err error
	for range 3 {
		e.URL = "http://" + freeAddress(t)
		if err = e.start(); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatalf("starting the S3 server: %v", err)
	}
	t.Cleanup(e.Kill)
	return e
}

// Config reaches the bucket.
func (e *Endpoint) Config() blob.S3Config {
	return blob.S3Config{
		Bucket:    Bucket,
		Endpoint:  e.URL,
		Region:    "us-east-1",
		AccessKey: config.Secret(e.AccessKey),
		SecretKey: config.Secret(e.SecretKey),
	}
}

// Kill ends the server as kill -9 does and waits for its end. It may be called
// again.
func (e *Endpoint) Kill() {
	if e.server == nil {
		return
	}
	e.server.kill()
	e.server = nil
}

// Restart kills the server, if it runs, and starts it on the same data and
// port.
func (e *Endpoint) Restart() {
	e.t.Helper()
	e.Kill()
	if err := e.start(); err != nil {
		e.t.Fatalf("starting the S3 server again: %v", err)
	}
}

func (e *Endpoint) start() error {
	s := &server{command: exec.Command(e.program, "serve"), ended: make(chan struct{})}
	s.command.Env = append(os.Environ(),
		"ASSIZE_STORE_LISTEN="+strings.TrimPrefix(e.URL, "http://"),
		"ASSIZE_STORE_DATA="+e.data,
		"ASSIZE_STORE_BUCKETS="+Bucket,
		"ASSIZE_S3_ACCESS_KEY="+e.AccessKey,
		"ASSIZE_S3_SECRET_KEY="+e.SecretKey,
	)
	s.command.Stdout, s.command.Stderr = &s.log, &s.log
	if err := s.command.Start(); err != nil {
		return err
	}
	go func() {
		defer close(s.ended)
		_ = s.command.Wait() // that it was killed is no news
	}()
	if err := s.awaitReady(e.URL + "/-healthy"); err != nil {
		s.kill()
		return fmt.Errorf("%w; it said: %s", err, s.log.String())
	}
	e.server = s
	return nil
}

type server struct {
	command *exec.Cmd
	log     tail
	ended   chan struct{}
}

func (s *server) kill() {
	_ = s.command.Process.Kill() // it may have ended by itself
	<-s.ended
}

func (s *server) awaitReady(url string) error {
	client := http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	deadline := time.After(time.Minute)
	for {
		answer, err := client.Get(url)
		if err == nil {
			err = answer.Body.Close()
			if err == nil && answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.ended:
			return errors.New("the server ended at once")
		case <-deadline:
			return fmt.Errorf("the server is not ready after a minute: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("looking for a free port: %v", err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// tail keeps the last output of the server.
type tail struct {
	mu   sync.Mutex
	last bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last.Len()+len(p) > 64<<10 {
		t.last.Reset()
	}
	return t.last.Write(p)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last.String()
}
