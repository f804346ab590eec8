package pspf

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"assize.dev/shared/digest"
)

const slotEntrySize = 64

// Slot is one entry of the unsigned slot table beside its signed description.
type Slot struct {
	ID           uint64
	NameHash     uint64 // of id or target, shortened like Checksum
	Offset, Size uint64 // of the stored bytes
	OriginalSize uint64 // a hint that builders disagree about
	Operations   uint64
	Checksum     uint64 // first 8 bytes of the stored bytes' SHA-256
	Purpose      byte
	Lifecycle    byte
	Platform     byte
	Mode         uint16

	// Signed is nil where the metadata describes fewer slots.
	Signed *MetadataSlot
	// Digest is that of the stored bytes, at level deep.
	Digest digest.Digest

	reserved [2]byte
}

func (s *Slot) data() section { return section{s.Offset, s.Size} }

// attestationLifecycle marks the slot that holds SBOM and provenance (0.4.x).
const attestationLifecycle = 11

func readSlot(b []byte) Slot {
	u64 := func(off int) uint64 { return binary.LittleEndian.Uint64(b[off:]) }
	return Slot{
		ID: u64(0), NameHash: u64(8), Offset: u64(16), Size: u64(24), OriginalSize: u64(32),
		Operations: u64(40), Checksum: u64(48), Purpose: b[56], Lifecycle: b[57], Platform: b[59],
		reserved: [2]byte{b[60], b[61]}, Mode: binary.LittleEndian.Uint16(b[62:]),
	}
}

// checkSlotTable holds the unsigned table against the signed metadata.
func (v *verification) checkSlotTable() (string, error) {
	signed := v.report.Metadata.Slots
	table, err := v.read(v.index.table.off, v.index.table.size)
	if err != nil {
		return "", err
	}
	slots := make([]Slot, v.index.slotCount)
	v.report.Slots = slots
	for i := range slots {
		slots[i] = readSlot(table[i*slotEntrySize:])
		if i < len(signed) {
			slots[i].Signed = &signed[i]
		}
	}
	if len(slots) != len(signed) {
		return "", flawf("the table has %d slots, the signed metadata %d", len(slots), len(signed))
	}
	if err := v.checkPadding(section{v.index.metadata.end(), v.index.table.off - v.index.metadata.end()}, "the slot table"); err != nil {
		return "", err
	}
	ids := make(map[string]bool, len(slots))
	end := v.index.table.end()
	for i := range slots {
		s := &slots[i]
		if s.ID != uint64(i) || s.Signed.Slot != int64(i) {
			return "", flawf("slot %d: the table numbers it %d, the metadata %d", i, s.ID, s.Signed.Slot)
		}
		if ids[s.Signed.ID] {
			return "", flawf("slot %d: id %.80q is taken", i, s.Signed.ID)
		}
		ids[s.Signed.ID] = true
		if err := v.checkSlot(s); err != nil {
			return "", flawf("slot %d (%.80q): %v", i, s.Signed.ID, err)
		}
		if s.Size == 0 && s.Offset == 0 {
			continue
		}
		if !s.data().within(end, v.index.trailer) {
			return "", flawf("slot %d (%.80q): %d bytes at %d do not lie between %d and the trailer at %d",
				i, s.Signed.ID, s.Size, s.Offset, end, v.index.trailer)
		}
		if err := v.checkPadding(section{end, s.Offset - end}, fmt.Sprintf("slot %d", i)); err != nil {
			return "", err
		}
		end = s.data().end()
	}
	if err := v.checkPadding(section{end, v.index.trailer - end}, "the trailer"); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d slots", len(slots)), nil
}

// checkSlot holds one entry against its description, ranges aside.
func (v *verification) checkSlot(s *Slot) error {
	if s.Signed.SelfRef && (s.data() != section{} || s.Checksum != 0 || s.Signed.Checksum != "") {
		return fmt.Errorf("refers to the package itself and yet has content")
	}
	if s.NameHash != leadingSum(s.Signed.ID) && s.NameHash != leadingSum(s.Signed.Target) &&
		!(s.Signed.SelfRef && s.NameHash == 0) {
		return fmt.Errorf("name hash %016x is neither of the id nor of the target", s.NameHash)
	}
	if n := len(s.Signed.ID); n == 0 || n > 255 {
		return fmt.Errorf("id has %d bytes, want 1 to 255", n)
	}
	if err := checkTarget(s.Signed.Target); err != nil {
		return err
	}
	if s.reserved != [2]byte{} {
		return fmt.Errorf("reserved bytes are not zero")
	}
	if err := v.checkOperations(s); err != nil {
		return err
	}
	if err := v.checkMode(s); err != nil {
		return err
	}
	v.checkHints(s)
	return nil
}

