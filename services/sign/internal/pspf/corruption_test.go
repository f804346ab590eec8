package pspf_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"assize.dev/services/sign/internal/pspf"
	"assize.dev/services/sign/internal/pspf/pspftest"
)

// undetectable is everything that may be changed in a package without any
// check failing: what nothing signs and nothing else determines.
var undetectable = []string{
	"index: attestation fields removed",
	"index: hints",
	"index: reserved",
	"launcher that the metadata does not name",
	"padding",
	"slot: hints",
	"slot: name hash of a self reference removed",
	"slot: offset without content",
	"slot: operations removed",
	"slot: original size",
}

// corruptions makes distinct files that are not what was signed.
type corruptions struct {
	t     *testing.T
	seen  map[[32]byte]string
	free  map[string]bool // labels of undetectable that were met
	count int
}

// add verifies one file. want is the checks of which one must be the first to
// fail, separated by spaces, or a label of undetectable.
func (c *corruptions) add(name string, file []byte, want string) {
	c.t.Helper()
	sum := sha256.Sum256(file)
	if _, again := c.seen[sum]; again {
		return
	}
	c.seen[sum] = name
	c.count++
	err := verify(c.t, file, pspf.Deep).Err()
	if slices.Contains(undetectable, want) {
		c.free[want] = true
		if err != nil {
			c.t.Errorf("%s is listed as undetectable: %v", name, err)
		}
		return
	}
	if err == nil {
		c.t.Errorf("%s is accepted", name)
		return
	}
	check, detail, _ := strings.Cut(err.Error(), ": ")
	if !slices.Contains(strings.Fields(want), check) || detail == "" {
		c.t.Errorf("%s: failed with %q, want %s", name, err, want)
	}
}

// layout gives the parts of a built package, to be changed in place.
type layout struct {
	file, launcher, metadata, table, index []byte
}

func layoutOf(file []byte) layout {
	file = slices.Clip(file) // so that the capacity of a part tells where it is
	index := file[len(file)-8196 : len(file)-4]
	u64 := func(off int) uint64 { return binary.LittleEndian.Uint64(index[off:]) }
	return layout{
		file: file, launcher: file[:u64(16)], metadata: file[u64(24):][:u64(32)],
		table: file[u64(40):][:u64(48)], index: index,
	}
}

func (l layout) slot(i int) (entry, content []byte) {
	entry = l.table[64*i:][:64]
	return entry, l.file[binary.LittleEndian.Uint64(entry[16:]):][:binary.LittleEndian.Uint64(entry[24:])]
}

// edited is a changed copy, its Adler-32 repaired if seal.
func edited(file []byte, seal bool, edit func(layout)) []byte {
	l := layoutOf(bytes.Clone(file))
	edit(l)
	if seal {
		pspftest.SealIndex(l.index)
	}
	return l.file
}

// values are what a number of n bytes is changed to.
func values(b []byte) map[string][]byte {
	n := len(b)
	word := make([]byte, 8)
	copy(word, b)
	v := binary.LittleEndian.Uint64(word)
	of := func(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v)[:n] }
	return map[string][]byte{
		"0": of(0), "max": of(math.MaxUint64), "one more": of(v + 1), "one less": of(v - 1),
		"half": of(v / 2), "double": of(v * 2), "high bit": of(v ^ 1<<(8*n-1)),
	}
}

func TestCorruptions(t *testing.T) {
	c := &corruptions{t: t, seen: map[[32]byte]string{}, free: map[string]bool{}}
	for name, p := range map[string]pspftest.Package{"Python": sample(), "Go": goSample()} {
		file := p.Build()
		if err := verify(t, file, pspf.Deep).Err(); err != nil {
			t.Fatal(err)
		}
		c.seen[sha256.Sum256(file)] = name
		c.indexFields(name, file)
		c.slotFields(name, file)
		c.cut(name, file)
		c.moved(name, file)
		c.bytes(name, file)
	}
	c.metadata()
	c.signedNonsense()
	t.Logf("%d distinct corrupted files", c.count)
	if c.count < 300 {
		t.Errorf("%d corrupted files, want at least 300", c.count)
	}
	for _, label := range undetectable {
		if !c.free[label] {
			t.Errorf("nothing showed that this is undetectable: %s", label)
		}
	}
}

