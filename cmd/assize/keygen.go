package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"assize.dev/services/sign"
	"assize.dev/shared/config"
)

type keygenCmd struct {
	Out            string   `short:"o" help:"File for the private key (PKCS#8 PEM, mode 0600); the public key goes to the same name with .pub." default:"assize.key" type:"path"`
	Type           string   `help:"Kind of key: ed25519 (the default), p256 for clients that know no Ed25519, ml-dsa-65 against quantum computers, beside one of the others." enum:",ed25519,p256,ml-dsa-65" default:"" placeholder:"TYPE"`
	Name           string   `help:"Name that people see for the public key." placeholder:"NAME"`
	SeedFile       string   `help:"Derive the Ed25519 key from the text in this file, - for standard input, as FlavorPack's --key-seed does. Whoever knows the text has the key." placeholder:"FILE" type:"path"`
	Import         string   `help:"Take an existing key instead of making one, - for standard input: PKCS#8, SEC1 or OpenSSH, not encrypted, or the 32 or 64 bytes of Ed25519 in raw, base64 or hexadecimal." placeholder:"FILE" type:"existingfile"`
	Encrypt        bool     `help:"Encrypt the private key with age, by a passphrase asked for on the terminal unless one of the following is given."`
	PassphraseFile string   `help:"Encrypt by the passphrase in this file, without white space around it." placeholder:"FILE" type:"path"`
	Recipient      []string `help:"Encrypt to this age recipient, age1... or post-quantum age1pq1..., as age-keygen prints; may be repeated." placeholder:"AGE"`
}

func (keygenCmd) Help() string {
	return `Existing files are never overwritten. An encrypted key is an age file: the
services open it with ASSIZE_SIGN_KEY_PASSPHRASE or ASSIZE_SIGN_KEY_IDENTITY,
and "age --decrypt" opens it without Assize.

Examples:
  assize keygen -o publisher.key --name publisher
  assize keygen --type ml-dsa-65 -o verdicts-pq.key
  assize keygen --encrypt -o verdicts.key   # asks for a passphrase
  assize keygen --passphrase-file pass.txt -o verdicts.key
  assize keygen --recipient age1pq1... -o backup.key
  printf %s "$SEED" | assize keygen --seed-file - -o ci.key
  assize keygen --import corporate.pem -o signing.key`
}

func (c *keygenCmd) Run(ctx context.Context, g *globals) error {
	public := strings.TrimSuffix(c.Out, ".key") + ".pub"
	for _, path := range []string{c.Out, public} { // before anybody types a passphrase in vain
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s exists, and is not written over", path)
		}
	}
	k, err := c.key()
	if err != nil {
		return err
	}
	care := "keep it secret, keep a backup"
	if c.encrypted() {
		care = "encrypted, keep a backup"
		passphrase, err := c.passphrase(ctx)
		if err != nil {
			return err
		}
		err = k.WriteEncrypted(c.Out, public, c.Name, func(pem []byte) ([]byte, error) {
			return sign.EncryptKey(pem, passphrase, c.Recipient)
		})
		if err != nil {
			return err
		}
	} else if err := k.WriteFiles(c.Out, public, c.Name); err != nil {
		return err
	}
	key := sign.PublicKey{Key: k.Public()}
	if g.JSON {
		return json.NewEncoder(g.stdout).Encode(map[string]string{
			"private": c.Out, "public": public, "fingerprint": key.Fingerprint(), "keyId": key.KeyID(),
		})
	}
	_, err = fmt.Fprintf(g.stdout, "private key  %s (%s)\npublic key   %s\nfingerprint  %s\nkey id       %s\n",
		c.Out, care, public, key.Fingerprint(), key.KeyID())
	return err
}

