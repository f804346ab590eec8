package verdict

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"assize.dev/shared/config"
	"assize.dev/shared/event"
)

// PolicyCase is an example that a policy is held against: a record, and what
// the policy should say of it. In the file it is YAML:
//
//	evidence: leaky.evidence.json   # a record, beside this file
//	decision: deny
//	grade: risk
//	reasons:                        # rules that must speak, with part of what they say
//	  secret/live: github_token
//	silent: [grade/minimum]         # rules that must not
type PolicyCase struct {
	Evidence string            `yaml:"evidence"`
	Decision event.Outcome     `yaml:"decision"`
	Grade    event.Grade       `yaml:"grade"`
	Reasons  map[string]string `yaml:"reasons"`
	Silent   []string          `yaml:"silent"`
}

// CaseSuffix is how the files of cases end.
const CaseSuffix = ".case.yaml"

// PolicyTest is what became of one case, or of one test in Rego.
type PolicyTest struct {
	Name    string `json:"name"`
	Result  string `json:"result"` // passed, failed or skipped
	Problem string `json:"problem,omitempty"`
}

// Results of a policy's tests.
const (
	TestPassed  = "passed"
	TestFailed  = "failed"
	TestSkipped = "skipped"
)

const maxCase = 64 << 10 // bytes of YAML

// TestPolicy holds a policy against the cases (*.case.yaml) of a directory, and
// runs its tests in Rego (*_test.rego). A case that cannot be read fails; a
// directory without either is an error.
func TestPolicy(ctx context.Context, p *Policy, dir string) ([]PolicyTest, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"+CaseSuffix))
	if err != nil {
		return nil, err
	}
	var tests []PolicyTest
	for _, file := range files {
		t := PolicyTest{Name: filepath.Base(file), Result: TestPassed}
		if err := testCase(ctx, p, file); err != nil {
			t.Result, t.Problem = TestFailed, err.Error()
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		tests = append(tests, t)
	}
	results, err := p.RunTests(ctx, dir)
	if err != nil {
		return nil, err
	}
	for _, r := range results {
		t := PolicyTest{Name: r.Name, Result: TestFailed, Problem: r.Problem}
		switch {
		case r.Skipped:
			t.Result = TestSkipped
		case r.Passed:
			t.Result = TestPassed
		}
		tests = append(tests, t)
	}
	if len(tests) == 0 {
		return nil, fmt.Errorf("%s holds neither *%s nor *_test.rego", dir, CaseSuffix)
	}
	return tests, nil
}

func testCase(ctx context.Context, p *Policy, file string) error {
	text, err := readUpTo(file, maxCase)
	if err != nil {
		return err
	}
	var c PolicyCase
	if err := config.ParseYAML(text, &c); err != nil {
		return err
	}
	if c.Evidence == "" || !filepath.IsLocal(c.Evidence) {
		return fmt.Errorf("evidence: %.100q: want the name of a record beside the case", c.Evidence)
	}
	if text, err = readUpTo(filepath.Join(filepath.Dir(file), c.Evidence), MaxRecord); err != nil {
		return err
	}
	record, err := ParseRecord(text)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Evidence, err)
	}
	d, err := record.Decide(ctx, nil, p)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Evidence, err)
	}
	return c.holds(&d)
}

// holds says in what the decision is other than the case wants.
func (c *PolicyCase) holds(d *event.Decision) error {
	var errs []error
	if c.Decision == "" && c.Grade == "" && len(c.Reasons) == 0 && len(c.Silent) == 0 {
		errs = append(errs, errors.New("the case asks for nothing: want decision, grade, reasons or silent"))
	}
	if c.Decision != "" && d.Decision != c.Decision {
		errs = append(errs, fmt.Errorf("the decision is %s, not %s", d.Decision, c.Decision))
	}
	if c.Grade != "" && d.Grade != c.Grade {
		errs = append(errs, fmt.Errorf("the grade is %s, not %s", d.Grade, c.Grade))
	}
	said := map[string][]string{}
	for _, r := range d.Reasons {
		said[r.Rule] = append(said[r.Rule], r.Message)
	}
	for rule, part := range c.Reasons {
		if !slices.ContainsFunc(said[rule], func(message string) bool { return strings.Contains(message, part) }) {
			errs = append(errs, fmt.Errorf("%s does not say %q, but %q", rule, part, said[rule]))
		}
	}
	for _, rule := range c.Silent {
		if messages, spoke := said[rule]; spoke {
			errs = append(errs, fmt.Errorf("%s speaks: %q", rule, messages))
		}
	}
	return errors.Join(errs...)
}

func readUpTo(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", filepath.Base(file), limit)
	}
	return text, err
}
