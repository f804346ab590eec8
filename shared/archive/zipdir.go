package archive

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// zipDirectory says where the central directory lies (APPNOTE 4.3.12 to
// 4.3.16).
type zipDirectory struct {
	base       int64 // bytes before the zip proper; offsets count from here
	start, end int64
	records    uint64
	zip64      bool
	trailing   int64 // bytes behind the end record and its comment
	ending     int64 // where the end record begins
}

const (
	zipEndLen     = 22
	zip64EndLen   = 56
	zip64LocLen   = 20
	zipRecordLen  = 46
	zipRecordSign = "PK\x01\x02"
)

// endsAsZip reports whether a zip ends where the bytes end, whatever they
// begin with.
func endsAsZip(at io.ReaderAt, size int64) bool {
	dir, err := findZipDirectory(at, size)
	return err == nil && (dir.records == 0 || hasZipRecord(at, dir.start))
}

// endsExactlyAsZip wants the zip's last byte to be the file's.
func endsExactlyAsZip(at io.ReaderAt, size int64) bool {
	dir, err := findZipDirectory(at, size)
	return err == nil && dir.trailing == 0 && (dir.records == 0 || hasZipRecord(at, dir.start))
}

func findZipDirectory(at io.ReaderAt, size int64) (*zipDirectory, error) {
	end, record, err := findZipEnd(at, size)
	if err != nil {
		return nil, err
	}
	d := &zipDirectory{end: end, ending: end, records: uint64(binary.LittleEndian.Uint16(record[10:]))}
	d.trailing = size - end - zipEndLen - int64(binary.LittleEndian.Uint16(record[20:]))
	length := uint64(binary.LittleEndian.Uint32(record[12:]))
	offset := uint64(binary.LittleEndian.Uint32(record[16:]))
	if d.records == 1<<16-1 || length == 1<<32-1 || offset == 1<<32-1 {
		if found, b := findZip64End(at, end); b != nil {
			d.zip64, d.end = true, found
			d.records = binary.LittleEndian.Uint64(b[32:])
			length = binary.LittleEndian.Uint64(b[40:])
			offset = binary.LittleEndian.Uint64(b[48:])
		}
	}
	if length > uint64(d.end) || offset > uint64(d.end)-length {
		return nil, damaged(nil, "zip: the directory of %d bytes at byte %d lies outside the file", length, offset)
	}
	d.start = d.end - int64(length)
	d.base = d.start - int64(offset)
	// Some writers put bytes between directory and end; offsets from the
	// start of the file are then right as they stand.
	if d.base > 0 && !hasZipRecord(at, d.start) && hasZipRecord(at, int64(offset)) {
		d.base, d.start = 0, int64(offset)
	}
	return d, nil
}

func hasZipRecord(at io.ReaderAt, offset int64) bool {
	var sign [4]byte
	n, _ := at.ReadAt(sign[:], offset)
	return string(sign[:n]) == zipRecordSign
}

// findZipEnd looks for the last end record whose comment fits.
func findZipEnd(at io.ReaderAt, size int64) (int64, []byte, error) {
	for _, length := range []int64{1 << 10, zipEndLen + 1<<16 - 1} {
		length = min(length, size)
		tail := make([]byte, length)
		if n, err := at.ReadAt(tail, size-length); int64(n) < length {
			return 0, nil, asFault(err, "zip: end record")
		}
		for i := len(tail) - zipEndLen; i >= 0; i-- {
			if string(tail[i:i+4]) != "PK\x05\x06" {
				continue
			}
			if comment := int(binary.LittleEndian.Uint16(tail[i+20:])); i+zipEndLen+comment <= len(tail) {
				return size - length + int64(i), tail[i : i+zipEndLen], nil
			}
		}
		if length == size {
			break
		}
	}
	return 0, nil, damaged(nil, "zip: no end of the central directory")
}

// endsTwice looks before the end record for another one whose comment reaches
// exactly to the end of the file.
func (d *zipDirectory) endsTwice(at io.ReaderAt, size int64) bool {
	before := make([]byte, min(d.ending, 1<<16-1))
	start := d.ending - int64(len(before))
	if n, _ := at.ReadAt(before, start); n < len(before) {
		return false // the failure comes again where it counts
	}
	for i := len(before) - zipEndLen; i >= 0; i-- {
		if string(before[i:i+4]) == "PK\x05\x06" &&
			start+int64(i)+zipEndLen+int64(binary.LittleEndian.Uint16(before[i+20:])) == size {
			return true
		}
	}
	return false
}

