package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"assize.dev/services/verdict"
	"assize.dev/shared/event"
)

type policyCmd struct {
	Show policyShowCmd `cmd:"" help:"Show the settings in effect."`
	Eval policyEvalCmd `cmd:"" help:"Decide on stored evidence by a policy, without any effect."`
}

type policyShowCmd struct {
	Policy string `help:"Policy: a YAML file with settings, a Rego module, or a directory of modules; the built-in one by default." env:"ASSIZE_POLICY" placeholder:"FILE" type:"path"`
}

func (policyShowCmd) Help() string {
	return `A policy that cannot be read, with a key that is unknown or a rule that does
not compile, is an error here as it is for the service, which then refuses to
start.

Examples:
  assize policy show
  assize policy show --policy policy.yaml
  assize policy show --json | jq .settings.minimum_grade`
}

func (c *policyShowCmd) Run(ctx context.Context, g *globals) error {
	p, err := verdict.LoadPolicy(ctx, c.Policy)
	if err != nil {
		return err
	}
	name, settings := p.Name(), p.Settings()
	if g.JSON {
		return json.NewEncoder(g.stdout).Encode(struct {
			event.Policy
			Settings any `json:"settings"`
		}{name, settings})
	}
	_, err = fmt.Fprintf(g.stdout, `# %s
name: %s
minimum_grade: %s
required_evidence: %q
vulnerability_severity: %s
content_severity: %s
secret_severity: %s
secret_confidence: %s
unevaluated_severity: %s
`, name.Digest, settings.Name, settings.MinimumGrade, settings.RequiredEvidence, settings.VulnerabilitySeverity,
		settings.ContentSeverity, settings.SecretSeverity, settings.SecretConfidence, settings.UnevaluatedSeverity)
	return err
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
	d, err := record.Decide(ctx, p)
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
