package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"assize.dev/services/audit"
	"assize.dev/services/sign"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

type verifyVerdictCmd struct {
	Key      string   `help:"Public key (PEM) to trust instead of a key set; its signature alone is looked at." placeholder:"FILE" type:"existingfile" xor:"trust"`
	Keys     string   `help:"Key set to trust: a directory, or the file of one version; by default <data>/keys." placeholder:"DIR|FILE" type:"path" xor:"trust"`
	Artifact string   `help:"The verdict must be about this file." placeholder:"FILE" type:"path"`
	Proof    string   `help:"Proof (c2sp.org/tlog-proof) that the verdict, one verdict.dsse.json, is in the audit log." placeholder:"FILE" type:"path"`
	Log      logTrust `embed:"" prefix:"log-"`
	File     []string `arg:"" help:"Verdicts and verification summaries: DSSE envelopes or Sigstore bundles."`
}

func (verifyVerdictCmd) Help() string {
	return `Checks offline what Assize signed, and prints who decided what, when, and
whether it counts: enough keys of the set signed it, none is revoked, and each
gave verdicts at that time. Trust in the key set is yours to give.

The exit code is about the signature, not about the decision, which is
printed: 0 the verdict counts, 1 it does not (changed, stripped of a signature,
revoked, about another file), 2 nothing says that it does (no key of the set
signed it, or the set is expired or older than the verdict), 3 error. So use
the decision too:

Examples:
  assize verify-verdict --artifact pkg.tgz verdict.dsse.json
  assize verify-verdict --proof verdict.tlog-proof --log-key audit.pub verdict.dsse.json
  assize verify-verdict --keys keys.json verdict.sigstore.json vsa.dsse.json
  assize verify-verdict --json --key assize.pub verdict.dsse.json | jq -e '.result=="valid" and .decision=="allow"'`
}

// verdictResult is what --json prints of one file. Of a verdict that is not
// valid nothing is known, and nothing that it says is repeated.
type verdictResult struct {
	Verdict    string           `json:"verdict"` // path
	Result     string           `json:"result"`  // valid, invalid or unknown
	Problem    string           `json:"problem,omitempty"`
	Decision   string           `json:"decision,omitempty"`
	Grade      string           `json:"grade,omitempty"`
	Artifact   *verdictArtifact `json:"artifact,omitempty"`
	Verifier   string           `json:"verifier,omitempty"`
	Run        string           `json:"run,omitempty"`
	KeyIDs     []string         `json:"keyIds,omitempty"`
	KeyVersion int              `json:"keyVersion,omitempty"`
	Time       *time.Time       `json:"time,omitempty"`
	Logged     *logged          `json:"logged,omitempty"`
	Reasons    []reason         `json:"reasons,omitempty"`
}

// logged is where a verdict is in the audit log.
type logged struct {
	Log   string `json:"log"`
	Index uint64 `json:"index"`
	Size  uint64 `json:"size"` // of the log when that was signed
}

type verdictArtifact struct {
	SHA256   string `json:"sha256"` // hexadecimal
	Filename string `json:"filename"`
	Resource string `json:"resource"` // package URL, or the name
}

// Results of a verification, with the exit codes that go with them.
const (
	resultValid   = "valid"   // exitPass
	resultInvalid = "invalid" // exitFail
	resultUnknown = "unknown" // exitUndetermined
)

// verdictVerifier verifies one envelope.
type verdictVerifier func(envelope []byte) (*sign.Verified, error)

func (c *verifyVerdictCmd) Run(_ context.Context, g *globals) error {
	verify, err := c.verifier(g)
	if err != nil {
		return err
	}
	var about digest.Digest
	if c.Artifact != "" {
		if about, err = digestOfFile(c.Artifact); err != nil {
			return fmt.Errorf("%s: %w", c.Artifact, err)
		}
	}
	p := g.printer()
	worst := exitPass
	for _, file := range c.File {
		envelope, err := readEnvelope(file)
		if err != nil {
			g.complain(fmt.Errorf("%s: %w", file, err))
			worst = worse(worst, exitError)
			continue
		}
		r := judgeVerdict(verify, envelope, about)
		if c.Proof != "" && r.Result == resultValid {
			if r.Logged, err = c.logged(g, envelope); errors.Is(err, errNoLogKey) {
				r = verdictResult{Result: resultUnknown, Problem: err.Error()}
			} else if err != nil {
				r = verdictResult{Result: resultInvalid, Problem: err.Error()}
			}
		}
		r.Verdict = file
		if err := r.print(p); err != nil {
			return err
		}
		worst = worse(worst, map[string]int{resultValid: exitPass, resultInvalid: exitFail, resultUnknown: exitUndetermined}[r.Result])
	}
	if worst != exitPass {
		return status(worst)
	}
	return nil
}

var errNoLogKey = errors.New("no key of the audit log is known: give one with --log-key")

// logged verifies that the envelope is in the log.
func (c *verifyVerdictCmd) logged(g *globals, envelope []byte) (*logged, error) {
	policy, err := c.Log.policy(g)
	if err != nil {
		return nil, err
	}
	if policy == nil {
		return nil, errNoLogKey
	}
	b, err := readEnvelope(c.Proof)
	if err != nil {
		return nil, err
	}
	proof, err := audit.ParseProof(b)
	if err != nil {
		return nil, err
	}
	signed, err := proof.Verify(policy, proof.Entry)
	if err != nil {
		return nil, err
	}
	entry, err := audit.ParseLine(proof.Entry)
	if err != nil {
		return nil, fmt.Errorf("what the proof is about: %w", err)
	}
	if entry.Envelope != digest.Of(envelope) {
		return nil, fmt.Errorf("the proof is about another verdict, %s, not this one, %s", entry.Envelope, digest.Of(envelope))
	}
	return &logged{signed.Origin, entry.Index, signed.Size}, nil
}

