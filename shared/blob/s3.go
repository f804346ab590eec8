package blob

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"
)

// S3 is a Store in a bucket of an S3-compatible server that honours
// "If-None-Match: *" on a single PUT and answers only once the object is
// durable; the conformance package tells whether a server does the former.
//
// Create is always one PUT: conditions on multipart uploads are lost in
// minio-go (CompleteMultipartUpload does not carry them) and are optional for
// servers. Memory stays constant whatever the size of an object.
type S3 struct {
	client *minio.Client
	bucket string
	prefix string // "" or with a slash at its end
	lock   time.Duration
}

const (
	// maxSinglePut is S3's limit for one PUT: 5 GiB.
	maxSinglePut = 5 << 30

	// callTimeout is for one attempt at a call with a small body.
	callTimeout = 30 * time.Second

	// answerTimeout is for the server to begin its answer to a complete
	// request; writing 5 GiB through to a disk takes a while.
	answerTimeout = 2 * time.Minute

	// slowest is the rate below which an upload is given up, in bytes a second.
	slowest = 1 << 20

	// worthAsking is the size above which Create asks whether the object is
	// there before it sends the bytes.
	worthAsking = 1 << 20
)

// writerMetadata names the Create call that wrote an object, so that it can
// recognise its own work when the first answer was lost.
const writerMetadata = "Assize-Writer"

// OpenS3 connects to the bucket that config names and checks that it is there.
func OpenS3(ctx context.Context, config S3Config) (*S3, error) {
	s, err := connect(config)
	if err == nil {
		err = s.checkBucket(ctx, config)
	}
	if err == nil && config.Lock > 0 {
		err = s.checkLock(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("opening bucket %q: %w", config.Bucket, err)
	}
	return s, nil
}

func connect(config S3Config) (*S3, error) {
	if err := s3utils.CheckValidBucketNameStrict(config.Bucket); err != nil {
		return nil, err
	}
	if config.Prefix != "" {
		if err := CheckKey(config.Prefix); err != nil {
			return nil, fmt.Errorf("prefix: %w", err)
		}
		config.Prefix += "/"
	}
	access, secret, err := config.credentials()
	if err != nil {
		return nil, err
	}
	transport, err := config.transport()
	if err != nil {
		return nil, err
	}
	host, secure := config.endpoint()
	client, err := minio.New(host, &minio.Options{
		Creds:     credentials.NewStaticV4(access, secret, ""),
		Secure:    secure,
		Region:    config.Region,
		Transport: transport,
		// Retries are ours (attempts): minio's would hide that a condition
		// failed only because the attempt before it had succeeded.
		MaxRetries:      1,
		TrailingHeaders: true,
	})
	if err != nil {
		return nil, fmt.Errorf("endpoint %q: %w", host, err)
	}
	return &S3{client: client, bucket: config.Bucket, prefix: config.Prefix, lock: config.Lock}, nil
}

func (c S3Config) transport() (*http.Transport, error) {
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading ASSIZE_S3_CA_FILE: %w", err)
		}
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading ASSIZE_S3_CA_FILE: no certificate in %s", c.CAFile)
		}
	}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:       trust,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: answerTimeout,
		MaxIdleConnsPerHost:   32,
		IdleConnTimeout:       time.Minute,
		// What is stored is what is read; no transparent decompression.
		DisableCompression: true,
	}, nil
}

func (s *S3) checkBucket(ctx context.Context, config S3Config) error {
	return attempts(ctx, callTimeout, maxAttempts, func(ctx context.Context, _ int) error {
		exists, err := s.client.BucketExists(ctx, s.bucket)
		if err != nil || exists {
			return storeError(err)
		}
		if !config.EnsureBucket {
			return fmt.Errorf("%w: no such bucket at %s", ErrNotFound, s.client.EndpointURL().Host)
		}
		err = s.client.MakeBucket(ctx, s.bucket, minio.MakeBucketOptions{Region: config.Region, ObjectLocking: config.Lock > 0})
		if minio.ToErrorResponse(err).Code == minio.BucketAlreadyOwnedByYou {
			return nil
		}
		return storeError(err)
	})
}

// checkLock refuses a bucket that would not keep what it is told to keep.
func (s *S3) checkLock(ctx context.Context) error {
	return attempts(ctx, callTimeout, maxAttempts, func(ctx context.Context, _ int) error {
		enabled, _, _, _, err := s.client.GetObjectLockConfig(ctx, s.bucket)
		if minio.ToErrorResponse(err).Code == "ObjectLockConfigurationNotFoundError" || err == nil && enabled != "Enabled" {
			return fmt.Errorf("%w: ASSIZE_S3_LOCK is set, but the bucket has no object lock, which is chosen when a bucket is made", ErrNotFound)
		}
		return storeError(err)
	})
}

// isRecord reports whether a key is of the audit log or of a verdict's record:
// what is written once and never deleted.
func isRecord(key string) bool {
	for _, prefix := range []string{"audit/log/", "audit/checkpoints/", "verdicts/"} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// Create is Store.Create, for at most 5 GiB (ErrTooLarge). An answer that was
// lost is not mistaken for ErrExists while the call lasts: each object carries
// the name of the call that wrote it.
func (s *S3) Create(ctx context.Context, key string, body io.Reader, size int64) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if err := s.create(ctx, key, body, size); err != nil {
		return fmt.Errorf("creating %s: %w", key, err)
	}
	return nil
}

