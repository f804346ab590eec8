package main

import (
	"fmt"
	"io"
	"time"
)

// scanned shows, on a terminal, how far a search through files is, once it
// takes long.
type scanned struct {
	out   io.Writer // nil is silent
	since time.Time
	last  time.Time
	files int
	bytes int64
	drawn bool
}

func newScanned(out io.Writer) *scanned {
	if !isTerminal(out) {
		return &scanned{}
	}
	return &scanned{out: out, since: time.Now()}
}

const (
	longWork = 2 * time.Second
	redraw   = 200 * time.Millisecond
)

// file says which file comes next.
func (s *scanned) file(path string, size int64) {
	if s.out == nil {
		return
	}
	now := time.Now()
	if now.Sub(s.since) > longWork && now.Sub(s.last) > redraw {
		width, _ := terminalSize(s.out)
		line := fmt.Sprintf("  %d files, %d MB  %s", s.files, s.bytes/1e6, printable(path))
		fmt.Fprintf(s.out, "\r%s\x1b[K", cut(line, width-1))
		s.last, s.drawn = now, true
	}
	s.files++
	s.bytes += size
}

// say shows a line of text instead.
func (s *scanned) say(text string) {
	if s.out == nil {
		return
	}
	width, _ := terminalSize(s.out)
	fmt.Fprintf(s.out, "\r%s\x1b[K", cut("  "+printable(text), width-1))
	s.drawn = true
}

// clear takes the line away before something else is printed.
func (s *scanned) clear() {
	if s.drawn {
		fmt.Fprint(s.out, "\r\x1b[K")
		s.drawn = false
	}
}
