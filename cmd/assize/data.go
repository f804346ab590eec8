package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"assize.dev/services/audit"
	"assize.dev/services/sign"
	"assize.dev/shared/config"
)

// dataDir is where the state of an embedded Assize lives.
type dataDir string

// dir is the data directory, made at first use.
func (g *globals) dir() (dataDir, error) {
	d, err := g.where()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return "", fmt.Errorf("data directory: %w: give another with --data DIR", err)
	}
	return d, nil
}

// where resolves --data, by default below the user's data directory
// (XDG Base Directory Specification).
func (g *globals) where() (dataDir, error) {
	d := g.Data
	if d == "" {
		base := os.Getenv("XDG_DATA_HOME")
		if base == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return "", fmt.Errorf("no data directory: %w: give one with --data DIR", err)
			}
			base = filepath.Join(home, ".local", "share")
		}
		d = filepath.Join(base, "assize")
	}
	return dataDir(d), nil
}

func (d dataDir) path(elem ...string) string {
	return filepath.Join(append([]string{string(d)}, elem...)...)
}

func (d dataDir) nats() string    { return d.path("nats") }
func (d dataDir) store() string   { return d.path("store") }
func (d dataDir) trusted() string { return d.path("trusted") }
func (d dataDir) keys() string    { return d.path("keys") }

// advisories is where those that were fetched are, and the indexes of
// directories that were given.
func (d dataDir) advisories() string { return d.path("advisories") }

// inventory is what leads from news about a package to the artifacts that
// have it.
func (d dataDir) inventory() string { return d.path("inventory") }

// publicKey is the file with the public key of the verdicts that are signed
// now.
func (d dataDir) publicKey() string {
	return sign.NewKeyDir(d.keys(), sign.SignerOptions{}).PublicFile()
}

// logKey is the key that signs the audit log's checkpoints, made at first use;
// its public half is beside it.
func (d dataDir) logKey() (config.Secret, error) {
	path := d.path("keys", "audit.key")
	b, err := os.ReadFile(path)
	if err == nil {
		return config.Secret(b), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	secret, vkey, err := audit.NewKey("assize.local/" + strings.ToLower(rand.Text()[:10]))
	if err != nil {
		return "", err
	}
	return config.Secret(secret), writeLogKey(path, secret, vkey)
}

func (d dataDir) logPublicKey() string { return d.path("keys", "audit.pub") }

// writeLogKey writes the public half first, so that there is never a private
// one without it.
func writeLogKey(path, secret, vkey string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(strings.TrimSuffix(path, ".key")+".pub", []byte(vkey+"\n"), 0o644); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(secret + "\n")
	return errors.Join(err, f.Sync(), f.Close())
}

// secret returns the 32 random bytes kept under name, made at first use.
func (d dataDir) secret(name string) ([]byte, error) {
	path := d.path("keys", name)
	b, err := os.ReadFile(path)
	if err == nil && len(b) == 32 {
		return b, nil
	}
	if err == nil {
		return nil, fmt.Errorf("%s: %d bytes, want 32: restore it from a backup, or remove it to make a new one", path, len(b))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	b = make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		return nil, err
	}
	return b, os.WriteFile(path, b, 0o600)
}
