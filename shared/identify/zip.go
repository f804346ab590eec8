package identify

import (
	"context"
	"io"
	"path"
	"slices"
	"strings"

	"assize.dev/shared/archive"
)

// identifyZip tells wheels, eggs, jars, NuGet packages, Go modules and Python
// sources from other zips by the files that only they have.
func identifyZip(ctx context.Context, r io.ReaderAt, size int64, filename string) (Identity, error) {
	z := zipContents{}
	outer, reason, err := walk(ctx, r, size, filename, nil, z.visit)
	if err != nil || outer != archive.Zip {
		return Identity{Format: string(outer), Reason: reason}, err
	}
	id := z.identity(filename)
	if reason != "" && id.PURL == "" {
		id.Reason = reason
	}
	return id, nil
}

// namesZip tells which files of a zip may say what it is. Only those are
// inflated.
func namesZip(e *archive.Entry) bool {
	switch path.Base(e.Path) {
	case "METADATA", "PKG-INFO", "MANIFEST.MF", "pom.properties", "pom.xml", "package.json", "Cargo.toml":
		return true
	}
	return strings.HasSuffix(e.Path, ".nuspec")
}

// zipContents is what was met in a zip.
type zipContents struct {
	jar      Jar
	wheel    bool // has *.dist-info/WHEEL
	android  bool
	entries  int
	goPrefix string // of every file so far; "" once one differs
	goModule Package
	found    []candidate
	problem  string // why metadata could not be read
}

// candidate is a package that some file of an archive describes.
type candidate struct {
	format string
	Package
}

func (z *zipContents) visit(e *archive.Entry, content io.Reader) error {
	if len(e.Parents) != 1 || e.Type != archive.File {
		return nil
	}
	if z.entries++; z.entries == 1 {
		z.goPrefix, z.goModule, _ = goModulePrefix(e.Path)
	} else if z.goPrefix != "" && !strings.HasPrefix(e.Path, z.goPrefix) {
		z.goPrefix = ""
	}
	z.jar.Note(e.Path)
	dir, base := path.Split(e.Path)
	dir = strings.TrimSuffix(dir, "/")
	top := !strings.Contains(dir, "/")
	switch {
	case strings.HasSuffix(dir, ".dist-info") && base == "WHEEL" && top:
		z.wheel = true
	case strings.HasSuffix(dir, ".dist-info") && base == "METADATA" && top:
		z.read(Wheel, content, ParsePythonMetadata)
	case dir == "EGG-INFO" && base == "PKG-INFO":
		z.read(Egg, content, ParsePythonMetadata)
	case dir != "" && top && base == "PKG-INFO":
		z.read(Sdist, content, ParsePythonMetadata)
	case dir == "" && strings.HasSuffix(base, ".nuspec"):
		z.read(Nupkg, content, ParseNuspec)
	case e.Path == "AndroidManifest.xml":
		z.android = true
	case z.jar.WantsContent(e.Path):
		z.read(JAR, content, func(data []byte) (Package, error) { return Package{}, z.jar.Add(e.Path, data) })
	}
	return nil
}

// read keeps what parse makes of the content, or the reason it cannot.
func (z *zipContents) read(format string, content io.Reader, parse func([]byte) (Package, error)) {
	data, err := readMetadata(content, MaxMetadata)
	if err == nil {
		var p Package
		if p, err = parse(data); err == nil {
			if p.Name != "" {
				z.found = append(z.found, candidate{format, p})
			}
			return
		}
	}
	if format == JAR {
		return // a jar often carries descriptions of others, some of them damaged
	}
	if z.problem == "" {
		z.problem = format + " metadata: " + err.Error()
	}
	z.found = append(z.found, candidate{format: format})
}

func (z *zipContents) identity(filename string) Identity {
	for _, format := range []string{Wheel, Egg, Nupkg, Sdist} {
		if format == Wheel && !z.wheel {
			continue
		}
		i := slices.IndexFunc(z.found, func(c candidate) bool { return c.format == format })
		if i < 0 {
			continue
		}
		if z.found[i].Name == "" {
			return Identity{Format: format, Reason: z.problem}
		}
		return identityOf(format, z.found[i].Package)
	}
	switch format := z.jar.Format(); {
	case z.goPrefix != "":
		return identityOf(GoMod, z.goModule)
	case z.android:
		return Identity{Format: Android}
	case format != "":
		self, _ := z.jar.Packages(filename)
		id := identityOf(format, self)
		id.Reason = "" // many jars do not say which package they are
		return id
	}
	return Identity{Format: Zip}
}
