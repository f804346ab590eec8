package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// member is one entry on its way from its container to the visitor.
type member struct {
	*Entry
	body       source // of a File
	modeKnown  bool
	unwanted   bool  // its content is not asked for
	unreadable error // why a File's body cannot be had
}

// member shows the entry and walks it if it is a container. Its error ends
// the container: errCut after a Problem of a body, without which the rest of
// a sequential container cannot be reached.
func (w *walk) member(c *container, m *member) error {
	e := m.Entry
	e.Parents, e.Format = c.parents, c.format
	c.names.judge(e, m.modeKnown)
	if err := w.budget.enter(e.FullPath()); err != nil {
		return err
	}
	w.report.Entries++
	if e.Type != File {
		return w.shown(w.visit(w.budget.ctx, e, nil), nil)
	}
	if m.unreadable != nil {
		if err := w.shown(w.visit(w.budget.ctx, e, failing{m.unreadable}), m.unreadable); err != nil {
			return err
		}
		return w.fail(e.FullPath(), m.unreadable)
	}
	if m.unwanted {
		return w.shown(w.visit(w.budget.ctx, e, nil), nil)
	}
	if m.body.at != nil {
		return w.fileAt(c, m)
	}
	return w.fileInOrder(c, m)
}

// shown judges what the visitor returned. failure is what reading the
// content ended with; given back, it is no error of the visitor's.
func (w *walk) shown(err, failure error) error {
	if err == nil || errors.Is(err, SkipNested) {
		return nil
	}
	if failure != nil {
		if errors.Is(err, failure) || errors.Is(err, ErrDamaged) && errors.Is(failure, ErrDamaged) {
			return nil
		}
	}
	return &visitorError{err}
}

// visitorError keeps a visitor's error from being taken for a Problem while
// it passes through the containers.
type visitorError struct{ err error }

func (e *visitorError) Error() string { return e.err.Error() }

// fileAt is for bodies that lie uncompressed in something that can be read
// out of order: nothing needs to be copied, and a nested zip opens in place.
func (w *walk) fileAt(c *container, m *member) error {
	e, s := m.Entry, m.body
	s.seq = io.NewSectionReader(s.at, 0, s.size)
	head, err := s.head()
	if err != nil && err != io.EOF {
		return err
	}
	f := Sniff(head)
	f, err = s.format(f, beginsProgram(f, head))
	if err != nil {
		return err
	}
	content := w.content(e, &source{seq: io.NewSectionReader(s.at, 0, s.size)})
	err = w.visit(w.budget.ctx, e, content)
	if err := w.shown(err, content.err); err != nil {
		return err
	}
	if content.err != nil {
		if err := w.fail(e.FullPath(), content.err); err != nil {
			return err
		}
	}
	if !f.container() || errors.Is(err, SkipNested) {
		return nil
	}
	if deep := w.tooDeep(c, e); deep != nil {
		return w.fail(e.FullPath(), deep)
	}
	return w.nested(c, e, &s, f)
}

// fileInOrder is for bodies that pass by once. A nested container is spooled
// before the visitor sees it; whatever else the visitor leaves unread is read
// here, so that damage at its end is found.
func (w *walk) fileInOrder(c *container, m *member) error {
	e := m.Entry
	content := w.content(e, &m.body)
	br, done := w.reader(content)
	defer done()
	head, _ := br.Peek(sniffLen)
	f := Sniff(head)
	program := beginsProgram(f, head)
	deep := w.tooDeep(c, e)
	limit := deep
	var inner *source
	var shownContent io.Reader = br
	if f.container() && deep == nil || program || namedPSPF(e.RawPath) {
		held, more, err := newSpool(br, w.budget.limits.EntryBuffer, &w.budget.memory)
		var broken *inputError
		if errors.As(err, &broken) {
			return err
		}
		defer held.close()
		replay := io.NewSectionReader(held, 0, held.size)
		inner = &source{at: held, size: held.size, charged: true, seq: io.NewSectionReader(held, 0, held.size)}
		switch {
		case more:
			shownContent = io.MultiReader(replay, br)
			limit = &LimitError{Limit: "entry-buffer", Value: bytesOf(w.budget.limits.EntryBuffer), Path: e.FullPath()}
			if namedPSPF(e.RawPath) && !f.container() {
				f = PSPF // as it says of itself, so that the limit is told
			}
		case err != nil:
			shownContent = io.MultiReader(replay, failing{err})
			inner = &source{seq: io.MultiReader(inner.seq, failing{err}), charged: true}
		default:
			shownContent = replay
			if f, err = inner.format(f, program); err != nil {
				return err
			}
		}
	}
	err := w.visit(w.budget.ctx, e, shownContent)
	if err := w.shown(err, content.err); err != nil {
		return err
	}
	if content.err == nil {
		io.Copy(io.Discard, br) // content keeps its error
	}
	failed := content.err != nil
	if failed {
		if err := w.fail(e.FullPath(), content.err); err != nil {
			return err
		}
	}
	if f.container() && !errors.Is(err, SkipNested) {
		if limit != nil {
			err = w.fail(e.FullPath(), limit)
		} else {
			err = w.nested(c, e, inner, f)
		}
		if err != nil {
			return err
		}
	}
	if failed {
		return errCut
	}
	return nil
}

// format corrects f, told from the first bytes, by the last ones.
func (s *source) format(f Format, program bool) (Format, error) {
	packaged, err := IsPSPF(s.at, s.size)
	switch {
	case err != nil:
		return f, asFault(err, "end of the file")
	case packaged:
		return PSPF, nil
	case program && endsAsZip(s.at, s.size):
		return Zip, nil
	}
	return f, nil
}

// beginsProgram says that bytes which are no container may have a zip behind
// them: Python and shell self-extractors, Windows installers.
func beginsProgram(f Format, head []byte) bool {
	return f == PE || bytes.HasPrefix(head, []byte("#!"))
}

func (w *walk) nested(c *container, e *Entry, s *source, f Format) error {
	return w.open(s, f, append(slices.Clip(c.parents), e.Path))
}

func (w *walk) tooDeep(c *container, e *Entry) error {
	if len(c.parents) < w.budget.limits.Depth {
		return nil
	}
	return &LimitError{Limit: "depth", Value: strconv.Itoa(w.budget.limits.Depth) + " containers", Path: e.FullPath()}
}

// content is what a visitor reads. Its error is sticky and one of: io.EOF
// (not kept in err), *LimitError, *fault or *inputError.
type content struct {
	w    *walk
	path string
	body *source
	err  error
}

func (w *walk) content(e *Entry, body *source) *content {
	return &content{w: w, path: e.FullPath(), body: body}
}

func (r *content) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.err = r.w.budget.alive(r.path); r.err != nil {
		return 0, r.err
	}
	n, err := r.body.seq.Read(p)
	if !r.body.charged {
		if over := r.w.budget.inflate(int64(n), r.path); over != nil {
			err = over
		}
	}
	if err != nil && err != io.EOF {
		err = asFault(err, "content")
		r.err = err
	}
	return n, err
}

// asFault makes an error of a container reader damage unless it is already
// known to be something else.
func asFault(err error, what string, args ...any) error {
	var limit *LimitError
	var known *fault
	var broken *inputError
	switch {
	case errors.As(err, &limit), errors.As(err, &known), errors.As(err, &broken):
		return err
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return damaged(err, "%s", fmt.Sprintf(what, args...))
}

// failing is the end of content that could not be read further.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
