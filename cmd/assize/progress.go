package main

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"assize.dev/shared/event"
)

// progress shows, on a terminal, how far each run is: one line a run, one
// word a stage. Elsewhere it is silent.
type progress struct {
	mu    sync.Mutex
	out   io.Writer // nil is silent
	runs  []*runProgress
	lines int // drawn last time
}

type runProgress struct {
	run, name string
	done      map[event.Kind]event.Status
	decided   bool
}

func newProgress(out io.Writer, quiet bool) *progress {
	if quiet || !isTerminal(out) {
		return &progress{}
	}
	return &progress{out: out}
}

// start shows a run that has been ordered.
func (p *progress) start(run, name string) {
	p.change(func() {
		p.runs = append(p.runs, &runProgress{run: run, name: name, done: map[event.Kind]event.Status{}})
	})
}

// evidence ticks off a stage.
func (p *progress) evidence(run string, kind event.Kind, status event.Status) {
	p.change(func() {
		for _, r := range p.runs {
			if r.run == run {
				r.done[kind] = status
			}
		}
	})
}

// decided ticks off policy.
func (p *progress) decided(run string) {
	p.change(func() {
		for _, r := range p.runs {
			if r.run == run {
				r.decided = true
			}
		}
	})
}

// finish takes the run's line away; its result is printed instead.
func (p *progress) finish(run string, print func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	for i, r := range p.runs {
		if r.run == run {
			p.runs = append(p.runs[:i], p.runs[i+1:]...)
			break
		}
	}
	err := print()
	p.draw()
	return err
}

func (p *progress) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	p.erase()
	p.draw()
}

// erase and draw run with mu held.
func (p *progress) erase() {
	if p.out != nil && p.lines > 0 {
		fmt.Fprintf(p.out, "\x1b[%dA\x1b[J", p.lines)
	}
	p.lines = 0
}

const maxProgressLines = 12

func (p *progress) draw() {
	if p.out == nil {
		return
	}
	var b strings.Builder
	for i, r := range p.runs {
		if i == maxProgressLines {
			fmt.Fprintf(&b, "  and %d more\n", len(p.runs)-i)
			p.lines++
			break
		}
		fmt.Fprintf(&b, "  %-40.40s", printable(r.name))
		for _, k := range event.Kinds {
			fmt.Fprintf(&b, " %s %s", stageMark(r.done[k]), k)
		}
		mark := "·"
		if r.decided {
			mark = "✓"
		}
		fmt.Fprintf(&b, " %s verdict\n", mark)
		p.lines++
	}
	_, _ = io.WriteString(p.out, b.String())
}

func stageMark(s event.Status) string {
	switch s {
	case event.Complete, event.NotApplicable:
		return "✓"
	case event.Partial:
		return "~"
	case event.Failed:
		return "✗"
	}
	return "·"
}
