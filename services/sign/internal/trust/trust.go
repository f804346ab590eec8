// Package trust says whose signatures count for which artifacts. It is read
// from a trust file, or from a folder of keys, and never guesses: what cannot
// be read stops it.
package trust

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"assize.dev/services/sign/internal/keys"
	"assize.dev/services/sign/internal/minisign"
	"assize.dev/services/sign/internal/openpgp"
	"assize.dev/services/sign/internal/signature"
	"assize.dev/services/sign/internal/sigstore"
	"assize.dev/services/sign/internal/slsa"
	"assize.dev/services/sign/internal/sshsig"
	"assize.dev/services/sign/internal/x509sig"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// Trust does not change once it is loaded; the zero value trusts nobody. It
// is safe for concurrent use.
type Trust struct {
	publishers   []*Publisher
	requirements []requirement
	builders     []builder
	digest       digest.Digest

	mu         *sync.Mutex
	selections map[string]*Selection // by which publishers apply
}

// Publisher is somebody who signs, with everything it is known by.
type Publisher struct {
	Name string
	Deny bool

	scope       scope
	from, until time.Time
	launchers   []string

	// signers are the names of its keys, as results name signers, each with
	// its kind before it.
	signers map[string]bool
	// fingerprints are those of all its keys, whatever it signs with them.
	fingerprints map[string]bool
	keys         []keys.PublicKey // Ed25519 keys known in full
	minisign     []minisign.PublicKey
	openpgp      *openpgp.Keyring

	SSH      *SSH
	X509     *x509sig.Anchors
	Sigstore *sigstore.Anchors
}

// SSH is what sshsig needs to verify for one publisher.
type SSH struct {
	Allowed             *sshsig.AllowedSigners
	Identity, Namespace string
}

type requirement struct {
	scope      scope
	signatures int
	publishers []string
}

type builder struct {
	scope     scope
	publisher string
	rule      slsa.Rule
}

// Digest changes when the same signature could be judged differently.
func (t *Trust) Digest() digest.Digest {
	if t.digest == "" {
		return digest.Of(nil)
	}
	return t.digest
}

// Size is how many publishers there are.
func (t *Trust) Size() int { return len(t.publishers) }

// Selection is the part of the trust that is about one artifact.
type Selection struct {
	Publishers []*Publisher
	// Keys, Minisign and OpenPGP are those of all the publishers together.
	Keys     []keys.PublicKey
	Minisign []minisign.PublicKey
	OpenPGP  *openpgp.Keyring
	// Required is how many trusted publishers must have signed, at least 1.
	Required int

	counted []string // names that count for Required; nil: all
	rules   []builder
}

