//go:build linux && !race

package sbom_test

import (
	"strings"
	"testing"

	"assize.dev/services/sbom"
	"assize.dev/shared/archive"
	"assize.dev/shared/event"
	. "assize.dev/shared/identify/identifytest"
)

// TestAnalyseTellsWhatStoppedIt: the texts of all licences take more memory
// than there is, which ends one process and is told.
func TestAnalyseTellsWhatStoppedIt(t *testing.T) {
	analyser := sbom.NewAnalyser(archive.Limits{}, 64<<20)
	t.Cleanup(analyser.Close)
	in := stored(t, TarGz(File{"package/package.json", pkg("a", "1.0.0")}, File{"package/LICENSE", "Permission is hereby granted"}), "a.tgz")
	answer, err := analyser.Analyse(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if answer.Status != event.Failed || !strings.Contains(answer.Reason, "limit of 64 MiB of memory") || len(answer.Documents) > 0 {
		t.Errorf("status %s, reason %q", answer.Status, answer.Reason)
	}
}
