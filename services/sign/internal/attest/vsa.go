package attest

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/package-url/packageurl-go"

	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// SummaryPredicateType is the SLSA verification summary (VSA), SLSA 1.2,
// https://slsa.dev/spec/v1.2/verification_summary.
const SummaryPredicateType = "https://slsa.dev/verification_summary/v1"

// summary is the predicate. Levels are JSON numbers nowhere and strings
// everywhere, as slsa-verifier wants; dependencyLevels is absent, which
// makes no claim about dependencies.
type summary struct {
	Verifier           summaryVerifier  `json:"verifier"`
	TimeVerified       time.Time        `json:"timeVerified"`
	ResourceURI        string           `json:"resourceUri"`
	Policy             resource         `json:"policy"`
	InputAttestations  []resource       `json:"inputAttestations"`
	VerificationResult string           `json:"verificationResult"`
	VerifiedLevels     []string         `json:"verifiedLevels"`
	SLSAVersion        string           `json:"slsaVersion"`
	Extension          summaryExtension `json:"https://assize.dev/verdict/v1"`
}

type summaryVerifier struct {
	ID      string            `json:"id"`
	Version map[string]string `json:"version"`
}

type resource struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest"`
}

// summaryExtension leads to the full verdict; extension members are named by
// a URI.
type summaryExtension struct {
	Run      string        `json:"run"`
	Decision event.Outcome `json:"decision"`
	Grade    event.Grade   `json:"grade"`
	Keys     int           `json:"keys"` // as in Verifier
}

func (a *Attestor) summary(d *event.Decision) summary {
	at := func(format string, args ...any) string {
		return strings.TrimSuffix(a.verifier.ID, "/") + fmt.Sprintf(format, args...)
	}
	s := summary{
		Verifier:     summaryVerifier{a.verifier.ID, map[string]string{"assize": a.verifier.Version}},
		TimeVerified: d.Time.UTC(),
		ResourceURI:  ResourceURI(&d.Artifact),
		Policy:       resource{at("/policies/%s", url.PathEscape(d.Policy.Name)), sha256Of(d.Policy.Digest)},
		// All attestations that were used, as the specification demands.
		InputAttestations:  []resource{},
		VerificationResult: "PASSED",
		VerifiedLevels:     levels(d),
		SLSAVersion:        "1.2",
		Extension:          summaryExtension{d.Run, d.Decision, d.Grade, a.verifier.Keys},
	}
	use := func(uri string, sum digest.Digest) {
		if sum != "" {
			s.InputAttestations = append(s.InputAttestations, resource{uri, sha256Of(sum)})
		}
	}
	use(at("/runs/%s/record", d.Run), d.Record.Digest)
	for _, e := range d.Evidence {
		use(at("/runs/%s/evidence/%s", d.Run, url.PathEscape(string(e.Kind))), e.Digest)
	}
	return s
}

// levels has one SLSA build level and our own words, which must not begin
// with "SLSA_": slsa-verifier refuses a summary with such a word that is not
// of the form SLSA_<TRACK>_LEVEL_<n>.
func levels(d *event.Decision) []string {
	return []string{
		fmt.Sprintf("SLSA_BUILD_LEVEL_%d", d.SLSALevel),
		"ASSIZE_GRADE_" + strings.ToUpper(string(d.Grade)),
	}
}

// ResourceURI is the package URL of an artifact; where the bytes do not name
// a package, a generic one that names the bytes.
func ResourceURI(a *event.Artifact) string {
	if _, err := packageurl.FromString(a.PURL); err == nil {
		return a.PURL
	}
	return packageurl.NewPackageURL(packageurl.TypeGeneric, "", a.Name, a.Version,
		packageurl.Qualifiers{{Key: "checksum", Value: a.Digest.String()}}, "").ToString()
}
