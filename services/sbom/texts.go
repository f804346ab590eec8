package sbom

import (
	"path"
	"slices"
	"strings"

	"assize.dev/services/sbom/internal/license"
	"assize.dev/shared/archive"
	"assize.dev/shared/identify"
)

// texts gathers what licence files say, by the place they speak for, until
// all components are known.
type texts struct {
	byPlace map[string][]string // SPDX expressions
	root    []string            // of the artifact itself
	read    int
}

// maxTexts bounds the licence files that are read in one artifact.
const maxTexts = 5000

func (t *texts) wants(e *entry) bool {
	return e.Name != "" && t.read < maxTexts && license.IsText(e.Path)
}

// note reads one licence file. A text that is no known licence says nothing.
func (t *texts) note(e *entry, src *source) error {
	t.read++
	data, err := src.all(license.MaxText)
	if err != nil {
		return err
	}
	expression := ""
	if strings.HasPrefix(path.Base(e.Path), "copyright") {
		expression = license.FromDebian(data)
	}
	if expression == "" {
		expression = license.FromText(data)
	}
	if expression == "" {
		return nil
	}
	if t.byPlace == nil {
		t.byPlace = map[string][]string{}
	}
	at := place(e)
	if !slices.Contains(t.byPlace[at], expression) {
		t.byPlace[at] = append(t.byPlace[at], expression)
	}
	if ofRoot(e) && !slices.Contains(t.root, expression) {
		t.root = append(t.root, expression)
	}
	return nil
}

// place is the directory that a licence file, or a package's metadata, is
// about: its own, or the one above a folder for licences only. In a jar that
// is the jar.
func place(e *entry) string { return placeOf(e.Container, e.Path, e.Format == archive.Zip) }

func placeOf(container, name string, zip bool) string {
	dir := path.Dir(name)
	switch strings.ToLower(path.Base(dir)) {
	case "licenses", "license_files", "license-files", "legal":
		dir = path.Dir(dir)
	case "meta-inf":
		if zip {
			dir = "."
		}
	}
	if strings.HasSuffix(dir, ".egg-info") || strings.HasSuffix(dir, "EGG-INFO") {
		dir = path.Dir(dir)
	}
	return container + "\x00" + dir
}

// concluded is what the texts beside a component's metadata amount to.
func (t *texts) concluded(c *Component) string {
	var all []string
	for _, location := range c.Paths {
		container, name := "", location
		if i := strings.LastIndexByte(location, '!'); i >= 0 {
			container, name = location[:i], location[i+1:]
		}
		// A jar is named by its own location, anything else by a file in it.
		for _, at := range []string{placeOf(container, name, false), placeOf(location, "x", true)} {
			all = append(all, t.byPlace[at]...)
		}
	}
	return conclude(all)
}

func conclude(expressions []string) string {
	slices.Sort(expressions)
	expression, _ := license.Any(slices.Compact(expressions))
	return expression
}

// ofRoot tells whether a licence file lies where the artifact's own would:
// where each format's tools put it.
func ofRoot(e *entry) bool {
	dir, id := path.Dir(e.Path), e.Artifact
	parent := path.Base(path.Dir(dir))
	switch id.Format {
	case identify.Deb:
		return strings.HasPrefix(e.Container, "data.tar") && dir == "usr/share/doc/"+id.Name
	case identify.Arch, identify.RPM, identify.APK:
		return strings.HasPrefix(dir, "usr/share/licenses/"+id.Name)
	case identify.GoMod:
		return e.Root && dir == id.Name+"@"+id.Version
	case identify.Wheel:
		return e.Root && (strings.HasSuffix(dir, ".dist-info") || strings.HasSuffix(parent, ".dist-info"))
	case identify.JAR, identify.WAR, identify.EAR, identify.Nupkg:
		return e.Root && (dir == "." || dir == "META-INF")
	case identify.Gem:
		return e.Container == "data.tar.gz" && dir == "."
	case identify.NPM, identify.Sdist, identify.Crate:
		return e.Root && !strings.Contains(dir, "/")
	}
	return false
}
