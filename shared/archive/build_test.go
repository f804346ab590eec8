package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// item is one entry to be put into any of the containers built here.
type item struct {
	name, body, link string
	kind             byte // tar type flag; 0 is a file
	mode             int64
}

func files(nameAndBody ...string) (items []item) {
	for i := 0; i < len(nameAndBody); i += 2 {
		items = append(items, item{name: nameAndBody[i], body: nameAndBody[i+1]})
	}
	return items
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func tarUnended(items ...item) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, it := range items {
		h := &tar.Header{Name: it.name, Typeflag: it.kind, Linkname: it.link, Mode: it.mode, Size: int64(len(it.body)), ModTime: time.Unix(1e9, 0)}
		if it.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		if it.mode == 0 {
			h.Mode = 0o644
		}
		must(w.WriteHeader(h))
		_, err := io.WriteString(w, it.body)
		must(err)
	}
	must(w.Flush())
	return b.Bytes()
}

func tarOf(items ...item) []byte { return append(tarUnended(items...), make([]byte, 1024)...) }

func zipOf(items ...item) []byte { return zipMethod(zip.Deflate, items...) }

func zipMethod(method uint16, items ...item) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	w.RegisterCompressor(zip.Deflate, func(o io.Writer) (io.WriteCloser, error) { return flate.NewWriter(o, flate.BestSpeed) })
	w.RegisterCompressor(zipZstd, func(o io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(o) })
	for _, it := range items {
		h := &zip.FileHeader{Name: it.name, Method: method, Modified: time.Unix(1e9, 0)}
		if it.mode != 0 {
			h.CreatorVersion = 3 << 8
			h.ExternalAttrs = uint32(it.mode) << 16
		}
		f, err := w.CreateHeader(h)
		must(err)
		_, err = io.WriteString(f, it.body)
		must(err)
	}
	must(w.Close())
	return b.Bytes()
}

func gz(p []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(p)
	must(err)
	must(w.Close())
	return b.Bytes()
}

func zst(p []byte) []byte {
	w, err := zstd.NewWriter(nil)
	must(err)
	return w.EncodeAll(p, nil)
}

func xzOf(p []byte, dict int) []byte {
	var b bytes.Buffer
	w, err := xz.WriterConfig{DictCap: dict}.NewWriter(&b)
	must(err)
	_, err = w.Write(p)
	must(err)
	must(w.Close())
	return b.Bytes()
}

// xzClaiming says in its block header that it needs a dictionary of the size
// that code stands for (The .xz File Format 1.2.1, §5.3.1).
func xzClaiming(p []byte, code byte) []byte {
	b := xzOf(p, 1<<16)
	header := b[12 : 12+(int(b[12])+1)*4]
	at := bytes.Index(header, []byte{0x21, 1})
	header[at+2] = code
	binary.LittleEndian.PutUint32(header[len(header)-4:], crc32.ChecksumIEEE(header[:len(header)-4]))
	return b
}

func lzmaOf(p []byte) []byte {
	var b bytes.Buffer
	w, err := lzma.NewWriter(&b)
	must(err)
	_, err = w.Write(p)
	must(err)
	must(w.Close())
	return b.Bytes()
}

// bzip2Hello is "hello\n"; Go has no bzip2 writer.
func bzip2Hello() []byte {
	b, err := hex.DecodeString("425a6839314159265359c1c080e2000001410000100244a00030cd00c3462997177245385090c1c080e2")
	must(err)
	return b
}

func arOf(items ...item) []byte {
	b := []byte(arMagic)
	for _, it := range items {
		name, body := it.name, it.body
		if len(name) > 16 {
			name, body = fmt.Sprintf("#1/%d", len(it.name)), it.name+it.body
		}
		b = fmt.Appendf(b, "%-16s%-12d%-6d%-6d%-8o%-10d`\n%s", name, 1000000000, 0, 0, 0o100644|it.mode, len(body), body)
		if len(b)%2 != 0 {
			b = append(b, '\n')
		}
	}
	return b
}

