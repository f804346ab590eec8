package sign

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"assize.dev/services/sign/internal/keyset"
)

func keyDir(t *testing.T) KeyDir {
	t.Helper()
	d := NewKeyDir(filepath.Join(t.TempDir(), "keys"), SignerOptions{})
	if err := d.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

// checkUsable proves that a node can start with the directory: there is a
// set, its active keys are held here, and keys.json is the newest version.
func checkUsable(t *testing.T, d KeyDir) {
	t.Helper()
	if err := d.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	set := history(t, d).Newest()
	for _, k := range set.Active() {
		reference, err := d.HeldAt(k.KeyID)
		if err != nil {
			t.Fatal(err)
		}
		s, err := OpenSigner(t.Context(), reference, SignerOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := set.MaySign(publicOf([]Signer{s})); err != nil && !strings.Contains(err.Error(), "only together") {
			t.Errorf("key held at %s: %v", reference, err)
		}
	}
	if one, err := LoadKeySet(d.Newest()); err != nil || one.Newest().Digest() != set.Digest() {
		t.Errorf("keys.json is %v, %v", one, err)
	}
	public, err := LoadPublicKeys(d.PublicFile())
	if err != nil {
		t.Fatal(err)
	}
	signs := slices.ContainsFunc(set.Active(), func(k VerdictKey) bool { return classical(k.Public) })
	if signs && set.Key(public[0].KeyID()).Status != KeyActive {
		t.Errorf("%s holds key %s, which signs no more", d.PublicFile(), public[0].KeyID())
	}
}

func names(t *testing.T, d KeyDir) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(d.dir.Path("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// TestFirstUse: whatever a process that was killed left of the first keys,
// the next one makes the rest, and never another key in place of one.
func TestFirstUse(t *testing.T) {
	whole := keyDir(t)
	checkUsable(t, whole)
	all := names(t, whole)
	if want := "assize.key assize.pub keys.1.json keys.json lock references.json root.key root.pub"; strings.Join(all, " ") != want {
		t.Fatalf("files %q, want %s", all, want)
	}
	order := []string{"assize.key", "assize.pub", "root.key", "root.pub", "references.json", "keys.1.json", "keys.json"}
	for left := range len(order) + 1 {
		d := NewKeyDir(t.TempDir(), SignerOptions{})
		for _, name := range order[:left] {
			data, err := os.ReadFile(whole.dir.Path(name))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(d.dir.Path(name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		checkUsable(t, d)
		if left > 0 && history(t, d).Newest().Keys[0].KeyID != history(t, whole).Newest().Keys[0].KeyID {
			t.Errorf("with %q there the key became another", order[:left])
		}
	}

	// A key that was lost is not replaced in silence.
	d := NewKeyDir(t.TempDir(), SignerOptions{})
	if err := os.Link(whole.dir.Path("assize.pub"), d.dir.Path("assize.pub")); err != nil {
		t.Fatal(err)
	}
	if err := d.Ensure(t.Context()); err == nil || !strings.Contains(err.Error(), "restore it from a backup") {
		t.Errorf("without the private half: %v", err)
	}
}

// TestUpgrade: the key of a directory from before there were key sets goes
// on, and so do its verdicts.
func TestUpgrade(t *testing.T) {
	d := NewKeyDir(t.TempDir(), SignerOptions{})
	k, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := k.WriteFiles(d.dir.Path("assize.key"), d.dir.Path("assize.pub"), "assize verdicts"); err != nil {
		t.Fatal(err)
	}
	checkUsable(t, d)
	set := history(t, d).Newest()
	if active := set.Active(); len(active) != 1 || active[0].KeyID != k.KeyID() || !active[0].From.IsZero() {
		t.Errorf("keys %+v", active)
	}
	if err := set.Check(set.Keys, time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), 0); err != nil {
		t.Errorf("a verdict from before the upgrade: %v", err)
	}
}

func TestKeyDirChanges(t *testing.T) {
	d := keyDir(t)
	step := func(set *KeySet, err error) *KeySet {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		checkUsable(t, d)
		return set
	}
	two := step(d.Rotate(t.Context(), nil, true, KeyChange{Reason: "hybrid"}))
	if len(two.Active()) != 2 || two.Keys[0].Status != KeyRetired || two.Keys[0].Reason != "hybrid" {
		t.Errorf("version 2: %+v", two.Keys)
	}
	// The root key leaves the machine, and is brought for each change.
	away := filepath.Join(t.TempDir(), "root.key")
	if err := os.Rename(d.dir.Path(rootKey), away); err != nil {
		t.Fatal(err)
	}
	before := names(t, d)
	if _, err := d.Rotate(t.Context(), nil, false, KeyChange{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("rotated without the root key: %v", err)
	}
	if after := names(t, d); strings.Join(after, " ") != strings.Join(before, " ") {
		t.Errorf("a rotation without the root key left %q, before %q", after, before)
	}
	brought := KeyChange{Roots: []string{away}, Reason: "x"}
	step(d.Revoke(t.Context(), two.Active()[0].KeyID, brought))

	// Three roots, two of which must sign.
	var roots []string
	for range 3 {
		file, err := NewKeyDir(t.TempDir(), SignerOptions{}).generate(GenerateKey)
		if err != nil {
			t.Fatal(err)
		}
		roots = append(roots, file)
	}
	step(d.Reroot(t.Context(), roots, 2, brought))
	before = names(t, d)
	for name, c := range map[string]KeyChange{"the old root": brought, "one of two": {Roots: roots[:1]}} {
		if set, err := d.Rotate(t.Context(), nil, false, c); !errors.Is(err, errNotAdded) {
			t.Errorf("%s rotated: %v, %v", name, set, err)
		}
	}
	if after := names(t, d); strings.Join(after, " ") != strings.Join(before, " ") {
		t.Errorf("rotations that were refused left %q, before %q", after, before)
	}
	// A key of the operator's, by reference.
	own, err := NewKeyDir(t.TempDir(), SignerOptions{}).generate(GenerateKey)
	if err != nil {
		t.Fatal(err)
	}
	five := step(d.Rotate(t.Context(), []string{own}, false, KeyChange{Roots: roots[1:], Lifetime: time.Hour}))
	if at, err := d.HeldAt(five.Active()[0].KeyID); err != nil || at != own || five.Expires.IsZero() {
		t.Errorf("key held at %s, %v, expires %s", at, err, five.Expires)
	}
	if _, err := d.Rotate(t.Context(), nil, false, KeyChange{Roots: roots[1:]}); err == nil || !strings.Contains(err.Error(), "for how long") {
		t.Errorf("a set with an end lost it in silence: %v", err)
	}
	if _, err := d.Init(t.Context(), []string{own}, 1, KeyChange{Roots: roots}); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("began anew: %v", err)
	}
	if _, err := d.Rotate(t.Context(), []string{own}, false, KeyChange{Roots: roots[1:], Lifetime: time.Hour}); !errors.Is(err, errNotAdded) {
		t.Errorf("rotated to the same key: %v", err)
	}
}

// TestTwoRotateAtOnce: each begins where another one ended, and none takes
// back what another one wrote.
func TestTwoRotateAtOnce(t *testing.T) {
	d := keyDir(t)
	const people, rotations = 2, 8
	var group errgroup.Group
	for range people {
		group.Go(func() error {
			for range rotations {
				// Another process would not share d either.
				if _, err := NewKeyDir(d.dir.Path("."), d.Options).Rotate(t.Context(), nil, false, KeyChange{}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	checkUsable(t, d)
	set := history(t, d).Newest()
	if set.Version != 1+people*rotations || len(set.Active()) != 1 {
		t.Errorf("version %d, %d active keys", set.Version, len(set.Active()))
	}
	for _, k := range set.Keys {
		if at, err := d.HeldAt(k.KeyID); err != nil {
			t.Error(err)
		} else if _, err := os.Stat(at); err != nil {
			t.Error(err)
		}
	}
}

// TestVerifyVerdictSaysWhichKind tells "it does not count" from "nothing says
// that it counts".
func TestVerifyVerdictSaysWhichKind(t *testing.T) {
	f := newFixture(t)
	d := keyDir(t)
	f.config.Keys, f.config.KeySet = nil, d.dir.Path(".")
	s, err := New(f.config, "0.1.0", f.bus, f.store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	attestor, err := s.signing.forDecision(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	verdict, _, err := attestor.Attest(t.Context(), *decisionOn(artifact(t, []byte("x"), nil), "allow"))
	if err != nil {
		t.Fatal(err)
	}
	envelope := string(verdict.Envelope)
	own := history(t, d).Newest()
	expiring, err := d.Rotate(t.Context(), nil, false, KeyChange{Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, envelope string
		set            *keyset.Set
		now            time.Time
		ok, untrusted  bool
	}{
		{"as it is", envelope, own, time.Now(), true, false},
		{"after a rotation", envelope, expiring, time.Now(), true, false},
		{"by an expired set", envelope, expiring, time.Now().Add(2 * time.Hour), false, true},
		{"by another set", envelope, history(t, keyDir(t)).Newest(), time.Now(), false, true},
		{"changed", strings.Replace(envelope, `"payload":"ey`, `"payload":"fy`, 1), own, time.Now(), false, false},
		{"no envelope", "{}", own, time.Now(), false, false},
	} {
		v, err := VerifyVerdict(c.set, []byte(c.envelope), c.now)
		if (err == nil) != c.ok || errors.Is(err, ErrUntrusted) != c.untrusted || c.ok && (v.Decision != "allow" || len(v.KeyIDs) != 1) {
			t.Errorf("%s: %+v, %v", c.name, v, err)
		}
	}
	key, other := own.Keys[0].Public, expiring.Keys[1].Public
	if v, err := VerifyVerdictBy(key, verdict.Envelope); err != nil || v.KeyIDs[0] != own.Keys[0].KeyID {
		t.Errorf("by the key: %+v, %v", v, err)
	}
	if _, err := VerifyVerdictBy(other, verdict.Envelope); err == nil || errors.Is(err, ErrUntrusted) {
		t.Errorf("by another key: %v", err)
	}
}
