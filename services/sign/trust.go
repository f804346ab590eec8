package sign

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"assize.dev/services/sign/internal/keys"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// Trust says whose signatures count. It does not change; the zero value
// trusts nobody.
type Trust struct {
	byFingerprint map[string]string // event.Trusted or event.Denied
	keys          []PublicKey       // those known in full, by fingerprint
}

const (
	fingerprintFile = "fingerprints.txt"
	deniedFolder    = "denied"
)

// NewTrust trusts some keys and denies others; a key that is both is denied.
func NewTrust(trusted, denied []PublicKey) Trust {
	t := Trust{byFingerprint: make(map[string]string)}
	t.add(event.Trusted, trusted, nil)
	t.add(event.Denied, denied, nil)
	return t
}

// LoadTrust reads a directory of public keys to trust (see LoadPublicKeys),
// with two optional parts: fingerprints.txt lists further keys by
// fingerprint, one per line of 64 hexadecimal digits, "#" begins a comment;
// denied/ holds keys never to trust, in the same forms. The path may also be
// a file with one key. Nothing is trusted if anything cannot be read.
//
// A key that is only known by fingerprint counts for packages that carry
// their key; a detached signature needs the key itself.
func LoadTrust(path string) (Trust, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Trust{}, fmt.Errorf("loading trusted keys: %w", err)
	}
	if !info.IsDir() {
		keys, err := publishers(path)
		return NewTrust(keys, nil), err
	}
	t := Trust{byFingerprint: make(map[string]string)}
	if err := t.load(path, event.Trusted); err != nil {
		return Trust{}, err
	}
	denied := filepath.Join(path, deniedFolder)
	if _, err := os.Stat(denied); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return t, nil
		}
		return Trust{}, fmt.Errorf("loading denied keys: %w", err)
	}
	if err := onlyKeys(denied); err != nil {
		return Trust{}, err
	}
	if err := t.load(denied, event.Denied); err != nil {
		return Trust{}, err
	}
	return t, nil
}

func (t *Trust) load(folder, trust string) error {
	keys, err := publishers(folder)
	if err != nil {
		return err
	}
	fingerprints, err := readFingerprints(filepath.Join(folder, fingerprintFile))
	if err != nil {
		return err
	}
	t.add(trust, keys, fingerprints)
	return nil
}

// publishers loads keys that publishers sign with.
func publishers(path string) ([]PublicKey, error) {
	keys, err := LoadPublicKeys(path)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if _, ok := k.Key.(ed25519.PublicKey); !ok {
			return nil, fmt.Errorf("loading public keys: %s: key %q is %T, publishers sign with Ed25519", path, k.Name, k.Key)
		}
	}
	return keys, nil
}

func (t *Trust) add(trust string, keys []PublicKey, fingerprints []string) {
	for _, k := range keys {
		fingerprints = append(fingerprints, k.Fingerprint())
	}
	for _, f := range fingerprints {
		t.byFingerprint[f] = trust // denied is added last
	}
	known := make(map[string]PublicKey)
	for _, k := range slices.Concat(keys, t.keys) {
		known[k.Fingerprint()] = k
	}
	t.keys = nil
	for _, f := range slices.Sorted(maps.Keys(known)) {
		t.keys = append(t.keys, known[f])
	}
}

// onlyKeys refuses a file in the folder of denied keys that would not be
// read: overlooking a denial is trusting.
func onlyKeys(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("loading denied keys: %w", err)
	}
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, ".") && name != fingerprintFile && !slices.Contains(keys.Extensions, filepath.Ext(name)) {
			return fmt.Errorf("loading denied keys: %s: want %s or a *%s file",
				filepath.Join(folder, name), fingerprintFile, strings.Join(keys.Extensions, ", *"))
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
		return nil, fmt.Errorf("loading fingerprints: %w", err)
	}
	var all []string
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		text = strings.ToLower(strings.TrimSpace(text))
		if text == "" {
			continue
		}
		if _, err := digest.Parse("sha256:" + strings.TrimPrefix(text, "sha256:")); err != nil {
			return nil, fmt.Errorf("loading fingerprints: %s:%d: %.80q is not 64 hexadecimal digits", path, n, text)
		}
		all = append(all, strings.TrimPrefix(text, "sha256:"))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("loading fingerprints: %s: %w", path, err)
	}
	return all, nil
}

// Of is event.Trusted, event.Denied or event.UnknownTrust for a key's
// fingerprint.
func (t Trust) Of(fingerprint string) string {
	if trust, ok := t.byFingerprint[fingerprint]; ok {
		return trust
	}
	return event.UnknownTrust
}

// Keys lists the keys that are known in full, trusted and denied, by
// fingerprint.
func (t Trust) Keys() []PublicKey { return slices.Clone(t.keys) }

// Digest changes when the same signature could be judged differently. Names
// of keys do not matter.
func (t Trust) Digest() digest.Digest {
	var text strings.Builder
	for _, f := range slices.Sorted(maps.Keys(t.byFingerprint)) {
		fmt.Fprintln(&text, t.byFingerprint[f], f)
	}
	for _, k := range t.keys { // a key known in full answers more than its fingerprint
		fmt.Fprintln(&text, "key", k.Fingerprint())
	}
	return digest.Of([]byte(text.String()))
}
