package sbom

import (
	cdx "github.com/CycloneDX/cyclonedx-go"

	"assize.dev/services/sbom/internal/license"
)

// licenses writes what a package declares, and what its licence files amount
// to only where it declares nothing.
func licenses(declared []string, concluded string) *cdx.Licenses {
	switch {
	case len(declared) > 0:
		return choices(declared, cdx.LicenseAcknowledgementDeclared)
	case concluded != "":
		return choices([]string{concluded}, cdx.LicenseAcknowledgementConcluded)
	}
	return nil
}

// observed writes what licence files amount to, as evidence beside what is
// declared.
func observed(concluded string) *cdx.Evidence {
	if concluded == "" {
		return nil
	}
	return &cdx.Evidence{Licenses: choices([]string{concluded}, "")}
}

// choices: CycloneDX allows one expression, or any number of identifiers and
// names. A licence that SPDX does not know is carried over as a name, never
// bent into an identifier.
func choices(given []string, as cdx.LicenseAcknowledgement) *cdx.Licenses {
	expression, rest := license.Any(given)
	if len(rest) == 0 && !license.ID(expression) {
		choice := cdx.LicenseChoice{Expression: expression}
		if as != "" {
			choice.Acknowledgement = &as
		}
		return &cdx.Licenses{choice}
	}
	var out cdx.Licenses
	for _, g := range given {
		l := &cdx.License{Name: g, Acknowledgement: as}
		if id := license.FromDeclared(g); license.ID(id) {
			l.ID, l.Name = id, ""
		}
		out = append(out, cdx.LicenseChoice{License: l})
	}
	return &out
}
