package sbom

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"assize.dev/shared/identify"
)

// extractor reads one kind of file that names packages.
type extractor interface {
	name() string
	// wants tells from the path and the first bytes whether to read a file.
	wants(e *entry) bool
	// extract may return packages and an error. An error that wraps
	// identify.ErrNoPackage means that the file is something else after all.
	extract(e *entry, src *source) ([]identify.Package, error)
}

// extractors are asked in this order; the first that wants a file gets it.
func extractors() []extractor {
	return []extractor{
		program{}, rpmHeader{}, rpmDatabase{}, locks{},
		metadata{"npm", wantsPackageJSON, readPackageJSON},
		metadata{"python", wantsPython, one(identify.ParsePythonMetadata)},
		metadata{"cargo", wantsCargoToml, readCargoToml},
		metadata{"gem", wantsGem, one(identify.ParseGemMetadata)},
		metadata{"gemspec", wantsGemspec, one(identify.ParseGemspec)},
		metadata{"nuget", wantsNuspec, one(identify.ParseNuspec)},
		metadata{"go.mod", wantsGoMod, readGoMod},
		metadata{"debian control", wantsDebianControl, one(identify.ParseDebianControl)},
		metadata{"pkginfo", wantsPKGINFO, readPKGINFO},
		database{"dpkg status", isDpkgStatus, identify.ParseDebianStatus},
		database{"apk installed", isAPKInstalled, identify.ParseAPKInstalled},
	}
}

// metadata is an extractor of small text files.
type metadata struct {
	kind string
	want func(*entry) bool
	read func(*entry, []byte) ([]identify.Package, error)
}

func (m metadata) name() string { return m.kind }

// wants: metadata counts only inside something that it can describe.
func (m metadata) wants(e *entry) bool { return e.Name != "" && m.want(e) }

func (m metadata) extract(e *entry, src *source) ([]identify.Package, error) {
	data, err := src.all(identify.MaxMetadata)
	if err != nil {
		return nil, err
	}
	return m.read(e, data)
}

// one adapts a parser of a file that describes one package.
func one(parse func([]byte) (identify.Package, error)) func(*entry, []byte) ([]identify.Package, error) {
	return func(_ *entry, data []byte) ([]identify.Package, error) {
		p, err := parse(data)
		if err != nil {
			return nil, err
		}
		return []identify.Package{p}, nil
	}
}

// misplaced is an error about a file that only looks like metadata: broken
// files are common among test fixtures, where no package is installed.
type misplaced struct{ error }

func (m *misplaced) Unwrap() error { return m.error }

// guarded calls an extractor so that a panic costs only this file.
func guarded(x extractor, e *entry, src *source) (found []identify.Package, err error) {
	defer func() {
		if p := recover(); p != nil {
			found, err = nil, fmt.Errorf("panicked: %v", p)
		}
	}()
	return x.extract(e, src)
}

// source is the content of one file. It remembers the first error of reading,
// so that it is not taken for damage of the file.
type source struct {
	r    io.Reader
	at   io.ReaderAt // nil if only r can be read
	size int64       // with at
	err  error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	return n, s.note(err)
}

func (s *source) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.at.ReadAt(p, off)
	return n, s.note(err)
}

func (s *source) note(err error) error {
	if err != nil && err != io.EOF && s.err == nil {
		s.err = err
	}
	return err
}

var (
	errTooLarge = errors.New("too large")
	errSpool    = errors.New("temporary file")
)

// all reads the whole content into memory.
func (s *source) all(limit int64) ([]byte, error) {
	var buf bytes.Buffer
	n, err := buf.ReadFrom(io.LimitReader(s, limit+1))
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, fmt.Errorf("%w: more than the %d bytes allowed", errTooLarge, limit)
	}
	return buf.Bytes(), nil
}

// Sizes of programs that are read.
const (
	inMemory   = 8 << 20
	maxProgram = 1 << 30
)

// random gives random access to the content, by way of an unlinked temporary
// file if it is large. The caller calls done.
func (s *source) random() (r io.ReaderAt, size int64, done func(), err error) {
	if s.at != nil {
		return s, s.size, func() {}, nil
	}
	var buf bytes.Buffer
	n, err := buf.ReadFrom(io.LimitReader(s, inMemory))
	if err != nil {
		return nil, 0, nil, err
	}
	if n < inMemory {
		return bytes.NewReader(buf.Bytes()), n, func() {}, nil
	}
	f, err := os.CreateTemp("", "assize-sbom-")
	if err != nil {
		return nil, 0, nil, fmt.Errorf("%w: %w", errSpool, err)
	}
	os.Remove(f.Name())
	done = func() { f.Close() }
	if _, err := f.Write(buf.Bytes()); err != nil {
		done()
		return nil, 0, nil, fmt.Errorf("%w: %w", errSpool, err)
	}
	more, err := io.Copy(f, io.LimitReader(s, maxProgram-n+1))
	switch {
	case s.err != nil:
		done()
		return nil, 0, nil, s.err
	case err != nil:
		done()
		return nil, 0, nil, fmt.Errorf("%w: %w", errSpool, err)
	case n+more > maxProgram:
		done()
		return nil, 0, nil, fmt.Errorf("%w: a program of more than %d bytes", errTooLarge, maxProgram)
	}
	return f, n + more, done, nil
}