func (c *keygenCmd) key() (*sign.PrivateKey, error) {
	switch {
	case c.SeedFile != "" && c.Import != "":
		return nil, errors.New("--seed-file and --import exclude each other")
	case c.Import != "" && c.Type != "":
		return nil, errors.New("--import and --type exclude each other: the key has its type")
	case c.Import != "":
		data, err := readKeyInput(c.Import)
		if err != nil {
			return nil, err
		}
		if bytes.HasPrefix(data, []byte("age-encryption.org/")) || bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN AGE")) {
			return nil, fmt.Errorf("%s: is encrypted: open it with \"age --decrypt %s | assize keygen --import -\"", c.Import, c.Import)
		}
		k, err := sign.ParsePrivateKey(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Import, err)
		}
		return k, nil
	case c.SeedFile != "" && c.Type != "" && c.Type != "ed25519":
		return nil, errors.New("--seed-file makes Ed25519 keys only")
	case c.SeedFile != "":
		seed, err := readKeyInput(c.SeedFile)
		if err != nil {
			return nil, err
		}
		return sign.KeyFromSeed(string(seed))
	case c.Type == "p256":
		return sign.GenerateP256()
	case c.Type == "ml-dsa-65":
		return sign.GenerateMLDSA()
	}
	return sign.GenerateKey()
}

func (c *keygenCmd) encrypted() bool {
	return c.Encrypt || c.PassphraseFile != "" || len(c.Recipient) > 0
}

// passphrase is empty where there are recipients.
func (c *keygenCmd) passphrase(ctx context.Context) (config.Secret, error) {
	switch {
	case c.PassphraseFile != "" && len(c.Recipient) > 0:
		return "", errors.New("--passphrase-file and --recipient exclude each other")
	case len(c.Recipient) > 0:
		return "", nil
	case c.PassphraseFile != "":
		data, err := readKeyInput(c.PassphraseFile)
		if err != nil {
			return "", err
		}
		passphrase := config.Secret(strings.TrimSpace(string(data))) // as ASSIZE_SIGN_KEY_PASSPHRASE_FILE is read
		if passphrase == "" {
			return "", fmt.Errorf("%s: the passphrase is empty", c.PassphraseFile)
		}
		return passphrase, nil
	}
	return askPassphrase(ctx)
}

// maxKeyInput is far more than any key, seed or passphrase.
const maxKeyInput = 1 << 20

// readKeyInput reads a small file, standard input if path is "-".
func readKeyInput(path string) ([]byte, error) {
	f := os.Stdin
	if path != "-" {
		var err error
		if f, err = os.Open(path); err != nil {
			return nil, err
		}
		defer f.Close()
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyInput+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxKeyInput {
		return nil, fmt.Errorf("%s: more than %d bytes", path, maxKeyInput)
	}
	return data, nil
}

// askPassphrase asks twice on the terminal, whatever standard input and
// output are, and shows nothing of what is typed.
func askPassphrase(ctx context.Context) (config.Secret, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", errors.New("--encrypt asks for a passphrase, and there is no terminal: give --passphrase-file or --recipient")
	}
	defer tty.Close()
	first, err := askHidden(ctx, tty, "Passphrase for the private key: ")
	if err != nil {
		return "", err
	}
	switch {
	case first == "":
		return "", errors.New("the passphrase is empty")
	case first != strings.TrimSpace(first):
		return "", errors.New("the passphrase has white space around it, which would be lost in a file")
	}
	again, err := askHidden(ctx, tty, "The same again: ")
	if err != nil {
		return "", err
	}
	if first != again {
		return "", errors.New("the two passphrases differ; nothing is written")
	}
	return config.Secret(first), nil
}

// askHidden reads a line that is not echoed. When ctx ends first the terminal
// is set right again, and the read is left behind for the process to end.
func askHidden(ctx context.Context, tty *os.File, prompt string) (string, error) {
	fd := int(tty.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("terminal: %w", err)
	}
	if _, err := fmt.Fprint(tty, prompt); err != nil {
		return "", fmt.Errorf("terminal: %w", err)
	}
	type line struct {
		text []byte
		err  error
	}
	read := make(chan line, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		read <- line{text, err}
	}()
	select {
	case l := <-read:
		fmt.Fprintln(tty)
		if l.err != nil {
			return "", fmt.Errorf("reading the passphrase: %w", l.err)
		}
		return string(l.text), nil
	case <-ctx.Done():
		fmt.Fprintln(tty)
		return "", errors.Join(ctx.Err(), term.Restore(fd, before))
	}
}
