package blob

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"assize.dev/shared/config"
)

// Config says where the store is.
type Config struct {
	Store string `env:"ASSIZE_STORE" help:"dir:/path, a plain path, or s3://bucket/prefix with the optional parameters endpoint, region and tls"`
	S3    S3Config
}

// S3Config says how to reach an S3-compatible server. Parameters of an
// s3:// URL go before it.
type S3Config struct {
	Bucket string // from Config.Store
	Prefix string // from Config.Store; keys are stored below it

	Endpoint  string        `env:"ASSIZE_S3_ENDPOINT" help:"host, host:port or an http(s) URL whose scheme decides about TLS; Amazon's without it"`
	Region    string        `env:"ASSIZE_S3_REGION, default=us-east-1" help:"region of the bucket"`
	AccessKey config.Secret `env:"ASSIZE_S3_ACCESS_KEY" help:"access key"`
	SecretKey config.Secret `env:"ASSIZE_S3_SECRET_KEY" help:"secret key"`

	// TLS off sends packages in the clear and lets whoever is on the wire
	// change them (reads are verified by digest, but writes are not signed
	// beyond a CRC): for a loopback or an already encrypted network.
	TLS    bool   `env:"ASSIZE_S3_TLS, default=true" help:"off only on a loopback or an encrypted network"`
	CAFile string `env:"ASSIZE_S3_CA_FILE" help:"PEM file with authorities to trust instead of the system's"`

	// Lock keeps what must not be changed afterwards from being deleted, also
	// by who has the keys. It cannot be taken back.
	Lock time.Duration `env:"ASSIZE_S3_LOCK" help:"how long the audit log and the records of verdicts cannot be deleted, by object lock in compliance mode; the bucket must have object lock"`

	// EnsureBucket creates the bucket if it is missing; without it a missing
	// bucket is an error, so that a mistyped name is noticed.
	EnsureBucket bool `env:"ASSIZE_S3_ENSURE_BUCKET, default=false" help:"create the bucket if it is missing"`
}

// Open opens the store that config names.
func Open(ctx context.Context, c Config) (Store, error) {
	scheme, rest, ok := strings.Cut(c.Store, ":")
	switch {
	case c.Store == "":
		return nil, errors.New("ASSIZE_STORE is not set: want dir:/path or s3://bucket/prefix")
	case ok && scheme == "s3":
		s3, err := c.S3.At(c.Store)
		if err != nil {
			return nil, fmt.Errorf("reading ASSIZE_STORE: %w", err)
		}
		return asStore(OpenS3(ctx, s3))
	case ok && scheme == "dir":
		return asStore(OpenDir(rest))
	case ok && !strings.Contains(scheme, "/"):
		return nil, fmt.Errorf("reading ASSIZE_STORE: unknown kind of store %.20q: want dir:/path or s3://bucket/prefix", scheme)
	}
	return asStore(OpenDir(c.Store))
}

// asStore keeps a nil driver from becoming a Store that is not nil.
func asStore[S Store](store S, err error) (Store, error) {
	if err != nil {
		return nil, err
	}
	return store, nil
}

// At returns c pointed at an s3:// URL.
func (c S3Config) At(store string) (S3Config, error) {
	u, err := url.Parse(store)
	if err != nil {
		return c, errors.New("malformed s3:// URL") // err quotes it, passwords included
	}
	if u.User != nil {
		return c, errors.New("credentials in the URL end up in logs: use ASSIZE_S3_ACCESS_KEY_FILE and ASSIZE_S3_SECRET_KEY_FILE")
	}
	c.Bucket, c.Prefix = u.Host, strings.Trim(u.Path, "/")
	parameters, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return c, fmt.Errorf("parameters of the s3:// URL: %w", err)
	}
	for name, values := range parameters {
		if len(values) != 1 {
			return c, fmt.Errorf("parameter %.20q of the s3:// URL is given %d times", name, len(values))
		}
		switch name {
		case "endpoint":
			c.Endpoint = values[0]
		case "region":
			c.Region = values[0]
		case "tls":
			if c.TLS, err = strconv.ParseBool(values[0]); err != nil {
				return c, fmt.Errorf("parameter tls of the s3:// URL: %.20q is neither true nor false", values[0])
			}
		default:
			return c, fmt.Errorf("unknown parameter %.20q of the s3:// URL: want endpoint, region or tls", name)
		}
	}
	return c, nil
}

// endpoint is the server's address without a scheme, and whether to use TLS.
func (c S3Config) endpoint() (host string, secure bool) {
	switch {
	case c.Endpoint == "":
		return "s3.amazonaws.com", c.TLS
	case strings.HasPrefix(c.Endpoint, "https://"):
		return strings.Trim(strings.TrimPrefix(c.Endpoint, "https://"), "/"), true
	case strings.HasPrefix(c.Endpoint, "http://"):
		return strings.Trim(strings.TrimPrefix(c.Endpoint, "http://"), "/"), false
	}
	return strings.Trim(c.Endpoint, "/"), c.TLS
}

// credentials are the access key and the secret key.
func (c S3Config) credentials() (access, secret string, err error) {
	if c.AccessKey == "" || c.SecretKey == "" {
		return "", "", errors.New("ASSIZE_S3_ACCESS_KEY and ASSIZE_S3_SECRET_KEY (or each with _FILE) must both be set")
	}
	return c.AccessKey.Reveal(), c.SecretKey.Reveal(), nil
}
