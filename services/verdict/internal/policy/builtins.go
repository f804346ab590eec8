package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/types"
)

// Rules have two functions beside OPA's own. Both are pure.
func init() {
	// assize.packages_matching(purls, patterns) has, for each of the patterns, an
	// object {"package": …, "versions": …}, those of the package URLs that are
	// of it, each with "yes" or, where its version cannot be compared,
	// "unknown"; see parsePattern. A pattern that is none is an error.
	pattern := types.NewObject([]*types.StaticProperty{
		types.NewStaticProperty("package", types.S), types.NewStaticProperty("versions", types.S),
	}, types.NewDynamicProperty(types.S, types.A))
	rego.RegisterBuiltin2(&rego.Function{
		Name:        "assize.packages_matching",
		Description: "For each pattern the package URLs that are of it, with yes, or with unknown where the version cannot be compared.",
		Decl: types.NewFunction(
			types.Args(types.NewArray(nil, types.S), types.NewArray(nil, pattern)),
			types.NewArray(nil, types.NewObject(nil, types.NewDynamicProperty(types.S, types.S))),
		),
	}, packagesMatching)
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

func packagesMatching(bc rego.BuiltinContext, purls, patterns *ast.Term) (*ast.Term, error) {
	list, isList := purls.Value.(*ast.Array)
	wanted, also := patterns.Value.(*ast.Array)
	if !isList || !also {
		return nil, errors.New("assize.packages_matching: want a list of package URLs and one of patterns")
	}
	// By type and name, as most patterns name one package.
	type held struct {
		candidate
		term *ast.Term
	}
	byType, byName := map[string][]*held{}, map[string][]*held{}
	list.Foreach(func(t *ast.Term) {
		if c, ok := newCandidate(text(t)); ok {
			p := &held{c, t}
			byType[c.Type] = append(byType[c.Type], p)
			byName[c.Type+"/"+c.name] = append(byName[c.Type+"/"+c.name], p)
		}
	})
	answers := make([]*ast.Term, 0, wanted.Len())
	for i := range wanted.Len() {
		if bc.Cancel != nil && bc.Cancel.Cancelled() {
			return nil, context.Canceled
		}
		p, err := parsePattern(text(wanted.Elem(i).Get(ast.StringTerm("package"))), text(wanted.Elem(i).Get(ast.StringTerm("versions"))))
		if err != nil {
			return nil, fmt.Errorf("assize.packages_matching: %w", err)
		}
		some := byName[p.typ+"/"+p.name]
		if strings.Contains(p.name, "*") {
			some = byType[p.typ]
		}
		var found [][2]*ast.Term
		for _, one := range some {
			if answer := p.match(&one.candidate); answer != differs {
				found = append(found, ast.Item(one.term, ast.StringTerm(answer)))
			}
		}
		answers = append(answers, ast.ObjectTerm(found...))
	}
	return ast.ArrayTerm(answers...), nil
}

func text(t *ast.Term) string {
	if t == nil {
		return ""
	}
	s, _ := t.Value.(ast.String)
	return string(s)
}
