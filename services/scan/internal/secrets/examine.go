package secrets

import (
	"context"
	"io"
	"slices"
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

// Confidences of findings, the surest first.
var Confidences = []string{byChecksum, byStructure, byEntropy, byGeneric}

func lessSure(confidence string) string {
	return Confidences[min(slices.Index(Confidences, confidence)+1, len(Confidences)-1)]
}
