package blob_test

import (
	"bytes"
	"errors"
	"testing"

	"assize.dev/shared/blob"
)

func TestKeep(t *testing.T) {
	store, _ := openDir(t)
	keep := func(data string) string {
		t.Helper()
		key, err := blob.Keep(t.Context(), store, "verdicts/x", []byte(data))
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	first := keep("one")
	if first != "verdicts/x" || keep("one") != first {
		t.Errorf("one is under %s", first)
	}
	second := keep("two")
	if second == first || keep("two") != second || keep("one") != first {
		t.Errorf("two is under %s", second)
	}
	if err := store.Delete(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if err := store.Create(t.Context(), second, bytes.NewReader([]byte("foe")), 3); err != nil {
		t.Fatal(err)
	}
	if key, err := blob.Keep(t.Context(), store, "verdicts/x", []byte("two")); !errors.Is(err, blob.ErrExists) {
		t.Errorf("both keys taken: %q, %v", key, err)
	}
}
