package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

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
	errs = append(errs, s.validRequired()...)
	errs = append(errs, s.validLicenses()...)
	errs = append(errs, s.validPackages()...)
	errs = append(errs, s.validDeciders()...)
	return errors.Join(append(errs, s.validRules()...)...)
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
	between("vulnerability_grace_days", float64(s.VulnerabilityGraceDays), maxAgeDays)
	for kind, minutes := range s.DeadlineMinutes {
		if !slices.Contains(s.RequiredEvidence, kind) {
			errs = append(errs, fmt.Errorf("deadline_minutes: %.80q is not among required_evidence", kind))
		}
		if minutes < 1 || minutes > maxAgeDays*24*60 {
			errs = append(errs, fmt.Errorf("deadline_minutes: %.80q: %d: want 1 minute to %d days", kind, minutes, maxAgeDays))
		}
	}
	between("maximum_evidence_age_days", float64(s.MaximumEvidenceAgeDays), maxAgeDays)
	between("maximum_advisories_age_days", float64(s.MaximumAdvisoriesAgeDays), maxAgeDays)
	if len(s.RequireSignature) > maxRequired {
		errs = append(errs, fmt.Errorf("require_signature: %d kinds: want %d at most", len(s.RequireSignature), maxRequired))
	}
	for _, name := range s.RequirePublisher {
		if name == "" || len(name) > maxWords || !utf8.ValidString(name) || strings.ContainsAny(name, "?[]{}\\!") || len(s.RequirePublisher) > maxRequired {
			errs = append(errs, fmt.Errorf("require_publisher: %.80q: want at most %d names of the trust file, in which * stands for any text", name, maxRequired))
		}
	}
	for _, kind := range s.RequireSignature {
		if kind == "" || len(kind) > maxKind || strings.Trim(kind, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			errs = append(errs, fmt.Errorf("require_signature: %.80q: want 1 to %d lower-case letters, digits, - and _", kind, maxKind))
		}
	}
	return errs
}

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

func (s Settings) validLicenses() (errs []error) {
	for key, list := range map[string][]string{"allowed_licenses": s.AllowedLicenses, "denied_licenses": s.DeniedLicenses} {
		if len(list) > maxLicenses {
			errs = append(errs, fmt.Errorf("%s: %d, want %d at most", key, len(list), maxLicenses))
		}
		for _, id := range list {
			if id == "" || len(id) > maxWords || !utf8.ValidString(id) || strings.ContainsAny(id, "?[]{}\\!") {
				errs = append(errs, fmt.Errorf("%s: %.80q: want an SPDX identifier, in which * stands for any text", key, id))
			}
			if choices, err := alternatives(id); err == nil && (len(choices) > 1 || len(choices[0]) > 1) {
				errs = append(errs, fmt.Errorf("%s: %.80q: want one licence, not an expression of several", key, id))
			}
		}
	}
	if !slices.Contains(event.Outcomes, s.UnknownLicense) {
		errs = append(errs, fmt.Errorf("unknown_license: %.80q: want allow, hold or deny", s.UnknownLicense))
	}
	return errs
}

func (s Settings) validPackages() (errs []error) {
	if n := max(len(s.BannedPackages), len(s.AllowedPackages)); n > maxPackages {
		errs = append(errs, fmt.Errorf("banned_packages or allowed_packages: %d, want %d at most", n, maxPackages))
	}
	for i, b := range s.BannedPackages {
		_, err := parsePattern(b.Package, b.Versions)
		if b.Reason == "" || len(b.Reason) > maxWords || !utf8.ValidString(b.Reason) {
			err = errors.Join(err, fmt.Errorf("reason: want 1 to %d bytes of UTF-8", maxWords))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("banned_packages: number %d: %w", i+1, err))
		}
	}
	for i, a := range s.AllowedPackages {
		if _, err := parsePattern(a.Package, a.Versions); err != nil {
			errs = append(errs, fmt.Errorf("allowed_packages: number %d: %w", i+1, err))
		}
	}
	return errs
}
