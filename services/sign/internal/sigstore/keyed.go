package sigstore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	sigstoresig "github.com/sigstore/sigstore/pkg/signature"

	"assize.dev/services/sign/internal/dsse"
	"assize.dev/services/sign/internal/eddsa"
	"assize.dev/services/sign/internal/signature"
)

// maxTries bounds how many signatures are checked for one document: keys
// times signatures that do not say which key they are by.
const maxTries = 1024

// ringKey is a trusted key and what signatures call it.
type ringKey struct {
	public crypto.PublicKey
	id     string   // dsse.KeyID
	names  []string // id; SHA-256 of the SPKI form in base64, as cosign's hints, and hexadecimal
}

// keys makes the trusted keys ready. Those of a type that Anchors.Check
// refuses verify nothing.
func (v *verifier) keys() []ringKey {
	if v.ring != nil {
		return v.ring
	}
	for _, public := range v.anchors.Keys {
		id, err := dsse.KeyID(public)
		if err != nil || slices.ContainsFunc(v.ring, func(k ringKey) bool { return k.id == id }) {
			continue
		}
		k := ringKey{public, id, []string{id}}
		if spki, err := x509.MarshalPKIXPublicKey(public); err == nil { // ML-DSA has no such form here
			sum := sha256.Sum256(spki)
			k.names = append(k.names, base64.StdEncoding.EncodeToString(sum[:]), hex.EncodeToString(sum[:]))
		}
		v.ring = append(v.ring, k)
	}
	return v.ring
}

// find looks for the key that a signature holds by. Names are what it says
// of its key, any may be empty. If they name a trusted key, only that counts;
// if not, they are somebody's private name for a key, and all are tried: a
// name proves nothing.
func (v *verifier) find(names []string, holds func(k ringKey, named bool) (bool, error)) (k *ringKey, reason string, err error) {
	candidates := slices.DeleteFunc(slices.Clone(v.keys()), func(k ringKey) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return slices.Contains(k.names, name) })
	})
	isNamed := len(candidates) > 0
	if len(candidates) > 1 {
		return nil, fmt.Sprintf("signature names two keys, %s and %s", candidates[0].id, candidates[1].id), nil
	}
	if !isNamed {
		candidates = v.keys()
	}
	for _, k := range candidates {
		if v.tries++; v.tries > maxTries {
			return nil, fmt.Sprintf("more than %d signatures to check: name their keys", maxTries), nil
		}
		ok, err := holds(k, isNamed)
		if errors.Is(err, signature.ErrBudget) {
			return &k, err.Error(), nil
		}
		if err != nil || ok {
			return &k, "", err
		}
	}
	if isNamed {
		return &candidates[0], "signature does not hold by the key that it names", nil
	}
	return nil, "", nil
}

// keyed judges a bundle's signature by a key that hint tells of.
func (v *verifier) keyed(s signed, hint string, p payload) (Attestation, error) {
	names := []string{hint}
	var over func(ringKey, bool) (bool, error)
	if e := s.bundle.GetDsseEnvelope(); e != nil {
		names = append(names, e.GetSignatures()[0].GetKeyid())
		message := dsse.PAE(e.GetPayloadType(), e.GetPayload())
		over = func(k ringKey, _ bool) (bool, error) {
			return dsse.Holds(k.public, message, e.GetSignatures()[0].GetSig()), nil
		}
	} else {
		over = func(k ringKey, named bool) (bool, error) {
			return v.verifyArtifact(k.public, named, s.bundle.GetMessageSignature().GetSignature())
		}
	}
	k, reason, err := v.find(names, over)
	if err != nil {
		return Attestation{}, err
	}
	a := outcome(s.kind, names, k, reason, p)
	if !a.Valid || v.anchors.Root == nil {
		return a, nil
	}
	times, err := v.anchors.Root.witnessed(s, k.public)
	if err == nil && len(times) > 0 {
		a.Time, err = v.provenTime(s, times)
		a.TimeProven = err == nil
	}
	if err != nil {
		return invalid(s.kind, a.Signer, "%v", err), nil
	}
	return a, nil
}

