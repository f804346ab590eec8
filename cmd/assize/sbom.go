package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"assize.dev/services/sbom"
	"assize.dev/services/sign"
	"assize.dev/shared/archive"
	"assize.dev/shared/isolate"
)

type sbomCmd struct {
	Make sbomMakeCmd `cmd:"" default:"withargs" help:"Catalogue a package: every component and licence in it. Needs no word: assize sbom FILE."`
	Diff sbomDiffCmd `cmd:"" help:"Tell what changed from one SBOM to another, by whomever they were made."`
}

type sbomMakeCmd struct {
	Format     string   `help:"Write a document: ${enum}. On a terminal a tree is shown without it." enum:"cyclonedx-1.6,cyclonedx-1.5,cyclonedx-1.7,spdx-2.3," default:""`
	Vulns      bool     `help:"Write known vulnerabilities into the document, and what VEX says of them."`
	Advisories string   `help:"Advisories for --vulns: see assize scan. Without it those count that assize advisories update has fetched." env:"ASSIZE_ADVISORIES" placeholder:"DIR" type:"path"`
	VEX        []string `name:"vex" help:"VEX statements for --vulns (OpenVEX, CSAF, CycloneDX), or a directory of them." placeholder:"FILE" sep:"none"`
	Import     []string `help:"SBOM of the package by somebody else, to be merged and compared; those inside the package are by themselves." placeholder:"FILE" sep:"none" type:"path"`
	Creator    string   `help:"Who stands for the document: an e-mail address or a URL." env:"ASSIZE_SBOM_CREATOR" placeholder:"WHO"`
	Attest     string   `help:"Sign the document: what is written is a Sigstore bundle with an in-toto statement about FILE. The key is a file or a reference, see assize sign." placeholder:"KEY"`
	Output     string   `short:"o" help:"Write the document to a file, which appears only when it is whole." placeholder:"FILE"`
	File       string   `arg:"" help:"Package to catalogue."`
}

func (sbomMakeCmd) Help() string {
	return `Nothing is unpacked to disk, run or fetched. Documents are valid by the official
schema, or are not written. The same file makes the same document: its time is
SOURCE_DATE_EPOCH if that is set, else when FILE was last modified.

Exit codes: 0 everything was looked at, 2 something could not be, or, with
--vulns, evaluated (the document says what), 3 error. Vulnerabilities do not
change it: assize scan is for that.

An attestation is verified by cosign too:
cosign verify-blob-attestation --key pub.pem --bundle app.sbom.sigstore.json \
  --type https://cyclonedx.org/bom --insecure-ignore-tlog app.tgz

Examples:
  assize sbom app.tgz
  assize sbom -o app.cdx.json app.tgz
  assize sbom --format spdx-2.3 -o app.spdx.json app.tgz
  assize sbom --vulns --vex vendor.vex.json -o app.cdx.json app.tgz
  assize sbom --attest assize.key -o app.sbom.sigstore.json app.tgz
  assize sbom --import vendor.spdx.json -o merged.cdx.json app.tgz
  assize sbom diff app-1.cdx.json app-2.spdx.json`
}

