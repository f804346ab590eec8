package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"assize.dev/shared/digest"
)

// Outcome is what policy concludes.
type Outcome string

// The outcomes.
const (
	Allow Outcome = "allow"
	Deny  Outcome = "deny"
	Hold  Outcome = "hold" // evidence is missing; a person or a retry must resolve it
)

// Outcomes lists all outcomes.
var Outcomes = []Outcome{Allow, Deny, Hold}

// Grade is how far the evidence goes, worst first: risk, community,
// verified, locked.
type Grade string

// The grades.
const (
	GradeRisk      Grade = "risk"
	GradeCommunity Grade = "community"
	GradeVerified  Grade = "verified"
	GradeLocked    Grade = "locked"
)

// Rank orders grades; an unknown grade ranks below all.
func (g Grade) Rank() int {
	switch g {
	case GradeRisk:
		return 1
	case GradeCommunity:
		return 2
	case GradeVerified:
		return 3
	case GradeLocked:
		return 4
	}
	return 0
}

// Reason is one rule that spoke.
type Reason struct {
	Rule     string  `json:"rule" jsonschema_description:"Rule of the policy."`
	Outcome  Outcome `json:"outcome" jsonschema:"enum=allow,enum=deny,enum=hold" jsonschema_description:"What the rule asks for."`
	Message  string  `json:"message" jsonschema_description:"Why, in words a person can act on."`
	Evidence Kind    `json:"evidence,omitempty" jsonschema_description:"Kind of evidence it rests on."`
}

// EvidenceRef pins a piece of evidence that a decision rests on.
type EvidenceRef struct {
	Kind     Kind              `json:"kind"`
	Status   Status            `json:"status"`
	Producer Producer          `json:"producer"`
	Basis    map[string]string `json:"basis,omitempty"`
	Digest   digest.Digest     `json:"digest" jsonschema_description:"SHA-256 of the evidence event's data."`
}

// Policy names the rules a decision was made by.
type Policy struct {
	Name   string        `json:"name"`
	Digest digest.Digest `json:"digest"`
}

// Decision is policy applied to the evidence of a run, before it is signed.
type Decision struct {
	Run      string        `json:"run"`
	Artifact Artifact      `json:"artifact"`
	Decision Outcome       `json:"decision" jsonschema:"enum=allow,enum=deny,enum=hold"`
	Grade    Grade         `json:"grade" jsonschema:"enum=risk,enum=community,enum=verified,enum=locked"`
	Reasons  []Reason      `json:"reasons"`
	Evidence []EvidenceRef `json:"evidence"`
	// SLSALevel is the build level that trusted provenance proves, 0 to 3.
	SLSALevel int    `json:"slsaLevel"`
	Policy    Policy `json:"policy"`
	// Record is the stored bundle of all the evidence, for replay.
	Record Document `json:"record"`
	// Changes say what is other than in the verdict that this one replaces,
	// the gravest first.
	Changes []Change `json:"changes,omitempty"`
	// Time is when the last piece of evidence reached the stream, so that
	// the same evidence always makes the same decision.
	Time time.Time `json:"time"`
}

// MaxChanges is how many changes are listed; the last entry says how many more
// there are.
const MaxChanges = 32

// Change is one thing that is other than before.
type Change struct {
	What    string `json:"what" jsonschema:"enum=decision,enum=grade,enum=finding,enum=evidence,enum=policy,enum=more" jsonschema_description:"What has changed; more: only how many others there are."`
	Subject string `json:"subject,omitempty" jsonschema_description:"Finding and component, or kind of evidence."`
	From    string `json:"from,omitempty" jsonschema_description:"What it was; absent if it was not there."`
	To      string `json:"to,omitempty" jsonschema_description:"What it is; absent if it is gone."`
}

// EventType implements Payload.
func (*Decision) EventType() Type { return TypeDecision }

// Subject implements Payload.
func (d *Decision) Subject() string { return DecisionSubject(d.Artifact.Registry, d.Run) }

// Identity implements Payload.
func (d *Decision) Identity() string { return d.Run + "/decision" }

