// Package identify tells what bytes are and which package they say they
// are. It is shared because ingest announces the answer and sbom lists it,
// and both must read the same metadata the same way.
package identify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"assize.dev/shared/archive"
)

// Formats of packages, told from their content. Bytes that are no package
// have the name of their archive.Format, such as "zip", "elf" or "unknown".
const (
	PSPF    = "pspf"
	Arch    = "arch"
	Deb     = "deb"
	RPM     = "rpm"
	APK     = "apk" // Alpine's
	NPM     = "npm"
	Wheel   = "wheel"
	Egg     = "egg"
	Sdist   = "sdist"
	Crate   = "crate"
	Gem     = "gem"
	JAR     = "jar"
	WAR     = "war"
	EAR     = "ear"
	Nupkg   = "nupkg"
	GoMod   = "gomod"   // a module's zip, as the Go module proxy serves it
	OCI     = "oci"     // image layout directory, as a tar
	Docker  = "docker"  // "docker save" archive
	Android = "android" // application package
	Tar     = string(archive.Tar)
	Zip     = string(archive.Zip)
	ELF     = string(archive.ELF)
	PE      = string(archive.PE)
	MachO   = string(archive.MachO)
	Unknown = string(archive.Unknown)
)

// Identity is what the bytes say of themselves. None of it is verified.
type Identity struct {
	Format      string   // one of the formats above
	PURL        string   // canonical package URL, "" where the bytes name no package
	Name        string   // as the package spells it
	Version     string   // as the package spells it
	MediaType   string   // IANA media type where one is registered or in common use
	Licenses    []string // as declared by the package: SPDX expressions or free text
	Supplier    string   // who the package says made it
	Description string   // first line
	// Reason says why the identity of what looks like a package could not
	// be read; "" when it could, or when there is none to read.
	Reason string
}

// limits bound the search for an identity, which ends early in every
// package made by the usual tools.
var limits = archive.Limits{Inflated: 4 << 30, Time: 2 * time.Minute}

// Bounds of what is read to learn an identity.
const (
	MaxMetadata = 4 << 20 // bytes of one metadata file
	headSize    = 4096
)

// errFound ends a walk that has learned all it wanted.
var errFound = errors.New("identity found")

// Identify reads as much of the size bytes of r as it takes to tell what they
// are. The file name decides only what content leaves open. The error is of
// reading r or of ctx; a damaged package is an Identity with a Reason.
func Identify(ctx context.Context, r io.ReaderAt, size int64, filename string) (id Identity, err error) {
	watch := &watched{ReaderAt: r}
	r = watch
	defer func() {
		if watch.err != nil && err == nil {
			err = fmt.Errorf("identify %s: %w", filename, watch.err)
		}
		if p := recover(); p != nil {
			id.Reason = fmt.Sprintf("reading the identity panicked: %v", p)
			if id.Format == "" {
				id.Format = Unknown
			}
		}
		id.MediaType = mediaType(id.Format, filename)
	}()
	if packaged, err := archive.IsPSPF(r, size); err != nil {
		return Identity{Format: Unknown}, fmt.Errorf("read the end of %s: %w", filename, err)
	} else if packaged {
		return identifyPSPF(ctx, r, size, filename)
	}
	head := make([]byte, min(headSize, max(size, 0)))
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return Identity{Format: Unknown}, fmt.Errorf("read the first bytes of %s: %w", filename, err)
	}
	head = head[:n]
	switch f := archive.Sniff(head); f {
	case archive.RPM:
		return identifyRPM(r, size), nil
	case archive.Ar:
		return identifyAr(ctx, r, size, filename)
	case archive.Zip:
		return identifyZip(ctx, r, size, filename)
	case archive.Tar, archive.Gzip, archive.Zstd, archive.XZ, archive.Bzip2, archive.LZMA:
		return identifyTar(ctx, r, size, filename, f)
	case archive.ELF, archive.PE, archive.MachO:
		return identifyBinary(r, string(f)), nil
	case archive.Unknown: // a zip may have something before it
		return identifyZip(ctx, r, size, filename)
	default:
		return Identity{Format: string(f)}, nil
	}
}

