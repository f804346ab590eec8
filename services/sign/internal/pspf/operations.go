package pspf

import (
	"fmt"
	"slices"
	"strings"

	"assize.dev/shared/archive"
)

// Codes of the operations that a slot's content went through.
const (
	opTar   = 0x01
	opGzip  = 0x10
	opBzip2 = 0x13
	opXz    = 0x16
	opZstd  = 0x1B
)

// operations names those that readers undo, and says what they make.
var operations = map[byte]struct {
	name string
	made archive.Format
}{
	opTar: {"tar", archive.Tar}, opGzip: {"gzip", archive.Gzip}, opBzip2: {"bzip2", archive.Bzip2},
	opXz: {"xz", archive.XZ}, opZstd: {"zstd", archive.Zstd},
}

// OperationNames spells the packed chain in the order of application, "raw"
// if there is none.
func (s *Slot) OperationNames() string {
	if s.Operations == 0 {
		return "raw"
	}
	var words []string
	for chain := s.Operations; chain != 0; chain >>= 8 {
		name := operations[byte(chain)].name
		if name == "" {
			name = fmt.Sprintf("%#02x", byte(chain))
		}
		words = append(words, name)
	}
	return strings.Join(words, "|")
}

// undoing lists what a chain made, the last operation first. It is not known
// for other operations, and where another precedes tar, which takes files.
func undoing(chain uint64) (made []archive.Format, known bool) {
	for rest := chain; rest != 0; rest >>= 8 {
		op, ok := operations[byte(rest)]
		if !ok || op.made == archive.Tar && len(made) > 0 {
			return nil, false
		}
		made = append([]archive.Format{op.made}, made...)
	}
	return made, true
}

// isOperation tells whether some operation makes the format.
func isOperation(f archive.Format) bool {
	for _, op := range operations {
		if op.made == f {
			return true
		}
	}
	return false
}

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

// understood are the spellings that every builder packs.
var understood = []string{"tar", "gzip", "tgz"}

// checkOperations holds the packed chain against the signed spelling. Go and
// Rust builders write 0 for words they do not know; then what to undo is told
// from the content, which the scanners do anyway.
func (v *verification) checkOperations(s *Slot) error {
	for rest := s.Operations; rest != 0; rest >>= 8 {
		if rest&0xff == 0 {
			return fmt.Errorf("operations %016x continue after their end", s.Operations)
		}
	}
	want, known := packOperations(s.Signed.Operations)
	switch {
	case known && s.Operations == want:
		return nil
	case s.Operations == 0 && !slices.Contains(understood, s.Signed.Operations):
		v.warnf("slot %d: no operations in the table, %.80q in the metadata", s.ID, s.Signed.Operations)
		return nil
	}
	return fmt.Errorf("operations %#x in the table, %.80q in the metadata", s.Operations, s.Signed.Operations)
}
