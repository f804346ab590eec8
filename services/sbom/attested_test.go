package sbom_test

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"assize.dev/services/sbom"
	"assize.dev/shared/archive"
	"assize.dev/shared/event"
	. "assize.dev/shared/identify/identifytest"
)

// TestAttestedSBOMs: what an attestation about the artifact lists counts as
// stated, in each form of envelope; one about something else does not.
func TestAttestedSBOMs(t *testing.T) {
	in, _ := stored(t, TarGz(File{"package/package.json", pkg("self", "1.0.0")}), "a.tgz")
	statement := func(digest, predicateType string) string {
		document := `{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"components":[{"type":"library","name":"c","purl":"pkg:npm/c@3.0.0"}]}`
		text, err := json.Marshal(map[string]any{
			"subject": []any{map[string]any{"digest": map[string]string{"sha256": digest}}}, "predicateType": predicateType, "predicate": json.RawMessage(document),
		})
		if err != nil {
			t.Fatal(err)
		}
		return `{"payloadType":"application/vnd.in-toto+json","payload":"` + base64.StdEncoding.EncodeToString(text) + `","signatures":[]}`
	}
	own := in.Artifact.Digest.Hex()
	cyclonedx := statement(own, "https://cyclonedx.org/bom")
	analyser := sbom.NewAnalyser(archive.Limits{}, sbom.Config{})
	t.Cleanup(analyser.Close)
	for name, tt := range map[string]struct {
		data string
		want int
	}{
		"an envelope":            {cyclonedx, 1},
		"lines, one of them":     {statement(own, "https://slsa.dev/provenance/v1") + "\n" + cyclonedx, 1},
		"a bundle":               {`{"dsseEnvelope":` + cyclonedx + `}`, 1},
		"a list of bundles":      {`{"attestations":[{"bundle":{"dsseEnvelope":` + cyclonedx + `}}]}`, 1},
		"about something else":   {statement("00"+own[2:], "https://cyclonedx.org/bom"), 0},
		"of another kind":        {statement(own, "https://example.org/bom"), 0},
		"a signature":            {"\x89\x01not JSON", 0},
		"a broken payload":       {`{"payload":"bm8="}`, 0},
		"a payload that is none": {`{"payload":7}`, 0},
	} {
		in.Artifact.Signatures = []event.Attached{{Name: "a.tgz.sigstore.json", Data: []byte(tt.data)}}
		answer, err := analyser.Analyse(t.Context(), in)
		if err != nil || answer.Status != event.Complete || answer.Components.Count != tt.want {
			t.Errorf("%s: %+v, %v; want %d components", name, answer, err, tt.want)
		}
	}
}
