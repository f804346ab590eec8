package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"assize.dev/services/scan"
	"assize.dev/shared/event"
)

type secretsCmd struct {
	Rules          string   `help:"Custom rules beside the built-in ones, in the format of gitleaks's configuration (TOML)." placeholder:"FILE" type:"path"`
	Allow          string   `help:"Findings that were accepted, each with fingerprint, reason and the day it expires (YAML)." placeholder:"FILE" type:"path"`
	Format         string   `help:"How to print findings: ${enum}. --json is the same as json." enum:"table,json,sarif" default:"table"`
	FailOn         string   `help:"Least severity that makes the exit code 1: ${enum}." enum:"critical,high,medium,low,info" default:"medium"`
	MinConfidence  string   `help:"Leave out findings that are less sure: ${enum}. Among tests, examples and documentation each is one step less sure." enum:"checksum,structure,entropy,generic" default:"generic"`
	FingerprintKey string   `help:"File with the key of the fingerprints, 16 bytes or more, to compare them with those of another installation. Without it the data directory's own key is used, and made if need be." placeholder:"FILE" type:"path"`
	Path           []string `arg:"" help:"Files, directories and archives to look through."`
}

func (secretsCmd) Help() string {
	return `Looks for credentials: in files, directories and archives, archives inside
archives, binaries, UTF-16 and base64. What is found is shown redacted, with a
fingerprint that is the same wherever the same value is met. Links inside
directories are not followed.

Exit codes: 0 clean, 1 something of --fail-on or worse was found, 2 nothing
was, but something could not be looked at, 3 usage or internal error.

Examples:
  assize secrets .
  assize secrets --fail-on high --min-confidence structure package.tgz
  assize secrets --json dist/ | jq -r 'select(.confidence=="checksum").path'
  assize secrets --rules gitleaks.toml --allow accepted.yaml --format sarif src >secrets.sarif`
}

func (c *secretsCmd) Run(ctx context.Context, g *globals) error {
	if g.JSON && c.Format == "table" {
		c.Format = "json"
	}
	search, err := c.prepare(g)
	if err != nil {
		return err
	}
	for _, path := range c.Path {
		if err := search.path(ctx, path); err != nil {
			return err
		}
	}
	search.shown.clear()
	if err := search.out.close(search.unseen); err != nil {
		return err
	}
	for _, why := range search.unseen {
		g.complain(errors.New(why))
	}
	for fingerprint, day := range search.expired {
		g.complain(fmt.Errorf("allow list: the entry of %s counted until %s and does not any more", fingerprint, day))
	}
	switch {
	case search.failing > 0:
		return status(exitFail)
	case len(search.unseen) > 0 || search.omitted > 0:
		return status(exitUndetermined)
	}
	return nil
}

// search is one call of the command under way.
type search struct {
	scanner *scan.SecretScanner
	allow   *scan.SecretAllow
	failOn  int
	sure    []string // confidences that suffice
	out     secretsPrinter
	shown   *scanned
	now     time.Time

	failing int      // findings of --fail-on or worse
	unseen  []string // what could not be looked at, and why
	omitted int      // of those
	expired map[string]string
}

// maxUnseen bounds what is listed; a tree of unreadable files is said once.
const maxUnseen = 1000

func (c *secretsCmd) prepare(g *globals) (*search, error) {
	s := &search{failOn: event.Severity(c.FailOn).Rank(), now: time.Now(), expired: make(map[string]string)}
	s.sure = scan.SecretConfidences[:slices.Index(scan.SecretConfidences, c.MinConfidence)+1]
	var rules *scan.SecretRules
	if c.Rules != "" {
		text, err := readSmall(c.Rules)
		if err == nil {
			rules, err = scan.ParseSecretRules(text)
		}
		if err != nil {
			return nil, fmt.Errorf("--rules %s: %w", c.Rules, err)
		}
	}
	if c.Allow != "" {
		text, err := readSmall(c.Allow)
		if err == nil {
			s.allow, err = scan.ParseSecretAllow(text)
		}
		if err != nil {
			return nil, fmt.Errorf("--allow %s: %w", c.Allow, err)
		}
	}
	key, err := c.key(g)
	if err != nil {
		return nil, err
	}
	if s.scanner, err = scan.NewSecretScanner(key, rules); err != nil {
		return nil, err
	}
	s.out = newSecretsPrinter(c.Format, g)
	s.shown = newScanned(g.stderr)
	return s, nil
}

func (c *secretsCmd) key(g *globals) ([]byte, error) {
	if c.FingerprintKey != "" {
		key, err := readSmall(c.FingerprintKey)
		if err != nil {
			err = fmt.Errorf("--fingerprint-key %s: %w", c.FingerprintKey, err)
		}
		return key, err
	}
	if key := os.Getenv("ASSIZE_SECRETS_KEY"); key != "" { // as the scan service has it
		return []byte(key), nil
	}
	data, err := g.dir()
	if err != nil {
		return nil, err
	}
	return data.secret("fingerprint.key")
}

