package rpmdb

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// The layout of NDB is that of rpm 4.17, lib/backend/ndb/rpmpkg.c. All
// numbers are little-endian.
const (
	ndbMagic     = "RpmP"
	ndbSlotMagic = "Slot"
	ndbBlobMagic = "BlbS"
	ndbPage      = 4096 // bytes of slots
	ndbSlot      = 16   // bytes of one, and the unit of places
	ndbMaxPages  = 4096
)

func isNDB(head []byte) bool { return len(head) >= 32 && string(head[:4]) == ndbMagic }

// readNDB: a header of 32 bytes and pages of slots, each of which gives the
// number of a package and the place of its blob.
func readNDB(f *file, head []byte, found func([]byte) error) error {
	if version := binary.LittleEndian.Uint32(head[4:]); version != 0 {
		return fmt.Errorf("NDB of version %d", version)
	}
	pages := binary.LittleEndian.Uint32(head[12:])
	if pages == 0 || pages > ndbMaxPages {
		return fmt.Errorf("NDB with %d pages of slots; from 1 to %d are read", pages, ndbMaxPages)
	}
	for page := range int64(pages) {
		slots, err := f.at(page*ndbPage, ndbPage)
		if err != nil {
			return fmt.Errorf("NDB slots: %w", err)
		}
		if page == 0 {
			slots = slots[32:]
		}
		for ; len(slots) > 0; slots = slots[ndbSlot:] {
			if !bytes.HasPrefix(slots, []byte(ndbSlotMagic)) {
				return fmt.Errorf("NDB page %d has a slot without magic", page)
			}
			number, place := binary.LittleEndian.Uint32(slots[4:]), binary.LittleEndian.Uint32(slots[8:])
			if number == 0 {
				continue // free
			}
			blob, err := ndbBlob(f, int64(place)*ndbSlot, number)
			if err != nil {
				return fmt.Errorf("NDB package %d: %w", number, err)
			}
			if err := found(blob); err != nil {
				return err
			}
		}
	}
	return nil
}

func ndbBlob(f *file, offset int64, number uint32) ([]byte, error) {
	head, err := f.at(offset, 16)
	if err != nil {
		return nil, err
	}
	if string(head[:4]) != ndbBlobMagic || binary.LittleEndian.Uint32(head[4:]) != number {
		return nil, fmt.Errorf("at offset %d is no blob of it", offset)
	}
	return f.at(offset+16, int64(binary.LittleEndian.Uint32(head[12:])))
}
