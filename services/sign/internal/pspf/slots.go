package pspf

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const slotEntrySize = 64

// slot is one entry of the slot table beside its signed description.
type slot struct {
	id         uint64
	nameHash   uint64
	data       section
	operations uint64
	checksum   uint64 // first 8 bytes of the stored bytes' SHA-256
	purpose    byte
	lifecycle  byte
	reserved   [2]byte
	mode       uint16
	signed     *MetadataSlot
}

// attestationLifecycle marks the slot that holds SBOM and provenance (0.4.x).
const attestationLifecycle = 11

func readSlot(b []byte) slot {
	u64 := func(off int) uint64 { return binary.LittleEndian.Uint64(b[off:]) }
	return slot{
		id: u64(0), nameHash: u64(8), data: section{u64(16), u64(24)},
		operations: u64(40), checksum: u64(48), purpose: b[56], lifecycle: b[57],
		reserved: [2]byte{b[60], b[61]}, mode: binary.LittleEndian.Uint16(b[62:]),
	}
}

// checkSlotTable holds the unsigned table against the signed metadata.
func (v *verification) checkSlotTable() (string, error) {
	signed := v.report.Metadata.Slots
	if v.index.slotCount != len(signed) {
		return "", flawf("the table has %d slots, the signed metadata %d", v.index.slotCount, len(signed))
	}
	table, err := v.read(v.index.table.off, v.index.table.size)
	if err != nil {
		return "", err
	}
	ids := make(map[string]bool, len(signed))
	end := v.index.table.end()
	if err := v.checkPadding(section{v.index.metadata.end(), v.index.table.off - v.index.metadata.end()}, "the slot table"); err != nil {
		return "", err
	}
	for i := range signed {
		s := readSlot(table[i*slotEntrySize:])
		s.signed = &signed[i]
		if s.id != uint64(i) || s.signed.Slot != int64(i) {
			return "", flawf("slot %d: the table numbers it %d, the metadata %d", i, s.id, s.signed.Slot)
		}
		if ids[s.signed.ID] {
			return "", flawf("slot %d: id %.80q is taken", i, s.signed.ID)
		}
		ids[s.signed.ID] = true
		if err := v.checkSlot(&s); err != nil {
			return "", flawf("slot %d (%.80q): %v", i, s.signed.ID, err)
		}
		v.slots = append(v.slots, s)
		if s.data.size == 0 {
			continue
		}
		if !s.data.within(end, v.index.trailer) {
			return "", flawf("slot %d (%.80q): %d bytes at %d do not lie between %d and the trailer at %d",
				i, s.signed.ID, s.data.size, s.data.off, end, v.index.trailer)
		}
		if err := v.checkPadding(section{end, s.data.off - end}, fmt.Sprintf("slot %d", i)); err != nil {
			return "", err
		}
		end = s.data.end()
	}
	if err := v.checkPadding(section{end, v.index.trailer - end}, "the trailer"); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d slots", len(v.slots)), nil
}

