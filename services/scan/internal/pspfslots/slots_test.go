package pspfslots

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
)

// build makes a package: launcher, metadata, table, slots, trailer.
func build(slots ...[]byte) []byte {
	file := []byte("#!/bin/launcher\n")
	index := make([]byte, indexSize)
	put := func(at int, v uint64) { binary.LittleEndian.PutUint64(index[at:], v) }
	put(16, uint64(len(file)))
	put(24, uint64(len(file)))
	put(32, 4)
	file = append(file, "meta"...)
	put(40, uint64(len(file)))
	put(48, uint64(len(slots)*recordSize))
	binary.LittleEndian.PutUint32(index[56:], uint32(len(slots)))
	at := len(file) + len(slots)*recordSize
	for i, s := range slots {
		record := make([]byte, recordSize)
		binary.LittleEndian.PutUint64(record, uint64(i))
		binary.LittleEndian.PutUint64(record[16:], uint64(at))
		binary.LittleEndian.PutUint64(record[24:], uint64(len(s)))
		at += len(s)
		file = append(file, record...)
	}
	file = append(file, bytes.Join(slots, nil)...)
	file = append(file, startMagic...)
	file = append(file, index...)
	return append(file, endMagic...)
}

func TestRead(t *testing.T) {
	file := build([]byte("first"), nil, []byte("third slot"))
	l, err := Read(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range append([]Section{l.Launcher, l.Metadata}, l.Slots...) {
		b, err := io.ReadAll(s.Reader(bytes.NewReader(file)))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(b))
	}
	if want := "#!/bin/launcher\n|meta|first||third slot"; strings.Join(got, "|") != want {
		t.Errorf("sections %q, want %q", strings.Join(got, "|"), want)
	}
}

func TestReadRefuses(t *testing.T) {
	good := build([]byte("slot"))
	index := len(good) - trailerSize + 4
	table := len("#!/bin/launcher\nmeta")
	for name, test := range map[string]struct {
		at    int
		value uint64
		want  string
	}{
		"launcher beyond the end":   {index + 16, 1 << 40, "launcher"},
		"metadata overflowing":      {index + 24, ^uint64(0) - 1, "metadata"},
		"metadata into the trailer": {index + 32, uint64(len(good)), "metadata"},
		"too many slots":            {index + 56, 1 << 31, "slot table"},
		"table size":                {index + 48, 65, "slot table"},
		"table beyond the end":      {index + 40, uint64(len(good)), "slot table"},
		"slot beyond the end":       {table + 24, 1 << 50, "slot 0"},
		"slot overflowing":          {table + 16, ^uint64(0), "slot 0"},
	} {
		t.Run(name, func(t *testing.T) {
			file := bytes.Clone(good)
			binary.LittleEndian.PutUint64(file[test.at:], test.value)
			if _, err := Read(bytes.NewReader(file), int64(len(file))); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one about the %s", err, test.want)
			}
		})
	}
	for _, cut := range [][]byte{nil, good[:100], good[:len(good)-1], good[1 : len(good)-4]} {
		if _, err := Read(bytes.NewReader(cut), int64(len(cut))); !errors.Is(err, ErrNone) {
			t.Errorf("%d bytes: error %v, want ErrNone", len(cut), err)
		}
	}
}

func TestOpaque(t *testing.T) {
	for operations, want := range map[uint64]byte{0: 0, 0x1001: 0, 0x1B01: 0, 0x3001: 0x30, 0x30: 0x30, 0x10_00_01: 0, 0x7F_0000: 0x7F} {
		op, opaque := Opaque(operations)
		// A zero between operations is one nobody defines.
		if operations == 0x10_00_01 || operations == 0x7F_0000 {
			if !opaque {
				t.Errorf("%#x: want opaque", operations)
			}
			continue
		}
		if op != want || opaque != (want != 0) {
			t.Errorf("%#x: %#x, %v, want %#x", operations, op, opaque, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(build([]byte("slot"), []byte("two")))
	f.Add(build())
	f.Fuzz(func(t *testing.T, file []byte) {
		l, err := Read(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return
		}
		for _, s := range append([]Section{l.Launcher, l.Metadata}, l.Slots...) {
			if s.Offset < 0 || s.Size < 0 || s.Offset+s.Size > int64(len(file)-trailerSize) {
				t.Fatalf("section %+v of a file of %d bytes", s, len(file))
			}
		}
	})
}
