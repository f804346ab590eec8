package content

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"unicode/utf16"
)

const (
	// maxScript bounds what is read of one script.
	maxScript = 4 << 20

	// maxJudged bounds all scripts of a package together.
	maxJudged = 8 << 20

	// maxTried bounds how much of one script one pattern is tried on. Some
	// run at no more than 100 kB a second on text made against them.
	maxTried = 1 << 20

	// before and after are how much around a word its pattern sees.
	before = 384
	after  = 1024
)

// script is code that runs, and where.
type script struct {
	location string
	text     []byte
	cut      bool // there is more than was read
	rare     bool // it does not run at every installation
}

func readScript(location string, content io.Reader) (script, error) {
	text, err := io.ReadAll(io.LimitReader(content, maxScript+1))
	if err != nil {
		return script{}, err
	}
	s := script{location: location, cut: len(text) > maxScript}
	s.text = fromUTF16(text[:min(len(text), maxScript)])
	return s, nil
}

// fromUTF16 decodes what begins with a byte order mark, as PowerShell's
// scripts do.
func fromUTF16(text []byte) []byte {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(text, []byte("\xff\xfe")):
		order = binary.LittleEndian
	case bytes.HasPrefix(text, []byte("\xfe\xff")):
		order = binary.BigEndian
	default:
		return text
	}
	units := make([]uint16, 0, len(text)/2)
	for at := 2; at+1 < len(text); at += 2 {
		units = append(units, order.Uint16(text[at:]))
	}
	return []byte(string(utf16.Decode(units)))
}

// hit is a part of a text; start is negative where there is none.
type hit struct{ start, end int }

// judgeScript notes what a script does, each behaviour once. what says which
// script it is.
func (f *findings) judgeScript(s script, what string) {
	if s.cut {
		f.unseen(fmt.Sprintf("%.100q: only the first %d bytes of the script were examined", s.location, maxScript))
	}
	if f.judged += len(s.text); f.judged > maxJudged {
		f.unseen(fmt.Sprintf("%.100q: the script was not examined, as %d bytes of others were", s.location, maxJudged))
		return
	}
	text := joinLines(s.text)
	lower := lowered(text)
	mark := commentMark(s.location)
	met := map[*signal]hit{}
	find := func(sig *signal) hit {
		h, known := met[sig]
		if !known {
			var all bool
			if h, all = sig.find(text, lower, mark); !all {
				f.unseen(fmt.Sprintf("%.100q: the script has more places to look at than are tried", s.location))
			}
			met[sig] = h
		}
		return h
	}
	done := map[*rule]bool{}
	for _, b := range behaviours {
		if done[b.rule] || b.rule == &readsCredentials && done[&sendsCredentials] || b.rule == &systemPaths && done[&persistence] || b.rule == &network && len(done) > 0 {
			continue // it would say less than what is said already
		}
		shown := hit{-1, -1}
		for i, sig := range b.needs {
			h := find(sig)
			if i == 0 {
				shown = h
			}
			if h.start < 0 {
				shown.start = -1
				break
			}
		}
		if shown.start < 0 {
			continue
		}
		done[b.rule] = true
		severity := f.severity(b.rule)
		if s.rare {
			severity = milder(severity)
		}
		f.addAs(b.rule, severity, s.location, bytes.Count(s.text[:shown.start], []byte("\n"))+1,
			fmt.Sprintf("%s %s: %s", what, b.rule.means, excerpt(text, shown)))
	}
}

// find tries the pattern around all of the words, at each place once, and
// passes over comments that begin with mark. all is false if it was not found
// before there was too much to try.
func (s *signal) find(text, lower []byte, mark string) (h hit, all bool) {
	left := maxTried
	for _, w := range around(s.near, lower) {
		end := min(w.end, w.start+left)
		if h, ok := outsideComments(s.pattern, text, w.start, end, mark); ok {
			return h, true
		}
		if left -= end - w.start; left == 0 {
			return hit{-1, -1}, false
		}
	}
	return hit{-1, -1}, true
}

