package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"assize.dev/services/sign"
	"assize.dev/shared/config"
)

type signCmd struct {
	Key    string   `help:"Private key to sign with: a file, by default what \"assize keygen\" makes, or a reference such as vault://transit/releases." default:"assize.key" placeholder:"KEY"`
	Format string   `help:"ed25519: the 64 raw bytes, in FILE.ed25519. sigstore: a bundle with the signature, in FILE.sigstore.json." enum:"ed25519,sigstore" default:"ed25519"`
	File   []string `arg:"" help:"Files to sign."`
}

func (signCmd) Help() string {
	return `For publishers: writes a detached signature beside each file, which Assize finds
there. An existing file is never overwritten. Encrypted keys are opened with
ASSIZE_SIGN_KEY_PASSPHRASE or ASSIZE_SIGN_KEY_IDENTITY.

A bundle is verified by cosign too, with an Ed25519 or ECDSA P-256 key:
cosign verify-blob --key pub.pem --bundle FILE.sigstore.json --insecure-ignore-tlog FILE

Examples:
  assize sign pkg-1.0.0.tgz
  assize sign --key publisher.key pkg-1.0.0.tgz
  assize sign --key release.key --format sigstore *.whl`
}

// openSigner opens a key with what the environment says of how.
func openSigner(ctx context.Context, key string) (sign.Signer, error) {
	var options sign.SignerOptions
	if err := config.Load(ctx, nil, &options); err != nil {
		return nil, err
	}
	return sign.OpenSigner(ctx, key, options)
}

func (c *signCmd) Run(ctx context.Context, g *globals) error {
	signer, err := openSigner(ctx, c.Key)
	if err != nil {
		return err
	}
	detach, suffix := sign.DetachEd25519, ".ed25519"
	if c.Format == "sigstore" {
		detach, suffix = sign.DetachBundle, ".sigstore.json"
	}
	failed := false
	for _, file := range c.File {
		if err := c.sign(ctx, g, file, suffix, func(message []byte) ([]byte, string, error) { return detach(ctx, signer, message) }); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			g.complain(fmt.Errorf("%s: %w", file, err))
			failed = true
		}
	}
	if failed {
		return status(exitError)
	}
	return nil
}

func (c *signCmd) sign(ctx context.Context, g *globals, file, suffix string, detach func([]byte) ([]byte, string, error)) error {
	out := file + suffix
	if _, err := os.Lstat(out); err == nil {
		return fmt.Errorf("%s exists and is left as it is", out)
	}
	f, _, err := openFile(file)
	if err != nil {
		return err
	}
	defer f.Close()
	message, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	signature, keyID, err := detach(message)
	if err != nil {
		return err
	}
	if err := writeNewFile(out, signature); err != nil {
		return err
	}
	if g.JSON {
		return json.NewEncoder(g.stdout).Encode(map[string]string{"artifact": file, "signature": out, "keyId": keyID})
	}
	_, err = fmt.Fprintf(g.stdout, "%s  signed by %s\n", printable(out), keyID)
	return err
}

// writeNewFile writes a file that must not exist, or leaves none.
func writeNewFile(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
