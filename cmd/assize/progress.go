package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"

	"assize.dev/shared/event"
)

// progress shows, on a terminal, how far each run is: one line a run, one
// word a stage. Elsewhere it is silent.
type progress struct {
	mu    sync.Mutex
	out   io.Writer // nil is silent
	runs  []*runProgress
	lines int // drawn last time
	size  func() (width, height int)
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
	return &progress{out: out, size: func() (int, int) { return terminalSize(out) }}
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

// clear takes away what is drawn, for good.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	p.out = nil
}

const (
	maxProgressLines = 12
	wideEnough       = 110 // columns that names and the words of all stages take
)

// draw keeps every line within the terminal, or erase would not find them
// all again. The size is asked for each time: windows are resized.
func (p *progress) draw() {
	if p.out == nil {
		return
	}
	width, height := p.size()
	lines := min(len(p.runs), maxProgressLines)
	if height > 0 {
		lines = min(lines, max(height-2, 1)) // one for the rest, one for the cursor
	}
	var b strings.Builder
	for _, r := range p.runs[:lines] {
		b.WriteString(r.line(width))
	}
	p.lines = lines
	if rest := len(p.runs) - lines; rest > 0 {
		b.WriteString(cut(fmt.Sprintf("  and %d more", rest), width-1) + "\n")
		p.lines++
	}
	_, _ = io.WriteString(p.out, b.String())
}

// line has the stages with their names where there is room, else only the
// marks before the file's name.
func (r *runProgress) line(width int) string {
	verdict := "·"
	if r.decided {
		verdict = "✓"
	}
	name := printable(r.name)
	if width < wideEnough {
		marks := ""
		for _, k := range event.Kinds {
			marks += stageMark(r.done[k])
		}
		return cut("  "+marks+verdict+" "+name, width-1) + "\n"
	}
	name = cut(name, 40)
	line := "  " + name + strings.Repeat(" ", 40-columns(name))
	for _, k := range event.Kinds {
		line += " " + stageMark(r.done[k]) + " " + string(k)
	}
	return cut(line+" "+verdict+" verdict", width-1) + "\n"
}

// cut shortens text to so many columns.
func cut(s string, width int) string {
	if columns(s) <= width {
		return s
	}
	used := 1 // the ellipsis
	for i, r := range s {
		if used += columns(string(r)); used > width {
			return s[:i] + "…"
		}
	}
	return s
}

// columns is how many a text takes at most: from Hangul on, where the wide
// scripts begin, every character counts as wide (Unicode UAX #11).
func columns(s string) (n int) {
	for _, r := range s {
		n++
		if r >= 0x1100 && (r < 0x2000 || r >= 0x2E80) && r != '\uFFFD' {
			n++
		}
	}
	return n
}

// terminalSize is the width and height of a terminal, 80 by 24 as a guess.
func terminalSize(w io.Writer) (width, height int) {
	if f, ok := w.(*os.File); ok {
		if width, height, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width, height
		}
	}
	return 80, 24
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