func (c *sbomMakeCmd) Run(ctx context.Context, g *globals) error {
	f, info, err := openFile(c.File)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	defer f.Close()
	at, err := documentTime(info.ModTime())
	if err != nil {
		return err
	}
	var beside []sbom.Beside
	for _, path := range c.Import {
		document, err := readBounded(path, maxSBOM)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if _, err := sbom.Read(document); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		beside = append(beside, sbom.Beside{Name: filepath.Base(path), Document: document})
	}
	result, subject, err := sbom.CatalogueFile(ctx, f, filepath.Base(c.File), at, archive.Limits{}, beside...)
	var stopped *isolate.Stopped
	if errors.As(err, &stopped) {
		g.complain(fmt.Errorf("%s: cataloguing it was %s: there is no document", c.File, stopped.Reason))
		return status(exitUndetermined)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	subject.Creator = c.Creator
	if c.Vulns {
		if err := c.evaluate(ctx, g, result); err != nil {
			return err
		}
	}
	if c.Format == "" && c.Output == "" && c.Attest == "" && !g.JSON && isTerminal(g.stdout) {
		err = g.printer().catalogue(result)
	} else {
		err = c.write(ctx, g, result, subject)
	}
	if err != nil {
		return err
	}
	if !result.Complete() {
		g.complain(fmt.Errorf("%s: incomplete: %s", c.File, result.Reason()))
		return status(exitUndetermined)
	}
	if n := len(result.Unevaluated); n > 0 {
		g.complain(fmt.Errorf("%s: vulnerabilities of %s are not known: %s", c.File, counted(n, "component"), result.Unevaluated[0]))
		return status(exitUndetermined)
	}
	return nil
}

// evaluate finds what is known to be wrong with the components.
func (c *sbomMakeCmd) evaluate(ctx context.Context, g *globals, r *sbom.Result) error {
	advisories, err := loadAdvisories(ctx, g, c.Advisories, c.VEX)
	if err != nil {
		return err
	}
	judge, _, done, err := advisories.Judge(r.Identity.PURL)
	if err != nil {
		return err
	}
	defer done()
	purls := []string{r.Identity.PURL}
	for i := range r.Components {
		purls = append(purls, r.Components[i].PURL)
	}
	for _, purl := range purls {
		if purl == "" {
			continue
		}
		j := judge(purl)
		if why := notEvaluated(&j); why != "" {
			r.Unevaluated = append(r.Unevaluated, purl+": "+strings.TrimPrefix(why, purl+": "))
		}
		for _, f := range j.Findings {
			f.Component = purl
			r.Vulnerabilities = append(r.Vulnerabilities, f)
		}
	}
	return nil
}

func (c *sbomMakeCmd) write(ctx context.Context, g *globals, result *sbom.Result, subject sbom.Subject) error {
	format := sbom.Format(cmp.Or(c.Format, string(sbom.CycloneDX16)))
	document, err := result.Document(format, subject)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if c.Attest != "" {
		signer, err := openSigner(ctx, c.Attest)
		if err != nil {
			return err
		}
		if document, _, err = sign.AttestPredicate(ctx, signer, subject.Filename, subject.Digest, format.PredicateType(), document); err != nil {
			return fmt.Errorf("%s: %w", c.File, err)
		}
	}
	if c.Output == "" {
		_, err = g.stdout.Write(document)
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(c.Output), ".assize-sbom-")
	if err != nil {
		return fmt.Errorf("write %s: %w", c.Output, err)
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(document)
	if closing := temporary.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Chmod(temporary.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(temporary.Name(), c.Output)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", c.Output, err)
	}
	return nil
}

// documentTime follows https://reproducible-builds.org/specs/source-date-epoch/.
func documentTime(modified time.Time) (time.Time, error) {
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		return modified, nil
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil || seconds < 0 {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %.40q: want seconds since 1970", epoch)
	}
	return time.Unix(seconds, 0), nil
}

// catalogue draws the components as a tree of where they are.
func (p printer) catalogue(r *sbom.Result) error {
	var out strings.Builder
	id := r.Identity
	fmt.Fprintf(&out, "%s%s\n", cmp.Or(printable(strings.TrimSpace(id.Name+" "+id.Version)), "an unnamed "+id.Format), licenceOf(id.Licenses, r.Concluded))
	groups := map[string][]string{}
	found := map[string][]string{}
	for _, f := range r.Vulnerabilities {
		found[f.Component] = append(found[f.Component], fmt.Sprintf("%s (%s)", f.ID, f.Severity))
	}
	for i := range r.Components {
		c := &r.Components[i]
		where := ""
		if i := strings.LastIndexByte(c.Paths[0], '!'); i >= 0 {
			where = c.Paths[0][:i]
		}
		line := fmt.Sprintf("%s %s%s", printable(cmp.Or(c.PURL, c.FullName()+" "+c.Version)), p.tinted(dim, string(c.Relation)), licenceOf(c.Licenses, c.Concluded))
		if c.PURL != "" && len(found[c.PURL]) > 0 {
			line += "  " + p.tinted(red, printable(strings.Join(found[c.PURL], ", ")))
		}
		groups[where] = append(groups[where], line)
	}
	var places []string
	for where := range groups {
		places = append(places, where)
	}
	slices.Sort(places)
	for i, where := range places {
		indent := ""
		if where != "" {
			branch := "├─ "
			if indent = "│  "; i == len(places)-1 {
				branch, indent = "└─ ", "   "
			}
			fmt.Fprintf(&out, "%s%s\n", branch, printable(where))
		}
		for j, line := range groups[where] {
			branch := "├─ "
			if j == len(groups[where])-1 && (where != "" || i == len(places)-1) {
				branch = "└─ "
			}
			fmt.Fprintf(&out, "%s%s%s\n", indent, branch, line)
		}
	}
	fmt.Fprintln(&out, counted(len(r.Components), "component"))
	for _, i := range r.Imported {
		fmt.Fprintf(&out, "merged %s\n", printable(i.String()))
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&out, "%s %s\n", p.tinted(yellow, "not read:"), printable(note))
	}
	_, err := io.WriteString(p.out, out.String())
	return err
}

func licenceOf(declared []string, concluded string) string {
	switch {
	case len(declared) > 0:
		return "  " + printable(strings.Join(declared, ", "))
	case concluded != "":
		return "  " + concluded + " (by its licence files)"
	}
	return ""
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

type sbomDiffCmd struct {
	From string `arg:"" help:"SBOM: CycloneDX JSON, SPDX 2.2 or 2.3 JSON."`
	To   string `arg:"" help:"SBOM to compare it with."`
}

func (sbomDiffCmd) Help() string {
	return `Components are told apart by package URL, or by name where there is none.

Exit codes: 0 the same components and licences, 1 differences, 3 error.

Examples:
  assize sbom diff vendor.spdx.json ours.cdx.json
  assize sbom diff --json v1.cdx.json v2.cdx.json`
}

func (c *sbomDiffCmd) Run(g *globals) error {
	from, err := readSBOM(c.From)
	if err != nil {
		return err
	}
	to, err := readSBOM(c.To)
	if err != nil {
		return err
	}
	changes := sbom.Compare(from, to)
	p := g.printer()
	for _, change := range changes {
		if err := p.change(change); err != nil {
			return err
		}
	}
	if len(changes) == 0 {
		if !g.JSON {
			fmt.Fprintln(g.stdout, "no difference in", counted(len(from.Parts), "component"))
		}
		return nil
	}
	return status(exitFail)
}

func (p printer) change(c sbom.Change) error {
	if p.json {
		return json.NewEncoder(p.out).Encode(c)
	}
	name := func(l *sbom.Listed) string { return printable(cmp.Or(l.PURL, strings.TrimSpace(l.Name+" "+l.Version))) }
	var line string
	switch c.What {
	case "added":
		line = p.tinted(green, "+ ") + name(c.To)
	case "removed":
		line = p.tinted(red, "- ") + name(c.From)
	case "version":
		line = p.tinted(yellow, "~ ") + name(c.From) + " became " + printable(cmp.Or(c.To.Version, "without version"))
	default:
		line = p.tinted(yellow, "~ ") + name(c.From) + ": licence " + printable(cmp.Or(c.From.Licenses, "not stated")) + " became " + printable(cmp.Or(c.To.Licenses, "not stated"))
	}
	_, err := fmt.Fprintln(p.out, line)
	return err
}

// maxSBOM is the size of the largest SBOM read, in bytes.
const maxSBOM = 64 << 20

func readSBOM(path string) (*sbom.Listing, error) {
	f, _, err := openFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	defer f.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(io.LimitReader(f, maxSBOM+1)); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	l, err := sbom.Read(text.Bytes())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return l, nil
}
