package policy

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"assize.dev/shared/config"
	"assize.dev/shared/event"
)

// Settings are the plain knobs of a policy; Rego sees them as
// data.assize.settings under their YAML names. In a YAML file a key that is
// left out keeps the default; a key that is unknown, doubled or without a
// value is refused.
type Settings struct {
	// Name is what decisions call the policy. Default "assize/default".
	Name string `yaml:"name" json:"name"`
	// MinimumGrade is the worst grade that is allowed: risk, community
	// (default), verified or locked. With risk, vulnerabilities, secrets and
	// unsafe content are reported and tolerated; broken signatures and
	// malware are denied all the same.
	MinimumGrade event.Grade `yaml:"minimum_grade" json:"minimum_grade"`
	// RequireSignature lists kinds of signatures (openpgp, sigstore, x509, …) of
	// which one has to be valid and trusted. Default: none is asked for.
	RequireSignature []string `yaml:"require_signature" json:"require_signature"`
	// RequirePublisher lists names under which the trust file knows signers, in
	// which * stands for any text; the signature that is asked for has to be by
	// one of them. Default: anybody who is trusted.
	RequirePublisher []string `yaml:"require_publisher" json:"require_publisher"`
	// MinimumSLSALevel is the least SLSA build level that trusted provenance
	// has to prove, 0 (default) to 3.
	MinimumSLSALevel int `yaml:"minimum_slsa_level" json:"minimum_slsa_level"`
	// RequiredEvidence lists the kinds that must be complete or not
	// applicable, third parties' kinds included. Default: the five kinds
	// that Assize produces. Evidence of other kinds is not waited for.
	RequiredEvidence []event.Kind `yaml:"required_evidence" json:"required_evidence"`
	// DeadlineMinutes is, by kind, how long required evidence is waited for before
	// the artifact is held without it. Default: for ever, without a verdict.
	DeadlineMinutes map[event.Kind]int `yaml:"deadline_minutes" json:"deadline_minutes"`
	// VulnerabilitySeverity, ContentSeverity and SecretSeverity are the
	// least severities that make the grade risk: critical, high (default),
	// medium, low or info. Findings of unknown severity count as high.
	VulnerabilitySeverity event.Severity `yaml:"vulnerability_severity" json:"vulnerability_severity"`
	// A vulnerability that is milder counts all the same if it is exploited
	// (CISA's catalogue), or as likely to be (EPSS, 0 to 1) or as grave (CVSS
	// score, 0 to 10) as this or more; 0 and false, the defaults, ask for nothing.
	VulnerabilityExploited bool    `yaml:"vulnerability_exploited" json:"vulnerability_exploited"`
	VulnerabilityEPSS      float64 `yaml:"vulnerability_epss" json:"vulnerability_epss"`
	VulnerabilityCVSS      float64 `yaml:"vulnerability_cvss" json:"vulnerability_cvss"`
	// VulnerabilityFixableOnly spares those of which no fixed version is known.
	VulnerabilityFixableOnly bool `yaml:"vulnerability_fixable_only" json:"vulnerability_fixable_only"`
	// VulnerabilityGraceDays spares those that were published less than so many
	// days before they were looked up, unless they are exploited.
	VulnerabilityGraceDays int `yaml:"vulnerability_grace_days" json:"vulnerability_grace_days"`

	ContentSeverity event.Severity `yaml:"content_severity" json:"content_severity"`
	SecretSeverity  event.Severity `yaml:"secret_severity" json:"secret_severity"`
	// SecretConfidence is the least confidence at which a secret makes the
	// grade risk: checksum, structure, entropy (default) or generic. What
	// is below is reported, no more.
	SecretConfidence string `yaml:"secret_confidence" json:"secret_confidence"`
	// UnevaluatedSeverity is the least severity at which something that no
	// rule could judge holds the artifact. Default high.
	UnevaluatedSeverity event.Severity `yaml:"unevaluated_severity" json:"unevaluated_severity"`
	// MaximumEvidenceAgeDays holds what rests on evidence that is older, as
	// when it is judged again; MaximumAdvisoriesAgeDays what was looked up in
	// older advisories. 0, the default, asks for nothing.
	MaximumEvidenceAgeDays   int `yaml:"maximum_evidence_age_days" json:"maximum_evidence_age_days"`
	MaximumAdvisoriesAgeDays int `yaml:"maximum_advisories_age_days" json:"maximum_advisories_age_days"`
	// AllowedLicenses and DeniedLicenses are SPDX identifiers, in which * stands
	// for any text: of a component's licence expression at least one choice has
	// to be all allowed and not denied. Empty lists, the default, ask for nothing.
	AllowedLicenses []string `yaml:"allowed_licenses" json:"allowed_licenses"`
	DeniedLicenses  []string `yaml:"denied_licenses" json:"denied_licenses"`
	// UnknownLicense is what becomes of components whose licence nobody knows,
	// where licences are restricted: allow, hold (default) or deny.
	UnknownLicense event.Outcome `yaml:"unknown_license" json:"unknown_license"`
	// BannedPackages may not be the artifact nor in it.
	BannedPackages []Ban `yaml:"banned_packages" json:"banned_packages"`
	// AllowedPackages are those one of which the artifact has to be, whatever is
	// in it. Default: any.
	AllowedPackages []Allowed `yaml:"allowed_packages" json:"allowed_packages"`
	// Deciders may decide by hand what is held. Default: nobody.
	Deciders []Decider `yaml:"deciders" json:"deciders"`
	// Waivers let single findings pass for a time. Default: none.
	Waivers []Waiver `yaml:"waivers" json:"waivers"`
	// Rules change settings for some artifacts; see Rule. Default: none.
	Rules []Rule `yaml:"rules" json:"rules"`
}

