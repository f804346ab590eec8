// Package policy decides by Rego: it compiles a policy once, shows it the
// evidence of a run, and accepts its answer only if that is exactly the kind
// of answer it may give. Whatever else happens is an error, which callers
// turn into a hold.
package policy

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// DefaultTimeout is how long one evaluation may take; the default policy
// takes milliseconds.
const DefaultTimeout = 5 * time.Second

// entryPoint is the rule that every policy defines.
const entryPoint = "data.assize.policy.verdict"

//go:embed *.rego
var rules embed.FS

// Policy is a compiled policy; it may be used by many goroutines at once.
type Policy struct {
	settings        Settings
	bundle          []byte
	query           rego.PreparedEvalQuery
	needsComponents bool
	expiries        []string
	// Timeout of one evaluation and Memory, in bytes, that it may take; set before
	// the first one.
	Timeout time.Duration
	Memory  uint64
}

// Input is what a policy sees as "input".
type Input struct {
	Artifact event.Artifact `json:"artifact"`
	// Evidence about this artifact, at most one of each kind.
	Evidence []event.Evidence `json:"evidence"`
	// Faults says why evidence of a kind that arrived cannot be relied on:
	// it is about other bytes (and then not in Evidence), or contradicts
	// itself (and then speaks only against the artifact).
	Faults map[event.Kind]string `json:"faults"`
	// Time is when the last of it came in: the policy's present.
	Time time.Time `json:"time"`
	// Settings for this artifact; Evaluate sets them.
	Settings *Settings `json:"settings,omitempty"`
	// Components of the artifact and the artifact itself, the first, if the
	// policy NeedsComponents; ComponentsFault says why they are not known.
	Components      []Component `json:"components,omitempty"`
	ComponentsFault string      `json:"componentsFault,omitempty"`
	// Manual is what a person decided, and ManualFault why that does not count;
	// Evaluate sets them.
	Manual      *ManualDecision `json:"manual,omitempty"`
	ManualFault string          `json:"manualFault,omitempty"`
}

// Component is what an SBOM says of a package.
type Component struct {
	PURL string `json:"purl"` // may be empty
	Name string `json:"name"`
	// Licenses that all have to be kept: SPDX expressions, and, in Named, what
	// the SBOM knows to be none.
	Licenses []string `json:"licenses"`
	Named    []string `json:"named,omitempty"`
}

// Default compiles the built-in rules with these settings.
func Default(ctx context.Context, s Settings) (*Policy, error) {
	return compile(ctx, s, builtIn())
}

// builtIn are the modules of the built-in rules, by name.
func builtIn() []module {
	var modules []module
	entries, err := rules.ReadDir(".")
	for _, e := range entries {
		var text []byte
		if text, err = rules.ReadFile(e.Name()); err != nil {
			break
		}
		modules = append(modules, module{Name: e.Name(), Source: string(text)})
	}
	if err != nil {
		panic("rules that were compiled in cannot be read: " + err.Error())
	}
	return modules
}

// Settings the policy was compiled with. The caller does not change them.
func (p *Policy) Settings() Settings { return p.settings }

// Bundle is the policy as canonical JSON: every module and the settings. Its
// SHA-256 is the policy's digest, so that storing it by content makes the
// digest in every decision lead to the rules that made it.
func (p *Policy) Bundle() []byte { return p.bundle }

// Name and digest of the policy, as decisions carry them.
func (p *Policy) Name() event.Policy {
	return event.Policy{Name: p.settings.Name, Digest: digest.Of(p.bundle)}
}

// Evaluate asks the policy. The same input always gets the same ruling. It
// fails if the rules fail, take longer than Timeout or more than Memory, or answer anything but
// one well-formed ruling; callers hold the artifact then, unless ctx ended.
func (p *Policy) Evaluate(ctx context.Context, in Input) (*Ruling, error) {
	limited, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	limited, release := limitMemory(limited, p.Memory)
	defer release()
	if len(p.settings.Rules) > 0 {
		settings, err := p.settings.For(&in.Artifact)
		if err != nil {
			return nil, fmt.Errorf("rules of policy %s: %w", p.settings.Name, err)
		}
		in.Settings = &settings
	}
	in.Manual, in.ManualFault = p.settings.Manual(&in.Artifact, in.Time)
	results, err := p.query.Eval(limited, rego.EvalInput(in))
	if cause := context.Cause(limited); errors.Is(cause, errMemory) {
		return nil, fmt.Errorf("evaluate policy %s: %w", p.settings.Name, cause)
	}
	if limited.Err() != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("evaluate policy %s: no answer within %s", p.settings.Name, p.Timeout)
	}
	if err != nil {
		return nil, fmt.Errorf("evaluate policy %s: %w", p.settings.Name, err)
	}
	ruling, err := readRuling(results)
	if err != nil {
		return nil, fmt.Errorf("answer of policy %s: %w", p.settings.Name, err)
	}
	p.holdUnanswered(ruling, in)
	ruling.order()
	return ruling, nil
}

