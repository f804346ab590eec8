package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"assize.dev/services/scan"
	"assize.dev/shared/config"
)

type advisoriesCmd struct {
	Update advisoriesUpdateCmd `cmd:"" help:"Take what is new from directories and mirrors."`
	Status advisoriesStatusCmd `cmd:"" help:"Show what there is, how old it is, and where it came from."`
}

type advisoriesUpdateCmd struct {
	Source    []string `help:"Directory in the layout of the OSV export, archive of it (.zip), address of a mirror of it (https, or s3://bucket/prefix), or of the Arch Linux tracker's all.json. Without it the sources of the last update." env:"ASSIZE_ADVISORIES_SOURCES" placeholder:"URL|DIR"`
	Ecosystem []string `help:"Ecosystem to take of mirrors, as OSV spells it; all that a mirror lists by default." env:"ASSIZE_ADVISORIES_ECOSYSTEMS" placeholder:"NAME"`
	KEV       string   `name:"kev" help:"CISA's catalogue of known exploited vulnerabilities (JSON): file or https address." env:"ASSIZE_KEV" placeholder:"URL|FILE"`
	EPSS      string   `name:"epss" help:"FIRST's EPSS scores (CSV, also in gzip): file or https address." env:"ASSIZE_EPSS" placeholder:"URL|FILE"`
}

func (advisoriesUpdateCmd) Help() string {
	return `The first time whole archives are taken, afterwards what has changed. A record
that cannot be read is refused by name and the rest goes on; a source that
fails leaves what it gave before. What is served to others changes only when
the new index is whole.

Without --source those of the last update are asked again.

A bucket's address may name its server: s3://bucket/prefix?endpoint=host:port,
also region and tls. Keys come from ASSIZE_ADVISORIES_S3_ACCESS_KEY and
ASSIZE_ADVISORIES_S3_SECRET_KEY, each also with _FILE; a public bucket needs
none.

Exit codes: 0 done, 2 done, but a source failed, 3 error.

Examples:
  assize advisories update --source https://mirror.example/osv --ecosystem npm --ecosystem PyPI
  assize advisories update --source s3://osv-mirror/export
  assize advisories update --source /srv/osv --kev kev.json --epss epss.csv.gz
  assize advisories update`
}

func (c *advisoriesUpdateCmd) Run(ctx context.Context, g *globals) error {
	data, err := g.dir()
	if err != nil {
		return err
	}
	if len(c.Source) == 0 {
		if c.Source, err = lastSources(data.advisories()); err != nil {
			return err
		}
	}
	var bucket scan.BucketConfig
	if err := config.Load(ctx, nil, &bucket); err != nil {
		return err
	}
	shown := newScanned(g.stderr)
	report, err := scan.UpdateAdvisories(ctx, data.advisories(), scan.UpdateOptions{
		Sources: c.Source, Bucket: bucket.S3(), Ecosystems: c.Ecosystem, KEV: c.KEV, EPSS: c.EPSS, Progress: shown.say,
	})
	shown.clear()
	if err != nil {
		return err
	}
	if g.JSON {
		err = json.NewEncoder(g.stdout).Encode(report)
	} else {
		err = g.printer().updated(report)
	}
	if err != nil {
		return err
	}
	for _, failed := range report.Failed {
		g.complain(errors.New(failed))
	}
	if len(report.Failed) > 0 {
		return status(exitUndetermined)
	}
	return nil
}

// lastSources are those of the last update, without the ecosystems that a
// mirror's state is kept by.
func lastSources(dir string) ([]string, error) {
	s, err := scan.StatusOfAdvisories(dir)
	if errors.Is(err, scan.ErrNoAdvisories) || err == nil && len(s.Sources) == 0 {
		return nil, errors.New("there is no source yet: give one with --source URL or --source DIR")
	}
	if err != nil {
		return nil, err
	}
	var sources []string
	for name := range s.Sources {
		source := name
		if strings.Contains(name, "://") {
			source, _, _ = strings.Cut(name, " ")
		}
		if !slices.Contains(sources, source) {
			sources = append(sources, source)
		}
	}
	slices.Sort(sources)
	return sources, nil
}

func (p printer) updated(r *scan.UpdateReport) error {
	if r.Generation == r.Previous {
		_, err := fmt.Fprintf(p.out, "nothing new; generation %.12s\n", r.Generation)
		return err
	}
	_, err := fmt.Fprintf(p.out, "generation %.12s: %d records read, %d retracted, %d refused\n", r.Generation, r.Read, r.Retracted, r.Rejected)
	return err
}

type advisoriesStatusCmd struct {
	Advisories string `help:"Show a directory in the layout of the OSV export instead of what was fetched." env:"ASSIZE_ADVISORIES" placeholder:"DIR" type:"path"`
}

func (advisoriesStatusCmd) Help() string {
	return `Exit codes: 0 there are advisories, 2 there are none, 3 error.

Examples:
  assize advisories status
  assize advisories status --json | jq .ecosystems`
}

func (c *advisoriesStatusCmd) Run(ctx context.Context, g *globals) error {
	data, err := g.dir()
	if err != nil {
		return err
	}
	dir := data.advisories()
	if c.Advisories != "" {
		if dir, err = scan.IndexExport(ctx, c.Advisories, dir); err != nil {
			return err
		}
	}
	s, err := scan.StatusOfAdvisories(dir)
	if errors.Is(err, scan.ErrNoAdvisories) {
		g.complain(errors.New("there are no advisories yet: fetch them with assize advisories update --source URL"))
		return status(exitUndetermined)
	}
	if err != nil {
		return err
	}
	if g.JSON {
		return json.NewEncoder(g.stdout).Encode(s)
	}
	return g.printer().advisories(s, time.Now())
}

func (p printer) advisories(s *scan.AdvisoryStatus, now time.Time) error {
	age := func(t time.Time) string {
		if t.IsZero() {
			return "never"
		}
		return fmt.Sprintf("%s (%s ago)", t.Format(time.RFC3339), now.Sub(t).Round(time.Second))
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "generation\t%s\n", s.Generation)
	fmt.Fprintf(w, "updated\t%s\n", age(s.Updated))
	fmt.Fprintf(w, "newest advisory\t%s\n", age(s.Newest))
	fmt.Fprintf(w, "records\t%d, %d of them withdrawn, %.1f MB on disk\n", s.Records, s.Withdrawn, float64(s.Bytes)/1e6)
	fmt.Fprintf(w, "exploited (KEV)\t%d CVEs\n", s.Exploited)
	fmt.Fprintf(w, "known beyond advisories\t%d CVEs\n", s.Scored)
	if s.Rejected > 0 {
		fmt.Fprintf(w, "refused\t%d records, the first is %s\n", s.Rejected, printable(strings.Join(s.RejectedNames[:min(1, len(s.RejectedNames))], "")))
	}
	var names []string
	for name := range s.Ecosystems {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(w, "  %s\t%d\n", printable(name), s.Ecosystems[name])
	}
	names = names[:0]
	for name := range s.Sources {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		state := s.Sources[name]
		line := age(state.Updated)
		if state.Error != "" {
			line += "; " + p.tinted(red, "failed: "+printable(state.Error))
		}
		fmt.Fprintf(w, "source %s\t%s\n", printable(name), line)
	}
	return w.Flush()
}
