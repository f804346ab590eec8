package policy

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// Decider is somebody whose decisions count.
type Decider struct {
	Name string `yaml:"name" json:"name"`
	Key  string `yaml:"key" json:"key"` // public Ed25519 key, PEM (SubjectPublicKeyInfo)
}

// ManualDecision is what a person says of one upload. An allow lets pass what was
// held when the person looked, no other hold, and nothing that is denied; a deny
// denies. It counts until a day.
type ManualDecision struct {
	Artifact digest.Digest `json:"artifact"`
	Registry string        `json:"registry"`
	Filename string        `json:"filename"`
	Decision event.Outcome `json:"decision"` // allow, deny or Withdraw
	// Overrules are the reasons to hold that an allow is about; see HeldBecause.
	Overrules []string  `json:"overrules,omitempty"`
	Reason    string    `json:"reason"`
	By        string    `json:"by"` // name of a decider
	Time      time.Time `json:"time"`
	Expires   string    `json:"expires"` // first day on which it does not count, YYYY-MM-DD, UTC
}

// Withdraw is the decision that an earlier one does not count any more.
const Withdraw event.Outcome = "withdraw"

// HeldBecause names a reason to hold: its rule and the kind of evidence.
func HeldBecause(r event.Reason) string { return r.Rule + " " + string(r.Evidence) }

// maxOverrules is how many reasons a decision may be about.
const maxOverrules = MaxReasons

// Validate says what is wrong with a decision, whoever signed it.
func (d *ManualDecision) Validate() error {
	var errs []error
	if d.Decision != event.Allow && d.Decision != event.Deny && d.Decision != Withdraw {
		errs = append(errs, fmt.Errorf("decision: %.40q: want allow, deny or withdraw", d.Decision))
	}
	for key, text := range map[string]string{"reason": d.Reason, "by": d.By} {
		if text == "" || len(text) > maxWords || !utf8.ValidString(text) {
			errs = append(errs, fmt.Errorf("%s: want 1 to %d bytes of UTF-8", key, maxWords))
		}
	}
	if len(d.Overrules) > maxOverrules {
		errs = append(errs, fmt.Errorf("overrules: %d, want %d at most", len(d.Overrules), maxOverrules))
	}
	if d.Artifact == "" || d.Registry == "" || d.Filename == "" {
		errs = append(errs, errors.New("want artifact, registry and filename"))
	}
	if _, err := time.Parse(time.DateOnly, d.Expires); err != nil {
		errs = append(errs, fmt.Errorf("expires: %.40q: want a day, YYYY-MM-DD", d.Expires))
	}
	return errors.Join(errs...)
}

// overrules tells whether a person allowed what was held for the want of this
// evidence.
func (d *ManualDecision) overrules(kind event.Kind) bool {
	return d != nil && d.Decision == event.Allow && slices.ContainsFunc(d.Overrules, func(because string) bool {
		return strings.HasSuffix(because, " "+string(kind))
	})
}

// Manual reads the decision that came with an artifact; fault says why it does
// not count. Both are empty if none came.
func (s *Settings) Manual(a *event.Artifact, now time.Time) (d *ManualDecision, fault string) {
	if a.Manual == nil {
		return nil, ""
	}
	dec := json.NewDecoder(bytes.NewReader(a.Manual.Payload))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil || d == nil || dec.More() {
		return nil, "it cannot be read"
	}
	if err := d.Validate(); err != nil {
		return nil, fmt.Sprintf("%.200s", err)
	}
	switch {
	case d.Artifact != a.Digest || d.Registry != a.Registry || d.Filename != a.Filename:
		return nil, fmt.Sprintf("it is about %.80s in %.80s", d.Filename, d.Registry)
	case now.UTC().Format(time.DateOnly) >= d.Expires:
		return nil, fmt.Sprintf("it ended on %s", d.Expires)
	}
	for _, who := range s.Deciders {
		if who.Name != d.By {
			continue
		}
		if key, err := who.public(); err == nil && ed25519.Verify(key, a.Manual.Signed(), a.Manual.Signature) {
			return d, ""
		}
	}
	return nil, fmt.Sprintf("it is not signed by a key that deciders has for %.80s", d.By)
}

func (d *Decider) public() (ed25519.PublicKey, error) {
	public, err := publicKey([]byte(d.Key))
	if err != nil {
		return nil, err
	}
	key, ok := public.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("a key of type %T: want Ed25519", public)
	}
	return key, nil
}

const maxDeciders = 100

func (s Settings) validDeciders() (errs []error) {
	if len(s.Deciders) > maxDeciders {
		errs = append(errs, fmt.Errorf("deciders: %d, want %d at most", len(s.Deciders), maxDeciders))
	}
	for i, d := range s.Deciders {
		if d.Name == "" || len(d.Name) > maxWords || !utf8.ValidString(d.Name) {
			errs = append(errs, fmt.Errorf("deciders: number %d: name: want 1 to %d bytes of UTF-8", i+1, maxWords))
		}
		if _, err := d.public(); err != nil {
			errs = append(errs, fmt.Errorf("deciders: number %d: key: %w", i+1, err))
		}
	}
	return errs
}
