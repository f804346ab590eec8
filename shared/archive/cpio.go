package archive

import (
	"io"
	"io/fs"
	"time"
)

const cpioTrailer = "TRAILER!!!"

// cpioHeader is what the forms have in common.
type cpioHeader struct {
	mode, mtime, nameLen, size int64
	align                      int64 // of name and body
}

// cpio walks the SVR4 form ("newc", with and without checksums) and the POSIX
// one ("odc"). Archives behind each other are one, as the kernel reads them.
func (w *walk) cpio(c *container, s *source) error {
	in := &cursor{s: s}
	for {
		at := in.pos
		h, err := readCpioHeader(in)
		if err != nil {
			return err
		}
		if h.nameLen < 1 || h.nameLen > maxNameLen {
			return damaged(nil, "cpio: name of %d bytes at byte %d", h.nameLen, at)
		}
		name := make([]byte, h.nameLen)
		if err := in.full(name); err != nil {
			return asFault(err, "cpio: name at byte %d", at)
		}
		if name[len(name)-1] != 0 {
			return damaged(nil, "cpio: name does not end at byte %d", in.pos)
		}
		raw := string(name[:len(name)-1])
		if err := in.to(aligned(in.pos, h.align)); err != nil {
			return asFault(err, "cpio: padding of %q", raw)
		}
		if raw == cpioTrailer && h.size == 0 {
			more, err := cpioMore(in)
			if err != nil || !more {
				return err
			}
			continue
		}
		if err := w.cpioEntry(c, in, h, raw); err != nil {
			return err
		}
	}
}

func (w *walk) cpioEntry(c *container, in *cursor, h cpioHeader, raw string) error {
	e := &Entry{RawPath: raw, Type: File, Mode: unixPermissions(h.mode), Size: h.size, ModTime: time.Unix(h.mtime, 0)}
	if t := unixType(h.mode); t != "" {
		e.Type = t
	}
	body, end := in.body(h.size)
	if e.Type == Symlink {
		if h.size > maxNameLen {
			return damaged(nil, "cpio: link target of %d bytes in %q", h.size, raw)
		}
		target := make([]byte, h.size)
		if err := in.full(target); err != nil {
			return asFault(err, "cpio: link target of %q", raw)
		}
		e.Linkname = string(target)
	}
	if err := w.member(c, &member{Entry: e, body: body, modeKnown: true}); err != nil {
		return err
	}
	if err := in.to(aligned(end, h.align)); err != nil {
		return asFault(err, "cpio: content of %q", raw)
	}
	return nil
}

func aligned(n, to int64) int64 { return (n + to - 1) / to * to }

func readCpioHeader(in *cursor) (h cpioHeader, err error) {
	at := in.pos
	var b [110]byte
	if err := in.full(b[:6]); err != nil {
		return h, asFault(err, "cpio: ends at byte %d without its trailer", at)
	}
	ok := true
	field := func(from, to int, base int64) int64 {
		n, valid := number(b[from:to], base)
		ok = ok && valid
		return n
	}
	switch string(b[:6]) {
	case "070701", "070702":
		if err := in.full(b[6:]); err != nil {
			return h, asFault(err, "cpio: header at byte %d", at)
		}
		h = cpioHeader{
			mode: field(14, 22, 16), mtime: field(46, 54, 16), size: field(54, 62, 16), nameLen: field(94, 102, 16),
			align: 4,
		}
	case "070707":
		if err := in.full(b[6:76]); err != nil {
			return h, asFault(err, "cpio: header at byte %d", at)
		}
		h = cpioHeader{
			mode: field(18, 24, 8), mtime: field(48, 59, 8), nameLen: field(59, 65, 8), size: field(65, 76, 8),
			align: 1,
		}
	case "07070X":
		return h, unsupported("cpio: rpm's form for files over 4 GB")
	default:
		return h, damaged(nil, "cpio: no header at byte %d", at)
	}
	if !ok {
		return h, damaged(nil, "cpio: malformed header at byte %d", at)
	}
	return h, nil
}

// cpioMore passes over the zeros behind a trailer and leaves the cursor at
// the next header. What else follows (an initramfs has a compressed cpio
// behind a plain one) is not read and therefore reported.
func cpioMore(in *cursor) (bool, error) {
	// Headers are aligned to four bytes; only odc may end elsewhere.
	var quad [4]byte
	for {
		at := in.pos
		n, err := io.ReadFull(in, quad[:min(4, 4-at%4)])
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF && allZero(quad[:n]):
			return false, nil
		case err != nil && err != io.ErrUnexpectedEOF:
			return false, asFault(err, "cpio: after its trailer")
		case allZero(quad[:n]):
		case string(quad[:n]) == "0707":
			in.unread(quad[:n])
			return true, nil
		default:
			return false, unsupported("cpio: bytes that are no cpio follow its trailer at byte %d", at)
		}
	}
}

// unixType reads the S_IFMT bits; empty for none.
func unixType(mode int64) EntryType {
	switch mode & 0o170000 {
	case 0:
		return ""
	case 0o100000:
		return File
	case 0o040000:
		return Dir
	case 0o120000:
		return Symlink
	case 0o020000, 0o060000:
		return Device
	case 0o010000:
		return Fifo
	}
	return Other
}

func unixPermissions(mode int64) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	if mode&0o4000 != 0 {
		m |= fs.ModeSetuid
	}
	if mode&0o2000 != 0 {
		m |= fs.ModeSetgid
	}
	if mode&0o1000 != 0 {
		m |= fs.ModeSticky
	}
	return m
}