// goSample leaves out what the Go builder leaves out.
func goSample() pspftest.Package {
	p := sample()
	p.Name, p.SignLauncher, p.Attest = "go-sample", false, false
	p.Slots = append(p.Slots[:4:4], pspftest.Slot{ID: "twin", Target: "{workenv}/twin.txt", Data: []byte("HELLO, WORLD\n"), Mode: 0o644})
	return p
}

// indexFields changes each field of the index block, with the Adler-32 as it
// was and repaired.
func (c *corruptions) indexFields(name string, file []byte) {
	const hints, reserved = "index: hints", "index: reserved"
	for _, f := range []struct {
		field     string
		off, size int
		want      string
	}{
		{"format_version", 0, 4, pspf.CheckIndex},
		{"package_size", 8, 8, pspf.CheckIndex},
		{"launcher_size", 16, 8, pspf.CheckIndex},
		{"metadata_offset", 24, 8, pspf.CheckIndex},
		{"metadata_size", 32, 8, pspf.CheckIndex + " " + pspf.CheckIntegrity},
		{"slot_table_offset", 40, 8, pspf.CheckIndex + " " + pspf.CheckSlotTable},
		{"slot_table_size", 48, 8, pspf.CheckIndex},
		{"slot_count", 56, 4, pspf.CheckIndex},
		{"flags", 60, 4, hints},
		{"public_key", 64, 8, pspf.CheckSignature},
		{"public_key end", 88, 8, pspf.CheckSignature},
		{"metadata_checksum", 96, 8, pspf.CheckIntegrity},
		{"metadata_checksum end", 120, 8, pspf.CheckIntegrity},
		{"signature R", 128, 8, pspf.CheckSignature},
		{"signature S", 160, 8, pspf.CheckSignature},
		{"signature S end", 184, 8, pspf.CheckSignature},
		{"signature field", 192, 8, pspf.CheckIndex},
		{"signature field end", 632, 8, pspf.CheckIndex},
		{"access_mode", 640, 1, hints}, {"cache_strategy", 641, 1, hints}, {"hint 642", 642, 1, hints},
		{"hint 643", 643, 1, hints}, {"page_size", 644, 4, hints}, {"max_memory", 648, 8, hints}, {"min_memory", 656, 8, hints},
		{"cpu", 664, 8, hints}, {"gpu", 672, 8, hints}, {"numa", 680, 8, hints}, {"stream_chunk_size", 688, 4, hints},
		{"padding", 692, 8, hints}, {"build_timestamp", 704, 8, hints}, {"build_machine", 712, 8, hints},
		{"source_hash", 744, 8, hints}, {"dependency_hash", 776, 8, hints}, {"license_id", 808, 8, hints},
		{"provenance_uri", 824, 8, hints}, {"capabilities", 832, 8, hints}, {"requirements", 840, 8, hints},
		{"extensions", 848, 8, hints}, {"compatibility", 856, 4, hints}, {"protocol_version", 860, 4, hints},
		{"future_crypto", 864, 8, hints},
		{"attestation_key_fp", 1376, 8, pspf.CheckAttestationKey},
		{"attestation_sbom_digest", 1440, 8, pspf.CheckAttestationKey + " " + pspf.CheckAttestationSBOM},
		{"attestation_policy_hash", 1504, 8, pspf.CheckAttestationKey + " " + pspf.CheckAttestationPolicy},
		{"reserved", 1568, 8, reserved}, {"reserved end", 8184, 8, reserved},
	} {
		for how, value := range values(layoutOf(file).index[f.off:][:f.size]) {
			for _, seal := range []bool{false, true} {
				want := f.want
				if !seal {
					want = pspf.CheckIndex
				}
				c.add(fmt.Sprintf("%s: index %s: %s, Adler-32 repaired: %v", name, f.field, how, seal),
					edited(file, seal, func(l layout) { copy(l.index[f.off:], value) }), want)
			}
		}
	}
	for _, f := range []struct {
		field     string
		off, size int
		want      string
	}{
		{"signature", 128, 64, pspf.CheckSignature},
		{"public key", 64, 32, pspf.CheckSignature},
		{"public key and signature", 64, 128, pspf.CheckIntegrity}, // the metadata's SHA-256 lies between
		{"metadata checksum", 96, 32, pspf.CheckIntegrity},
		{"attestation", 1376, 3 * 64, "index: attestation fields removed"},
		{"everything", 0, 8192, pspf.CheckIndex},
	} {
		c.add(name+": "+f.field+" zeroed", edited(file, true, func(l layout) { clear(l.index[f.off:][:f.size]) }), f.want)
	}
}

