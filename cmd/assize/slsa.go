package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"assize.dev/services/sign"
	"assize.dev/shared/event"
)

type slsaCmd struct {
	signatureFlags
	Minimum int    `help:"Build level to ask for, 1 to 3." default:"1"`
	Source  string `help:"Source repository the package must be built from; * stands for any text without a slash." placeholder:"URI"`
	File    string `arg:"" help:"Package whose provenance to verify."`
}

func (slsaCmd) Help() string {
	return `The level comes from who signed the provenance and which builder that signer
vouches for, by the built-in table of well-known builders and those in the
trust file; what the provenance says of itself counts for nothing, and so does
the name of the package. Attestations beside FILE are found by themselves.

Exit codes: 0 the level is proven, 1 it is not, or provenance is broken,
2 there is no provenance by anybody you trust, 3 error.

Examples:
  assize slsa --trust trust.yaml app.tar.gz
  assize slsa --sigstore-bundle attestations.jsonl --trusted-root trusted_root.json \
    --identity 'https://github.com/example/app/.github/workflows/*' \
    --issuer https://token.actions.githubusercontent.com --minimum 2 app.tar.gz`
}

func (c *slsaCmd) Run(ctx context.Context, g *globals) error {
	if c.Minimum < 1 || c.Minimum > 3 {
		return fmt.Errorf("--minimum %d: want a build level from 1 to 3", c.Minimum)
	}
	trust, _, err := c.trust()
	if err != nil {
		return err
	}
	verifier, err := sign.NewVerifier(trust, sign.VerifierOptions{Source: c.Source})
	if err != nil {
		return err
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
	result := c.result(v)
	if err := g.printer().slsa(c, result, &s.artifact, v); err != nil {
		return err
	}
	return verificationStatus(&event.Verification{Result: result})
}

// result is about provenance, but what is broken or denied proves nothing.
func (c *slsaCmd) result(v *event.Verification) string {
	switch {
	case v.Result == event.Fail:
		return event.Fail
	case v.SLSALevel >= c.Minimum:
		return event.Pass
	case len(v.Provenance) > 0:
		return event.Fail
	}
	return event.Undetermined
}

func (p printer) slsa(c *slsaCmd, result string, a *event.Artifact, v *event.Verification) error {
	if p.json {
		provenance := v.Provenance
		if provenance == nil {
			provenance = []event.Provenance{}
		}
		return json.NewEncoder(p.out).Encode(struct {
			Artifact   string             `json:"artifact"`
			SHA256     string             `json:"sha256"`
			Result     string             `json:"result"`
			Level      int                `json:"level"`
			Provenance []event.Provenance `json:"provenance"`
			Signatures []signatureJSON    `json:"signatures"`
		}{c.File, a.Digest.Hex(), result, v.SLSALevel, provenance, signaturesJSON(v)})
	}
	var b strings.Builder
	mark, tint := "? NO PROVENANCE", yellow
	switch result {
	case event.Pass:
		mark, tint = fmt.Sprintf("✓ SLSA BUILD LEVEL %d", v.SLSALevel), green
	case event.Fail:
		mark, tint = fmt.Sprintf("✗ SLSA BUILD LEVEL %d, %d ASKED", v.SLSALevel, c.Minimum), red
	}
	fmt.Fprintf(&b, "%s  %s\n", p.tinted(tint, mark), p.tinted(bold, printable(c.File)))
	p.provenance(&b, v)
	for _, s := range v.Signatures {
		if sign.IsAttestation(s.Kind) {
			p.signature(&b, s)
		}
	}
	fmt.Fprintf(&b, "    sha256  %s\n", a.Digest.Hex())
	_, err := io.WriteString(p.out, b.String())
	return err
}

// provenance lists what attestations say of the build.
func (p printer) provenance(b *strings.Builder, v *event.Verification) {
	for _, x := range v.Provenance {
		fmt.Fprintf(b, "    provenance of SLSA build level %d: built by %s", x.Level, printable(x.Builder))
		if x.Source != "" {
			fmt.Fprintf(b, " from %s", printable(x.Source))
		}
		b.WriteByte('\n')
		if x.Reason != "" {
			fmt.Fprintf(b, "      %s\n", p.tinted(dim, printable(x.Reason)))
		}
	}
}
