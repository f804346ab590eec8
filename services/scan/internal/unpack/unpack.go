// Package unpack shows an analyser everything inside an artifact: the entries
// of containers, and bytes that are none as they are.
package unpack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

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
	Format    archive.Format    // of the outermost bytes
	Problems  []archive.Problem // Path is a Location
	Anomalies []archive.Anomaly // Path is a Location
}

// Artifact is what to walk.
type Artifact struct {
	Bytes  io.ReaderAt
	Size   int64
	Name   string // base name
	Format string // as event.Artifact's
}

// Walk visits everything inside a, and a itself if it is no container: so are
// bytes before a container's own seen, a program that unpacks itself. The
// error is the visitor's, ctx's, or a failure to read a.
func Walk(ctx context.Context, a Artifact, limits archive.Limits, visit Visitor) (*Result, error) {
	result, err := a.walk(ctx, limits, visit)
	if err != nil {
		return nil, fmt.Errorf("look into %q: %w", a.Name, err)
	}
	return result, nil
}

func (a Artifact) walk(ctx context.Context, limits archive.Limits, visit Visitor) (*Result, error) {
	packaged, err := archive.IsPSPF(a.Bytes, a.Size)
	if err != nil {
		return nil, err
	}
	if !packaged { // else the program is an entry
		format, content, err := Sniffed(io.NewSectionReader(a.Bytes, 0, a.Size))
		if err != nil {
			return nil, err
		}
		if !Opens(format) {
			if err := visit(ctx, Item{}, content); err != nil {
				return nil, err
			}
		}
	}
	report, err := archive.Walk(ctx, a.Bytes, a.Size, a.Name, limits, func(ctx context.Context, e *archive.Entry, content io.Reader) error {
		location := strings.Join(append(e.Parents[1:len(e.Parents):len(e.Parents)], e.Path), "!")
		return visit(ctx, Item{Location: location, Entry: e}, content)
	})
	if err != nil {
		return nil, err
	}
	result := &Result{Format: report.Format}
	if a.Format == "pspf" && !packaged {
		result.Problems = append(result.Problems, archive.Problem{Kind: archive.KindDamaged, Detail: "not a PSPF package: no trailer at the end"})
	}
	for _, p := range report.Problems {
		p.Path = a.location(p.Path)
		result.Problems = append(result.Problems, p)
	}
	for _, n := range report.Anomalies {
		n.Path = a.location(n.Path)
		result.Anomalies = append(result.Anomalies, n)
	}
	return result, nil
}

// location of a path that the archive package gives.
func (a Artifact) location(full string) string {
	return strings.TrimPrefix(strings.TrimPrefix(full, a.Name), "!")
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