func cpioNewc(items ...item) (b []byte) {
	put := func(it item, mode int64) {
		b = fmt.Appendf(b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
			1, mode, 0, 0, 1, 1000000000, len(it.body), 0, 0, 0, 0, len(it.name)+1, 0, it.name)
		b = append(b, make([]byte, -len(b)&3)...)
		b = append(b, it.body...)
		b = append(b, make([]byte, -len(b)&3)...)
	}
	for _, it := range items {
		put(it, 0o100644|it.mode)
	}
	put(item{name: cpioTrailer}, 0)
	return b
}

func cpioOdc(items ...item) (b []byte) {
	for _, it := range append(items, item{name: cpioTrailer}) {
		b = fmt.Appendf(b, "070707%06o%06o%06o%06o%06o%06o%06o%011o%06o%011o%s\x00%s",
			0, 1, 0o100644|it.mode, 0, 0, 1, 0, 1000000000, len(it.name)+1, len(it.body), it.name, it.body)
	}
	return append(b, make([]byte, 512-len(b)%512)...)
}

func rpmOf(payload []byte) []byte { return rpmWith(nil, payload) }

// rpmWith has more tags, all of them strings.
func rpmWith(more map[uint32]string, payload []byte) []byte {
	section := func(tags map[uint32]string) []byte {
		var index, store []byte
		for tag, v := range tags {
			kind := uint32(6)
			if tag == 1003 {
				kind = 4
				for len(store)%4 != 0 {
					store = append(store, 0)
				}
			}
			for _, n := range []uint32{tag, kind, uint32(len(store)), 1} {
				index = binary.BigEndian.AppendUint32(index, n)
			}
			store = append(store, v...)
			if kind == 6 {
				store = append(store, 0)
			}
		}
		b := []byte(rpmMagic + "\x01\x00\x00\x00\x00")
		b = binary.BigEndian.AppendUint32(b, uint32(len(index)/16))
		b = binary.BigEndian.AppendUint32(b, uint32(len(store)))
		return append(append(b, index...), store...)
	}
	b := append([]byte("\xed\xab\xee\xdb\x03\x00"), make([]byte, rpmLead-6)...)
	b = append(b, section(map[uint32]string{269: "abc"})...)
	b = append(b, make([]byte, -len(b)&7)...)
	tags := map[uint32]string{
		1000: "tool", 1001: "1.2", 1002: "3", 1003: "\x00\x00\x00\x07", 1022: "noarch", 1004: "A tool", 1014: "MIT", 1011: "Us",
	}
	maps.Copy(tags, more)
	b = append(b, section(tags)...)
	return append(b, payload...)
}

// patchedZip changes the one entry of a stored zip after the fact.
func patchedZip(change func(local, central []byte)) []byte {
	b := zipMethod(zip.Store, files("a", "content")...)
	change(b, b[bytes.Index(b, []byte(zipRecordSign)):])
	return b
}

// seen is a walk written down.
type seen struct {
	*Report
	paths   []string
	entries map[string]*Entry
	bodies  map[string]string
}

// look walks p both ways, checks what holds of every walk, and gives the one
// over a ReaderAt.
func look(t testing.TB, p []byte, name string, limits Limits) seen {
	t.Helper()
	walks := map[string]func(Visitor) (*Report, error){
		"Walk": func(v Visitor) (*Report, error) {
			return Walk(t.Context(), bytes.NewReader(p), int64(len(p)), name, limits, v)
		},
		"WalkStream": func(v Visitor) (*Report, error) {
			return WalkStream(t.Context(), bytes.NewReader(p), name, limits, v)
		},
	}
	var result seen
	for how, walk := range walks {
		s := seen{entries: map[string]*Entry{}, bodies: map[string]string{}}
		report, err := walk(s.note(t))
		if err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		s.Report = report
		checkReport(t, how, s)
		if how == "Walk" {
			result = s
		}
		// A visitor that reads nothing must learn of the same problems.
		lazy, err := walk(func(context.Context, *Entry, io.Reader) error { return nil })
		if err != nil {
			t.Fatalf("%s, nothing read: %v", how, err)
		}
		if !slices.Equal(problemKinds(lazy), problemKinds(report)) && limits.Inflated == 0 {
			t.Errorf("%s: problems %v when all is read, %v when nothing is", how, report.Problems, lazy.Problems)
		}
	}
	return result
}