// watched remembers a failure of the storage, which is no fault of the bytes.
type watched struct {
	io.ReaderAt
	err error
}

func (w *watched) ReadAt(p []byte, off int64) (int, error) {
	n, err := w.ReaderAt.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}

// identityOf describes p, found in a file of the given format.
func identityOf(format string, p Package) Identity {
	p = p.Printable()
	id := Identity{
		Format: format, PURL: p.PURL(), Name: clean(p.FullName(), maxName), Version: clean(p.Version, maxName),
		Licenses: p.Licenses, Supplier: p.Supplier, Description: p.Description,
	}
	if id.PURL == "" {
		id.Reason = "the package's own metadata gives no usable name and version"
	}
	return id
}

// walk visits the artifact's own entries, and those of the nested containers
// that open accepts. It returns the format of the outermost bytes, and why the
// walk was incomplete, if it was.
func walk(ctx context.Context, r io.ReaderAt, size int64, filename string, open func(*archive.Entry) bool, visit func(*archive.Entry, io.Reader) error) (format archive.Format, reason string, err error) {
	report, err := archive.WalkWanted(ctx, r, size, filename, limits, namesZip, func(_ context.Context, e *archive.Entry, content io.Reader) error {
		if err := visit(e, content); err != nil {
			return err
		}
		if open == nil || !open(e) {
			return archive.SkipNested
		}
		return nil
	})
	if err != nil && !errors.Is(err, errFound) {
		return report.Format, "", fmt.Errorf("identify %s: %w", filename, err)
	}
	if err == nil && !report.Complete() {
		p := report.Problems[0]
		reason = fmt.Sprintf("%s: %s: %s", p.Path, p.Kind, p.Detail)
	}
	return report.Format, reason, nil
}

// readMetadata reads a whole metadata file, which must not exceed limit.
func readMetadata(content io.Reader, limit int64) ([]byte, error) {
	var buf bytes.Buffer
	n, err := buf.ReadFrom(io.LimitReader(content, limit+1))
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, fmt.Errorf("larger than the %d bytes that metadata may have", limit)
	}
	return buf.Bytes(), nil
}

// identifyBinary names a Go program by its main module, and a Windows program
// by its version resource. Other programs do not say which package they are.
func identifyBinary(r io.ReaderAt, format string) Identity {
	program, err := ReadGoProgram(r)
	if err != nil || program.Main.Name == "" {
		id := Identity{Format: format}
		if p, err := ReadPEVersion(r); format == PE && err == nil {
			id = identityOf(PE, p)
			id.Reason = "" // such names make no package URL
		}
		return id
	}
	id := identityOf(format, program.Main)
	if program.Main.Version == "" {
		id.PURL = ""
	}
	id.Reason = ""
	return id
}

func mediaType(format, filename string) string {
	switch format {
	case Deb:
		return "application/vnd.debian.binary-package"
	case RPM:
		return "application/x-rpm"
	case JAR, WAR, EAR:
		return "application/java-archive"
	case Android:
		return "application/vnd.android.package-archive"
	case NPM, Sdist, Crate, APK:
		if strings.EqualFold(path.Ext(filename), ".zip") {
			return "application/zip"
		}
		return "application/gzip"
	case Wheel, Egg, Nupkg, GoMod, Zip:
		return "application/zip"
	case Gem, OCI, Docker, Tar:
		return "application/x-tar"
	case Arch, string(archive.Zstd):
		return "application/zstd"
	case string(archive.Gzip):
		return "application/gzip"
	case string(archive.XZ):
		return "application/x-xz"
	case string(archive.Bzip2):
		return "application/x-bzip2"
	case ELF:
		return "application/x-executable"
	case PE:
		return "application/vnd.microsoft.portable-executable"
	case MachO:
		return "application/x-mach-binary"
	}
	return "application/octet-stream"
}
