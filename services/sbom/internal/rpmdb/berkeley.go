package rpmdb

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The layout of hash databases is that of Berkeley DB 4.8, dbinc/db_page.h.
const (
	berkeleyMagic  = 0x061561 // of hashes, at offset 12, in the byte order of the machine that wrote it
	berkeleyHeader = 26       // bytes of a page's header

	pageHashUnsorted = 2
	pageOverflow     = 7
	pageHash         = 13

	itemInline   = 1
	itemOverflow = 3
)

func isBerkeley(head []byte) bool { return berkeleyOrder(head) != nil }

func berkeleyOrder(head []byte) binary.ByteOrder {
	if len(head) < 72 {
		return nil
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if order.Uint32(head[12:]) == berkeleyMagic {
			return order
		}
	}
	return nil
}

// berkeley is a hash database.
type berkeley struct {
	*file
	order    binary.ByteOrder
	pageSize int64
	followed int64 // overflow pages, each of which belongs to one value
}

// readBerkeley goes through all pages. Items lie in pairs of key and value; a
// large value is a chain of overflow pages.
func readBerkeley(f *file, head []byte, found func([]byte) error) error {
	order := berkeleyOrder(head)
	b := &berkeley{file: f, order: order, pageSize: int64(order.Uint32(head[20:]))}
	if b.pageSize < 512 || b.pageSize > 64<<10 || b.pageSize&(b.pageSize-1) != 0 {
		return fmt.Errorf("the Berkeley DB with pages of %d bytes", b.pageSize)
	}
	last := int64(order.Uint32(head[32:]))
	if (last+1)*b.pageSize > f.size {
		return fmt.Errorf("the Berkeley DB: its last page, %d, lies outside its %d bytes", last, f.size)
	}
	for number := range last + 1 {
		page, err := b.at(number*b.pageSize, b.pageSize)
		if err != nil {
			return err
		}
		if kind := page[25]; kind != pageHash && kind != pageHashUnsorted {
			continue
		}
		if err := b.page(page, found); err != nil {
			return fmt.Errorf("the Berkeley DB page %d: %w", number, err)
		}
	}
	return nil
}

// page tells the values on one page of items, whose offsets follow its header.
func (b *berkeley) page(page []byte, found func([]byte) error) error {
	items := int(b.order.Uint16(page[20:]))
	if berkeleyHeader+2*items > len(page) {
		return fmt.Errorf("%d items do not fit", items)
	}
	offset := func(i int) int { return int(b.order.Uint16(page[berkeleyHeader+2*i:])) }
	for i := 1; i < items; i += 2 {
		// Items fill the page from its end.
		start, end := offset(i), offset(i-1)
		if start >= len(page) || end > len(page) {
			return fmt.Errorf("item %d lies outside", i)
		}
		var value []byte
		switch {
		case page[start] == itemOverflow && start+12 <= len(page):
			var err error
			if value, err = b.overflow(int64(b.order.Uint32(page[start+4:])), int64(b.order.Uint32(page[start+8:]))); err != nil {
				return err
			}
		case page[start] == itemInline && end > start+1+smallestHeader:
			value = page[start+1 : end]
		default:
			continue // the number of the last package
		}
		if err := found(value); err != nil {
			return err
		}
	}
	return nil
}

// smallestHeader is less than any package's, and more than a number.
const smallestHeader = 64

// overflow joins the pages of one value.
func (b *berkeley) overflow(number, length int64) ([]byte, error) {
	if length > maxBlob {
		return nil, fmt.Errorf("a value of %d bytes", length)
	}
	var value []byte
	for number != 0 {
		if b.followed++; b.followed > b.size/b.pageSize {
			return nil, errors.New("pages of values are used twice")
		}
		page, err := b.at(number*b.pageSize, b.pageSize)
		if err != nil {
			return nil, err
		}
		used := int(b.order.Uint16(page[22:]))
		if page[25] != pageOverflow || berkeleyHeader+used > len(page) {
			return nil, fmt.Errorf("page %d is no page of a value", number)
		}
		if number = int64(b.order.Uint32(page[16:])); number != 0 {
			used = len(page) - berkeleyHeader
		}
		if value = append(value, page[berkeleyHeader:berkeleyHeader+used]...); int64(len(value)) > length {
			return nil, fmt.Errorf("a value has more than the %d bytes it should", length)
		}
	}
	if int64(len(value)) != length {
		return nil, fmt.Errorf("a value has %d of %d bytes", len(value), length)
	}
	return value, nil
}
