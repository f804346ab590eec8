package attest

import (
	"fmt"
	"net/url"
	"time"

	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// VerdictPredicateType is the type of our own predicate, VerdictPredicate.
const VerdictPredicateType = "https://assize.dev/verdict/v1"

// VerdictPredicate is what we say about an artifact: what was decided, on
// which evidence, by which rules. It holds digests of everything needed to
// make the decision again.
type VerdictPredicate struct {
	Verifier Verifier `json:"verifier"`
	// Time is when the last evidence reached the stream (RFC 3339, UTC).
	Time       time.Time           `json:"time"`
	Run        string              `json:"run"`      // UUIDv7 of the examination
	Registry   string              `json:"registry"` // where the artifact was uploaded
	Artifact   VerdictArtifact     `json:"artifact"`
	Decision   event.Outcome       `json:"decision"` // allow, deny or hold
	Grade      event.Grade         `json:"grade"`    // risk, community, verified or locked
	SLSALevel  int                 `json:"slsaLevel"`
	Reasons    []event.Reason      `json:"reasons"`
	Evidence   []event.EvidenceRef `json:"evidence"` // each with the SHA-256 of its event
	Policy     event.Policy        `json:"policy"`
	Record     VerdictRecord       `json:"record"`
	Supersedes string              `json:"supersedes,omitempty"` // run whose verdict this one replaces
	Changes    []event.Change      `json:"changes,omitempty"`    // what is other than in that one
}

// Verifier says who decided, with which version of Assize, and which version
// of the key set the keys that sign are active in.
type Verifier struct {
	ID      string `json:"id"` // absolute URI
	Version string `json:"version"`
	Keys    int    `json:"keys"` // 0: there is no key set
}

// Check says what is wrong with the ID.
func (v Verifier) Check() error {
	if u, err := url.Parse(v.ID); err != nil || !u.IsAbs() || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("verifier id %.200q: want an absolute URI without query or fragment", v.ID)
	}
	return nil
}

// VerdictArtifact describes the statement's subject in words.
type VerdictArtifact struct {
	Name     string `json:"name"`
	Version  string `json:"version,omitempty"`
	PURL     string `json:"purl,omitempty"` // what the bytes claim to be
	Filename string `json:"filename"`
	Format   string `json:"format"`
	Size     int64  `json:"size"` // bytes
	SHA512   string `json:"sha512"`
}

// VerdictRecord is the stored bundle of all the evidence.
type VerdictRecord struct {
	Key    string        `json:"key"` // in the object store
	Digest digest.Digest `json:"digest"`
}

func (a *Attestor) predicate(d *event.Decision) VerdictPredicate {
	art := &d.Artifact
	return VerdictPredicate{
		Verifier: a.verifier, Time: d.Time.UTC(), Run: d.Run, Registry: art.Registry,
		Artifact: VerdictArtifact{
			Name: art.Name, Version: art.Version, PURL: art.PURL, Filename: art.Filename,
			Format: art.Format, Size: art.Size, SHA512: art.SHA512,
		},
		Decision: d.Decision, Grade: d.Grade, SLSALevel: d.SLSALevel,
		Reasons: d.Reasons, Evidence: listed(d.Evidence), Policy: d.Policy,
		Record: VerdictRecord{d.Record.Key, d.Record.Digest}, Supersedes: art.Supersedes, Changes: d.Changes,
	}
}

// listed makes an absent list an empty one: [] says "none", null says nothing.
func listed(refs []event.EvidenceRef) []event.EvidenceRef {
	if refs == nil {
		return []event.EvidenceRef{}
	}
	return refs
}
