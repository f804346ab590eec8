package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"assize.dev/services/sign"
	"assize.dev/services/verdict"
	"assize.dev/shared/blob"
	"assize.dev/shared/event"
)

type verdictCmd struct {
	Show    verdictShowCmd    `cmd:"" help:"Show the verdicts about an artifact, or the one of a run."`
	Explain verdictExplainCmd `cmd:"" help:"Show what a verdict rests on: rules, evidence, policy, and what it replaced."`
	Replay  verdictReplayCmd  `cmd:"" help:"Make the decision again from the stored evidence, and compare with what was signed."`
	Ask     verdictAskCmd     `cmd:"" help:"Have an upload examined once more."`
	Decide  verdictDecideCmd  `cmd:"" help:"Decide by hand about an upload that is held."`
}

// whichVerdict is what these commands are given.
type whichVerdict struct {
	What string `arg:"" help:"Digest of an artifact (sha256:...), or a run." placeholder:"DIGEST|RUN"`
}

// find gives the verdicts that are meant, oldest first.
func (w *whichVerdict) find(ctx context.Context, g *globals) (blob.Store, []verdict.Stored, error) {
	store, err := g.openStore(ctx)
	if err != nil {
		return nil, nil, err
	}
	found, err := verdict.Find(ctx, store, w.What)
	return store, found, err
}

type verdictShowCmd struct{ whichVerdict }

func (verdictShowCmd) Help() string {
	return `All verdicts about an artifact, the newest last; each is verified as
verify-verdict does, by the key set in the data directory. The exit code is
about the signatures, not about the decisions.

Exit codes: 0 all are valid; 1 one is not; 2 no key says whether it is; 3 error.

Examples:
  assize verdict show sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  assize verdict show --json 01a218e0-1004-78e4-bb24-f6248a39af12 | jq .decision`
}

func (c *verdictShowCmd) Run(ctx context.Context, g *globals) error {
	_, found, err := c.find(ctx, g)
	if err != nil {
		return err
	}
	verify, err := (&verifyVerdictCmd{}).verifier(g)
	if err != nil {
		return err
	}
	worst := exitPass
	for _, s := range found {
		r := judgeVerdict(verify, s.Envelope, s.Artifact)
		r.Verdict = "run " + s.Run
		if err := r.print(g.printer()); err != nil {
			return err
		}
		worst = worse(worst, map[string]int{resultValid: exitPass, resultInvalid: exitFail, resultUnknown: exitUndetermined}[r.Result])
	}
	if worst != exitPass {
		return status(worst)
	}
	return nil
}

type verdictExplainCmd struct{ whichVerdict }

func (verdictExplainCmd) Help() string {
	return `Of an artifact it is the newest verdict that is explained. Who signed it is for
assize verdict show.

Examples:
  assize verdict explain sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`
}