// slotFields changes each field of each entry of the table.
func (c *corruptions) slotFields(name string, file []byte) {
	for i := range len(layoutOf(file).table) / 64 {
		entry, content := layoutOf(file).slot(i)
		for _, f := range []struct {
			field     string
			off, size int
			want      string
		}{
			{"id", 0, 8, pspf.CheckSlotTable},
			{"name_hash", 8, 8, pspf.CheckSlotTable},
			{"offset", 16, 8, pspf.CheckSlotTable + " " + pspf.CheckSlotContent},
			{"size", 24, 8, pspf.CheckSlotTable + " " + pspf.CheckSlotContent},
			{"original_size", 32, 8, "slot: original size"},
			{"operations", 40, 8, pspf.CheckSlotTable},
			{"checksum", 48, 8, pspf.CheckSlotContent + " " + pspf.CheckSlotTable},
			{"purpose", 56, 1, "slot: hints"},
			{"lifecycle", 57, 1, "slot: hints"},
			{"priority", 58, 1, "slot: hints"},
			{"platform", 59, 1, "slot: hints"},
			{"reserved", 60, 1, pspf.CheckSlotTable},
			{"reserved", 61, 1, pspf.CheckSlotTable},
			{"permissions", 62, 2, pspf.CheckSlotTable},
		} {
			for how, value := range values(entry[f.off:][:f.size]) {
				want := f.want
				switch {
				case f.field == "operations" && how == "0":
					want = "slot: operations removed"
				case f.field == "name_hash" && how == "0" && i == 1:
					want = "slot: name hash of a self reference removed"
				case f.field == "offset" && len(content) == 0 && i != 1 && (how == "0" || how == "one less"):
					want = "slot: offset without content"
				}
				c.add(fmt.Sprintf("%s: slot %d %s: %s", name, i, f.field, how),
					edited(file, false, func(l layout) { copy(l.table[64*i+f.off:], value) }), want)
			}
		}
	}
}

// cut takes bytes away at the borders of every part, and adds some.
func (c *corruptions) cut(name string, file []byte) {
	l := layoutOf(file)
	at := func(part []byte) int { return len(file) - cap(part) }
	ends := []int{0, 1, at(l.launcher) + len(l.launcher), at(l.metadata) + 10, at(l.metadata) + len(l.metadata), at(l.table),
		at(l.table) + 64, at(l.table) + len(l.table), at(l.index) - 4, at(l.index), at(l.index) + 128, at(l.index) + 8192, len(file) - 1}
	for i := range len(l.table) / 64 {
		if _, content := l.slot(i); len(content) > 0 {
			ends = append(ends, at(content), at(content)+len(content)/2, at(content)+len(content))
		}
	}
	for _, end := range ends {
		c.add(fmt.Sprintf("%s: cut at %d", name, end), file[:end], pspf.CheckTrailer)
		if end > 0 && end < at(l.index)-4 {
			gone := append(bytes.Clone(file[:end-1]), file[end:]...)
			c.add(fmt.Sprintf("%s: byte before %d gone", name, end), gone, pspf.CheckIndex)
			more := append(append(bytes.Clone(file[:end]), 0), file[end:]...)
			c.add(fmt.Sprintf("%s: byte put in at %d", name, end), more, pspf.CheckIndex)
		}
	}
	c.add(name+": a byte in front", append([]byte{0}, file...), pspf.CheckIndex)
	for _, n := range []int{1, 8, 8192, 8200} {
		c.add(fmt.Sprintf("%s: %d zeros appended", name, n), append(bytes.Clone(file), make([]byte, n)...), pspf.CheckTrailer)
	}
	c.add(name+": trailer twice", append(bytes.Clone(file), file[at(l.index)-4:]...), pspf.CheckIndex)
	c.add(name+": package twice", append(bytes.Clone(file), file...), pspf.CheckIndex)
	c.add(name+": trailer only", file[at(l.index)-4:], pspf.CheckIndex)
}

