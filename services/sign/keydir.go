package sign

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"assize.dev/services/sign/internal/keys"
	"assize.dev/services/sign/internal/keyset"
)

// Names of the keys that a key directory begins with. All others have names
// of their own, so that nothing is ever written over.
const (
	firstKey = "assize.key"
	rootKey  = "root.key"
)

// titles is what the public halves say of themselves.
var titles = map[string]string{firstKey: "assize verdicts", rootKey: "assize root"}

// KeyDir is the directory where a key set is made and the keys are held: that
// of the embedded node, or an operator's.
type KeyDir struct {
	dir     keyset.Dir
	Options SignerOptions
	now     func() time.Time
}

// NewKeyDir is the key directory at path.
func NewKeyDir(path string, o SignerOptions) KeyDir { return KeyDir{keyset.NewDir(path), o, time.Now} }

// Load reads all versions of the set.
func (d KeyDir) Load() (KeyHistory, error) { return d.dir.Load() }

// Newest is the file to hand out to those who verify.
func (d KeyDir) Newest() string { return d.dir.Path(keyset.NewestFile) }

// Ensure makes what is missing of a node's keys: a key that signs verdicts, a
// root key, and the first version of the set. A directory from before there
// were sets keeps its key. It may be killed anywhere and called again.
func (d KeyDir) Ensure(ctx context.Context) error {
	if err := os.MkdirAll(d.dir.Path("."), 0o700); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	// Nodes look here at each start, and may not be allowed to write.
	if history, err := d.dir.Load(); err == nil && d.dir.Published(history.Newest()) {
		return nil
	}
	unlock, err := d.dir.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	history, err := d.dir.Load()
	if err == nil {
		return d.dir.Publish(history.Newest())
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range []string{firstKey, rootKey} {
		if err := d.ensureKey(name); err != nil {
			return fmt.Errorf("keys: %w", err)
		}
	}
	_, err = d.begin(ctx, []string{d.dir.Path(firstKey)}, 1, KeyChange{})
	return err
}

// ensureKey makes a key pair unless it is there. The private half gets its
// name first: with it alone the public one is made again.
func (d KeyDir) ensureKey(name string) error {
	path, public := d.dir.Path(name), publicName(name)
	hasKey, err := exists(path)
	if err != nil {
		return err
	}
	hasPublic, err := exists(d.dir.Path(public))
	if err != nil {
		return err
	}
	switch {
	case hasKey && hasPublic:
		return nil
	case hasPublic:
		return fmt.Errorf("%s is gone and %s is there: restore it from a backup", path, public)
	case !hasKey:
		return d.makeKey(path, d.dir.Path(public), titles[name])
	}
	k, err := keys.ReadPrivateKey(path)
	if err != nil {
		return err
	}
	text, err := keyset.EncodePEM(k.Public())
	if err != nil {
		return err
	}
	return d.dir.Write(public, []byte(text))
}

func (d KeyDir) makeKey(path, public, title string) error {
	k, err := keys.GenerateKey()
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(d.dir.Path("."), ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	newKey, newPublic := filepath.Join(scratch, "key"), filepath.Join(scratch, "pub")
	if err := k.WriteFiles(newKey, newPublic, title); err != nil {
		return err
	}
	if err := os.Link(newKey, path); err != nil {
		return err
	}
	return os.Link(newPublic, public)
}

func publicName(private string) string { return strings.TrimSuffix(private, ".key") + ".pub" }

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// generate makes a key pair in the directory, named after the key, and
// returns the path of the private half.
func (d KeyDir) generate(make func() (*PrivateKey, error)) (string, error) {
	k, err := make()
	if err != nil {
		return "", err
	}
	name := d.dir.Path(keyName(k.KeyID()))
	if err := k.WriteFiles(name+".key", name+".pub", titles[firstKey]); err != nil {
		return "", fmt.Errorf("new signing key: %w", err)
	}
	return name + ".key", nil
}

// reference is that of a file in the directory without it, so that it can be
// moved, and of any other file from the root on.
func (d KeyDir) reference(r string) (string, error) {
	if strings.Contains(r, "://") {
		return r, nil
	}
	file, err := filepath.Abs(r)
	if err != nil {
		return "", err
	}
	dir, err := filepath.Abs(d.dir.Path("."))
	if err == nil && filepath.Dir(file) == dir {
		file = filepath.Base(file)
	}
	return file, err
}

// keyName is what the files of a key are called but for their extension.
func keyName(keyID string) string {
	sum := sha256.Sum256([]byte(keyID))
	return "verdicts-" + hex.EncodeToString(sum[:6])
}

// writePublic writes the public half of a key unless it is there.
func (d KeyDir) writePublic(keyID string, public crypto.PublicKey) error {
	if d.publicFile(keyID) != "" {
		return nil
	}
	text, err := keyset.EncodePEM(public)
	if err != nil {
		return err
	}
	return d.dir.Write(keyName(keyID)+".pub", []byte(text))
}

// publicFile is where the public half of a key is, empty if nowhere.
func (d KeyDir) publicFile(keyID string) string {
	for _, name := range []string{publicName(firstKey), keyName(keyID) + ".pub"} {
		file := d.dir.Path(name)
		if keys, err := LoadPublicKeys(file); err == nil && keys[0].KeyID() == keyID {
			return file
		}
	}
	return ""
}

// PublicFile is the file with the public key that verdicts are verified with
// by those who take one classical key. It is the first key's if there is no
// set, or none active.
func (d KeyDir) PublicFile() string {
	if history, err := d.dir.Load(); err == nil {
		for _, k := range history.Newest().Active() {
			if file := d.publicFile(k.KeyID); file != "" && classical(k.Public) {
				return file
			}
		}
	}
	return d.dir.Path(publicName(firstKey))
}

// HeldAt says where the private half of a key is.
func (d KeyDir) HeldAt(keyID string) (string, error) { return d.dir.Reference(keyID) }
