package sigstore

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"google.golang.org/protobuf/encoding/protojson"

	"assize.dev/services/sign/internal/intoto"
	"assize.dev/services/sign/internal/strictjson"
)

// Bounds of what is read. A bundle has about 10 KiB, most of it the log
// entry, which holds the certificate again.
const (
	MaxDocument     = 1 << 20
	maxAttestations = 32 // signatures in one document
	maxLogEntries   = 32 // in one bundle
)

// signed is one signed thing of a document: a bundle, an envelope, or the
// problem that made it unreadable.
type signed struct {
	kind     string
	problem  error
	bundle   *bundle.Bundle
	envelope *envelope
	// predicateType is what the document around a bundle says that its
	// statement's is; empty if it does not.
	predicateType string
}

// read takes a document apart. It always gives something, maybe a problem.
func read(data []byte) []signed {
	refuse := func(format string, args ...any) []signed {
		return []signed{{kind: KindBundle, problem: fmt.Errorf(format, args...)}}
	}
	if len(data) > MaxDocument {
		return refuse("%d bytes, at most %d", len(data), MaxDocument)
	}
	// Nearly every document is one bundle, whose parser is as strict as ours:
	// it refuses names that are unknown or occur twice. Whatever it does not
	// read is looked at more closely.
	if s := readBundle(KindBundle, data); s.problem == nil {
		return []signed{s}
	}
	values, err := strictjson.Values(data, maxAttestations)
	if err != nil {
		return refuse("neither a Sigstore bundle nor an attestation: %w", err)
	}
	if len(values) == 0 {
		return refuse("neither a Sigstore bundle nor an attestation: empty")
	}
	var all []signed
	signatures := 0
	for _, value := range values {
		for _, s := range readValue(value) {
			if signatures++; s.envelope != nil {
				signatures += len(s.envelope.signatures) - 1
			}
			if all = append(all, s); signatures > maxAttestations {
				return refuse("more than %d signatures", maxAttestations)
			}
		}
	}
	return all
}

func readValue(value json.RawMessage) []signed {
	one := func(s signed) []signed { return []signed{s} }
	members, err := strictjson.Object(value)
	has := func(name string) bool { return !strictjson.Absent(members[name]) }
	switch {
	case err != nil:
		return one(signed{kind: KindBundle, problem: err})
	case has("mediaType"):
		return one(readBundle(KindBundle, value))
	case has("payloadType"):
		return one(readEnvelope(members))
	case has("verification_material"):
		return one(readPyPI(members))
	case has("attestation_bundles"):
		return readIndexAnswer(members)
	case has("attestations"):
		return readRegistryAnswer(members["attestations"])
	}
	return one(signed{kind: KindBundle, problem: errors.New("neither a Sigstore bundle nor an attestation that is known: " +
		"want an object with mediaType, payloadType, verification_material, attestation_bundles or attestations")})
}

func readBundle(kind string, value json.RawMessage) signed {
	s := signed{kind: kind, bundle: &bundle.Bundle{}}
	if err := s.bundle.UnmarshalJSON(value); err != nil {
		return signed{kind: kind, problem: fmt.Errorf("bundle: %w", err)}
	}
	return s
}

// readRegistryAnswer reads GitHub's and npm's, which differ in that npm says
// of each attestation what it is.
func readRegistryAnswer(value json.RawMessage) []signed {
	kind := KindGitHub
	elements, err := strictjson.Array(value)
	if err != nil {
		return []signed{{kind: kind, problem: fmt.Errorf("attestations: %w", err)}}
	}
	if len(elements) == 0 {
		return []signed{{kind: kind, problem: errors.New("an answer without attestations")}}
	}
	var all []signed
	for _, e := range elements[:min(len(elements), maxAttestations+1)] { // one more is refused
		all = append(all, readAnswered(e))
	}
	return all
}

func readAnswered(value json.RawMessage) signed {
	members, err := strictjson.Object(value)
	if err != nil {
		return signed{kind: KindGitHub, problem: fmt.Errorf("attestation: %w", err)}
	}
	kind := KindGitHub
	predicateType, err := strictjson.Text(members["predicateType"])
	if !strictjson.Absent(members["predicateType"]) {
		kind = KindNPM
	}
	switch {
	case err != nil:
		return signed{kind: kind, problem: fmt.Errorf("predicateType: %w", err)}
	case strictjson.Absent(members["bundle"]):
		return signed{kind: kind, problem: errors.New("attestation without a bundle")}
	}
	s := readBundle(kind, members["bundle"])
	s.predicateType = predicateType
	return s
}

// readIndexAnswer reads a PyPI provenance object. The publishers that it
// names are the index's word; who signed is in the certificates.
func readIndexAnswer(members map[string]json.RawMessage) []signed {
	refuse := func(err error) []signed {
		return []signed{{kind: KindPyPI, problem: fmt.Errorf("provenance object: %w", err)}}
	}
	if err := isVersion1(members); err != nil {
		return refuse(err)
	}
	bundles, err := strictjson.Array(members["attestation_bundles"])
	if err != nil {
		return refuse(err)
	}
	var all []signed
	for _, b := range bundles {
		bundle, err := strictjson.Object(b)
		if err != nil {
			return refuse(err)
		}
		attestations, err := strictjson.Array(bundle["attestations"])
		if err != nil {
			return refuse(err)
		}
		for _, a := range attestations {
			attestation, err := strictjson.Object(a)
			if err != nil {
				return refuse(err)
			}
			if all = append(all, readPyPI(attestation)); len(all) > maxAttestations {
				return all // refused by the caller
			}
		}
	}
	if len(all) == 0 {
		return refuse(errors.New("no attestations"))
	}
	return all
}

