package trust

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"assize.dev/services/sign/internal/keys"
)

const (
	fingerprintFile = "fingerprints.txt"
	deniedFolder    = "denied"
	trustFile       = "trust.yaml"
)

// readFolder describes a folder of keys as a trust file would: its *.pub,
// *.pem and *.hex files hold keys to trust; fingerprints.txt lists further
// ones by fingerprint, one per line, "#" begins a comment; denied/ holds keys
// never to trust, in the same forms. Where there is a trust.yaml, it says who
// is trusted, and for what: the other files are then no more than what it
// names, but denied/ still counts.
func readFolder(dir string) (*File, error) {
	f, err := readTrusted(dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, deniedFolder)); err == nil {
		denied, err := folderEntry(dir, deniedFolder)
		if err != nil {
			return nil, err
		}
		if err := onlyKeys(filepath.Join(dir, deniedFolder)); err != nil {
			return nil, err
		}
		denied.Name, denied.Deny = filepath.Base(dir)+"/"+deniedFolder, true
		f.addUnlessEmpty(denied)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return f, nil
}

// readTrusted is whom a folder says to trust.
func readTrusted(dir string) (*File, error) {
	_, err := os.Lstat(filepath.Join(dir, trustFile))
	if err == nil {
		f, _, err := read(filepath.Join(dir, trustFile))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", trustFile, err)
		}
		return f, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	trusted, err := folderEntry(dir, ".")
	if err != nil {
		return nil, err
	}
	f := &File{}
	trusted.Name = filepath.Base(dir)
	f.addUnlessEmpty(trusted)
	return f, nil
}

// addUnlessEmpty leaves out an entry that would name nobody.
func (f *File) addUnlessEmpty(p PublisherEntry) {
	if len(p.Keys)+len(p.Fingerprints) > 0 {
		f.Publishers = append(f.Publishers, p)
	}
}

// folderEntry lists the key files of a folder inside dir.
func folderEntry(dir, sub string) (p PublisherEntry, err error) {
	entries, err := os.ReadDir(filepath.Join(dir, sub))
	if err != nil {
		return p, err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && slices.Contains(keys.Extensions, filepath.Ext(e.Name())) {
			p.Keys = append(p.Keys, filepath.Join(sub, e.Name()))
		}
	}
	p.Fingerprints, err = readFingerprints(filepath.Join(dir, sub, fingerprintFile))
	return p, err
}

// onlyKeys refuses a file in the folder of denied keys that would not be
// read: overlooking a denial is trusting.
func onlyKeys(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, ".") && name != fingerprintFile && !slices.Contains(keys.Extensions, filepath.Ext(name)) {
			return fmt.Errorf("%s: want %s or a *%s file", filepath.Join(folder, name), fingerprintFile, strings.Join(keys.Extensions, ", *"))
		}
	}
	return nil
}

// readFingerprints reads fingerprints.txt; a file that is not there lists
// nothing.
func readFingerprints(path string) ([]string, error) {
	data, err := keys.ReadSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []string
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		f, err := keys.ParseFingerprint(text)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		all = append(all, f)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

// readBounded reads a file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: more than %d bytes", path, limit)
	}
	return data, nil
}