// checkSlot holds one entry against its description, ranges aside.
func (v *verification) checkSlot(s *slot) error {
	if s.signed.SelfRef && (s.data != section{} || s.checksum != 0 || s.signed.Checksum != "") {
		return fmt.Errorf("refers to the package itself and yet has content")
	}
	if s.nameHash != leadingSum(s.signed.ID) && s.nameHash != leadingSum(s.signed.Target) &&
		!(s.signed.SelfRef && s.nameHash == 0) {
		return fmt.Errorf("name hash %016x is neither of the id nor of the target", s.nameHash)
	}
	if len(s.signed.ID) > 255 {
		return fmt.Errorf("id has %d bytes, at most 255", len(s.signed.ID))
	}
	if err := checkTarget(s.signed.Target); err != nil {
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
	if want, ok := purposes[s.signed.Purpose]; (ok && !slices.Contains(want, s.purpose)) || (!ok && s.purpose != 0) {
		v.warnf("slot %d: purpose %d in the table, %.40q in the metadata", s.id, s.purpose, s.signed.Purpose)
	}
	if want, ok := lifecycles[s.signed.Lifecycle]; s.lifecycle != 2 && (!ok || s.lifecycle != want) {
		v.warnf("slot %d: lifecycle %d in the table, %.40q in the metadata", s.id, s.lifecycle, s.signed.Lifecycle)
	}
	return nil
}

// purposes by their signed name: what the Go and Rust, or the Python builder
// writes. Unknown names are 0.
var purposes = map[string][]byte{
	"payload": {0}, "runtime": {1, 0}, "tool": {2, 0},
	"data": {0}, "code": {0, 1}, "config": {0, 2}, "media": {0, 3},
}

// lifecycles by their signed name. Unknown names are 2, and so are some known
// ones in some builders.
var lifecycles = map[string]byte{
	"init": 0, "startup": 1, "runtime": 2, "shutdown": 3, "cache": 4, "cached": 4, "temp": 5, "temporary": 5,
	"lazy": 6, "eager": 7, "dev": 8, "config": 9, "platform": 10, "attestation": attestationLifecycle,
}

// leadingSum is how the table shortens a SHA-256: its first 8 bytes.
func leadingSum(s string) uint64 {
	sum := sha256.Sum256([]byte(s))
	return binary.LittleEndian.Uint64(sum[:])
}

// checkTarget refuses a target outside the directory a launcher unpacks to.
func checkTarget(target string) error {
	path := strings.TrimPrefix(target, "{workenv}")
	if path != target {
		path = strings.TrimPrefix(path, "/")
	}
	drive := len(path) > 1 && path[1] == ':'
	if len(target) > 4096 || strings.HasPrefix(path, "/") || drive || strings.ContainsAny(path, "\\\x00") ||
		slices.Contains(strings.Split(path, "/"), "..") {
		return fmt.Errorf("target %.80q is not safe to unpack to", target)
	}
	return nil
}

// checkMode compares the permission bits. A builder that does not understand
// the signed spelling writes its default, and so does each without one.
func (v *verification) checkMode(s *slot) error {
	if s.mode > 0o777 {
		return fmt.Errorf("permissions %#o are more than 0777", s.mode)
	}
	defaults := []uint16{0o600, 0o644}
	var text *string
	if raw := s.signed.Permissions; len(raw) > 0 && json.Unmarshal(raw, &text) != nil {
		return fmt.Errorf("permissions %.40q in the metadata are not a string", raw)
	}
	if text == nil {
		if !slices.Contains(defaults, s.mode) {
			return fmt.Errorf("permissions %#o in the table, none in the metadata", s.mode)
		}
		return nil
	}
	if want, err := strconv.ParseUint(*text, 8, 16); err == nil {
		if s.mode != uint16(want) {
			return fmt.Errorf("permissions %#o in the table, %#o in the metadata", s.mode, want)
		}
		return nil
	}
	accepted := defaults
	if want, err := strconv.ParseUint(strings.TrimPrefix(*text, "0o"), 8, 16); err == nil {
		accepted = append(accepted, uint16(want))
	}
	if !slices.Contains(accepted, s.mode) {
		return fmt.Errorf("permissions %#o in the table, %.40q in the metadata", s.mode, *text)
	}
	v.warnf("slot %d: permissions %.40q in the metadata are not octal digits, the table has %#o", s.id, *text, s.mode)
	return nil
}

// checkPadding warns of bytes between sections: nothing binds them, and
// nothing reads them.
func (v *verification) checkPadding(gap section, before string) error {
	const chunk = 64 << 10
	for gap.size > 0 {
		b, err := v.read(gap.off, min(gap.size, chunk))
		if err != nil {
			return err
		}
		if !allZero(b) {
			v.warnf("padding before %s is not zero", before)
			return nil
		}
		gap = section{gap.off + uint64(len(b)), gap.size - uint64(len(b))}
	}
	return nil
}