func (s *S3) create(ctx context.Context, key string, body io.Reader, size int64) error {
	switch {
	case size < 0:
		return fmt.Errorf("%w: %d", ErrWrongSize, size)
	case size > maxSinglePut:
		return fmt.Errorf("%w: %d bytes, want at most %d", ErrTooLarge, size, int64(maxSinglePut))
	}
	upload, err := newUpload(body, size)
	if err != nil {
		return err
	}
	writer := rand.Text()
	options := putOptions()
	options.UserMetadata = map[string]string{writerMetadata: writer}
	options.SetMatchETagExcept("*")
	if s.lock > 0 && isRecord(key) {
		options.Mode, options.RetainUntilDate = minio.Compliance, time.Now().UTC().Add(s.lock)
	}

	tries := 1
	if upload.again != nil {
		tries = maxAttempts
	}
	timeout := callTimeout + time.Duration(size/slowest)*time.Second
	return attempts(ctx, timeout, tries, func(ctx context.Context, attempt int) error {
		if size > worthAsking {
			switch err := s.claimed(ctx, key, writer); {
			case err == errOwnWork:
				return nil
			case err != nil:
				return err
			}
		}
		body, err := upload.send()
		if err != nil {
			return err
		}
		_, err = s.client.PutObject(ctx, s.bucket, s.prefix+key, body, size, options)
		if problem := body.end(); problem != nil { // rather than what HTTP made of it
			return problem
		}
		return s.settle(ctx, key, writer, attempt, storeError(err))
	})
}

// settle finds out what an attempt came to. There are two ways to miss the
// answer: the object is stored and the connection breaks, so that the next
// attempt hears that it exists; or the server refuses early, and the
// connection breaks because of the bytes still under way.
func (s *S3) settle(ctx context.Context, key, writer string, attempt int, err error) error {
	refused := errors.Is(err, ErrExists)
	if err == nil || refused && attempt == 1 || !refused && !passing(err) {
		return err
	}
	switch found := s.claimed(ctx, key, writer); {
	case found == errOwnWork:
		return nil
	case errors.Is(found, ErrExists):
		return found
	case refused && found != nil:
		return fmt.Errorf("comparing with the object that exists: %w", found)
	case refused:
		return errVanished
	}
	return err // which says more than that nothing was found
}

var (
	errOwnWork  = errors.New("stored by an earlier attempt")
	errVanished = errors.New("the object that existed is gone")
)

// claimed returns nil if there is no object under key, errOwnWork if the given
// call wrote it, ErrExists if another did.
func (s *S3) claimed(ctx context.Context, key, writer string) error {
	info, err := s.client.StatObject(ctx, s.bucket, s.prefix+key, minio.StatObjectOptions{})
	switch err = storeError(err); {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	case info.UserMetadata[writerMetadata] == writer:
		return errOwnWork
	}
	return ErrExists
}

// Replace is Store.Replace.
func (s *S3) Replace(ctx context.Context, key string, body []byte) error {
	if err := checkReplaceable(key, len(body)); err != nil {
		return err
	}
	err := attempts(ctx, callTimeout, maxAttempts, func(ctx context.Context, _ int) error {
		_, err := s.client.PutObject(ctx, s.bucket, s.prefix+key, bytes.NewReader(body), int64(len(body)), putOptions())
		return storeError(err)
	})
	if err != nil {
		return fmt.Errorf("replacing %s: %w", key, err)
	}
	return nil
}

// putOptions send the body once, unsigned, followed by its CRC32C. Signed
// streaming with a trailer, minio-go's default over plain HTTP, is refused or
// stored with its framing by some servers.
func putOptions() minio.PutObjectOptions {
	return minio.PutObjectOptions{
		ContentType:          "application/octet-stream",
		DisableMultipart:     true,
		SendContentMd5:       false,
		DisableContentSha256: true,
		Checksum:             minio.ChecksumFullObjectCRC32C,
	}
}

// Delete is Store.Delete.
func (s *S3) Delete(ctx context.Context, key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	err := attempts(ctx, callTimeout, maxAttempts, func(ctx context.Context, _ int) error {
		return storeError(s.client.RemoveObject(ctx, s.bucket, s.prefix+key, minio.RemoveObjectOptions{}))
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("deleting %s: %w", key, err)
	}
	return nil
}

// storeError puts a server's answer into the words of this package. A missing
// bucket is no missing object.
func storeError(err error) error {
	if err == nil {
		return nil
	}
	answer := minio.ToErrorResponse(err)
	switch {
	case answer.StatusCode == http.StatusPreconditionFailed || answer.Code == minio.PreconditionFailed:
		return ErrExists
	case answer.Code == minio.NoSuchKey:
		return ErrNotFound
	case answer.StatusCode == 0:
		return err
	}
	return &answerError{answer.StatusCode, answer.Code, fmt.Sprintf("server answered %d %s: %s",
		answer.StatusCode, answer.Code, strings.TrimSpace(answer.Message))}
}

// answerError is a server's refusal.
type answerError struct {
	status int
	code   string
	text   string
}

func (e *answerError) Error() string { return e.text }
