package identify

import (
	"context"
	"errors"
	"io"
	"regexp"
	"strings"

	purl "github.com/package-url/packageurl-go"

	"assize.dev/shared/archive"
)

// identifyAr tells a Debian package (deb(5): debian-binary, control.tar,
// data.tar) from any other ar archive.
func identifyAr(ctx context.Context, r io.ReaderAt, size int64, filename string) (Identity, error) {
	id := Identity{Format: string(archive.Ar)}
	open := func(e *archive.Entry) bool {
		return len(e.Parents) == 1 && strings.HasPrefix(e.Path, "control.tar")
	}
	_, reason, err := walk(ctx, r, size, filename, open, func(e *archive.Entry, content io.Reader) error {
		switch {
		case len(e.Parents) == 1 && e.Path == "debian-binary":
			id = Identity{Format: Deb, Reason: "the package has no control file"}
		case len(e.Parents) == 1 && strings.HasPrefix(e.Path, "data.tar"):
			return errFound // control comes first, deb(5)
		case len(e.Parents) == 2 && e.Path == "control" && content != nil && id.Format == Deb:
			data, err := readMetadata(content, MaxMetadata)
			if err != nil {
				id.Reason = "control: " + err.Error()
				return errFound
			}
			p, err := ParseDebianControl(data)
			if err != nil {
				id.Reason = "control: " + err.Error()
				return errFound
			}
			id = identityOf(Deb, p)
			return errFound
		}
		return nil
	})
	if reason != "" {
		id.Reason = reason
	}
	return id, err
}

// ParseDebianControl reads the first paragraph of a binary package's control
// file (Debian policy 5.3).
func ParseDebianControl(data []byte) (Package, error) {
	f, _ := paragraph(data, foldLines)
	return debianPackage(f)
}

// ParseDebianStatus reads dpkg's database of installed packages, leaving out
// those that were removed. It calls found for each.
func ParseDebianStatus(data []byte, found func(Package)) {
	for len(data) > 0 {
		var f fields
		f, data = paragraph(data, foldLines)
		if status := f.get("status"); status != "" && !strings.HasSuffix(status, " installed") {
			continue
		}
		if p, err := debianPackage(f); err == nil {
			found(p)
		}
	}
}

// debianRelease is in the version of a security or stable update.
var debianRelease = regexp.MustCompile(`[+~]deb(\d+)u\d+`)

func debianPackage(f fields) (Package, error) {
	p := Package{
		Type: purl.TypeDebian, Namespace: "debian", Name: f.get("package"), Version: f.get("version"),
		Supplier: f.get("maintainer"), Description: f.get("description"),
	}
	if p.Name == "" || p.Version == "" {
		return Package{}, errors.New("no Package and Version field")
	}
	if strings.Contains(strings.ToLower(p.Version), "ubuntu") || strings.Contains(strings.ToLower(p.Supplier), "ubuntu") {
		p.Namespace = "ubuntu"
	}
	p.Requires, p.NeedsStated = debianRequires(f.get("pre-depends"), f.get("depends")), true
	for _, r := range debianRequires(f.get("provides")) {
		p.Provides = append(p.Provides, r.Names...)
	}
	p = p.withQualifier("arch", f.get("architecture"))
	if m := debianRelease.FindStringSubmatch(p.Version); m != nil && p.Namespace == "debian" {
		p = p.withQualifier("distro", "debian-"+m[1])
	}
	// Advisories name source packages; "Source: name (version)" where they differ.
	if source := f.get("source"); source != "" {
		name, version, _ := strings.Cut(source, " ")
		if version = strings.Trim(version, "() "); version != "" {
			name += "@" + version
		}
		p = p.withQualifier("upstream", name)
	}
	return p, nil
}
