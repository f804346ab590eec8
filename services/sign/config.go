package sign

import (
	"fmt"

	"assize.dev/services/sign/internal/signer"
)

// Config is what an operator chooses.
type Config struct {
	Keys        []string `env:"ASSIZE_SIGN_KEY" help:"private keys that sign verdicts, every one each: key files or references such as vault://transit/verdicts, separated by commas, the classical key first; those that ASSIZE_KEYSET says are active without it"`
	KeySet      string   `env:"ASSIZE_KEYSET" help:"key set that the signing keys must be active in: the directory or the keys.json that \"assize keys\" writes"`
	Signer      signer.Options
	TrustedKeys string `env:"ASSIZE_TRUSTED_KEYS" help:"whom to trust: a trust file (YAML), a directory of publishers' public keys, or one key; nobody is trusted without it"`
	VerifierID  string `env:"ASSIZE_VERIFIER_ID, default=https://assize.dev/local" help:"URI by which those who rely on verdicts know this installation"`
	Level       string `env:"ASSIZE_VERIFY_LEVEL, default=deep" help:"how deep self-signed packages are verified: quick, standard, deep or paranoid"`
	Workers     int    `env:"ASSIZE_WORKERS, default=2" help:"artifacts verified at the same time"`
}

// trust loads whom to trust, nobody if nothing is configured.
func (c Config) trust() (*Trust, error) {
	var paths []string
	if c.TrustedKeys != "" {
		paths = append(paths, c.TrustedKeys)
	}
	t, err := LoadTrust(paths)
	if err != nil {
		return nil, fmt.Errorf("ASSIZE_TRUSTED_KEYS: %w", err)
	}
	return t, nil
}
