// Package keyset keeps the keys that verdicts are verified with as a set that
// has versions, as TUF keeps its root role: each version is signed by a
// threshold of the root keys of the version before it and by a threshold of
// its own (https://theupdateframework.github.io/specification/latest/#update-root).
// Whoever trusts one version can step to the newest without trusting where
// the files came from.
//
// A version is a DSSE envelope, and the files of a set are keys.1.json,
// keys.2.json, …, and keys.json, which is the newest once more.
package keyset

import (
	"crypto"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	mldsax509 "filippo.io/mldsa/x509"

	"assize.dev/services/sign/internal/dsse"
	"assize.dev/services/sign/internal/keys"
	"assize.dev/services/sign/internal/strictjson"
	"assize.dev/shared/digest"
)

// PayloadType is what the envelope of a version says it holds.
const PayloadType = "application/vnd.assize.keyset+json"

// Set is one version of the set. It does not change.
type Set struct {
	Version int `json:"version"` // 1, 2, …
	// Previous is the digest of the payload of the version before, absent in
	// the first, so that a second history with the same numbers is noticed.
	Previous digest.Digest `json:"previous,omitempty"`
	Expires  time.Time     `json:"expires,omitzero"` // never without it
	// Threshold is how many of Roots must sign this version and the next.
	Threshold int    `json:"threshold"`
	Roots     []Root `json:"roots"`
	Keys      []Key  `json:"keys"` // grows only

	digest   digest.Digest
	envelope *dsse.Envelope
}

// Root is a key that signs versions of the set and nothing else.
type Root struct {
	KeyID  string           `json:"keyid"`
	PEM    string           `json:"pem"` // SPKI
	Public crypto.PublicKey `json:"-"`
}

// Key is a key that signs, or signed, verdicts.
type Key struct {
	KeyID  string           `json:"keyid"`
	PEM    string           `json:"pem"` // SPKI
	Public crypto.PublicKey `json:"-"`
	Use    string           `json:"use"` // "verdict"
	Status Status           `json:"status"`
	// VerdictThreshold is how many signatures a verdict needs that this key
	// signed, by keys of its group: 2 for the pair of a classical and a
	// post-quantum key. It stays with the key, so that verdicts from before a
	// second key was introduced keep their meaning, and those from after it
	// cannot be stripped.
	VerdictThreshold int `json:"verdictThreshold"`
	// Since is the version that added the key. Keys of one version with one
	// threshold are a group: what signs is the pair, and halves of two pairs
	// are none.
	Since int `json:"since"`
	// From and To bound the times of its verdicts, inclusive; absent is open.
	From    time.Time `json:"from,omitzero"`
	To      time.Time `json:"to,omitzero"`
	Revoked time.Time `json:"revoked,omitzero"`
	Reason  string    `json:"reason,omitempty"` // of what became of it, for people
}

// Status is what may be done with a key.
type Status string

// The states of a key, each leading only to those below it.
const (
	Active  Status = "active"  // signs verdicts
	Retired Status = "retired" // signs no more; its verdicts hold
	Revoked Status = "revoked" // none of its verdicts counts
)

func (s Status) rank() int {
	switch s {
	case Active:
		return 1
	case Retired:
		return 2
	case Revoked:
		return 3
	}
	return 0
}

const useVerdict = "verdict"

// Bounds of a set. It never forgets a key, so that there is room for twenty
// years of monthly rotations; an envelope of that many ML-DSA keys still fits
// into dsse.MaxEnvelope.
const (
	maxKeys      = 256
	maxRoots     = 16
	maxThreshold = 16
	maxReason    = 500
	maxVersion   = 100_000
)

// Parse reads a version that its own roots signed. Whether to trust those is
// not its question: see Set.Next.
func Parse(data []byte) (*Set, error) {
	e, err := dsse.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	if e.PayloadType != PayloadType {
		return nil, fmt.Errorf("key set: payload type is %.80q, want %s", e.PayloadType, PayloadType)
	}
	s, err := parsePayload(e.Payload)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	s.envelope = e
	if err := s.signedBy(s); err != nil {
		return nil, fmt.Errorf("key set version %d, by its own roots: %w", s.Version, err)
	}
	return s, nil
}

