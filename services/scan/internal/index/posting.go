package index

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"assize.dev/services/scan/internal/advisory"
	"assize.dev/shared/event"
	"assize.dev/shared/version"
)

// Posting is what one advisory says of one package. Its texts are parts of
// the mapped file: they are valid during the call that Lookup makes with it.
type Posting struct {
	Record   Ref
	Class    event.Class
	Rating   advisory.Rating
	Name     string // of the package, as the record spells it
	Release  string
	Opaque   bool // it also has ranges that versions cannot be compared with
	Ranges   []Range
	Versions []Bound // affected versions that no range has
	// Unordered is why some listed versions cannot be compared, "" if all can.
	Unordered string
}

// Range is a range whose bounds are in their order.
type Range struct {
	Bounds []Bound
	Limits []Bound // empty: no limit
	Broken string  // why the range cannot be evaluated, "" if it can
}

// Bound is a version, and what it does to a range.
type Bound struct {
	Kind    advisory.BoundKind
	Zero    bool   // introduced before every version
	Key     string // of the version, "" if it has none
	Version string
}

// Bits of a posting's first byte.
const (
	classBits  = 0x03
	opaqueBit  = 0x04
	releaseBit = 0x08
	listBit    = 0x10
)

var classes = []event.Class{event.ClassVulnerability, event.ClassMalware, event.ClassInformational}

var severities = []event.Severity{event.Unknown, event.Info, event.Low, event.Medium, event.High, event.Critical}

// encodePosting writes all of an entry but which record it is of.
func encodePosting(e *encoder, a *advisory.Entry) {
	scheme, err := version.SchemeOf(a.Ecosystem)
	if err != nil {
		scheme = nil // nothing of this ecosystem is evaluated; the advisory is kept to say so
	}
	class := max(slices.Index(classes, a.Class), 0)
	flags := byte(class)
	if a.Opaque {
		flags |= opaqueBit
	}
	if a.Release != "" {
		flags |= releaseBit
	}
	listed, unordered := listedVersions(scheme, a)
	if len(listed) > 0 || unordered != "" {
		flags |= listBit
	}
	e.byte(flags)
	e.byte(byte(max(slices.Index(severities, a.Rating.Severity), 0)))
	e.byte(byte(a.Rating.Score*10 + 0.5))
	e.text(a.Name)
	if a.Release != "" {
		e.text(a.Release)
	}
	e.number(uint64(len(a.Ranges)))
	for _, r := range a.Ranges {
		sorted, err := sortBounds(scheme, r)
		if err != nil {
			e.text(err.Error())
		} else {
			e.text("")
		}
		e.number(uint64(len(sorted)))
		for _, b := range sorted {
			encodeBound(e, scheme, b)
		}
		limits := r.Limits
		if slices.Contains(limits, "*") {
			limits = nil
		}
		e.number(uint64(len(limits)))
		for _, l := range limits {
			encodeBound(e, scheme, advisory.Bound{Version: l})
		}
	}
	if flags&listBit != 0 {
		e.text(unordered)
		e.number(uint64(len(listed)))
		for _, v := range listed {
			encodeBound(e, scheme, advisory.Bound{Version: v})
		}
	}
}

// Kinds of bounds as written; a key follows those with the bit.
const (
	zeroKind = 3
	keyedBit = 0x10
)

func encodeBound(e *encoder, scheme *version.Scheme, b advisory.Bound) {
	if b.IsZero() {
		e.byte(zeroKind)
		return
	}
	var key []byte
	if scheme != nil && scheme.Valid(b.Version) == nil {
		key, _ = scheme.Key(nil, b.Version)
	}
	if len(key) == 0 {
		e.byte(byte(b.Kind))
	} else {
		e.byte(byte(b.Kind) | keyedBit)
		e.text(string(key))
	}
	e.text(b.Version)
}

// sortBounds puts the events of a range in the order of their versions. The
// sort is stable: at a tie the record's own order counts, so that "introduced
// 1, last_affected 1" means exactly 1.
func sortBounds(scheme *version.Scheme, r advisory.Range) ([]advisory.Bound, error) {
	bounds := slices.Clone(r.Bounds)
	if scheme == nil {
		return bounds, nil
	}
	for _, v := range slices.Concat(versionsOf(bounds), slices.DeleteFunc(slices.Clone(r.Limits), func(l string) bool { return l == "*" })) {
		if err := scheme.Valid(v); err != nil {
			return bounds, fmt.Errorf("its bound %.60q: %w", v, err)
		}
	}
	slices.SortStableFunc(bounds, func(a, b advisory.Bound) int {
		if a.IsZero() || b.IsZero() {
			return cmp.Compare(rank(b.IsZero()), rank(a.IsZero()))
		}
		return scheme.Order(a.Version, b.Version)
	})
	return bounds, nil
}

func rank(b bool) int {
	if b {
		return 1
	}
	return 0
}

func versionsOf(bounds []advisory.Bound) []string {
	var out []string
	for _, b := range bounds {
		if !b.IsZero() {
			out = append(out, b.Version)
		}
	}
	return out
}

