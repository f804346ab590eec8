package sbom

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"assize.dev/shared/archive"
	"assize.dev/shared/identify"
)

// fileList holds the files of an Arch package against the list that the
// package has of them (.MTREE: mtree(5), gzip-compressed, by makepkg).
type fileList struct {
	there  bool
	listed map[string]string // path to SHA-256, hexadecimal
	found  map[string]string
}

// Bounds of such a list.
const (
	maxFileList   = 32 << 20 // bytes, decompressed
	maxFileListed = 200_000
)

func newFileList(id identify.Identity) *fileList {
	if id.Format != identify.Arch {
		return nil
	}
	return &fileList{listed: map[string]string{}, found: map[string]string{}}
}

func (l *fileList) wants(e *entry) bool { return l != nil && e.Root && e.Path == ".MTREE" }

// watch hashes the content of a file while it is read; done reads the rest.
func (l *fileList) watch(e *entry, content io.Reader) (watched io.Reader, done func()) {
	if l == nil || !e.Root || e.Path == ".MTREE" {
		return content, func() {}
	}
	h := sha256.New()
	keep := func() {
		if len(l.found) < maxFileListed {
			l.found[e.Path] = hex.EncodeToString(h.Sum(nil))
		}
	}
	if at, ok := content.(*io.SectionReader); ok {
		return content, func() {
			if _, err := io.Copy(h, io.NewSectionReader(at, 0, at.Size())); err == nil {
				keep()
			}
		}
	}
	tee := io.TeeReader(content, h)
	return tee, func() {
		if _, err := io.Copy(io.Discard, tee); err == nil { // the walk knows of an error
			keep()
		}
	}
}

func (l *fileList) read(src *source) error {
	z, err := gzip.NewReader(src)
	if err != nil {
		return err
	}
	data, err := (&source{r: z}).all(maxFileList)
	if err != nil {
		return err
	}
	l.there = true
	return l.parse(data)
}

// parse reads lines "./path keyword=value ..."; lines of directories and
// links have no digest.
func (l *fileList) parse(data []byte) error {
	if !bytes.HasPrefix(data, []byte("#mtree")) {
		return errors.New("it does not begin with #mtree")
	}
	for line := range bytes.Lines(data) {
		name, keywords, ok := strings.Cut(strings.TrimSpace(string(line)), " ")
		if !ok || !strings.HasPrefix(name, "./") {
			continue
		}
		for keyword := range strings.FieldsSeq(keywords) {
			if sum, ok := strings.CutPrefix(keyword, "sha256digest="); ok && len(l.listed) < maxFileListed {
				l.listed[unvis(name[2:])] = strings.ToLower(sum)
			}
		}
	}
	return nil
}

// unvis undoes the octal escapes of names (vis(3), VIS_OCTAL).
func unvis(name string) string {
	var out strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '\\' && i+3 < len(name) {
			if a, b, c := name[i+1]-'0', name[i+2]-'0', name[i+3]-'0'; a < 4 && b < 8 && c < 8 {
				out.WriteByte(a<<6 | b<<3 | c)
				i += 3
				continue
			}
		}
		out.WriteByte(name[i])
	}
	return out.String()
}

// link takes account of a second name of a file.
func (l *fileList) link(e *archive.Entry) {
	if l == nil || e.Type != archive.Hardlink || len(e.Parents) != 1 {
		return
	}
	if sum, ok := l.found[path.Clean(e.Linkname)]; ok && len(l.found) < maxFileListed {
		l.found[e.Path] = sum
	}
}

// compare tells where list and files differ, in the order of the paths. It is
// asked when all files were seen.
func (l *fileList) compare(problem func(where, kind, detail string)) {
	if l == nil || !l.there {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(l.listed)) {
		switch sum, there := l.found[name]; {
		case !there:
			problem(name, archive.KindDamaged, "the package's own list, .MTREE, has this file, and the package does not")
		case sum != l.listed[name]:
			problem(name, archive.KindDamaged, "differs from the package's own list, .MTREE: SHA-256 is "+sum)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.found)) {
		if _, listed := l.listed[name]; !listed {
			problem(name, archive.KindDamaged, "is not in the package's own list, .MTREE")
		}
	}
}
