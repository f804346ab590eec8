package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"assize.dev/shared/event"
)

// result is one artifact's verdict as --json prints it.
type result struct {
	Artifact string   `json:"artifact"`
	SHA256   string   `json:"sha256"` // hexadecimal
	Format   string   `json:"format"`
	PURL     string   `json:"purl,omitempty"`
	Run      string   `json:"run"`
	Decision string   `json:"decision"`
	Grade    string   `json:"grade"`
	Reasons  []reason `json:"reasons"`
	Verdict  string   `json:"verdict"` // path or key of the signed statement
	// Supersedes is the run whose verdict this one replaces, with what is
	// other than in that one.
	Supersedes string         `json:"supersedes,omitempty"`
	Changes    []event.Change `json:"changes,omitempty"`
}

type reason struct {
	Rule     string `json:"rule"`
	Message  string `json:"message"`
	Evidence string `json:"evidence,omitempty"`

	outcome event.Outcome
}

func resultOf(artifact string, v *event.Verdict, path func(key string) string) result {
	r := result{
		Artifact: artifact, SHA256: v.Artifact.Hex(), Format: v.Format, PURL: v.PURL, Run: v.Run,
		Decision: string(v.Decision), Grade: string(v.Grade), Reasons: []reason{},
		Supersedes: v.Supersedes, Changes: v.Changes,
	}
	for _, x := range v.Reasons {
		r.Reasons = append(r.Reasons, reason{x.Rule, x.Message, string(x.Evidence), x.Outcome})
	}
	for _, d := range v.Documents {
		if d.Name == verdictFile {
			r.Verdict = path(d.Key)
		}
	}
	return r
}

// verdictFile is the signed statement that every verdict has.
const verdictFile = "verdict.dsse.json"

// exitCode of a decision.
func exitCode(o event.Outcome) int {
	switch o {
	case event.Allow:
		return exitPass
	case event.Deny:
		return exitFail
	}
	return exitUndetermined
}

// printer shows results to a person or a machine.
type printer struct {
	out    io.Writer
	json   bool
	colour bool
}

func (g *globals) printer() printer {
	return printer{out: g.stdout, json: g.JSON, colour: isTerminal(g.stdout) && os.Getenv("NO_COLOR") == ""}
}

func (p printer) print(r result) error {
	if p.json {
		return json.NewEncoder(p.out).Encode(r)
	}
	mark, tint := "?", yellow
	switch event.Outcome(r.Decision) {
	case event.Allow:
		mark, tint = "✓", green
	case event.Deny:
		mark, tint = "✗", red
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", p.tinted(tint, mark+" "+strings.ToUpper(printable(r.Decision))), p.tinted(bold, printable(r.Artifact)))
	name := r.PURL
	if name == "" {
		name = "no package identity"
	}
	fmt.Fprintf(&b, "    grade %s · %s · %s\n", printable(r.Grade), printable(r.Format), printable(name))
	for _, x := range r.Reasons {
		tint := dim
		switch x.outcome {
		case event.Deny:
			tint = red
		case event.Hold:
			tint = yellow
		}
		fmt.Fprintf(&b, "    %s %s\n", p.tinted(tint, "• "+printable(x.Rule)+" "), printable(x.Message))
	}
	for _, c := range r.Changes {
		fmt.Fprintf(&b, "    %s %s\n", p.tinted(dim, "changed"), printable(changed(c)))
	}
	fmt.Fprintf(&b, "    sha256  %s\n    verdict %s\n", r.SHA256, printable(r.Verdict))
	_, err := io.WriteString(p.out, b.String())
	return err
}

// changed says a change in words.
func changed(c event.Change) string {
	what := strings.TrimSpace(c.What + " " + c.Subject)
	switch {
	case c.What == "more":
		return c.Subject
	case c.From == "":
		return what + " is new: " + c.To
	case c.To == "":
		return what + " is gone"
	}
	return what + ": " + c.From + " became " + c.To
}

// The few colours, as SGR parameters (ECMA-48 section 8.3.117).
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (p printer) tinted(sgr, s string) string {
	if !p.colour {
		return s
	}
	return "\x1b[" + sgr + "m" + s + "\x1b[0m"
}

// printable keeps text that comes from packages from driving the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F || (r >= 0x80 && r < 0xA0) || (r >= 0x202A && r <= 0x202E) || (r >= 0x2066 && r <= 0x2069) {
			return '\uFFFD'
		}
		return r
	}, s)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}
