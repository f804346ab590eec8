package evidence

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// about is evidence as publish begins it, every fixed field as long as the
// contract lets it be.
func about(fill string) *event.Evidence {
	long := strings.Repeat(fill, event.MaxName/len(fill))
	return &event.Evidence{Run: event.NewRun(), Lane: event.LaneAgain, Registry: long, Kind: event.Kind(long), Artifact: digest.Of(nil),
		Producer: event.Producer{Name: "test", Version: clip(strings.Repeat(fill, 1000), maxName)}, Started: time.Now().UTC(), Finished: time.Now().UTC()}
}

// worst is an answer in which everything is as long as foreign bytes can
// make it.
func worst(fill string, n int) *Answer {
	long := strings.Repeat(fill, 1500)
	a := &Answer{Status: event.Complete, Reason: long, Basis: map[string]string{},
		Verification: &event.Verification{Result: long, Level: long}, Components: &event.Catalogue{Count: math.MaxInt}}
	names := slices.Repeat([]string{long}, 2*maxList)
	for i := range n {
		a.Findings = append(a.Findings, event.Finding{ID: long, Class: event.Class(long), Severity: event.Severity(long), Confidence: long, Message: long,
			Component: long, Location: long, Line: math.MinInt, Aliases: names, Fixed: names, Score: []float64{math.NaN(), math.Inf(1), -math.MaxFloat64}[i%3]})
		a.Verification.Signatures = append(a.Verification.Signatures, event.Signature{Kind: long, Trust: long, Signer: long, Publisher: long, File: long, Reason: long, Time: time.Now()})
		a.Verification.Provenance = append(a.Verification.Provenance, event.Provenance{PredicateType: long, Builder: long, BuildType: long, Source: long, Signer: long, Level: math.MaxInt, Reason: long})
		a.Verification.Checks = append(a.Verification.Checks, event.Check{Name: long, Detail: long})
		a.Components.Licenses = append(a.Components.Licenses, long)
		a.Documents = append(a.Documents, Document{Name: long, MediaType: long, Data: []byte{byte(i)}})
		a.Basis[fmt.Sprint(i)+long] = long
	}
	return a
}

// complete puts the documents' references in, as publish does.
func complete(e *event.Evidence, documents []Document) {
	for _, d := range documents {
		sum := digest.Of(d.Data)
		e.Documents = append(e.Documents, event.Document{Name: d.Name, MediaType: d.MediaType, Key: "documents/sha256/" + sum.Hex(), Digest: sum, Size: math.MaxInt64})
	}
}

// TestBoundedKeepsAll: nothing short is lost on the way into the event.
func TestBoundedKeepsAll(t *testing.T) {
	t.Parallel()
	want := &event.Verification{
		Result: event.Pass, Level: "deep", SLSALevel: 2,
		Signatures: []event.Signature{{Kind: "k", Valid: true, Trust: event.Trusted, Signer: "s", Publisher: "p", File: "f", Time: time.Now(), Reason: "r"}},
		Checks:     []event.Check{{Name: "c", OK: true, Detail: "d"}},
		Provenance: []event.Provenance{{PredicateType: "t", Builder: "b", BuildType: "bt", Source: "s", Signer: "x", Level: 2, Reason: "r"}},
	}
	e := about("x")
	if _, err := bounded(e, &Answer{Status: event.Complete, Verification: want}); err != nil || !reflect.DeepEqual(e.Verification, want) {
		t.Errorf("%+v, %v", e.Verification, err)
	}
}

