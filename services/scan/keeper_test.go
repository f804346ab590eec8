package scan

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"assize.dev/shared/blob"
	"assize.dev/shared/evidence"
)

func keeperWith(t *testing.T, c Config, store blob.Store) *keeper {
	t.Helper()
	k, err := newKeeper(&Service{
		config: c, advisories: new(Advisories), runner: evidence.Runner{Store: store, Log: slog.New(slog.NewTextHandler(t.Output(), nil))},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.close)
	if err := k.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return k
}

func writeAdvisory(t *testing.T, dir, id string) {
	t.Helper()
	text := `{"id":"` + id + `","modified":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"lib"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`
	if err := os.MkdirAll(filepath.Join(dir, "npm"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "npm", id+".json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// found is how many advisories there are about lib; -1 if there are none at all.
func found(t *testing.T, k *keeper) int {
	t.Helper()
	judge, _, done, err := k.advisories.Judge("")
	if err != nil {
		return -1
	}
	defer done()
	return len(judge("pkg:npm/lib@1.0.0").Findings)
}

// One replica takes advisories from its sources, the others from the object
// store; a source that fails leaves what there is.
func TestReplicas(t *testing.T) {
	store, err := blob.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	source := t.TempDir()
	alone := keeperWith(t, Config{}, store)
	if n := found(t, alone); n != -1 {
		t.Errorf("%d advisories from nowhere", n)
	}
	writeAdvisory(t, source, "A")
	updating := keeperWith(t, Config{Sources: []string{source}, IndexDir: t.TempDir()}, store)
	following := keeperWith(t, Config{}, store)
	if err := alone.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]*keeper{"updating": updating, "following": following, "the first": alone} {
		if n := found(t, k); n != 1 {
			t.Errorf("%s: %d advisories, want 1", name, n)
		}
	}
	writeAdvisory(t, source, "B")
	for _, k := range []*keeper{updating, following} {
		if err := k.renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := found(t, k); n != 2 {
			t.Errorf("%d advisories, want 2", n)
		}
	}
	if err := os.RemoveAll(source); err != nil {
		t.Fatal(err)
	}
	if err := updating.renew(t.Context()); err == nil {
		t.Error("a source that is gone is no error")
	}
	if n := found(t, updating); n != 2 {
		t.Errorf("%d advisories after the source failed, want 2", n)
	}
	// After a restart the index is there before any source answers.
	again := keeperWith(t, Config{Sources: []string{source}, IndexDir: updating.dir}, store)
	if n := found(t, again); n != 2 {
		t.Errorf("%d advisories after a restart, want 2", n)
	}
}

// A directory is looked at again.
func TestDirectoryOfAdvisories(t *testing.T) {
	export := t.TempDir()
	writeAdvisory(t, export, "A")
	k := keeperWith(t, Config{Advisories: export}, nil)
	writeAdvisory(t, export, "B")
	if n := found(t, k); n != 1 {
		t.Errorf("%d advisories, want 1", n)
	}
	if err := k.renew(t.Context()); err != nil || found(t, k) != 2 {
		t.Errorf("%v, %d advisories, want 2", err, found(t, k))
	}
}

func TestVEXFiles(t *testing.T) {
	a := new(Advisories)
	dir := t.TempDir()
	if err := a.LoadVEX(dir); err == nil {
		t.Error("a folder without statements is taken for one")
	}
	if err := a.LoadVEX(filepath.Join(dir, "absent")); err == nil {
		t.Error("a file that is not there is taken for one")
	}
	if err := os.WriteFile(filepath.Join(dir, "a.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.LoadVEX(dir); err == nil {
		t.Error("a file that says nothing is taken for a statement")
	}
	if err := a.LoadVEX(); err != nil {
		t.Error(err)
	}
}
