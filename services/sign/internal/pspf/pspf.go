// Package pspf reads PSPF/2025 packages (FlavorPack's self-signed,
// self-contained executables) and says whether they are what their signer
// made. It is written from the format's description and checks what no
// upstream reader does: the full SHA-256 of every slot against the signed
// metadata, which is the only thing that binds a slot to the signature.
//
// A package is `launcher | metadata | slot table | slots | trailer`. The
// Ed25519 signature covers the uncompressed metadata JSON and nothing else;
// everything below is bound through it or reported as unauthenticated.
package pspf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"assize.dev/shared/event"
)

// Verify checks the size bytes of r. Whatever is wrong with them is in the
// report; an error means that they could not be read or that ctx ended.
func Verify(ctx context.Context, r io.ReaderAt, size int64, opts Options) (*Report, error) {
	if _, ok := levelNames[opts.Level]; !ok {
		return nil, fmt.Errorf("verifying PSPF package: unknown level %d", int(opts.Level))
	}
	v := &verification{ctx: ctx, r: r, size: size, opts: opts, report: &Report{Level: opts.Level}}
	for _, s := range v.steps() {
		if s.level > opts.Level {
			break
		}
		ok, err := v.take(s)
		if err != nil {
			return nil, fmt.Errorf("verifying PSPF package: %s: %w", s.name, err)
		}
		if !ok && s.vital {
			return v.report, nil
		}
	}
	if opts.Level >= Paranoid {
		if err := v.checkExtraction(); err != nil {
			return nil, fmt.Errorf("verifying PSPF package: %s: %w", CheckExtraction, err)
		}
	}
	return v.report, nil
}

// take runs one step and notes what came of it.
func (v *verification) take(s step) (ok bool, err error) {
	detail, err := s.run()
	var f flaw
	if err != nil && !errors.As(err, &f) {
		return false, err
	}
	ok = err == nil
	if !ok {
		detail = string(f)
	}
	v.report.Checks = append(v.report.Checks, event.Check{Name: s.name, OK: ok, Detail: detail})
	switch {
	case s.part == nil:
	case !ok:
		*s.part = Broken
	case *s.part == "":
		*s.part = Sound
	}
	return ok, nil
}

// verification is one call of Verify. Each step may rely on what the vital
// steps before it established.
type verification struct {
	ctx    context.Context
	r      io.ReaderAt
	size   int64
	opts   Options
	report *Report

	index    index
	json     []byte // exactly the signed bytes
	warnings int
}

type step struct {
	name  string
	level Level
	vital bool   // later steps make no sense without it
	part  *State // of the report; nil if the step keeps a state of its own
	run   func() (detail string, err error)
}

func (v *verification) steps() []step {
	structure, integrity := &v.report.Structure, &v.report.Integrity
	return []step{
		{CheckTrailer, Quick, true, structure, v.checkTrailer},
		{CheckIndex, Quick, true, structure, v.checkIndex},
		{CheckIntegrity, Quick, true, integrity, v.checkIntegrity},
		{CheckSignature, Quick, false, nil, v.checkSignature},
		{CheckMetadata, Quick, true, structure, v.checkMetadata},
		{CheckAttestationKey, Quick, false, integrity, v.checkAttestationKey},
		{CheckSlotTable, Standard, true, structure, v.checkSlotTable},
		{CheckSlotContent, Deep, false, integrity, v.checkSlotContent},
		{CheckLauncher, Deep, false, nil, v.checkLauncher},
		{CheckAttestationSBOM, Deep, false, integrity, v.checkAttestationSBOM},
		{CheckAttestationPolicy, Deep, false, integrity, v.checkAttestationPolicy},
	}
}

// flaw is an error in the package, as opposed to one in reading it.
type flaw string

func (f flaw) Error() string { return string(f) }

// maxDetail bounds what a package can put into a report by being wrong.
const maxDetail = 500

func flawf(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if len(text) > maxDetail {
		text = strings.ToValidUTF8(text[:maxDetail], "") + "…"
	}
	return flaw(text)
}

const maxWarnings = 50

func (v *verification) warnf(format string, args ...any) {
	v.warnings++
	switch {
	case v.warnings <= maxWarnings:
		v.report.Warnings = append(v.report.Warnings, fmt.Sprintf(format, args...))
	case v.warnings == maxWarnings+1:
		v.report.Warnings = append(v.report.Warnings, "further warnings are not listed")
	}
}

// read returns n bytes at off. The caller has checked that they lie within
// the file, so n is never more than was really uploaded.
func (v *verification) read(off, n uint64) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(v.open(section{off, n}), b); err != nil {
		return nil, err
	}
	return b, nil
}

// open reads a section that is known to lie within the file, until ctx ends.
func (v *verification) open(s section) io.Reader { return &sectionReader{v: v, left: s} }

// sectionReader takes an end before that of the section for an error: the
// file is then not what it was said to be, and nothing follows from it.
type sectionReader struct {
	v    *verification
	left section
}

func (r *sectionReader) Read(p []byte) (int, error) {
	if err := r.v.ctx.Err(); err != nil {
		return 0, err
	}
	if r.left.size == 0 {
		return 0, io.EOF
	}
	p = p[:min(uint64(len(p)), r.left.size)]
	n, err := r.v.r.ReadAt(p, int64(r.left.off))
	if n < len(p) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return n, fmt.Errorf("reading %d bytes at %d: %w", len(p), r.left.off, err)
	}
	r.left = section{r.left.off + uint64(n), r.left.size - uint64(n)}
	return n, nil
}

// isZero tells whether a section holds nothing but zeros.
func (v *verification) isZero(s section) (bool, error) {
	const chunk = 64 << 10
	for s.size > 0 {
		b, err := v.read(s.off, min(s.size, chunk))
		if err != nil || !allZero(b) {
			return false, err
		}
		s = section{s.off + uint64(len(b)), s.size - uint64(len(b))}
	}
	return true, nil
}
