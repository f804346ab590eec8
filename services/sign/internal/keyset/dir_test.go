package keyset

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"assize.dev/services/sign/internal/dsse/dssetest"
)

// TestLoad reads directories as people have them.
func TestLoad(t *testing.T) {
	one := first(t)
	d, err := one.Rotate(public(dssetest.Ed25519("k2")), Change{Now: start})
	two := sealedBy(t, d, err, root)
	d, err = two.Rotate(public(dssetest.Ed25519("k3")), Change{Now: start})
	three := sealedBy(t, d, err, root)
	d, err = one.Rotate(public(dssetest.Ed25519("other")), Change{Now: start})
	fork := sealedBy(t, d, err, root)
	for _, c := range []struct {
		name  string
		files map[string][]byte
		want  []int // versions
		err   error
	}{
		{"all", map[string][]byte{"keys.1.json": one.data, "keys.2.json": two.data, "keys.3.json": three.data, "keys.json": three.data}, []int{1, 2, 3}, nil},
		{"keys.json only", map[string][]byte{"keys.json": two.data}, []int{2}, nil},
		{"numbered only", map[string][]byte{"keys.1.json": one.data, "keys.2.json": two.data}, []int{1, 2}, nil},
		{"from a later one", map[string][]byte{"keys.2.json": two.data, "keys.3.json": three.data}, []int{2, 3}, nil},
		{"keys.json is behind", map[string][]byte{"keys.1.json": one.data, "keys.2.json": two.data, "keys.json": one.data}, []int{1, 2}, nil},
		{"keys.json is ahead", map[string][]byte{"keys.1.json": one.data, "keys.json": two.data}, []int{1, 2}, nil},
		{"other files", map[string][]byte{"keys.1.json": one.data, "keys.02.json": nil, "keys.x.json": nil, ".keys.2.json.AB": nil, "assize.pub": nil}, []int{1}, nil},

		{"nothing", nil, nil, fs.ErrNotExist},
		{"gap", map[string][]byte{"keys.1.json": one.data, "keys.3.json": three.data}, nil, ErrGap},
		{"keys.json too far ahead", map[string][]byte{"keys.1.json": one.data, "keys.json": three.data}, nil, ErrGap},
		{"fork", map[string][]byte{"keys.1.json": one.data, "keys.2.json": fork.data, "keys.3.json": three.data}, nil, ErrFork},
		{"keys.json is a fork", map[string][]byte{"keys.1.json": one.data, "keys.2.json": two.data, "keys.json": fork.data}, nil, ErrFork},
		{"keys.json is from before", map[string][]byte{"keys.2.json": two.data, "keys.json": one.data}, nil, ErrRollback},
		{"wrong number", map[string][]byte{"keys.1.json": one.data, "keys.7.json": two.data}, nil, errAny},
		{"cut short", map[string][]byte{"keys.1.json": one.data[:99]}, nil, errAny},
		{"too large", map[string][]byte{"keys.json": make([]byte, 2<<20)}, nil, errAny},
	} {
		dir := t.TempDir()
		for name, data := range c.files {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		h, err := Load(dir)
		if c.err != nil {
			if err == nil || c.err != errAny && !errors.Is(err, c.err) {
				t.Errorf("%s: %v, %v, want %v", c.name, h, err, c.err)
			}
			continue
		}
		var got []int
		for _, s := range h {
			got = append(got, s.Version)
		}
		if err != nil || len(got) != len(c.want) || h.Newest().Version != c.want[len(c.want)-1] || got[0] != c.want[0] {
			t.Errorf("%s: versions %v, %v, want %v", c.name, got, err, c.want)
		}
	}

	file := filepath.Join(t.TempDir(), "any.json")
	if err := os.WriteFile(file, two.data, 0o600); err != nil {
		t.Fatal(err)
	}
	if h, err := Load(file); err != nil || h.Newest().digest != two.digest {
		t.Errorf("a file: %v, %v", h, err)
	}
	for from, want := range map[*Set]error{one.Set: nil, two.Set: nil, three.Set: ErrRollback, fork.Set: ErrFork} {
		if s, err := from.Follow(file); !errors.Is(err, want) || err == nil && s.digest != two.digest {
			t.Errorf("following a file from %s: %v, %v, want %v", from, s, err, want)
		}
	}
	if _, err := Load(file + ".not"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := one.Follow(file + ".not"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("following what is not there: %v", err)
	}
}

// errCrash ends a change as a kill would: after it nothing is written.
var errCrash = errors.New("killed")

// crashing is a disk that is there for so many steps. The step that it ends
// at happens or not, which nobody who is killed knows.
type crashing struct {
	osDisk
	left    *int
	happens bool
}

func (c crashing) step(do func() error) error {
	if *c.left < 0 {
		return errCrash
	}
	if *c.left--; *c.left < 0 {
		if c.happens {
			if err := do(); err != nil {
				return err
			}
		}
		return errCrash
	}
	return do()
}

func (c crashing) create(path string, data []byte, mode fs.FileMode) error {
	return c.step(func() error {
		if *c.left < 0 { // killed while it wrote
			data = data[:len(data)/2]
		}
		return c.osDisk.create(path, data, mode)
	})
}
func (c crashing) link(from, to string) error {
	return c.step(func() error { return c.osDisk.link(from, to) })
}
func (c crashing) rename(from, to string) error {
	return c.step(func() error { return c.osDisk.rename(from, to) })
}
func (c crashing) remove(path string) error {
	return c.step(func() error { return c.osDisk.remove(path) })
}
func (c crashing) syncDir(path string) error {
	return c.step(func() error { return c.osDisk.syncDir(path) })
}

// TestKilledWhileRotating: after a kill at any step there is the old set or
// the new one, every active key has a reference, and the next rotation works.
func TestKilledWhileRotating(t *testing.T) {
	k1, k2 := dssetest.Ed25519("k1"), dssetest.Ed25519("k2")
	one := first(t)
	d, err := one.Rotate(public(k2), Change{Now: start})
	two := sealedBy(t, d, err, root)
	change := func(d Dir) error {
		if err := d.Refer(map[string]string{idOf(t, k2): "k2.key"}); err != nil {
			return err
		}
		return d.Add(two.Set, two.data)
	}
	for _, happens := range []bool{false, true} {
		old, done := 0, false
		for steps := 0; !done; steps++ {
			dir := NewDir(t.TempDir())
			if err := dir.Refer(map[string]string{idOf(t, k1): "k1.key"}); err != nil {
				t.Fatal(err)
			}
			if err := dir.Add(one.Set, one.data); err != nil {
				t.Fatal(err)
			}
			left := steps
			err := change(Dir{dir.path, crashing{left: &left, happens: happens}})
			if done = err == nil; !done && !errors.Is(err, errCrash) {
				t.Fatalf("%d steps: %v", steps, err)
			}
			h, err := dir.Load()
			if err != nil {
				t.Fatalf("%d steps: %v", steps, err)
			}
			switch h.Newest().digest {
			case one.digest:
				old++
				if done {
					t.Error("nothing went wrong, and the old set is there")
				}
			case two.digest:
			default:
				t.Fatalf("%d steps: the set is %s", steps, h.Newest())
			}
			for _, k := range h.Newest().Active() {
				if r, err := dir.Reference(k.KeyID); err != nil || !strings.HasSuffix(r, ".key") {
					t.Errorf("%d steps: key %s is at %q, %v", steps, k.KeyID, r, err)
				}
			}
			// The node repairs keys.json when it starts.
			if err := dir.Publish(h.Newest()); err != nil {
				t.Fatalf("%d steps: %v", steps, err)
			}
			if s, err := Load(dir.Path(NewestFile)); err != nil || s.Newest().digest != h.Newest().digest {
				t.Errorf("%d steps: keys.json is %v, %v", steps, s, err)
			}
			draft, err := h.Newest().Rotate(public(dssetest.Ed25519("k3")), Change{Now: start})
			next := sealedBy(t, draft, err, root)
			if err := dir.Add(next.Set, next.data); err != nil {
				t.Errorf("%d steps: the next rotation: %v", steps, err)
			}
		}
		if old < 3 {
			t.Errorf("the old set was left %d times only: faults come too late", old)
		}
	}
}

// TestTwoAtOnce: of two who make the same version one is told.
func TestTwoAtOnce(t *testing.T) {
	dir := NewDir(t.TempDir())
	one := first(t)
	if err := dir.Add(one.Set, one.data); err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{nil, fs.ErrExist} {
		d, err := one.Rotate(public(dssetest.Ed25519(string(rune('a'+i)))), Change{Now: start})
		two := sealedBy(t, d, err, root)
		if err := dir.Add(two.Set, two.data); !errors.Is(err, want) {
			t.Errorf("%d: %v, want %v", i, err, want)
		}
	}
	h, err := dir.Load()
	if err != nil {
		t.Fatal(err)
	}
	for set, want := range map[*Set]bool{one.Set: true, h.Newest(): false} {
		if newer, err := dir.Newer(set); err != nil || newer != want {
			t.Errorf("newer than %s: %t, %v", set, newer, err)
		}
	}
	entries, err := os.ReadDir(dir.path)
	if err != nil || len(entries) != 3 {
		t.Errorf("%v, %v: want three files", entries, err)
	}
}

// TestLock: the second waits for the first, and not for longer than it is
// told to.
func TestLock(t *testing.T) {
	dir := NewDir(t.TempDir())
	unlock, err := dir.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := dir.Lock(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("locked twice: %v", err)
	}
	freed := make(chan struct{})
	locked := make(chan error)
	go func() {
		unlock, err := dir.Lock(t.Context())
		if err == nil {
			select {
			case <-freed:
			default:
				err = errors.New("locked before it was free")
			}
			unlock()
		}
		locked <- err
	}()
	close(freed)
	unlock()
	if err := <-locked; err != nil {
		t.Error(err)
	}
	if _, err := NewDir(dir.Path("not")).Lock(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("locked what is not there: %v", err)
	}
}

func TestReferences(t *testing.T) {
	dir := NewDir(t.TempDir())
	if r, err := dir.Reference("k"); err == nil {
		t.Errorf("a key nobody spoke of is at %q", r)
	}
	for _, add := range []map[string]string{{"a": "a.key", "b": "vault://transit/b"}, {"c": "/etc/c.key"}} {
		if err := dir.Refer(add); err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[string]string{"a": dir.Path("a.key"), "b": "vault://transit/b", "c": "/etc/c.key"} {
		if r, err := dir.Reference(id); err != nil || r != want {
			t.Errorf("%s is at %q, %v", id, r, err)
		}
	}
	if err := os.WriteFile(dir.Path(referencesFile), []byte(`{"a":"x","a":"y"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := dir.Reference("a"); err == nil {
		t.Errorf("a key in two places is at %q", r)
	}
	if err := dir.Refer(map[string]string{"d": "d.key"}); err == nil {
		t.Error("a broken file was written over")
	}
}
