package rpmdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The layout is that of https://www.sqlite.org/fileformat2.html. All numbers
// are big-endian. A write-ahead log beside the database is not looked at:
// SQLite empties it when rpm ends.
const (
	sqliteMagic    = "SQLite format 3\x00"
	pageInterior   = 5
	pageLeaf       = 13
	sqliteMaxDepth = 20
)

func isSQLite(head []byte) bool { return len(head) >= 100 && string(head[:16]) == sqliteMagic }

// sqlite is a database.
type sqlite struct {
	*file
	pageSize int64
	usable   int64 // bytes of a page without what extensions reserve
	visited  int64 // pages of trees and of overflow, each of which has one place
}

// readSQLite finds rpm's table of packages, whose second column is the header.
func readSQLite(f *file, head []byte, found func([]byte) error) error {
	s := &sqlite{file: f, pageSize: int64(binary.BigEndian.Uint16(head[16:]))}
	if s.pageSize == 1 {
		s.pageSize = 64 << 10
	}
	s.usable = s.pageSize - int64(head[20])
	if s.pageSize < 512 || s.pageSize&(s.pageSize-1) != 0 || s.usable < 480 {
		return fmt.Errorf("SQLite with pages of %d bytes, %d of them reserved", s.pageSize, head[20])
	}
	if encoding := binary.BigEndian.Uint32(head[56:]); encoding > 1 {
		return fmt.Errorf("SQLite with text encoding %d; only UTF-8 is read", encoding)
	}
	root := int64(0)
	err := s.table(1, 0, func(record []byte) error {
		columns, err := sqliteColumns(record, 4)
		if err == nil && string(columns[0]) == "table" && string(columns[1]) == "Packages" {
			root = sqliteInteger(columns[3])
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("SQLite schema: %w", err)
	}
	if root == 0 {
		return errors.New("SQLite without a table of packages")
	}
	return s.table(root, 0, func(record []byte) error {
		columns, err := sqliteColumns(record, 2)
		if err != nil {
			return fmt.Errorf("SQLite: %w", err)
		}
		return found(columns[1])
	})
}

// table goes through a table's tree in order ("B-tree Pages").
func (s *sqlite) table(number int64, depth int, row func(record []byte) error) error {
	if depth > sqliteMaxDepth {
		return errors.New("the tree is too deep")
	}
	page, err := s.page(number)
	if err != nil {
		return err
	}
	head := page
	if number == 1 {
		head = page[100:]
	}
	kind, cells := head[0], int(binary.BigEndian.Uint16(head[3:]))
	pointers := head[8:]
	if kind == pageInterior {
		pointers = head[12:]
	}
	if kind != pageInterior && kind != pageLeaf || 2*cells > len(pointers) {
		return fmt.Errorf("page %d is no page of a table", number)
	}
	for i := range cells {
		at := int64(binary.BigEndian.Uint16(pointers[2*i:]))
		if at+4 > s.usable {
			return fmt.Errorf("cell %d of page %d lies outside", i, number)
		}
		if kind == pageInterior {
			err = s.table(int64(binary.BigEndian.Uint32(page[at:])), depth+1, row)
		} else {
			var record []byte
			if record, err = s.record(page[at:s.usable]); err == nil {
				err = row(record)
			}
		}
		if err != nil {
			return err
		}
	}
	if kind == pageInterior {
		return s.table(int64(binary.BigEndian.Uint32(head[8:])), depth+1, row)
	}
	return nil
}

// page reads one, counted from 1.
func (s *sqlite) page(number int64) ([]byte, error) {
	if s.visited++; s.visited > s.size/s.pageSize {
		return nil, errors.New("pages are used twice")
	}
	return s.at((number-1)*s.pageSize, s.pageSize)
}

// record joins the part of a row that lies in its cell with those on overflow
// pages ("Cell Payload Overflow Pages").
func (s *sqlite) record(cell []byte) ([]byte, error) {
	length, n := varint(cell)
	_, m := varint(cell[n:]) // the row's number
	if n == 0 || m == 0 || length > maxBlob {
		return nil, fmt.Errorf("a row of %d bytes", length)
	}
	cell = cell[n+m:]
	local := int64(length)
	if most := s.usable - 35; local > most {
		least := (s.usable-12)*32/255 - 23
		if local = least + (int64(length)-least)%(s.usable-4); local > most {
			local = least
		}
	}
	if local > int64(len(cell)) {
		return nil, errors.New("a row does not fit its page")
	}
	record := append([]byte(nil), cell[:local]...)
	if local == int64(length) {
		return record, nil
	}
	if local+4 > int64(len(cell)) {
		return nil, errors.New("a row does not fit its page")
	}
	for next := int64(binary.BigEndian.Uint32(cell[local:])); int64(len(record)) < int64(length); {
		page, err := s.page(next)
		if err != nil {
			return nil, fmt.Errorf("a row of %d bytes: %w", length, err)
		}
		next = int64(binary.BigEndian.Uint32(page))
		record = append(record, page[4:4+min(s.usable-4, int64(length)-int64(len(record)))]...)
	}
	return record, nil
}

// sqliteColumns gives the bytes of the first columns ("Record Format").
func sqliteColumns(record []byte, want int) ([][]byte, error) {
	size, n := varint(record)
	if n == 0 || size > uint64(len(record)) || size < uint64(n) {
		return nil, errors.New("a row has no header")
	}
	kinds, body := record[n:size], record[size:]
	var columns [][]byte
	for len(columns) < want {
		kind, n := varint(kinds)
		if n == 0 {
			return nil, fmt.Errorf("a row has %d columns, not %d", len(columns), want)
		}
		kinds = kinds[n:]
		length := uint64(0)
		switch {
		case kind >= 12:
			length = (kind - 12) / 2
		case kind <= 7:
			length = [...]uint64{0, 1, 2, 3, 4, 6, 8, 8}[kind]
		}
		if length > uint64(len(body)) {
			return nil, errors.New("a column lies outside its row")
		}
		columns = append(columns, body[:length])
		body = body[length:]
	}
	return columns, nil
}

// sqliteInteger is a positive one of 1 to 8 bytes; 0 if it is none.
func sqliteInteger(b []byte) int64 {
	var n uint64
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	if len(b) > 8 || n > math.MaxInt32 {
		return 0
	}
	return int64(n)
}

// varint reads a number of up to nine bytes, the most significant first. No
// bytes are read where it does not end.
func varint(b []byte) (value uint64, n int) {
	for i := range min(len(b), 9) {
		if i == 8 {
			return value<<8 | uint64(b[i]), 9
		}
		value = value<<7 | uint64(b[i]&0x7f)
		if b[i] < 0x80 {
			return value, i + 1
		}
	}
	return 0, 0
}
