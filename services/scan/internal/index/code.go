package index

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync/atomic"
	"unsafe"
)

// encoder writes numbers as varints and texts with their length before them.
type encoder []byte

func (e *encoder) number(n uint64) { *e = binary.AppendUvarint(*e, n) }
func (e *encoder) byte(b byte)     { *e = append(*e, b) }
func (e *encoder) text(s string) {
	e.number(uint64(len(s)))
	*e = append(*e, s...)
}

func (e *encoder) texts(all []string) {
	e.number(uint64(len(all)))
	for _, s := range all {
		e.text(s)
	}
}

// decoder reads the same. After the first error it gives zeros.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrDamaged, what)
	}
	d.b = nil
}

func (d *decoder) number() uint64 {
	// Nearly all numbers have one byte.
	if len(d.b) > 0 && d.b[0] < 0x80 {
		n := d.b[0]
		d.b = d.b[1:]
		return uint64(n)
	}
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.fail("a number is cut off")
		return 0
	}
	d.b = d.b[size:]
	return n
}

// count is a number of things that each take a byte at least.
func (d *decoder) count() int {
	n := d.number()
	if n > uint64(len(d.b)) {
		d.fail("a count is too large")
		return 0
	}
	return int(n)
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail("it is cut off")
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

// view is a text that is valid as long as the file is mapped.
func (d *decoder) view() string {
	n := d.count()
	if n == 0 {
		return ""
	}
	s := unsafe.String(&d.b[0], n)
	d.b = d.b[n:]
	return s
}

func (d *decoder) text() string { return string([]byte(d.view())) }

func (d *decoder) texts() []string {
	n := d.count()
	if n == 0 {
		return nil
	}
	all := make([]string, 0, n)
	for range n {
		all = append(all, d.text())
	}
	return all
}

// framed is length, CRC-32C and the bytes.
func framed(dst, payload []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(payload)))
	dst = binary.LittleEndian.AppendUint32(dst, checksum(payload))
	return append(dst, payload...)
}

// unframe returns the bytes framed at an offset, and checks them unless that
// was done before.
func unframe(file []byte, at uint64, seen *once) ([]byte, error) {
	if at > math.MaxInt64-8 || at+8 > uint64(len(file)) {
		return nil, fmt.Errorf("%w: an offset is beyond the end", ErrDamaged)
	}
	n := uint64(binary.LittleEndian.Uint32(file[at:]))
	if n > uint64(len(file))-at-8 {
		return nil, fmt.Errorf("%w: a length is beyond the end", ErrDamaged)
	}
	payload := file[at+8 : at+8+n]
	if !seen.done() {
		if checksum(payload) != binary.LittleEndian.Uint32(file[at+4:]) {
			return nil, fmt.Errorf("%w: bytes at %d were changed", ErrDamaged, at)
		}
		seen.set()
	}
	return payload, nil
}

// once is one of many bits that are set once.
type once struct {
	word *atomic.Uint32
	bit  uint32
}

func (o *once) done() bool { return o.word.Load()&o.bit != 0 }
func (o *once) set()       { o.word.Or(o.bit) }

type bits []atomic.Uint32

func newBits(n uint32) bits { return make(bits, n/32+1) }

func (b bits) at(i uint32) *once { return &once{&b[i/32], 1 << (i % 32)} }
