package evidence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"assize.dev/shared/blob"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// Bounds of what travels inside the event, in bytes: of texts as they are,
// of lists in JSON, where a byte may take six. All lists and the rest of the
// event together stay below event.MaxData.
const (
	maxReason = 1024
	maxText   = 400
	maxName   = 200
	maxWord   = 64
	maxList   = 16 // aliases or fixed versions of a finding, in number

	findingsFit   = 120 << 10
	signaturesFit = 32 << 10
	checksFit     = 32 << 10
	licensesFit   = 16 << 10
	provenanceFit = 8 << 10
	basisFit      = 8 << 10
	documentsFit  = 16 << 10

	// maxDocument is the size of the largest document that is read back.
	maxDocument = 64 << 20
)

// bounded puts into e as much of the answer as fits and returns the documents
// to be stored. Findings that do not fit are in a document. Whatever else
// foreign bytes have made too long is cut, and so is that document; then the
// evidence is partial, for nobody may take the rest for the whole.
func bounded(e *event.Evidence, answer *Answer) ([]Document, error) {
	b := &bounding{}
	e.Status, e.Reason = answer.Status, clip(answer.Reason, maxReason)
	documents := b.findings(e, answer.Findings)
	documents = append(documents, b.documents(answer.Documents)...)
	if v := answer.Verification; v != nil {
		e.Verification = &event.Verification{
			Result: clip(v.Result, maxWord), Level: clip(v.Level, maxWord), SLSALevel: v.SLSALevel,
			Signatures: fit(b, "signatures", v.Signatures, signaturesFit, clipSignature),
			Checks:     fit(b, "checks", v.Checks, checksFit, clipCheck),
			Provenance: fit(b, "provenance", v.Provenance, provenanceFit, clipProvenance),
		}
	}
	if c := answer.Components; c != nil {
		e.Components = &event.Catalogue{Count: c.Count, Licenses: fit(b, "licences", c.Licenses, licensesFit, clipName)}
	}
	e.Basis = b.basis(answer.Basis)
	if len(b.cut) > 0 && e.Status == event.Complete {
		why := "not all of these fits into evidence: " + strings.Join(b.cut, ", ")
		e.Status, e.Reason = event.Partial, clip(strings.TrimSuffix(why+"; "+e.Reason, "; "), maxReason)
	}
	return documents, b.err
}

// bounding remembers what had to be cut, and the first error.
type bounding struct {
	cut []string
	err error
}

func (b *bounding) fail(what string, err error) {
	if err != nil && b.err == nil {
		b.err = fmt.Errorf("encode %s: %w", what, err)
	}
}

// findings leaves the analyser's own list alone: it may be shared.
func (b *bounding) findings(e *event.Evidence, found []event.Finding) []Document {
	all := make([]event.Finding, len(found))
	for i, f := range found {
		all[i] = clipFinding(f)
	}
	truncated := e.SetFindings(all)
	n, err := leading(e.Findings, findingsFit)
	b.fail("findings", err)
	if n == len(e.Findings) && !truncated {
		return nil
	}
	e.Findings = e.Findings[:n:n]
	text, listed, err := list(all, maxDocument)
	b.fail("findings", err)
	if listed < len(all) {
		b.cut = append(b.cut, "findings")
	}
	return []Document{{Name: "findings", MediaType: "application/json", Data: text}}
}

// documents are counted by what the event says of each.
func (b *bounding) documents(all []Document) []Document {
	refs := fit(b, "documents", all, documentsFit, func(d Document) event.Document {
		return event.Document{Name: clip(d.Name, maxName), MediaType: clip(d.MediaType, maxName),
			Key: blob.DocumentKey(digest.Of(nil)), Digest: digest.Of(nil), Size: math.MaxInt64}
	})
	kept := make([]Document, len(refs))
	for i, ref := range refs {
		kept[i] = Document{Name: ref.Name, MediaType: ref.MediaType, Data: all[i].Data}
	}
	return kept
}

