package x509sig

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Limits of certificate files. A chain is rarely more than four; the
// operator's file may be a whole root programme.
const (
	MaxChainFile = 256 << 10
	maxChain     = 10
	maxRoots     = 2000
)

// ParseChain reads the certificates that a publisher puts beside a
// signature, leaf first: PEM, or DER one after the other; at most 256 KiB
// and 10 certificates.
func ParseChain(data []byte) ([]*x509.Certificate, error) {
	if len(data) > MaxChainFile {
		return nil, fmt.Errorf("certificate chain of %d bytes, at most %d", len(data), MaxChainFile)
	}
	return parseCertificates(data, maxChain)
}

// ParseCertificates reads certificates that the operator trusts, in the same
// forms. It refuses those whose key could not be used, so that the operator
// hears of it before a publisher does.
func ParseCertificates(data []byte) ([]*x509.Certificate, error) {
	certs, err := parseCertificates(data, maxRoots)
	if err != nil {
		return nil, err
	}
	for _, c := range certs {
		if err := checkKey(c.PublicKey); err != nil {
			return nil, fmt.Errorf("certificate of %s: %w", distinguishedName(c.RawSubject), err)
		}
	}
	return certs, nil
}

func parseCertificates(data []byte, most int) ([]*x509.Certificate, error) {
	if isDER(data) {
		certs, err := x509.ParseCertificates(data)
		if err != nil {
			return nil, err
		}
		if len(certs) > most {
			return nil, fmt.Errorf("%d certificates, at most %d", len(certs), most)
		}
		return certs, nil
	}
	ders, err := pemBlocks(data, most, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	for i, der := range ders {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", i+1, err)
		}
		certs = append(certs, c)
	}
	return certs, nil
}

// isDER tells DER from PEM: no text begins with "0" and a byte beyond ASCII.
func isDER(data []byte) bool { return len(data) > 1 && data[0] == 0x30 && data[1] >= 0x80 }

// pemBlocks returns the contents of all blocks, which must be of one of the
// types. Text between blocks is ignored, as openssl writes some; a block that
// is malformed is not, because skipping the leaf would make its issuer one.
func pemBlocks(data []byte, most int, types ...string) ([][]byte, error) {
	begun := bytes.Count(data, []byte("-----BEGIN "))
	if begun == 0 {
		return nil, fmt.Errorf("neither DER nor PEM: want %s", strings.Join(types, " or "))
	}
	if begun > most {
		return nil, fmt.Errorf("%d PEM blocks, at most %d", begun, most)
	}
	var ders [][]byte
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if strings.Contains(block.Type, "PRIVATE KEY") {
			return nil, errors.New("this file holds a private key: keep it elsewhere, and replace it if it was published")
		}
		if !slices.Contains(types, block.Type) {
			return nil, fmt.Errorf("PEM block is a %.40q, want %s", block.Type, strings.Join(types, " or "))
		}
		ders = append(ders, block.Bytes)
	}
	if len(ders) != begun {
		return nil, fmt.Errorf("%d of %d PEM blocks are malformed or cut off", begun-len(ders), begun)
	}
	return ders, nil
}

// oneDER is the content of a file with one object, in DER or in PEM of one
// of the types.
func oneDER(data []byte, types ...string) ([]byte, error) {
	if isDER(data) {
		return data, nil
	}
	ders, err := pemBlocks(data, 1, types...)
	if err != nil {
		return nil, err
	}
	return ders[0], nil
}

// fingerprint names one certificate.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}
