package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"assize.dev/services/sign"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
	"assize.dev/shared/identify"
)

type verifyCmd struct {
	signatureFlags
	Level string `help:"How deep packages that sign themselves (PSPF) are verified: quick (metadata and signature), standard (and slot table), deep (and every byte), paranoid (and what unpacking would do). FlavorPack's strict, relaxed and minimal are understood too; its standard is deep here." default:"deep"`
	File  string `arg:"" help:"Package to verify."`
}

func (verifyCmd) Help() string {
	return `Without any trust a package that signs itself is checked for integrity only:
it is what the holder of the key inside made, whoever that is. With --trust, or
a key, keyring, root or identity, it must be by somebody you trust.
Signatures beside FILE (.sig, .asc, .minisig, .sigstore.json, ...) are found by
themselves; a trust file is described in docs/trust.md.

Exit codes: 0 verified, 1 broken, denied or not by who you named, 2 sound, but
nothing says that the signer is trusted, 3 error.

Examples:
  assize verify tool.psp
  assize verify --trust trust.yaml tool.psp
  assize verify --trust 4b1a4651cda2c3f6c27b1c8cb6e64d56869b0fecc8296a1bd3332b866abe6cdf tool.psp
  assize verify --keyring /usr/share/pacman/keyrings/archlinux --signature zlib.pkg.tar.zst.sig zlib.pkg.tar.zst
  assize verify --sigstore-bundle app.sigstore.json --trusted-root trusted_root.json \
    --identity 'https://github.com/example/app/.github/workflows/release.yml@refs/tags/*' \
    --issuer https://token.actions.githubusercontent.com app.tar.gz
  assize verify --minisign-key example.pub app.tar.gz`
}

// signatureFlags say which signatures to look at and whom to trust.
type signatureFlags struct {
	Trust       []string `help:"Whom to trust: a trust file (YAML), a folder of keys, a key file, or the fingerprint of a key." placeholder:"FILE|FINGERPRINT" sep:"none"`
	Registry    string   `help:"Registry the package is from, as the trust file knows it." default:"local"`
	Signature   []string `help:"Signature of FILE, of any kind; without it, what lies beside FILE." placeholder:"FILE" type:"path" sep:"none"`
	At          string   `help:"Time to judge at, when no timestamp proves another (RFC 3339); now if left out." placeholder:"TIME"`
	Keyring     []string `help:"OpenPGP certificates to trust: a file, or a folder of them." placeholder:"FILE" type:"path" sep:"none"`
	Ed25519Key  []string `name:"ed25519-key" help:"Ed25519 public key to trust." placeholder:"FILE" type:"path" sep:"none"`
	MinisignKey []string `help:"minisign public key to trust." placeholder:"FILE" type:"path" sep:"none"`
	SignifyKey  []string `help:"signify public key to trust." placeholder:"FILE" type:"path" sep:"none"`

	SSHAllowedSigners string `name:"ssh-allowed-signers" help:"SSH keys to trust, as ssh-keygen reads them." placeholder:"FILE" type:"path" group:"SSH"`
	SSHIdentity       string `name:"ssh-identity" help:"Principal that must have signed; any listed one without it." placeholder:"PRINCIPAL" group:"SSH"`
	SSHNamespace      string `name:"ssh-namespace" help:"Namespace of the signature." default:"file" group:"SSH"`

	X509Root       []string `name:"x509-root" help:"Certificate authority to trust." placeholder:"FILE" type:"path" sep:"none" group:"X.509"`
	X509Chain      []string `name:"x509-chain" help:"Certificates of the signer, its own first." placeholder:"FILE" type:"path" sep:"none" group:"X.509"`
	X509Name       []string `name:"x509-name" help:"Common name or subject alternative name that the signer must have; * stands for any text without a slash." placeholder:"PATTERN" sep:"none" group:"X.509"`
	CRL            []string `name:"crl" help:"Certificate revocation list; revocation must then be provable." placeholder:"FILE" type:"path" sep:"none" group:"X.509"`
	OCSP           []string `name:"ocsp" help:"OCSP response; revocation must then be provable." placeholder:"FILE" type:"path" sep:"none" group:"X.509"`
	TimestampRoot  []string `help:"Authority whose RFC 3161 timestamps prove when a signature was made." placeholder:"FILE" type:"path" sep:"none" group:"X.509"`
	Timestamp      []string `help:"RFC 3161 timestamp of the signature." placeholder:"FILE" type:"path" sep:"none" group:"X.509"`
	SigstoreBundle []string `help:"Sigstore bundle, or attestations of npm, PyPI or GitHub." placeholder:"FILE" type:"path" sep:"none" group:"Sigstore"`
	TrustedRoot    string   `help:"trusted_root.json of the Sigstore instance." placeholder:"FILE" type:"path" group:"Sigstore"`
	Identity       string   `help:"Identity that must have signed, as in the certificate; * stands for any text without a slash." placeholder:"SAN" group:"Sigstore"`
	Issuer         string   `help:"OpenID Connect issuer of the identity." placeholder:"URL" group:"Sigstore"`
	AttestationKey []string `help:"Public key that signs attestations (DSSE), Ed25519 or ECDSA P-256." placeholder:"FILE" type:"path" sep:"none" group:"Sigstore"`
}

