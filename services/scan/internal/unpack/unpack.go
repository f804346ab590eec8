// Package unpack shows an analyser everything inside an artifact: the entries
// of containers, the parts of PSPF packages, and bytes that are neither as
// they are.
package unpack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"assize.dev/services/scan/internal/pspfslots"
	"assize.dev/shared/archive"
)

// Item is something inside an artifact.
type Item struct {
	// Location is the path inside the artifact, nested containers joined
	// with "!"; empty for the artifact itself.
	Location string
	// Entry is the container's entry, nil for bytes outside of one.
	Entry *archive.Entry
}

// Visitor receives every item. content is nil for what has no bytes. It may
// be left unread, and its errors may be returned as they are: those that
// are about the bytes become problems of the Result.
type Visitor func(ctx context.Context, item Item, content io.Reader) error

// Result tells how complete a walk was.
type Result struct {
	Entries  int
	Problems []archive.Problem // Path is a Location
}

// Artifact is what to walk.
type Artifact struct {
	Bytes  io.ReaderAt
	Size   int64
	Name   string // base name
	Format string // as event.Artifact's
}

// Walk visits everything inside a. The error is the visitor's, ctx's, or a
// failure to read a.
func Walk(ctx context.Context, a Artifact, limits archive.Limits, visit Visitor) (*Result, error) {
	w := &walker{Artifact: a, visit: visit, left: withDefaults(limits)}
	w.deadline = time.Now().Add(w.left.Time)
	var err error
	if a.Format == "pspf" {
		err = w.pspf(ctx)
	} else {
		err = w.whole(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("look into %q: %w", a.Name, err)
	}
	return &w.result, nil
}

// Opens reports whether the archive walker looks into bytes of this format,
// so that the entries will be seen one by one.
func Opens(f archive.Format) bool {
	switch f {
	case archive.Unknown, archive.ELF, archive.PE, archive.MachO:
		return false
	}
	return true
}

// Sniffed reads the first bytes of content, tells its format, and returns a
// reader of all of it.
func Sniffed(content io.Reader) (archive.Format, io.Reader, error) {
	head := make([]byte, 512)
	n, err := io.ReadFull(content, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		// What was read counts; the error comes again behind it.
		return archive.Unknown, io.MultiReader(bytes.NewReader(head[:n]), failing{err}), nil
	}
	return archive.Sniff(head[:n]), io.MultiReader(bytes.NewReader(head[:n]), content), nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

type walker struct {
	Artifact
	visit    Visitor
	left     archive.Limits // what the parts not yet walked may use
	deadline time.Time
	result   Result
}

func withDefaults(l archive.Limits) archive.Limits {
	if l.Inflated == 0 {
		l.Inflated = archive.DefaultLimits.Inflated
	}
	if l.Entries == 0 {
		l.Entries = archive.DefaultLimits.Entries
	}
	if l.Time == 0 {
		l.Time = archive.DefaultLimits.Time
	}
	return l
}

// whole walks an artifact that is one container, or none. Bytes before a
// container's own, a program that unpacks itself, are seen as well.
func (w *walker) whole(ctx context.Context) error {
	format, content, err := Sniffed(io.NewSectionReader(w.Bytes, 0, w.Size))
	if err != nil {
		return err
	}
	if !Opens(format) {
		if err := w.visit(ctx, Item{}, content); err != nil {
			return err
		}
	}
	_, err = w.container(ctx, io.NewSectionReader(w.Bytes, 0, w.Size), w.Name, func(full string) string {
		return strings.TrimPrefix(strings.TrimPrefix(full, w.Name), "!")
	}, 1)
	return err
}

// container walks one part with what is left of the limits. The first outer
// parents of an entry are not part of its location.
func (w *walker) container(ctx context.Context, part *io.SectionReader, name string, locate func(string) string, outer int) (*archive.Report, error) {
	limits := w.left
	limits.Time = time.Until(w.deadline)
	if limits.Inflated <= 0 || limits.Entries <= 0 || limits.Time <= 0 {
		w.problem(name, "limit", "nothing is left of the limits of the whole package")
		return &archive.Report{}, nil
	}
	report, err := archive.Walk(ctx, part, part.Size(), name, limits, func(ctx context.Context, e *archive.Entry, content io.Reader) error {
		location := strings.Join(append(e.Parents[outer:len(e.Parents):len(e.Parents)], e.Path), "!")
		return w.visit(ctx, Item{Location: location, Entry: e}, content)
	})
	if err != nil {
		return nil, err
	}
	for _, p := range report.Problems {
		w.problem(locate(p.Path), p.Kind, p.Detail)
	}
	w.result.Entries += report.Entries
	w.left.Entries -= report.Entries
	w.left.Inflated -= report.Inflated
	return report, nil
}

func (w *walker) problem(path, kind, detail string) {
	w.result.Problems = append(w.result.Problems, archive.Problem{Path: path, Kind: kind, Detail: detail})
}

// pspf walks launcher, metadata and slots.
func (w *walker) pspf(ctx context.Context) error {
	layout, err := pspfslots.Read(w.Bytes, w.Size)
	if err != nil {
		w.problem("", "damaged", err.Error())
		return w.whole(ctx)
	}
	if err := w.visit(ctx, Item{Location: "launcher"}, layout.Launcher.Reader(w.Bytes)); err != nil {
		return err
	}
	if err := w.metadata(ctx, layout.Metadata); err != nil {
		return err
	}
	for i, s := range layout.Slots {
		if s.Size == 0 {
			continue
		}
		if err := w.slot(ctx, fmt.Sprintf("slot%d", i), s); err != nil {
			return err
		}
	}
	return nil
}

// MetadataLocation is where the metadata of a PSPF package is found.
const MetadataLocation = "metadata"

const maxMetadata = 10 << 20 // inflated; FEP-0001

func (w *walker) metadata(ctx context.Context, s pspfslots.Section) error {
	r, err := archive.Decompress(s.Reader(w.Bytes), archive.Gzip, maxMetadata)
	if err == nil {
		var data []byte
		if data, err = io.ReadAll(r); err == nil {
			r.Close()
			return w.visit(ctx, Item{Location: MetadataLocation}, bytes.NewReader(data))
		}
		r.Close()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	w.problem(MetadataLocation, "damaged", err.Error())
	return nil
}

func (w *walker) slot(ctx context.Context, name string, s pspfslots.Section) error {
	if op, opaque := pspfslots.Opaque(s.Operations); opaque {
		w.problem(name, "unsupported", fmt.Sprintf("operation %#02x cannot be undone", op))
	}
	// Slots may overlap, so what they hold is charged each time.
	w.left.Inflated -= s.Size
	report, err := w.container(ctx, s.Reader(w.Bytes), name, func(full string) string { return full }, 0)
	if err != nil {
		return err
	}
	if report.Entries == 0 && w.left.Inflated > 0 {
		if s.Operations != 0 && !Opens(report.Format) {
			w.problem(name, "damaged", fmt.Sprintf("operations %#x, but the bytes are not encoded so", s.Operations))
		}
		return w.visit(ctx, Item{Location: name}, s.Reader(w.Bytes))
	}
	return nil
}

// Reason sums problems up for a person, in at most about 600 bytes; empty if
// there are none.
func (r *Result) Reason() string {
	if len(r.Problems) == 0 {
		return ""
	}
	const shown = 3
	var b strings.Builder
	fmt.Fprintf(&b, "%d part(s) could not be examined", len(r.Problems))
	for i, p := range r.Problems {
		if i == shown {
			fmt.Fprintf(&b, "; and %d more", len(r.Problems)-shown)
			break
		}
		where := p.Path
		if where == "" {
			where = "the artifact"
		}
		fmt.Fprintf(&b, "; %.100q: %s: %.100s", where, p.Kind, p.Detail)
	}
	return b.String()
}
