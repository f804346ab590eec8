package sigstore

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"assize.dev/services/sign/internal/strictjson"
	"assize.dev/shared/digest"
)

// Root is one or more Sigstore instances that are trusted: their certificate
// authorities, transparency logs and timestamp authorities. It never changes
// and is safe for concurrent use. Nothing is ever fetched for it.
type Root struct {
	material *root.TrustedRoot
	verifier *verify.Verifier
	digest   digest.Digest
}

// Bounds of a trusted root. That of the public instance has 30 KiB, three
// authorities and four logs, after years of rotation.
const (
	maxRoot        = 1 << 20
	maxInstances   = 64
	minRootRSABits = 2048
)

// LoadRoot reads a trusted root from a file; see ParseRoot.
func LoadRoot(path string) (*Root, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("loading trusted root: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxRoot+1))
	if err != nil {
		return nil, fmt.Errorf("loading trusted root: %w", err)
	}
	r, err := ParseRoot(data)
	if err != nil {
		return nil, fmt.Errorf("loading trusted root %s: %w", path, err)
	}
	return r, nil
}

// ParseRoot reads a trusted root of media type
// application/vnd.dev.sigstore.trustedroot+json;version=0.1, at most 1 MiB.
// It must have a certificate authority and a transparency log, without which
// no signature could ever be valid.
//
// If it lists certificate transparency logs, every certificate must prove
// that one of them knows it (by an embedded SCT); if it lists none, none
// needs to.
func ParseRoot(data []byte) (*Root, error) {
	if len(data) > maxRoot {
		return nil, fmt.Errorf("trusted root of %d bytes, at most %d", len(data), maxRoot)
	}
	document, err := strictjson.Document(data)
	if err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	pb, err := root.NewTrustedRootProtobuf(document)
	if err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	for what, n := range map[string]int{
		"certificate authorities": len(pb.GetCertificateAuthorities()), "transparency logs": len(pb.GetTlogs()),
		"certificate transparency logs": len(pb.GetCtlogs()), "timestamp authorities": len(pb.GetTimestampAuthorities()),
	} {
		if n > maxInstances {
			return nil, fmt.Errorf("trusted root: %d %s, at most %d", n, what, maxInstances)
		}
	}
	material, err := root.NewTrustedRootFromProtobuf(pb)
	if err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	switch {
	case len(material.FulcioCertificateAuthorities()) == 0:
		return nil, errors.New("trusted root: no certificate authority")
	case len(material.RekorLogs()) == 0:
		return nil, errors.New("trusted root: no transparency log")
	case len(material.RekorLogs()) != len(pb.GetTlogs()) || len(material.CTLogs()) != len(pb.GetCtlogs()):
		return nil, errors.New("trusted root: two logs have the same id")
	}
	r := &Root{material: material}
	if r.digest, err = describe(material); err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	options := []verify.VerifierOption{
		verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1), verify.WithoutStatementPredicate(),
	}
	if len(material.CTLogs()) > 0 {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	if r.verifier, err = verify.NewVerifier(material, options...); err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	return r, nil
}

// Digest changes when the same signature could be judged differently. How
// the file is laid out, and in which order, does not matter.
func (r *Root) Digest() digest.Digest { return r.digest }

// describe is the digest of everything that decides, one line for each
// authority and log. It refuses what could not be used.
func describe(material *root.TrustedRoot) (digest.Digest, error) {
	var lines []string
	add := func(kind, uri, what string, start, end time.Time) {
		lines = append(lines, fmt.Sprintf("%s %q %s %d %d", kind, uri, what, start.Unix(), end.Unix()))
	}
	for _, ca := range material.FulcioCertificateAuthorities() {
		f, ok := ca.(*root.FulcioCertificateAuthority)
		if !ok || f.Root == nil {
			return "", errors.New("a certificate authority without a root certificate")
		}
		add("ca", "", fingerprints(slices.Concat(f.Intermediates, []*x509.Certificate{f.Root})...), f.ValidityPeriodStart, f.ValidityPeriodEnd)
	}
	for _, tsa := range material.TimestampingAuthorities() {
		t, ok := tsa.(*root.SigstoreTimestampingAuthority)
		if !ok || t.Root == nil {
			return "", errors.New("a timestamp authority without a root certificate")
		}
		chain := slices.Concat(t.Intermediates, []*x509.Certificate{t.Root})
		if t.Leaf != nil {
			chain = append(chain, t.Leaf)
		}
		add("tsa", t.URI, fingerprints(chain...), t.ValidityPeriodStart, t.ValidityPeriodEnd)
	}
	for kind, logs := range map[string]map[string]*root.TransparencyLog{"tlog": material.RekorLogs(), "ctlog": material.CTLogs()} {
		for id, log := range logs {
			if key, ok := log.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < minRootRSABits {
				return "", fmt.Errorf("the RSA key of log %s has %d bits, want %d", id, key.N.BitLen(), minRootRSABits)
			}
			spki, err := x509.MarshalPKIXPublicKey(log.PublicKey)
			if err != nil {
				return "", fmt.Errorf("key of log %s: %w", id, err)
			}
			add(kind, log.BaseURL, id+" "+hex.EncodeToString(spki), log.ValidityPeriodStart, log.ValidityPeriodEnd)
		}
	}
	slices.Sort(lines)
	return digest.Of([]byte(strings.Join(lines, "\n"))), nil
}

func fingerprints(chain ...*x509.Certificate) string {
	h := sha256.New()
	for _, c := range chain {
		h.Write(c.Raw)
	}
	return hex.EncodeToString(h.Sum(nil))
}