// Validate implements Payload.
func (d *Decision) Validate() error {
	err := errors.Join(ValidRun(d.Run), d.Artifact.Validate(), validOutcome(d.Decision, d.Grade),
		required("policy.name", d.Policy.Name), required("policy.digest", string(d.Policy.Digest)))
	if d.Artifact.Run != d.Run {
		err = errors.Join(err, fmt.Errorf("artifact.run: %q is not the run %q", d.Artifact.Run, d.Run))
	}
	if len(d.Reasons) == 0 {
		err = errors.Join(err, errors.New("reasons: none given"))
	}
	return err
}

// Verdict is a decision, signed. It carries the signed statement itself, so
// that a subscriber needs no access to the store to check it.
type Verdict struct {
	Run      string        `json:"run"`
	Lane     Lane          `json:"lane" jsonschema:"enum=new,enum=asked,enum=again"`
	Registry string        `json:"registry"`
	Name     string        `json:"name"`
	Version  string        `json:"version,omitempty"`
	Filename string        `json:"filename"`
	PURL     string        `json:"purl,omitempty"`
	Format   string        `json:"format"`
	Artifact digest.Digest `json:"artifact" jsonschema_description:"SHA-256 of the bytes judged."`
	Decision Outcome       `json:"decision" jsonschema:"enum=allow,enum=deny,enum=hold"`
	Grade    Grade         `json:"grade" jsonschema:"enum=risk,enum=community,enum=verified,enum=locked"`
	Reasons  []Reason      `json:"reasons"`
	KeyID    string        `json:"keyId" jsonschema_description:"OpenSSH fingerprint of the key that signed: SHA256: and base64."`
	// KeyVersion is that of the set of verdict keys that the key is active in.
	KeyVersion int `json:"keyVersion,omitempty" jsonschema_description:"Version of the key set that the key is active in; absent without a key set."`
	// Envelope is the DSSE envelope over the in-toto statement with
	// Assize's own predicate; the files of Documents hold the same and, for
	// an allow, a SLSA verification summary.
	Envelope   json.RawMessage `json:"envelope"`
	Documents  []Document      `json:"documents"`
	Supersedes string          `json:"supersedes,omitempty" jsonschema_description:"Run whose verdict this one replaces."`
	Changes    []Change        `json:"changes,omitempty" jsonschema_description:"What is other than in that verdict, the gravest first."`
	Time       time.Time       `json:"time"`
}

// EventType implements Payload.
func (*Verdict) EventType() Type { return TypeVerdict }

// Subject implements Payload.
func (v *Verdict) Subject() string {
	return VerdictSubject(v.Decision, v.Registry, PackageType(v.PURL), v.Run)
}

// Identity implements Payload.
func (v *Verdict) Identity() string { return v.Run + "/verdict" }

// Validate implements Payload.
func (v *Verdict) Validate() error {
	err := errors.Join(ValidRun(v.Run), validLane(v.Lane), required("registry", v.Registry), required("name", v.Name),
		required("artifact", string(v.Artifact)), validOutcome(v.Decision, v.Grade), required("keyId", v.KeyID))
	if len(v.Envelope) == 0 {
		err = errors.Join(err, errors.New("envelope: missing"))
	}
	return err
}

// DeadLetter is something a service gave up on, kept whole so that it can
// be sent again once the cause is gone.
type DeadLetter struct {
	Service  string            `json:"service"`
	Reason   string            `json:"reason"`
	Attempts int               `json:"attempts"`
	Stream   string            `json:"stream"`
	Sequence uint64            `json:"sequence"`
	Original string            `json:"original" jsonschema_description:"Subject of the original message."`
	Headers  map[string]string `json:"headers,omitempty" jsonschema_description:"Its headers, trace context included."`
	Data     []byte            `json:"data" jsonschema_description:"Its data, base64; cut to 128 KiB if it broke the contract."`
}

// EventType implements Payload.
func (*DeadLetter) EventType() Type { return TypeDeadLetter }

// Subject implements Payload.
func (d *DeadLetter) Subject() string { return DeadSubject(d.Service) }

// Identity implements Payload.
func (d *DeadLetter) Identity() string {
	return fmt.Sprintf("dead/%s/%s/%d", Token(d.Service), Token(d.Stream), d.Sequence)
}

// Validate implements Payload.
func (d *DeadLetter) Validate() error {
	return errors.Join(required("service", d.Service), required("reason", d.Reason), required("original", d.Original))
}
