package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"assize.dev/services/sign"
)

type keygenCmd struct {
	Out      string `short:"o" help:"File for the private key (PKCS#8 PEM, mode 0600); the public key goes to the same name with .pub." default:"assize.key" type:"path"`
	SeedFile string `help:"Derive the key from the text in this file, - for standard input, as FlavorPack's --key-seed does. Whoever knows the text has the key." placeholder:"FILE" type:"path"`
	Import   string `help:"Take an existing PKCS#8 PEM key instead of making one." placeholder:"FILE" type:"existingfile"`
}

func (keygenCmd) Help() string {
	return `Existing files are never overwritten.

Examples:
  assize keygen -o publisher.key
  printf %s "$SEED" | assize keygen --seed-file - -o ci.key
  assize keygen --import corporate.pem -o signing.key`
}

func (c *keygenCmd) Run(_ context.Context, g *globals) error {
	k, err := c.key()
	if err != nil {
		return err
	}
	public := strings.TrimSuffix(c.Out, ".key") + ".pub"
	if err := k.WriteFiles(c.Out, public, ""); err != nil {
		return err
	}
	key := sign.PublicKey{Key: k.Public()}
	if g.JSON {
		return json.NewEncoder(g.stdout).Encode(map[string]string{
			"private": c.Out, "public": public, "fingerprint": key.Fingerprint(), "keyId": key.KeyID(),
		})
	}
	_, err = fmt.Fprintf(g.stdout, "private key  %s (keep it secret, keep a backup)\npublic key   %s\nfingerprint  %s\nkey id       %s\n",
		c.Out, public, key.Fingerprint(), key.KeyID())
	return err
}

func (c *keygenCmd) key() (*sign.PrivateKey, error) {
	switch {
	case c.SeedFile != "" && c.Import != "":
		return nil, fmt.Errorf("--seed-file and --import exclude each other")
	case c.Import != "":
		pem, err := os.ReadFile(c.Import)
		if err != nil {
			return nil, err
		}
		return sign.ParsePrivateKey(pem)
	case c.SeedFile == "-":
		seed, err := io.ReadAll(io.LimitReader(os.Stdin, 1<<20))
		if err != nil {
			return nil, err
		}
		return sign.KeyFromSeed(string(seed))
	case c.SeedFile != "":
		seed, err := os.ReadFile(c.SeedFile)
		if err != nil {
			return nil, err
		}
		return sign.KeyFromSeed(string(seed))
	}
	return sign.GenerateKey()
}
