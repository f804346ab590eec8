package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"assize.dev/services/scan"
	"assize.dev/shared/event"
)

// packageAnswer is what is printed for each line of --packages.
type packageAnswer struct {
	Ecosystem  string           `json:"ecosystem"`
	Package    string           `json:"package"`
	Version    string           `json:"version"`
	Status     string           `json:"status"` // evaluated or not_evaluated
	Reason     string           `json:"reason,omitempty"`
	Advisories []packageFinding `json:"advisories"`
}

type packageFinding struct {
	ID       string         `json:"id"`
	Aliases  []string       `json:"aliases"`
	Severity event.Severity `json:"severity"`
	Score    float64        `json:"score"`
	Fixed    []string       `json:"fixed"`
	KEV      string         `json:"kev"`  // day on which CISA listed it, "" if it did not
	EPSS     float64        `json:"epss"` // 0 if unknown
	Class    event.Class    `json:"class"`
	VEX      *event.VEX     `json:"vex,omitempty"`
}

// maxLine is the length of the longest line of --packages, in bytes.
const maxLine = 64 << 10

// packages answers line by line.
func (c *scanCmd) packages(ctx context.Context, g *globals, a *scan.Advisories) error {
	in, err := packagesInput(c.Packages)
	if err != nil {
		return fmt.Errorf("--packages %s: %w", c.Packages, err)
	}
	defer in.Close()
	_, judge, done, err := a.Judge("")
	if err != nil {
		return err
	}
	defer done()
	out := bufio.NewWriterSize(g.stdout, 64<<10)
	answers := json.NewEncoder(out)
	answers.SetEscapeHTML(false)
	lines := bufio.NewReaderSize(in, maxLine)
	failing, open, failOn := 0, 0, event.Severity(c.FailOn).Rank()
	for n := 1; ; n++ {
		line, err := readLine(lines)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("--packages %s: line %d: %w", c.Packages, n, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		answer := answerLine(line, err, judge)
		if answer.Status == notEvaluatedStatus {
			open++
		}
		for i := range answer.Advisories {
			f := &answer.Advisories[i]
			if counts(&event.Finding{Class: f.Class, Severity: f.Severity, VEX: f.VEX}, failOn) {
				failing++
			}
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
		if c.Packages == "-" && lines.Buffered() == 0 { // whoever asks waits for the answer
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	switch {
	case failing > 0:
		return status(exitFail)
	case open > 0:
		return status(exitUndetermined)
	}
	return nil
}

// readLine gives a line without its end. bufio.ErrBufferFull says that it was
// too long and has been passed over.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	for tooLong := err; errors.Is(tooLong, bufio.ErrBufferFull); {
		if _, tooLong = r.ReadSlice('\n'); tooLong != nil && !errors.Is(tooLong, bufio.ErrBufferFull) && !errors.Is(tooLong, io.EOF) {
			return nil, tooLong
		}
	}
	if errors.Is(err, io.EOF) && len(line) > 0 {
		err = nil
	}
	return line, err
}

const (
	evaluatedStatus    = "evaluated"
	notEvaluatedStatus = "not_evaluated"
)

func answerLine(line []byte, unread error, judge func(ecosystem, name, version string) scan.Judged) *packageAnswer {
	answer := &packageAnswer{Status: notEvaluatedStatus, Advisories: []packageFinding{}}
	if unread != nil {
		answer.Reason = fmt.Sprintf("the line has more than %d bytes", maxLine)
		return answer
	}
	var asked struct {
		Ecosystem string `json:"ecosystem"`
		Package   string `json:"package"`
		Version   string `json:"version"`
	}
	if err := json.Unmarshal(line, &asked); err != nil {
		answer.Reason = fmt.Sprintf("the line is no JSON object with ecosystem, package and version: %v", err)
		return answer
	}
	answer.Ecosystem, answer.Package, answer.Version = asked.Ecosystem, asked.Package, asked.Version
	j := judge(asked.Ecosystem, asked.Package, asked.Version)
	answer.Reason = notEvaluated(&j)
	if answer.Reason == "" || len(j.Findings) > 0 {
		answer.Status = evaluatedStatus
	}
	for i := range j.Findings {
		f := &j.Findings[i]
		answer.Advisories = append(answer.Advisories, packageFinding{
			ID: f.ID, Aliases: orEmpty(f.Aliases), Severity: f.Severity, Score: f.Score, Fixed: orEmpty(f.Fixed),
			KEV: f.KEV, EPSS: f.EPSS, Class: f.Class, VEX: f.VEX,
		})
	}
	return answer
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// findings prints one JSON object a line, then one for what was not
// evaluated.
func (p printer) findings(r *scanReport) error {
	out := json.NewEncoder(p.out)
	out.SetEscapeHTML(false)
	for _, f := range r.findings {
		if err := out.Encode(f); err != nil {
			return err
		}
	}
	for _, why := range r.unevaluated {
		if err := out.Encode(map[string]string{"status": notEvaluatedStatus, "reason": why}); err != nil {
			return err
		}
	}
	return nil
}

// vulnerabilities prints a table for a person, the worst first.
func (p printer) vulnerabilities(r *scanReport) error {
	for i := range r.findings {
		f := &r.findings[i]
		if err := p.vulnerability(f); err != nil {
			return err
		}
	}
	const shown = 20
	for i, why := range r.unevaluated {
		if i == shown {
			fmt.Fprintf(p.out, "%s and %d more; --json lists all\n", p.tinted(yellow, "not evaluated"), len(r.unevaluated)-shown)
			break
		}
		if _, err := fmt.Fprintf(p.out, "%s %s\n", p.tinted(yellow, "not evaluated"), printable(why)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(p.out, "%s in %s; %d not evaluated\n", counted(len(r.findings), "finding"), counted(r.components, "component"), len(r.unevaluated))
	return err
}

func (p printer) vulnerability(f *scanFinding) error {
	tint := yellow
	if f.Severity.Rank() >= event.High.Rank() {
		tint = red
	}
	about := string(f.Severity)
	if f.Class != event.ClassVulnerability {
		about = string(f.Class)
	}
	line := fmt.Sprintf("%s  %s  %s", p.tinted(tint, fmt.Sprintf("%-13s", about)), p.tinted(bold, printable(f.Component)), printable(f.ID))
	if f.Score > 0 {
		line += fmt.Sprintf("  CVSS %.1f", f.Score)
	}
	if f.KEV != "" {
		line += "  " + p.tinted(red, "exploited since "+f.KEV)
	}
	if f.EPSS > 0 {
		line += fmt.Sprintf("  EPSS %.2f", f.EPSS)
	}
	line += "\n    " + printable(f.Message)
	switch {
	case len(f.Fixed) > 0:
		line += "; fixed in " + printable(joinFew(f.Fixed))
	case f.Class == event.ClassVulnerability:
		line += "; no fixed version is known"
	}
	if f.VEX != nil {
		line += fmt.Sprintf("\n    %s says: %s %s %s", printable(f.VEX.Author), f.VEX.Status, printable(f.VEX.Justification), printable(f.VEX.Statement))
	}
	_, err := fmt.Fprintln(p.out, line)
	return err
}

func joinFew(all []string) string {
	const few = 3
	text := ""
	for i, s := range all {
		switch {
		case i == few:
			return text + ", …"
		case i > 0:
			text += ", "
		}
		text += s
	}
	return text
}

// sarif writes one document; a component's place is the file that has it.
func (r *scanReport) sarif(out io.Writer) error {
	var results []sarifResult
	var rules []sarifRule
	known := map[string]bool{}
	unseen := r.unevaluated
	for i := range r.findings {
		f := &r.findings[i]
		if len(results) == maxSarif {
			unseen = append(unseen, "further findings are not listed")
			break
		}
		if !known[f.ID] {
			known[f.ID] = true
			rules = append(rules, sarifRule{f.ID, sarifText{f.ID}})
		}
		one := sarifResult{
			RuleID: f.ID, Level: sarifLevel(f.Severity), Message: sarifText{f.Message}, Locations: make([]sarifLocation, 1),
			Fingerprints: map[string]string{"assize/v1": f.ID + " " + f.Component},
			Properties:   map[string]string{"severity": string(f.Severity), "component": f.Component, "class": string(f.Class)},
		}
		one.Locations[0].Physical.Artifact.URI = uriOf(f.File)
		results = append(results, one)
	}
	return writeSarif(out, results, rules, unseen)
}
