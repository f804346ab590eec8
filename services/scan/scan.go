// Package scan is the service that looks for secrets, unsafe content and
// known vulnerabilities. It needs no network: advisories are a directory.
package scan

import (
	"context"
	"errors"
	"fmt"

	"assize.dev/services/scan/internal/advisory"
	"assize.dev/services/scan/internal/content"
	"assize.dev/services/scan/internal/secrets"
	"assize.dev/services/scan/internal/vulnerabilities"
	"assize.dev/shared/config"
	"assize.dev/shared/evidence"
)

// Config is what an operator can set.
type Config struct {
	Advisories string        `env:"ASSIZE_ADVISORIES" help:"directory of advisories in the layout of the OSV export; without it, evidence of kind vulnerabilities fails"`
	Workers    int           `env:"ASSIZE_WORKERS, default=2" help:"artifacts examined at the same time"`
	SecretsKey config.Secret `env:"ASSIZE_SECRETS_KEY" help:"key of the fingerprints of found secrets, 16 bytes or more; keep it to compare fingerprints over time"`
}

// Validate says what is wrong with the configuration, naming the variable.
func (c *Config) Validate() error {
	var err error
	if c.Workers < 0 || c.Workers > 1024 {
		err = fmt.Errorf("ASSIZE_WORKERS: %d, want 1 to 1024", c.Workers)
	}
	if n := len(c.SecretsKey.Reveal()); n > 0 && n < minKey {
		err = errors.Join(err, fmt.Errorf("ASSIZE_SECRETS_KEY: %d bytes, want %d or more", n, minKey))
	}
	return err
}

const minKey = 16

// Database is a loaded set of advisories.
type Database = advisory.Database

// LoadAdvisories reads a directory in the layout of the OSV export:
// <dir>/<Ecosystem>/all.zip, <dir>/<Ecosystem>/*.json, and both at the top.
// Records that cannot be read are counted in the database's Stats.
func LoadAdvisories(ctx context.Context, dir string) (*Database, error) {
	return advisory.Load(ctx, dir)
}

// NewSecrets makes the analyser of kind secrets. Fingerprints are
// HMAC-SHA256 under key, which the caller keeps: with an empty one they
// could be tried out by anyone, so the caller has to pass one.
func NewSecrets(key []byte) (evidence.Analyser, error) {
	derived, err := fingerprintKey(key)
	if err != nil {
		return nil, err
	}
	return secrets.NewAnalyser(derived), nil
}

// NewContent makes the analyser of kind content.
func NewContent() evidence.Analyser { return content.New() }

// NewVulnerabilities makes the analyser of kind vulnerabilities. database
// is asked for each artifact, so it may be replaced at any time; while it
// returns nil the evidence fails.
func NewVulnerabilities(database func() *Database) evidence.Follower {
	return vulnerabilities.New(database)
}
