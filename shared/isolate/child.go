//go:build linux || darwin

package isolate

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// serve is the life of a child: it takes work from the socket that its parent
// left as descriptor 3, until that is closed.
func serve(p *Pool) (code int) {
	if err := confine(p); err != nil {
		fmt.Fprintln(os.Stderr, "fatal error:", err)
		return 1
	}
	socket := os.NewFile(3, "parent")
	generic, err := net.FileConn(socket)
	if err != nil {
		fmt.Fprintln(os.Stderr, "fatal error: descriptor 3 is not the parent's socket:", err)
		return 1
	}
	socket.Close()
	conn, ok := generic.(*net.UnixConn)
	if !ok {
		fmt.Fprintln(os.Stderr, "fatal error: descriptor 3 is not the parent's socket")
		return 1
	}
	for {
		if err := one(conn, p); err != nil {
			leave()
			return 0 // the parent is gone, or wants no more
		}
		debug.FreeOSMemory()
	}
}

// leave takes the directory for temporary files away, for a parent that can
// no longer do it.
func leave() {
	// It is where the child was started, too.
	if dir, err := os.Getwd(); err == nil && strings.HasPrefix(filepath.Base(dir), dirPrefix) {
		os.RemoveAll(dir)
	}
}

// confine gives up what the work does not need, before any of it is read.
func confine(p *Pool) error {
	if len(os.Args) != 4 {
		return errors.New("a child process needs its limits")
	}
	if err := json.Unmarshal([]byte(os.Args[3]), &p.limits); err != nil {
		return fmt.Errorf("limits: %w", err)
	}
	l := p.limits
	debug.SetMemoryLimit(l.Memory * 3 / 4)
	debug.SetMaxStack(64 << 20)
	if !raceDetector {
		if err := limitMemory(l.Memory); err != nil {
			return fmt.Errorf("limit memory: %w", err)
		}
	}
	for _, limit := range []struct {
		resource int
		value    uint64
	}{
		{syscall.RLIMIT_FSIZE, uint64(l.FileSize)},
		{syscall.RLIMIT_NOFILE, uint64(l.Files)},
		{syscall.RLIMIT_CORE, 0}, // what was read stays out of crash dumps
	} {
		if err := lower(limit.resource, limit.value); err != nil {
			return fmt.Errorf("set limit %d to %d: %w", limit.resource, limit.value, err)
		}
	}
	// The Go runtime ignores SIGXCPU unless it is asked for; SIGTERM comes
	// when the parent has died.
	end := make(chan os.Signal, 2)
	signal.Notify(end, syscall.SIGXCPU, syscall.SIGTERM)
	go func() {
		if <-end == syscall.SIGXCPU {
			fmt.Fprintln(os.Stderr, "SIGXCPU")
		}
		leave()
		os.Exit(1)
	}()
	return nil
}

// lower never raises a limit that is stricter already.
func lower(resource int, value uint64) error {
	var now syscall.Rlimit
	if err := syscall.Getrlimit(resource, &now); err != nil {
		return err
	}
	if now.Max < value {
		value = now.Max
	}
	now.Cur, now.Max = value, value
	return syscall.Setrlimit(resource, &now)
}

// one does one piece of work.
func one(conn *net.UnixConn, p *Pool) error {
	var head [8]byte
	rights := make([]byte, syscall.CmsgSpace(4))
	n, oobn, _, _, err := conn.ReadMsgUnix(head[:], rights)
	if err != nil {
		return err
	}
	if n == 0 {
		return io.EOF
	}
	if _, err := io.ReadFull(conn, head[n:]); err != nil {
		return err
	}
	file, err := received(rights[:oobn])
	if err != nil {
		return err
	}
	defer file.Close()
	var request bytes.Buffer
	if _, err := io.CopyN(&request, conn, int64(binary.BigEndian.Uint64(head[:]))); err != nil {
		return err
	}
	if err := allowCPU(p.limits.CPU); err != nil {
		return err
	}
	answer, err := p.work(context.Background(), file, request.Bytes())
	var reply [9]byte
	if err != nil {
		reply[0], answer = 1, []byte(err.Error())
	}
	binary.BigEndian.PutUint64(reply[1:], uint64(len(answer)))
	if _, err := conn.Write(reply[:]); err != nil {
		return err
	}
	_, err = conn.Write(answer)
	return err
}

func received(rights []byte) (*os.File, error) {
	messages, err := syscall.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	for i := range messages {
		fds, err := syscall.ParseUnixRights(&messages[i])
		if err != nil {
			return nil, err
		}
		if len(fds) == 1 {
			syscall.CloseOnExec(fds[0])
			return os.NewFile(uintptr(fds[0]), "work"), nil
		}
	}
	return nil, errors.New("no file came with the request")
}

// allowCPU sets the limit anew for each piece of work; the kernel counts
// from the start of the process, in whole seconds.
func allowCPU(more time.Duration) error {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CPU, &limit); err != nil {
		return err
	}
	seconds := uint64(used.Utime.Sec+used.Stime.Sec) + uint64((more+time.Second-1)/time.Second) + 1
	limit.Cur = min(seconds, limit.Max)
	return syscall.Setrlimit(syscall.RLIMIT_CPU, &limit)
}
