package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"assize.dev/services/verdict"
	"assize.dev/shared/event"
)

type policyCmd struct {
	Show policyShowCmd `cmd:"" help:"Show the settings in effect."`
	Test policyTestCmd `cmd:"" help:"Hold a policy against examples, and run its tests in Rego."`
	Eval policyEvalCmd `cmd:"" help:"Decide on stored evidence by a policy, without any effect."`
	Diff policyDiffCmd `cmd:"" help:"Say which past verdicts would be others by a policy, and why."`
}

type policyShowCmd struct {
	For    string `help:"Show what is in effect for an artifact: its digest (sha256:...), or the run of a verdict about it." placeholder:"DIGEST|RUN"`
	Policy string `help:"Policy: a YAML file with settings, a Rego module, or a directory of modules; the built-in one by default." env:"ASSIZE_POLICY" placeholder:"FILE" type:"path"`
}

func (policyShowCmd) Help() string {
	return `A policy that cannot be read, with a key that is unknown or a rule that does
not compile, is an error here as it is for the service, which then refuses to
start.

Examples:
  assize policy show
  assize policy show --policy policy.yaml
  assize policy show --for sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  assize policy show --json | jq .settings.minimum_grade`
}

func (c *policyShowCmd) Run(ctx context.Context, g *globals) error {
	p, err := verdict.LoadPolicy(ctx, c.Policy)
	if err != nil {
		return err
	}
	name, settings := p.Name(), p.Settings()
	if c.For != "" {
		store, found, err := (&whichVerdict{c.For}).find(ctx, g)
		if err != nil {
			return err
		}
		last, err := verdict.Last(found)
		if err != nil {
			return err
		}
		record, err := verdict.RecordOf(ctx, store, last.Record.Key, last.Record.Digest)
		if err != nil {
			return err
		}
		judged, err := record.Case()
		if err != nil {
			return err
		}
		if settings, err = settings.For(&judged.Artifact); err != nil {
			return err
		}
	}
	if g.JSON {
		return json.NewEncoder(g.stdout).Encode(struct {
			event.Policy
			Settings any `json:"settings"`
		}{name, settings})
	}
	text, err := settings.YAML()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(g.stdout, "# %s\n%s", name.Digest, text)
	return err
}

type policyTestCmd struct {
	Dir    string `arg:"" help:"Directory with cases (*.case.yaml), the records they name, and tests in Rego (*_test.rego)." type:"existingdir"`
	Policy string `help:"Policy: a YAML file with settings, a Rego module, or a directory of modules; the built-in one by default." env:"ASSIZE_POLICY" placeholder:"FILE" type:"path"`
}

func (policyTestCmd) Help() string {
	return `A case names a record, the evidence.json of a verdict, and what the policy
should say of it; what is left out is not asked:

  evidence: leaky.evidence.json
  decision: deny
  grade: risk
  reasons:
    secret/live: github_token    # a rule, and part of what it says
  silent: [grade/minimum]        # rules that must not speak

Exit codes: 0 all pass, 1 one fails, 3 error.

Examples:
  assize policy test --policy policy.yaml .
  assize policy test --json . | jq -r 'select(.result=="failed").name'`
}

func (c *policyTestCmd) Run(ctx context.Context, g *globals) error {
	p, err := verdict.LoadPolicy(ctx, c.Policy)
	if err != nil {
		return err
	}
	tests, err := verdict.TestPolicy(ctx, p, c.Dir)
	if err != nil {
		return err
	}
	failed := 0
	for _, t := range tests {
		if t.Result == verdict.TestFailed {
			failed++
		}
		if g.JSON {
			err = json.NewEncoder(g.stdout).Encode(t)
		} else {
			mark := map[string]string{verdict.TestPassed: "✓", verdict.TestFailed: "✗", verdict.TestSkipped: "-"}[t.Result]
			_, err = fmt.Fprintf(g.stdout, "%s %s\n", mark, printable(t.Name))
			for line := range strings.Lines(t.Problem) {
				if err == nil {
					_, err = fmt.Fprintf(g.stdout, "    %s\n", printable(strings.TrimSuffix(line, "\n")))
				}
			}
		}
		if err != nil {
			return err
		}
	}
	if !g.JSON {
		if _, err := fmt.Fprintf(g.stdout, "%d of %d pass\n", len(tests)-failed, len(tests)); err != nil {
			return err
		}
	}
	if failed > 0 {
		return status(exitFail)
	}
	return nil
}

type policyEvalCmd struct {
	Evidence string `help:"Record of a verdict (evidence.json); - is standard input." required:"" placeholder:"FILE" type:"path"`
	Policy   string `help:"Policy: a YAML file with settings, a Rego module, or a directory of modules; the built-in one by default." env:"ASSIZE_POLICY" placeholder:"FILE" type:"path"`
}

func (policyEvalCmd) Help() string {
	return `What a policy would say of an artifact that was examined before, for instance
before it is switched on. Records lie beside the verdicts in the store.

Exit codes: 0 allow, 1 deny, 2 hold, 3 error.

Examples:
  assize policy eval --policy stricter.yaml --evidence evidence.json
  assize policy eval --json --evidence evidence.json | jq .reasons`
}

func (c *policyEvalCmd) Run(ctx context.Context, g *globals) error {
	p, err := verdict.LoadPolicy(ctx, c.Policy)
	if err != nil {
		return err
	}
	in := io.Reader(os.Stdin)
	if c.Evidence != "-" {
		f, _, err := openFile(c.Evidence)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Evidence, err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, verdict.MaxRecord+1))
	if err != nil {
		return fmt.Errorf("%s: %w", c.Evidence, err)
	}
	record, err := verdict.ParseRecord(text)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Evidence, err)
	}
	d, err := record.Decide(ctx, nil, p)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Evidence, err)
	}
	if g.JSON {
		err = json.NewEncoder(g.stdout).Encode(d)
	} else {
		_, err = fmt.Fprintf(g.stdout, "%s, grade %s\n", d.Decision, d.Grade)
		for _, r := range d.Reasons {
			if err == nil {
				_, err = fmt.Fprintf(g.stdout, "  %-5s %s: %s\n", r.Outcome, printable(r.Rule), printable(r.Message))
			}
		}
	}
	if err != nil {
		return err
	}
	if code := exitCode(d.Decision); code != exitPass {
		return status(code)
	}
	return nil
}
