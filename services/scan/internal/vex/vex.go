// Package vex reads statements on whether vulnerabilities matter in products,
// as OpenVEX, CSAF and CycloneDX write them, and finds the one that speaks of
// a finding.
package vex

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"assize.dev/shared/event"
)

// Statement is one status of some vulnerabilities in some products.
type Statement struct {
	event.VEX
	IDs      []string  // names of the vulnerability
	Products []Product // purls it is about
	Time     time.Time
}

// Product is a package, or packages within one.
type Product struct {
	PURL  string
	Parts []string // purls of the components meant; empty: all of it
}

// Statements are all of some documents. The zero value has none.
type Statements struct {
	byID map[string][]Statement
	n    int
}

// Bounds of one document.
const (
	MaxDocument   = 64 << 20
	maxStatements = 500_000
	maxText       = 2000
)

// Add reads a document of any of the three formats, told from its content. A
// document that is not understood whole adds nothing.
func (s *Statements) Add(document []byte) error {
	if len(document) > MaxDocument {
		return fmt.Errorf("VEX: %d bytes, at most %d", len(document), MaxDocument)
	}
	var kind struct {
		Context   any             `json:"@context"`
		BOMFormat string          `json:"bomFormat"`
		Document  json.RawMessage `json:"document"`
	}
	if err := json.Unmarshal(document, &kind); err != nil {
		return fmt.Errorf("VEX: not JSON: %w", err)
	}
	var found []Statement
	var err error
	switch context := fmt.Sprint(kind.Context); {
	case strings.Contains(context, "openvex.dev/ns"):
		found, err = parseOpenVEX(document)
	case kind.BOMFormat == "CycloneDX":
		found, err = parseCycloneDX(document)
	case len(kind.Document) > 0:
		found, err = parseCSAF(document)
	default:
		err = errors.New("neither OpenVEX, nor CSAF, nor CycloneDX")
	}
	if err != nil {
		return fmt.Errorf("VEX: %w", err)
	}
	if s.n += len(found); s.n > maxStatements {
		return fmt.Errorf("VEX: more than %d statements", maxStatements)
	}
	if s.byID == nil {
		s.byID = map[string][]Statement{}
	}
	for _, one := range found {
		if err := one.check(); err != nil {
			return fmt.Errorf("VEX: %s: %w", strings.Join(one.IDs, ", "), err)
		}
	}
	for _, one := range found {
		one.Statement, one.Author, one.Source = cut(one.Statement), cut(one.Author), cut(one.Source)
		for _, id := range one.IDs {
			s.byID[id] = append(s.byID[id], one)
		}
	}
	return nil
}

// Len is how many statements there are.
func (s *Statements) Len() int { return s.n }

func cut(text string) string {
	if len(text) > maxText {
		text = text[:maxText]
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

func (s *Statement) check() error {
	switch s.Status {
	case event.VEXAffected, event.VEXFixed, event.VEXUnderInvestigation:
	case event.VEXNotAffected:
		// OpenVEX 0.2.0 and CSAF 2.0 (6.1.32... VEX profile) both demand a
		// reason, for without one the statement is a mere wish.
		if s.Justification == "" && s.Statement == "" {
			return errors.New("not_affected without a justification or an impact statement")
		}
	default:
		return fmt.Errorf("status %.40q is unknown", s.Status)
	}
	if len(s.IDs) == 0 || len(s.Products) == 0 {
		return errors.New("a statement names no vulnerability, or no product by package URL")
	}
	return nil
}

// About is the statement on a flaw, by any of its names, in a component of an
// artifact; nil if there is none. Of several the latest counts, and of those
// of one time the last read.
func (s *Statements) About(ids []string, component, artifact string) *event.VEX {
	var best *Statement
	for _, id := range ids {
		for i := range s.byID[id] {
			one := &s.byID[id][i]
			if one.covers(component, artifact) && (best == nil || !one.Time.Before(best.Time)) {
				best = one
			}
		}
	}
	if best == nil {
		return nil
	}
	v := best.VEX
	return &v
}

// covers: the product is the component itself, or the artifact it is in.
func (s *Statement) covers(component, artifact string) bool {
	for _, p := range s.Products {
		part := len(p.Parts) == 0 || slices.ContainsFunc(p.Parts, func(part string) bool { return meant(part, component) })
		if meant(p.PURL, component) && (len(p.Parts) == 0 || part) || part && meant(p.PURL, artifact) {
			return true
		}
	}
	return false
}

// meant tells whether a package URL names a package: one without a version
// names all versions, and qualifiers that it has the package must have.
func meant(pattern, purl string) bool {
	p, q := split(pattern), split(purl)
	if p.path == "" || p.path != q.path || p.version != "" && p.version != q.version {
		return false
	}
	for key := range p.qualifiers {
		if p.qualifiers.Get(key) != q.qualifiers.Get(key) {
			return false
		}
	}
	return true
}

type parts struct {
	path, version string
	qualifiers    url.Values
}

func split(purl string) (p parts) {
	rest, ok := strings.CutPrefix(purl, "pkg:")
	if !ok {
		return p
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	p.qualifiers, _ = url.ParseQuery(query)
	rest = strings.Trim(rest, "/")
	if i := strings.LastIndexByte(rest, '@'); i > 0 && rest[i-1] != '/' {
		rest, p.version = rest[:i], rest[i+1:]
		if v, err := url.PathUnescape(p.version); err == nil {
			p.version = v
		}
	}
	typ, path, _ := strings.Cut(rest, "/")
	if v, err := url.PathUnescape(path); err == nil {
		path = v
	}
	p.path = strings.ToLower(typ) + "/" + path
	return p
}
