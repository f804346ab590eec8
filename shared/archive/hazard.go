package archive

import (
	"hash/maphash"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// names judges the entries of one container: each by itself, and against the
// paths and links before it, of which it keeps 64-bit hashes only.
type names struct {
	seed    maphash.Seed
	exact   map[uint64]bool // true if a directory
	folded  map[uint64]uint64
	links   map[uint64]struct{}
	windows bool // backslashes separate
}

func newNames(f Format) *names {
	return &names{
		seed:    maphash.MakeSeed(),
		exact:   map[uint64]bool{},
		folded:  map[uint64]uint64{},
		links:   map[uint64]struct{}{},
		windows: f == Zip,
	}
}

// judge sets Path and Hazards from the entry's raw name, type, mode and link.
// modeKnown is false where the container has no Unix permissions.
func (s *names) judge(e *Entry, modeKnown bool) {
	raw := s.slashed(e.RawPath)
	note := func(h Hazard, is bool) {
		if is && !slices.Contains(e.Hazards, h) {
			e.Hazards = append(e.Hazards, h)
		}
	}
	e.Path = clean(raw)
	note(Traversal, climbs("", raw))
	note(Absolute, s.absolute(e.RawPath))
	note(BadName, badName(e.RawPath))
	switch e.Type {
	case Symlink:
		note(LinkOut, s.leaves(path.Dir(e.Path), e.Linkname))
		note(BadName, badName(e.Linkname))
	case Hardlink:
		note(LinkOut, s.leaves("", e.Linkname))
		note(BadName, badName(e.Linkname))
	case Device, Fifo:
		note(DeviceNode, true)
	}
	if modeKnown && e.Type != Symlink {
		note(SetID, e.Mode&(fs.ModeSetuid|fs.ModeSetgid) != 0)
		loose := e.Mode&0o002 != 0
		note(WorldWrite, loose && (e.Type == File || e.Type == Dir && e.Mode&fs.ModeSticky == 0))
	}
	note(LinkOut, s.throughLink(e.Path))
	s.compare(e, note)
}

func (s *names) compare(e *Entry, note func(Hazard, bool)) {
	h := maphash.String(s.seed, e.Path)
	f := maphash.String(s.seed, strings.ToLower(norm.NFC.String(e.Path)))
	wasDir, known := s.exact[h]
	note(Duplicate, known && !(wasDir && e.Type == Dir))
	s.exact[h] = e.Type == Dir && (wasDir || !known)
	if first, met := s.folded[f]; !met {
		s.folded[f] = h
	} else {
		note(CaseConflict, first != h)
	}
	if e.Type == Symlink {
		s.links[h] = struct{}{}
	}
}

// throughLink reports whether an earlier symlink of the container is a
// directory of the path: "d -> /etc" and then "d/passwd".
func (s *names) throughLink(p string) bool {
	if len(s.links) == 0 {
		return false
	}
	for i := range len(p) {
		if p[i] == '/' {
			if _, is := s.links[maphash.String(s.seed, p[:i])]; is {
				return true
			}
		}
	}
	return false
}

func (s *names) slashed(p string) string {
	if s.windows {
		return strings.ReplaceAll(p, `\`, "/")
	}
	return p
}

// leaves reports whether a link with this target, placed in dir, points out
// of the root.
func (s *names) leaves(dir, target string) bool {
	return s.absolute(target) || climbs(dir, s.slashed(target))
}

// absolute knows the absolute paths of Unix and of Windows, as an artifact
// may be unpacked on either.
func (s *names) absolute(p string) bool {
	if strings.HasPrefix(p, "/") || strings.HasPrefix(p, `\\`) || s.windows && strings.HasPrefix(p, `\`) {
		return true
	}
	if len(p) < 2 || p[1] != ':' || !isLetter(p[0]) {
		return false
	}
	return s.windows || len(p) > 2 && (p[2] == '/' || p[2] == '\\')
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// climbs walks p from dir, which is clean, and reports whether any step is
// above the root, even if later ones lead back in.
func climbs(dir, p string) bool {
	depth := 0
	if dir != "" && dir != "." {
		depth = strings.Count(dir, "/") + 1
	}
	for step := range strings.SplitSeq(p, "/") {
		switch step {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}

// clean gives the path below the root that raw would have if the root could
// not be left; the root itself is ".".
func clean(raw string) string {
	raw = strings.ToValidUTF8(strings.ReplaceAll(raw, "\x00", "\uFFFD"), "\uFFFD")
	p := path.Clean("/" + raw)[1:]
	if p == "" {
		return "."
	}
	return p
}

func badName(raw string) bool {
	return raw == "" || !utf8.ValidString(raw) || strings.ContainsFunc(raw, unicode.IsControl)
}
