package sbom

import (
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"assize.dev/shared/archive"
)

// Layout of PSPF/2025: the last 8200 bytes are a magic, the index and a
// magic; integers are little-endian.
const (
	trailerSize      = 8200
	indexSize        = 8192
	slotSize         = 64
	maxSlots         = 65535
	maxSlotMetadata  = 10 << 20
	atLauncherSize   = 16
	atMetadataOffset = 24
	atMetadataSize   = 32
	atTableOffset    = 40
	atSlotCount      = 56
)

// part is a piece of a package that is looked at on its own.
type part struct {
	name         string
	offset, size int64
}

// pspf looks at the launcher and at every slot.
func (c *cataloguer) pspf(ctx context.Context, r io.ReaderAt, size int64, name string) error {
	parts, damage := pspfParts(r, size)
	for _, d := range damage {
		c.problem(name, archive.KindDamaged, d)
	}
	for _, p := range parts {
		if err := c.bytes(ctx, io.NewSectionReader(r, p.offset, p.size), p.size, path.Base(p.name), p.name); err != nil {
			return err
		}
	}
	return nil
}

// pspfParts lists the launcher and the slots that lie inside the package.
// What does not is told as damage. Slots that stand for the package itself,
// and empty ones, have no bytes.
func pspfParts(r io.ReaderAt, size int64) (parts []part, damage []string) {
	if size < trailerSize {
		return nil, []string{fmt.Sprintf("%d bytes are less than the trailer's %d", size, trailerSize)}
	}
	end := uint64(size - trailerSize)
	index := make([]byte, indexSize)
	if _, err := r.ReadAt(index, int64(end)+4); err != nil {
		return nil, []string{"read the index: " + err.Error()}
	}
	inside := func(offset, length uint64) bool { return offset <= end && length <= end-offset }
	if launcher := binary.LittleEndian.Uint64(index[atLauncherSize:]); inside(0, launcher) {
		parts = append(parts, part{"launcher", 0, int64(launcher)})
	} else {
		damage = append(damage, fmt.Sprintf("launcher of %d bytes ends outside the package", launcher))
	}
	count := uint64(binary.LittleEndian.Uint32(index[atSlotCount:]))
	table := binary.LittleEndian.Uint64(index[atTableOffset:])
	if count > maxSlots || !inside(table, count*slotSize) {
		return parts, append(damage, fmt.Sprintf("table of %d slots at %d lies outside the package", count, table))
	}
	names := slotNames(r, binary.LittleEndian.Uint64(index[atMetadataOffset:]), binary.LittleEndian.Uint64(index[atMetadataSize:]), inside)
	if len(names) != int(count) {
		damage = append(damage, fmt.Sprintf("metadata describes %d slots, the table has %d", len(names), count))
	}
	var slot [slotSize]byte
	taken := []part{}
	for i := range int(count) {
		if _, err := r.ReadAt(slot[:], int64(table)+int64(i)*slotSize); err != nil {
			return parts, append(damage, fmt.Sprintf("slot %d: read the table: %v", i, err))
		}
		offset, length := binary.LittleEndian.Uint64(slot[16:]), binary.LittleEndian.Uint64(slot[24:])
		if length == 0 {
			continue
		}
		if !inside(offset, length) {
			damage = append(damage, fmt.Sprintf("slot %d: %d bytes at %d lie outside the package", i, length, offset))
			continue
		}
		p := part{fmt.Sprintf("slot-%d", i), int64(offset), int64(length)}
		if i < len(names) && names[i] != "" {
			p.name = names[i]
		}
		// Slots over the same bytes would multiply the work of reading them.
		if slices.ContainsFunc(taken[max(0, len(taken)-1):], func(t part) bool { return p.offset < t.offset+t.size }) {
			damage = append(damage, fmt.Sprintf("slot %d: begins before the slot before it ends", i))
			continue
		}
		taken = append(taken, p)
	}
	return append(parts, taken...), damage
}

// slotNames are the paths that slots are to be unpacked to, or their ids, as
// the metadata has them. It returns nothing where the metadata is unreadable.
func slotNames(r io.ReaderAt, offset, length uint64, inside func(offset, length uint64) bool) []string {
	if !inside(offset, length) {
		return nil
	}
	z, err := gzip.NewReader(io.NewSectionReader(r, int64(offset), int64(length)))
	if err != nil {
		return nil
	}
	data, err := (&source{r: z}).all(maxSlotMetadata)
	if err != nil {
		return nil
	}
	var m struct {
		Slots []struct {
			ID     string `json:"id"`
			Target string `json:"target"`
		} `json:"slots"`
	}
	if json.Unmarshal(data, &m) != nil {
		return nil
	}
	names := make([]string, len(m.Slots))
	for i, s := range m.Slots {
		target := strings.Trim(strings.TrimPrefix(s.Target, "{workenv}"), "/")
		if target = strings.TrimPrefix(path.Clean("/"+target), "/"); target == "" {
			target = s.ID
		}
		names[i] = target
	}
	return names
}
