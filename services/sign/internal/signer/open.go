package signer

import (
	"context"
	"fmt"
	"strings"

	"assize.dev/shared/config"
)

// Options is what opening a key may need besides its reference. The zero
// value opens plain files and plug-ins, which read what they need from the
// environment themselves.
type Options struct {
	Passphrase config.Secret `env:"ASSIZE_SIGN_KEY_PASSPHRASE" help:"passphrase of signing key files that are encrypted with age"`
	Identity   string        `env:"ASSIZE_SIGN_KEY_IDENTITY" help:"file with age identities that open encrypted signing key files"`

	VaultAddress string        `env:"VAULT_ADDR" help:"address of Vault or OpenBao, for signing keys vault://..."`
	VaultToken   config.Secret `env:"VAULT_TOKEN" help:"token for Vault or OpenBao"`
	// VaultTokenFile is read again at every call, since agents rotate it. It
	// wins over VaultToken, which config.Load fills from the same variable.
	VaultTokenFile string `env:"VAULT_TOKEN_FILE" help:"file with the token, read again at every signature"`
	VaultNamespace string `env:"VAULT_NAMESPACE" help:"namespace of the transit engine"`
	VaultCA        string `env:"VAULT_CACERT" help:"PEM file with the certificates that Vault's must lead to; those of the system without it"`
	VaultPlainHTTP bool   `env:"ASSIZE_VAULT_PLAIN_HTTP" help:"allow http:// to a Vault that is not on this machine, and with it anyone between to read the token"`
}

// maxRef is how long a reference to a key is at most; a path is 4096 bytes at
// most on Linux.
const maxRef = 4096

// Open returns the signer that ref names, ready to sign:
//
//	path                 a key file, see keys.ParsePrivatePEM, plain or
//	                     encrypted with age
//	vault://[mount/]key  a key of the transit engine of Vault or OpenBao,
//	                     mounted at "transit" unless it says otherwise; with
//	                     ?version=N not its newest version. openbao:// and
//	                     cosign's hashivault:// are the same
//	name://...           a key of the program sigstore-kms-name on PATH
//
// For keys held elsewhere the public half is fetched here, and is never
// fetched again.
func Open(ctx context.Context, ref string, o Options) (Signer, error) {
	if len(ref) > maxRef {
		return nil, fmt.Errorf("signing key %.80q…: %d bytes, at most %d", ref, len(ref), maxRef)
	}
	var s Signer
	var err error
	scheme, rest, elsewhere := strings.Cut(ref, "://")
	switch {
	case !elsewhere:
		s, err = openFile(ref, o)
	case scheme == "vault", scheme == "openbao", scheme == "hashivault":
		s, err = openVault(ctx, rest, o)
	default:
		s, err = openPlugin(ctx, scheme, rest)
	}
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", ref, err)
	}
	return s, nil
}
