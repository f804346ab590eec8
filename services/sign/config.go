package sign

import (
	"errors"
	"fmt"
)

// Config is what an operator chooses.
type Config struct {
	KeyFile     string `env:"ASSIZE_SIGN_KEY" help:"file with the private key that signs verdicts: PKCS#8 PEM, Ed25519 or ECDSA P-256"`
	TrustedKeys string `env:"ASSIZE_TRUSTED_KEYS" help:"directory of publishers' public keys to trust; none are trusted without it"`
	VerifierID  string `env:"ASSIZE_VERIFIER_ID, default=https://assize.dev/local" help:"URI by which those who rely on verdicts know this installation"`
	Level       string `env:"ASSIZE_VERIFY_LEVEL, default=deep" help:"how deep self-signed packages are verified: quick, standard or deep"`
	Workers     int    `env:"ASSIZE_WORKERS, default=2" help:"artifacts verified at the same time"`
}

// trust loads the trusted keys, none if no directory is configured.
func (c Config) trust() (Trust, error) {
	if c.TrustedKeys == "" {
		return Trust{}, nil
	}
	t, err := LoadTrust(c.TrustedKeys)
	if err != nil {
		return Trust{}, fmt.Errorf("ASSIZE_TRUSTED_KEYS: %w", err)
	}
	return t, nil
}

// privateKey loads the signing key.
func (c Config) privateKey() (*PrivateKey, error) {
	if c.KeyFile == "" {
		return nil, errors.New("ASSIZE_SIGN_KEY: no signing key is configured; make one with \"assize keygen\"")
	}
	key, err := ReadPrivateKey(c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("ASSIZE_SIGN_KEY: %w", err)
	}
	return key, nil
}
