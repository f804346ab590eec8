package pspftest

import (
	"bytes"
	"compress/gzip"
	"slices"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// Codecs compress by the name of the operation.
var Codecs = map[string]func([]byte) []byte{"gzip": Gzip, "bzip2": Bzip2, "xz": XZ, "zstd": Zstd}

// Gzip compresses data as one member.
func Gzip(data []byte) []byte {
	var out bytes.Buffer
	zw, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	check(err)
	must(zw.Write(data))
	check(zw.Close())
	return out.Bytes()
}

// XZ compresses data as one stream.
func XZ(data []byte) []byte {
	var out bytes.Buffer
	zw, err := xz.WriterConfig{DictCap: 1 << 20}.NewWriter(&out)
	check(err)
	must(zw.Write(data))
	check(zw.Close())
	return out.Bytes()
}

// Zstd compresses data as one frame.
func Zstd(data []byte) []byte {
	zw, err := zstd.NewWriter(nil)
	check(err)
	return zw.EncodeAll(data, nil)
}

// Bzip2 encodes data as one block, which must have less than 100 kB after its
// runs are shortened. Go has no writer of this format. The stages are those
// of the decoder backwards: runs, block sorting, move to front, runs of
// zeros, and a prefix code that here is nearly flat.
func Bzip2(data []byte) []byte {
	w := &bitWriter{}
	w.bits('B'<<24|'Z'<<16|'h'<<8|'1', 32)
	sum := bzip2Sum(data)
	if len(data) > 0 {
		w.bits(0x314159265359, 48)
		w.bits(uint64(sum), 32)
		w.bits(0, 1) // not randomised
		last, origin := sortBlock(shortenRuns(data))
		w.bits(uint64(origin), 24)
		symbols, used := moveToFront(last)
		w.alphabet(used)
		w.code(symbols, len(used)+2)
	}
	w.bits(0x177245385090, 48)
	w.bits(uint64(sum), 32) // of one block it is the block's
	return w.out
}

// bzip2Sum is CRC-32 with the bits of bytes not reversed.
func bzip2Sum(data []byte) uint32 {
	sum := ^uint32(0)
	for _, b := range data {
		sum ^= uint32(b) << 24
		for range 8 {
			carry := sum >> 31
			sum = sum<<1 ^ carry*0x04c11db7
		}
	}
	if len(data) == 0 {
		return 0
	}
	return ^sum
}

// shortenRuns writes four to 255 equal bytes as four and a count of the rest.
func shortenRuns(data []byte) (out []byte) {
	for i := 0; i < len(data); {
		n := 1
		for n < 255 && i+n < len(data) && data[i+n] == data[i] {
			n++
		}
		for range min(n, 4) {
			out = append(out, data[i])
		}
		if n >= 4 {
			out = append(out, byte(n-4))
		}
		i += n
	}
	return out
}

// sortBlock is the Burrows-Wheeler transform: the last column of the sorted
// rotations and the row of the block itself.
func sortBlock(block []byte) (last []byte, origin int) {
	twice := append(bytes.Clone(block), block...)
	rows := make([]int, len(block))
	for i := range rows {
		rows[i] = i
	}
	slices.SortStableFunc(rows, func(a, b int) int {
		return bytes.Compare(twice[a:a+len(block)], twice[b:b+len(block)])
	})
	for i, row := range rows {
		if row == 0 {
			origin = i
		}
		last = append(last, twice[row+len(block)-1])
	}
	return last, origin
}

// moveToFront gives symbols: 0 and 1 are the digits of runs of the first
// byte, i+1 is the byte at i, and the largest ends the block.
func moveToFront(data []byte) (symbols []int, used []byte) {
	used = slices.Compact(slices.Sorted(slices.Values(data)))
	order, run := slices.Clone(used), 0
	flush := func() {
		for ; run > 0; run = (run - 1) / 2 {
			symbols = append(symbols, (run-1)%2)
		}
	}
	for _, b := range data {
		at := bytes.IndexByte(order, b)
		if at == 0 {
			run++
			continue
		}
		flush()
		symbols = append(symbols, at+1)
		copy(order[1:at+1], order[:at])
		order[0] = b
	}
	flush()
	return append(symbols, len(used)+1), used
}

type bitWriter struct {
	out  []byte
	free int // bits of the last byte
}

func (w *bitWriter) bits(v uint64, n int) {
	for n--; n >= 0; n-- {
		if w.free == 0 {
			w.out, w.free = append(w.out, 0), 8
		}
		w.free--
		w.out[len(w.out)-1] |= byte(v>>n&1) << w.free
	}
}

// alphabet says which bytes occur.
func (w *bitWriter) alphabet(used []byte) {
	var groups uint64
	var members [16]uint64
	for _, b := range used {
		groups |= 1 << (15 - b>>4)
		members[b>>4] |= 1 << (15 - b&15)
	}
	w.bits(groups, 16)
	for _, m := range members {
		if m != 0 {
			w.bits(m, 16)
		}
	}
}

// code writes symbols of an alphabet of n with a complete prefix code whose
// lengths differ by one at most. Two equal tables are the fewest allowed.
func (w *bitWriter) code(symbols []int, n int) {
	length := 1
	for 1<<length < n {
		length++
	}
	short := 1<<length - n // symbols that are one bit shorter
	const tables, group = 2, 50
	selectors := (len(symbols) + group - 1) / group
	w.bits(tables, 3)
	w.bits(uint64(selectors), 15)
	w.bits(0, selectors) // always the first table
	for range tables {
		if short > 0 {
			w.bits(uint64(length-1), 5)
		} else {
			w.bits(uint64(length), 5)
		}
		for i := range n {
			if i == short && short > 0 {
				w.bits(0b10, 2) // one bit longer from here on
			}
			w.bits(0, 1)
		}
	}
	for _, s := range symbols {
		if s < short {
			w.bits(uint64(s), length-1)
		} else {
			w.bits(uint64(s+short), length)
		}
	}
}
