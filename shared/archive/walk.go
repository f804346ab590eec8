package archive

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// SkipNested is returned by a Visitor that does not want the container it was
// shown to be walked. For an entry that is no container it changes nothing.
//
//lint:ignore ST1012 it is a signal like fs.SkipDir, not a failure
var SkipNested = errors.New("skip this nested container")

// Walk reads the size bytes of src. name is what the artifact is called and
// becomes the first parent. A file that is not a container yields a Report
// with its Format and no entries. The error is the visitor's, ctx's, or a
// failure to read src or to hold a nested container in a temporary file;
// damage and limits are problems of the report, because what was seen before
// them counts. The report is never nil.
func Walk(ctx context.Context, src io.ReaderAt, size int64, name string, limits Limits, visit Visitor) (*Report, error) {
	return WalkWanted(ctx, src, size, name, limits, nil, visit)
}

// WalkWanted is the same, but files in zips that wants refuses are shown
// without content and not opened, though their place is checked: neither
// damage of their content nor containers in them are found. In other formats,
// which have to be read from front to back, wants is not asked.
func WalkWanted(ctx context.Context, src io.ReaderAt, size int64, name string, limits Limits, wants func(*Entry) bool, visit Visitor) (*Report, error) {
	w := newWalk(ctx, limits, visit, func() int64 { return size })
	w.wants = wants
	at := &input{at: src, alive: func() error { return w.budget.alive(name) }}
	return w.run(&source{at: at, size: size, seq: io.NewSectionReader(at, 0, size)}, name)
}

// WalkStream is the same for input that can be read only once, from front to
// back; a zip is then held within EntryBuffer, and is only recognised if it
// begins as one, a PSPF package if name ends in .psp or .pspf.
func WalkStream(ctx context.Context, src io.Reader, name string, limits Limits, visit Visitor) (*Report, error) {
	in := &input{r: src}
	w := newWalk(ctx, limits, visit, func() int64 { return in.n })
	in.alive = func() error { return w.budget.alive(name) }
	return w.run(&source{seq: in}, name)
}

// input is the artifact itself. Its failures are not the artifact's damage.
type input struct {
	at    io.ReaderAt
	r     io.Reader
	n     int64
	alive func() error
}

func (in *input) Read(p []byte) (int, error) {
	if err := in.alive(); err != nil {
		return 0, err
	}
	n, err := in.r.Read(p)
	in.n += int64(n)
	return n, in.judge(err)
}

func (in *input) ReadAt(p []byte, off int64) (int, error) {
	if err := in.alive(); err != nil {
		return 0, err
	}
	n, err := in.at.ReadAt(p, off)
	if n == len(p) {
		err = nil
	}
	return n, in.judge(err)
}

func (in *input) judge(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &inputError{fmt.Errorf("read the artifact: %w", err)}
}

// source is bytes to be walked.
type source struct {
	at      io.ReaderAt // nil if they can only be read in order
	size    int64       // with at
	seq     io.Reader
	charged bool // already counted as inflated
}

func (s *source) head() ([]byte, error) {
	head := make([]byte, sniffLen)
	if s.at != nil {
		n, err := s.at.ReadAt(head[:min(int64(len(head)), s.size)], 0)
		return head[:n], err
	}
	br := bufio.NewReaderSize(s.seq, 32<<10)
	s.seq = br
	n, err := br.Peek(len(head))
	return n, err
}

// walk is the state of one Walk. Everything happens on the caller's goroutine.
type walk struct {
	budget  *budget
	visit   Visitor
	wants   func(*Entry) bool // nil for all files
	report  *Report
	blamed  []error // causes of the report's problems
	scratch []*bufio.Reader
}

// errHalt ends the whole walk after its reason became a Problem; errCut ends
// one sequential container after a Problem of one of its entries.
var (
	errHalt = errors.New("walk halted by a limit")
	errCut  = errors.New("container cut short")
)

func newWalk(ctx context.Context, limits Limits, visit Visitor, input func() int64) *walk {
	return &walk{budget: newBudget(ctx, limits, input), visit: visit, report: &Report{Format: Unknown}}
}

func (w *walk) run(s *source, name string) (*Report, error) {
	err := w.artifact(s, name)
	w.report.Inflated = w.budget.inflated
	var visitors *visitorError
	if errors.As(err, &visitors) {
		err = visitors.err
	} else if errors.Is(err, errHalt) {
		err = nil
	}
	return w.report, err
}

func (w *walk) artifact(s *source, name string) error {
	if s.at == nil && namedPSPF(name) {
		held, done, err := w.hold(s, name)
		if err != nil {
			return w.fail(name, err)
		}
		defer done()
		s = held
	}
	head, err := s.head()
	if err != nil && err != io.EOF {
		return w.fail(name, err)
	}
	format := Sniff(head)
	w.report.Format = format
	if s.at != nil {
		packaged, err := IsPSPF(s.at, s.size)
		switch {
		case err != nil:
			return w.fail(name, err)
		case packaged:
			format, w.report.Format = PSPF, PSPF
		case !format.container() && endsAsZip(s.at, s.size):
			if format = Zip; w.report.Format == Unknown {
				w.report.Format = Zip
			}
		}
	}
	if !format.container() {
		return nil
	}
	return w.open(s, format, []string{name})
}

// container is one that is being read.
type container struct {
	format  Format
	parents []string // its own path last
	path    string
	names   *names
}