// moved puts slots where others are.
func (c *corruptions) moved(name string, file []byte) {
	const table, content = pspf.CheckSlotTable, pspf.CheckSlotContent
	n := len(layoutOf(file).table) / 64
	for i := range n {
		for j := range n {
			if i == j {
				continue
			}
			a, dataA := layoutOf(file).slot(i)
			b, dataB := layoutOf(file).slot(j)
			add := func(how, want string, edit func(l layout)) {
				c.add(fmt.Sprintf("%s: slot %d, %d: %s", name, i, j, how), edited(file, false, edit), want)
			}
			add("entry over the other", table, func(l layout) { copy(l.table[64*j:], a) })
			add("entries swapped", table, func(l layout) { copy(l.table[64*i:], b); copy(l.table[64*j:], a) })
			if len(dataA) == 0 || len(dataB) == 0 {
				continue
			}
			add("same place", table+" "+content, func(l layout) { copy(l.table[64*j+16:][:16], a[16:]) })
			add("same place and sum", table+" "+content, func(l layout) {
				copy(l.table[64*j+16:][:16], a[16:])
				copy(l.table[64*j+48:][:8], a[48:])
			})
			add("places swapped", table, func(l layout) {
				copy(l.table[64*i+16:][:16], b[16:])
				copy(l.table[64*j+16:][:16], a[16:])
			})
			add("over the other's first byte", table, func(l layout) {
				binary.LittleEndian.PutUint64(l.table[64*min(i, j)+24:], binary.LittleEndian.Uint64(l.table[64*max(i, j)+16:])-
					binary.LittleEndian.Uint64(l.table[64*min(i, j)+16:])+1)
			})
			if len(dataA) == len(dataB) {
				add("contents swapped, sums too", content, func(l layout) {
					_, toA := l.slot(i)
					_, toB := l.slot(j)
					copy(toA, dataB)
					copy(toB, dataA)
					copy(l.table[64*i+48:][:8], b[48:])
					copy(l.table[64*j+48:][:8], a[48:])
				})
			}
		}
	}
}

// bytes changes a byte of each part and what is computed over it without a key.
func (c *corruptions) bytes(name string, file []byte) {
	launcher := pspf.CheckLauncher
	if name == "Go" {
		launcher = "launcher that the metadata does not name"
	}
	for _, i := range []int{0, 5, 16} {
		c.add(fmt.Sprintf("%s: launcher byte %d", name, i), edited(file, false, func(l layout) { l.launcher[i] ^= 1 }), launcher)
	}
	size := len(layoutOf(file).metadata)
	for _, i := range []int{0, 1, 2, 3, 9, 20, size / 2, size - 8, size - 1} {
		c.add(fmt.Sprintf("%s: metadata byte %d", name, i), edited(file, false, func(l layout) { l.metadata[i] ^= 1 }), pspf.CheckIntegrity)
	}
	for i := range len(layoutOf(file).table) / 64 {
		_, content := layoutOf(file).slot(i)
		for j := range content {
			c.add(fmt.Sprintf("%s: slot %d byte %d, table's sum repaired", name, i, j), edited(file, false, func(l layout) {
				entry, content := l.slot(i)
				content[j] ^= 0x20
				sum := sha256.Sum256(content)
				copy(entry[48:], sum[:8])
			}), pspf.CheckSlotContent)
		}
	}
	_, first := layoutOf(file).slot(0)
	c.add(name+": padding", edited(file, false, func(l layout) {
		l.file[len(file)-cap(first)+len(first)] = 1 // 13 bytes, padded to 16
	}), "padding")
}
