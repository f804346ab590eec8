package rpmdb

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

// header is one of a package, filled up to some size.
func header(name string, filler int) []byte {
	values := []struct {
		tag   uint32
		value string
	}{{1000, name}, {1001, "1.0"}, {1002, "1"}, {1022, "noarch"}, {1004, strings.Repeat("x", filler)}}
	var index, store []byte
	for _, v := range values {
		for _, n := range []uint32{v.tag, 6, uint32(len(store)), 1} {
			index = binary.BigEndian.AppendUint32(index, n)
		}
		store = append(store, v.value+"\x00"...)
	}
	out := binary.BigEndian.AppendUint32(nil, uint32(len(values)))
	out = binary.BigEndian.AppendUint32(out, uint32(len(store)))
	return append(append(out, index...), store...)
}

// ndb is a database of one page of slots.
func ndb(headers ...[]byte) []byte {
	u32 := binary.LittleEndian.AppendUint32
	head := append([]byte(ndbMagic), make([]byte, 28)...)
	binary.LittleEndian.PutUint32(head[12:], 1)
	var blobs []byte
	for i, h := range headers {
		place := (ndbPage + len(blobs)) / ndbSlot
		head = append(head, ndbSlotMagic...)
		head = u32(u32(u32(head, uint32(i+1)), uint32(place)), uint32(len(h)+32)/ndbSlot)
		blobs = append(blobs, ndbBlobMagic...)
		blobs = u32(u32(u32(blobs, uint32(i+1)), 0), uint32(len(h)))
		blobs = append(blobs, h...)
		blobs = append(blobs, make([]byte, -len(blobs)&15)...)
	}
	for len(head) < ndbPage {
		head = append(append(head, ndbSlotMagic...), make([]byte, 12)...)
	}
	return append(head, blobs...)
}

// berkeleyDB has one page of items; headers that are larger than a quarter of
// a page lie on overflow pages.
func berkeleyDB(order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}, headers ...[]byte) []byte {
	const size = 1024
	page := func(kind byte) []byte { p := make([]byte, size); p[25] = kind; return p }
	meta, items := page(8), page(pageHash)
	order.PutUint32(meta[12:], berkeleyMagic)
	order.PutUint32(meta[20:], size)
	pages := [][]byte{meta, items}
	end, count := size, 0
	put := func(item []byte) {
		end -= len(item)
		copy(items[end:], item)
		order.PutUint16(items[berkeleyHeader+2*count:], uint16(end))
		count++
		order.PutUint16(items[20:], uint16(count))
	}
	for i, h := range headers {
		put(order.AppendUint32([]byte{itemInline}, uint32(i)))
		if len(h) <= size/4 {
			put(append([]byte{itemInline}, h...))
			continue
		}
		put(order.AppendUint32(order.AppendUint32([]byte{itemOverflow, 0, 0, 0}, uint32(len(pages))), uint32(len(h))))
		for len(h) > 0 {
			p := page(pageOverflow)
			n := copy(p[berkeleyHeader:], h)
			order.PutUint16(p[22:], uint16(n))
			if h = h[n:]; len(h) > 0 {
				order.PutUint32(p[16:], uint32(len(pages)+1))
			}
			pages = append(pages, p)
		}
	}
	order.PutUint32(meta[32:], uint32(len(pages)-1))
	return bytes.Join(pages, nil)
}

// sqliteFixture was made by SQLite 3.40, with pages of 512 bytes and 400
// packages, p000 to p399, every tenth of them with up to 1,500 bytes more.
func sqliteFixture(t testing.TB) []byte {
	f, err := os.Open("testdata/rpmdb.sqlite.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func read(data []byte) (all [][]byte, err error) {
	err = Read(bytes.NewReader(data), int64(len(data)), func(h []byte) error {
		all = append(all, bytes.Clone(h))
		return nil
	})
	return all, err
}

func TestRead(t *testing.T) {
	three := [][]byte{header("a", 10), header("b", 5000), header("c", 990)}
	var many [][]byte
	for i := range 400 {
		filler := 10
		if i%10 == 0 {
			filler = i * 37 % 1500
		}
		many = append(many, header(fmt.Sprintf("p%03d", i), filler))
	}
	for name, tt := range map[string]struct {
		data []byte
		want [][]byte
	}{
		"ndb":                    {ndb(three...), three},
		"berkeley":               {berkeleyDB(binary.LittleEndian, three...), three},
		"berkeley on big-endian": {berkeleyDB(binary.BigEndian, three...), three},
		"sqlite":                 {sqliteFixture(t), many},
	} {
		got, err := read(tt.data)
		if err != nil || len(got) != len(tt.want) {
			t.Fatalf("%s: %d packages, want %d: %v", name, len(got), len(tt.want), err)
		}
		for i := range got {
			if !bytes.Equal(got[i], tt.want[i]) {
				t.Errorf("%s: package %d differs", name, i)
			}
		}
		// What is cut off is told, wherever that is.
		for _, cut := range []int{1, len(tt.data) / 2, len(tt.data) - 600} {
			if _, err := read(tt.data[:len(tt.data)-cut]); err == nil && cut > 16 {
				t.Errorf("%s: no error without the last %d bytes", name, cut)
			}
		}
		stop := errors.New("enough")
		if err := Read(bytes.NewReader(tt.data), int64(len(tt.data)), func([]byte) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := read([]byte("no database")); !errors.Is(err, ErrUnknown) {
		t.Errorf("error %v", err)
	}
}

// TestLoops: pages that refer to one another end, with an error.
func TestLoops(t *testing.T) {
	data := berkeleyDB(binary.LittleEndian, header("b", 5000))
	binary.LittleEndian.PutUint32(data[2*1024+16:], 2) // its own next page
	if _, err := read(data); err == nil {
		t.Error("no error from a chain of pages that loops")
	}
	data = sqliteFixture(t)
	page := data[512:] // the root of the packages
	if page[0] != pageInterior {
		t.Fatalf("the fixture's second page is of type %d", page[0])
	}
	binary.BigEndian.PutUint32(page[8:], 2)
	if _, err := read(data); err == nil {
		t.Error("no error from a tree that contains itself")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(ndb(header("a", 1), header("b", 100)))
	f.Add(berkeleyDB(binary.LittleEndian, header("a", 1), header("b", 2000)))
	f.Add(berkeleyDB(binary.BigEndian, header("a", 1)))
	f.Add(sqliteFixture(f)[:8<<10])
	f.Fuzz(func(t *testing.T, data []byte) {
		total := 0
		err := Read(bytes.NewReader(data), int64(len(data)), func(h []byte) error {
			if total += len(h); total > 1<<24 {
				return errors.New("enough")
			}
			return nil
		})
		if err == nil && total > len(data)*64<<10 {
			t.Errorf("%d bytes of headers in %d", total, len(data))
		}
	})
}