// trust puts together what the flags say, and whether they demand that
// somebody is trusted: a trust file that names nobody does.
func (f *signatureFlags) trust() (trust *sign.Trust, demanded bool, err error) {
	p, named, err := f.publisher()
	if err != nil {
		return nil, false, err
	}
	var paths []string
	for _, t := range f.Trust {
		fingerprint, err := sign.ParseFingerprint(t)
		if err == nil {
			p.Fingerprints, named = append(p.Fingerprints, fingerprint), true
			continue
		}
		if _, missing := os.Stat(t); missing != nil {
			return nil, false, fmt.Errorf("--trust %s: neither a file nor a fingerprint (64 hexadecimal digits)", t)
		}
		path, err := filepath.Abs(t)
		if err != nil {
			return nil, false, err
		}
		paths = append(paths, path)
	}
	var extra []sign.Publisher
	if named {
		extra = append(extra, p)
	}
	trust, err = sign.LoadTrust(paths, extra...)
	given := len(f.Signature) + len(f.SigstoreBundle) + len(f.X509Chain) + len(f.Timestamp) // must not be in vain
	return trust, named || len(paths)+given > 0, err
}

// publisher is who the flags describe, and whether they describe anybody.
func (f *signatureFlags) publisher() (p sign.Publisher, named bool, err error) {
	p = sign.Publisher{
		Name: "command line", Keys: f.Ed25519Key, Minisign: append(append([]string{}, f.MinisignKey...), f.SignifyKey...),
		AttestationKeys: f.AttestationKey,
	}
	named = len(p.Keys)+len(p.Minisign)+len(p.AttestationKeys) > 0
	if len(f.Keyring) > 0 {
		p.OpenPGP, named = &sign.OpenPGPTrust{Keyrings: f.Keyring}, true
	}
	if f.SSHAllowedSigners != "" {
		p.SSH, named = &sign.SSHTrust{AllowedSigners: f.SSHAllowedSigners, Identity: f.SSHIdentity, Namespace: f.SSHNamespace}, true
	} else if f.SSHIdentity != "" {
		return p, false, fmt.Errorf("--ssh-identity needs --ssh-allowed-signers, which says what keys the identity has")
	}
	if len(f.X509Root) > 0 {
		p.X509, named = &sign.X509Trust{
			Roots: f.X509Root, Names: f.X509Name, CRLs: f.CRL, OCSP: f.OCSP, TimestampRoots: f.TimestampRoot,
		}, true
	} else if len(f.X509Name)+len(f.CRL)+len(f.OCSP)+len(f.TimestampRoot) > 0 {
		return p, false, fmt.Errorf("--x509-name, --crl, --ocsp and --timestamp-root need --x509-root: no authority is trusted by default")
	}
	if f.TrustedRoot != "" || f.Identity != "" || f.Issuer != "" {
		if f.TrustedRoot == "" || f.Identity == "" || f.Issuer == "" {
			return p, false, fmt.Errorf("--trusted-root, --identity and --issuer go together: who may sign, vouched for by whom")
		}
		p.Sigstore, named = &sign.SigstoreTrust{
			TrustedRoot: f.TrustedRoot, Identities: []sign.IdentityTrust{{Issuer: f.Issuer, SAN: f.Identity}},
		}, true
	}
	return p, named, nil
}

