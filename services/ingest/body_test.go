package ingest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/digest"
)

// A refused PUT is answered before its body is asked for.
func TestPutExpectContinue(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	answer := b.speak("Authorization: Bearer no\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n", nil)
	if answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("%s", answer.Status)
	}
	answer = b.speak("Authorization: Bearer "+token+"\r\nExpect: 100-continue\r\nContent-Length: 1000000000\r\n\r\n", nil)
	if answer.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("%s", answer.Status)
	}
}

// speak sends the header of a PUT and what then does, and reads the answer.
func (b *bench) speak(header string, then func(net.Conn)) *http.Response {
	b.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.Close() })
	if _, err := fmt.Fprintf(c, "PUT /v1/artifacts/r/n HTTP/1.1\r\nHost: x\r\n%s", header); err != nil {
		b.t.Fatal(err)
	}
	if then != nil {
		then(c)
	}
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		b.t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer
}

// A body that breaks off, lies about its length or trickles leaves nothing.
func TestPutBrokenBody(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.service.pace = pace{patience: time.Second, slowest: 1 << 30}
	bearer := "Authorization: Bearer " + token + "\r\nIdempotency-Key: k\r\n"
	for name, c := range map[string]struct {
		header, body string
		closeWrite   bool
		status       int
	}{
		"shorter than announced": {"Content-Length: 10\r\n\r\n", "hello", true, 400},
		"broken chunk":           {"Transfer-Encoding: chunked\r\n\r\n", "5\r\nhelloXX", true, 400},
		"no last chunk":          {"Transfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n", true, 400},
		"silent":                 {"Content-Length: 10\r\n\r\n", "hello", false, 408},
	} {
		answer := b.speak(bearer+c.header, func(conn net.Conn) {
			_, _ = io.WriteString(conn, c.body)
			if c.closeWrite {
				_ = conn.(*net.TCPConn).CloseWrite()
			}
		})
		if answer.StatusCode != c.status {
			t.Errorf("%s: %s, want %d", name, answer.Status, c.status)
		}
	}
	// One that is refused, yet whose body the server waits for.
	if answer := b.speak("Content-Length: 10\r\n\r\n", nil); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("refused and silent: %s", answer.Status)
	}
	b.nothing()

	// And one that vanishes altogether.
	c, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "PUT /v1/artifacts/r/n HTTP/1.1\r\nHost: x\r\n%sContent-Length: 10\r\n\r\nhello", bearer)
	bustest.Eventually(t, "the PUT is at work", func() bool { return len(b.service.slots) == 1 })
	_ = c.Close()
	bustest.Eventually(t, "the PUT is given up", func() bool { return len(b.service.slots) == 0 })
	b.nothing()
}

// A client may take longer than the patience if it keeps the pace, and the
// deadline for its bytes does not end what comes after them.
func TestPutSlowButSteady(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.service.pace = pace{patience: 500 * time.Millisecond, slowest: 2}
	answer := b.speak("Authorization: Bearer "+token+"\r\nContent-Length: 4\r\n\r\n", func(c net.Conn) {
		for _, one := range "slow" {
			_, _ = io.WriteString(c, string(one))
			time.Sleep(200 * time.Millisecond)
		}
	})
	if answer.StatusCode != http.StatusAccepted {
		t.Errorf("%s", answer.Status)
	}
	b.artifact([]byte("slow"))
}

// NATS is killed while a PUT is under way. The client's bytes are here (there
// are none, for then the server watches the connection from the start), so it
// only has to wait, and the deadline for them is over.
func TestPutWhileNATSRestarts(t *testing.T) {
	t.Parallel()
	server := bustest.NewProcess(t)
	connection := server.Connect()
	bustest.Provision(t, connection)
	b := newBenchOn(t, connection)
	b.service.pace = pace{patience: 500 * time.Millisecond, slowest: 1 << 30}
	server.Kill()
	got := make(chan answer)
	go func() { got <- b.put("/v1/artifacts/r/n", http.NoBody) }()
	bustest.Eventually(t, "the bytes are stored", func() bool {
		_, err := b.store.Stat(t.Context(), blob.BlobKey(digest.Of(nil)))
		return err == nil
	})
	time.Sleep(2 * b.service.pace.patience)
	server.Start()
	if a := <-got; a.status != http.StatusAccepted {
		t.Fatalf("%d %s", a.status, a.Error)
	}
	b.artifact(nil)
}
