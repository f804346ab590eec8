package sign

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"assize.dev/services/sign/internal/eddsa"
	"assize.dev/services/sign/internal/minisign"
	"assize.dev/services/sign/internal/openpgp"
	"assize.dev/services/sign/internal/signature"
	"assize.dev/services/sign/internal/sigstore"
	"assize.dev/services/sign/internal/sshsig"
	"assize.dev/services/sign/internal/trust"
	"assize.dev/services/sign/internal/x509sig"
	"assize.dev/shared/event"
)

// kindUnsupported is said of a file beside an artifact that holds nothing
// known here; it counts for nothing.
const kindUnsupported = "unsupported"

// form is what a file beside an artifact holds. It is told from the content:
// several kinds share the suffix .sig.
type form int

const (
	formUnknown form = iota
	formOpenPGP
	formSSH
	formMinisign // or signify
	formAttestation
	formCMS
	formX509 // a bare signature, if certificates lie beside it
	formEd25519
	formCompanion // of formX509: certificates, a timestamp, an OCSP response
)

// beside looks at the files that came with the artifact.
func (e *examination) beside() error {
	for _, a := range e.artifact.Signatures {
		with := e.companions(a)
		var err error
		switch f := e.form(a, len(with.Chain) > 0); f {
		case formCompanion:
		case formOpenPGP:
			err = e.openpgp(a)
		case formSSH:
			err = e.ssh(a)
		case formMinisign:
			err = e.minisign(a)
		case formAttestation:
			err = e.attestations(a)
		case formCMS:
			err = e.cms(a)
		case formX509:
			err = e.x509(a, with)
		case formEd25519:
			err = e.ed25519(a, with)
		default:
			e.unknown(a)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// companions are what a bare X.509 signature needs from other files: the
// signer's certificates, an RFC 3161 timestamp, OCSP responses. Those of the
// signature's own name come before those of the artifact's.
func (e *examination) companions(a event.Attached) x509sig.Detached {
	own, common := stem(a.Name), path.Base(e.artifact.Filename)
	with := e.companionsOf(own)
	if own != common && len(with.Chain) == 0 {
		with = e.companionsOf(common)
	}
	with.Signature = a.Data
	return with
}

func (e *examination) companionsOf(of string) (with x509sig.Detached) {
	for _, a := range e.artifact.Signatures {
		if !e.named(a) || stem(a.Name) != of {
			continue
		}
		with.Chain = append(with.Chain, certificates(a)...)
		if r := ocspResponse(a); r != nil {
			with.OCSP = append(with.OCSP, r)
		}
		if isTimestamp(a) && with.Timestamp == nil {
			with.Timestamp = a.Data
		}
	}
	// The signer's own certificate is to be the first; authorities sign
	// nothing but certificates.
	slices.SortStableFunc(with.Chain, func(a, b *x509.Certificate) int { return cmp.Compare(authority(a), authority(b)) })
	return with
}

func authority(c *x509.Certificate) int {
	if c.IsCA {
		return 1
	}
	return 0
}

// stem is what a file is called after, without the suffix of its kind.
func stem(name string) string {
	name = path.Base(name)
	longest := ""
	for _, suffix := range event.SignatureSuffixes {
		if strings.HasSuffix(name, suffix) && len(suffix) > len(longest) {
			longest = suffix
		}
	}
	if longest == "" {
		longest = path.Ext(name)
	}
	return strings.TrimSuffix(name, longest)
}

// certificates are those that a file holds, nil if it holds none or anything
// else.
func certificates(a event.Attached) []*x509.Certificate {
	switch path.Ext(a.Name) {
	case ".crt", ".pem", ".cer", ".der":
		if found, err := x509sig.ParseChain(a.Data); err == nil {
			return found
		}
	}
	return nil
}

// ocspResponse is that in a file, nil if there is none.
func ocspResponse(a event.Attached) *x509sig.OCSP {
	if path.Ext(a.Name) != ".ocsp" {
		return nil
	}
	r, err := x509sig.ParseOCSP(a.Data)
	if err != nil {
		return nil
	}
	return r
}

func isTimestamp(a event.Attached) bool { return path.Ext(a.Name) == ".tsr" && len(a.Data) > 0 }

// named tells whether a file is called after the artifact. Others are not
// taken for signatures of it.
func (e *examination) named(a event.Attached) bool {
	suffix, named := strings.CutPrefix(path.Base(a.Name), path.Base(e.artifact.Filename))
	return named && strings.HasPrefix(suffix, ".")
}

// form tells what a file is.
func (e *examination) form(a event.Attached, certified bool) form {
	if !e.named(a) {
		return formUnknown
	}
	text := bytes.TrimLeft(a.Data, " \t\r\n")
	has := func(prefix string) bool { return bytes.HasPrefix(text, []byte(prefix)) }
	switch {
	case has("-----BEGIN SSH SIGNATURE-----"):
		return formSSH
	case has("untrusted comment:"):
		return formMinisign
	case has("{"), has("["):
		return formAttestation
	case has("-----BEGIN PKCS7-----"), has("-----BEGIN CMS-----"):
		return formCMS
	case certificates(a) != nil, isTimestamp(a), ocspResponse(a) != nil:
		return formCompanion
	}
	pgp := openpgp.Detect(a.Data)
	_, bare := eddsa.ParseSignature(a.Data)
	switch {
	case isCMS(a.Data):
		return formCMS
	case pgp == openpgp.ArmoredSignature:
		return formOpenPGP
	// The bytes of a bare signature may look like the beginning of a packet,
	// but no packet is as short, or has just the size of an RSA signature.
	case bare:
		return formEd25519
	case certified && bareSize(a.Data):
		return formX509
	case pgp == openpgp.BinarySignature:
		return formOpenPGP
	case certified && len(a.Data) > 0:
		return formX509
	}
	return formUnknown
}

// isCMS looks for the object identifier of SignedData at the start of a DER
// structure (RFC 5652, section 5.1).
func isCMS(data []byte) bool {
	at := bytes.Index(data[:min(len(data), 32)], []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"))
	return at > 0 && data[0] == 0x30
}

// bareSize tells whether data has the size of an RSA signature, or begins as
// an ECDSA signature in DER does.
func bareSize(data []byte) bool {
	switch len(data) {
	case 256, 384, 512, 768, 1024:
		return true
	}
	return len(data) > 8 && len(data) < 160 && data[0] == 0x30
}

// unknown reports a file that is no signature. If its name says that it is
// one, the artifact fails: it was cut, changed, or not taken along because of
// its size.
func (e *examination) unknown(a event.Attached) {
	name := path.Base(a.Name)
	s := event.Signature{Kind: kindUnsupported, Trust: event.UnknownTrust, File: name}
	switch {
	case !e.named(a):
		s.Reason = fmt.Sprintf("not named after %.200s; not counted", e.artifact.Filename)
	case slices.ContainsFunc(event.SignatureSuffixes, func(suffix string) bool { return strings.HasSuffix(name, suffix) }):
		s.Reason = fmt.Sprintf("%d bytes that are no signature of any kind known here: obtain an intact copy", len(a.Data))
		if len(a.Data) > 0 && e.trust.Anybody(func(p *trust.Publisher) bool { return p.X509 != nil }) {
			s.Reason += "; a bare X.509 signature needs its certificate beside it, as .crt or .chain.pem"
		}
		e.check("signature."+kindUnsupported, name+": "+s.Reason)
	default:
		s.Reason = "no signature of any kind known here; not counted"
	}
	e.result.Signatures = append(e.result.Signatures, s)
}

// ed25519 tries the keys that are known and then, if a certificate lies beside
// the signature, that.
func (e *examination) ed25519(a event.Attached, with x509sig.Detached) error {
	sig, _ := eddsa.ParseSignature(a.Data)
	var public []ed25519.PublicKey
	for _, k := range e.trust.Keys {
		public = append(public, k.Key.(ed25519.PublicKey))
	}
	i, ok, err := eddsa.VerifyDetached(e.content, sig, public)
	switch {
	case errors.Is(err, signature.ErrBudget):
		e.take(a.Name, byKey(signature.Invalid(trust.KindEd25519, "%v", err)), true)
		return nil
	case err != nil:
		return err
	case !ok && len(with.Chain) > 0:
		return e.x509(a, with)
	}
	r := signature.Stranger(trust.KindEd25519, "",
		"by none of the %d known keys over these bytes: they were changed after signing, or the signer is unknown", len(public))
	if ok {
		f := e.trust.Keys[i].Fingerprint()
		r = signature.Result{Kind: trust.KindEd25519, Valid: true, Signer: f, Key: f}
	}
	e.take(a.Name, byKey(r), e.trust.Anybody(trust.SignsEd25519))
	return nil
}

func (e *examination) openpgp(a event.Attached) error {
	results, err := openpgp.VerifyDetached(e.content, a.Data, e.trust.OpenPGP, e.artifact.Received)
	if err != nil {
		return err
	}
	e.take(a.Name, byKey(results...), e.trust.Anybody(trust.SignsOpenPGP))
	return nil
}

func (e *examination) minisign(a event.Attached) error {
	r, err := minisign.Verify(e.content, a.Data, e.trust.Minisign)
	if err != nil {
		return err
	}
	e.take(a.Name, byKey(r), e.trust.Anybody(trust.SignsMinisign))
	return nil
}

func (e *examination) ssh(a event.Attached) error {
	return e.ask(a, "ssh", func(p *trust.Publisher) ([]verified, error) {
		if p.SSH == nil {
			return nil, nil
		}
		r, err := sshsig.Verify(e.content, a.Data, p.SSH.Allowed, p.SSH.Identity, p.SSH.Namespace, e.artifact.Received)
		return byKey(r), err
	})
}

func (e *examination) cms(a event.Attached) error {
	return e.ask(a, "cms", func(p *trust.Publisher) ([]verified, error) {
		if p.X509 == nil {
			return nil, nil
		}
		results, err := x509sig.VerifyCMS(e.content, a.Data, p.X509, e.artifact.Received)
		return byKey(results...), err
	})
}

func (e *examination) x509(a event.Attached, d x509sig.Detached) error {
	return e.ask(a, "x509", func(p *trust.Publisher) ([]verified, error) {
		if p.X509 == nil {
			return nil, nil
		}
		r, err := x509sig.Verify(e.content, d, p.X509, e.artifact.Received)
		return byKey(r), err
	})
}

// attestations are Sigstore bundles, what npm, PyPI and GitHub hand out, and
// bare envelopes.
func (e *examination) attestations(a event.Attached) error {
	proven := map[*sigstore.Attestation]*event.Provenance{}
	best, known, err := e.askAll("sigstore", func(p *trust.Publisher) ([]verified, error) {
		if p.Sigstore == nil {
			return nil, nil
		}
		found, err := sigstore.Verify(e.content, a.Data, p.Sigstore, e.artifact.Received)
		if err != nil {
			return nil, err
		}
		results := make([]verified, len(found))
		for i := range found {
			x := &found[i]
			results[i] = verified{Result: x.Result, attestation: x}
			if !x.Valid {
				continue
			}
			if x.Statement != nil && !sigstore.Vouches(x.PredicateType) {
				results[i].aside = fmt.Sprintf("a statement of type %.200s, which does not vouch for the artifact", x.PredicateType)
				continue
			}
			if results[i].aside, proven[x], err = e.provenance(p, x); err != nil {
				return nil, err
			}
		}
		return results, nil
	})
	if err != nil {
		return err
	}
	e.take(a.Name, best, known)
	e.takeProvenance(best, proven)
	return nil
}

// ask holds a file against the anchors of each publisher who has some of its
// kind, and takes the answer.
func (e *examination) ask(a event.Attached, kind string, verify func(*trust.Publisher) ([]verified, error)) error {
	best, known, err := e.askAll(kind, verify)
	if err != nil {
		return err
	}
	e.take(a.Name, best, known)
	return nil
}

// askAll asks each publisher; nil means that one has no anchors of the kind.
// The answer is that of those who know the signer, or else of the first that
// says the most. Known tells whether anybody who could be trusted was asked.
func (e *examination) askAll(kind string, verify func(*trust.Publisher) ([]verified, error)) (best []verified, known bool, err error) {
	most := -1
	for _, p := range e.trust.Publishers {
		found, err := verify(p)
		if err != nil {
			return nil, false, err
		}
		if found == nil {
			continue
		}
		known = known || !p.Deny
		for i := range found {
			found[i].publisher = p
		}
		switch says := saying(found); {
		case says > most:
			most, best = says, found
		case says == saysValid:
			best = append(best, found...)
		}
	}
	if best == nil {
		best = byKey(signature.Stranger(kind, "", "nobody who signs this way is known here"))
	}
	return best, known, nil
}

// How much an answer says: the signer is unknown, something is wrong, or a
// signature holds.
const (
	saysStranger = iota
	saysBroken
	saysValid
)

func saying(found []verified) int {
	says := saysBroken
	for _, f := range found {
		switch {
		case f.Valid:
			return saysValid
		case f.Stranger:
			says = saysStranger
		}
	}
	return says
}
