package pspf

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// The attestation fields of FlavorPack 0.4 (FEP-0004) are unsigned; each only
// has to agree with what the package holds.

const absent = "none claimed"

func (v *verification) checkAttestationKey() (string, error) {
	a := v.report.Attestation
	for _, field := range []struct{ name, value string }{{"key", a.Key}, {"SBOM", a.SBOM}, {"policy", a.Policy}} {
		if field.value == "" {
			continue
		}
		b, err := hex.DecodeString(field.value)
		if err != nil || hex.EncodeToString(b) != field.value {
			return "", flawf("the attested SHA-256 of the %s is not 64 lower-case hexadecimal digits", field.name)
		}
	}
	switch a.Key {
	case "":
		return absent, nil
	case v.report.KeyFingerprint:
		return "", nil
	}
	return "", flawf("the attested key %s is not the signing key %s", a.Key, v.report.KeyFingerprint)
}

func (v *verification) checkAttestationSBOM() (string, error) {
	var found *Slot
	for i := range v.report.Slots {
		s := &v.report.Slots[i]
		if s.Lifecycle != attestationLifecycle && s.Signed.Lifecycle != "attestation" {
			continue
		}
		if found != nil {
			return "", flawf("slots %d and %d both hold an attestation", found.ID, s.ID)
		}
		found = s
	}
	want := v.report.Attestation.SBOM
	if want == "" {
		return absent, nil
	}
	if found == nil {
		return "", flawf("an SBOM with SHA-256 %s is attested, but there is no slot for it", want)
	}
	if got := found.Digest.Hex(); got != want {
		return "", flawf("slot %d has SHA-256 %s, the attestation says %s", found.ID, got, want)
	}
	return fmt.Sprintf("slot %d", found.ID), nil
}

func (v *verification) checkAttestationPolicy() (string, error) {
	want := v.report.Attestation.Policy
	if want == "" {
		return absent, nil
	}
	policy := v.report.Metadata.Policy
	if len(policy) == 0 || string(policy) == "null" {
		return "", flawf("a policy with SHA-256 %s is attested, but the metadata has none", want)
	}
	forms, err := compactForms(policy)
	if err != nil {
		return "", flawf("policy: %v", err)
	}
	for _, form := range forms {
		if sum := sha256.Sum256(form); hex.EncodeToString(sum[:]) == want {
			return "", nil
		}
	}
	return "", flawf("the policy in the metadata does not have the attested SHA-256 %s", want)
}