// listedVersions are the versions named one by one, without those that a
// range has anyway: many records list all that their ranges have.
func listedVersions(scheme *version.Scheme, a *advisory.Entry) (listed []string, unordered string) {
	ranges := make([]Range, 0, len(a.Ranges))
	for _, r := range a.Ranges {
		sorted, err := sortBounds(scheme, r)
		if err != nil || scheme == nil {
			continue
		}
		decoded := Range{}
		for _, b := range sorted {
			decoded.Bounds = append(decoded.Bounds, Bound{Kind: b.Kind, Zero: b.IsZero(), Version: b.Version})
		}
		if !slices.Contains(r.Limits, "*") {
			for _, l := range r.Limits {
				decoded.Limits = append(decoded.Limits, Bound{Version: l})
			}
		}
		ranges = append(ranges, decoded)
	}
	for _, v := range a.Versions {
		if scheme == nil {
			listed = append(listed, v)
			continue
		}
		if err := scheme.Valid(v); err != nil {
			if unordered == "" {
				unordered = fmt.Sprintf("its version %.60q: %v", v, err)
			}
			continue
		}
		probe := Probe{Scheme: scheme, Version: v}
		if !slices.ContainsFunc(ranges, probe.In) {
			listed = append(listed, v)
		}
	}
	return listed, unordered
}

// decode reads the next posting; the slices of p are used again.
func (p *Posting) decode(d *decoder, of *segment) {
	ordinal := uint32(d.number())
	flags := d.byte()
	if int(flags&classBits) >= len(classes) {
		d.fail("a class is unknown")
		return
	}
	*p = Posting{
		Class: classes[flags&classBits], Opaque: flags&opaqueBit != 0, Ranges: p.Ranges[:0], Versions: p.Versions[:0],
		Record: Ref{of, ordinal},
	}
	severity := d.byte()
	if int(severity) >= len(severities) {
		d.fail("a severity is unknown")
		return
	}
	p.Rating = advisory.Rating{Severity: severities[severity], Score: float64(d.byte()) / 10}
	p.Name = d.view()
	if flags&releaseBit != 0 {
		p.Release = d.view()
	}
	for range d.count() {
		r := p.nextRange()
		r.Broken = d.view()
		r.Bounds = decodeBounds(d, r.Bounds)
		r.Limits = decodeBounds(d, r.Limits)
	}
	if flags&listBit != 0 {
		p.Unordered = d.view()
		p.Versions = decodeBounds(d, p.Versions)
	}
}

func (p *Posting) nextRange() *Range {
	if n := len(p.Ranges); n < cap(p.Ranges) {
		p.Ranges = p.Ranges[:n+1]
	} else {
		p.Ranges = append(p.Ranges, Range{})
	}
	r := &p.Ranges[len(p.Ranges)-1]
	r.Bounds, r.Limits, r.Broken = r.Bounds[:0], r.Limits[:0], ""
	return r
}

func decodeBounds(d *decoder, dst []Bound) []Bound {
	for range d.count() {
		kind := d.byte()
		var b Bound
		switch {
		case kind == zeroKind:
			b.Zero = true
		case kind&^keyedBit > byte(advisory.LastAffected):
			d.fail("an event is unknown")
			return dst
		default:
			b.Kind = advisory.BoundKind(kind &^ keyedBit)
			if kind&keyedBit != 0 {
				b.Key = d.view()
			}
			b.Version = d.view()
		}
		dst = append(dst, b)
	}
	return dst
}

// Probe is a version that is held against postings.
type Probe struct {
	Scheme  *version.Scheme
	Version string // that Scheme.Valid has accepted
	Key     string // of Version, "" if it has none
}

// NewProbe prepares a version; the error says why it cannot be compared.
func NewProbe(ecosystem, v string) (Probe, error) {
	scheme, err := version.SchemeOf(ecosystem)
	if err != nil {
		return Probe{}, err
	}
	if err := scheme.Valid(v); err != nil {
		return Probe{}, err
	}
	var room [64]byte
	key, _ := scheme.Key(room[:0], v)
	return Probe{scheme, v, string(key)}, nil
}

// Compare orders the probed version and a bound's.
func (p *Probe) Compare(b *Bound) int {
	switch {
	case p.Key != "" && b.Key != "":
		return cmp.Compare(p.Key, b.Key)
	case b.Zero:
		return 1
	}
	return p.Scheme.Order(p.Version, b.Version)
}

// In is the OSV schema's IncludedInRanges for one range that is not broken.
func (p *Probe) In(r Range) bool {
	if len(r.Limits) > 0 && !slices.ContainsFunc(r.Limits, func(l Bound) bool { return p.Compare(&l) < 0 }) {
		return false
	}
	affected := false
	for i := range r.Bounds {
		b := &r.Bounds[i]
		if b.Zero {
			affected = true
			continue
		}
		c := p.Compare(b)
		switch {
		case c < 0:
			return affected // and so are those of all later bounds
		case b.Kind == advisory.Introduced:
			affected = true
		case b.Kind == advisory.Fixed, c > 0:
			affected = false
		}
	}
	return affected
}

// Affected tells whether a posting's advisory has the probed version. An
// error says that something could not be compared; it is nil only if every
// list and range had its say.
func (p *Probe) Affected(at *Posting) (bool, error) {
	if len(at.Ranges) == 0 && len(at.Versions) == 0 && at.Unordered == "" {
		if at.Class == event.ClassMalware {
			return true, nil // names the package and no version: all of them
		}
		return false, errNoVersions
	}
	affected := false
	for i := range at.Versions {
		if v := &at.Versions[i]; v.Version == p.Version || p.Compare(v) == 0 {
			affected = true
			break
		}
	}
	var failed error
	if at.Unordered != "" {
		failed = errors.New(at.Unordered)
	}
	for i := range at.Ranges {
		switch r := &at.Ranges[i]; {
		case r.Broken != "":
			failed = errors.Join(failed, errors.New(r.Broken))
		case !affected:
			affected = p.In(*r)
		}
	}
	return affected, failed
}

var errNoVersions = errors.New("it names no versions that can be compared")
