package attest

import (
	"encoding/json"

	"assize.dev/shared/event"
)

// Restate is the statement that a decision makes, by the verifier that another
// statement of a verdict names: whether the two are the same shows whether it
// was this decision that was signed.
func Restate(s *Statement, d event.Decision) ([]byte, error) {
	p, err := s.Verdict()
	if err != nil {
		return nil, err
	}
	d.Reasons = within(d.Reasons, d.Decision)
	a := Attestor{verifier: p.Verifier}
	predicate, err := json.Marshal(a.predicate(&d))
	if err != nil {
		return nil, err
	}
	return json.Marshal(Statement{Type: StatementType, Subject: []Subject{subjectOf(&d)}, PredicateType: VerdictPredicateType, Predicate: predicate})
}
