package keyset

import (
	"errors"
	"slices"
	"testing"
	"time"

	"assize.dev/services/sign/internal/dsse"
	"assize.dev/services/sign/internal/dsse/dssetest"
)

// TestStep is TUF's rule as a matrix: who must have signed a version, and
// what it may follow.
func TestStep(t *testing.T) {
	a, b, c, x := dssetest.Ed25519("a"), dssetest.P256(t, "b"), dssetest.MLDSA(t, "c"), dssetest.Ed25519("x")
	d, err := First(public(a, b, c), 2, public(dssetest.Ed25519("k1")), Change{Now: start, Expires: start.Add(time.Hour)})
	one := sealedBy(t, d, err, a, b)
	rotate := func(s *Set, name string) *Draft {
		t.Helper()
		d, err := s.Rotate(public(dssetest.Ed25519(name)), Change{Now: start})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	two := sealedBy(t, rotate(one.Set, "k2"), nil, b, c)
	three := sealedBy(t, rotate(two.Set, "k3"), nil, a, c)
	fork := sealedBy(t, rotate(one.Set, "k2'"), nil, a, b)
	forkOn := sealedBy(t, rotate(fork.Set, "k3'"), nil, a, b)
	d, err = First(public(a, b, c), 2, public(dssetest.Ed25519("other")), Change{Now: start})
	otherFirst := sealedBy(t, d, err, a, b)

	// The roots a, b, c with threshold 2 become x, c with threshold 1.
	reroot, err := one.Reroot(public(x, c), 1, Change{Now: start})
	if err != nil {
		t.Fatal(err)
	}
	edited := func(edit func(*Set)) []byte {
		d := rotate(one.Set, "k2")
		d.set.Keys = slices.Clone(d.set.Keys)
		edit(&d.set)
		return signedAnyhow(t, d, a, b, c)
	}
	for _, step := range []struct {
		name string
		from *Set
		data []byte
		want error // nil: taken; errAny: any
	}{
		{"next", one.Set, two.data, nil},
		{"next, of an expired one", two.Set, three.data, nil},
		{"the same", one.Set, one.data, nil},
		{"the same, signed by others", one.Set, signedAnyhow(t, &Draft{set: *one.Set}, b, c), nil},
		{"all roots signed", one.Set, signedAnyhow(t, rotate(one.Set, "k2"), a, b, c), nil},
		{"a stranger signed too", one.Set, signedAnyhow(t, rotate(one.Set, "k2"), x, a, b), nil},

		{"rollback", two.Set, one.data, ErrRollback},
		{"gap", one.Set, three.data, ErrGap},
		{"fork of the same version", two.Set, fork.data, ErrFork},
		{"fork of the first", one.Set, otherFirst.data, ErrFork},
		{"next of a fork", two.Set, forkOn.data, ErrFork},
		{"one root of two", one.Set, signedAnyhow(t, rotate(one.Set, "k2"), a), dsse.ErrThreshold},
		{"one root and a stranger", one.Set, signedAnyhow(t, rotate(one.Set, "k2"), a, x), dsse.ErrThreshold},
		{"a verdict key", one.Set, signedAnyhow(t, rotate(one.Set, "k2"), dssetest.Ed25519("k1"), dssetest.Ed25519("k2")), dsse.ErrThreshold},

		{"new roots, by both", one.Set, signedAnyhow(t, reroot, a, b, x), nil},
		{"new roots, old and new through one key", one.Set, signedAnyhow(t, reroot, a, c), nil},
		{"new roots, by the old only", one.Set, signedAnyhow(t, reroot, a, b), dsse.ErrThreshold},
		{"new roots, by the new only", one.Set, signedAnyhow(t, reroot, x, c), dsse.ErrThreshold},
		{"new roots, by too few old", one.Set, signedAnyhow(t, reroot, a, x), dsse.ErrThreshold},

		{"a key is gone", one.Set, edited(func(s *Set) { s.Keys = s.Keys[1:] }), errAny},
		{"a key becomes active again", two.Set, func() []byte {
			d := rotate(two.Set, "k3")
			k := &d.set.Keys[0]
			k.Status, k.To = Active, time.Time{}
			return signedAnyhow(t, d, a, b)
		}(), errAny},
		{"an end moves on", two.Set, func() []byte {
			d := rotate(two.Set, "k3")
			d.set.Keys[0].To = start.AddDate(1, 0, 0)
			return signedAnyhow(t, d, a, b)
		}(), errAny},
		{"an end comes nearer", two.Set, func() []byte {
			d := rotate(two.Set, "k3")
			d.set.Keys[0].To = start.Add(-time.Hour)
			return signedAnyhow(t, d, a, b)
		}(), nil},
		{"a beginning moves", two.Set, func() []byte {
			d := rotate(two.Set, "k3")
			d.set.Keys[1].From = time.Time{}
			return signedAnyhow(t, d, a, b)
		}(), errAny},
		{"fewer signatures are needed", one.Set, edited(func(s *Set) { s.Keys[0].VerdictThreshold = 2 }), errAny},
		{"a key of another version", two.Set, func() []byte {
			d := rotate(two.Set, "k3")
			d.set.Keys[0].Since = 2
			return signedAnyhow(t, d, a, b)
		}(), errAny},
		{"a new key of an old version", one.Set, edited(func(s *Set) { s.Keys[1].Since = 1 }), errAny},
		{"not a set", one.Set, []byte("{}"), errAny},
	} {
		next, err := step.from.Next(step.data)
		switch {
		case step.want == nil && err != nil:
			t.Errorf("%s: %v", step.name, err)
		case step.want == errAny && err == nil, step.want != nil && step.want != errAny && !errors.Is(err, step.want):
			t.Errorf("%s: %v, %v, want %v", step.name, next, err, step.want)
		}
	}
	if s, err := one.Next(one.data); err != nil || s != one.Set {
		t.Errorf("the same version is %p, %v, want %p", s, err, one.Set)
	}
	if got := three.SignedBy(two.Set); !slices.Equal(got, []string{idOf(t, a), idOf(t, c)}) {
		t.Errorf("version 3 is signed by %q", got)
	}

	// What nobody would take is not even made.
	if s, _, err := Seal(t.Context(), rotate(one.Set, "k2"), a); !errors.Is(err, dsse.ErrThreshold) {
		t.Errorf("sealed by one root of two: %v, %v", s, err)
	}
	if s, _, err := Seal(t.Context(), reroot, a, b); !errors.Is(err, dsse.ErrThreshold) {
		t.Errorf("sealed by the old roots only: %v, %v", s, err)
	}
}

var errAny = errors.New("any error")

func TestChangesRefused(t *testing.T) {
	one := first(t)
	k1 := dssetest.Ed25519("k1")
	d, err := one.Revoke(idOf(t, k1), Change{Now: start, Reason: "lost"})
	two := sealedBy(t, d, err, root)
	for name, change := range map[string]func() (*Draft, error){
		"rotate to nothing":    func() (*Draft, error) { return one.Rotate(nil, Change{Now: start}) },
		"rotate to the same":   func() (*Draft, error) { return one.Rotate(public(k1), Change{Now: start}) },
		"rotate to a revoked":  func() (*Draft, error) { return two.Rotate(public(k1), Change{Now: start}) },
		"rotate to no key":     func() (*Draft, error) { return one.Rotate(public(dssetest.Signer{}), Change{Now: start}) },
		"revoke a stranger":    func() (*Draft, error) { return one.Revoke("SHA256:x", Change{Now: start, Reason: "x"}) },
		"revoke twice":         func() (*Draft, error) { return two.Revoke(idOf(t, k1), Change{Now: start, Reason: "x"}) },
		"revoke without words": func() (*Draft, error) { return one.Revoke(idOf(t, k1), Change{Now: start}) },
		"root of no kind":      func() (*Draft, error) { return one.Reroot(public(dssetest.Signer{}), 1, Change{Now: start}) },
	} {
		if _, err := change(); err == nil {
			t.Errorf("%s: drafted", name)
		}
	}
	// A root that signs verdicts, or signed them, is found when it is sealed.
	d, err = one.Rotate(public(root), Change{Now: start})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Seal(t.Context(), d, root); err == nil {
		t.Error("a root became a verdict key")
	}
}
