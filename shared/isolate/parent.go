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
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// supported: files can be handed over (SCM_RIGHTS, unix(7)).
const supported = true

// dirPrefix begins the names of the children's directories.
const dirPrefix = "assize-isolated-"

// child is the parent's end of one child.
type child struct {
	limits Limits
	cmd    *exec.Cmd
	conn   *net.UnixConn
	dir    string
	stderr tail
	served int
	ended  bool
	gone   chan struct{} // closed when the process has ended
	once   sync.Once
}

// start runs this program again. The child reads its limits from its
// arguments and sets them before it reads anything else.
func start(p *Pool) (*child, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	syscall.CloseOnExec(pair[0])
	syscall.CloseOnExec(pair[1])
	ours, theirs := os.NewFile(uintptr(pair[0]), "parent"), os.NewFile(uintptr(pair[1]), "child")
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	limits, err := json.Marshal(p.limits)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	self, err := program()
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	dir, err := os.MkdirTemp("", dirPrefix)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a directory for temporary files: %w", err), conn.Close())
	}
	c := &child{limits: p.limits, conn: conn.(*net.UnixConn), dir: dir, gone: make(chan struct{})}
	c.cmd = &exec.Cmd{
		Path: self, Args: []string{os.Args[0], "isolated", p.name, string(limits)}, Dir: dir,
		// Collecting garbage sooner keeps the memory of many children small.
		Env:        []string{marker + "=" + p.name, "TMPDIR=" + dir, "GOTRACEBACK=single", "GOGC=50", "TZ=UTC"},
		Stderr:     &c.stderr,
		ExtraFiles: []*os.File{theirs},
		// A child must not outlive its parent.
		SysProcAttr: attributes(),
	}
	if err := c.run(); err != nil {
		return nil, errors.Join(fmt.Errorf("start a child process: %w", err), conn.Close(), os.RemoveAll(dir))
	}
	return c, nil
}

// run starts the process and watches it on a thread of its own: Linux takes
// the end of the thread that started a process for the end of its parent.
func (c *child) run() error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		started <- err
		if err == nil {
			c.cmd.Wait()
			close(c.gone)
		}
	}()
	return <-started
}

// do sends one request and waits for its answer.
func (c *child) do(ctx context.Context, file *os.File, request []byte) ([]byte, error) {
	stop := context.AfterFunc(ctx, func() { c.cmd.Process.Kill() })
	answer, failed, err := c.ask(file, request)
	running := stop()
	c.served++
	if err == nil && running {
		if failed {
			return nil, &Failed{string(answer)}
		}
		return answer, nil
	}
	state := c.stop()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var long *tooLong
	if errors.As(err, &long) {
		return nil, &Stopped{"stopped: " + long.Error()}
	}
	return nil, c.obituary(state, err)
}

func (c *child) ask(file *os.File, request []byte) (answer []byte, failed bool, err error) {
	var head [8]byte
	binary.BigEndian.PutUint64(head[:], uint64(len(request)))
	if _, _, err := c.conn.WriteMsgUnix(head[:], syscall.UnixRights(int(file.Fd())), nil); err != nil {
		return nil, false, fmt.Errorf("send: %w", err)
	}
	if _, err := c.conn.Write(request); err != nil {
		return nil, false, fmt.Errorf("send: %w", err)
	}
	var reply [9]byte
	if _, err := io.ReadFull(c.conn, reply[:]); err != nil {
		return nil, false, fmt.Errorf("receive: %w", err)
	}
	size := binary.BigEndian.Uint64(reply[1:])
	if size > uint64(c.limits.Answer) {
		return nil, false, &tooLong{size, c.limits.Answer}
	}
	// What was claimed is not yet there: grow with what comes.
	var buf bytes.Buffer
	if _, err := io.CopyN(&buf, c.conn, int64(size)); err != nil {
		return nil, false, fmt.Errorf("receive: %w", err)
	}
	return buf.Bytes(), reply[0] != 0, nil
}

type tooLong struct {
	size  uint64
	limit int64
}

func (t *tooLong) Error() string {
	return fmt.Sprintf("the answer has %d bytes, at most %d are taken", t.size, t.limit)
}

// alive tells whether a child that waits can still be asked.
func (c *child) alive() bool {
	select {
	case <-c.gone:
		return false
	default:
		return true
	}
}

// stop ends the child and takes its directory away.
func (c *child) stop() (state *os.ProcessState) {
	c.once.Do(func() {
		c.ended = true
		c.conn.Close() // a child that waits for work ends
		kill := time.AfterFunc(time.Second, func() { c.cmd.Process.Kill() })
		<-c.gone
		kill.Stop()
		os.RemoveAll(c.dir)
	})
	return c.cmd.ProcessState
}

// obituary tells a limit from a crash, and both from what may pass.
func (c *child) obituary(state *os.ProcessState, cause error) error {
	said := c.stderr.reason()
	switch {
	case strings.Contains(said, "out of memory"), strings.Contains(said, "cannot allocate"),
		strings.Contains(said, "new OS thread"), strings.Contains(said, "pthread_create"):
		return &Stopped{fmt.Sprintf("stopped at its limit of %d MiB of memory", c.limits.Memory>>20)}
	case said == "SIGXCPU":
		return &Stopped{fmt.Sprintf("stopped at its limit of %v of processor time", c.limits.CPU)}
	case said != "":
		return &Stopped{"stopped by a crash: " + said}
	case state.ExitCode() == 2: // the Go runtime's
		return &Stopped{"stopped by a crash"}
	}
	// Killed from outside, as by a system short of memory: try again.
	return fmt.Errorf("the child process ended (%s): %w", state, cause)
}

// tail keeps the beginning of what a child says before it dies: the runtime
// names the reason first.
type tail struct{ text []byte }

func (t *tail) Write(p []byte) (int, error) {
	const limit = 4096
	t.text = append(t.text, p[:min(len(p), limit-len(t.text))]...)
	return len(p), nil
}

// reason is the first line the Go runtime writes, without what a panic says
// of its value: that could be a part of the file.
func (t *tail) reason() string {
	for line := range strings.Lines(string(t.text)) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "fatal error: "); ok {
			return rest
		}
		if line == "SIGXCPU" || strings.HasPrefix(line, "runtime: ") || strings.HasPrefix(line, "runtime/cgo: ") {
			return line
		}
		if strings.HasPrefix(line, "panic: ") {
			return "panic"
		}
	}
	return ""
}