func problemKinds(r *Report) (s []string) {
	for _, p := range r.Problems {
		s = append(s, p.Kind+" "+p.Path)
	}
	return s
}

func (s *seen) note(t testing.TB) Visitor {
	return func(_ context.Context, e *Entry, content io.Reader) error {
		if (content != nil) != (e.Type == File) {
			t.Errorf("%s is a %s, content %v", e.FullPath(), e.Type, content)
		}
		s.paths = append(s.paths, e.FullPath())
		s.entries[e.FullPath()] = e
		if content == nil {
			return nil
		}
		body, err := io.ReadAll(io.LimitReader(content, 1<<20))
		s.bodies[e.FullPath()] = string(body)
		var limit *LimitError
		if err != nil && !errors.As(err, &limit) && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: content fails with %v", e.FullPath(), err)
		}
		return err
	}
}

// checkReport holds for every walk of anything.
func checkReport(t testing.TB, how string, s seen) {
	t.Helper()
	if s.Entries != len(s.paths) {
		t.Errorf("%s: report counts %d entries, %d were shown", how, s.Entries, len(s.paths))
	}
	if len(s.Problems) > maxProblems {
		t.Errorf("%s: %d problems", how, len(s.Problems))
	}
	for _, p := range s.Problems {
		if p.Path == "" || p.Detail == "" || !slices.Contains([]string{KindLimit, KindDamaged, KindUnsupported, KindOmitted}, p.Kind) {
			t.Errorf("%s: problem %+v", how, p)
		}
	}
	for path, e := range s.entries {
		if e.Path == "" || strings.HasPrefix(e.Path, "/") || slices.Contains(strings.Split(e.Path, "/"), "..") {
			t.Errorf("%s: path %q is not clean", how, e.Path)
		}
		if len(e.Parents) == 0 || !e.Format.container() {
			t.Errorf("%s: %s: parents %q, format %q", how, path, e.Parents, e.Format)
		}
	}
}

func crcOf(s string) uint32 { return crc32.ChecksumIEEE([]byte(s)) }

// slot is one of a PSPF package that a test makes.
type slot struct {
	item
	ops  uint64
	mode uint16
}

// pspfOf makes an unsigned package; change, if not nil, sees the index and
// the table before they are written.
func pspfOf(launcher, metadata string, change func(index, table []byte), slots ...slot) []byte {
	meta := gz([]byte(metadata))
	file := append([]byte(launcher), meta...)
	file = append(file, make([]byte, (8-len(file)%8)%8)...)
	index, table := make([]byte, 8192), make([]byte, pspfSlotLen*len(slots))
	for at, v := range map[int]int{16: len(launcher), 24: len(launcher), 32: len(meta), 40: len(file), 48: len(table)} {
		binary.LittleEndian.PutUint64(index[at:], uint64(v))
	}
	binary.LittleEndian.PutUint32(index[56:], uint32(len(slots)))
	at := len(file) + len(table)
	var bodies []byte
	for i, s := range slots {
		r := table[pspfSlotLen*i:]
		binary.LittleEndian.PutUint64(r[16:], uint64(at+len(bodies)))
		binary.LittleEndian.PutUint64(r[24:], uint64(len(s.body)))
		binary.LittleEndian.PutUint64(r[40:], s.ops)
		binary.LittleEndian.PutUint16(r[62:], s.mode)
		bodies = append(bodies, s.body...)
		bodies = append(bodies, make([]byte, (8-len(bodies)%8)%8)...)
	}
	if change != nil {
		change(index, table)
	}
	return slices.Concat(file, table, bodies, []byte(pspfStart), index, []byte(pspfEnd))
}
