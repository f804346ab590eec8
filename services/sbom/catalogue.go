package sbom

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"assize.dev/services/sbom/internal/license"
	"assize.dev/shared/archive"
	"assize.dev/shared/event"
	"assize.dev/shared/identify"
)

// Result is what was found in an artifact.
type Result struct {
	Identity   identify.Identity // of the artifact, not counted as a component
	Concluded  string            // licence that the artifact's own licence files amount to, an SPDX expression or ""
	Components []Component       // sorted, each once
	Needs      Needs
	Imported   []Imported
	// Vulnerabilities are written into documents where the caller knows any:
	// findings whose Component is the package URL of a component, or the
	// artifact's. Unevaluated says of what that is not known.
	Vulnerabilities []event.Finding
	Unevaluated     []string
	BuiltWith       []identify.Package // what was installed where it was built
	Problems        []archive.Problem  // why the list may be short; empty means everything was looked at
	// Notes are files that look like a package's metadata but could not be
	// read, at places where no installed package would have them.
	Notes []string
}

// Complete reports whether everything was looked at.
func (r *Result) Complete() bool { return len(r.Problems) == 0 }

// Reason names the first problems, "" if there is none.
func (r *Result) Reason() string {
	const named = 3
	var parts []string
	for i, p := range r.Problems {
		if i == named {
			parts = append(parts, fmt.Sprintf("and %d more", len(r.Problems)-named))
			break
		}
		parts = append(parts, fmt.Sprintf("%.200s: %s: %.300s", p.Path, p.Kind, p.Detail))
	}
	return strings.Join(parts, "; ")
}

// Bounds of one catalogue.
const (
	maxComponents = 25_000 // a document of them takes 200 MB to make and check
	maxProblems   = 100
	maxNotes      = 100
	peekSize      = 512 // enough for archive.Sniff
)

// Catalogue lists the components in the size bytes of r, which id describes.
// The error is of reading r or of ctx; whatever is wrong with the bytes is a
// problem of the result. What is listed in SBOMs that lie beside the artifact
// is merged.
func Catalogue(ctx context.Context, r io.ReaderAt, size int64, name string, id identify.Identity, limits archive.Limits, beside ...Beside) (*Result, error) {
	storage := &source{at: r}
	r = storage // whose failure is no fault of the bytes
	c := &cataloguer{root: id, limits: limits, extractors: extractors(), jars: jars{}, image: newImage(id), files: newFileList(id), seen: newCollection(id)}
	err := c.bytes(ctx, r, size, name)
	if err == nil {
		err = storage.err
	}
	if err != nil {
		return nil, fmt.Errorf("catalogue %s: %w", name, err)
	}
	for _, b := range beside {
		e := &entry{Path: b.Name, Name: besideName, Artifact: id}
		if err := c.judge(e, "sbom", &source{}, c.take(e, b.Document)); err != nil {
			return nil, err
		}
	}
	if len(c.result.Problems) == 0 {
		c.files.compare(c.problem)
	}
	c.jars.each(c.found)
	if !c.image.settle() {
		c.problem(name, archive.KindDamaged, "the image does not say how its layers lie on one another: what an upper layer removes is listed too")
	}
	if id.Reason != "" && !slices.ContainsFunc(c.result.Problems, func(p archive.Problem) bool { return strings.HasSuffix(id.Reason, p.Detail) }) {
		c.problem(name, archive.KindDamaged, "identity: "+id.Reason)
	}
	c.result.Identity = id
	c.result.Components = c.seen.components()
	for i := range c.result.Components {
		one := &c.result.Components[i]
		one.Concluded = license.Conclude(one.Licenses, c.texts.concluded(one))
	}
	c.result.link(&c.seen.self)
	c.result.compareImported()
	c.result.Concluded = license.Conclude(id.Licenses, conclude(c.texts.root))
	if c.seen.omitted > 0 {
		c.problem(name, archive.KindLimit, fmt.Sprintf("components: %d beyond the limit of %d are not listed", c.seen.omitted, maxComponents))
	}
	return &c.result, nil
}

// cataloguer is the state of one Catalogue.
type cataloguer struct {
	root       identify.Identity
	limits     archive.Limits
	extractors []extractor
	jars       jars
	seen       *collection
	texts      texts
	image      *image    // nil unless the artifact is one
	files      *fileList // nil unless the artifact is an Arch package
	result     Result
	peek       *bufio.Reader
}

// entry is one file that extractors are asked about.
type entry struct {
	Path      string         // inside its container
	Container string         // location of the container, "" for the artifact itself
	Name      string         // of the container, as a file; "" for the artifact itself
	Format    archive.Format // of the container
	Content   archive.Format // of the file, from its first bytes
	Jar       string         // format of the jar that this stands for
	Root      bool           // directly in the artifact
	Artifact  identify.Identity
}

// Location is the path inside the artifact, nested containers joined with
// "!".
func (e *entry) Location() string {
	if e.Container == "" {
		return e.Path
	}
	return e.Container + "!" + e.Path
}

func newEntry(a *archive.Entry, artifact identify.Identity) *entry {
	return &entry{
		Path: a.Path, Container: strings.Join(a.Parents[1:], "!"), Name: a.Parents[len(a.Parents)-1], Format: a.Format,
		Root: len(a.Parents) == 1, Artifact: artifact,
	}
}

// mayName refuses files that are never opened where they can be left out:
// compiled Java classes, which make up most of a jar and name no package.
func mayName(e *archive.Entry) bool { return !strings.HasSuffix(e.Path, ".class") }