// attached reads the files with signatures. Those that are named in flags
// count whatever they are called: each gets the artifact's name and the
// suffix of its kind. They replace what of their kind lies beside the file:
// signatures replace signatures, certificates certificates.
func (f *signatureFlags) attached(file string) ([]event.Attached, error) {
	beside, err := signaturesBeside(file, f.Signature)
	if err != nil {
		return nil, err
	}
	named := len(f.SigstoreBundle) > 0 && len(f.Signature) == 0
	var found []event.Attached
	for _, a := range beside {
		certificate, timestamp := isCertificateName(a.Name), strings.HasSuffix(a.Name, ".tsr")
		switch {
		case certificate && len(f.X509Chain) > 0, timestamp && len(f.Timestamp) > 0, named && !certificate && !timestamp:
		default:
			found = append(found, a)
		}
	}
	for _, more := range []struct {
		paths  []string
		suffix string
	}{{f.X509Chain, ".chain.pem"}, {f.Timestamp, ".tsr"}, {f.SigstoreBundle, ".sigstore.json"}} {
		for _, path := range more.paths {
			data, err := readSignature(path)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			found = append(found, event.Attached{Name: filepath.Base(file) + more.suffix, Data: data})
		}
	}
	return found, nil
}

func isCertificateName(name string) bool {
	return strings.HasSuffix(name, ".crt") || strings.HasSuffix(name, ".pem")
}

// subject is a file as the verifier sees it.
type subject struct {
	*os.File
	artifact event.Artifact
}

func (f *signatureFlags) open(ctx context.Context, file string) (*subject, error) {
	opened, info, err := openFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	s := &subject{File: opened}
	if err := s.describe(ctx, info.Size(), f, file); err != nil {
		opened.Close()
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

func (s *subject) describe(ctx context.Context, size int64, f *signatureFlags, file string) error {
	name := strings.ToValidUTF8(filepath.Base(file), "\uFFFD")
	at := time.Now().UTC()
	if f.At != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, f.At); err != nil {
			return fmt.Errorf("--at %s: want a time such as 2026-11-22T06:47:29Z", f.At)
		}
	}
	attached, err := f.attached(file)
	if err != nil {
		return err
	}
	identity, err := identify.Identify(ctx, s, size, name)
	if err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(s, 0, size)); err != nil {
		return err
	}
	s.artifact = event.Artifact{
		Registry: f.Registry, Name: name, Filename: name, Format: identity.Format, PURL: identity.PURL,
		Digest: digest.FromSum(sum.Sum(nil)), Size: size, Received: at, Signatures: attached,
	}
	return nil
}

func (c *verifyCmd) Run(ctx context.Context, g *globals) error {
	trust, demanded, err := c.trust()
	if err != nil {
		return err
	}
	verifier, err := sign.NewVerifier(trust, sign.VerifierOptions{Level: c.Level, IntegrityOnly: !demanded})
	if err != nil {
		return fmt.Errorf("--level: %w", err)
	}
	s, err := c.open(ctx, c.File)
	if err != nil {
		return err
	}
	defer s.Close()
	v, err := verifier.Verify(ctx, &s.artifact, s, s.artifact.Size)
	if err != nil {
		return err
	}
	if err := g.printer().verification(c.File, &s.artifact, v); err != nil {
		return err
	}
	return verificationStatus(v)
}

// verificationStatus is the exit code of a result.
func verificationStatus(v *event.Verification) error {
	switch v.Result {
	case event.Pass:
		return nil
	case event.Fail:
		return status(exitFail)
	}
	return status(exitUndetermined)
}