func (c *verdictExplainCmd) Run(ctx context.Context, g *globals) error {
	store, found, err := c.find(ctx, g)
	if err != nil {
		return err
	}
	last := found[len(found)-1]
	s, _, err := sign.ReadVerdict(last.Envelope)
	if err != nil {
		return err
	}
	p, err := s.Verdict()
	if err != nil {
		return err
	}
	if g.JSON {
		return json.NewEncoder(g.stdout).Encode(p)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s, grade %s\n  %s %s, run %s, %s\n", strings.ToUpper(string(p.Decision)), p.Grade,
		printable(p.Registry), printable(p.Artifact.Filename), last.Run, p.Time.Format(time.RFC3339))
	if p.Supersedes != "" {
		fmt.Fprintf(&b, "  in place of run %s\n", printable(p.Supersedes))
	}
	for _, change := range p.Changes {
		fmt.Fprintf(&b, "  changed: %s %s: %s → %s\n", printable(change.What), printable(change.Subject), or(change.From, "none"), or(change.To, "none"))
	}
	b.WriteString("\nrules that spoke\n")
	digests := map[event.Kind]string{}
	for _, e := range p.Evidence {
		digests[e.Kind] = string(e.Digest)
	}
	for _, r := range p.Reasons {
		fmt.Fprintf(&b, "  %-5s %s\n        %s\n", r.Outcome, printable(r.Rule), printable(r.Message))
		if d := digests[r.Evidence]; d != "" {
			fmt.Fprintf(&b, "        by the %s evidence %s\n", r.Evidence, d)
		}
	}
	b.WriteString("\nevidence\n")
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	record, missing := verdict.RecordOf(ctx, store, p.Record.Key, p.Record.Digest)
	reused := map[event.Kind]bool{}
	if record != nil {
		for _, f := range record.Evidence {
			reused[f.Kind] = f.Reused
		}
	}
	for _, e := range p.Evidence {
		from := ""
		if reused[e.Kind] {
			from = "of an earlier run"
		}
		fmt.Fprintf(table, "  %s\t%s\t%s %s\t%.19s\t%s\n", e.Kind, e.Status, printable(e.Producer.Name), printable(e.Producer.Version), e.Digest, from)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(&b, "\npolicy %s, %s\nrecord %s, %s\n", printable(p.Policy.Name), p.Policy.Digest, p.Record.Key, p.Record.Digest)
	if missing != nil {
		fmt.Fprintf(&b, "       %v\n", missing)
	}
	_, err = g.stdout.Write([]byte(b.String()))
	return err
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return printable(s)
}

type verdictReplayCmd struct{ whichVerdict }

func (verdictReplayCmd) Help() string {
	return `Reads the record and the policy that the verdict names, both by digest, lets
the policy decide again, and compares the statement that follows with the
signed one, byte for byte. Of an artifact all verdicts are replayed.

Exit codes: 0 the same statement follows; 1 another does; 2 the record or the
policy is not there any more, or not what it was; 3 error.

Examples:
  assize verdict replay 01a218e0-1004-78e4-bb24-f6248a39af12
  assize verdict replay --json sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`
}

// replayed is what --json prints of one verdict.
type replayed struct {
	Run       string        `json:"run"`
	Result    string        `json:"result"` // identical, different or unknown
	Problem   string        `json:"problem,omitempty"`
	Signed    event.Outcome `json:"signed,omitempty"`
	Decision  event.Outcome `json:"decision,omitempty"` // that follows now
	Grade     event.Grade   `json:"grade,omitempty"`
	Policy    string        `json:"policy,omitempty"`
	Evidence  int           `json:"evidence"`
	signedFor event.Grade
}

func (c *verdictReplayCmd) Run(ctx context.Context, g *globals) error {
	store, found, err := c.find(ctx, g)
	if err != nil {
		return err
	}
	worst := exitPass
	replayer := verdict.NewReplayer(store)
	for _, s := range found {
		r, err := replay(ctx, store, replayer, s)
		if err != nil {
			return err
		}
		if err := r.print(g); err != nil {
			return err
		}
		worst = worse(worst, map[string]int{"identical": exitPass, "different": exitFail, "unknown": exitUndetermined}[r.Result])
	}
	if worst != exitPass {
		return status(worst)
	}
	return nil
}

func replay(ctx context.Context, store blob.Store, replayer *verdict.Replayer, s verdict.Stored) (*replayed, error) {
	r := &replayed{Run: s.Run, Result: "unknown"}
	statement, _, err := sign.ReadVerdict(s.Envelope)
	if err != nil {
		return nil, err
	}
	p, err := statement.Verdict()
	if err != nil {
		return nil, err
	}
	r.Signed, r.signedFor, r.Policy, r.Evidence = p.Decision, p.Grade, string(p.Policy.Digest), len(p.Evidence)
	record, err := verdict.RecordOf(ctx, store, p.Record.Key, p.Record.Digest)
	var d event.Decision
	if err == nil {
		d, err = replayer.Replay(ctx, p.Record.Key, record)
	}
	if errors.Is(err, verdict.ErrCannotReplay) {
		r.Problem = err.Error()
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	same, err := sign.Restates(s.Envelope, d)
	if err != nil {
		return nil, err
	}
	r.Result, r.Decision, r.Grade = "different", d.Decision, d.Grade
	if same {
		r.Result = "identical"
	}
	return r, nil
}

func (r *replayed) print(g *globals) error {
	if g.JSON {
		return json.NewEncoder(g.stdout).Encode(r)
	}
	var err error
	switch r.Result {
	case "identical":
		_, err = fmt.Fprintf(g.stdout, "✓ run %s: %s, grade %s follows from %d pieces of stored evidence by policy %.19s, and the statement is the signed one, byte for byte\n",
			r.Run, r.Decision, r.Grade, r.Evidence, r.Policy)
	case "different":
		_, err = fmt.Fprintf(g.stdout, "✗ run %s: %s, grade %s was signed, but %s, grade %s follows from the stored evidence, or with other words\n", r.Run, r.Signed, r.signedFor, r.Decision, r.Grade)
	default:
		_, err = fmt.Fprintf(g.stdout, "? run %s: %s\n", r.Run, printable(r.Problem))
	}
	return err
}
