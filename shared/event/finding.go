package event

import (
	"cmp"
	"slices"
	"time"
)

// Class groups findings by what they mean for trust.
type Class string

// The classes of findings.
const (
	ClassVulnerability Class = "vulnerability"
	ClassMalware       Class = "malware"
	ClassSecret        Class = "secret"
	ClassContent       Class = "content"       // unsafe to unpack or install
	ClassInformational Class = "informational" // unmaintained, unsound, notice
	ClassUnevaluated   Class = "unevaluated"   // something no rule could judge; never a pass
)

// Severity of a finding. Unknown is not harmless: policy treats it as high.
type Severity string

// The severities, worst first.
const (
	Critical Severity = "critical"
	High     Severity = "high"
	Medium   Severity = "medium"
	Low      Severity = "low"
	Info     Severity = "info"
	Unknown  Severity = "unknown"
)

// Rank orders severities: higher is worse. Unknown ranks as High does.
func (s Severity) Rank() int {
	switch s {
	case Critical:
		return 4
	case High, Unknown:
		return 3
	case Medium:
		return 2
	case Low:
		return 1
	}
	return 0
}

// Finding is one thing found. It never holds a secret's value.
type Finding struct {
	ID         string   `json:"id" jsonschema_description:"Rule or advisory id."`
	Class      Class    `json:"class"`
	Severity   Severity `json:"severity" jsonschema:"enum=critical,enum=high,enum=medium,enum=low,enum=info,enum=unknown"`
	Confidence string   `json:"confidence,omitempty" jsonschema_description:"For secrets: checksum, structure, entropy or generic."`
	Message    string   `json:"message" jsonschema_description:"One sentence for a person."`
	Component  string   `json:"component,omitempty" jsonschema_description:"Package URL it is about."`
	Location   string   `json:"location,omitempty" jsonschema_description:"Path inside the artifact; nested archives joined with an exclamation mark."`
	Line       int      `json:"line,omitempty"`
	Aliases    []string `json:"aliases,omitempty"`
	Fixed      []string `json:"fixed,omitempty" jsonschema_description:"Versions that are not affected any more."`
	Score      float64  `json:"score,omitempty" jsonschema_description:"CVSS base score, 0 to 10."`
	// What is known of a vulnerability beyond its advisory.
	KEV       string    `json:"kev,omitempty" jsonschema_description:"Day (YYYY-MM-DD) on which CISA listed it as exploited; absent if it is not listed."`
	EPSS      float64   `json:"epss,omitempty" jsonschema_description:"Probability, 0 to 1, that it is exploited in the next 30 days (FIRST EPSS)."`
	Published time.Time `json:"published,omitzero" jsonschema_description:"When the first of its advisories was published."`
	VEX       *VEX      `json:"vex,omitempty" jsonschema_description:"What a VEX document says of it; the finding stays, policy decides what the statement is worth."`
}

// VEX is a statement on whether a vulnerability matters in a product, applied
// after matching.
type VEX struct {
	Status        string `json:"status" jsonschema:"enum=not_affected,enum=affected,enum=fixed,enum=under_investigation"`
	Justification string `json:"justification,omitempty" jsonschema_description:"Why it is not affected, as component_not_present."`
	Statement     string `json:"statement,omitempty" jsonschema_description:"Impact or action, in the author's words."`
	Author        string `json:"author,omitempty"`
	Source        string `json:"source,omitempty" jsonschema_description:"Id of the document that says it."`
}

// The statuses of a VEX statement (OpenVEX 0.2.0, "Status Labels").
const (
	VEXNotAffected        = "not_affected"
	VEXAffected           = "affected"
	VEXFixed              = "fixed"
	VEXUnderInvestigation = "under_investigation"
)

// SetFindings puts the worst findings into the evidence and counts all. It
// returns whether some had to be left out, which then belong in a document.
func (e *Evidence) SetFindings(all []Finding) (truncated bool) {
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(b.Severity.Rank(), a.Severity.Rank()), cmp.Compare(a.Class, b.Class),
			cmp.Compare(a.ID, b.ID), cmp.Compare(a.Component, b.Component), cmp.Compare(a.Location, b.Location),
			cmp.Compare(a.Line, b.Line))
	})
	e.FindingsTotal = len(all)
	e.Findings = all
	if len(all) > MaxFindings {
		e.Findings = all[:MaxFindings:MaxFindings]
		return true
	}
	return false
}

// Verification is the outcome of looking at an artifact's signatures.
type Verification struct {
	// Result is "pass" when a trusted signature holds, "fail" when one is
	// broken or denied or the signed structure is, "undetermined" when
	// nothing vouches: no signature, or none by a key that is known.
	Result     string      `json:"result" jsonschema:"enum=pass,enum=fail,enum=undetermined"`
	Level      string      `json:"level,omitempty" jsonschema_description:"Depth for packages that sign themselves: quick, standard, deep or paranoid."`
	Signatures []Signature `json:"signatures"`
	Checks     []Check     `json:"checks,omitempty"`
	SLSALevel  int         `json:"slsaLevel" jsonschema_description:"Build level 0 to 3 that trusted provenance proves."`
	// Provenance is what signed attestations say of the build; only what
	// trusted ones prove counts for SLSALevel.
	Provenance []Provenance `json:"provenance,omitempty"`
}

// Provenance is one attestation of how the artifact was built, held against
// what builders are trusted for.
type Provenance struct {
	PredicateType string `json:"predicateType"`
	Builder       string `json:"builder,omitempty" jsonschema_description:"Builder id as the attestation states it."`
	BuildType     string `json:"buildType,omitempty"`
	Source        string `json:"source,omitempty" jsonschema_description:"URI of the source repository."`
	Signer        string `json:"signer,omitempty"`
	Level         int    `json:"level" jsonschema_description:"Build level 0 to 3 that this attestation proves; never what it claims."`
	Reason        string `json:"reason,omitempty" jsonschema_description:"Why the level is not higher."`
}

// Results of verification.
const (
	Pass         = "pass"
	Fail         = "fail"
	Undetermined = "undetermined"
)

// Signature is one signature and what is known of its maker.
type Signature struct {
	Kind   string `json:"kind" jsonschema_description:"pspf, ed25519, openpgp, x509, cms, ssh, minisign, signify, sigstore, npm, pypi, github, dsse; unsupported for a file that is none."`
	Valid  bool   `json:"valid" jsonschema_description:"The signature holds over these bytes."`
	Trust  string `json:"trust" jsonschema:"enum=trusted,enum=unknown,enum=denied"`
	Signer string `json:"signer,omitempty" jsonschema_description:"Fingerprint or identity."`
	// Publisher is the entry of the trust file that knows the signer.
	Publisher string    `json:"publisher,omitempty" jsonschema_description:"Name under which the signer is trusted or denied."`
	Time      time.Time `json:"time,omitzero" jsonschema_description:"When it was made, as a timestamp or log proves it or the signer says."`
	File      string    `json:"file,omitempty" jsonschema_description:"File beside the artifact that holds it; absent if the artifact does."`
	Reason    string    `json:"reason,omitempty"`
}

// Trust in a signer's key.
const (
	Trusted      = "trusted"
	UnknownTrust = "unknown"
	Denied       = "denied"
)

// Check is one thing that was verified.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// Catalogue sums up an SBOM.
type Catalogue struct {
	Count    int      `json:"count" jsonschema_description:"Components, the artifact itself not counted."`
	Licenses []string `json:"licenses,omitempty" jsonschema_description:"SPDX expressions or names the artifact itself declares."`
}
