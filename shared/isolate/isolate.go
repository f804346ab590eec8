// Package isolate runs work on hostile bytes in child processes of the same
// program: with limits of memory, processor time, file size and open files
// that the kernel enforces, with a temporary directory of their own, and with
// nothing of the parent's environment. It is shared because every analyser
// reads what strangers made.
//
// A child serves one piece of work at a time and is kept for the next, since
// starting a program costs more than most packages do. After a failure, or
// after many pieces of work, it is replaced.
package isolate

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"time"
)

// Limits bound one child. Zero fields take the values of DefaultLimits.
type Limits struct {
	Memory   int64         // bytes of data a child may have, the stacks of its threads included; Linux only
	CPU      time.Duration // processor time of one piece of work
	FileSize int64         // bytes of the largest file it may write
	Files    int           // open files
	Answer   int64         // bytes of the longest answer
}

// DefaultLimits suit the work on one package.
var DefaultLimits = Limits{Memory: 512 << 20, CPU: 10 * time.Minute, FileSize: 2 << 30, Files: 64, Answer: 256 << 20}

func (l Limits) orDefault() Limits {
	d := DefaultLimits
	if l.Memory > 0 {
		d.Memory = l.Memory
	}
	if l.CPU > 0 {
		d.CPU = l.CPU
	}
	if l.FileSize > 0 {
		d.FileSize = l.FileSize
	}
	if l.Files > 0 {
		d.Files = l.Files
	}
	if l.Answer > 0 {
		d.Answer = l.Answer
	}
	return d
}

// Work answers a request about a file. Its errors reach the caller of Do as
// text.
type Work func(ctx context.Context, file *os.File, request []byte) (answer []byte, err error)

// Stopped is the end of a child that the work itself brought about: doing it
// again would end in the same way.
type Stopped struct{ Reason string }

func (s *Stopped) Error() string { return s.Reason }

// Failed is an error that the work returned.
type Failed struct{ Message string }

func (f *Failed) Error() string { return f.Message }

// Pool keeps children for one kind of work.
type Pool struct {
	name   string
	limits Limits
	work   Work
	idle   chan *child
}

// maxIdle is how many children wait for work at most; more are started when
// more is asked for at once.
const maxIdle = 8

// Register makes a pool for a kind of work. It is called when a package is
// initialised, and by each program once for each name: in a process that was
// started as a child for this work, it does not return.
func Register(name string, limits Limits, work Work) *Pool {
	p := &Pool{name: name, limits: limits.orDefault(), work: work, idle: make(chan *child, maxIdle)}
	if os.Getenv(marker) == name {
		os.Exit(serve(p))
	}
	return p
}

// With is another pool for the same work, with other limits.
func (p *Pool) With(limits Limits) *Pool {
	return &Pool{name: p.name, limits: limits.orDefault(), work: p.work, idle: make(chan *child, maxIdle)}
}

// marker is the variable that makes a process a child.
const marker = "ASSIZE_ISOLATED"

// Do has the request answered about the file in a child process. A *Stopped
// says that the work broke a limit or crashed, a *Failed what error it
// returned; any other error is of the system or of ctx, and may pass. Where
// the system has no means to hand files to another process, the work is done
// in this one.
func (p *Pool) Do(ctx context.Context, file *os.File, request []byte) ([]byte, error) {
	if !supported {
		answer, err := p.work(ctx, file, request)
		if err != nil {
			err = &Failed{err.Error()}
		}
		return answer, err
	}
	c, err := p.child()
	if err != nil {
		return nil, fmt.Errorf("isolated %s: %w", p.name, err)
	}
	answer, err := c.do(ctx, file, request)
	runtime.KeepAlive(file)
	p.release(c)
	return answer, err
}

// child takes one that waits, or starts one.
func (p *Pool) child() (*child, error) {
	for {
		select {
		case c := <-p.idle:
			if c.alive() {
				return c, nil
			}
			c.stop()
		default:
			return start(p)
		}
	}
}

// release keeps a child for the next work, unless it has ended or is worn.
func (p *Pool) release(c *child) {
	if c.ended || c.served >= maxServed {
		c.stop()
		return
	}
	select {
	case p.idle <- c:
	default:
		c.stop()
	}
}

// maxServed is the number of pieces of work after which a child is replaced,
// so that nothing one of them left behind lasts.
const maxServed = 200

// Close ends the children that wait for work.
func (p *Pool) Close() {
	for {
		select {
		case c := <-p.idle:
			c.stop()
		default:
			return
		}
	}
}