// open walks s, the bytes of the container called parents.
func (w *walk) open(s *source, f Format, parents []string) error {
	c := &container{format: f, parents: parents, path: strings.Join(parents, "!"), names: newNames(f)}
	if s.at != nil && f != Zip && f != Ar && endsExactlyAsZip(s.at, s.size) {
		// Not so in an ar, whose last member may well be a zip.
		w.strange(c.path, Polyglot, "begins as %s and ends as zip", f)
	}
	var err error
	switch {
	case f == Zip:
		err = w.zip(c, s)
	case f == RPM:
		err = w.rpm(c, s)
	case f == PSPF:
		err = w.pspf(c, s)
	case f.compressed():
		err = w.compressed(c, s)
	default:
		err = w.sequence(c, s)
	}
	if err == nil || errors.Is(err, errCut) {
		return nil
	}
	return w.fail(c.path, err)
}

func (w *walk) sequence(c *container, s *source) error {
	switch c.format {
	case Tar:
		return w.tar(c, s)
	case Ar:
		return w.ar(c, s)
	case Cpio, RPM:
		return w.cpio(c, s)
	}
	return unsupported("%s is not a container", c.format)
}

// compressed walks what is inside a compressor: a tar or cpio directly, as
// one level with the compressor, anything else as the only entry.
func (w *walk) compressed(c *container, s *source) error {
	inner, closeInner, err := w.inflate(c, s)
	if err != nil {
		return err
	}
	defer closeInner()
	head, err := inner.head()
	if err != nil && err != io.EOF && len(head) == 0 {
		return err
	}
	if f := Sniff(head); f == Tar || f == Cpio {
		c.format, c.names = f, newNames(f)
		return w.sequence(c, inner)
	}
	e := &Entry{RawPath: innerName(c.parents[len(c.parents)-1]), Type: File, Size: -1}
	return w.member(c, &member{Entry: e, body: *inner})
}

// inflate opens the compressed source and charges what comes out of it.
func (w *walk) inflate(c *container, s *source) (*source, func(), error) {
	alive := func() error { return w.budget.alive(c.path) }
	d, err := openDecompressor(s.seq, c.format, &w.budget.memory, alive)
	if err != nil {
		return nil, nil, err
	}
	in := func() int64 { return d.src.n }
	if s.at != nil {
		in = func() int64 { return s.size }
	}
	m := &meter{r: d, budget: w.budget, path: c.path, in: in}
	done := func() {
		if g, ok := d.dec.(*gzipMembers); ok && g.members > 1 {
			w.strange(c.path, GzipMembers, "gzip: %d members behind each other", g.members)
		}
		d.Close()
	}
	return &source{seq: m, charged: true}, done, nil
}

// innerName is what gunzip and its like would call the file.
func innerName(outer string) string {
	base := path.Base(strings.ReplaceAll(outer, `\`, "/"))
	suffixes := []struct{ is, becomes string }{
		{".tgz", ".tar"}, {".gz", ""}, {".zst", ""}, {".xz", ""}, {".bz2", ""}, {".lzma", ""}, {".txz", ".tar"}, {".tzst", ".tar"}, {".tbz2", ".tar"},
	}
	for _, s := range suffixes {
		if stem, ok := strings.CutSuffix(base, s.is); ok && stem != "" {
			return stem + s.becomes
		}
	}
	return "data"
}

// fail turns err into a Problem and says how to go on: nil for the next
// sibling, errHalt for no further, anything else is Walk's own error.
func (w *walk) fail(at string, err error) error {
	var broken *inputError
	var limit *LimitError
	switch {
	case errors.Is(err, errHalt), errors.As(err, &broken):
		return err
	case errors.As(err, &limit):
		w.blame(limit.Path, KindLimit, limit, fmt.Sprintf("%s: limit of %s reached", limit.Limit, limit.Value))
		if limit.whole {
			return errHalt
		}
		return nil
	}
	var f *fault
	if !errors.As(err, &f) {
		return err // the visitor's
	}
	kind := KindDamaged
	if f.kind == ErrUnsupported {
		kind = KindUnsupported
	}
	detail := f.detail
	if f.cause != nil {
		detail += ": " + f.cause.Error()
	}
	w.blame(at, kind, f, detail)
	return nil
}

const maxProblems = 100

func (w *walk) blame(at, kind string, cause error, detail string) {
	if slices.Contains(w.blamed, cause) {
		return
	}
	problems := &w.report.Problems
	switch n := len(*problems); {
	case n < maxProblems-1:
		w.blamed = append(w.blamed, cause)
		*problems = append(*problems, Problem{Path: at, Kind: kind, Detail: detail})
	case n == maxProblems-1:
		*problems = append(*problems, Problem{Path: w.report.rootOf(at), Kind: KindOmitted, Detail: "further problems are not listed"})
	}
}

func (r *Report) rootOf(full string) string {
	root, _, _ := strings.Cut(full, "!")
	return root
}

// reader lends a buffer for the time of one entry.
func (w *walk) reader(r io.Reader) (*bufio.Reader, func()) {
	var br *bufio.Reader
	if n := len(w.scratch); n > 0 {
		br, w.scratch = w.scratch[n-1], w.scratch[:n-1]
		br.Reset(r)
	} else {
		br = bufio.NewReaderSize(r, 4<<10)
	}
	return br, func() {
		br.Reset(nil)
		w.scratch = append(w.scratch, br)
	}
}
