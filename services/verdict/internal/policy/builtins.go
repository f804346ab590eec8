package policy

import (
	"sync"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/types"
)

// Rules have two functions beside OPA's own. Both are pure.
func init() {
	// assize.package_matches(purl, pattern, versions) is "yes", "no" or, where
	// the version cannot be compared or the pattern is none, "unknown"; see
	// parsePattern.
	rego.RegisterBuiltin3(&rego.Function{
		Name:        "assize.package_matches",
		Description: "Whether a package URL is one of a pattern: yes, no or unknown.",
		Decl:        types.NewFunction(types.Args(types.S, types.S, types.S), types.S),
	}, func(_ rego.BuiltinContext, purl, pattern, versions *ast.Term) (*ast.Term, error) {
		p, ok := patternOf(text(pattern), text(versions))
		if !ok {
			return ast.StringTerm(unlikely), nil
		}
		return ast.StringTerm(p.match(text(purl))), nil
	})
	// assize.license_choices(expression) is what an SPDX expression leaves to
	// choose from, [["MIT"], ["Apache-2.0", "BSD-3-Clause"]]; it is empty where
	// the text is no expression.
	rego.RegisterBuiltin1(&rego.Function{
		Name:        "assize.license_choices",
		Description: "The alternatives of an SPDX licence expression, each a list of licences; none if it cannot be read.",
		Decl:        types.NewFunction(types.Args(types.S), types.NewArray(nil, types.NewArray(nil, types.S))),
	}, func(_ rego.BuiltinContext, expression *ast.Term) (*ast.Term, error) {
		choices, err := alternatives(text(expression))
		if err != nil {
			return ast.ArrayTerm(), nil
		}
		var all []*ast.Term
		for _, choice := range choices {
			var ids []*ast.Term
			for _, id := range choice {
				ids = append(ids, ast.StringTerm(id))
			}
			all = append(all, ast.ArrayTerm(ids...))
		}
		return ast.ArrayTerm(all...), nil
	})
}

func text(t *ast.Term) string {
	s, _ := t.Value.(ast.String)
	return string(s)
}

// patterns that were read, by their text: settings name few, and each is held
// against every component. Rules can make others of what they see, so only the
// first are kept.
var (
	patterns sync.Map
	kept     atomic.Int64
)

const maxPatterns = 10_000

func patternOf(purl, versions string) (*packagePattern, bool) {
	key := purl + "\n" + versions
	if p, ok := patterns.Load(key); ok {
		return p.(*packagePattern), true
	}
	p, err := parsePattern(purl, versions)
	if err != nil {
		return nil, false
	}
	if kept.Add(1) <= maxPatterns {
		patterns.Store(key, &p)
	}
	return &p, true
}
