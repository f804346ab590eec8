package x509sig

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"assize.dev/services/sign/internal/signature"
)

// maxClockSkew is how far the authority's clock may be ahead of ours.
const maxClockSkew = 5 * time.Minute

// maxToken is far beyond a token with its certificates.
const maxToken = 128 << 10

// provenTime is a time that a timestamp authority vouches for.
type provenTime struct {
	time     time.Time
	accuracy time.Duration
}

// latest is when it may have been at most.
func (p *provenTime) latest() time.Time { return p.time.Add(p.accuracy) }

// tstInfo is TSTInfo (RFC 3161, section 2.4.2).
type tstInfo struct {
	Version int
	Policy  asn1.ObjectIdentifier
	Imprint struct {
		HashAlgorithm pkix.AlgorithmIdentifier
		Sum           []byte
	}
	Serial   *big.Int
	Time     time.Time `asn1:"generalized"`
	Accuracy struct {
		Seconds int `asn1:"optional"`
		Millis  int `asn1:"optional,tag:0"`
		Micros  int `asn1:"optional,tag:1"`
	} `asn1:"optional"`
	Ordering   bool             `asn1:"optional,default:false"`
	Nonce      *big.Int         `asn1:"optional"`
	TSA        asn1.RawValue    `asn1:"optional,tag:0"`
	Extensions []pkix.Extension `asn1:"optional,tag:1"`
}

// verifyTimestamp checks a token, or the response with it, over one of the
// values.
func (a *Anchors) verifyTimestamp(der []byte, values [][]byte, at time.Time) (*provenTime, error) {
	if len(a.TimestampRoots) == 0 {
		return nil, errors.New("no root of timestamp authorities is configured")
	}
	if len(der) > maxToken {
		return nil, fmt.Errorf("%d bytes, at most %d", len(der), maxToken)
	}
	sd, info, err := parseToken(der)
	if err != nil {
		return nil, errors.New(brief(err))
	}
	h := strongHash(info.Imprint.HashAlgorithm.Algorithm)
	if h == 0 {
		return nil, fmt.Errorf("imprint by %s, want SHA-256, SHA-384 or SHA-512", info.Imprint.HashAlgorithm.Algorithm)
	}
	if !slices.ContainsFunc(values, func(v []byte) bool { return bytes.Equal(info.Imprint.Sum, digest(h, v)) }) {
		return nil, errors.New("it is for another signature")
	}
	accuracy, err := info.accuracy()
	if err != nil {
		return nil, err
	}
	proven := &provenTime{info.Time, accuracy}
	if proven.time.After(at.Add(maxClockSkew)) {
		return nil, fmt.Errorf("its time %s is yet to come", proven.time.UTC().Format(time.RFC3339))
	}
	authority, err := a.checkToken(sd)
	if err != nil {
		return nil, err
	}
	chains, err := chainsTo(a.TimestampRoots, authority, x509.ExtKeyUsageTimeStamping, proven.time, sd.certificates, a.Intermediates)
	if err != nil {
		return nil, err
	}
	sd.material.add(a)
	if _, err := a.checkRevocation(chains, sd.material, revocationCase{at: at, proven: proven}); err != nil {
		return nil, err
	}
	return proven, nil
}

// checkToken checks the signature of a token and returns the certificate of
// the authority, which is fit to make one.
func (a *Anchors) checkToken(sd *signedData) (*x509.Certificate, error) {
	s := &sd.signers[0]
	c := signature.NewContent(context.Background(), bytes.NewReader(sd.content), int64(len(sd.content)))
	authority, err := s.check(c, sd.contentType, slices.Concat(sd.certificates, a.Intermediates))
	if err != nil {
		return nil, err
	}
	if authority == nil {
		return nil, fmt.Errorf("the certificate of the authority (%s) is not in it", s.identifier())
	}
	if err := s.checkSigningCertificate(authority, true); err != nil {
		return nil, err
	}
	return authority, fitToTimestamp(authority)
}

// fitToTimestamp refuses certificates that do more than RFC 3161, section
// 2.3 lets them: a key for timestamps must be for nothing else.
func fitToTimestamp(c *x509.Certificate) error {
	critical := slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidExtendedKeyUsage) && e.Critical })
	if c.IsCA || !critical || len(c.UnknownExtKeyUsage) != 0 || !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}) {
		return fmt.Errorf("certificate of %s is not one of a timestamp authority: want the critical extended key usage timeStamping alone", distinguishedName(c.RawSubject))
	}
	if c.KeyUsage != 0 && c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		return fmt.Errorf("certificate of %s lacks the key usage digitalSignature", distinguishedName(c.RawSubject))
	}
	return nil
}

var oidExtendedKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}

// parseToken reads a TimeStampToken or a TimeStampResp. A token is a
// ContentInfo, so it starts with an identifier; a response starts with its
// status.
func parseToken(der []byte) (*signedData, *tstInfo, error) {
	s := cryptobyte.String(der)
	var response, status cryptobyte.String
	if s.ReadASN1(&response, cryptobyte_asn1.SEQUENCE) && s.Empty() && response.ReadASN1(&status, cryptobyte_asn1.SEQUENCE) {
		var code int
		if !status.ReadASN1Integer(&code) || code < 0 {
			return nil, nil, errors.New("malformed timestamp response")
		}
		if code > 1 { // neither granted nor grantedWithMods
			return nil, nil, fmt.Errorf("the authority refused it with status %d", code)
		}
		der = response
	}
	sd, err := parseSignedData(der)
	if err != nil {
		return nil, nil, err
	}
	if !sd.contentType.Equal(oidTSTInfo) || sd.content == nil || len(sd.signers) != 1 {
		return nil, nil, errors.New("it is no timestamp with one signature")
	}
	var info tstInfo
	if rest, err := asn1.Unmarshal(sd.content, &info); err != nil || len(rest) != 0 || info.Version != 1 {
		return nil, nil, errors.New("malformed TSTInfo")
	}
	for _, e := range info.Extensions {
		if e.Critical {
			return nil, nil, fmt.Errorf("unknown critical extension %s", e.Id)
		}
	}
	return sd, &info, nil
}

// maxAccuracy is that of a clock that nobody should rely on.
const maxAccuracy = time.Hour

// accuracy is zero where the authority does not state it.
func (i *tstInfo) accuracy() (time.Duration, error) {
	a := i.Accuracy
	if a.Seconds < 0 || a.Seconds > int(maxAccuracy/time.Second) || a.Millis < 0 || a.Millis > 999 || a.Micros < 0 || a.Micros > 999 {
		return 0, fmt.Errorf("its accuracy is worse than %s, or malformed", maxAccuracy)
	}
	return time.Duration(a.Seconds)*time.Second + time.Duration(a.Millis)*time.Millisecond + time.Duration(a.Micros)*time.Microsecond, nil
}
