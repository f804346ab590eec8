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

	"assize.dev/services/sign/internal/openpgp"
	"assize.dev/services/sign/internal/pspf"
	"assize.dev/services/sign/internal/signature"
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
	// unproven says that a signature is by nobody we know although there is
	// somebody to know; it fails unless somebody trusted signed too.
	unproven bool
	sound    bool // a package that signs itself is what its signer made
	// counted are the trusted publishers that signed.
	counted map[string]bool
}

func newExamination(ctx context.Context, v *Verifier, a *event.Artifact, r io.ReaderAt, size int64) *examination {
	e := &examination{
		verifier: v, artifact: a, trust: v.trust.For(a.Registry, a.PURL),
		content: signature.NewContent(ctx, r, size),
		result:  &event.Verification{Result: event.Undetermined, Signatures: []event.Signature{}},
		counted: map[string]bool{},
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
	case err != nil:
		s.Reason = err.Error()
	case report.Signature != pspf.SignatureValid:
		s.Reason = "the package is not signed"
	default:
		s.Valid = true
		if report.Launcher == pspf.LauncherUnauthenticated {
			s.Reason = "the signature does not cover the launcher"
		}
		e.judge(&s, e.trust.Of(trust.KindPSPF, s.Signer, e.artifact.Received), true)
		e.checkLauncher(report, s)
	}
	e.result.Signatures = append(e.result.Signatures, s)
	return nil
}

// isPSPF goes by the trailer. A package cut short has lost it, but not its
// name.
func (e *examination) isPSPF() (bool, error) {
	extension := strings.ToLower(path.Ext(e.artifact.Filename))
	if e.artifact.Format == trust.KindPSPF || extension == ".psp" || extension == ".pspf" {
		return true, nil
	}
	return pspf.Detect(e.content.ReaderAt(), e.content.Size())
}

// checkLauncher holds a launcher that the signature does not cover against
// those that its publisher allows.
func (e *examination) checkLauncher(report *pspf.Report, s event.Signature) {
	allowed := e.trust.Launchers(s.Publisher)
	if allowed == nil || report.Launcher != pspf.LauncherUnauthenticated {
		return
	}
	check := event.Check{Name: "launcher.allowed", OK: slices.Contains(allowed, report.LauncherDigest.Hex())}
	if !check.OK {
		check.Detail = fmt.Sprintf("launcher %s is none of those that publisher %s allows", report.LauncherDigest, s.Publisher)
		e.failed = true
	}
	e.result.Checks = append(e.result.Checks, check)
}

// inline verifies an artifact that is itself a signed OpenPGP message. Any
// binary file may begin as a binary message does, so those are known by name.
func (e *examination) inline() error {
	head := make([]byte, min(e.content.Size(), 64))
	if _, err := io.ReadFull(e.content.Reader(), head); err != nil {
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
	e.take("", byKey(results...), e.trust.OpenPGP != nil)
	return nil
}

// judge applies a standing to a valid signature; one that does not vouch for
// the bytes is not counted.
func (e *examination) judge(s *event.Signature, standing trust.Standing, vouches bool) {
	s.Trust, s.Publisher = standing.Trust, standing.Publisher
	if standing.Reason != "" {
		s.Reason = standing.Reason
	}
	switch s.Trust {
	case event.Denied:
		e.failed = true
		s.Reason = "publisher " + standing.Publisher + " is denied"
	case event.Trusted:
		if vouches && e.trust.Counts(standing.Publisher) {
			e.counted[standing.Publisher] = true
		}
	}
}

// verified is what was found out about one signature.
type verified struct {
	signature.Result
	// publisher is whose anchors it was held against; nil if the signer
	// names a key, which then tells the publisher.
	publisher *trust.Publisher
	// aside says that it is a statement about the artifact that does not
	// vouch for it.
	aside bool
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
			e.judge(&s, e.standing(f), !f.aside)
		}
		stranger = stranger || f.Stranger
		e.result.Signatures = append(e.result.Signatures, s)
	}
	switch {
	case valid:
	case stranger:
		e.unproven = e.unproven || known
	default:
		e.failed = true
	}
}

// standing is that of a signer when the signature was made, if somebody
// proves when that was, or when the artifact arrived.
func (e *examination) standing(f verified) trust.Standing {
	at := e.artifact.Received
	if f.TimeProven {
		at = f.Time
	}
	if f.publisher != nil {
		return f.publisher.At(at)
	}
	return e.trust.Of(f.Kind, f.Signer, at)
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
	enough := len(e.counted) >= e.trust.Required
	switch {
	case e.failed, e.unproven && len(e.counted) == 0:
		r.Result = event.Fail
	case enough:
		r.Result = event.Pass
	case e.sound && e.verifier.opts.IntegrityOnly:
		r.Result = event.Pass
	}
	if e.trust.Required > 1 {
		r.Checks = append(r.Checks, event.Check{
			Name: "signatures.required", OK: enough,
			Detail: fmt.Sprintf("%d of %d trusted publishers signed", len(e.counted), e.trust.Required),
		})
	}
	return r
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
