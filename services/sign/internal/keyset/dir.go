package keyset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"assize.dev/services/sign/internal/strictjson"
)

// Dir is the directory of those who make the versions: beside them it says
// where the private keys are. A change is done once the file of the new
// version has its name; whatever else was written before or is missing after
// does not matter to a reader, so that a process may be killed anywhere. Who
// changes it holds its lock.
type Dir struct {
	path string
	disk disk
}

// NewDir is the directory at path, which must exist when it is written to.
func NewDir(path string) Dir { return Dir{path, osDisk{}} }

// Path is the path of a file in the directory.
func (d Dir) Path(name string) string { return filepath.Join(d.path, name) }

// Write makes a file that anyone may read, unless it is there.
func (d Dir) Write(name string, data []byte) error {
	if err := writeNew(d.disk, d.Path(name), data, 0o644); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keys: %w", err)
	}
	return nil
}

// Load reads all versions.
func (d Dir) Load() (History, error) { return Load(d.path) }

// Add keeps a new version, durably. Whoever comes second with the same number
// is refused.
func (d Dir) Add(s *Set, data []byte) error {
	err := writeNew(d.disk, d.Path(versionFile(s.Version)), data, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("key set version %d: somebody else made one at the same time: %w", s.Version, err)
	}
	if err != nil {
		return fmt.Errorf("key set version %d: %w", s.Version, err)
	}
	return d.Publish(s)
}

// Publish makes keys.json the version that is kept under its number.
func (d Dir) Publish(s *Set) error {
	data, err := readFile(d.Path(versionFile(s.Version)))
	if err != nil {
		return fmt.Errorf("key set version %d: %w", s.Version, err)
	}
	if d.holds(data) {
		return nil
	}
	if err := replace(d.disk, d.Path(NewestFile), data, 0o644); err != nil {
		return fmt.Errorf("key set version %d: %w", s.Version, err)
	}
	return nil
}

// Published tells whether keys.json is the version that is kept under its
// number.
func (d Dir) Published(s *Set) bool {
	data, err := readFile(d.Path(versionFile(s.Version)))
	return err == nil && d.holds(data)
}

func (d Dir) holds(newest []byte) bool {
	held, err := readFile(d.Path(NewestFile))
	return err == nil && bytes.Equal(held, newest)
}

// Newer tells whether there is a version after s.
func (d Dir) Newer(s *Set) (bool, error) {
	_, err := os.Stat(d.Path(versionFile(s.Version + 1)))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// referencesFile says where each private key is held, by key id: a file,
// relative to the directory, or any other reference that signer.Open takes.
const referencesFile = "references.json"

// Refer says where private keys are held. It is called before the version
// that makes them active is added, with the directory locked: it reads the
// references of all others and writes them again.
func (d Dir) Refer(add map[string]string) error {
	all, err := d.references()
	if err != nil {
		return err
	}
	for id, reference := range add {
		all[id] = reference
	}
	data, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("references of keys: %w", err)
	}
	if err := replace(d.disk, d.Path(referencesFile), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("references of keys: %w", err)
	}
	return nil
}

func (d Dir) references() (map[string]string, error) {
	all := make(map[string]string)
	data, err := readFile(d.Path(referencesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, fmt.Errorf("references of keys: %w", err)
	}
	if err := strictjson.Decode(data, &all, strictjson.Small); err != nil {
		return nil, fmt.Errorf("references of keys: %s: %w", d.Path(referencesFile), err)
	}
	return all, nil
}

// Reference says where the private key with this id is held.
func (d Dir) Reference(keyID string) (string, error) {
	all, err := d.references()
	if err != nil {
		return "", err
	}
	reference, ok := all[keyID]
	switch {
	case !ok:
		return "", fmt.Errorf("%s does not say where key %s is held", d.Path(referencesFile), keyID)
	case strings.Contains(reference, "://") || filepath.IsAbs(reference):
		return reference, nil
	}
	return d.Path(reference), nil
}
