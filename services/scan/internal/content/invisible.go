package content

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode/utf8"

	"assize.dev/shared/event"
)

const (
	zeroWidthNonJoiner = '\u200c'
	zeroWidthJoiner    = '\u200d'
	byteOrderMark      = '\ufeff'
)

// reorders tells the controls of Unicode's bidirectional algorithm that hold
// until they are closed (UAX 9 §2.1 to §2.5).
func reorders(c rune) bool {
	return '\u202a' <= c && c <= '\u202e' || '\u2066' <= c && c <= '\u2069'
}

// unshown tells characters that take no room: zero width ones, fillers, tags
// and variation selectors.
func unshown(c rune) bool {
	switch {
	case '\u200b' <= c && c <= '\u200d', '\u2060' <= c && c <= '\u2064', c == byteOrderMark,
		c == '\u115f', c == '\u1160', c == '\u3164', c == '\uffa0',
		'\ufe00' <= c && c <= '\ufe0f', 0xe0000 <= c && c <= 0xe01ef:
		return true
	}
	return false
}

// longRun is how many characters that are not shown behind each other no
// language and no emoji needs: the flag of Scotland has seven.
const longRun = 16

// sourceExtensions are those of files that compilers and interpreters read.
var sourceExtensions = setOf(".go .js .mjs .cjs .jsx .ts .mts .cts .tsx .py .pyi .pyx .rb .rs .c .h .cc .cpp .cxx .hh .hpp .hxx .java .kt .kts .scala .groovy .gradle .cs .fs .vb .php .pl .pm .sh .bash .zsh .fish .ps1 .psm1 .bat .cmd .lua .swift .m .mm .sql .r .jl .ex .exs .erl .hs .ml .clj .dart .zig .nim .sol .v .vhd .sv .asm .s .cmake .mk .tcl .awk .pth")

var sourceNames = setOf("makefile dockerfile rakefile gemfile cmakelists.txt configure preinst postinst prerm postrm .install")

func setOf(words string) map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(words) {
		set[word] = true
	}
	return set
}

// isSource tells code from data and from translations, whose text needs such
// characters.
func isSource(entry string) bool {
	dir, base := path.Split(strings.ToLower(entry))
	for part := range strings.FieldsFuncSeq(dir, func(c rune) bool { return c == '/' }) {
		switch part {
		case "locale", "locales", "i18n", "l10n", "lang", "langs", "language", "languages", "translation", "translations", "cldr", "messages", "nls":
			return false
		}
	}
	return sourceExtensions[path.Ext(base)] || sourceNames[base]
}

// reading counts what a source file hides from its readers.
type reading struct {
	line int
	open int // controls of the line that are not closed yet
	run  int // characters behind each other that are not shown

	reordered, hidden, long int // first line that has each; 0 for none
	shown                   rune
}

// readSource goes through a file of any size once. Nearly all of it is ASCII
// and passed over in blocks.
func readSource(content io.Reader) (*reading, error) {
	r := &reading{line: 1}
	buf := make([]byte, 32<<10)
	kept := 0
	for {
		n, err := content.Read(buf[kept:])
		rest := r.take(buf[:kept+n], err != nil)
		kept = copy(buf, rest)
		if err == io.EOF {
			r.endLine()
			return r, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// take reads whole characters and gives back the start of one that is cut.
func (r *reading) take(p []byte, last bool) []byte {
	for len(p) > 0 {
		if n := leadingASCII(p); n > 0 {
			r.run = 0
			if lines := bytes.Count(p[:n], []byte("\n")); lines > 0 {
				r.endLine()
				r.line += lines
			}
			p = p[n:]
			continue
		}
		if !last && !utf8.FullRune(p) {
			return p
		}
		c, n := utf8.DecodeRune(p)
		r.char(c)
		p = p[n:]
	}
	return nil
}

func (r *reading) char(c rune) {
	switch {
	case c == '\u202c' || c == '\u2069': // pop
		r.open = max(0, r.open-1)
		r.note(&r.hidden, c)
	case reorders(c):
		r.open++
		r.note(&r.hidden, c)
	case !unshown(c):
		r.run = 0
		return
	case c == zeroWidthJoiner || c == zeroWidthNonJoiner || '\ufe00' <= c && c <= '\ufe0f' || c == byteOrderMark:
		// Emoji and several scripts are written with these; byte order
		// marks are left where files were put behind each other.
	default:
		r.note(&r.hidden, c)
	}
	if unshown(c) {
		if r.run++; r.run == longRun {
			r.note(&r.long, c)
		}
	}
}

func (r *reading) note(line *int, c rune) {
	if *line == 0 {
		*line = r.line
		if r.shown == 0 {
			r.shown = c
		}
	}
}

func (r *reading) endLine() {
	if r.open > 0 && r.reordered == 0 {
		r.reordered = r.line
	}
	r.open = 0
}

// source notes characters in code that its readers do not see.
func (f *findings) source(location string, content io.Reader) error {
	r, err := readSource(content)
	if err != nil {
		return err
	}
	note := func(rule *rule, line int) {
		if line > 0 {
			severity := f.severity(rule)
			if amongTests(location) && severity == event.High {
				severity = event.Medium
			}
			f.addAs(rule, severity, location, line, fmt.Sprintf("file %s (first is %U)", rule.means, r.shown))
		}
	}
	note(&invisibleCode, r.long)
	switch {
	case r.reordered > 0:
		note(&bidiControl, r.reordered)
	case r.long == 0:
		note(&invisibleText, r.hidden)
	}
	return nil
}

// leadingASCII counts by eight bytes at once, as nearly all of them are.
func leadingASCII(p []byte) int {
	n := 0
	for ; n+8 <= len(p) && binary.LittleEndian.Uint64(p[n:])&0x8080808080808080 == 0; n += 8 {
	}
	for ; n < len(p) && p[n] < utf8.RuneSelf; n++ {
	}
	return n
}