func isVersion1(members map[string]json.RawMessage) error {
	if v := string(members["version"]); v != "1" {
		return fmt.Errorf("version is %.20q, want 1", v)
	}
	return nil
}

// readPyPI makes a bundle of an attestation object, which holds the same:
// https://peps.python.org/pep-0740/#attestation-objects.
func readPyPI(members map[string]json.RawMessage) signed {
	pb, err := convertPyPI(members)
	if err != nil {
		return signed{kind: KindPyPI, problem: fmt.Errorf("attestation object: %w", err)}
	}
	b, err := bundle.NewBundle(pb)
	if err != nil {
		return signed{kind: KindPyPI, problem: fmt.Errorf("attestation object: %w", err)}
	}
	return signed{kind: KindPyPI, bundle: b}
}

func convertPyPI(members map[string]json.RawMessage) (*protobundle.Bundle, error) {
	if err := isVersion1(members); err != nil {
		return nil, err
	}
	material, err := strictjson.Object(members["verification_material"])
	if err != nil {
		return nil, fmt.Errorf("verification_material: %w", err)
	}
	certificate, err := bytesOf(material, "certificate")
	if err != nil {
		return nil, err
	}
	entries, err := strictjson.Array(material["transparency_entries"])
	if err != nil || len(entries) > maxLogEntries {
		return nil, fmt.Errorf("transparency_entries: %d of them, want an array of at most %d", len(entries), maxLogEntries)
	}
	log := make([]*protorekor.TransparencyLogEntry, len(entries))
	for i, e := range entries {
		log[i] = &protorekor.TransparencyLogEntry{}
		if err := protojson.Unmarshal(e, log[i]); err != nil {
			return nil, fmt.Errorf("transparency_entries: %w", err)
		}
	}
	envelope, err := strictjson.Object(members["envelope"])
	if err != nil {
		return nil, fmt.Errorf("envelope: %w", err)
	}
	statement, err := bytesOf(envelope, "statement")
	if err != nil {
		return nil, err
	}
	signature, err := bytesOf(envelope, "signature")
	if err != nil {
		return nil, err
	}
	return &protobundle.Bundle{
		MediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content: &protobundle.VerificationMaterial_Certificate{
				Certificate: &protocommon.X509Certificate{RawBytes: certificate},
			},
			TlogEntries: log,
		},
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
			PayloadType: intoto.PayloadType, Payload: statement,
			Signatures: []*protodsse.Signature{{Sig: signature}},
		}},
	}, nil
}

// envelope is a DSSE envelope:
// https://github.com/secure-systems-lab/dsse/blob/master/envelope.md.
type envelope struct {
	payloadType string
	payload     []byte
	signatures  []envelopeSignature
}

type envelopeSignature struct {
	keyID string
	sig   []byte
}

func readEnvelope(members map[string]json.RawMessage) signed {
	e, err := parseEnvelope(members)
	if err != nil {
		return signed{kind: KindDSSE, problem: fmt.Errorf("envelope: %w", err)}
	}
	return signed{kind: KindDSSE, envelope: e}
}

func parseEnvelope(members map[string]json.RawMessage) (*envelope, error) {
	e := &envelope{}
	var err error
	if e.payloadType, err = strictjson.Text(members["payloadType"]); err != nil {
		return nil, fmt.Errorf("payloadType: %w", err)
	}
	if e.payload, err = bytesOf(members, "payload"); err != nil {
		return nil, err
	}
	signatures, err := strictjson.Array(members["signatures"])
	if err != nil || len(signatures) == 0 {
		return nil, errors.New("signatures: want an array of at least one")
	}
	for _, value := range signatures[:min(len(signatures), maxAttestations+1)] { // one more is refused
		s, err := strictjson.Object(value)
		if err != nil {
			return nil, fmt.Errorf("signature: %w", err)
		}
		keyID, err := strictjson.Text(s["keyid"])
		if err != nil {
			return nil, fmt.Errorf("keyid: %w", err)
		}
		sig, err := bytesOf(s, "sig")
		if err != nil {
			return nil, err
		}
		e.signatures = append(e.signatures, envelopeSignature{keyID, sig})
	}
	return e, nil
}

// bytesOf decodes a member in base64, with the standard alphabet or that for
// URLs; both are allowed in envelopes.
func bytesOf(members map[string]json.RawMessage, name string) ([]byte, error) {
	text, err := strictjson.Text(members[name])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		if b, err := encoding.Strict().DecodeString(text); err == nil && len(b) > 0 {
			return b, nil
		}
	}
	return nil, fmt.Errorf("%s: want base64", name)
}
