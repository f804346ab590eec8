package sigstore

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"assize.dev/shared/pattern"
)

// Identity is a signer of keyless signatures who is trusted. Every field is
// the exact text, or a pattern in which * stands for anything but a slash and
// ** for anything (see package pattern); the whole text must match.
type Identity struct {
	// Issuer is who identified the signer, such as
	// https://token.actions.githubusercontent.com, and SAN whom: a workflow
	// such as https://github.com/us/app/.github/workflows/release.yml@refs/tags/*,
	// or an e-mail address. Both are needed: with one of them empty, nobody
	// matches.
	Issuer, SAN string

	// SourceRepository pins what was built, such as
	// https://github.com/us/app; empty is anything.
	SourceRepository string
}

// Check refuses an identity that matches nobody, or anybody.
func (i Identity) Check() error {
	for _, f := range []struct{ what, text string }{{"issuer", i.Issuer}, {"SAN", i.SAN}} {
		if err := pattern.Check(f.text); err != nil {
			return fmt.Errorf("identity: %s %w", f.what, err)
		}
	}
	if i.SourceRepository == "" {
		return nil
	}
	if err := pattern.Check(i.SourceRepository); err != nil {
		return fmt.Errorf("identity: source repository %w", err)
	}
	return nil
}

// Matches tells whether a certificate is the identity's, by what it says
// alone.
func (i Identity) Matches(c *Claims) bool {
	return pattern.Match(i.Issuer, c.Issuer) && pattern.Match(i.SAN, c.SAN) &&
		(i.SourceRepository == "" || pattern.Match(i.SourceRepository, c.SourceRepositoryURI))
}

// Claims is what the certificate authority says of the signer: whom the
// issuer identified, and for builds which. The names are those of Fulcio's
// extensions, https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md;
// empty where the certificate does not say.
type Claims struct {
	SAN                    string // the only subject alternative name
	Issuer                 string // 1.3.6.1.4.1.57264.1.8, or .1
	BuildSignerURI         string // .9
	BuildSignerDigest      string // .10
	RunnerEnvironment      string // .11
	SourceRepositoryURI    string // .12
	SourceRepositoryDigest string // .13
	SourceRepositoryRef    string // .14
	BuildConfigURI         string // .18
	BuildTrigger           string // .20
	RunInvocationURI       string // .21
}

// claims reads a certificate. It refuses one that names several identities:
// which of them signed could not be said.
func claims(leaf *x509.Certificate) (*Claims, error) {
	summary, err := certificate.SummarizeCertificate(leaf)
	if err != nil {
		return nil, err
	}
	names := len(leaf.URIs) + len(leaf.EmailAddresses) + len(leaf.DNSNames) + len(leaf.IPAddresses)
	if other, _ := cryptoutils.UnmarshalOtherNameSAN(leaf.Extensions); other != "" {
		names++
	}
	if names != 1 {
		return nil, fmt.Errorf("certificate names %d identities, want one", names)
	}
	if summary.Issuer == "" {
		return nil, errors.New("certificate does not say who identified the signer")
	}
	return &Claims{
		SAN:                    summary.SubjectAlternativeName,
		Issuer:                 summary.Issuer,
		BuildSignerURI:         summary.BuildSignerURI,
		BuildSignerDigest:      summary.BuildSignerDigest,
		RunnerEnvironment:      summary.RunnerEnvironment,
		SourceRepositoryURI:    summary.SourceRepositoryURI,
		SourceRepositoryDigest: summary.SourceRepositoryDigest,
		SourceRepositoryRef:    summary.SourceRepositoryRef,
		BuildConfigURI:         summary.BuildConfigURI,
		BuildTrigger:           summary.BuildTrigger,
		RunInvocationURI:       summary.RunInvocationURI,
	}, nil
}

// Signer is how trust lists and evidence name the signer:
// "SAN (issuer)", for example
// "https://github.com/us/app/.github/workflows/release.yml@refs/tags/v1 (https://token.actions.githubusercontent.com)".
func (c *Claims) Signer() string {
	return printable(c.SAN, pattern.MaxLength) + " (" + printable(c.Issuer, pattern.MaxLength) + ")"
}

// printable makes text from outside fit for a line of a log.
func printable(s string, most int) string {
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r): // protobuf's errors have odd ones, on purpose
			return ' '
		}
		return unicode.ReplacementChar
	}, s)
}
