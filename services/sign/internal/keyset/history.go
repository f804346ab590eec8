package keyset

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"assize.dev/services/sign/internal/dsse"
)

// NewestFile holds the newest version once more, for those who want one file.
const NewestFile = "keys.json"

func versionFile(version int) string { return fmt.Sprintf("keys.%d.json", version) }

var versionName = regexp.MustCompile(`^keys\.([1-9][0-9]{0,5})\.json$`)

// History is versions of a set in their order, each stepped to from the one
// before it. There is at least one, and the first is trusted as it is.
type History []*Set

// Newest is the last version.
func (h History) Newest() *Set { return h[len(h)-1] }

// Load reads the file of one version, or a directory with keys.json, the
// numbered versions, or both. Of a directory the oldest version is trusted,
// and every other must be stepped to from it. The error wraps fs.ErrNotExist
// if there is no version at all.
func Load(path string) (History, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	if !info.IsDir() {
		s, err := readSet(path, Parse)
		if err != nil {
			return nil, err
		}
		return History{s}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	var versions []int
	for _, e := range entries {
		if m := versionName.FindStringSubmatch(e.Name()); m != nil {
			n, err := strconv.Atoi(m[1])
			if err != nil {
				return nil, fmt.Errorf("key set: %s: %w", e.Name(), err)
			}
			versions = append(versions, n)
		}
	}
	slices.Sort(versions)
	var h History
	for _, n := range versions {
		file := filepath.Join(path, versionFile(n))
		step := Parse
		if len(h) > 0 {
			step = h.Newest().Next
		}
		s, err := readSet(file, step)
		if err != nil {
			return nil, err
		}
		if s.Version != n {
			return nil, fmt.Errorf("key set: %s holds version %d", file, s.Version)
		}
		h = append(h, s)
	}
	return h.withNewest(filepath.Join(path, NewestFile))
}

// withNewest adds what keys.json holds: a version that is there already, as a
// process that was killed may have left it, or the next one.
func (h History) withNewest(file string) (History, error) {
	s, err := readSet(file, Parse)
	switch {
	case errors.Is(err, fs.ErrNotExist) && len(h) > 0:
		return h, nil
	case err != nil:
		return nil, err
	case len(h) == 0:
		return History{s}, nil
	}
	for _, known := range h {
		if known.Version == s.Version {
			if known.digest != s.digest {
				return nil, fmt.Errorf("%s: %w: %s is not %s", file, ErrFork, s, known)
			}
			return h, nil
		}
	}
	if s.Version < h[0].Version {
		return nil, fmt.Errorf("%s: %w: %d, the numbered files begin with %d", file, ErrRollback, s.Version, h[0].Version)
	}
	if s, err = readSet(file, h.Newest().Next); err != nil {
		return nil, err
	}
	return append(h, s), nil
}

// Follow steps from s, which is trusted, to the newest version of what is at
// path, as Load reads it. A directory must have s itself.
func (s *Set) Follow(path string) (*Set, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	if !info.IsDir() {
		return readSet(path, s.Next)
	}
	h, err := Load(path)
	if err != nil {
		return nil, err
	}
	for _, known := range h {
		if known.digest == s.digest {
			return h.Newest(), nil
		}
	}
	return nil, fmt.Errorf("%w: %s does not have %s", ErrFork, path, s)
}

func readSet(path string, parse func([]byte) (*Set, error)) (*Set, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	s, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// readFile reads no more than an envelope may have.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, dsse.MaxEnvelope+1))
	if err != nil {
		return nil, err
	}
	if len(data) > dsse.MaxEnvelope {
		return nil, fmt.Errorf("%s: more than %d bytes", path, dsse.MaxEnvelope)
	}
	return data, nil
}