// findZip64End follows the locator before the ordinary end record, whose
// offset is wrong where bytes were put before the zip.
func findZip64End(at io.ReaderAt, end int64) (int64, []byte) {
	var loc [zip64LocLen]byte
	if end < zip64LocLen+zip64EndLen {
		return 0, nil
	}
	if n, _ := at.ReadAt(loc[:], end-zip64LocLen); n < len(loc) || string(loc[:4]) != "PK\x06\x07" {
		return 0, nil
	}
	claimed := binary.LittleEndian.Uint64(loc[8:])
	for _, offset := range []int64{int64(min(claimed, uint64(end))), end - zip64LocLen - zip64EndLen} {
		b := make([]byte, zip64EndLen)
		if n, _ := at.ReadAt(b, offset); n == len(b) && string(b[:4]) == "PK\x06\x06" {
			return offset, b
		}
	}
	return 0, nil
}

// zipRecord is one record of the central directory.
type zipRecord struct {
	name          string
	flags, method uint16
	crc           uint32
	packed, size  uint64
	header        uint64 // offset of the local header from base
	unixMode      uint32 // the upper half of the external attributes, whoever wrote it
	fromDOS       bool   // written on a system without Unix permissions
	dosDir        bool
	modTime       time.Time
	otherName     string // of Info-ZIP's Unicode path field

	// From the entry's own header, once that was read.
	content int64 // offset in the file; 0 while unknown
	differs bool  // it tells another size or checksum
}

var errNoRecord = errors.New("no further record")

func readZipRecord(br *bufio.Reader) (*zipRecord, error) {
	var h [zipRecordLen]byte
	if n, err := io.ReadFull(br, h[:]); err == io.EOF || err == nil && string(h[:4]) != zipRecordSign ||
		err == io.ErrUnexpectedEOF && (n < 4 || string(h[:4]) != zipRecordSign) {
		return nil, errNoRecord
	} else if err != nil {
		return nil, err
	}
	u16 := func(i int) uint16 { return binary.LittleEndian.Uint16(h[i:]) }
	u32 := func(i int) uint32 { return binary.LittleEndian.Uint32(h[i:]) }
	r := &zipRecord{
		flags: u16(8), method: u16(10), crc: u32(16),
		packed: uint64(u32(20)), size: uint64(u32(24)), header: uint64(u32(42)),
		unixMode: u32(38) >> 16, dosDir: u32(38)&0x10 != 0,
		modTime: dosTime(u16(14), u16(12)),
	}
	if system := h[5]; system != 3 && system != 19 { // Unix, macOS
		r.fromDOS = true
	}
	// Two lengths of 16 bits each: at most 128 KiB, whatever they say.
	b := make([]byte, int(u16(28))+int(u16(30)))
	if _, err := io.ReadFull(br, b); err != nil {
		return nil, noEOF(err)
	}
	if _, err := br.Discard(int(u16(32))); err != nil {
		return nil, noEOF(err)
	}
	r.name = string(b[:u16(28)])
	if err := r.extra(b[u16(28):]); err != nil {
		return nil, err
	}
	if r.fromDOS && unixType(int64(r.unixMode)) == "" {
		r.unixMode = 0
	}
	return r, nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// extra reads what matters of the extra field: zip64 sizes (4.5.3) and the
// Unix time of "UT".
func (r *zipRecord) extra(b []byte) error {
	for len(b) >= 4 {
		tag, n := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		b = b[4:]
		if n > len(b) {
			return nil // Android's zipalign pads with such remainders
		}
		field := b[:n]
		b = b[n:]
		switch tag {
		case 0x0001:
			for _, v := range []*uint64{&r.size, &r.packed, &r.header} {
				if *v != 1<<32-1 {
					continue
				}
				if len(field) < 8 {
					return damaged(nil, "zip: zip64 field of %q is too short", r.name)
				}
				*v, field = binary.LittleEndian.Uint64(field), field[8:]
			}
		case 0x7075: // 4.6.9: holds only while the checksum is that of the name
			if len(field) >= 5 && field[0] == 1 && binary.LittleEndian.Uint32(field[1:]) == crc32.ChecksumIEEE([]byte(r.name)) && isASCII(r.name) {
				r.otherName = string(field[5:])
			}
		case 0x5455:
			if len(field) >= 5 && field[0]&1 != 0 {
				r.modTime = time.Unix(int64(int32(binary.LittleEndian.Uint32(field[1:]))), 0).UTC()
			}
		}
	}
	return nil
}

// isASCII tells names that need no second spelling from those in a code page.
func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c >= utf8.RuneSelf })
}

// dosTime is local to whoever wrote it, and taken as UTC.
func dosTime(date, clock uint16) time.Time {
	return time.Date(int(date>>9)+1980, time.Month(date>>5&15), int(date&31),
		int(clock>>11), int(clock>>5&63), int(clock&31)*2, 0, time.UTC)
}
