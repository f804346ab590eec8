package identify

import (
	"context"
	"errors"
	"io"
	"path"
	"slices"
	"strings"

	"assize.dev/shared/archive"
)

// identifyTar tells the many packages that are tars, compressed or not, by the
// files that only they have. A compressed file that holds no tar keeps the
// name of its compression.
func identifyTar(ctx context.Context, r io.ReaderAt, size int64, filename string, outer archive.Format) (Identity, error) {
	t := tarContents{outer: outer}
	_, reason, err := walk(ctx, r, size, filename, nil, t.visit)
	if err != nil {
		return Identity{Format: string(outer)}, err
	}
	id := t.identity()
	if reason != "" && id.PURL == "" {
		id.Reason = reason
	}
	return id, nil
}

// tarContents is what was met in a tar.
type tarContents struct {
	outer     archive.Format
	isTar     bool
	signedAPK bool            // .SIGN.* comes first in signed apk packages
	mtree     bool            // .MTREE or .BUILDINFO, pacman's
	crateDirs map[string]bool // directories with a mark only cargo makes
	oci       bool
	image     *Identity
	found     []candidate
	problem   string
	broken    string    // format whose metadata could not be read
	sure      *Identity // nothing that follows can change it
}

// maxCandidates bounds the packages kept until the whole tar was seen.
const maxCandidates = 100

func (t *tarContents) visit(e *archive.Entry, content io.Reader) error {
	if len(e.Parents) != 1 {
		return nil
	}
	if e.Format == archive.Tar {
		t.isTar = true
	}
	if e.Type != archive.File || content == nil {
		return nil
	}
	dir, base := path.Split(e.Path)
	dir = strings.TrimSuffix(dir, "/")
	if dir == "" {
		return t.visitTop(base, content)
	}
	if strings.Contains(dir, "/") || len(t.found) >= maxCandidates {
		return nil
	}
	switch base {
	case "PKG-INFO":
		if p, ok := t.read(Sdist, content, ParsePythonMetadata); ok {
			if pythonDir(dir, p) {
				return t.certain(Sdist, p)
			}
			t.found = append(t.found, candidate{Sdist, p})
		}
	case ".cargo_vcs_info.json", "Cargo.toml.orig":
		if t.crateDirs == nil {
			t.crateDirs = map[string]bool{}
		}
		t.crateDirs[dir] = true
	case "Cargo.toml":
		p, ok := t.read(Crate, content, ParseCargoToml)
		if ok && dir == p.Name+"-"+p.Version {
			t.found = append(t.found, candidate{Crate, p})
		}
	case "package.json":
		p, ok := t.read(NPM, content, ParsePackageJSON)
		if ok && dir == "package" {
			return t.certain(NPM, p)
		}
		if ok {
			t.found = append(t.found, candidate{NPM, p})
		}
	}
	return nil
}

// visitTop looks at a file in the tar's root.
func (t *tarContents) visitTop(base string, content io.Reader) error {
	switch {
	case strings.HasPrefix(base, ".SIGN."):
		t.signedAPK = true
	case base == ".MTREE", base == ".BUILDINFO":
		t.mtree = true
	case base == ".PKGINFO":
		data, err := readMetadata(content, MaxMetadata)
		if err != nil {
			t.note("package", err)
			return nil
		}
		format := pkginfoFormat(data, t.signedAPK, t.mtree, t.outer)
		p, err := ParsePKGINFO(data, format)
		if err != nil {
			t.note(format, err)
			return nil
		}
		return t.certain(format, p)
	case base == "metadata.gz" && t.outer == archive.Tar:
		p, err := readGemMetadata(content)
		switch {
		case err == nil:
			return t.certain(Gem, p)
		case !errors.Is(err, ErrNoPackage):
			t.note(Gem, err)
		}
	case base == "oci-layout":
		t.oci = true
	case base == "index.json" || base == "manifest.json":
		data, err := readMetadata(content, MaxMetadata)
		if err != nil {
			return nil // any file may have this name
		}
		if id, ok := parseImage(base, data); ok && (t.image == nil || id.PURL != "") {
			t.image = &id
		}
	}
	return nil
}

func (t *tarContents) read(format string, content io.Reader, parse func([]byte) (Package, error)) (Package, bool) {
	data, err := readMetadata(content, MaxMetadata)
	if err != nil {
		t.note(format, err)
		return Package{}, false
	}
	p, err := parse(data)
	if err != nil {
		if !errors.Is(err, ErrNoPackage) {
			t.note(format, err)
		}
		return Package{}, false
	}
	return p, true
}

func (t *tarContents) note(format string, err error) {
	if t.problem == "" {
		t.broken, t.problem = format, format+" metadata: "+err.Error()
	}
}

func (t *tarContents) certain(format string, p Package) error {
	id := identityOf(format, p)
	t.sure = &id
	return errFound
}

func (t *tarContents) identity() Identity {
	if t.sure != nil {
		return *t.sure
	}
	// Python packages with Rust or JavaScript parts hold Cargo.toml or
	// package.json beside PKG-INFO, so the order counts.
	for _, format := range []string{Sdist, Crate, NPM} {
		i := slices.IndexFunc(t.found, func(c candidate) bool {
			return c.format == format && (format != Crate || t.crateDirs[c.Name+"-"+c.Version])
		})
		if i >= 0 {
			return identityOf(format, t.found[i].Package)
		}
	}
	switch {
	case t.image != nil:
		if t.oci {
			t.image.Format = OCI
		}
		return *t.image
	case t.oci:
		return Identity{Format: OCI, Reason: "the image layout has no readable index.json"}
	case t.problem != "" && t.broken != "package":
		return Identity{Format: t.broken, Reason: t.problem}
	case t.isTar:
		return Identity{Format: Tar, Reason: t.problem}
	}
	return Identity{Format: string(t.outer), Reason: t.problem}
}