// Allowed is which packages are meant: a package URL, * in its namespace and
// name for any text without a slash, and bounds of the version (">=1.0, <2.0"),
// without which all are.
type Allowed struct {
	Package  string `yaml:"package" json:"package"`
	Versions string `yaml:"versions" json:"versions"`
}

// Ban is which packages are banned, and why.
type Ban struct {
	Package  string `yaml:"package" json:"package"`
	Versions string `yaml:"versions" json:"versions"`
	Reason   string `yaml:"reason" json:"reason"`
}

// Waiver lets findings pass until a day, all that it names being so: findings
// with this id or alias, in this package, in this artifact. Known malware and
// broken signatures are never waived.
type Waiver struct {
	Finding  string `yaml:"finding" json:"finding"`   // id or alias, as in CVE-2021-23337
	Package  string `yaml:"package" json:"package"`   // package URL, with a version or of all versions
	Artifact string `yaml:"artifact" json:"artifact"` // digest
	Reason   string `yaml:"reason" json:"reason"`
	Owner    string `yaml:"owner" json:"owner"`
	// Expires is the first day (YYYY-MM-DD, UTC) on which it does not count.
	Expires string `yaml:"expires" json:"expires"`
}

// Bounds of what settings may say.
const (
	maxSettings = 64 << 10 // bytes of YAML
	maxRequired = 32       // kinds of evidence
	maxKind     = 64       // bytes of a kind's name
	maxWaivers  = 500
	maxPackages = 1000 // banned or allowed
	maxLicenses = 500
	maxRules    = 100
	maxAgeDays  = 3650
	maxWords    = 200 // bytes of a waiver's reason or owner
)

// DefaultSettings are what holds where nothing is configured.
func DefaultSettings() Settings {
	return Settings{
		Name:                  "assize/default",
		MinimumGrade:          event.GradeCommunity,
		RequireSignature:      []string{},
		RequirePublisher:      []string{},
		RequiredEvidence:      slices.Clone(event.Kinds),
		DeadlineMinutes:       map[event.Kind]int{},
		VulnerabilitySeverity: event.High,
		ContentSeverity:       event.High,
		SecretSeverity:        event.High,
		SecretConfidence:      "entropy",
		UnevaluatedSeverity:   event.High,
		AllowedLicenses:       []string{},
		DeniedLicenses:        []string{},
		UnknownLicense:        event.Hold,
		BannedPackages:        []Ban{},
		AllowedPackages:       []Allowed{},
		Deciders:              []Decider{},
		Waivers:               []Waiver{},
		Rules:                 []Rule{},
	}
}

// ParseSettings reads YAML strictly; defaults hold for keys left out. An empty
// file is refused: whoever wants the defaults names no file.
func ParseSettings(text []byte, defaults Settings) (Settings, error) {
	if len(text) > maxSettings {
		return Settings{}, fmt.Errorf("%d bytes of settings, at most %d", len(text), maxSettings)
	}
	s := defaults
	if err := config.ParseYAML(text, &s); err != nil {
		return Settings{}, err
	}
	if err := s.Validate(); err != nil {
		return Settings{}, err
	}
	return s, nil
}

// YAML is the settings as ParseSettings reads them.
func (s Settings) YAML() ([]byte, error) { return yaml.Marshal(s) }
