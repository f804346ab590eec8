package signer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"

	"assize.dev/services/sign/internal/keys"
	"assize.dev/shared/config"
)

// Encrypted key files are age files, https://age-encryption.org/v1, binary or
// armored, so that the age program opens them too, should this one be lost.

// maxWorkFactor bounds what opening a file with a passphrase costs: scrypt
// with N = 2^20 takes 1 GiB of memory. age itself writes 2^18.
const maxWorkFactor = 20

const binaryHeader = "age-encryption.org/v1\n"

// encrypted tells whether data is an age file.
func encrypted(data []byte) bool {
	return bytes.HasPrefix(data, []byte(binaryHeader)) || armored(data)
}

func armored(data []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(data), []byte(armor.Header))
}

// identities are all that may open a file.
func (o Options) identities() ([]age.Identity, error) {
	var all []age.Identity
	if o.Passphrase != "" {
		passphrase, err := age.NewScryptIdentity(o.Passphrase.Reveal())
		if err != nil {
			return nil, err
		}
		passphrase.SetMaxWorkFactor(maxWorkFactor)
		all = append(all, passphrase)
	}
	if o.Identity != "" {
		data, err := keys.ReadSmall(o.Identity)
		if err != nil {
			return nil, fmt.Errorf("ASSIZE_SIGN_KEY_IDENTITY: %w", err)
		}
		ids, err := age.ParseIdentities(bytes.NewReader(data))
		if err != nil {
			return nil, fmt.Errorf("ASSIZE_SIGN_KEY_IDENTITY: %s: %w: want AGE-SECRET-KEY-… lines, as age-keygen writes", o.Identity, err)
		}
		all = append(all, ids...)
	}
	if len(all) == 0 {
		return nil, errors.New("the file is encrypted: set ASSIZE_SIGN_KEY_PASSPHRASE, ASSIZE_SIGN_KEY_PASSPHRASE_FILE or ASSIZE_SIGN_KEY_IDENTITY")
	}
	return all, nil
}

// decrypt returns what is in an age file, at most keys.MaxFile bytes.
func decrypt(data []byte, identities []age.Identity) ([]byte, error) {
	var src io.Reader = bytes.NewReader(data)
	if armored(data) {
		src = armor.NewReader(src)
	}
	r, err := age.Decrypt(src, identities...)
	var none *age.NoIdentityMatchError
	switch {
	case errors.As(err, &none) && slices.Contains(none.StanzaTypes, "scrypt"):
		return nil, errors.New("the file is encrypted with a passphrase, which is not the one in ASSIZE_SIGN_KEY_PASSPHRASE")
	case errors.As(err, &none):
		return nil, fmt.Errorf("the file is encrypted to recipients (%.80s), of which none is in ASSIZE_SIGN_KEY_IDENTITY", strings.Join(none.StanzaTypes, ", "))
	case err != nil:
		return nil, fmt.Errorf("opening the age file: %w", err)
	}
	plain, err := io.ReadAll(io.LimitReader(r, keys.MaxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("opening the age file: %w", err)
	case len(plain) > keys.MaxFile:
		return nil, fmt.Errorf("opening the age file: more than %d bytes are in it", keys.MaxFile)
	}
	return plain, nil
}

// Encrypt makes an armored age file of a private key in PEM, for a passphrase
// or for recipients, "age1…" or post-quantum "age1pq1…"; age refuses to mix
// the two kinds.
func Encrypt(key []byte, passphrase config.Secret, recipients []string) ([]byte, error) {
	to, err := parseRecipients(passphrase, recipients)
	if err != nil {
		return nil, fmt.Errorf("encrypting key: %w", err)
	}
	return encrypt(key, to)
}

func parseRecipients(passphrase config.Secret, recipients []string) ([]age.Recipient, error) {
	switch {
	case passphrase != "" && len(recipients) > 0:
		return nil, errors.New("a passphrase and recipients exclude each other")
	case passphrase != "":
		r, err := age.NewScryptRecipient(passphrase.Reveal())
		return []age.Recipient{r}, err
	case len(recipients) == 0:
		return nil, errors.New("neither a passphrase nor a recipient is given")
	}
	var all []age.Recipient
	for i, text := range recipients {
		// Not quoted: it may be an identity that was given by mistake.
		parsed, err := age.ParseRecipients(strings.NewReader(text))
		if err != nil || len(parsed) != 1 {
			return nil, fmt.Errorf("recipient %d is none: want age1… or age1pq1…, as age-keygen -y prints", i+1)
		}
		all = append(all, parsed[0])
	}
	return all, nil
}

func encrypt(key []byte, to []age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	armored := armor.NewWriter(&out)
	w, err := age.Encrypt(armored, to...)
	if err != nil {
		return nil, fmt.Errorf("encrypting key: %w", err)
	}
	_, err = w.Write(key)
	if err := errors.Join(err, w.Close(), armored.Close()); err != nil {
		return nil, fmt.Errorf("encrypting key: %w", err)
	}
	return out.Bytes(), nil
}