// checkHints warns of what the table says otherwise than the metadata and
// builders are known to disagree about.
func (v *verification) checkHints(s *Slot) {
	if want, ok := purposes[s.Signed.Purpose]; !slices.Contains(want, s.Purpose) && (ok || s.Purpose != 0) {
		v.warnf("slot %d: purpose %d in the table, %.40q in the metadata", s.ID, s.Purpose, s.Signed.Purpose)
	}
	if want, ok := lifecycles[s.Signed.Lifecycle]; !slices.Contains(want, s.Lifecycle) && (ok || s.Lifecycle != 2) {
		v.warnf("slot %d: lifecycle %d in the table, %.40q in the metadata", s.ID, s.Lifecycle, s.Signed.Lifecycle)
	}
	if s.Platform > 3 {
		v.warnf("slot %d: platform %d is unknown", s.ID, s.Platform)
	}
}

// purposes by their signed name: what the Go and Rust, or the Python builder
// writes. Unknown names are 0.
var purposes = map[string][]byte{
	"payload": {0}, "runtime": {1, 0}, "tool": {2, 0},
	"data": {0}, "code": {0, 1}, "config": {0, 2}, "media": {0, 3},
}

// lifecycles by their signed name. Unknown names are 2, and so are the two
// with alternatives in some builders.
var lifecycles = map[string][]byte{
	"init": {0}, "startup": {1}, "runtime": {2}, "shutdown": {3}, "cache": {4}, "cached": {4, 2}, "temp": {5, 2},
	"temporary": {5, 2}, "lazy": {6}, "eager": {7}, "dev": {8}, "config": {9}, "platform": {10}, "attestation": {attestationLifecycle},
}

// leadingSum is how the table shortens a SHA-256: its first 8 bytes.
func leadingSum(s string) uint64 {
	sum := sha256.Sum256([]byte(s))
	return binary.LittleEndian.Uint64(sum[:])
}

// checkTarget refuses a target outside the directory a launcher unpacks to.
func checkTarget(target string) error {
	path, placed := strings.CutPrefix(target, "{workenv}")
	beside := placed && path != "" && path[0] != '/' // "{workenv}-x" is another directory
	if placed {
		path = strings.TrimPrefix(path, "/")
	}
	drive := len(path) > 1 && path[1] == ':'
	if len(target) > 4096 || beside || strings.HasPrefix(path, "/") || drive || strings.Contains(path, `\`) ||
		strings.ContainsFunc(path, unicode.IsControl) || slices.Contains(strings.Split(path, "/"), "..") {
		return fmt.Errorf("target %.80q is not safe to unpack to", target)
	}
	return nil
}

// checkMode compares the permission bits. A builder that does not understand
// the signed spelling writes its default, and so does each without one.
func (v *verification) checkMode(s *Slot) error {
	if s.Mode > 0o777 {
		return fmt.Errorf("permissions %#o are more than 0777", s.Mode)
	}
	defaults := []uint16{0o600, 0o644}
	var text *string
	if raw := s.Signed.Permissions; len(raw) > 0 && json.Unmarshal(raw, &text) != nil {
		return fmt.Errorf("permissions %.40q in the metadata are not a string", raw)
	}
	if text == nil {
		if !slices.Contains(defaults, s.Mode) {
			return fmt.Errorf("permissions %#o in the table, none in the metadata", s.Mode)
		}
		return nil
	}
	if want, err := strconv.ParseUint(*text, 8, 16); err == nil {
		if s.Mode != uint16(want) {
			return fmt.Errorf("permissions %#o in the table, %#o in the metadata", s.Mode, want)
		}
		return nil
	}
	accepted := defaults
	if want, err := strconv.ParseUint(strings.TrimPrefix(*text, "0o"), 8, 16); err == nil {
		accepted = append(accepted, uint16(want))
	}
	if !slices.Contains(accepted, s.Mode) {
		return fmt.Errorf("permissions %#o in the table, %.40q in the metadata", s.Mode, *text)
	}
	v.warnf("slot %d: permissions %.40q in the metadata are not octal digits, the table has %#o", s.ID, *text, s.Mode)
	return nil
}

// checkPadding warns of bytes between sections: nothing binds them, and
// nothing reads them.
func (v *verification) checkPadding(gap section, before string) error {
	zero, err := v.isZero(gap)
	if err == nil && !zero {
		v.warnf("padding before %s is not zero", before)
	}
	return err
}