// bareEnvelope judges each signature of an envelope.
func (v *verifier) bareEnvelope(s signed) ([]Attestation, error) {
	e := s.envelope
	p, reason, err := v.statement(e.payloadType, e.payload, "")
	if err != nil {
		return nil, err
	}
	if reason != "" {
		return []Attestation{invalid(s.kind, "", "%s", reason)}, nil
	}
	message := dsse.PAE(e.payloadType, e.payload)
	var all []Attestation
	for _, sig := range e.signatures {
		k, reason, err := v.find([]string{sig.keyID}, func(k ringKey, _ bool) (bool, error) {
			return dsse.Holds(k.public, message, sig.sig), nil
		})
		if err != nil {
			return nil, err
		}
		all = append(all, outcome(s.kind, []string{sig.keyID}, k, reason, p))
	}
	return all, nil
}

// outcome is the result of find.
func outcome(kind string, names []string, k *ringKey, reason string, p payload) Attestation {
	switch {
	case reason != "":
		signer := ""
		if k != nil {
			signer = k.id
		}
		return invalid(kind, signer, "%s", reason)
	case k != nil:
		a := p.valid(kind, k.id)
		a.Key = signature.KeyFingerprint(k.public)
		return a
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" })
	signer := "" // the signature does not say
	if len(names) > 0 {
		signer = printable(names[0], maxReason)
	}
	return Attestation{Result: signature.Stranger(kind, signer, "none of the trusted keys made the signature")}
}

// verifyArtifact checks a signature over the artifact itself: ECDSA over its
// SHA-256, or Ed25519ph (RFC 8032, section 5.1), as logs want it. Pure
// Ed25519 has to read all of the artifact for each key, so that the key must
// be named.
func (v *verifier) verifyArtifact(public crypto.PublicKey, named bool, sig []byte) (bool, error) {
	switch public := public.(type) {
	case ed25519.PublicKey:
		sum, err := v.content.Sum(crypto.SHA512)
		if err != nil {
			return false, err
		}
		if ed25519.VerifyWithOptions(public, sum, sig, &ed25519.Options{Hash: crypto.SHA512}) == nil {
			return true, nil
		}
		if !named {
			return false, nil
		}
		return eddsa.Holds(v.content, sig, public)
	case *ecdsa.PublicKey:
		sum, err := v.content.Sum(crypto.SHA256)
		return err == nil && ecdsa.VerifyASN1(public, sum, sig), err
	}
	return false, nil
}

// witnessed verifies what the root's logs and authorities say of a signature
// by a key. They need not have seen it: a key is trusted for as long as it is
// among the anchors. But an entry that claims to be in a log of the root's
// must be in it.
func (r *Root) witnessed(s signed, public crypto.PublicKey) ([]verify.TimestampVerificationResult, error) {
	material := root.TrustedMaterialCollection{r.material, root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		verifier, err := sigstoresig.LoadVerifier(public, crypto.SHA256)
		return &root.ExpiringKey{Verifier: verifier}, err
	})}
	var times []verify.TimestampVerificationResult
	for _, entry := range s.bundle.VerificationMaterial.GetTlogEntries() {
		if _, known := r.material.RekorLogs()[hex.EncodeToString(entry.GetLogId().GetKeyId())]; !known {
			continue
		}
		logged, err := verify.VerifyTlogEntry(s.bundle, material, 1, true)
		if err != nil {
			return nil, fmt.Errorf("transparency log: %w", err)
		}
		for _, t := range logged {
			times = append(times, verify.TimestampVerificationResult{Timestamp: t.Time})
		}
		break
	}
	stamped, _, err := verify.VerifySignedTimestamp(s.bundle, material)
	if err != nil {
		return nil, fmt.Errorf("timestamp: %w", err)
	}
	for _, t := range stamped {
		times = append(times, verify.TimestampVerificationResult{Timestamp: t.Time})
	}
	return times, nil
}