// around gives the parts of the text that lie near any of the words, in order
// and without overlap.
func around(words []string, lower []byte) []hit {
	var parts []hit
	for _, word := range words {
		for from := 0; ; {
			at := bytes.Index(lower[from:], []byte(word))
			if at < 0 {
				break
			}
			at += from
			from = at + len(word)
			part := hit{max(0, at-before), min(len(lower), from+after)}
			if n := len(parts); n > 0 && parts[n-1].start <= part.start && part.start <= parts[n-1].end {
				parts[n-1].end = part.end // of the same word, most likely: keeps the list short
				continue
			}
			parts = append(parts, part)
		}
	}
	slices.SortFunc(parts, func(a, b hit) int { return cmp.Compare(a.start, b.start) })
	merged := parts[:0]
	for _, p := range parts {
		if n := len(merged); n > 0 && p.start <= merged[n-1].end {
			merged[n-1].end = max(merged[n-1].end, p.end)
			continue
		}
		merged = append(merged, p)
	}
	return merged
}

// outsideComments gives the first match between start and end that does not
// begin in a line that is only a comment.
func outsideComments(pattern *regexp.Regexp, text []byte, start, end int, mark string) (hit, bool) {
	for start < end {
		m := pattern.FindIndex(text[start:end])
		if m == nil {
			return hit{}, false
		}
		h := hit{start + m[0], start + m[1]}
		if !inComment(text, h.start, mark) {
			return h, true
		}
		next := bytes.IndexByte(text[h.start:end], '\n')
		if next < 0 {
			return hit{}, false
		}
		start = h.start + next + 1
	}
	return hit{}, false
}

// commentMark begins a comment in the script's language. The other's would
// hide code: "//bin/sh" is a path to a shell, "#x" a field in JavaScript.
func commentMark(location string) string {
	switch path.Ext(location) {
	case ".js", ".cjs", ".mjs", ".ts", ".rs":
		return "//"
	}
	return "#"
}

// inComment says that the line which has the byte is only a comment.
func inComment(text []byte, at int, mark string) bool {
	begin := bytes.LastIndexByte(text[:at], '\n') + 1
	line := bytes.TrimLeft(text[begin:min(len(text), begin+200)], " \t")
	return bytes.HasPrefix(line, []byte(mark)) && !bytes.HasPrefix(line, []byte("#!"))
}

// joinLines puts spaces where a shell's line goes on in the next, so that
// offsets stay.
func joinLines(text []byte) []byte {
	if !bytes.Contains(text, []byte("\\\n")) {
		return text
	}
	return bytes.ReplaceAll(text, []byte("\\\n"), []byte("  "))
}

// lowered makes ASCII lower case and keeps offsets, which bytes.ToLower does
// not.
func lowered(text []byte) []byte {
	out := make([]byte, len(text))
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		out[i] = c
	}
	return out
}

// excerpt quotes the hit with what its line says before it.
func excerpt(text []byte, h hit) string {
	const lead, most = 60, 480
	start := max(0, h.start-lead, bytes.LastIndexByte(text[:h.start], '\n')+1)
	if start > 0 && text[start-1] != '\n' { // not in the middle of a word, which could be a secret's
		if at := bytes.IndexAny(text[start:h.start], " \t"); at >= 0 {
			start += at
		} else {
			start = h.start
		}
	}
	end := min(len(text), h.end+lead, start+most)
	if at := bytes.IndexByte(text[h.end:max(end, h.end)], '\n'); at >= 0 {
		end = h.end + at
	}
	if end < len(text) {
		if at := bytes.LastIndexAny(text[start:end], " \t\n"); at > 0 && (start+at >= h.end || end < h.end) {
			end = start + at
		}
	}
	return quoted(string(bytes.TrimSpace(text[start:end])))
}
