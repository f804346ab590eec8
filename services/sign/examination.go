package sign

import (
	"context"
	"crypto"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"assize.dev/services/sign/internal/openpgp"
	"assize.dev/services/sign/internal/pspf"
	"assize.dev/services/sign/internal/signature"
	"assize.dev/services/sign/internal/sigstore"
	"assize.dev/services/sign/internal/trust"
	"assize.dev/shared/event"
)

// examination is one look at the signatures of one artifact.
type examination struct {
	verifier *Verifier
	artifact *event.Artifact
	trust    *trust.Selection
	content  *signature.Content

	result *event.Verification
	failed bool // something is broken or denied
	// unproven are signatures by nobody we know although there is somebody
	// to know; they fail unless somebody trusted signed too.
	unproven []event.Check
	sound    bool // a package that signs itself is what its signer made
	denied   bool
	// counted are the trusted publishers that signed, each with the signers
	// it knows.
	counted map[string][]string
}

func newExamination(ctx context.Context, v *Verifier, a *event.Artifact, r io.ReaderAt, size int64) *examination {
	e := &examination{
		verifier: v, artifact: a, trust: v.trust.For(trust.NewArtifact(a.Registry, a.PURL, a.Announced)),
		content: signature.NewContent(ctx, r, size),
		result:  &event.Verification{Result: event.Undetermined, Signatures: []event.Signature{}},
		counted: map[string][]string{},
	}
	if sum, err := hex.DecodeString(a.Digest.Hex()); err == nil && len(sum) == crypto.SHA256.Size() {
		e.content.Know(crypto.SHA256, sum)
	}
	return e
}

// selfSigned verifies a package that carries its own signature.
func (e *examination) selfSigned() error {
	is, err := e.isPSPF()
	if err != nil || !is {
		return err
	}
	report, err := pspf.Verify(e.content.Context(), e.content.ReaderAt(), e.content.Size(), e.verifier.demand.Options)
	if err != nil {
		return err
	}
	e.result.Level, e.result.Checks = e.verifier.opts.Level, checks(report)
	e.failed = e.failed || !report.OK()
	e.sound = report.OK()
	s := event.Signature{Kind: trust.KindPSPF, Trust: event.UnknownTrust}
	if report.Signature != pspf.SignatureAbsent {
		s.Signer = report.KeyFingerprint
	}
	switch err := report.Err(); {
	case report.Signature == pspf.SignatureAbsent:
		s.Reason = "the package is not signed"
	case !holds(report):
		s.Reason = err.Error()
	default:
		s.Valid = true
		if report.Launcher == pspf.LauncherUnauthenticated {
			s.Reason = "the signature does not cover the launcher"
		}
		e.judge(&s, verified{Result: signature.Result{Kind: s.Kind, Valid: true, Signer: s.Signer, Key: s.Signer}})
		if err := e.checkLauncher(report, s.Publisher); err != nil {
			return err
		}
	}
	e.result.Signatures = append(e.result.Signatures, s)
	return nil
}

// holds tells whether the signature and all that binds the package to it do:
// what unpacking it would do is another matter.
func holds(report *pspf.Report) bool {
	return report.Signature == pspf.SignatureValid && !slices.ContainsFunc(report.Checks, func(c event.Check) bool {
		return !c.OK && c.Name != pspf.CheckExtraction && !strings.HasPrefix(c.Name, pspf.CheckExtraction+".")
	})
}

// isPSPF goes by the trailer. A package cut short has lost one end of it, but
// not the other, or not its name.
func (e *examination) isPSPF() (bool, error) {
	extension := strings.ToLower(path.Ext(e.artifact.Filename))
	if e.artifact.Format == trust.KindPSPF || extension == ".psp" || extension == ".pspf" {
		return true, nil
	}
	return pspf.Resembles(e.content.ReaderAt(), e.content.Size())
}

// inline verifies an artifact that is itself a signed OpenPGP message. Any
// binary file may begin as a binary message does, so those are known by name.
func (e *examination) inline() error {
	head := make([]byte, min(e.content.Size(), 64))
	if err := e.readHead(head); err != nil {
		return err
	}
	switch openpgp.Detect(head) {
	case openpgp.ClearSigned, openpgp.ArmoredMessage:
	case openpgp.BinaryMessage:
		if extension := path.Ext(e.artifact.Filename); extension != ".gpg" && extension != ".pgp" {
			return nil
		}
	default:
		return nil
	}
	results, err := openpgp.VerifyInline(e.content, e.trust.OpenPGP, e.artifact.Received)
	if err != nil {
		return err
	}
	e.take("", byKey(results...), e.trust.Anybody(trust.SignsOpenPGP))
	return nil
}

// readHead reads the first bytes.
func (e *examination) readHead(head []byte) error {
	_, err := io.ReadFull(io.NewSectionReader(e.content.ReaderAt(), 0, e.content.Size()), head)
	return err
}

