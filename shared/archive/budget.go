package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"time"
)

// LimitError says which of Limits kept bytes from being seen.
type LimitError struct {
	Limit string // "inflated", "ratio", "entries", "depth", "entry-buffer" or "time"
	Value string // the limit itself with its unit
	Path  string // FullPath of the container or entry at which it was reached

	whole bool // ends the whole walk, not only the container
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s: limit %s of %s reached", e.Path, e.Limit, e.Value)
}

// ErrDamaged is wrapped by errors about bytes that are truncated or corrupt.
var ErrDamaged = errors.New("damaged")

// ErrUnsupported is wrapped by errors about well-formed bytes this package
// does not read: encryption, unknown methods, dictionaries over 64 MiB.
var ErrUnsupported = errors.New("unsupported")

// fault is one particular damage or lack of support. It is passed around by
// pointer so that meeting it twice, once in an entry and once in the
// container around it, makes one Problem.
type fault struct {
	kind   error // ErrDamaged or ErrUnsupported
	detail string
	cause  error
}

func (f *fault) Error() string {
	s := f.kind.Error() + ": " + f.detail
	if f.cause != nil {
		s += ": " + f.cause.Error()
	}
	return s
}

func (f *fault) Unwrap() []error {
	if f.cause == nil {
		return []error{f.kind}
	}
	return []error{f.kind, f.cause}
}

func damaged(cause error, format string, args ...any) error {
	return &fault{kind: ErrDamaged, detail: fmt.Sprintf(format, args...), cause: cause}
}

func unsupported(format string, args ...any) error {
	return &fault{kind: ErrUnsupported, detail: fmt.Sprintf(format, args...)}
}

// inputError is a failure of the walked source, of the temporary file or of
// the context. It says nothing about the artifact, so it is returned and
// never a Problem.
type inputError struct{ err error }

func (e *inputError) Error() string { return e.err.Error() }
func (e *inputError) Unwrap() error { return e.err }

// ratioFrom is the number of inflated bytes below which no ratio is judged:
// short runs of zeros compress a thousandfold in honest packages too.
const ratioFrom = 16 << 20

// budget is what one walk, nested containers included, may still spend.
type budget struct {
	ctx      context.Context
	limits   Limits
	deadline time.Time
	input    func() int64 // bytes of the artifact: all of them, or those read so far
	inflated int64
	entries  int
	memory   memory
	spent    error // the limit that ended the walk
}

func newBudget(ctx context.Context, limits Limits, input func() int64) *budget {
	d := DefaultLimits
	if limits.Inflated <= 0 {
		limits.Inflated = d.Inflated
	}
	if limits.Ratio <= 0 {
		limits.Ratio = d.Ratio
	}
	if limits.Entries <= 0 {
		limits.Entries = d.Entries
	}
	if limits.Depth <= 0 {
		limits.Depth = d.Depth
	}
	if limits.EntryBuffer <= 0 {
		limits.EntryBuffer = d.EntryBuffer
	}
	if limits.Time <= 0 {
		limits.Time = d.Time
	}
	return &budget{
		ctx: ctx, limits: limits, input: input,
		deadline: time.Now().Add(limits.Time),
		memory:   memory{free: maxMemory},
	}
}

// alive fails once the context or the time is over.
func (b *budget) alive(path string) error {
	if err := b.ctx.Err(); err != nil {
		return &inputError{err}
	}
	if b.spent == nil && time.Now().After(b.deadline) {
		b.spent = &LimitError{Limit: "time", Value: b.limits.Time.String(), Path: path, whole: true}
	}
	return b.spent
}

// enter counts one entry.
func (b *budget) enter(path string) error {
	if err := b.alive(path); err != nil {
		return err
	}
	if b.entries >= b.limits.Entries {
		b.spent = &LimitError{Limit: "entries", Value: strconv.Itoa(b.limits.Entries) + " entries", Path: path, whole: true}
		return b.spent
	}
	b.entries++
	return nil
}

// inflate counts n bytes that a decompressor or a container gave.
func (b *budget) inflate(n int64, path string) error {
	b.inflated += n
	if b.spent == nil && b.inflated > b.limits.Inflated {
		b.spent = &LimitError{Limit: "inflated", Value: bytesOf(b.limits.Inflated), Path: path, whole: true}
	}
	if b.spent == nil && b.exceeds(b.inflated, b.input()) {
		b.spent = b.ratioError(path, true)
	}
	return b.spent
}

func (b *budget) exceeds(out, in int64) bool {
	return out > ratioFrom && float64(out) > b.limits.Ratio*float64(in)
}

func (b *budget) ratioError(path string, whole bool) error {
	return &LimitError{
		Limit: "ratio", Path: path, whole: whole,
		Value: strconv.FormatFloat(b.limits.Ratio, 'g', -1, 64) + " bytes out per byte in",
	}
}

func bytesOf(n int64) string { return strconv.FormatInt(n, 10) + " bytes" }

// meter passes on what a decompressor gives and charges it to the budget.
type meter struct {
	r      io.Reader
	budget *budget
	path   string
	in     func() int64 // compressed bytes of this stream
	out    int64
	err    error
}

func (m *meter) Read(p []byte) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	if m.err = m.budget.alive(m.path); m.err != nil {
		return 0, m.err
	}
	n, err := m.r.Read(p)
	m.out += int64(n)
	if over := m.budget.inflate(int64(n), m.path); over != nil {
		err = over
	} else if m.budget.exceeds(m.out, m.in()) {
		err = m.budget.ratioError(m.path, false)
	}
	m.err = err
	return n, err
}

const (
	// maxWindow is what xz -9 needs, and so what every reader of packages
	// must grant.
	maxWindow = 64 << 20

	// maxMemory bounds all dictionaries and spools of one walk together: one
	// largest dictionary, and room for ordinary ones inside it.
	maxMemory = 96 << 20
)

// memory keeps decompressors inside decompressors from each taking the
// largest dictionary.
type memory struct {
	free     int64
	released int64 // large blocks given back and perhaps not yet collected
}

const largeBlock = 16 << 20

func (m *memory) take(n int64, what string) error {
	if n > maxWindow {
		return unsupported("%s of %d bytes; the most granted is %d", what, n, int64(maxWindow))
	}
	if n > m.free {
		return unsupported("%s of %d bytes; %d of %d are left beside those of the containers around it", what, n, m.free, int64(maxMemory))
	}
	if n >= largeBlock && m.released >= largeBlock {
		// The heap would otherwise grow by a dictionary for every nested
		// stream before the collector sees a reason to run.
		runtime.GC()
		m.released = 0
	}
	m.free -= n
	return nil
}

func (m *memory) give(n int64) {
	m.free += n
	m.released += n
}
