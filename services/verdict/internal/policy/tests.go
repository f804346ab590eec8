package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
)

// TestResult is what became of one rule test_… of a *_test.rego file.
type TestResult struct {
	Name    string // package and rule
	Passed  bool
	Skipped bool   // todo_test_…
	Problem string // why it failed, if the rule itself broke
}

// RunTests runs the tests of the *_test.rego files in a directory against the
// policy's rules, as "opa test" does, with the built-ins that the policy has.
func (p *Policy) RunTests(ctx context.Context, dir string) ([]TestResult, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.rego"))
	if err != nil || len(files) == 0 {
		return nil, err
	}
	var own struct {
		Modules []module `json:"modules"`
	}
	if err := json.Unmarshal(p.bundle, &own); err != nil {
		return nil, fmt.Errorf("policy bundle: %w", err)
	}
	for _, file := range files {
		m, err := readModule(file)
		if err != nil {
			return nil, err
		}
		own.Modules = append(own.Modules, m)
	}
	modules := map[string]*ast.Module{}
	for _, m := range own.Modules {
		if modules[m.Name], err = ast.ParseModuleWithOpts(m.Name, m.Source, ast.ParserOptions{RegoVersion: ast.RegoV1}); err != nil {
			return nil, fmt.Errorf("%s: %w", m.Name, err)
		}
	}
	settings, err := plain(p.settings)
	if err != nil {
		return nil, err
	}
	store := inmem.NewFromObject(map[string]any{"assize": map[string]any{"settings": settings}})
	txn, err := store.NewTransaction(ctx, storage.WriteParams)
	if err != nil {
		return nil, err
	}
	defer store.Abort(ctx, txn)
	channel, err := tester.NewRunner().
		SetCompiler(ast.NewCompiler().WithCapabilities(capabilities()).WithStrict(true).WithDefaultRegoVersion(ast.RegoV1)).
		SetDefaultRegoVersion(ast.RegoV1).SetStore(store).SetModules(modules).RaiseBuiltinErrors(true).
		SetTimeout(p.Timeout).RunTests(ctx, txn)
	if err != nil {
		return nil, err
	}
	var results []TestResult
	for r := range channel {
		result := TestResult{Name: strings.TrimPrefix(r.Package, "data.") + "." + r.Name, Passed: r.Pass(), Skipped: r.Skip}
		if r.Error != nil {
			result.Problem = sentence(r.Error.Error(), maxMessage)
		}
		results = append(results, result)
	}
	slices.SortFunc(results, func(a, b TestResult) int { return strings.Compare(a.Name, b.Name) })
	return results, ctx.Err()
}
