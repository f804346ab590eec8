package policy

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/types"
)

// Rules have two functions beside OPA's own. Both are pure.
func init() {
	// assize.packages_matching(purls, pattern, versions) has those of the package
	// URLs that are of a pattern, each with "yes" or, where its version cannot be
	// compared, "unknown"; see parsePattern. A pattern that is none is an error.
	rego.RegisterBuiltin3(&rego.Function{
		Name:        "assize.packages_matching",
		Description: "The package URLs of a list that are of a pattern, with yes, or with unknown where the version cannot be compared.",
		Decl: types.NewFunction(
			types.Args(types.NewArray(nil, types.S), types.S, types.S),
			types.NewObject(nil, types.NewDynamicProperty(types.S, types.S)),
		),
	}, func(_ rego.BuiltinContext, purls, pattern, versions *ast.Term) (*ast.Term, error) {
		list, ok := purls.Value.(*ast.Array)
		if !ok {
			return nil, errors.New("assize.packages_matching: want a list of package URLs")
		}
		p, err := patternOf(text(pattern), text(versions))
		if err != nil {
			return nil, fmt.Errorf("assize.packages_matching: %w", err)
		}
		var found [][2]*ast.Term
		list.Foreach(func(purl *ast.Term) {
			if answer := p.match(text(purl)); answer != differs {
				found = append(found, ast.Item(purl, ast.StringTerm(answer)))
			}
		})
		return ast.ObjectTerm(found...), nil
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

func patternOf(purl, versions string) (*packagePattern, error) {
	key := purl + "\n" + versions
	if p, ok := patterns.Load(key); ok {
		return p.(*packagePattern), nil
	}
	p, err := parsePattern(purl, versions)
	if err != nil {
		return nil, err
	}
	if kept.Add(1) <= maxPatterns {
		patterns.Store(key, &p)
	}
	return &p, nil
}
