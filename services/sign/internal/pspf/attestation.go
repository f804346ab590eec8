package pspf

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// The attestation fields of FlavorPack 0.4 (FEP-0004): key fingerprint,
// digest of the SBOM slot, hash of the policy. They are unsigned; each only
// has to agree with what the package holds.
const (
	attestedKey = iota
	attestedSBOM
	attestedPolicy
)

const absent = "none claimed"

func (v *verification) checkAttestationKey() (string, error) {
	for i, field := range v.index.attestation {
		if field == "" {
			continue
		}
		b, err := hex.DecodeString(field)
		if err != nil || hex.EncodeToString(b) != field {
			return "", flawf("attestation field %d is not 64 lower-case hexadecimal digits", i)
		}
	}
	switch v.index.attestation[attestedKey] {
	case "":
		return absent, nil
	case v.report.KeyFingerprint:
		return "", nil
	}
	return "", flawf("the attested key %s is not the signing key %s", v.index.attestation[attestedKey], v.report.KeyFingerprint)
}

func (v *verification) checkAttestationSBOM() (string, error) {
	var found *slot
	for i := range v.slots {
		s := &v.slots[i]
		if s.lifecycle != attestationLifecycle && s.signed.Lifecycle != "attestation" {
			continue
		}
		if found != nil {
			return "", flawf("slots %d and %d both hold an attestation", found.id, s.id)
		}
		found = s
	}
	want := v.index.attestation[attestedSBOM]
	if want == "" {
		return absent, nil
	}
	if found == nil {
		return "", flawf("an SBOM with SHA-256 %s is attested, but there is no slot for it", want)
	}
	got, err := v.sum(found.data)
	if err != nil {
		return "", err
	}
	if hex.EncodeToString(got[:]) != want {
		return "", flawf("slot %d has SHA-256 %x, the attestation says %s", found.id, got, want)
	}
	return fmt.Sprintf("slot %d", found.id), nil
}

func (v *verification) checkAttestationPolicy() (string, error) {
	want := v.index.attestation[attestedPolicy]
	if want == "" {
		return absent, nil
	}
	policy := v.report.Metadata.Policy
	if len(policy) == 0 || string(policy) == "null" {
		return "", flawf("a policy with SHA-256 %s is attested, but the metadata has none", want)
	}
	forms, err := canonicalForms(policy)
	if err != nil {
		return "", err
	}
	for _, form := range forms {
		if sum := sha256.Sum256(form); hex.EncodeToString(sum[:]) == want {
			return "", nil
		}
	}
	return "", flawf("the policy in the metadata does not have the attested SHA-256 %s", want)
}

// canonicalForms are the compact spellings that builders hash: in the order
// of the document (Rust), or sorted by name (Python, whose default escapes
// what is not ASCII).
func canonicalForms(doc []byte) ([][]byte, error) {
	var ordered bytes.Buffer
	if err := json.Compact(&ordered, doc); err != nil {
		return nil, flawf("policy: %v", err)
	}
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber() // numbers keep their spelling
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, flawf("policy: %v", err)
	}
	var sorted bytes.Buffer
	enc := json.NewEncoder(&sorted)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(tree); err != nil {
		return nil, flawf("policy: %v", err)
	}
	line := bytes.TrimSuffix(sorted.Bytes(), []byte("\n"))
	return [][]byte{ordered.Bytes(), line, escapeNonASCII(line)}, nil
}

func escapeNonASCII(doc []byte) []byte {
	var out bytes.Buffer
	for _, r := range string(doc) {
		switch {
		case r < 0x80:
			out.WriteByte(byte(r))
		case r < 0x10000:
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			r -= 0x10000
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		}
	}
	return out.Bytes()
}
