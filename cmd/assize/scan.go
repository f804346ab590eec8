package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"assize.dev/services/sbom"
	"assize.dev/services/scan"
	"assize.dev/shared/archive"
	"assize.dev/shared/event"
	"assize.dev/shared/isolate"
)

type scanCmd struct {
	Advisories string   `help:"Advisories to match against: a directory in the layout of the OSV export (<ecosystem>/all.zip). Its index is kept in the data directory. Without it those count that assize advisories update has fetched." env:"ASSIZE_ADVISORIES" placeholder:"DIR" type:"path"`
	SBOM       []string `name:"sbom" help:"SBOM to look through: CycloneDX or SPDX 2 in JSON." placeholder:"FILE" sep:"none"`
	Packages   string   `help:"List of packages, one JSON object a line: {\"ecosystem\",\"package\",\"version\"} as OSV names them; - is standard input. Each line is answered by one." placeholder:"FILE"`
	VEX        []string `name:"vex" help:"VEX statements (OpenVEX, CSAF, CycloneDX), or a directory of them. What they say does not matter is shown and does not count." placeholder:"FILE" sep:"none"`
	Format     string   `help:"How to print findings: ${enum}. --json is the same as json." enum:"table,json,sarif" default:"table"`
	FailOn     string   `help:"Least severity that makes the exit code 1: ${enum}. Unknown severity counts as high, malware always." enum:"critical,high,medium,low,info" default:"low"`
	File       []string `arg:"" optional:"" help:"Packages to look into."`
}

func (scanCmd) Help() string {
	return `Components are matched by the algorithm of the OSV schema, with the order of
versions that each ecosystem itself has. A component of an ecosystem without
advisories, or with a version that cannot be placed, is "not evaluated": that
is never the same as clean.

Exit codes: 0 everything was evaluated and nothing found, 1 something of
--fail-on or worse was found, 2 nothing was, but something was not evaluated,
3 usage or internal error.

Examples:
  assize advisories update --source ~/mirror/osv
  assize scan app.tgz
  assize scan --advisories ~/osv --sbom app.cdx.json --vex vendor.vex.json
  assize scan --format sarif app.tgz >app.sarif
  echo '{"ecosystem":"npm","package":"lodash","version":"4.17.20"}' | assize scan --packages -`
}

