package x509sig

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"assize.dev/services/sign/internal/eddsa"
)

// Sizes of RSA keys. The upper one, that of crypto/tls, bounds what a foreign
// certificate may cost.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// checkKey refuses keys too weak, too costly or of kinds unknown.
func checkKey(key crypto.PublicKey) error {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return fmt.Errorf("RSA key of %d bits, want %d to %d", bits, minRSABits, maxRSABits)
		}
		return nil
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() && k.Curve != elliptic.P521() {
			return fmt.Errorf("key on the curve %s, want P-256, P-384 or P-521", k.Curve.Params().Name)
		}
		return nil
	case ed25519.PublicKey:
		return eddsa.CheckKey(k)
	}
	return errors.New("key is neither RSA, ECDSA nor Ed25519")
}

// strongAlgorithms are those by which certificates, CRLs and OCSP responses
// may be signed.
var strongAlgorithms = []x509.SignatureAlgorithm{
	x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
	x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
	x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512,
	x509.PureEd25519,
}

func checkAlgorithm(algorithm x509.SignatureAlgorithm) error {
	if !slices.Contains(strongAlgorithms, algorithm) {
		return fmt.Errorf("signed with %s, want SHA-256 or better", algorithm)
	}
	return nil
}

// checkLink refuses a certificate that must not be part of a chain. The
// signature on an anchor, or on whatever is signed by itself, proves nothing
// and is not looked at.
func checkLink(c *x509.Certificate, anchor bool) error {
	err := checkKey(c.PublicKey)
	if err == nil && !anchor && !bytes.Equal(c.RawSubject, c.RawIssuer) {
		err = checkAlgorithm(c.SignatureAlgorithm)
	}
	if err != nil {
		return flawf("certificate of %s: %s", distinguishedName(c.RawSubject), err)
	}
	return nil
}

// fitToSign refuses leaves that were not issued for signing code. That the
// key will do was checked before it was used.
func fitToSign(leaf *x509.Certificate) error {
	if n := len(leaf.RawSubject); n > maxName {
		return flawf("certificate's subject has %d bytes, at most %d", n, maxName)
	}
	who := distinguishedName(leaf.RawSubject)
	switch {
	case leaf.IsCA:
		return flawf("certificate of %s is that of a certificate authority, which must not sign artifacts", who)
	// RFC 5280, section 4.2.1.3 wants it from every issuer that conforms. Its
	// absence would allow everything.
	case leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return flawf("certificate of %s lacks the key usage digitalSignature", who)
	// anyExtendedKeyUsage is not enough: it tells that the issuer did not
	// decide what the key is for (RFC 5280, section 4.2.1.12 lets
	// applications insist), and none of the rules for issuing code signing
	// certificates were followed for it.
	case !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageCodeSigning):
		return flawf("certificate of %s was not issued for signing code: it lacks the extended key usage codeSigning", who)
	}
	return nil
}

// unknownIssuer says that a certificate leads to none of the roots.
type unknownIssuer struct{ flaw }

// chainsTo returns the ways from leaf to roots that are good at a time, at
// least one. The leaf has been checked on its own; sent came with it, and
// known helps.
func chainsTo(roots []*x509.Certificate, leaf *x509.Certificate, usage x509.ExtKeyUsage, when time.Time, sent, known []*x509.Certificate) ([][]*x509.Certificate, error) {
	issues := func(c *x509.Certificate) bool {
		return bytes.Equal(leaf.RawIssuer, c.RawSubject) ||
			slices.ContainsFunc(sent, func(of *x509.Certificate) bool { return bytes.Equal(of.RawIssuer, c.RawSubject) })
	}
	var unfit error // why a certificate that may be needed must not be used
	pool := func(certs []*x509.Certificate, anchor bool) *x509.CertPool {
		p := x509.NewCertPool() // never nil: that would mean the system's
		for _, c := range certs {
			if err := checkLink(c, anchor); err == nil {
				p.AddCert(c)
			} else if issues(c) {
				unfit = err
			}
		}
		return p
	}
	anchors, between := pool(roots, true), pool(slices.Concat(sent, known), false)
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: anchors, Intermediates: between, CurrentTime: when, KeyUsages: []x509.ExtKeyUsage{usage},
	})
	var unknown x509.UnknownAuthorityError
	switch who := distinguishedName(leaf.RawSubject); {
	case err == nil:
		return chains, nil
	case errors.As(err, &unknown) && unfit != nil:
		return nil, unfit
	case errors.As(err, &unknown):
		return nil, unknownIssuer{flaw(fmt.Sprintf("certificate of %s, issued by %s, leads to no trusted root", who, distinguishedName(leaf.RawIssuer)))}
	default:
		return nil, flawf("certificate of %s: %s", who, brief(err))
	}
}
