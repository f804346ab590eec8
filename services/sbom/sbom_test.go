package sbom_test

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"assize.dev/services/sbom"
	"assize.dev/shared/archive"
	"assize.dev/shared/blob"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
	"assize.dev/shared/evidence"
	. "assize.dev/shared/identify/identifytest"
)

// stored puts data into a store and returns what the analyser is given.
func stored(t *testing.T, data []byte, filename string) (evidence.Input, blob.Store) {
	t.Helper()
	store, err := blob.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	d := digest.Of(data)
	if err := store.Create(t.Context(), blob.BlobKey(d), bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	sum := sha512.Sum512(data)
	return evidence.Input{
		Artifact: event.Artifact{
			Run: event.NewRun(), Lane: event.LaneNew, Registry: "r", Name: "n", Filename: filename, Format: "x", Digest: d,
			SHA512: hex.EncodeToString(sum[:]), Size: int64(len(data)), Received: time.Now(),
		},
		Bytes: func(ctx context.Context) (*blob.File, error) { return blob.Fetch(ctx, store, blob.BlobKey(d), d) },
	}, store
}

func TestAnalyse(t *testing.T) {
	whole := TarGz(File{"package/package.json", `{"name":"a","version":"1.0.0","license":"MIT"}`}, File{"package/node_modules/q/package.json", pkg("q", "1.0.0")})
	tests := []struct {
		name   string
		data   []byte
		status event.Status
		count  int
	}{
		{"whole", whole, event.Complete, 1},
		{"truncated", whole[:len(whole)-8], event.Partial, 1},
		{"text", []byte("text"), event.Complete, 0},
	}
	analyser := sbom.NewAnalyser(archive.Limits{}, sbom.Config{})
	if analyser.Kind() != event.KindSBOM || analyser.Version() == "" {
		t.Errorf("kind %q, version %q", analyser.Kind(), analyser.Version())
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in, _ := stored(t, tt.data, "a.tgz")
			answer, err := analyser.Analyse(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			if answer.Status != tt.status || (answer.Reason == "") != (tt.status == event.Complete) {
				t.Errorf("status %s, reason %q", answer.Status, answer.Reason)
			}
			if answer.Components == nil || answer.Components.Count != tt.count {
				t.Errorf("components %+v, want %d", answer.Components, tt.count)
			}
			if len(answer.Documents) != 1 || answer.Documents[0].Name != "sbom" || answer.Documents[0].MediaType != sbom.CycloneDX16.MediaType() {
				t.Fatalf("documents %+v", answer.Documents)
			}
			again, err := analyser.Analyse(t.Context(), in)
			if err != nil || !bytes.Equal(again.Documents[0].Data, answer.Documents[0].Data) {
				t.Errorf("the document is not reproducible (%v)", err)
			}
			if !bytes.Contains(answer.Documents[0].Data, []byte(in.Artifact.Digest.Hex())) {
				t.Error("the document does not name the artifact's digest")
			}
		})
	}
}

func TestAnalyseTriesAgainWhenBytesAreMissing(t *testing.T) {
	lost := errors.New("store is away")
	in := evidence.Input{Bytes: func(context.Context) (*blob.File, error) { return nil, lost }}
	if _, err := sbom.NewAnalyser(archive.Limits{}, sbom.Config{}).Analyse(t.Context(), in); !errors.Is(err, lost) {
		t.Errorf("error %v, want %v", err, lost)
	}
}
