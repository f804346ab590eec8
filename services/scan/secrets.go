package scan

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"time"

	"assize.dev/services/scan/internal/secrets"
	"assize.dev/services/scan/internal/unpack"
	"assize.dev/shared/archive"
	"assize.dev/shared/event"
)

// SecretRules are custom rules beside the built-in ones.
type SecretRules = secrets.Rules

// ParseSecretRules reads rules in the format of gitleaks's configuration.
func ParseSecretRules(text []byte) (*SecretRules, error) { return secrets.ParseRules(text) }

// SecretAllow lists findings that were accepted, for a reason and until a day.
type SecretAllow = secrets.Allow

// ParseSecretAllow reads an allow list: YAML with one key, allow, a list of
// entries with fingerprint, reason and expires.
func ParseSecretAllow(text []byte) (*SecretAllow, error) { return secrets.ParseAllow(text) }

// SecretConfidences are those of findings, the surest first.
var SecretConfidences = secrets.Confidences

// SecretFinding is a secret and where it is, never what it is.
type SecretFinding struct {
	Type        string         `json:"type"`
	Severity    event.Severity `json:"severity"`
	Confidence  string         `json:"confidence"` // checksum, structure, entropy or generic
	Path        string         `json:"path"`       // in the file, nested archives joined with "!"; empty for the file itself
	Line        int            `json:"line"`
	Column      int            `json:"column"` // in bytes, from 1
	Offset      int64          `json:"offset"`
	Length      int            `json:"length"`
	Encoding    string         `json:"encoding,omitempty"` // utf-16 or base64, if not plain
	Redacted    string         `json:"redacted"`
	Fingerprint string         `json:"fingerprint"`
	InTests     bool           `json:"in_tests,omitempty"` // among tests, examples or documentation, by its path
	Title       string         `json:"-"`
}

// SecretReport tells how complete a scan was.
type SecretReport struct {
	Problems []archive.Problem // what was not looked at; none if everything was
	Reason   string            // the same for a person
}

// SecretScanner looks for secrets in files. Any number of goroutines may use
// one.
type SecretScanner struct{ engine *secrets.Engine }

// NewSecretScanner makes a scanner whose fingerprints are those of NewSecrets
// with the same key. rules may be nil.
func NewSecretScanner(key []byte, rules *SecretRules) (*SecretScanner, error) {
	derived, err := fingerprintKey(key)
	if err != nil {
		return nil, err
	}
	return &SecretScanner{secrets.New(derived, rules)}, nil
}

// Scan looks through a file and everything in it, within the archive
// package's default limits. name is its path, for rules that ask for it. The
// error is ctx's or a failure to read src.
func (s *SecretScanner) Scan(ctx context.Context, name string, src io.ReaderAt, size int64, found func(SecretFinding)) (*SecretReport, error) {
	artifact := unpack.Artifact{Bytes: src, Size: size, Name: name}
	result, err := s.engine.Examine(ctx, artifact, archive.Limits{}, func(location string, m secrets.Match) {
		found(secretFinding(location, m))
	})
	if err != nil {
		return nil, err
	}
	return &SecretReport{Problems: result.Problems, Reason: result.Reason()}, nil
}

// ScanStream looks through bytes as they are: archives among them are not
// opened.
func (s *SecretScanner) ScanStream(ctx context.Context, name string, src io.Reader, found func(SecretFinding)) error {
	return s.engine.Scan(ctx, name, src, func(m secrets.Match) { found(secretFinding("", m)) })
}

// ScanBytes is ScanStream of bytes in memory, without copying them.
func (s *SecretScanner) ScanBytes(ctx context.Context, name string, text []byte, found func(SecretFinding)) error {
	return s.engine.ScanBytes(ctx, name, text, func(m secrets.Match) { found(secretFinding("", m)) })
}

func secretFinding(location string, m secrets.Match) SecretFinding {
	return SecretFinding{
		Type: m.Rule, Title: m.Title, Severity: m.Severity, Confidence: m.Confidence, Path: location, Line: m.Line, Column: m.Column,
		Offset: m.Offset, Length: m.Length, Encoding: m.Encoding, InTests: m.InTests, Redacted: m.Redacted, Fingerprint: m.Fingerprint,
	}
}

// Allowed is what an allow list says of a finding at a time: the reason, and
// the last day if that is over, on which the entry does not count any more.
func Allowed(list *SecretAllow, f SecretFinding, now time.Time) (reason, expired string) {
	entry, counts := list.Entry(f.Fingerprint, now)
	switch {
	case entry == nil:
		return "", ""
	case counts:
		return entry.Reason, ""
	}
	return "", entry.Expires
}

// fingerprintKey derives the key of fingerprints. One key may serve several
// purposes of an installation; this one is its own.
func fingerprintKey(key []byte) ([]byte, error) {
	if len(key) < minKey {
		return nil, fmt.Errorf("key of secrets' fingerprints: %d bytes, want %d or more", len(key), minKey)
	}
	sum := sha256.Sum256(append([]byte("assize secret fingerprints\x00"), key...))
	return sum[:], nil
}