// parsePayload takes exactly the text that it would write itself: a member
// that this version of Assize does not know may be there to restrict a key.
func parsePayload(payload []byte) (*Set, error) {
	s := &Set{digest: digest.Of(payload)}
	if err := strictjson.Decode(payload, s, strictjson.Small); err != nil {
		return nil, err
	}
	if again, err := json.Marshal(s); err != nil || string(again) != string(payload) {
		return nil, errors.New("it has members or a form that this version of Assize does not know")
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	return s, nil
}

// check validates what can be said of one version alone, and reads its keys.
func (s *Set) check() error {
	switch {
	case s.Version < 1 || s.Version > maxVersion:
		return fmt.Errorf("version %d, want 1 to %d", s.Version, maxVersion)
	case (s.Version == 1) != (s.Previous == ""):
		return fmt.Errorf("version %d: previous is %.80q", s.Version, s.Previous)
	case len(s.Roots) == 0 || len(s.Roots) > maxRoots:
		return fmt.Errorf("%d roots, want 1 to %d", len(s.Roots), maxRoots)
	case s.Threshold < 1 || s.Threshold > len(s.Roots):
		return fmt.Errorf("threshold %d with %d roots", s.Threshold, len(s.Roots))
	case len(s.Keys) > maxKeys:
		return fmt.Errorf("%d keys, at most %d", len(s.Keys), maxKeys)
	}
	seen := make(map[string]bool)
	once := func(id, pem string) (crypto.PublicKey, error) {
		if seen[id] {
			return nil, fmt.Errorf("key %.80q is there twice: a root signs nothing but key sets, and each key has one place", id)
		}
		seen[id] = true
		return publicKey(id, pem)
	}
	for i := range s.Roots {
		var err error
		if s.Roots[i].Public, err = once(s.Roots[i].KeyID, s.Roots[i].PEM); err != nil {
			return fmt.Errorf("root %d: %w", i, err)
		}
	}
	for i := range s.Keys {
		k := &s.Keys[i]
		var err error
		if k.Public, err = once(k.KeyID, k.PEM); err != nil {
			return fmt.Errorf("key %d: %w", i, err)
		}
		if err := k.check(); err != nil {
			return fmt.Errorf("key %s: %w", k.KeyID, err)
		}
		if k.Since < 1 || k.Since > s.Version {
			return fmt.Errorf("key %s: since is %d, want 1 to %d, the version that added it", k.KeyID, k.Since, s.Version)
		}
	}
	return nil
}

func (k *Key) check() error {
	bad := func(format string, args ...any) error { return fmt.Errorf(format, args...) }
	switch {
	case k.Use != useVerdict:
		return bad("use is %.80q, want %q", k.Use, useVerdict)
	case k.Status.rank() == 0:
		return bad("status is %.80q, want active, retired or revoked", k.Status)
	case k.VerdictThreshold < 1 || k.VerdictThreshold > maxThreshold:
		return bad("verdictThreshold %d, want 1 to %d", k.VerdictThreshold, maxThreshold)
	case len(k.Reason) > maxReason:
		return bad("reason of %d bytes, at most %d", len(k.Reason), maxReason)
	case k.Status == Active && !k.To.IsZero():
		return bad("it is active and has an end")
	case k.Status == Retired && k.To.IsZero():
		return bad("it is retired and has no end")
	case (k.Status == Revoked) != !k.Revoked.IsZero():
		return bad("status is %s, revoked at %s", k.Status, k.Revoked)
	case !k.To.IsZero() && k.To.Before(k.From):
		return bad("its end is before its beginning")
	}
	return nil
}

// publicKey reads a key in the one form a set holds, and under its right name.
func publicKey(id, text string) (crypto.PublicKey, error) {
	parsed, err := keys.ParsePublicKey([]byte(text))
	if err != nil {
		return nil, err
	}
	if want, err := EncodePEM(parsed.Key); err != nil || want != text {
		return nil, errors.New("pem: want one PUBLIC KEY block (SPKI) and nothing else")
	}
	if want := parsed.KeyID(); want != id {
		return nil, fmt.Errorf("keyid is %.80q, want %s", id, want)
	}
	return parsed.Key, nil
}

// EncodePEM is the SPKI form of a public key, as sets hold it.
func EncodePEM(public crypto.PublicKey) (string, error) {
	der, err := mldsax509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("encoding public key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

// Key finds a key by its name, nil if the set does not have it.
func (s *Set) Key(id string) *Key {
	for i := range s.Keys {
		if s.Keys[i].KeyID == id {
			return &s.Keys[i]
		}
	}
	return nil
}

// Active lists the keys that sign verdicts.
func (s *Set) Active() []Key {
	var active []Key
	for _, k := range s.Keys {
		if k.Status == Active {
			active = append(active, k)
		}
	}
	return active
}

// Digest is that of the payload.
func (s *Set) Digest() digest.Digest { return s.digest }

// ErrExpired says that a set is too old to go by.
var ErrExpired = errors.New("the key set has expired")

// Fresh is ErrExpired once the set has expired.
func (s *Set) Fresh(now time.Time) error {
	if !s.Expires.IsZero() && now.After(s.Expires) {
		return fmt.Errorf("%w: version %d did on %s: get a newer version", ErrExpired, s.Version, s.Expires.Format(time.RFC3339))
	}
	return nil
}

// SignedBy lists the roots, of this version or of the one before it, that
// signed this version. previous may be nil.
func (s *Set) SignedBy(previous *Set) []string {
	known := s.rootKeys()
	if previous != nil {
		known = append(known, previous.rootKeys()...)
	}
	var ids []string
	for _, public := range s.envelope.SignedBy(known) {
		id, _ := dsse.KeyID(public) // of a key that was checked when it was parsed
		ids = append(ids, id)
	}
	return ids
}

func (s *Set) rootKeys() []crypto.PublicKey {
	var all []crypto.PublicKey
	for _, r := range s.Roots {
		all = append(all, r.Public)
	}
	return all
}

// String names a version in messages.
func (s *Set) String() string {
	return fmt.Sprintf("version %d (%s)", s.Version, strings.TrimPrefix(s.digest.String(), "sha256:")[:12])
}
