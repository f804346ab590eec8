package identify

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"assize.dev/shared/archive"
)

// ParsePKGINFO reads the "key = value" lines of .PKGINFO, which both pacman
// and apk packages have. The format is Arch, APK, or "" to tell from the data.
func ParsePKGINFO(data []byte, format string) (Package, error) {
	if format == "" {
		format = pkginfoFormat(data, false, false, archive.Unknown)
	}
	p := Package{}
	arch, pkgbase := "", ""
	var depends, provides []string
	for line := range bytes.Lines(data) {
		key, value, ok := strings.Cut(string(bytes.TrimSpace(line)), "=")
		if !ok || strings.HasPrefix(key, "#") {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "pkgname":
			p.Name = value
		case "pkgver":
			p.Version = value
		case "pkgdesc":
			p.Description = value
		case "packager", "maintainer":
			p.Supplier = value
		case "arch":
			arch = value
		case "pkgbase", "origin":
			pkgbase = value
		case "depend":
			depends = append(depends, value)
		case "provides":
			provides = append(provides, value)
		case "license":
			if len(p.Licenses) < maxLicenses {
				p.Licenses = append(p.Licenses, value)
			}
		}
	}
	if p.Name == "" || p.Version == "" {
		return Package{}, errors.New(".PKGINFO has no pkgname and pkgver")
	}
	switch format {
	case Arch:
		p.Type, p.Namespace = "alpm", "arch"
	case APK:
		p.Type, p.Namespace = "apk", "alpine"
	default:
		return Package{}, fmt.Errorf("no .PKGINFO is known in %s packages", format)
	}
	p.Requires, p.Provides, p.NeedsStated = listed(depends), provided(provides), true
	if pkgbase != p.Name {
		p = p.withQualifier("upstream", pkgbase)
	}
	return p.withQualifier("arch", arch), nil
}

// pkginfoFormat tells Arch's .PKGINFO from Alpine's: abuild writes the hash
// of the data segment, makepkg the base package and extra data.
func pkginfoFormat(data []byte, signedLikeAPK, besideMtree bool, compression archive.Format) string {
	has := func(key string) bool {
		return bytes.HasPrefix(data, []byte(key+" = ")) || bytes.Contains(data, []byte("\n"+key+" = "))
	}
	switch {
	case signedLikeAPK, has("datahash"), bytes.Contains(data, []byte("abuild")):
		return APK
	case besideMtree, has("xdata"), has("pkgbase"), bytes.Contains(data, []byte("makepkg")):
		return Arch
	case compression == archive.Gzip:
		return APK
	}
	return Arch
}

// ParseAPKInstalled reads apk's database of installed packages (apk-installed
// file format: one letter, a colon, the value; an empty line ends a package).
func ParseAPKInstalled(data []byte, found func(Package)) {
	for len(data) > 0 {
		var f fields
		f, data = paragraph(data, foldLines)
		p := Package{
			Type: "apk", Namespace: "alpine", Name: f.get("p"), Version: f.get("v"), Supplier: f.get("m"), Description: f.get("t"),
		}
		// paragraph folds case, so "P" and "p" (provides), "A" and "a" share a
		// slot; the upper-case field of each pair comes first in the format.
		p.Requires, p.NeedsStated = listed(strings.Fields(f.get("d"))), true
		if both := f["p"]; len(both) > 1 {
			p.Provides = provided(strings.Fields(both[1]))
		}
		if p.Name == "" || p.Version == "" {
			continue
		}
		if l := f.get("l"); l != "" {
			p.Licenses = []string{l}
		}
		if o := f.get("o"); o != p.Name {
			p = p.withQualifier("upstream", o)
		}
		found(p.withQualifier("arch", f.get("a")))
	}
}
