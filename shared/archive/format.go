package archive

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// Format is what bytes are, told from the bytes alone.
type Format string

const (
	Unknown Format = "unknown"
	Tar     Format = "tar"
	Zip     Format = "zip"
	Ar      Format = "ar" // Debian packages are ar
	Cpio    Format = "cpio"
	RPM     Format = "rpm"  // lead, signature, header, compressed cpio
	PSPF    Format = "pspf" // PSPF/2025: launcher, metadata, slots; told by its end
	Gzip    Format = "gzip"
	Zstd    Format = "zstd"
	XZ      Format = "xz"
	Bzip2   Format = "bzip2"
	LZMA    Format = "lzma"
	ELF     Format = "elf"
	PE      Format = "pe"
	MachO   Format = "mach-o"
)

// sniffLen is the size of a tar header, the longest thing Sniff looks at.
const sniffLen = 512

// Sniff tells the format from the first bytes of a file; 512 of them are
// enough for all formats, tar included. A zip behind other bytes (a
// self-extracting program) is not Zip to Sniff, nor a PSPF package PSPF, but
// Walk finds them.
func Sniff(head []byte) Format {
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return m.format
		}
	}
	switch {
	case isTar(head):
		return Tar
	case isZstdSkippable(head):
		return Zstd
	case isBzip2(head):
		return Bzip2
	case isPE(head):
		return PE
	case isFatMachO(head):
		return MachO
	case isLZMA(head):
		return LZMA
	}
	return Unknown
}

var magics = []struct {
	magic  string
	format Format
}{
	{"\x1f\x8b", Gzip},
	{"PK\x03\x04", Zip},
	{"PK\x05\x06", Zip}, // no entries
	{"!<arch>\n", Ar},
	{"070701", Cpio}, // SVR4 "newc"
	{"070702", Cpio}, // the same with checksums
	{"070707", Cpio}, // POSIX.1 "odc"
	{"07070X", Cpio}, // rpm's form for files over 4 GB
	{"\xed\xab\xee\xdb", RPM},
	{"\x28\xb5\x2f\xfd", Zstd},
	{"\xfd7zXZ\x00", XZ},
	{"\x7fELF", ELF},
	{"\xfe\xed\xfa\xce", MachO}, {"\xfe\xed\xfa\xcf", MachO},
	{"\xce\xfa\xed\xfe", MachO}, {"\xcf\xfa\xed\xfe", MachO},
}

// isTar accepts the ustar magic, and the header of the seventh edition,
// which has none, by its checksum: all bytes summed with the checksum field
// itself taken as spaces.
func isTar(head []byte) bool {
	if len(head) < sniffLen {
		return len(head) >= 262 && string(head[257:262]) == "ustar"
	}
	if string(head[257:262]) == "ustar" {
		return true
	}
	want, ok := octal(head[148:156])
	if !ok || want == 0 {
		return false
	}
	var unsigned, signed int64
	for i, c := range head[:sniffLen] {
		if 148 <= i && i < 156 {
			c = ' '
		}
		unsigned += int64(c)
		signed += int64(int8(c)) // some historical writers summed signed chars
	}
	return want == unsigned || want == signed
}

// octal reads a number field as tar, ar and cpio write it.
func octal(field []byte) (int64, bool) { return number(field, 8) }

// number reads digits of the base between optional spaces and NULs.
func number(field []byte, base int64) (int64, bool) {
	field = bytes.Trim(field, " \x00")
	if len(field) == 0 {
		return 0, false
	}
	var n int64
	for _, c := range field {
		var d int64
		switch {
		case '0' <= c && c <= '9':
			d = int64(c - '0')
		case 'a' <= c && c <= 'f':
			d = int64(c-'a') + 10
		case 'A' <= c && c <= 'F':
			d = int64(c-'A') + 10
		default:
			return 0, false
		}
		if d >= base || n > (1<<62)/base {
			return 0, false
		}
		n = n*base + d
	}
	return n, true
}

// isZstdSkippable: RFC 8878 §3.1.2, magic 0x184D2A50 to 0x184D2A5F.
func isZstdSkippable(head []byte) bool {
	return len(head) >= 8 && head[0]&0xf0 == 0x50 && string(head[1:4]) == "\x2a\x4d\x18"
}

// isBzip2 wants the level and the magic of the first block or of the end.
func isBzip2(head []byte) bool {
	return len(head) >= 10 && string(head[:3]) == "BZh" && '1' <= head[3] && head[3] <= '9' &&
		(string(head[4:10]) == "1AY&SY" || string(head[4:10]) == "\x17\x72\x45\x38\x50\x90")
}

// isPE follows e_lfanew at 0x3c to the signature; beyond the head it is
// believed if it is sane.
func isPE(head []byte) bool {
	if len(head) < 0x40 || string(head[:2]) != "MZ" {
		return false
	}
	at := int64(binary.LittleEndian.Uint32(head[0x3c:]))
	if at+4 <= int64(len(head)) {
		return string(head[at:at+4]) == "PE\x00\x00"
	}
	return at < 1<<20
}

// isFatMachO tells a universal binary from a Java class file, which has the
// same magic: what is a count of architectures in one is a version number of
// at least 45 in the other.
func isFatMachO(head []byte) bool {
	if len(head) < 8 || string(head[:4]) != "\xca\xfe\xba\xbe" {
		return false
	}
	n := binary.BigEndian.Uint32(head[4:])
	return 0 < n && n < 45
}

// isLZMA judges the 13 bytes of the "alone" header, which has no magic, as
// the file tool of XZ Utils does: default properties, a dictionary of 2^n or
// 2^n+2^(n-1), a size that is unknown or below 256 GiB.
func isLZMA(head []byte) bool {
	if len(head) < 14 || head[0] != 0x5d || head[13] != 0 {
		return false
	}
	dict := binary.LittleEndian.Uint32(head[1:])
	size := binary.LittleEndian.Uint64(head[5:])
	if dict < 1<<12 || bits.OnesCount32(dict) > 2 {
		return false
	}
	if bits.OnesCount32(dict) == 2 && bits.Len32(dict)-bits.TrailingZeros32(dict) != 2 {
		return false
	}
	return size == 1<<64-1 || size < 1<<38
}

// compressed reports whether f wraps exactly one stream of bytes.
func (f Format) compressed() bool {
	switch f {
	case Gzip, Zstd, XZ, Bzip2, LZMA:
		return true
	}
	return false
}

// container reports whether Walk opens f.
func (f Format) container() bool {
	switch f {
	case Tar, Zip, Ar, Cpio, RPM, PSPF:
		return true
	}
	return f.compressed()
}
