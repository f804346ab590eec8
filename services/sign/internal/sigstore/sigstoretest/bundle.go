package sigstoretest

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"

	"assize.dev/services/sign/internal/dsse"
)

// SignBlob is the bundle of a signature over data.
func (f *Fake) SignBlob(o Options, data []byte) []byte {
	o.fill()
	key := Key("signer of " + o.SAN)
	sum := sha256.Sum256(data)
	b := f.bundle(o, key, sign(key, data), sum[:], nil)
	return finish(o, b)
}

// Attest is the bundle of a signature over an in-toto statement.
func (f *Fake) Attest(o Options, statement []byte) []byte {
	o.fill()
	key := Key("signer of " + o.SAN)
	message := dsse.PAE(dsse.PayloadType, statement)
	sum := sha256.Sum256(message)
	b := f.bundle(o, key, sign(key, message), sum[:], statement)
	return finish(o, b)
}

// PyPI is the same as an attestation object of PEP 740.
func (f *Fake) PyPI(o Options, statement []byte) []byte {
	var b struct {
		VerificationMaterial struct {
			Certificate map[string]any `json:"certificate"`
			Entries     []any          `json:"tlogEntries"`
		} `json:"verificationMaterial"`
		Envelope struct {
			Payload    string           `json:"payload"`
			Signatures []map[string]any `json:"signatures"`
		} `json:"dsseEnvelope"`
	}
	edit := o.Edit
	o.Edit = nil
	if err := json.Unmarshal(f.Attest(o, statement), &b); err != nil {
		panic(err)
	}
	object := map[string]any{
		"version": 1,
		"verification_material": map[string]any{
			"certificate":          b.VerificationMaterial.Certificate["rawBytes"],
			"transparency_entries": b.VerificationMaterial.Entries,
		},
		"envelope": map[string]any{"statement": b.Envelope.Payload, "signature": b.Envelope.Signatures[0]["sig"]},
	}
	if edit != nil {
		edit(object)
	}
	return canonical(object)
}

func finish(o Options, b map[string]any) []byte {
	// Once through JSON, so that edits find plain maps.
	var plain map[string]any
	if err := json.Unmarshal(canonical(b), &plain); err != nil {
		panic(err)
	}
	if o.Edit != nil {
		o.Edit(plain)
	}
	return canonical(plain)
}

// bundle puts a signature together: over a digest of data, or of the
// statement's encoding.
func (f *Fake) bundle(o Options, key *ecdsa.PrivateKey, sig, sum, statement []byte) map[string]any {
	leaf := f.leaf(o, key)
	material := map[string]any{"certificate": map[string]any{"rawBytes": leaf.Raw}}
	mediaType := "application/vnd.dev.sigstore.bundle.v0.3+json"
	if o.Version != "0.3" {
		mediaType = "application/vnd.dev.sigstore.bundle+json;version=" + o.Version
		material = map[string]any{"x509CertificateChain": map[string]any{"certificates": []any{
			map[string]any{"rawBytes": leaf.Raw}, map[string]any{"rawBytes": f.intermediate.certificate.Raw},
		}}}
	}
	if !o.NoLog {
		material["tlogEntries"] = []any{f.entry(o, leaf, sig, sum, statement)}
	}
	if o.Timestamp || o.Rekor2 && !o.NoTimestamp {
		material["timestampVerificationData"] = map[string]any{
			"rfc3161Timestamps": []any{map[string]any{"signedTimestamp": f.timestamp(sig, o.SignedAt)}},
		}
	}
	b := map[string]any{"mediaType": mediaType, "verificationMaterial": material}
	if statement == nil {
		b["messageSignature"] = map[string]any{
			"messageDigest": map[string]any{"algorithm": "SHA2_256", "digest": sum}, "signature": sig,
		}
		return b
	}
	b["dsseEnvelope"] = map[string]any{
		"payloadType": dsse.PayloadType, "payload": statement, "signatures": []any{map[string]any{"sig": sig}},
	}
	return b
}

// body is what the log is told.
func body(o Options, leaf *x509.Certificate, sig, sum, statement []byte) (kind, version string, body map[string]any) {
	if o.Rekor2 {
		return "hashedrekord", "0.0.2", map[string]any{"hashedRekordV002": map[string]any{
			"data": map[string]any{"algorithm": "SHA2_256", "digest": sum},
			"signature": map[string]any{"content": sig, "verifier": map[string]any{
				"keyDetails": "PKIX_ECDSA_P256_SHA_256", "x509Certificate": map[string]any{"rawBytes": leaf.Raw},
			}},
		}}
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})
	sha := func(data []byte) map[string]any {
		sum := sha256.Sum256(data)
		return map[string]any{"algorithm": "sha256", "value": hex.EncodeToString(sum[:])}
	}
	if statement == nil {
		return "hashedrekord", "0.0.1", map[string]any{
			"data":      map[string]any{"hash": map[string]any{"algorithm": "sha256", "value": hex.EncodeToString(sum)}},
			"signature": map[string]any{"content": sig, "publicKey": map[string]any{"content": text}},
		}
	}
	return "dsse", "0.0.1", map[string]any{
		"envelopeHash": sha([]byte("the envelope")), // not kept in bundles, so that nobody can compare it
		"payloadHash":  sha(statement),
		"signatures":   []any{map[string]any{"signature": sig, "verifier": text}},
	}
}
