package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"assize.dev/shared/event"
)

// However small the window and however odd the names, no line wraps and what
// is erased is what was drawn: or the screen would fill with leftovers.
func TestProgressStaysWithinTheTerminal(t *testing.T) {
	names := []string{"a.tgz", strings.Repeat("long", 60), strings.Repeat("幅", 60), "\x1b[31mred\nline", "e\u0301\u0301"}
	up := regexp.MustCompile(`\x1b\[(\d+)A\x1b\[J`)
	for _, size := range [][2]int{{200, 50}, {110, 24}, {80, 24}, {40, 5}, {12, 3}, {2, 1}} {
		var out bytes.Buffer
		p := &progress{out: &out, size: func() (int, int) { return size[0], size[1] }}
		drawn := 0
		check := func() {
			t.Helper()
			text := out.String()
			out.Reset()
			if m := up.FindStringSubmatch(text); m != nil {
				if n, _ := strconv.Atoi(m[1]); n != drawn {
					t.Fatalf("%v: erased %d lines of %d", size, n, drawn)
				}
				text = up.ReplaceAllString(text, "")
			} else if drawn > 0 {
				t.Fatalf("%v: %d lines stay", size, drawn)
			}
			drawn = strings.Count(text, "\n")
			if drawn > max(2, size[1]-1) {
				t.Errorf("%v: %d lines", size, drawn)
			}
			for line := range strings.Lines(text) {
				if line = strings.TrimSuffix(line, "\n"); columns(line) >= max(size[0], 2) {
					t.Errorf("%v: %d columns: %q", size, columns(line), line)
				}
				if strings.ContainsRune(line, 0x1B) {
					t.Errorf("%v: a name drives the terminal: %q", size, line)
				}
			}
		}
		for i := range 20 {
			p.start(fmt.Sprint(i), names[i%len(names)])
			check()
		}
		p.evidence("3", event.KindSBOM, event.Failed)
		check()
		p.decided("3")
		check()
		if err := p.finish("3", func() error { return nil }); err != nil {
			t.Fatal(err)
		}
		check()
		p.clear()
		check()
		p.decided("1")
		if out.Len() > 0 {
			t.Errorf("%v: drawn after clear: %q", size, out.String())
		}
	}
}