// bytes looks at the artifact itself and walks it if it is a container.
func (c *cataloguer) bytes(ctx context.Context, r io.ReaderAt, size int64, name string) error {
	if c.root.Format != identify.PSPF { // which begins with a program that is also seen as an entry
		e := &entry{Path: name, Format: archive.Unknown, Artifact: c.root, Root: true}
		if err := c.file(ctx, e, io.NewSectionReader(r, 0, size)); err != nil {
			return err
		}
	}
	report, err := archive.WalkWanted(ctx, r, size, name, c.limits, mayName, func(ctx context.Context, a *archive.Entry, content io.Reader) error {
		c.image.note(a)
		c.files.link(a)
		if a.Type == archive.File && content == nil && a.Format == archive.Zip {
			c.jars.wants(newEntry(a, c.root)) // takes account of it
		}
		if a.Type != archive.File || content == nil {
			return nil
		}
		e := newEntry(a, c.root)
		content, done := c.files.watch(e, content)
		if err := c.file(ctx, e, content); err != nil {
			return err
		}
		done()
		return nil
	})
	if err != nil {
		return err
	}
	for _, p := range report.Problems {
		at := strings.TrimPrefix(strings.TrimPrefix(p.Path, name), "!")
		if at == "" {
			at = name
		}
		c.problem(at, p.Kind, p.Detail)
	}
	return nil
}

// file asks the extractors about one file. At most one reads it. The error is
// of reading the content.
func (c *cataloguer) file(ctx context.Context, e *entry, content io.Reader) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	src := c.open(e, content)
	if e.Name != "" {
		c.hashContent(e, content)
	}
	if c.jars.wants(e) {
		return c.judge(e, "jar", src, c.jars.read(e, src))
	}
	if c.image.wants(e) {
		return c.judge(e, "image", src, c.image.read(e, src))
	}
	if isOSRelease(e) {
		data, err := src.all(identify.MaxMetadata)
		if tell := func() { c.seen.release(identify.OSRelease(data)) }; err == nil && !c.image.wait(e.Location(), tell) {
			tell()
		}
		return c.judge(e, "os-release", src, err)
	}
	if e.Name != "" && isSBOM(e) {
		document, err := src.all(maxImportedBytes)
		switch {
		case errors.Is(err, errTooLarge):
			err = &misplaced{err}
		case err == nil:
			err = c.take(e, document)
		}
		return c.judge(e, "sbom", src, err)
	}
	if c.files.wants(e) {
		return c.judge(e, "mtree", src, c.files.read(src))
	}
	if isBuildInfo(e) {
		data, err := src.all(identify.MaxMetadata)
		if err == nil {
			c.result.BuiltWith, err = identify.ParseBuildInfo(data)
		}
		return c.judge(e, "buildinfo", src, err)
	}
	if c.texts.wants(e) {
		err := c.texts.note(e, src)
		if errors.Is(err, errTooLarge) {
			err = nil // a book of licences, or none at all
		}
		return c.judge(e, "licence", src, err)
	}
	for _, x := range c.extractors {
		if !x.wants(e) {
			continue
		}
		found, err := guarded(x, e, src)
		for _, p := range found {
			c.found(e, p)
		}
		return c.judge(e, x.name(), src, err)
	}
	return nil
}

// found lists a package, or lets it wait until it is known which files of an
// image are still there.
func (c *cataloguer) found(e *entry, p identify.Package) {
	if c.image != nil && len(c.image.waiting) >= 4*maxComponents {
		c.seen.omitted++
		return
	}
	tell := func() { c.seen.add(e, p) }
	if !c.image.wait(e.Location(), tell) {
		tell()
	}
}

// open learns the format of the content from its first bytes.
func (c *cataloguer) open(e *entry, content io.Reader) *source {
	if at, ok := content.(*io.SectionReader); ok {
		head := make([]byte, peekSize)
		n, _ := at.ReadAt(head, 0) // an error shows again when the content is read
		e.Content = archive.Sniff(head[:n])
		return &source{r: at, at: at, size: at.Size()}
	}
	if c.peek == nil {
		c.peek = bufio.NewReaderSize(nil, 4<<10)
	}
	c.peek.Reset(content)
	head, _ := c.peek.Peek(peekSize)
	e.Content = archive.Sniff(head)
	return &source{r: c.peek}
}

// judge makes a problem of what an extractor could not make sense of. An
// error of reading goes back to the walk, which knows whether it is a limit,
// damage of the container or a failure of ours.
func (c *cataloguer) judge(e *entry, extractor string, src *source, err error) error {
	var where *misplaced
	switch {
	case src.err != nil:
		return src.err
	case err == nil, errors.Is(err, identify.ErrNoPackage):
		return nil
	case errors.Is(err, errSpool):
		return err
	case errors.As(err, &where):
		if len(c.result.Notes) < maxNotes {
			c.result.Notes = append(c.result.Notes, fmt.Sprintf("%.500s: %.300s", e.Location(), where.Error()))
		}
	case errors.Is(err, errTooLarge):
		c.problem(e.Location(), archive.KindLimit, extractor+": "+err.Error())
	default:
		c.problem(e.Location(), archive.KindDamaged, extractor+": "+err.Error())
	}
	return nil
}

// problem keeps the first maxProblems.
func (c *cataloguer) problem(where, kind, detail string) {
	switch n := len(c.result.Problems); {
	case n < maxProblems:
		c.result.Problems = append(c.result.Problems, archive.Problem{Path: where, Kind: kind, Detail: detail})
	case n == maxProblems:
		c.result.Problems = append(c.result.Problems, archive.Problem{Path: where, Kind: archive.KindOmitted, Detail: "further problems are not listed"})
	}
}

// dirOf is the last directory of a path, "" at the top.
func dirOf(name string) string {
	dir := path.Dir(name)
	if dir == "." {
		return ""
	}
	return path.Base(dir)
}
