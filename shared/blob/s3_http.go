package blob

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/minio/minio-go/v7/pkg/s3utils"
	"github.com/minio/minio-go/v7/pkg/signer"
)

// emptyPayload is the SHA-256 of a request without a body.
const emptyPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// HTTP is for reading a bucket of others as one reads a web server: the
// address that keys are below, and a transport that signs each GET and HEAD
// (AWS Signature Version 4). Without keys it signs nothing, which is right for
// a public bucket.
func (c S3Config) HTTP() (*url.URL, http.RoundTripper, error) {
	if err := s3utils.CheckValidBucketNameStrict(c.Bucket); err != nil {
		return nil, nil, err
	}
	transport, err := c.transport()
	if err != nil {
		return nil, nil, err
	}
	host, secure := c.endpoint()
	base, err := url.Parse("https://" + host)
	if err != nil || base.Host != host {
		return nil, nil, fmt.Errorf("endpoint %q: want host or host:port", host)
	}
	if !secure {
		base.Scheme = "http"
	}
	base = base.JoinPath(c.Bucket, c.Prefix)
	if c.AccessKey == "" && c.SecretKey == "" {
		return base, transport, nil
	}
	access, secret, err := c.credentials()
	if err != nil {
		return nil, nil, err
	}
	return base, &signing{transport: transport, host: host, access: access, secret: secret, region: c.Region}, nil
}

// signing signs requests for one host; what a redirect sends elsewhere goes
// unsigned.
type signing struct {
	transport              http.RoundTripper
	host                   string
	access, secret, region string
}

func (s *signing) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == s.host && r.Body == nil {
		r = r.Clone(r.Context()) // a RoundTripper leaves the request as it was
		r.Header.Set("X-Amz-Content-Sha256", emptyPayload)
		r = signer.SignV4(*r, s.access, s.secret, "", s.region)
	}
	return s.transport.RoundTrip(r)
}