// judge says how the maker of a valid signature stands. A denial wins over any
// trust.
func (e *examination) judge(s *event.Signature, f verified) {
	at := e.signedAt(f)
	standing, denied := e.trust.Denied(f.Result, f.identity(), at)
	switch {
	case denied:
	case f.publisher != nil:
		standing = f.publisher.At(at)
	default:
		standing = e.trust.Of(f.Kind, f.Signer, at)
	}
	s.Trust, s.Publisher = standing.Trust, standing.Publisher
	if standing.Reason != "" {
		s.Reason = standing.Reason
	}
	switch {
	case s.Trust == event.Denied:
		e.denied = true
		s.Reason = "publisher " + standing.Publisher + " is denied"
		e.check("trust.denied", s.Reason)
	case s.Trust == event.Trusted && f.aside == "" && e.trust.Counts(standing.Publisher):
		e.counted[standing.Publisher] = append(e.counted[standing.Publisher], f.maker())
	case s.Trust == event.Trusted && f.aside != "":
		s.Reason = f.aside
	}
}

// signedAt is when a signature was made, if somebody proves it, or when the
// artifact arrived.
func (e *examination) signedAt(f verified) time.Time {
	if f.TimeProven {
		return f.Time
	}
	return e.artifact.Received
}

// verified is what was found out about one signature.
type verified struct {
	signature.Result
	// publisher is whose anchors it was held against; nil if the signer
	// names a key, which then tells the publisher.
	publisher *trust.Publisher
	// attestation is the signature's statement, if it is one over a statement.
	attestation *sigstore.Attestation
	// aside is why a statement about the artifact does not vouch for it, ""
	// if it does.
	aside string
}

// identity is what the certificate of a keyless signature says.
func (f *verified) identity() *sigstore.Claims {
	if f.attestation == nil {
		return nil
	}
	return f.attestation.Certificate
}

// maker tells signers apart: by their key, which may sign in several ways.
func (f *verified) maker() string {
	if f.Key != "" {
		return f.Key
	}
	return f.Kind + " " + f.Signer
}

// take adds what became of the signatures in one file, "" for the artifact
// itself. One valid signature in it is enough; known tells whether there was
// anybody it could be by.
func (e *examination) take(file string, found []verified, known bool) {
	valid, stranger := false, false
	for _, f := range found {
		s := event.Signature{
			Kind: f.Kind, Valid: f.Valid, Trust: event.UnknownTrust, Signer: f.Signer,
			Time: f.Time, File: file, Reason: f.Reason,
		}
		if f.Valid {
			valid = true
			e.judge(&s, f)
		}
		stranger = stranger || f.Stranger
		e.result.Signatures = append(e.result.Signatures, s)
	}
	switch {
	case valid:
	case !stranger:
		for _, f := range found {
			e.check("signature."+f.Kind, f.Reason)
		}
	case known:
		for _, f := range found {
			e.unproven = append(e.unproven, event.Check{Name: "signature." + f.Kind, Detail: f.Reason})
		}
	}
}

// byKey makes results of signatures whose signer names a key.
func byKey(results ...signature.Result) []verified {
	var found []verified
	for _, r := range results {
		found = append(found, verified{Result: r})
	}
	return found
}

// conclude weighs everything.
func (e *examination) conclude() *event.Verification {
	r := e.result
	signed := pairs(e.counted)
	enough := signed >= e.trust.Required
	if e.denied {
		r.SLSALevel = 0
	}
	switch {
	case signed == 0 && len(e.unproven) > 0:
		r.Result, r.Checks = event.Fail, append(r.Checks, e.unproven...)
	case e.failed:
		r.Result = event.Fail
	case enough:
		r.Result = event.Pass
	case e.sound && e.verifier.opts.IntegrityOnly:
		r.Result = event.Pass
	}
	if e.trust.Demanding() {
		r.Checks = append(r.Checks, event.Check{
			Name: "signatures.required", OK: enough,
			Detail: fmt.Sprintf("%d of %d publishers that count signed", signed, e.trust.Required),
		})
	}
	return r
}

// pairs is how many publishers can each have a signer of its own: one signature
// that two of them know is one.
func pairs(known map[string][]string) int {
	taken := map[string]string{} // signer to publisher
	var place func(publisher string, tried map[string]bool) bool
	place = func(publisher string, tried map[string]bool) bool {
		for _, signer := range known[publisher] {
			if tried[signer] {
				continue
			}
			tried[signer] = true
			if holder, held := taken[signer]; !held || place(holder, tried) {
				taken[signer] = publisher
				return true
			}
		}
		return false
	}
	n := 0
	for publisher := range known {
		if place(publisher, map[string]bool{}) {
			n++
		}
	}
	return n
}

// maxDeviations is how many bytes of warnings travel in the evidence.
const maxDeviations = 2000

func checks(report *pspf.Report) []event.Check {
	if len(report.Warnings) == 0 {
		return report.Checks
	}
	text := strings.Join(report.Warnings, "; ")
	if len(text) > maxDeviations {
		text = strings.ToValidUTF8(text[:maxDeviations], "") + "…"
	}
	return append(report.Checks, event.Check{Name: "deviations", OK: true, Detail: text})
}