// NeedsComponents tells whether rules may ask which packages an artifact
// contains.
func (p *Policy) NeedsComponents() bool { return p.needsComponents }

// Expiries are the days on which waivers end, those of rules included, sorted.
func (p *Policy) Expiries() []string { return p.expiries }

func (s *Settings) restricts() bool {
	return len(s.AllowedLicenses) > 0 || len(s.DeniedLicenses) > 0 || len(s.BannedPackages) > 0
}

// holdUnanswered keeps the promise that missing evidence is never a pass from
// resting on Rego that an operator wrote.
func (p *Policy) holdUnanswered(r *Ruling, in Input) {
	if r.Decision != event.Allow {
		return
	}
	answered := map[event.Kind]bool{}
	for _, e := range in.Evidence {
		answered[e.Kind] = e.Status == event.Complete || e.Status == event.NotApplicable
	}
	for _, kind := range p.settings.RequiredEvidence {
		if (!answered[kind] || in.Faults[kind] != "") && !in.Manual.overrules(kind) {
			r.Decision = event.Hold
			r.Reasons = append(r.Reasons, event.Reason{
				Rule: "policy/unanswered", Outcome: event.Hold, Evidence: kind,
				Message: fmt.Sprintf("the policy allows without an answer from the required %s evidence", kind),
			})
		}
	}
}

// module is one Rego file.
type module struct {
	Name   string `json:"name"`
	Source string `json:"source"`
}

func compile(ctx context.Context, s Settings, modules []module) (*Policy, error) {
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("settings of the policy: %w", err)
	}
	slices.SortFunc(modules, func(a, b module) int { return strings.Compare(a.Name, b.Name) })
	bundle, err := canonical(struct {
		Modules  []module `json:"modules"`
		Settings Settings `json:"settings"`
	}{modules, s})
	if err != nil {
		return nil, err
	}
	data, err := plain(s)
	if err != nil {
		return nil, err
	}
	return prepare(ctx, s, data, modules, bundle)
}

// prepare compiles modules that see data as their settings.
func prepare(ctx context.Context, s Settings, data any, modules []module, bundle []byte) (*Policy, error) {
	options := []func(*rego.Rego){
		rego.Query(entryPoint),
		rego.SetRegoVersion(ast.RegoV1),
		rego.Capabilities(capabilities()),
		rego.Strict(true),
		// A builtin that fails must not make a rule silently undefined.
		rego.StrictBuiltinErrors(true),
		rego.Data(map[string]any{"assize": map[string]any{"settings": data}}),
	}
	for _, m := range modules {
		options = append(options, rego.Module(m.Name, m.Source))
	}
	query, err := rego.New(options...).PrepareForEval(ctx)
	if err != nil {
		return nil, fmt.Errorf("compile policy: %w", err)
	}
	if !defines(query.Modules()) {
		return nil, fmt.Errorf("compile policy: no rule defines %s", entryPoint)
	}
	p := &Policy{settings: s, bundle: bundle, query: query, Timeout: DefaultTimeout, Memory: DefaultMemory}
	// The built-in rules look at components, if the settings restrict any.
	restricts := !slices.Equal(modules, builtIn())
	for _, variant := range s.variants() {
		restricts = restricts || variant.restricts()
		for _, w := range variant.Waivers {
			p.expiries = append(p.expiries, w.Expires)
		}
	}
	p.needsComponents = restricts && mentions(query.Modules(), "components")
	slices.Sort(p.expiries)
	p.expiries = slices.Compact(p.expiries)
	return p, nil
}

// mentions tells whether modules may read a key of the input: they name it, or
// take the input as a whole.
func mentions(modules map[string]*ast.Module, key string) bool {
	found := false
	for _, m := range modules {
		ast.WalkTerms(m, func(t *ast.Term) bool {
			switch v := t.Value.(type) {
			case ast.String:
				found = found || string(v) == key
			case ast.Ref:
				found = found || len(v) == 1 && v[0].Equal(ast.InputRootDocument)
				found = found || len(v) > 1 && v[0].Equal(ast.InputRootDocument) && !v[1].IsGround()
			}
			return found
		})
	}
	return found
}

// defines finds the entry point, whose absence would otherwise show as a hold
// of every artifact.
func defines(modules map[string]*ast.Module) bool {
	for _, m := range modules {
		for _, rule := range m.Rules {
			if rule.Ref().GroundPrefix().String() == entryPoint {
				return true
			}
		}
	}
	return false
}

// capabilities are OPA's without everything that could make the same input
// be judged differently or let a policy reach outside: network, clock,
// randomness, environment.
func capabilities() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	c.AllowNet = []string{} // not nil, which means any host
	c.Builtins = slices.DeleteFunc(c.Builtins, func(b *ast.Builtin) bool {
		return b.Nondeterministic || strings.HasPrefix(b.Name, "net.lookup") || slices.Contains([]string{
			"http.send", "opa.runtime", "time.now_ns", "rand.intn", "uuid.rfc4122",
			"io.jwt.decode_verify", // compares with the clock
		}, b.Name)
	})
	return c
}
