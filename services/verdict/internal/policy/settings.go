package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"assize.dev/shared/config"
	"assize.dev/shared/digest"
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
	// MinimumSLSALevel is the least SLSA build level that trusted provenance
	// has to prove, 0 (default) to 3.
	MinimumSLSALevel int `yaml:"minimum_slsa_level" json:"minimum_slsa_level"`
	// RequiredEvidence lists the kinds that must be complete or not
	// applicable, third parties' kinds included. Default: the five kinds
	// that Assize produces. Evidence of other kinds is not waited for.
	RequiredEvidence []event.Kind `yaml:"required_evidence" json:"required_evidence"`
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
	// Waivers let single findings pass for a time. Default: none.
	Waivers []Waiver `yaml:"waivers" json:"waivers"`
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
	maxWords    = 200 // bytes of a waiver's reason or owner
)

// DefaultSettings are what holds where nothing is configured.
func DefaultSettings() Settings {
	return Settings{
		Name:                  "assize/default",
		MinimumGrade:          event.GradeCommunity,
		RequireSignature:      []string{},
		RequiredEvidence:      slices.Clone(event.Kinds),
		VulnerabilitySeverity: event.High,
		ContentSeverity:       event.High,
		SecretSeverity:        event.High,
		SecretConfidence:      "entropy",
		UnevaluatedSeverity:   event.High,
		Waivers:               []Waiver{},
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

// Validate refuses every word that the policy would not know.
func (s Settings) Validate() error {
	var errs []error
	if s.Name == "" || len(s.Name) > event.MaxName || !utf8.ValidString(s.Name) {
		errs = append(errs, fmt.Errorf("name: %.80q: want 1 to %d bytes of UTF-8", s.Name, event.MaxName))
	}
	if s.MinimumGrade.Rank() == 0 {
		errs = append(errs, fmt.Errorf("minimum_grade: unknown grade %.80q: want risk, community, verified or locked", s.MinimumGrade))
	}
	for key, severity := range map[string]event.Severity{
		"vulnerability_severity": s.VulnerabilitySeverity, "content_severity": s.ContentSeverity,
		"secret_severity": s.SecretSeverity, "unevaluated_severity": s.UnevaluatedSeverity,
	} {
		if !slices.Contains([]event.Severity{event.Critical, event.High, event.Medium, event.Low, event.Info}, severity) {
			errs = append(errs, fmt.Errorf("%s: %.80q: want critical, high, medium, low or info", key, severity))
		}
	}
	if !slices.Contains([]string{"checksum", "structure", "entropy", "generic"}, s.SecretConfidence) {
		errs = append(errs, fmt.Errorf("secret_confidence: %.80q: want checksum, structure, entropy or generic", s.SecretConfidence))
	}
	errs = append(errs, s.validNumbers()...)
	if len(s.Waivers) > maxWaivers {
		errs = append(errs, fmt.Errorf("waivers: %d, want %d at most", len(s.Waivers), maxWaivers))
	}
	for i, w := range s.Waivers {
		if err := w.validate(); err != nil {
			errs = append(errs, fmt.Errorf("waivers: number %d: %w", i+1, err))
		}
	}
	return errors.Join(append(errs, s.validRequired()...)...)
}

func (w *Waiver) validate() error {
	var errs []error
	if w.Finding == "" && w.Package == "" && w.Artifact == "" {
		errs = append(errs, errors.New("it names neither a finding, nor a package, nor an artifact"))
	}
	if w.Package != "" && !strings.HasPrefix(w.Package, "pkg:") {
		errs = append(errs, fmt.Errorf("package: %.80q: want a package URL", w.Package))
	}
	if w.Artifact != "" {
		if _, err := digest.Parse(w.Artifact); err != nil {
			errs = append(errs, fmt.Errorf("artifact: %w", err))
		}
	}
	for key, text := range map[string]string{"reason": w.Reason, "owner": w.Owner} {
		if text == "" || len(text) > maxWords || !utf8.ValidString(text) {
			errs = append(errs, fmt.Errorf("%s: want 1 to %d bytes of UTF-8", key, maxWords))
		}
	}
	if len(w.Finding) > maxWords || len(w.Package) > event.MaxName {
		errs = append(errs, errors.New("finding or package: too long"))
	}
	if _, err := time.Parse(time.DateOnly, w.Expires); err != nil {
		errs = append(errs, fmt.Errorf("expires: %.40q: want a day, YYYY-MM-DD", w.Expires))
	}
	return errors.Join(errs...)
}

func (s Settings) validNumbers() (errs []error) {
	between := func(key string, value, most float64) {
		if !(value >= 0 && value <= most) { // which NaN is not
			errs = append(errs, fmt.Errorf("%s: %v: want 0 to %v", key, value, most))
		}
	}
	between("minimum_slsa_level", float64(s.MinimumSLSALevel), 3)
	between("vulnerability_epss", s.VulnerabilityEPSS, 1)
	between("vulnerability_cvss", s.VulnerabilityCVSS, 10)
	between("vulnerability_grace_days", float64(s.VulnerabilityGraceDays), 3650)
	if len(s.RequireSignature) > maxRequired {
		errs = append(errs, fmt.Errorf("require_signature: %d kinds: want %d at most", len(s.RequireSignature), maxRequired))
	}
	for _, kind := range s.RequireSignature {
		if kind == "" || len(kind) > maxKind || strings.Trim(kind, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			errs = append(errs, fmt.Errorf("require_signature: %.80q: want 1 to %d lower-case letters, digits, - and _", kind, maxKind))
		}
	}
	return errs
}

// YAML is the settings as ParseSettings reads them.
func (s Settings) YAML() ([]byte, error) { return yaml.Marshal(s) }

func (s Settings) validRequired() (errs []error) {
	if n := len(s.RequiredEvidence); n == 0 || n > maxRequired {
		errs = append(errs, fmt.Errorf("required_evidence: %d kinds: want 1 to %d", n, maxRequired))
	}
	seen := map[event.Kind]bool{}
	for _, kind := range s.RequiredEvidence {
		if kind == "" || len(kind) > maxKind || strings.Trim(string(kind), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			errs = append(errs, fmt.Errorf("required_evidence: %.80q: want 1 to %d lower-case letters, digits, - and _", kind, maxKind))
		}
		if seen[kind] {
			errs = append(errs, fmt.Errorf("required_evidence: %q is listed twice", kind))
		}
		seen[kind] = true
	}
	return errs
}