func (c *scanCmd) Run(ctx context.Context, g *globals) error {
	if g.JSON && c.Format == "table" {
		c.Format = "json"
	}
	if c.Packages == "" && len(c.SBOM)+len(c.File) == 0 {
		return errors.New("nothing to look at: give files, --sbom or --packages")
	}
	if c.Packages != "" && (len(c.SBOM)+len(c.File) > 0 || c.Format == "sarif") {
		return errors.New("--packages goes with neither files, nor --sbom, nor --format sarif")
	}
	advisories, err := loadAdvisories(ctx, g, c.Advisories, c.VEX)
	if err != nil {
		return err
	}
	if c.Packages != "" {
		return c.packages(ctx, g, advisories)
	}
	r := &scanReport{failOn: event.Severity(c.FailOn).Rank()}
	for _, path := range c.SBOM {
		text, err := readBounded(path, maxSBOM)
		if err == nil {
			err = r.sbom(advisories, path, text, "")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	for _, path := range c.File {
		if err := r.file(ctx, advisories, path); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := r.print(g.printer(), c.Format); err != nil {
		return err
	}
	return r.status()
}

// loadAdvisories takes them from where the flags say, or from the data
// directory.
func loadAdvisories(ctx context.Context, g *globals, export string, vex []string) (*scan.Advisories, error) {
	data, err := g.dir()
	if err != nil {
		return nil, err
	}
	a := new(scan.Advisories)
	if export != "" {
		note := newScanned(g.stderr)
		stop := time.AfterFunc(longWork, func() { note.say("making an index of " + export) })
		err = a.LoadExport(ctx, export, data.advisories())
		stop.Stop()
		note.clear()
	} else if err = a.LoadStore(data.advisories()); errors.Is(err, scan.ErrNoAdvisories) {
		err = errors.New("there are no advisories: fetch them with assize advisories update --source URL, or give a directory with --advisories DIR")
	}
	if err == nil {
		err = a.LoadVEX(vex...)
	}
	return a, err
}

// scanReport collects what was found in files and SBOMs.
type scanReport struct {
	failOn      int
	findings    []scanFinding
	components  int
	unevaluated []string // why, for people
	failing     int
}

// scanFinding is a finding and the file that the component is of.
type scanFinding struct {
	File string `json:"file"`
	event.Finding
}

func (r *scanReport) file(ctx context.Context, a *scan.Advisories, path string) error {
	f, info, err := openFile(path)
	if err != nil {
		return err
	}
	defer f.Close()
	result, subject, err := sbom.CatalogueFile(ctx, f, filepath.Base(path), info.ModTime(), archive.Limits{})
	var stopped *isolate.Stopped
	if errors.As(err, &stopped) {
		r.unevaluated = append(r.unevaluated, fmt.Sprintf("%s: cataloguing it was %s", path, stopped.Reason))
		return nil
	}
	if err != nil {
		return err
	}
	if !result.Complete() {
		r.unevaluated = append(r.unevaluated, fmt.Sprintf("%s: not everything could be looked at: %s", path, result.Reason()))
	}
	document, err := result.Document(sbom.CycloneDX16, subject)
	if err != nil {
		return err
	}
	return r.sbom(a, path, document, result.Identity.PURL)
}

func (r *scanReport) sbom(a *scan.Advisories, path string, document []byte, artifact string) error {
	described, components, err := scan.ComponentsOf(document)
	if err != nil {
		return err
	}
	judge, _, done, err := a.Judge(cmp.Or(artifact, described))
	if err != nil {
		return err
	}
	defer done()
	for _, purl := range components {
		r.components++
		j := judge(purl)
		if why := notEvaluated(&j); why != "" {
			r.unevaluated = append(r.unevaluated, fmt.Sprintf("%s: %s: %s", path, purl, strings.TrimPrefix(why, purl+": ")))
		}
		for _, f := range j.Findings {
			r.findings = append(r.findings, scanFinding{path, f})
			if counts(&f, r.failOn) {
				r.failing++
			}
		}
	}
	return nil
}

// notEvaluated says why something could not be told of a component, "" if
// all could.
func notEvaluated(j *scan.Judged) string {
	switch {
	case j.Err != nil:
		return j.Err.Error()
	case j.Unloaded != "":
		return "no advisories loaded for " + j.Unloaded
	}
	return strings.Join(j.Unevaluated, "; ")
}

// counts tells whether a finding bears on the exit code.
func counts(f *event.Finding, failOn int) bool {
	if f.VEX != nil && (f.VEX.Status == event.VEXNotAffected || f.VEX.Status == event.VEXFixed) {
		return false
	}
	return f.Class == event.ClassMalware || f.Class == event.ClassVulnerability && f.Severity.Rank() >= failOn
}

func (r *scanReport) status() error {
	switch {
	case r.failing > 0:
		return status(exitFail)
	case len(r.unevaluated) > 0:
		return status(exitUndetermined)
	}
	return nil
}

// readBounded reads a file of at most some bytes.
func readBounded(path string, most int64) ([]byte, error) {
	f, _, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("more than %d bytes", most)
	}
	return text, err
}

func (r *scanReport) print(p printer, format string) error {
	slices.SortStableFunc(r.findings, func(a, b scanFinding) int {
		return cmp.Or(cmp.Compare(b.Severity.Rank(), a.Severity.Rank()), cmp.Compare(a.Component, b.Component), cmp.Compare(a.ID, b.ID))
	})
	switch format {
	case "json":
		return p.findings(r)
	case "sarif":
		return r.sarif(p.out)
	}
	return p.vulnerabilities(r)
}

// packagesInput opens the list; - is standard input.
func packagesInput(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(os.Stdin), nil
	}
	f, _, err := openFile(path)
	return f, err
}