// verifier is by the one key or the key set that was named.
func (c *verifyVerdictCmd) verifier(g *globals) (verdictVerifier, error) {
	if c.Key != "" {
		return verifierByKey(c.Key)
	}
	path := c.Keys
	if path == "" {
		data, err := g.where()
		if err != nil {
			return nil, err
		}
		path = data.keys()
	}
	history, err := sign.LoadKeySet(path)
	if errors.Is(err, fs.ErrNotExist) && c.Keys == "" {
		return func([]byte) (*sign.Verified, error) {
			return nil, fmt.Errorf("%w: there is no key set in %s: name one with --keys, or a key with --key", sign.ErrUntrusted, path)
		}, nil
	}
	if err != nil {
		return nil, err
	}
	return func(envelope []byte) (*sign.Verified, error) {
		return sign.VerifyVerdict(history.Newest(), envelope, time.Now())
	}, nil
}

// verifierByKey is by the one key of a file.
func verifierByKey(file string) (verdictVerifier, error) {
	keys, err := sign.LoadPublicKeys(file)
	if err != nil {
		return nil, err
	}
	return func(envelope []byte) (*sign.Verified, error) { return sign.VerifyVerdictBy(keys[0].Key, envelope) }, nil
}

// judgeVerdict verifies an envelope and, unless about is empty, that it is
// about those bytes.
func judgeVerdict(verify verdictVerifier, envelope []byte, about digest.Digest) verdictResult {
	v, err := verify(envelope)
	if err == nil && about != "" && !v.About(about) {
		err = fmt.Errorf("it is about %s with the SHA-256 %s, not about the file, whose SHA-256 is %s",
			v.Subject[0].Name, v.Subject[0].Digest["sha256"], about.Hex())
	}
	switch {
	case errors.Is(err, sign.ErrUntrusted):
		return verdictResult{Result: resultUnknown, Problem: err.Error()}
	case err != nil:
		return verdictResult{Result: resultInvalid, Problem: err.Error()}
	}
	f := v.Finding
	r := verdictResult{
		Result: resultValid, Decision: string(f.Decision), Grade: string(f.Grade),
		Artifact: &verdictArtifact{SHA256: v.Subject[0].Digest["sha256"], Filename: v.Subject[0].Name, Resource: f.Resource},
		Verifier: f.VerifierID, Run: f.Run, KeyIDs: v.KeyIDs, KeyVersion: f.KeyVersion, Time: &f.Time,
	}
	for _, x := range f.Reasons {
		r.Reasons = append(r.Reasons, reason{x.Rule, x.Message, string(x.Evidence), x.Outcome})
	}
	return r
}

func (r verdictResult) print(p printer) error {
	if p.json {
		return json.NewEncoder(p.out).Encode(r)
	}
	var b strings.Builder
	if r.Result != resultValid {
		mark, tint := "✗ NOT VALID", red
		if r.Result == resultUnknown {
			mark, tint = "? UNKNOWN", yellow
		}
		fmt.Fprintf(&b, "%s  %s\n    %s\n", p.tinted(tint, mark), p.tinted(bold, printable(r.Verdict)), printable(r.Problem))
		_, err := io.WriteString(p.out, b.String())
		return err
	}
	tint := map[event.Outcome]string{event.Allow: green, event.Deny: red, event.Hold: yellow}[event.Outcome(r.Decision)]
	fmt.Fprintf(&b, "%s  %s\n", p.tinted(green, "✓ VALID"), p.tinted(bold, printable(r.Verdict)))
	fmt.Fprintf(&b, "    %s, grade %s · %s\n", p.tinted(tint, strings.ToUpper(printable(r.Decision))), printable(r.Grade), printable(r.Artifact.Resource))
	for _, x := range r.Reasons {
		fmt.Fprintf(&b, "    %s %s\n", p.tinted(dim, "• "+printable(x.Rule)+" "), printable(x.Message))
	}
	fmt.Fprintf(&b, "    file    %s\n    sha256  %s\n    by      %s, run %s, %s\n    keys    %s", printable(r.Artifact.Filename), printable(r.Artifact.SHA256),
		printable(r.Verifier), printable(r.Run), r.Time.Format(time.RFC3339), strings.Join(r.KeyIDs, ", "))
	if r.KeyVersion > 0 {
		fmt.Fprintf(&b, " of key set version %d", r.KeyVersion)
	}
	if r.Logged != nil {
		fmt.Fprintf(&b, "\n    log     %s, entry %d of %d", printable(r.Logged.Log), r.Logged.Index, r.Logged.Size)
	}
	b.WriteString("\n")
	_, err := io.WriteString(p.out, b.String())
	return err
}

// maxEnvelopeFile is beyond what any envelope may have.
const maxEnvelopeFile = 2 << 20

func readEnvelope(path string) ([]byte, error) {
	f, _, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxEnvelopeFile+1))
	if err == nil && len(data) > maxEnvelopeFile {
		err = fmt.Errorf("more than %d bytes", maxEnvelopeFile)
	}
	return data, err
}

func digestOfFile(path string) (digest.Digest, error) {
	f, _, err := openFile(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return digest.FromSum(sum.Sum(nil)), nil
}
