package vulnerabilities

import (
	"sync/atomic"
	"time"

	"assize.dev/services/scan/internal/enrich"
	"assize.dev/services/scan/internal/index"
	"assize.dev/services/scan/internal/match"
	"assize.dev/services/scan/internal/vex"
	"assize.dev/shared/event"
)

// Knowledge is what components are held against. Parts of it may be replaced
// at any time; the zero value knows nothing.
type Knowledge struct {
	Advisories index.Handle
	facts      atomic.Pointer[enrich.Table]
	vex        atomic.Pointer[vex.Statements]
	updated    atomic.Pointer[time.Time]
}

// SetFacts replaces what is known beyond advisories.
func (k *Knowledge) SetFacts(t *enrich.Table) { k.facts.Store(t) }

// SetVEX replaces the statements.
func (k *Knowledge) SetVEX(s *vex.Statements) { k.vex.Store(s) }

// SetUpdated says when the advisories were last known to be up to date.
func (k *Knowledge) SetUpdated(t time.Time) { k.updated.Store(&t) }

// Acquire takes what is known now, nil if there are no advisories, and what to
// call when it is not needed any more.
func (k *Knowledge) Acquire() (*Known, func()) {
	x, done := k.Advisories.Acquire()
	if x == nil {
		return nil, done
	}
	known := &Known{Index: x, Facts: k.facts.Load(), VEX: k.vex.Load()}
	if known.Facts == nil {
		known.Facts = new(enrich.Table)
	}
	if known.VEX == nil {
		known.VEX = new(vex.Statements)
	}
	if t := k.updated.Load(); t != nil {
		known.Updated = *t
	}
	return known, done
}

// Known is one state of the knowledge. It is used by one goroutine.
type Known struct {
	Index    *index.Index
	Facts    *enrich.Table
	VEX      *vex.Statements
	Updated  time.Time // of the advisories, zero if unknown
	Artifact string    // purl of what the components are in, "" if unknown
}

// Basis names what answers rest on.
func (k *Known) Basis() map[string]string {
	basis := map[string]string{"advisories": k.Index.Generation()}
	if d := k.Facts.Digest(); d != "" {
		basis["enrichment"] = d
	}
	if !k.Updated.IsZero() {
		basis["advisoriesUpdated"] = k.Updated.UTC().Format(time.RFC3339)
	}
	return basis
}

// Judged is what is known of one component.
type Judged struct {
	Findings []event.Finding
	// Unevaluated lists advisories about the component whose versions could
	// not be compared, as "id: reason".
	Unevaluated []string
	// Unloaded is the ecosystem if there are no advisories of it; nothing can
	// be said then, as with an Err.
	Unloaded string
	Err      error // why nothing can be said
}

// PURL judges a component by its package URL.
func (k *Known) PURL(purl string) Judged {
	p, err := match.Resolve(purl)
	if p.Ecosystem != "" && !loaded(k.Index, &p) {
		return Judged{Unloaded: ecosystemOf(&p)}
	}
	if err != nil {
		return Judged{Err: err}
	}
	return k.judge(&p)
}

// Package judges one by ecosystem, name and version, as OSV names them.
func (k *Known) Package(ecosystem, name, version string) Judged {
	p, err := match.Of(ecosystem, name, version)
	if err == nil && !loaded(k.Index, &p) {
		return Judged{Unloaded: ecosystemOf(&p)}
	}
	if err != nil {
		return Judged{Err: err}
	}
	return k.judge(&p)
}

func (k *Known) judge(p *match.Package) Judged {
	res, err := match.Find(k.Index, *p)
	if err != nil {
		return Judged{Err: err}
	}
	j := Judged{Unevaluated: res.Unevaluated}
	for _, v := range res.Vulnerabilities {
		j.Findings = append(j.Findings, k.finding(p, v))
	}
	return j
}
