package archive

import (
	"bytes"
	"io"
	"strings"
	"time"
)

const (
	arMagic     = "!<arch>\n"
	arHeader    = 60
	maxNames    = 1 << 20 // bytes of a GNU table of long names
	maxNameLen  = 4096    // PATH_MAX
	arHeaderEnd = "`\n"
)

// ar walks the common format and both ways to spell long names: GNU's "/12"
// with a table, BSD's "#1/12" with the name before the content.
func (w *walk) ar(c *container, s *source) error {
	in := &cursor{s: s}
	magic := make([]byte, len(arMagic))
	if err := in.full(magic); err != nil || string(magic) != arMagic {
		return asFault(err, "ar: magic")
	}
	var longNames []byte
	for {
		if in.pos%2 != 0 {
			var pad [1]byte
			if err := in.full(pad[:]); err == io.EOF {
				return nil // the last body's padding may be missing
			} else if err != nil {
				return asFault(err, "ar: padding")
			}
			if pad[0] != '\n' && pad[0] != 0 {
				return damaged(nil, "ar: no padding before byte %d", in.pos)
			}
		}
		at := in.pos
		var h [arHeader]byte
		if err := in.full(h[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return asFault(err, "ar: header at byte %d", at)
		}
		size, ok := number(h[48:58], 10)
		if string(h[58:60]) != arHeaderEnd || !ok {
			return damaged(nil, "ar: malformed header at byte %d", at)
		}
		name := strings.TrimRight(string(h[:16]), " ")
		switch {
		case name == "//":
			if size > maxNames {
				return unsupported("ar: table of %d bytes of long names; the most read is %d", size, maxNames)
			}
			longNames = make([]byte, size)
			if err := in.full(longNames); err != nil {
				return asFault(err, "ar: long names")
			}
			continue
		case name == "/" || name == "/SYM64/": // the linker's index
			if err := in.to(in.pos + size); err != nil {
				return asFault(err, "ar: symbol index")
			}
			continue
		}
		name, used, err := arName(in, name, size, longNames)
		if err != nil {
			return err
		}
		e := &Entry{RawPath: name, Type: File, Size: size - used}
		if mtime, ok := number(h[16:28], 10); ok {
			e.ModTime = time.Unix(mtime, 0)
		}
		mode, modeKnown := octal(h[40:48])
		e.Mode = unixPermissions(mode)
		if t := unixType(mode); t != "" {
			e.Type = t
		}
		body, end := in.body(size - used)
		if err := w.member(c, &member{Entry: e, body: body, modeKnown: modeKnown}); err != nil {
			return err
		}
		if err := in.to(end); err != nil {
			return asFault(err, "ar: content of %q", name)
		}
	}
}

// arName resolves the name field; used is how much of the body was the name.
func arName(in *cursor, field string, size int64, longNames []byte) (name string, used int64, err error) {
	if rest, ok := strings.CutPrefix(field, "#1/"); ok {
		n, ok := number([]byte(rest), 10)
		if !ok || n > size || n > maxNameLen {
			return "", 0, damaged(nil, "ar: name length %q", rest)
		}
		b := make([]byte, n)
		if err := in.full(b); err != nil {
			return "", 0, asFault(err, "ar: name")
		}
		return string(bytes.TrimRight(b, "\x00")), n, nil
	}
	if rest, ok := strings.CutPrefix(field, "/"); ok {
		at, ok := number([]byte(rest), 10)
		if !ok || at >= int64(len(longNames)) {
			return "", 0, damaged(nil, "ar: long name %q is not in the table", field)
		}
		b, _, found := bytes.Cut(longNames[at:], []byte("\n"))
		if !found || len(b) > maxNameLen {
			return "", 0, damaged(nil, "ar: long name %q does not end", field)
		}
		return strings.TrimSuffix(string(b), "/"), 0, nil
	}
	return strings.TrimSuffix(field, "/"), 0, nil
}
