package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/rego"

	"assize.dev/shared/event"
)

// Ruling is what a policy concludes. Its reasons are ordered: denials,
// holds, then what speaks for the artifact or is only remarked on.
type Ruling struct {
	Decision event.Outcome  `json:"decision"`
	Grade    event.Grade    `json:"grade"`
	Reasons  []event.Reason `json:"reasons"`
}

// Bounds of a ruling, so that a decision fits into an event.
const (
	MaxReasons = 50
	maxRule    = 128 // bytes
	maxMessage = 512 // bytes
)

// readRuling accepts one ruling whose words are known and whose decision is
// the worst outcome among its reasons: a policy that allows although one of
// its own rules denies is broken.
func readRuling(results rego.ResultSet) (*Ruling, error) {
	switch {
	case len(results) == 0:
		return nil, errors.New("undefined")
	case len(results) > 1 || len(results[0].Expressions) != 1:
		return nil, errors.New("more than one result")
	}
	text, err := canonical(results[0].Expressions[0].Value)
	if err != nil {
		return nil, err
	}
	var r Ruling
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return nil, fmt.Errorf("not an object of decision, grade and reasons: %w", err)
	}
	if err := r.tidy(); err != nil {
		return nil, err
	}
	return &r, nil
}

func (r *Ruling) tidy() error {
	if !slices.Contains(event.Outcomes, r.Decision) {
		return fmt.Errorf("decision: unknown word %.80q", r.Decision)
	}
	if r.Grade.Rank() == 0 {
		return fmt.Errorf("grade: unknown word %.80q", r.Grade)
	}
	if len(r.Reasons) == 0 {
		return errors.New("reasons: none given")
	}
	for i := range r.Reasons {
		reason := &r.Reasons[i]
		if !slices.Contains(event.Outcomes, reason.Outcome) {
			return fmt.Errorf("reasons: unknown outcome %.80q", reason.Outcome)
		}
		reason.Rule = sentence(reason.Rule, maxRule)
		reason.Message = sentence(reason.Message, maxMessage)
		reason.Evidence = event.Kind(sentence(string(reason.Evidence), maxKind))
		if reason.Rule == "" || reason.Message == "" {
			return errors.New("reasons: one without a rule or a message")
		}
	}
	if worst := slices.MinFunc(r.Reasons, byWeight).Outcome; worst != r.Decision {
		return fmt.Errorf("decision is %s but the worst of its reasons asks for %s", r.Decision, worst)
	}
	return nil
}

// RuleError is the rule of a ruling that the policy did not make.
const RuleError = "policy/error"

// Failure is the ruling where the policy gave none: nothing is known, so the
// artifact is held at the lowest grade.
func Failure(err error) *Ruling {
	return &Ruling{Decision: event.Hold, Grade: event.GradeRisk, Reasons: []event.Reason{{
		Rule: RuleError, Outcome: event.Hold,
		Message: sentence(err.Error()+": mend the policy and have the artifact examined again", maxMessage),
	}}}
}

// order puts the worst reasons first and says how many it left out.
func (r *Ruling) order() {
	slices.SortStableFunc(r.Reasons, byWeight)
	if len(r.Reasons) <= MaxReasons {
		return
	}
	left := r.Reasons[MaxReasons-1:]
	r.Reasons = append(r.Reasons[:MaxReasons-1:MaxReasons-1], event.Reason{
		Rule: "policy/more", Outcome: left[0].Outcome, Message: fmt.Sprintf("and %d more", len(left)),
	})
}

func byWeight(a, b event.Reason) int { return weight(b.Outcome) - weight(a.Outcome) }

func weight(o event.Outcome) int {
	switch o {
	case event.Deny:
		return 2
	case event.Hold:
		return 1
	}
	return 0
}

// sentence makes text of foreign origin one printable line of at most max
// bytes: messages are shown in terminals and pages.
func sentence(text string, max int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) || c == '\u2028' || c == '\u2029' {
			return ' '
		}
		return c
	}, text)
	text = strings.TrimSpace(text)
	if len(text) <= max {
		return text
	}
	const ellipsis = "…"
	cut := max - len(ellipsis)
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + ellipsis
}

// canonical is compact JSON with sorted map keys and nothing escaped that
// need not be; the same value always has the same bytes.
func canonical(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode as JSON: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// plain turns a struct into the maps and slices that Rego's data is made of.
func plain(v any) (map[string]any, error) {
	text, err := canonical(v)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("decode JSON: %w", err)
	}
	return m, nil
}
