package pspf

import (
	"fmt"
	"strings"
)

// Codes of the operations that a slot's content went through.
const (
	opTar   = 0x01
	opGzip  = 0x10
	opBzip2 = 0x13
	opXz    = 0x16
	opZstd  = 0x1B
)

// operationWords maps what builders write in the metadata to codes, in the
// order of application.
var operationWords = map[string][]byte{
	"": nil, "raw": nil, "none": nil,
	"tar": {opTar}, "gzip": {opGzip}, "bzip2": {opBzip2}, "xz": {opXz}, "zstd": {opZstd},
	"tgz": {opTar, opGzip}, "tar.gz": {opTar, opGzip},
	"tbz2": {opTar, opBzip2}, "tar.bz2": {opTar, opBzip2},
	"txz": {opTar, opXz}, "tar.xz": {opTar, opXz},
	"tar.zst": {opTar, opZstd},
}

// packOperations reads the signed spelling, words separated by "|" (Python)
// or "," (Rust), as the table packs it: byte k is the k-th operation.
func packOperations(spelling string) (chain uint64, known bool) {
	n := 0
	for word := range strings.FieldsFuncSeq(spelling, func(r rune) bool { return r == '|' || r == ',' }) {
		codes, ok := operationWords[strings.TrimSpace(word)]
		if !ok || n+len(codes) > 8 {
			return 0, false
		}
		for _, c := range codes {
			chain |= uint64(c) << (8 * n)
			n++
		}
	}
	return chain, true
}

// checkOperations holds the packed chain against the signed spelling. Go and
// Rust builders write 0 for words they do not know; then what to undo is told
// from the content, which the scanners do anyway.
func (v *verification) checkOperations(s *slot) error {
	for rest := s.operations; rest != 0; rest >>= 8 {
		if rest&0xff == 0 {
			return fmt.Errorf("operations %016x continue after their end", s.operations)
		}
	}
	want, known := packOperations(s.signed.Operations)
	switch {
	case known && s.operations == want:
		return nil
	case s.operations == 0:
		v.warnf("slot %d: no operations in the table, %.80q in the metadata", s.id, s.signed.Operations)
		return nil
	}
	return fmt.Errorf("operations %#x in the table, %.80q in the metadata", s.operations, s.signed.Operations)
}
