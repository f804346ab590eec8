package openpgp

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"assize.dev/services/sign/internal/signature"
)

// claim is one signature on its way to a result.
type claim struct {
	result signature.Result
	sig    *packet.Signature
	keys   []fitKey // that may have made it; none if the result is final
}

// fitKey is a key that was fit to sign when the signature says it was made.
type fitKey struct {
	keyRef
	remarks []string
}

// open says that the result depends on the artifact's bytes.
func (c *claim) open() bool { return len(c.keys) > 0 }

// refuse makes the result final, whoever made the signature.
func (c *claim) refuse(reason string) {
	c.keys, c.result.Stranger, c.result.Reason = nil, false, reason
}

// claim judges all of a signature but the mathematics. First comes what is
// wrong whoever made it, so that a stranger's is a sound signature as far as
// can be seen.
func (k *Keyring) claim(body []byte, at time.Time) *claim {
	c := &claim{}
	sig, err := parseSignature(body)
	if err != nil {
		c.result = signature.Invalid(Kind, "signature cannot be read: %v", err)
		return c
	}
	by := issuer(sig)
	c.sig = sig
	c.result = signature.Result{Kind: Kind, Signer: by, Time: sig.CreationTime}
	if err := checkMessageSignature(sig, at); err != nil {
		c.result.Reason = err.Error()
		return c
	}
	if by == "" || by == "0000000000000000" {
		c.result.Reason = "signature does not say who made it"
		return c
	}
	found := k.keysOf(sig)
	if len(found) == 0 {
		c.result.Stranger, c.result.Reason = true, k.unknown(by)
		return c
	}
	c.result.Signer = found[0].of.fingerprint
	for _, ref := range found {
		remarks, err := ref.fit(sig, at)
		if err == nil {
			c.keys = append(c.keys, fitKey{ref, remarks})
		} else if c.result.Reason == "" {
			c.result.Reason = err.Error()
		}
	}
	if len(c.keys) == 0 && !slices.ContainsFunc(found, func(r keyRef) bool { return r.of.admitted(at) }) {
		c.result.Stranger = true
	}
	return c
}

// checkMessageSignature refuses what is wrong with a signature over data
// whoever made it.
func checkMessageSignature(sig *packet.Signature, at time.Time) error {
	if sig.SigType != packet.SigTypeBinary && sig.SigType != packet.SigTypeText {
		return fmt.Errorf("signature of type 0x%02x is not about data", sig.SigType)
	}
	if err := checkSignature(sig); err != nil {
		return fmt.Errorf("signature %w", err)
	}
	if sig.CreationTime.After(at.Add(ClockSkew)) {
		return fmt.Errorf("signature is from the future: made %s, received %s", stamp(sig.CreationTime), stamp(at))
	}
	if expired(sig, at) {
		return fmt.Errorf("signature had expired on %s, before it was received", day(signatureEnd(sig)))
	}
	return nil
}

// fit fails unless the key could make sig.
func (r keyRef) fit(sig *packet.Signature, at time.Time) (remarks []string, err error) {
	if !r.of.admitted(at) {
		return nil, fmt.Errorf("on %s fewer than %d master keys vouched for the certificate", day(at), archVouchers)
	}
	if err := checkKey(r.key()); err != nil {
		return nil, err
	}
	if err := sameVersion(sig, r.key()); err != nil {
		return nil, err
	}
	return r.of.fit(r.sub, toSign, sig.CreationTime, at)
}

// settle does the mathematics with each key that may have made the signature.
func (c *claim) settle(sums digests) {
	c.result.Reason = "signature does not match the artifact: one of them was changed"
	for _, k := range c.keys {
		h := sums.state(digestOf(c.sig))
		if h == nil || k.key().VerifySignature(h, c.sig) != nil {
			continue
		}
		c.result.Valid, c.result.Signer = true, k.of.fingerprint
		c.result.Reason = remark(c.sig, k.remarks)
		return
	}
}

// remark is what to know of a valid signature.
func remark(sig *packet.Signature, remarks []string) string {
	if len(remarks) > 0 {
		remarks = append(remarks, "that it was signed on "+day(sig.CreationTime)+" is the signer's word")
	}
	if sig.SigType == packet.SigTypeText {
		remarks = append(remarks, "signed as text: how lines end is not covered")
	}
	return strings.Join(remarks, "; ")
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