// Whatever an analyser says becomes an event, and if something is missing it
// is no complete answer.
func TestBoundedAlwaysFits(t *testing.T) {
	t.Parallel()
	for _, fill := range []string{"x", "\x00", "<", "\xff", "\u2028", "😀", `"`} {
		for _, n := range []int{0, 1, event.MaxFindings, 200} {
			e := about(strings.ToValidUTF8(fill, "é"))
			documents, err := bounded(e, worst(fill, n))
			if err != nil {
				t.Fatal(err)
			}
			complete(e, documents)
			got, err := event.New("assize/test", time.Now(), e)
			if err != nil {
				t.Errorf("%d of %q: %v", n, fill, err)
				continue
			}
			if n > 0 && (len(e.Findings) == 0 || len(e.Verification.Signatures) == 0 || len(documents) == 0) {
				t.Errorf("%d of %q: nothing is left: %d findings", n, fill, len(e.Findings))
			}
			if e.FindingsTotal != n {
				t.Errorf("%d of %q: %d findings are counted", n, fill, e.FindingsTotal)
			}
			lost := len(e.Verification.Checks) < n || len(e.Components.Licenses) < n || len(e.Basis) < n ||
				len(e.Verification.Signatures) < n || len(e.Documents) < n || len(e.Verification.Provenance) < n
			if lost != (e.Status == event.Partial) || lost && !strings.HasPrefix(e.Reason, "not all") {
				t.Errorf("%d of %q: status %s, lost %v", n, fill, e.Status, lost)
			}
			if len(e.Findings) < n && documents[0].Name != "findings" {
				t.Errorf("%d of %q: %d findings and no document", n, fill, len(e.Findings))
			}
			t.Logf("%d of %q: %d bytes, %d findings, %d signatures, %s", n, fill, len(got.Data), len(e.Findings), len(e.Verification.Signatures), e.Status)
		}
	}
}

// What fits is not touched, and neither is what the analyser holds: its lists
// may be shared by all analyses.
func TestBoundedKeepsWhatFits(t *testing.T) {
	given := func() *Answer {
		return &Answer{Status: event.Complete, Findings: []event.Finding{
			{ID: "B", Severity: event.Low, Aliases: []string{"x"}},
			{ID: "A", Severity: event.Critical, Aliases: []string{strings.Repeat("long", 100)}, Fixed: slices.Repeat([]string{"1"}, 20)}},
			Verification: &event.Verification{Result: event.Pass, Signatures: []event.Signature{{Kind: "pspf", Signer: strings.Repeat("s", 1000)}}},
			Documents:    []Document{{Name: "sbom", Data: []byte("x")}}}
	}
	answer, e := given(), about("x")
	documents, err := bounded(e, answer)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(answer, given()) {
		t.Errorf("the answer was changed: %+v", answer)
	}
	if e.Status != event.Complete || len(documents) != 1 || e.Findings[0].ID != "A" || len(e.Findings[0].Aliases[0]) > maxName ||
		len(e.Findings[0].Fixed) != maxList || e.Basis != nil || e.Components != nil {
		t.Errorf("%+v", e)
	}
	e = about("x")
	if _, err := bounded(e, &Answer{Status: event.Failed, Reason: "why"}); err != nil || e.Verification != nil || len(e.Findings) > 0 || e.Reason != "why" {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestListEndsWhereItMust(t *testing.T) {
	for max, want := range map[int]string{2: "[]", 4: "[]", 5: `["a"]`, 8: `["a"]`, 9: `["a","b"]`, 100: `["a","b"]`} {
		text, n, err := list([]string{"a", "b"}, max)
		if err != nil || string(text) != want || n != strings.Count(want, `"`)/2 {
			t.Errorf("max %d: %s, %d, %v; want %s", max, text, n, err, want)
		}
	}
	if _, _, err := list([]float64{math.NaN()}, 100); err == nil {
		t.Error("NaN became JSON")
	}
}

func FuzzClip(f *testing.F) {
	for _, s := range []string{"", "short", strings.Repeat("é", 40), strings.Repeat("😀", 30), "\xff\xfe", strings.Repeat("x", 63) + "😀", strings.Repeat("\x80", 100)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := clip(s, maxWord)
		if len(got) > maxWord || !utf8.ValidString(got) {
			t.Errorf("clip(%q) = %q", s, got)
		}
		whole := strings.ToValidUTF8(s, "\uFFFD")
		if len(whole) <= maxWord && got != whole {
			t.Errorf("clip(%q) = %q although it fits", s, got)
		}
		if cut, ok := strings.CutSuffix(got, "…"); got != whole && (!ok || !strings.HasPrefix(whole, cut) || len(got) < maxWord-3) {
			t.Errorf("clip(%q) = %q", s, got)
		}
	})
}