// For selects what applies to an artifact.
func (t *Trust) For(a Artifact) *Selection {
	var key strings.Builder
	s := &Selection{Required: 1}
	for i, p := range t.publishers {
		if p.Deny && p.scope.restricts(a) || !p.Deny && p.scope.trusts(a) {
			s.Publishers = append(s.Publishers, p)
			fmt.Fprintf(&key, "p%d ", i)
		}
	}
	for i, r := range t.requirements {
		if r.scope.restricts(a) {
			s.Required, s.counted = r.signatures, r.publishers
			fmt.Fprintf(&key, "r%d ", i)
			break
		}
	}
	for i, b := range t.builders {
		if b.scope.trusts(a) {
			s.rules = append(s.rules, b)
			fmt.Fprintf(&key, "b%d ", i)
		}
	}
	if t.mu == nil {
		return s
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.selections[key.String()]; known != nil {
		return known
	}
	s.join()
	if len(t.selections) == maxSelections {
		clear(t.selections)
	}
	t.selections[key.String()] = s
	return s
}

// maxSelections bounds how many selections are kept: names of packages are
// made by strangers.
const maxSelections = 256

// join puts the keys of all publishers together, so that an artifact is read
// once for all of them.
func (s *Selection) join() {
	var rings []*openpgp.Keyring
	for _, p := range s.Publishers {
		s.Keys = append(s.Keys, p.keys...)
		s.Minisign = append(s.Minisign, p.minisign...)
		if p.openpgp != nil {
			rings = append(rings, p.openpgp)
		}
	}
	if len(rings) > 0 {
		s.OpenPGP = openpgp.Merge(rings...)
	}
}

// Standing is what trust says of a signer.
type Standing struct {
	Trust     string // event.Trusted, event.Denied or event.UnknownTrust
	Publisher string // the entry that says so
	Reason    string // why an entry that knows the signer does not trust it
}

// Of tells how a signer of a kind stands at a time.
func (s *Selection) Of(kind, signer string, at time.Time) Standing {
	best := Standing{Trust: event.UnknownTrust}
	for _, p := range s.Publishers {
		if p.signers[kind+" "+signer] && best.Trust != event.Trusted {
			best = p.At(at)
		}
	}
	return best
}

// Denied tells whether anybody who made a valid signature is denied, in
// whatever way they signed: by the key, the certificate or the identity, and
// whether or not the entry that denies could have verified it.
func (s *Selection) Denied(r signature.Result, identity *sigstore.Claims, at time.Time) (Standing, bool) {
	for _, p := range s.Publishers {
		if !p.Deny || !p.knows(r, identity) {
			continue
		}
		if standing := p.At(at); standing.Trust == event.Denied {
			return standing, true
		}
	}
	return Standing{}, false
}

// knows tells whether a signer is the publisher.
func (p *Publisher) knows(r signature.Result, identity *sigstore.Claims) bool {
	switch {
	case p.signers[r.Kind+" "+r.Signer], r.Key != "" && p.fingerprints[r.Key]:
		return true
	case r.Certificate != nil && p.X509 != nil && p.X509.Concerns(r.Certificate):
		return true
	case identity != nil && p.Sigstore != nil:
		return slices.ContainsFunc(p.Sigstore.Identities, func(i sigstore.Identity) bool { return i.Matches(identity) })
	}
	return false
}

// Anybody tells whether a publisher that is not denied has what a kind of
// signature is verified with.
func (s *Selection) Anybody(signs func(*Publisher) bool) bool {
	return slices.ContainsFunc(s.Publishers, func(p *Publisher) bool { return !p.Deny && signs(p) })
}

// What publishers may sign with, for Anybody.
func SignsEd25519(p *Publisher) bool  { return len(p.keys) > 0 }
func SignsMinisign(p *Publisher) bool { return len(p.minisign) > 0 }
func SignsOpenPGP(p *Publisher) bool  { return p.openpgp != nil }

// At is the publisher's standing at a time.
func (p *Publisher) At(at time.Time) Standing {
	s := Standing{Trust: event.Trusted, Publisher: p.Name}
	switch {
	case !p.from.IsZero() && at.Before(p.from):
		s.Trust, s.Reason = event.UnknownTrust, "publisher "+p.Name+" is trusted from "+p.from.UTC().Format(time.RFC3339)+" on"
	case !p.until.IsZero() && !at.Before(p.until):
		s.Trust, s.Reason = event.UnknownTrust, "publisher "+p.Name+" was trusted until "+p.until.UTC().Format(time.RFC3339)
	case p.Deny:
		s.Trust = event.Denied
	}
	return s
}

// Demanding tells whether an entry demands more than one trusted signature by
// anybody.
func (s *Selection) Demanding() bool { return s.Required > 1 || s.counted != nil }

// Counts tells whether a trusted signature by this publisher counts for
// Required.
func (s *Selection) Counts(publisher string) bool {
	return s.counted == nil || slices.Contains(s.counted, publisher)
}

// Launchers are the SHA-256 of the programs that a publisher allows in front
// of its packages, nil for any.
func (s *Selection) Launchers(publisher string) []string {
	for _, p := range s.Publishers {
		if p.Name == publisher {
			return p.launchers
		}
	}
	return nil
}

// Rules are what provenance signed by a publisher proves.
func (s *Selection) Rules(publisher string) []slsa.Rule {
	var rules []slsa.Rule
	for _, b := range s.rules {
		if b.publisher == "" || b.publisher == publisher {
			rules = append(rules, b.rule)
		}
	}
	return rules
}

// Skipped lists the OpenPGP certificates that cannot be used, and why. What
// they signed is refused, so whoever runs this must see them.
func (t *Trust) Skipped() []string {
	var all []string
	for _, p := range t.publishers {
		if p.openpgp == nil {
			continue
		}
		for _, s := range p.openpgp.Skipped() {
			all = append(all, p.Name+": "+s)
		}
	}
	return all
}

// know adds a signer that a publisher is known by.
func (p *Publisher) know(kind, signer string) { p.signers[kind+" "+signer] = true }

// knowKey adds an Ed25519 key.
func (p *Publisher) knowKey(k keys.PublicKey) {
	p.knowFingerprint(k.Fingerprint())
	p.keys = append(p.keys, k)
}

func (p *Publisher) knowFingerprint(fingerprint string) {
	p.know(KindEd25519, fingerprint)
	p.know(KindPSPF, fingerprint)
	p.fingerprints[fingerprint] = true
}

// Kinds of signatures whose signers are keys, as results name them.
const (
	KindPSPF     = "pspf"
	KindEd25519  = "ed25519"
	KindOpenPGP  = "openpgp"
	KindMinisign = "minisign"
	KindSignify  = "signify"
)
