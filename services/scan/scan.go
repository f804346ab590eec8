// Package scan is the service that looks for secrets, unsafe content and
// known vulnerabilities, by an index of advisories that it keeps itself.
package scan

import (
	"errors"
	"fmt"
	"time"

	"assize.dev/services/scan/internal/content"
	"assize.dev/services/scan/internal/secrets"
	"assize.dev/services/scan/internal/vulnerabilities"
	"assize.dev/shared/blob"
	"assize.dev/shared/config"
	"assize.dev/shared/evidence"
)

// Config is what an operator can set.
type Config struct {
	Advisories string `env:"ASSIZE_ADVISORIES" help:"directory of advisories in the layout of the OSV export; without it and ASSIZE_ADVISORIES_SOURCES, those that another replica has put into the object store count"`
	// IndexDir is where the index of the advisories is kept.
	IndexDir   string   `env:"ASSIZE_ADVISORIES_DIR" help:"directory where the index of the advisories is kept; by default a temporary one, built or fetched anew at each start"`
	Sources    []string `env:"ASSIZE_ADVISORIES_SOURCES" help:"where to take advisories from: directories, archives (.zip), addresses of mirrors of the OSV export (https, or s3://bucket/prefix with the optional parameters endpoint, region and tls), or of the Arch Linux tracker's all.json; comma-separated"`
	Bucket     BucketConfig
	Ecosystems []string      `env:"ASSIZE_ADVISORIES_ECOSYSTEMS" help:"ecosystems to take of mirrors, comma-separated; all that a mirror lists by default"`
	Interval   time.Duration `env:"ASSIZE_ADVISORIES_INTERVAL, default=1h" help:"how often sources, or the object store, are asked for what is new; up to a tenth is added at random"`
	KEV        string        `env:"ASSIZE_KEV" help:"file or https address of CISA's catalogue of known exploited vulnerabilities (JSON)"`
	EPSS       string        `env:"ASSIZE_EPSS" help:"file or https address of FIRST's EPSS scores (CSV, also in gzip)"`
	VEX        []string      `env:"ASSIZE_VEX" help:"files with VEX statements (OpenVEX, CSAF, CycloneDX), or directories of them; comma-separated"`
	Inventory  string        `env:"ASSIZE_INVENTORY" help:"directory of the inventory by which artifacts are judged again when advisories change; one replica has it, the others none"`
	InFlight   int           `env:"ASSIZE_AGAIN_IN_FLIGHT, default=64" help:"artifacts judged again at a time, at most"`
	Workers    int           `env:"ASSIZE_WORKERS, default=2" help:"artifacts examined at the same time"`
	SecretsKey config.Secret `env:"ASSIZE_SECRETS_KEY" help:"key of the fingerprints of found secrets, 16 bytes or more; keep it to compare fingerprints over time"`
}

// BucketConfig says how sources of advisories in buckets are read. Those of
// the object store do not count for them: it is seldom the same server.
type BucketConfig struct {
	AccessKey config.Secret `env:"ASSIZE_ADVISORIES_S3_ACCESS_KEY" help:"access key for sources of advisories at s3://; a public bucket needs none"`
	SecretKey config.Secret `env:"ASSIZE_ADVISORIES_S3_SECRET_KEY" help:"secret key for sources of advisories at s3://"`
	CAFile    string        `env:"ASSIZE_ADVISORIES_S3_CA_FILE" help:"PEM file with authorities to trust for sources of advisories at s3:// instead of the system's"`
}

// S3 is what feed asks for; the rest is in the source's address.
func (c *BucketConfig) S3() blob.S3Config {
	return blob.S3Config{Region: "us-east-1", TLS: true, AccessKey: c.AccessKey, SecretKey: c.SecretKey, CAFile: c.CAFile}
}

// Validate says what is wrong with the configuration, naming the variable.
func (c *Config) Validate() error {
	var err error
	if c.Workers < 0 || c.Workers > 1024 {
		err = fmt.Errorf("ASSIZE_WORKERS: %d, want 1 to 1024", c.Workers)
	}
	if c.InFlight < 0 {
		err = errors.Join(err, fmt.Errorf("ASSIZE_AGAIN_IN_FLIGHT: %d, want 1 or more", c.InFlight))
	}
	if c.Interval < 0 || c.Interval > 0 && c.Interval < time.Second {
		err = errors.Join(err, fmt.Errorf("ASSIZE_ADVISORIES_INTERVAL: %s, want 1s or more", c.Interval))
	}
	if c.Advisories != "" && len(c.Sources) > 0 {
		err = errors.Join(err, errors.New("ASSIZE_ADVISORIES and ASSIZE_ADVISORIES_SOURCES are both set: a directory may be one of the sources"))
	}
	if n := len(c.SecretsKey.Reveal()); n > 0 && n < minKey {
		err = errors.Join(err, fmt.Errorf("ASSIZE_SECRETS_KEY: %d bytes, want %d or more", n, minKey))
	}
	return err
}

const minKey = 16

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

// NewVulnerabilities makes the analyser of kind vulnerabilities. What a holds
// may be replaced at any time; while it holds no advisories the evidence
// fails.
func NewVulnerabilities(a *Advisories) evidence.Follower { return vulnerabilities.New(&a.knowledge) }
