package sbom

import (
	"bytes"
	"encoding/json"
	"strings"

	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// maxAttestations bounds the statements that are looked at beside one artifact.
const maxAttestations = 200

// attested finds the SBOMs among the attestations that came with an artifact:
// in-toto statements about its digest whose predicate is a CycloneDX or SPDX
// document, in DSSE envelopes, bare, in Sigstore bundles or in GitHub's list
// of them, one after the other. Who signed is not looked at: what they list
// counts as stated.
func attested(signatures []event.Attached, about digest.Digest) (found []Beside) {
	seen := 0
	for _, s := range signatures {
		decoder := json.NewDecoder(bytes.NewReader(s.Data))
		for seen < maxAttestations {
			var one envelope
			if decoder.Decode(&one) != nil {
				break // something else, or the end
			}
			seen++
			for _, payload := range one.payloads() {
				if document := payload.sbom(about); document != nil {
					found = append(found, Beside{Name: s.Name, Document: document})
				}
			}
		}
	}
	return found
}

// envelope is any of the forms.
type envelope struct {
	Payload      []byte    `json:"payload"`
	DSSEEnvelope *envelope `json:"dsseEnvelope"`
	Attestations []struct {
		Bundle envelope `json:"bundle"`
	} `json:"attestations"`
}

func (e *envelope) payloads() (all []statement) {
	if e.Payload != nil {
		all = append(all, statement(e.Payload))
	}
	if e.DSSEEnvelope != nil && e.DSSEEnvelope.Payload != nil {
		all = append(all, statement(e.DSSEEnvelope.Payload))
	}
	for i := range min(len(e.Attestations), maxAttestations) {
		if inner := e.Attestations[i].Bundle.DSSEEnvelope; inner != nil && inner.Payload != nil {
			all = append(all, statement(inner.Payload))
		}
	}
	return all
}

// statement is an in-toto statement.
type statement []byte

// sbom is the document in the statement, nil if it is none about the digest.
func (s statement) sbom(about digest.Digest) []byte {
	var said struct {
		Subject []struct {
			Digest map[string]string `json:"digest"`
		} `json:"subject"`
		PredicateType string          `json:"predicateType"`
		Predicate     json.RawMessage `json:"predicate"`
	}
	if json.Unmarshal(s, &said) != nil {
		return nil
	}
	if !strings.HasPrefix(said.PredicateType, "https://cyclonedx.org/bom") && !strings.HasPrefix(said.PredicateType, "https://spdx.dev/Document") {
		return nil
	}
	for _, subject := range said.Subject {
		if strings.EqualFold(subject.Digest["sha256"], about.Hex()) {
			return said.Predicate
		}
	}
	return nil
}
