// Package content judges what unpacking and installing a package would do:
// entries that escape, overwrite or elevate, bombs, archives that tools read
// differently, files that are not what they seem, and code that runs at
// installation.
package content

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"assize.dev/services/scan/internal/unpack"
	"assize.dev/shared/archive"
	"assize.dev/shared/event"
	"assize.dev/shared/evidence"
)

// Analyser answers kind content from an artifact's bytes.
type Analyser struct {
	limits archive.Limits
}

// New makes an analyser with the archive package's default limits.
func New() *Analyser { return &Analyser{} }

var _ evidence.Analyser = (*Analyser)(nil)

// Kind implements evidence.Analyser.
func (*Analyser) Kind() event.Kind { return event.KindContent }

// Version implements evidence.Analyser.
func (*Analyser) Version() string { return "2.0.0" }

// Analyse implements evidence.Analyser.
func (a *Analyser) Analyse(ctx context.Context, in evidence.Input) (*evidence.Answer, error) {
	f, err := in.Bytes(ctx)
	if err != nil {
		return nil, fmt.Errorf("open artifact %s: %w", in.Artifact.Digest, err)
	}
	defer f.Close()
	return a.examine(ctx, unpack.Artifact{Bytes: f, Size: f.Size(), Name: in.Artifact.Filename, Format: in.Artifact.Format})
}

func (a *Analyser) examine(ctx context.Context, artifact unpack.Artifact) (*evidence.Answer, error) {
	found := findings{format: artifact.Format, count: make(map[string]int)}
	result, err := unpack.Walk(ctx, artifact, a.limits, func(_ context.Context, item unpack.Item, content io.Reader) error {
		return found.item(item, content)
	})
	if err != nil {
		return nil, err
	}
	found.container(artifact, result)
	if err := found.lookInto(ctx, artifact, a.limits, len(result.Problems)); err != nil {
		return nil, err
	}
	answer := &evidence.Answer{Status: event.Complete, Basis: map[string]string{"rules": rulesDigest()}, Findings: found.all()}
	if reason := strings.Trim(result.Reason()+"; "+found.reason(), "; "); reason != "" {
		answer.Status, answer.Reason = event.Partial, reason
	}
	return answer, nil
}

// headLen is what archive.Sniff wants to see.
const headLen = 512

// item judges one entry by its name, its mode and its content.
func (f *findings) item(item unpack.Item, content io.Reader) error {
	e := item.Entry
	if e == nil {
		return nil // bytes that are no package
	}
	f.entry(item.Location, e)
	f.links.add(item.Location, e, slices.Contains(e.Hazards, archive.LinkOut))
	if content == nil {
		return nil
	}
	br := bufio.NewReaderSize(content, headLen)
	head, _ := br.Peek(headLen) // its error comes again behind what was read
	format := archive.Sniff(head)
	f.runnable(item.Location, e.Path, format, head, f.unpacked(len(e.Parents)))
	if format == archive.RPM {
		f.rpmScripts(item.Location, br)
		return nil
	}
	if read, err := f.scripts(item, br); read || err != nil {
		return err
	}
	if format == archive.Unknown && isSource(e.Path) {
		return f.source(item.Location, br)
	}
	return nil
}

// container judges the package as a whole, once all of it was seen.
func (f *findings) container(artifact unpack.Artifact, result *unpack.Result) {
	if result.Format == archive.RPM {
		f.rpmScripts("", io.NewSectionReader(artifact.Bytes, 0, artifact.Size))
	}
	for _, p := range result.Problems {
		switch {
		case p.Kind == archive.KindLimit && isBomb(p.Detail):
			severity := bomb.severity
			if amongTests(p.Path) {
				severity = milder(severity)
			}
			f.addAs(&bomb, severity, p.Path, 0, bomb.means+": "+p.Detail)
		case p.Kind == archive.KindDamaged:
			nested := strings.Count(p.Path, "!") + 1 // of an entry; a container's path looks the same
			unpacked := f.unpacked(nested) && !amongTests(p.Path)
			f.addAs(&damaged, f.atPlace(&damaged, p.Path, unpacked), p.Path, 0, damaged.means+": "+p.Detail)
		}
	}
	for _, a := range result.Anomalies {
		f.anomaly(a, a.Path)
	}
	f.chains()
	if f.anyPlatform {
		for _, p := range f.programs {
			f.stray(p.location, p.entry, p.format)
		}
	}
}

// isBomb tells the limits that only something made to exhaust memory or
// disk reaches from those a large package may.
func isBomb(detail string) bool {
	return strings.HasPrefix(detail, "ratio:") || strings.HasPrefix(detail, "inflated:")
}

// errSeen ends a walk that has met all it wanted.
var errSeen = errors.New("all files were met")

// lookInto examines the files that scripts run, but not what those run in
// turn. Which they are is known only once the first walk is over, which met
// so many problems; there is a second one if there are any.
func (f *findings) lookInto(ctx context.Context, artifact unpack.Artifact, limits archive.Limits, problems int) error {
	if len(f.followed) == 0 {
		return nil
	}
	left := len(f.followed)
	result, err := unpack.Walk(ctx, artifact, limits, func(_ context.Context, item unpack.Item, content io.Reader) error {
		what := f.followed[item.Location]
		if what == "" || content == nil {
			return nil
		}
		s, err := readScript(item.Location, content)
		if err != nil {
			return err
		}
		f.judgeScript(s, what)
		if left--; left == 0 {
			return errSeen
		}
		return nil
	})
	switch {
	case errors.Is(err, errSeen):
		return nil
	case err != nil:
		return err
	case len(result.Problems) > problems:
		f.unseen("not all files that scripts run were examined, as time ran out")
	}
	return nil
}
