// Command ours measures our cataloguer on one file.
package main

import (
	"context"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"

	"assize.dev/bench/sbom/internal/measure"
	"assize.dev/services/sbom"
	"assize.dev/shared/archive"
	"assize.dev/shared/digest"
	"assize.dev/shared/identify"
)

func main() { measure.Main(prepare) }

// prepare does what ingest has done before an artifact comes to the sbom
// service: its digest is known.
func prepare(ctx context.Context, file, _ string) (measure.Look, error) {
	sum, err := hash(file)
	if err != nil {
		return nil, err
	}
	subject := sbom.Subject{Filename: filepath.Base(file), Digest: sum}
	return func(m *measure.Measurement) error { return look(ctx, file, subject, m) }, nil
}

// look does as the sbom service does: identity, components and licences, and
// the document.
func look(ctx context.Context, file string, subject sbom.Subject, m *measure.Measurement) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	id, err := identify.Identify(ctx, f, info.Size(), subject.Filename)
	if err != nil {
		return err
	}
	result, err := sbom.Catalogue(ctx, f, info.Size(), subject.Filename, id, archive.Limits{})
	if err != nil {
		return err
	}
	if _, err := result.Document(sbom.CycloneDX16, subject); err != nil {
		return err
	}
	m.Components, m.Format, m.Reason = len(result.Components), id.Format, result.Reason()
	return nil
}

func hash(file string) (digest.Digest, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return digest.FromSum(h.Sum(nil)), nil
}
