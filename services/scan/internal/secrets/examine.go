package secrets

import (
	"context"
	"io"
	"path/filepath"
	"strings"

	"assize.dev/services/scan/internal/unpack"
	"assize.dev/shared/archive"
)

// Examine scans everything inside an artifact, and calls emit with each
// match and where it is: the path inside the artifact, nested containers
// joined with "!", empty for the artifact itself.
func (e *Engine) Examine(ctx context.Context, artifact unpack.Artifact, limits archive.Limits, emit func(location string, m Match)) (*unpack.Result, error) {
	return unpack.Walk(ctx, artifact, limits, func(ctx context.Context, item unpack.Item, content io.Reader) error {
		if content == nil {
			return nil
		}
		path := strings.Trim(artifact.Name+"!"+item.Location, "!")
		placed := func(m Match) {
			if m.InTests = inTests(path); m.InTests {
				m.Confidence = lessSure(m.Confidence)
			}
			emit(item.Location, m)
		}
		e.name(path, placed)
		format, content, err := unpack.Sniffed(content)
		if err != nil {
			return err
		}
		if item.Entry != nil && unpack.Opens(format) {
			return nil // its entries come one by one
		}
		return e.Scan(ctx, path, content, placed)
	})
}

// name applies the custom rules on paths alone. The match is the file.
func (e *Engine) name(path string, emit func(Match)) {
	for _, c := range e.custom.forPath(path).forName() {
		emit(Match{
			Rule: c.id, Title: c.title, Severity: c.severity, Confidence: c.confidence, Line: 1, Column: 1,
			Redacted: "the file itself", Fingerprint: e.fingerprint([]byte(c.id + "\x00" + path)),
		})
	}
}

// inTests tells paths where made-up credentials are at home: among tests,
// examples and documentation. They are looked at like any other, and are less
// sure to be of use to anyone. What a container is called does not count.
func inTests(path string) bool {
	for part := range strings.SplitSeq(path, "!") {
		path = part // all but the last end with a container's name
		dirs, name := "", part
		if i := strings.LastIndexByte(part, '/'); i >= 0 {
			dirs, name = part[:i], part[i+1:]
		}
		for dir := range strings.SplitSeq(dirs, "/") {
			if hasWord(dir, testWords) || hasWord(dir, testDirs) {
				return true
			}
		}
		path = name
	}
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".md", ".mdx", ".rst", ".adoc":
		return true
	}
	return hasWord(path, testWords)
}

var (
	testWords = set("test tests testing testdata tester fixture fixtures mock mocks example examples sample samples")
	testDirs  = set("spec specs e2e doc docs documentation")
)

// hasWord reports whether a name has one of the words: names are made of
// words by case, and by what is neither letter nor digit.
func hasWord(name string, words map[string]bool) bool {
	start := 0
	for i := 0; i <= len(name); i++ {
		if i < len(name) && (isLetter(name[i]) || isDigit(name[i])) && !(i > start && isUpper(name[i]) && !isUpper(name[i-1])) {
			continue
		}
		if words[strings.ToLower(name[start:i])] {
			return true
		}
		start = i
		if i < len(name) && !isLetter(name[i]) && !isDigit(name[i]) {
			start++
		}
	}
	return false
}

func lessSure(confidence string) string {
	switch confidence {
	case byChecksum:
		return byStructure
	case byStructure:
		return byEntropy
	}
	return byGeneric
}