func (b *bounding) basis(all map[string]string) map[string]string {
	type entry [2]string
	var entries []entry
	for _, name := range slices.Sorted(maps.Keys(all)) {
		entries = append(entries, entry{name, all[name]})
	}
	if len(entries) == 0 {
		return nil
	}
	kept := map[string]string{}
	for _, e := range fit(b, "basis", entries, basisFit, func(e entry) entry { return entry{clip(e[0], maxWord), clip(e[1], maxName)} }) {
		kept[e[0]] = e[1]
	}
	return kept
}

// fit clips the elements of a list and keeps the leading ones whose JSON
// takes at most budget bytes.
func fit[T, U any](b *bounding, what string, whole []T, budget int, clipped func(T) U) []U {
	var kept []U
	for _, v := range whole {
		kept = append(kept, clipped(v))
	}
	n, err := leading(kept, budget)
	b.fail(what, err)
	if n < len(kept) {
		b.cut = append(b.cut, what)
	}
	return kept[:n:n]
}

func leading[T any](all []T, budget int) (int, error) {
	_, n, err := list(all, budget)
	return n, err
}

// list encodes the leading elements that fit into max bytes.
func list[T any](all []T, max int) (text []byte, n int, err error) {
	out := bytes.NewBuffer([]byte{'['})
	for i, v := range all {
		one, err := json.Marshal(v)
		if err != nil {
			return nil, i, err
		}
		if i > 0 {
			one = append([]byte{','}, one...)
		}
		if out.Len()+len(one)+len("]") > max {
			break
		}
		out.Write(one)
		n++
	}
	out.WriteByte(']')
	return out.Bytes(), n, nil
}

func clipFinding(f event.Finding) event.Finding {
	f.ID, f.Class, f.Severity = clip(f.ID, maxName), event.Class(clip(string(f.Class), maxWord)), event.Severity(clip(string(f.Severity), maxWord))
	f.Confidence, f.Message = clip(f.Confidence, maxWord), clip(f.Message, maxText)
	f.Component, f.Location = clip(f.Component, maxText), clip(f.Location, maxText)
	f.Aliases, f.Fixed = clipNames(f.Aliases), clipNames(f.Fixed)
	if math.IsNaN(f.Score) || math.IsInf(f.Score, 0) {
		f.Score = 0 // JSON has no word for it
	}
	f.KEV = clip(f.KEV, maxWord)
	if math.IsNaN(f.EPSS) || math.IsInf(f.EPSS, 0) {
		f.EPSS = 0
	}
	if f.VEX != nil {
		v := *f.VEX
		v.Status, v.Justification, v.Statement = clip(v.Status, maxWord), clip(v.Justification, maxName), clip(v.Statement, maxText)
		v.Author, v.Source = clip(v.Author, maxName), clip(v.Source, maxText)
		f.VEX = &v
	}
	return f
}

func clipSignature(s event.Signature) event.Signature {
	s.Kind, s.Trust = clip(s.Kind, maxWord), clip(s.Trust, maxWord)
	s.Signer, s.Reason = clip(s.Signer, maxText), clip(s.Reason, maxText)
	s.Publisher, s.File = clipName(s.Publisher), clipName(s.File)
	return s
}

func clipProvenance(p event.Provenance) event.Provenance {
	p.PredicateType, p.Builder, p.BuildType = clipName(p.PredicateType), clip(p.Builder, maxText), clip(p.BuildType, maxText)
	p.Source, p.Signer, p.Reason = clip(p.Source, maxText), clip(p.Signer, maxText), clip(p.Reason, maxText)
	return p
}

func clipCheck(c event.Check) event.Check {
	c.Name, c.Detail = clip(c.Name, maxName), clip(c.Detail, maxText)
	return c
}

func clipName(s string) string { return clip(s, maxName) }

func clipNames(names []string) []string {
	var kept []string
	for _, name := range names[:min(len(names), maxList)] {
		kept = append(kept, clipName(name))
	}
	return kept
}

// clip keeps foreign text within n bytes and valid UTF-8, and shows that it
// was cut.
func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	cut := n - len("…")
	for cut > 0 && s[cut]&0xC0 == 0x80 {
		cut--
	}
	return s[:cut] + "…"
}
