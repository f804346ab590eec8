package openpgp

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxFiles bounds the keyrings of one directory.
const maxFiles = 1000

// LoadKeyring reads and merges keyrings. A path is a file, see ParseKeyring;
// or a directory, of which every *.gpg, *.pgp, *.asc and *.key is read; or
// what the names of Arch's three files begin with.
//
// Arch's rule holds for a NAME.gpg with a NAME-trusted or NAME-revoked beside
// it, in whichever way it is named, and all three must be there: what
// NAME-trusted lists with trust 4 are master keys, which sign no artifacts.
// Any other certificate counts as long as at least three master keys vouch
// for one of its user ids. What NAME-revoked lists does not count.
//
// A certificate that other keyrings hold too must still meet Arch's rule, see
// Merge. Whatever cannot be read is an error that names the file.
func LoadKeyring(paths ...string) (*Keyring, error) {
	var all []*Keyring
	for _, path := range paths {
		rings, err := loadPath(path)
		if err != nil {
			return nil, err
		}
		all = append(all, rings...)
	}
	return Merge(all...), nil
}

func loadPath(path string) (rings []*Keyring, err error) {
	files := []string{path}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && exists(path+".gpg"):
		ring, err := loadArch(path)
		return []*Keyring{ring}, err
	case err != nil:
		return nil, fmt.Errorf("keyring: %w", err)
	case info.IsDir():
		if files, err = keyringsIn(path); err != nil {
			return nil, err
		}
	}
	for _, file := range files {
		ring, err := loadFile(file)
		if err != nil {
			return nil, err
		}
		rings = append(rings, ring)
	}
	return rings, nil
}

// exists is true as well for what cannot be looked at: reading it will tell.
func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// keyringsIn lists the keyrings of a directory.
func keyringsIn(dir string) (files []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("keyring directory: %w", err)
	}
	for _, e := range entries {
		name := e.Name()
		switch filepath.Ext(name) {
		case ".gpg", ".pgp", ".asc", ".key":
			files = append(files, filepath.Join(dir, name))
		default:
			for _, suffix := range []string{"-trusted", "-revoked"} {
				of, ok := strings.CutSuffix(name, suffix)
				if ok && !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == of+".gpg" }) {
					return nil, fmt.Errorf("keyring directory %s: %s without %s.gpg", dir, name, of)
				}
			}
		}
		if len(files) > maxFiles {
			return nil, fmt.Errorf("keyring directory %s: more than %d keyrings", dir, maxFiles)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("keyring directory %s: no *.gpg, *.pgp, *.asc or *.key in it", dir)
	}
	return files, nil
}

func loadFile(path string) (*Keyring, error) {
	name, ok := strings.CutSuffix(path, ".gpg")
	if ok && (exists(name+"-trusted") || exists(name+"-revoked")) {
		return loadArch(name)
	}
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	ring, err := ParseKeyring(data)
	if err != nil {
		return nil, fmt.Errorf("keyring %s: %w", path, err)
	}
	return ring, nil
}

// loadArch reads name.gpg, name-trusted and name-revoked.
func loadArch(name string) (*Keyring, error) {
	var files [3][]byte
	for i, suffix := range []string{".gpg", "-trusted", "-revoked"} {
		data, err := readFile(name + suffix)
		if err != nil {
			return nil, fmt.Errorf("keyring by Arch's rule needs %s.gpg, -trusted and -revoked: %w", name, err)
		}
		files[i] = data
	}
	ring, err := archKeyring(files[0], files[1], files[2])
	if err != nil {
		return nil, fmt.Errorf("keyring %s.gpg by Arch's rule: %w", name, err)
	}
	return ring, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxKeyring+1))
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	if len(data) > MaxKeyring {
		return nil, fmt.Errorf("keyring %s: more than %d bytes", path, MaxKeyring)
	}
	return data, nil
}
