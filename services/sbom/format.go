package sbom

import (
	"fmt"
	"strings"

	"assize.dev/services/sbom/internal/schema"
)

// Format is a format of documents.
type Format string

// The formats. CycloneDX 1.6 is what BSI TR-03183-2 asks for at least.
const (
	CycloneDX15 Format = "cyclonedx-1.5"
	CycloneDX16 Format = "cyclonedx-1.6"
	CycloneDX17 Format = "cyclonedx-1.7"
	SPDX23      Format = "spdx-2.3"
)

// Formats lists all of them, the default first.
var Formats = []Format{CycloneDX16, CycloneDX15, CycloneDX17, SPDX23}

// MediaType is the registered media type, with the version.
func (f Format) MediaType() string {
	if version, ok := strings.CutPrefix(string(f), "cyclonedx-"); ok {
		return "application/vnd.cyclonedx+json; version=" + version
	}
	return "application/spdx+json; version=2.3"
}

// PredicateType is what in-toto statements call a document of the format.
func (f Format) PredicateType() string {
	if f == SPDX23 {
		return "https://spdx.dev/Document/v2.3"
	}
	return "https://cyclonedx.org/bom"
}

// Document writes the result in a format, as JSON. The same result and
// subject always make the same bytes, and they keep to the format's official
// schema: an error means that they would not.
func (r *Result) Document(f Format, s Subject) ([]byte, error) {
	var document []byte
	var err error
	switch f {
	case CycloneDX15, CycloneDX16, CycloneDX17:
		document, err = r.cycloneDX(f, s)
	case SPDX23:
		document, err = r.spdx(s)
	default:
		return nil, fmt.Errorf("write SBOM: there is no format %q", f)
	}
	if err == nil {
		err = schema.Validate(string(f), document)
	}
	if err != nil {
		return nil, fmt.Errorf("write SBOM: %w", err)
	}
	return document, nil
}
