package identify

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	purl "github.com/package-url/packageurl-go"

	"assize.dev/shared/archive"
)

// identifyPSPF reads package.name and package.version of the metadata. It
// proves nothing: verifying is another service's work.
func identifyPSPF(ctx context.Context, r io.ReaderAt, size int64, filename string) (Identity, error) {
	var p Package
	err := ErrNoPackage
	_, reason, failed := walk(ctx, r, size, filename, nil, func(e *archive.Entry, content io.Reader) error {
		if e.Path != archive.PSPFMetadata {
			return errFound // it comes first
		}
		var data []byte
		if data, err = readMetadata(content, archive.MaxPSPFMetadata); err != nil {
			return err
		}
		p, err = ParsePSPFMetadata(data)
		return errFound
	})
	switch {
	case failed != nil:
		return Identity{Format: PSPF}, failed
	case err == nil:
		return identityOf(PSPF, p), nil
	case reason == "":
		reason = "metadata: " + err.Error()
	}
	return Identity{Format: PSPF, Reason: reason}, nil
}

// ParsePSPFMetadata reads the package member of a PSPF/2025 metadata JSON.
func ParsePSPFMetadata(data []byte) (Package, error) {
	var m struct {
		Package struct {
			Name        string `json:"name"`
			Version     string `json:"version"`
			Description string `json:"description"`
		} `json:"package"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return Package{}, err
	}
	if m.Package.Name == "" || m.Package.Version == "" {
		return Package{}, fmt.Errorf("%w: no package name and version", ErrNoPackage)
	}
	return Package{
		Type: purl.TypeGeneric, Name: m.Package.Name, Version: m.Package.Version, Description: m.Package.Description,
	}, nil
}
