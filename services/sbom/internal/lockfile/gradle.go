package lockfile

import (
	"bytes"
	"fmt"
	"strings"

	"assize.dev/shared/identify"
	purl "github.com/package-url/packageurl-go"
)

// readGradle reads gradle.lockfile (Gradle User Manual, "Locking Versions"):
// lines of group:name:version=configurations.
func readGradle(c *collection, data []byte) error { return readGradleLines(c, data, false) }

// readGradleBuildscript reads buildscript-gradle.lockfile, of what the build
// itself runs.
func readGradleBuildscript(c *collection, data []byte) error { return readGradleLines(c, data, true) }

func readGradleLines(c *collection, data []byte, dev bool) error {
	number := 0
	for line := range bytes.Lines(data) {
		number++
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' || strings.HasPrefix(text, "empty=") {
			continue
		}
		module, configurations, ok := strings.Cut(text, "=")
		group, rest, _ := strings.Cut(module, ":")
		name, version, isModule := strings.Cut(rest, ":")
		if !ok || !isModule {
			return fmt.Errorf("line %d is not group:name:version=configurations: %.80q", number, text)
		}
		p := Package{Package: identify.Package{Type: purl.TypeMaven, Namespace: group, Name: name, Version: version}}
		p.Dev = dev || onlyForTests(configurations)
		if err := c.add(p); err != nil {
			return err
		}
	}
	return nil
}

// onlyForTests reports whether all configurations are those of tests or of
// annotation processors, by the names that Gradle's plugins give them.
func onlyForTests(configurations string) bool {
	for name := range strings.SplitSeq(configurations, ",") {
		if !strings.HasPrefix(name, "test") && !strings.Contains(name, "Test") &&
			name != "annotationProcessor" && !strings.HasSuffix(name, "AnnotationProcessor") {
			return false
		}
	}
	return configurations != ""
}
