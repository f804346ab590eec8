// Package slsa judges SLSA provenance v0.2 and v1: which build level it
// proves, following the steps of SLSA 1.2, "Build: Verifying artifacts"
// (https://slsa.dev/spec/v1.2/verifying-artifacts).
//
// A document's signature is verified before, by package sigstore. The level
// comes from who signed, by a table that the operator can change, and never
// from what the document says of itself.
package slsa

import (
	"crypto"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"assize.dev/shared/pattern"
)

// Artifact is the digests of the artifact that are known, in hexadecimal.
// SHA-256 alone is enough, unless a document only has SHA-512, as npm's do.
type Artifact map[crypto.Hash]string

// Expectations are what the consumer wants of the artifact at hand, whoever
// built it. Patterns; an empty list expects nothing.
type Expectations struct {
	Sources    []string // repositories, such as https://github.com/us/*
	BuildTypes []string
}

// Provenance is what a statement proves.
type Provenance struct {
	// Level is the SLSA build level, 0 to 3. 0 means that something was wrong
	// or unexpected, and then Reason says what.
	Level int
	// Known says that a rule knew the builder. If not, Level is 1 at most.
	Known bool
	// Builder, BuildType, Source and SourceDigest are the document's claims.
	// Unless Level is 0, the source is also the one that the signer's
	// certificate names, if it names one.
	Builder, BuildType, Source, SourceDigest string
	// SignerURI is the certificate's SAN, or the fingerprint of the key.
	SignerURI     string
	PredicateType string
	// Reason is which rule gave the level, or why there is none. Never empty.
	Reason string
}

// unknownBuilder is the level that provenance is worth if nothing is known of
// the builder: it exists, and a build service or a trusted key vouches for it.
const unknownBuilder = 1

// Evaluate judges a statement that signer, whom the caller trusts, has
// verifiably signed. The first of the rules whose builder and signer fit
// decides the level; if rules know the builder and another signer than theirs
// vouches for it, it is 0. If no rule knows the builder, it is 1 for a key and
// for a certificate which says that the build ran on a build service, hosted
// or not, and 0 for any other, such as a person's.
func Evaluate(statement []byte, signer Signer, artifact Artifact, want Expectations, rules []Rule) Provenance {
	p := Provenance{SignerURI: signer.SAN}
	if signer.KeyID != "" {
		p.SignerURI = signer.KeyID
	}
	level, reason := p.evaluate(statement, signer, artifact, want, rules)
	p.Level, p.Reason = level, reason
	return p
}

func (p *Provenance) evaluate(statement []byte, signer Signer, artifact Artifact, want Expectations, rules []Rule) (int, string) {
	document, err := Parse(statement)
	if err != nil {
		return 0, err.Error()
	}
	p.PredicateType = document.Statement.PredicateType
	p.Builder, p.BuildType = document.Builder, document.BuildType
	p.Source, p.SourceDigest = document.Source, document.SourceDigest

	if covered, err := document.Statement.Covers(artifact.sum); err != nil {
		return 0, err.Error()
	} else if !covered {
		return 0, "the provenance is of another file: no subject has the artifact's digest"
	}
	if document.Builder == "" {
		return 0, "the provenance names no builder"
	}
	rule, problem := lookup(rules, signer, document.Builder)
	p.Known = rule != nil || problem != ""
	if problem != "" {
		return 0, problem
	}
	var reason string
	switch {
	case rule != nil:
		reason = "rule " + rule.Name
	case signer.KeyID != "" || slices.Contains([]string{githubHosted, gitlabHosted, selfHosted}, signer.RunnerEnvironment):
		rule = &Rule{Level: unknownBuilder}
		reason = fmt.Sprintf("no rule knows builder %.200q: the level is %d at most", document.Builder, unknownBuilder)
	default:
		return 0, fmt.Sprintf("no rule knows builder %.200q, and the signer's certificate does not say that a build service ran it", document.Builder)
	}
	if problem := p.agreeSource(signer); problem != "" {
		return 0, problem
	}
	for _, expected := range []struct {
		what, value string
		patterns    []string
	}{
		{"build type", p.BuildType, want.BuildTypes}, {"build type", p.BuildType, rule.BuildTypes},
		{"source", p.Source, want.Sources}, {"source", p.Source, rule.Sources},
	} {
		if len(expected.patterns) > 0 && !pattern.MatchAny(expected.patterns, expected.value) {
			return 0, fmt.Sprintf("%s %.200q is not expected: want %.300s", expected.what, expected.value, strings.Join(expected.patterns, " or "))
		}
	}
	if len(rule.Parameters) > 0 {
		for _, name := range document.Parameters {
			if !slices.Contains(rule.Parameters, name) {
				return 0, fmt.Sprintf("external parameter %.80q is not expected of %s", name, rule.Name)
			}
		}
	}
	return rule.Level, reason
}

// sum gives digests to the comparison of subjects.
func (a Artifact) sum(h crypto.Hash) ([]byte, error) {
	text, known := a[h]
	if !known {
		return nil, nil
	}
	sum, err := hex.DecodeString(text)
	if err != nil || len(sum) != h.Size() {
		return nil, fmt.Errorf("the artifact's %v %.80q is not %d hexadecimal digits", h, text, 2*h.Size())
	}
	return sum, nil
}

// lookup finds the rule for a builder and whoever signed for it, nil if none
// knows the builder, or says why those that do cannot be used.
func lookup(rules []Rule, signer Signer, builder string) (*Rule, string) {
	problem := ""
	for _, r := range rules {
		if !pattern.Match(r.Builder, builder) {
			continue
		}
		why := r.disbelieves(signer, builder)
		if why == "" {
			return &r, ""
		}
		if problem == "" {
			problem = fmt.Sprintf("the provenance says that %.200q built it, and rule %s does not believe that of the signer: %s", builder, r.Name, why)
		}
	}
	return nil, problem
}

// agreeSource compares the document's source with the certificate's, which
// the certificate authority had from the build platform. Where the document
// says nothing, the certificate's counts.
func (p *Provenance) agreeSource(signer Signer) string {
	proven := normalSource(signer.SourceRepositoryURI)
	if proven == "" {
		return ""
	}
	if p.Source == "" {
		p.Source = proven
	}
	if p.Source != proven {
		return fmt.Sprintf("the provenance says the source is %.200q, the certificate says %.200q", p.Source, proven)
	}
	if p.SourceDigest == "" {
		p.SourceDigest = signer.SourceRepositoryDigest
	}
	if signer.SourceRepositoryDigest != "" && p.SourceDigest != signer.SourceRepositoryDigest {
		return fmt.Sprintf("the provenance says the source's commit is %.80q, the certificate says %.80q", p.SourceDigest, signer.SourceRepositoryDigest)
	}
	return ""
}
