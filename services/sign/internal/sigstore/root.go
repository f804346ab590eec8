package sigstore

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"assize.dev/services/sign/internal/strictjson"
)

// Root is one or more Sigstore instances that are trusted: their certificate
// authorities, transparency logs and timestamp authorities. It never changes
// and is safe for concurrent use. Nothing is ever fetched for it.
type Root struct {
	material *root.TrustedRoot
	verifier *verify.Verifier
}

// Bounds of a trusted root. That of the public instance has 30 KiB, three
// authorities and four logs, after years of rotation.
const (
	maxRoot        = 1 << 20
	maxInstances   = 64
	minRootRSABits = 2048
)

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
	for _, list := range []struct {
		what string
		n    int
	}{
		{"certificate authorities", len(pb.GetCertificateAuthorities())}, {"transparency logs", len(pb.GetTlogs())},
		{"certificate transparency logs", len(pb.GetCtlogs())}, {"timestamp authorities", len(pb.GetTimestampAuthorities())},
	} {
		if list.n > maxInstances {
			return nil, fmt.Errorf("trusted root: %d %s, at most %d", list.n, list.what, maxInstances)
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
	if err := checkMaterial(material); err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	r := &Root{material: material}
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

// checkMaterial refuses what could not be used.
func checkMaterial(material *root.TrustedRoot) error {
	for _, ca := range material.FulcioCertificateAuthorities() {
		if f, ok := ca.(*root.FulcioCertificateAuthority); !ok || f.Root == nil {
			return errors.New("a certificate authority without a root certificate")
		}
	}
	for _, tsa := range material.TimestampingAuthorities() {
		if t, ok := tsa.(*root.SigstoreTimestampingAuthority); !ok || t.Root == nil {
			return errors.New("a timestamp authority without a root certificate")
		}
	}
	for _, logs := range []map[string]*root.TransparencyLog{material.RekorLogs(), material.CTLogs()} {
		for _, id := range slices.Sorted(maps.Keys(logs)) {
			if key, ok := logs[id].PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < minRootRSABits {
				return fmt.Errorf("the RSA key of log %s has %d bits, want %d", id, key.N.BitLen(), minRootRSABits)
			}
			if _, err := x509.MarshalPKIXPublicKey(logs[id].PublicKey); err != nil {
				return fmt.Errorf("key of log %s: %w", id, err)
			}
		}
	}
	return nil
}