// readSmall reads a file that a person wrote.
func readSmall(path string) ([]byte, error) {
	const most = 1 << 20
	f, info, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size() > most {
		return nil, fmt.Errorf("%d bytes, at most %d", info.Size(), most)
	}
	text := make([]byte, info.Size())
	n, err := f.ReadAt(text, 0)
	if n == len(text) {
		err = nil
	}
	return text[:n], err
}

// path looks through what somebody named: if that is not there, the call is
// wrong.
func (s *search) path(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, withoutPath(err))
	}
	if !info.IsDir() {
		return s.file(ctx, path)
	}
	root := path
	if !os.IsPathSeparator(root[len(root)-1]) {
		root += string(os.PathSeparator) // a link that is named is followed
	}
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			s.unexamined(path, withoutPath(err).Error())
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir(), d.Type()&fs.ModeSymlink != 0:
			return nil
		}
		return s.file(ctx, path)
	})
}

func (s *search) file(ctx context.Context, path string) error {
	f, info, err := openFile(path)
	if err != nil {
		s.unexamined(path, err.Error())
		return nil
	}
	defer f.Close()
	s.shown.file(path, info.Size())
	var failed error
	report, err := s.scanner.Scan(ctx, filepath.ToSlash(path), f, info.Size(), func(found scan.SecretFinding) {
		if failed == nil {
			failed = s.found(path, found)
		}
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case failed != nil:
		return failed
	case err != nil:
		s.unexamined(path, err.Error())
	case report.Reason != "":
		s.unexamined(path, report.Reason)
	}
	return nil
}

func (s *search) unexamined(path, why string) {
	if len(s.unseen) == maxUnseen {
		s.omitted++
		return
	}
	s.unseen = append(s.unseen, path+": "+why)
}

func (s *search) found(path string, f scan.SecretFinding) error {
	if !slices.Contains(s.sure, f.Confidence) {
		return nil
	}
	reason, expired := scan.Allowed(s.allow, f, s.now)
	if reason != "" {
		return nil
	}
	if expired != "" {
		s.expired[f.Fingerprint] = expired
	}
	f.Path = strings.TrimSuffix(filepath.ToSlash(path)+"!"+f.Path, "!")
	if f.Severity.Rank() >= s.failOn {
		s.failing++
	}
	s.shown.clear()
	return s.out.print(f)
}

// secretsPrinter shows findings in one of the formats.
type secretsPrinter interface {
	print(f scan.SecretFinding) error
	close(unseen []string) error
}

func newSecretsPrinter(format string, g *globals) secretsPrinter {
	switch format {
	case "json":
		return jsonSecrets{json.NewEncoder(g.stdout)}
	case "sarif":
		return &sarifSecrets{out: g.stdout}
	}
	return &tableSecrets{p: g.printer()}
}

// jsonSecrets prints one object a line, as they are found.
type jsonSecrets struct{ enc *json.Encoder }

func (j jsonSecrets) print(f scan.SecretFinding) error { return j.enc.Encode(f) }
func (jsonSecrets) close([]string) error               { return nil }

// tableSecrets prints two lines for a person, as they are found.
type tableSecrets struct {
	p              printer
	count, inTests int
}

func (t *tableSecrets) print(f scan.SecretFinding) error {
	t.count++
	tint := yellow
	if f.Severity.Rank() >= event.High.Rank() {
		tint = red
	}
	if f.InTests {
		t.inTests++
	}
	in := ""
	if f.Encoding != "" {
		in = " in " + f.Encoding
	}
	_, err := fmt.Fprintf(t.p.out, "%s  %s:%d:%d\n    %s %s (%s)%s · fingerprint %s\n",
		t.p.tinted(tint, fmt.Sprintf("%-8s", f.Severity)), t.p.tinted(bold, printable(f.Path)), f.Line, f.Column,
		printable(f.Title), printable(f.Redacted), f.Confidence, in, f.Fingerprint)
	return err
}

func (t *tableSecrets) close(unseen []string) error {
	what := "no secrets found"
	if t.count == 1 {
		what = "1 secret found"
	} else if t.count > 1 {
		what = fmt.Sprintf("%d secrets found", t.count)
	}
	if t.inTests > 0 {
		what += fmt.Sprintf(", %d of them among tests, examples or documentation", t.inTests)
	}
	if n := len(unseen); n > 0 {
		what += fmt.Sprintf("; %d file(s) could not be looked at to the end", n)
	}
	_, err := fmt.Fprintln(t.p.out, what)
	return err
}
