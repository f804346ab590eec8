// Package identifytest makes small packages of every format for tests. It is
// shared because identify and sbom are tested against the same ones.
package identifytest

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"hash/adler32"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// File is the name and the content of one file of a package.
type File [2]string

var epoch = time.Unix(1700000000, 0)

// Tar makes a tar of regular files.
func Tar(files ...File) []byte {
	b := tarSegment(files)
	return append(b, make([]byte, 1024)...)
}

// tarSegment leaves out the end-of-archive blocks.
func tarSegment(files []File) []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		must(w.WriteHeader(&tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1])), ModTime: epoch, Typeflag: tar.TypeReg}))
		_, err := w.Write([]byte(f[1]))
		must(err)
	}
	must(w.Flush())
	return bytes.Clone(buf.Bytes())
}

// Gzip compresses data as one member.
func Gzip(data []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, err := w.Write(data)
	must(err)
	must(w.Close())
	return buf.Bytes()
}

// Zstd compresses data as one frame.
func Zstd(data []byte) []byte {
	w, err := zstd.NewWriter(nil)
	must(err)
	defer w.Close()
	return w.EncodeAll(data, nil)
}

// TarGz makes a compressed tar.
func TarGz(files ...File) []byte { return Gzip(Tar(files...)) }

// TarZstd makes a compressed tar.
func TarZstd(files ...File) []byte { return Zstd(Tar(files...)) }

// Zip makes a zip of deflated files.
func Zip(files ...File) []byte {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, f := range files {
		e, err := w.CreateHeader(&zip.FileHeader{Name: f[0], Method: zip.Deflate, Modified: epoch})
		must(err)
		_, err = e.Write([]byte(f[1]))
		must(err)
	}
	must(w.Close())
	return buf.Bytes()
}

// Ar makes a Unix archive.
func Ar(files ...File) []byte {
	var buf bytes.Buffer
	buf.WriteString("!<arch>\n")
	for _, f := range files {
		fmt.Fprintf(&buf, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", f[0], epoch.Unix(), 0, 0, "100644", len(f[1]))
		buf.WriteString(f[1])
		if len(f[1])%2 == 1 {
			buf.WriteByte('\n')
		}
	}
	return buf.Bytes()
}

// Deb makes a Debian package with a gzipped control and a zstandard data
// part.
func Deb(control string, data ...File) []byte {
	return Ar(File{"debian-binary", "2.0\n"},
		File{"control.tar.gz", string(TarGz(File{"./control", control}))},
		File{"data.tar.zst", string(TarZstd(data...))})
}

// APK makes an Alpine package: the control and the data segment are gzip
// members of one tar.
func APK(pkginfo string, data ...File) []byte {
	return append(Gzip(tarSegment([]File{{".PKGINFO", pkginfo}})), Gzip(Tar(data...))...)
}

// Gem makes a RubyGems package.
func Gem(metadata string, data ...File) []byte {
	return Tar(File{"metadata.gz", string(Gzip([]byte(metadata)))}, File{"data.tar.gz", string(TarGz(data...))})
}

// RPM makes a package whose header has the given string tags and whose
// payload is a gzipped cpio (newc) of the files.
func RPM(tags map[uint32]string, files ...File) []byte {
	var out bytes.Buffer
	lead := make([]byte, 96)
	copy(lead, "\xed\xab\xee\xdb\x03\x00")
	binary.BigEndian.PutUint16(lead[78:], 5)
	out.Write(lead)
	out.Write(rpmHeader(nil))
	for out.Len()%8 != 0 {
		out.WriteByte(0)
	}
	out.Write(rpmHeader(tags))
	out.Write(Gzip(Cpio(files...)))
	return out.Bytes()
}

func rpmHeader(tags map[uint32]string) []byte {
	var index, store bytes.Buffer
	for tag := range uint32(2000) {
		if s, ok := tags[tag]; ok {
			for _, v := range []uint32{tag, 6, uint32(store.Len()), 1} {
				must(binary.Write(&index, binary.BigEndian, v))
			}
			store.WriteString(s + "\x00")
		}
	}
	head := make([]byte, 16)
	copy(head, "\x8e\xad\xe8\x01")
	binary.BigEndian.PutUint32(head[8:], uint32(index.Len()/16))
	binary.BigEndian.PutUint32(head[12:], uint32(store.Len()))
	return append(append(head, index.Bytes()...), store.Bytes()...)
}

// Cpio makes a "newc" archive.
func Cpio(files ...File) []byte {
	var buf bytes.Buffer
	for i, f := range append(files, File{"TRAILER!!!"}) {
		fmt.Fprintf(&buf, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
			i+1, 0o100644, 0, 0, 1, 0, len(f[1]), 0, 0, 0, 0, len(f[0])+1, 0)
		buf.WriteString(f[0] + "\x00")
		for buf.Len()%4 != 0 {
			buf.WriteByte(0)
		}
		buf.WriteString(f[1])
		for buf.Len()%4 != 0 {
			buf.WriteByte(0)
		}
	}
	return buf.Bytes()
}

// PSPF makes an unsigned PSPF/2025 package of the launcher, the metadata JSON
// and slots of stored bytes.
func PSPF(launcher, metadata string, slots ...[]byte) []byte {
	out := []byte(launcher)
	index := make([]byte, 8192)
	put64 := func(at int, v int) { binary.LittleEndian.PutUint64(index[at:], uint64(v)) }
	binary.LittleEndian.PutUint32(index, 0x20250001)
	put64(16, len(out))
	put64(24, len(out))
	m := Gzip([]byte(metadata))
	put64(32, len(m))
	out = append(out, m...)
	pad := func() {
		for len(out)%8 != 0 {
			out = append(out, 0)
		}
	}
	pad()
	put64(40, len(out))
	put64(48, 64*len(slots))
	binary.LittleEndian.PutUint32(index[56:], uint32(len(slots)))
	table := len(out)
	out = append(out, make([]byte, 64*len(slots))...)
	for i, s := range slots {
		pad()
		d := out[table+64*i:]
		binary.LittleEndian.PutUint64(d, uint64(i))
		binary.LittleEndian.PutUint64(d[16:], uint64(len(out)))
		binary.LittleEndian.PutUint64(d[24:], uint64(len(s)))
		binary.LittleEndian.PutUint64(d[32:], uint64(len(s)))
		out = append(out, s...)
	}
	put64(8, len(out)+8200)
	binary.LittleEndian.PutUint32(index[4:], adler32.Checksum(index))
	out = append(out, "\xf0\x9f\x93\xa6"...)
	out = append(out, index...)
	return append(out, "\xf0\x9f\xaa\x84"...)
}

// Data finds the folder of real test data that lies outside the project, or
// skips the test.
func Data(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("ASSIZE_TESTDATA")
	if dir == "" {
		at, err := os.Getwd()
		must(err)
		for ; at != filepath.Dir(at); at = filepath.Dir(at) {
			if candidate := filepath.Join(at, "shared", "data", "packages"); isDir(candidate) {
				return filepath.Dir(candidate)
			}
		}
	}
	if dir == "" || !isDir(dir) {
		t.Skip("no real test data: set ASSIZE_TESTDATA to the folder that holds packages/ and hostile/")
	}
	return dir
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// must fails at once: the builders write to memory only.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
