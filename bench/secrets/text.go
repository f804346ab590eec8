package main

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// file is one file of the text.
type file struct {
	path string
	data []byte
}

func moduleCache() string {
	out, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// collect reads text files below dir, picked evenly by a hash of their names,
// until they have most bytes. The same directory gives the same files.
func collect(dir string, most int64) ([]file, error) {
	type named struct {
		path string
		hash uint64
	}
	var all []named
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path == filepath.Join(dir, "cache") {
			return fs.SkipDir // archives
		}
		if d.Type().IsRegular() {
			h := fnv.New64a()
			h.Write([]byte(path))
			all = append(all, named{path, h.Sum64()})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b named) int { return cmp.Compare(a.hash, b.hash) })
	var out []file
	var size int64
	for _, n := range all {
		if size >= most {
			return out, nil
		}
		info, err := os.Stat(n.path)
		if err != nil || info.Size() > 4<<20 {
			continue
		}
		data, err := os.ReadFile(n.path)
		if err != nil {
			return nil, err
		}
		if bytes.IndexByte(data, 0) < 0 {
			out = append(out, file{n.path, data})
			size += int64(len(data))
		}
	}
	return nil, fmt.Errorf("%s has %d MB of text, less than asked for: give another -dir or a smaller -mb", dir, size/1e6)
}

// absentByte is one that IndexByte has to look for to the end.
func absentByte(text []byte) byte {
	for _, c := range []byte{0, 1, 2, 3, 4} {
		if bytes.IndexByte(text, c) < 0 {
			return c
		}
	}
	return 0xFF
}