// verification shows what was found out about signatures.
func (p printer) verification(file string, a *event.Artifact, v *event.Verification) error {
	if p.json {
		return json.NewEncoder(p.out).Encode(struct {
			Artifact   string             `json:"artifact"`
			SHA256     string             `json:"sha256"`
			Format     string             `json:"format"`
			PURL       string             `json:"purl,omitempty"`
			Result     string             `json:"result"`
			Level      string             `json:"level,omitempty"`
			Signatures []signatureJSON    `json:"signatures"`
			Checks     []checkJSON        `json:"checks"`
			SLSALevel  int                `json:"slsaLevel"`
			Provenance []event.Provenance `json:"provenance,omitempty"`
		}{file, a.Digest.Hex(), a.Format, a.PURL, v.Result, v.Level, signaturesJSON(v), checksJSON(v), v.SLSALevel, v.Provenance})
	}
	var b strings.Builder
	mark, tint := "? UNDETERMINED", yellow
	switch v.Result {
	case event.Pass:
		mark, tint = "✓ PASS", green
	case event.Fail:
		mark, tint = "✗ FAIL", red
	}
	fmt.Fprintf(&b, "%s  %s\n    %s\n", p.tinted(tint, mark), p.tinted(bold, printable(file)), outcomeInWords(v))
	for _, s := range v.Signatures {
		p.signature(&b, s)
	}
	for _, c := range v.Checks {
		mark, tint := "✓", green
		if !c.OK {
			mark, tint = "✗", red
		}
		fmt.Fprintf(&b, "    %s %s %s\n", p.tinted(tint, mark), printable(c.Name), p.tinted(dim, printable(c.Detail)))
	}
	p.provenance(&b, v)
	fmt.Fprintf(&b, "    sha256  %s\n", a.Digest.Hex())
	_, err := io.WriteString(p.out, b.String())
	return err
}

// signatureJSON and checkJSON always have all members, so that scripts need
// not ask whether one is there.
type signatureJSON struct {
	Kind      string     `json:"kind"`
	Valid     bool       `json:"valid"`
	Trust     string     `json:"trust"`
	Signer    string     `json:"signer"`
	Publisher string     `json:"publisher"`
	Time      *time.Time `json:"time"`
	File      string     `json:"file"`
	Reason    string     `json:"reason"`
}

type checkJSON struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

func signaturesJSON(v *event.Verification) []signatureJSON {
	all := []signatureJSON{}
	for _, s := range v.Signatures {
		x := signatureJSON{s.Kind, s.Valid, s.Trust, s.Signer, s.Publisher, nil, s.File, s.Reason}
		if !s.Time.IsZero() {
			x.Time = &s.Time
		}
		all = append(all, x)
	}
	return all
}

func checksJSON(v *event.Verification) []checkJSON {
	all := []checkJSON{}
	for _, c := range v.Checks {
		all = append(all, checkJSON{c.Name, c.OK, c.Detail})
	}
	return all
}

// outcomeInWords says what the result rests on.
func outcomeInWords(v *event.Verification) string {
	trusted, valid := 0, 0
	for _, s := range v.Signatures {
		if s.Valid {
			valid++
		}
		if s.Valid && s.Trust == event.Trusted {
			trusted++
		}
	}
	switch {
	case v.Result == event.Fail:
		return "the signature or what it signs does not hold: do not use it"
	case v.Result == event.Pass && trusted > 0:
		return "signed by somebody you trust"
	case v.Result == event.Pass && valid == 0:
		return "its checksums hold, as far as level " + printable(v.Level) + " looks; it is not signed"
	case v.Result == event.Pass:
		return "integrity only, as far as level " + printable(v.Level) + " looks: it is what the holder of its key made, whoever that is; name who you trust with --trust"
	case trusted > 0:
		return "somebody you trust signed, but that is not enough: see below"
	case valid > 0:
		return "it is intact, but nothing says that its signer is trusted"
	case len(v.Signatures) > 0:
		return "nothing vouches for it: its signatures are by nobody you named"
	}
	return "it carries no signature, and none lies beside it"
}

func (p printer) signature(b *strings.Builder, s event.Signature) {
	mark, tint := "✓", green
	switch {
	case !s.Valid || s.Trust == event.Denied:
		mark, tint = "✗", red
	case s.Trust != event.Trusted:
		mark, tint = "?", yellow
	}
	state := "not valid"
	if s.Valid {
		state = "valid, " + s.Trust
	}
	signer := s.Signer
	if signer == "" {
		signer = "signer unknown"
	}
	fmt.Fprintf(b, "    %s %s signature %s: %s", p.tinted(tint, mark), printable(s.Kind), state, printable(signer))
	if s.Publisher != "" {
		fmt.Fprintf(b, " (%s)", printable(s.Publisher))
	}
	if !s.Time.IsZero() {
		fmt.Fprintf(b, " at %s", s.Time.UTC().Format(time.RFC3339))
	}
	b.WriteByte('\n')
	if s.Reason != "" {
		fmt.Fprintf(b, "      %s\n", printable(s.Reason))
	}
}
