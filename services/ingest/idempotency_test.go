package ingest

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

func TestPutIdempotencyKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	body := leftPad("1.0.0")
	answers := make(chan answer, 8)
	for range cap(answers) {
		go func() { answers <- b.put("/v1/artifacts/r/n", bytes.NewReader(body), "Idempotency-Key", "k") }()
	}
	runs := map[string]bool{}
	for range cap(answers) {
		a := <-answers
		if a.status != http.StatusAccepted || a.PURL != leftPadPURL+"1.0.0" {
			t.Errorf("%+v", a)
		}
		runs[a.Run] = true
	}
	if a := b.artifact(body); len(runs) != 1 || !runs[a.Run] {
		t.Errorf("runs %v, on the stream %s", runs, a.Run)
	}

	if got := b.put("/v1/artifacts/r/n", strings.NewReader("other"), "Idempotency-Key", "k"); got.status != http.StatusConflict {
		t.Errorf("key for other bytes: %d %s", got.status, got.Error)
	}
	if got := b.put("/v1/artifacts/r/n", bytes.NewReader(body), "Idempotency-Key", "k", "Assize-Signature", "n.sig=AAAA"); got.status != http.StatusConflict {
		t.Errorf("key for other signatures: %d %s", got.status, got.Error)
	}
	if n := len(b.artifacts()); n != 1 {
		t.Errorf("%d artifacts", n)
	}
	// Another name, another key space; and no key, no memory.
	for i, path := range []string{"/v1/artifacts/r/n/1", "/v1/artifacts/r2/n", "/v1/artifacts/r/n%2F1"} {
		if got := b.put(path, bytes.NewReader(body), "Idempotency-Key", "k"); got.status != http.StatusAccepted || runs[got.Run] || len(b.artifacts()) != i+2 {
			t.Errorf("%s: %+v", path, got)
		}
	}
	first, second := b.put("/v1/artifacts/r/n", bytes.NewReader(body)), b.put("/v1/artifacts/r/n", bytes.NewReader(body))
	if first.Run == second.Run || slices.Contains([]string{first.Run, second.Run}, "") {
		t.Errorf("%+v and %+v", first, second)
	}
}

// A process that died after it bound the key, or after it stored the bytes,
// is continued: the run is the one it chose.
func TestPutAfterCrash(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := httptest.NewRequest(http.MethodPut, "/v1/artifacts/r/n", nil)
	r.SetPathValue("registry", "r")
	r.SetPathValue("name", "n")
	a, err := orderOf(r)
	if err != nil {
		t.Fatal(err)
	}
	chosen := a.Run
	if err := b.service.rememberRun(t.Context(), "k", a, digest.Of([]byte("x"))); err != nil {
		t.Fatal(err)
	}
	got := b.put("/v1/artifacts/r/n", strings.NewReader("x"), "Idempotency-Key", "k")
	if got.Run != chosen || b.artifact([]byte("x")).Run != chosen {
		t.Errorf("%+v, want run %s", got, chosen)
	}
}

// A damaged memory of a key is not taken for a run.
func TestPutDamagedMemory(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	damaged := `{"run":"../../x","digest":"` + string(digest.Of([]byte("x"))) + `"}`
	if err := b.store.Create(t.Context(), keyObject(&event.Artifact{Registry: "r", Name: "n"}, "k"), strings.NewReader(damaged), int64(len(damaged))); err != nil {
		t.Fatal(err)
	}
	if got := b.put("/v1/artifacts/r/n", strings.NewReader("x"), "Idempotency-Key", "k"); got.status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", got.status, got.Error)
	}
	if n := len(b.artifacts()); n != 0 {
		t.Errorf("%d artifacts", n)
	}
}
