package keyset

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"assize.dev/services/sign/internal/dsse"
	"assize.dev/services/sign/internal/dsse/dssetest"
)

// TestVerdictsThroughTheYears follows a set through a rotation, the change to
// two keys, and a revocation, and asks of each version which verdicts count.
func TestVerdictsThroughTheYears(t *testing.T) {
	k1, k2, k3, quantum := dssetest.Ed25519("k1"), dssetest.P256(t, "k2"), dssetest.Ed25519("k3"), dssetest.MLDSA(t, "k3")
	year := func(n int) time.Time { return start.AddDate(n, 0, 0) }
	v1 := first(t)
	d, err := v1.Rotate(public(k2), Change{Now: year(1), Reason: "yearly"})
	v2 := sealedBy(t, d, err, root)
	d, err = v2.Rotate(public(k3, quantum), Change{Now: year(2)})
	v3 := sealedBy(t, d, err, root)
	d, err = v3.Revoke(idOf(t, k2), Change{Now: year(3), Reason: "the laptop was stolen"})
	v4 := sealedBy(t, d, err, root)

	for _, c := range []struct {
		name    string
		signers []dssetest.Signer
		at      time.Time
		version int
		ok      [5]bool // by version of the set
	}{
		{"k1 in its time", []dssetest.Signer{k1}, year(0), 1, [5]bool{1: true, 2: true, 3: true, 4: true}},
		{"k1 before there was a set", []dssetest.Signer{k1}, year(-5), 0, [5]bool{1: true, 2: true, 3: true, 4: true}},
		{"k1 while it retired", []dssetest.Signer{k1}, year(1).Add(skew), 1, [5]bool{1: true, 2: true, 3: true, 4: true}},
		{"k1 after it retired", []dssetest.Signer{k1}, year(1).Add(skew + 1), 1, [5]bool{1: true}},
		{"k2 in its time", []dssetest.Signer{k2}, year(1), 2, [5]bool{2: true, 3: true}},
		{"k2, decision had waited", []dssetest.Signer{k2}, year(1).Add(-waited), 2, [5]bool{2: true, 3: true}},
		{"k2 before its time", []dssetest.Signer{k2}, year(1).Add(-waited - 1), 2, [5]bool{}},
		{"k2 after its time", []dssetest.Signer{k2}, year(3), 2, [5]bool{2: true}},
		{"both keys", []dssetest.Signer{k3, quantum}, year(2), 3, [5]bool{3: true, 4: true}},
		{"classical key alone", []dssetest.Signer{k3}, year(2), 3, [5]bool{}},
		{"quantum key alone", []dssetest.Signer{quantum}, year(2), 3, [5]bool{}},
		{"another key in place of one", []dssetest.Signer{k3, k2}, year(3), 3, [5]bool{2: true}},
		{"a revoked key beside one that counts", []dssetest.Signer{k1, k2}, year(0).Add(time.Hour), 1, [5]bool{1: true, 2: true, 3: true, 4: true}},
		{"a newer set's verdict", []dssetest.Signer{k1}, year(0), 5, [5]bool{}},
		{"a stranger", []dssetest.Signer{dssetest.Ed25519("x")}, year(0), 1, [5]bool{}},
	} {
		envelope, err := dsse.Seal(t.Context(), dsse.PayloadType, []byte("{}"), c.signers...)
		if err != nil {
			t.Fatal(err)
		}
		for version, set := range map[int]*Set{1: v1.Set, 2: v2.Set, 3: v3.Set, 4: v4.Set} {
			payload, signers, err := set.Open(envelope)
			if err == nil {
				err = set.Check(signers, c.at, c.version)
			}
			// A version that is older than the verdict says so.
			want := c.ok[version] && c.version <= version
			if (err == nil) != want || err == nil && string(payload) != "{}" {
				t.Errorf("%s, by version %d: %v", c.name, version, err)
			}
			if known := set.Key(idOf(t, c.signers[0])) != nil; known && c.version > version && !errors.Is(err, ErrNewer) {
				t.Errorf("%s, by version %d: %v, want ErrNewer", c.name, version, err)
			}
		}
	}
}

// TestHalvesOfTwoPairs: after a rotation from one pair to the next the times
// of both overlap. A verdict counts by a whole pair only, whichever halves
// were broken or revoked, and in whatever order the signatures are.
func TestHalvesOfTwoPairs(t *testing.T) {
	ed1, ml1, ed2, ml2 := dssetest.Ed25519("1"), dssetest.MLDSA(t, "1"), dssetest.Ed25519("2"), dssetest.MLDSA(t, "2")
	d, err := First(public(root), 1, public(ed1, ml1), Change{Now: start})
	one := sealedBy(t, d, err, root)
	d, err = one.Rotate(public(ed2, ml2), Change{Now: start.AddDate(1, 0, 0)})
	two := sealedBy(t, d, err, root)
	revoke := func(k dssetest.Signer) *Set {
		d, err := two.Revoke(idOf(t, k), Change{Now: start.AddDate(1, 0, 1), Reason: "broken"})
		return sealedBy(t, d, err, root).Set
	}
	overlap := start.AddDate(1, 0, 0)
	before, after := overlap.Add(-waited-1), overlap.Add(skew+1)
	both := []*Set{two.Set, revoke(ml1), revoke(ed1), revoke(ml2), revoke(ed2)}
	for _, c := range []struct {
		name    string
		signers []dssetest.Signer
		at      time.Time
		ok      [5]bool // by the set of both
	}{
		{"first pair", []dssetest.Signer{ed1, ml1}, overlap, [5]bool{true, false, false, true, true}},
		{"second pair", []dssetest.Signer{ed2, ml2}, overlap, [5]bool{true, true, true, false, false}},
		{"classical halves", []dssetest.Signer{ed1, ed2}, overlap, [5]bool{}},
		{"quantum halves", []dssetest.Signer{ml1, ml2}, overlap, [5]bool{}},
		{"a half of each", []dssetest.Signer{ed1, ml2}, overlap, [5]bool{}},
		{"the other halves", []dssetest.Signer{ed2, ml1}, overlap, [5]bool{}},
		{"three", []dssetest.Signer{ed1, ed2, ml2}, overlap, [5]bool{true, true, true, false, false}},
		{"all four", []dssetest.Signer{ed1, ml1, ed2, ml2}, overlap, [5]bool{true, true, true, true, true}},
		{"all four before", []dssetest.Signer{ed1, ml1, ed2, ml2}, before, [5]bool{true, false, false, true, true}},
		{"all four after", []dssetest.Signer{ed1, ml1, ed2, ml2}, after, [5]bool{true, true, true, false, false}},
		{"first pair after", []dssetest.Signer{ed1, ml1}, after, [5]bool{}},
		{"second pair before", []dssetest.Signer{ed2, ml2}, before, [5]bool{}},
		{"one half", []dssetest.Signer{ed1}, overlap, [5]bool{}},
	} {
		for range 2 {
			envelope, err := dsse.Seal(t.Context(), dsse.PayloadType, []byte("{}"), c.signers...)
			if err != nil {
				t.Fatal(err)
			}
			for i, set := range both {
				_, signers, err := set.Open(envelope)
				if err == nil {
					err = set.Check(signers, c.at, 2)
				}
				if (err == nil) != c.ok[i] {
					t.Errorf("%s, by set %d: %v", c.name, i, err)
				}
			}
			slices.Reverse(c.signers)
		}
	}
}

func TestBefore(t *testing.T) {
	one := first(t)
	d, err := one.Rotate(public(dssetest.Ed25519("k2")), Change{Now: start})
	two := sealedBy(t, d, err, root)
	d, err = two.Revoke(idOf(t, dssetest.Ed25519("k2")), Change{Now: start, Reason: "lost"})
	three := sealedBy(t, d, err, root)
	for _, c := range []struct {
		set  *Set
		at   time.Time
		want bool
	}{
		{one.Set, time.Time{}, false},
		{two.Set, start.Add(-waited), false},
		{two.Set, start.Add(-waited - 1), true},
		{two.Set, start.AddDate(1, 0, 0), false},
		{three.Set, start.AddDate(-1, 0, 0), false}, // no key is active
	} {
		if got := c.set.Before(c.at); got != c.want {
			t.Errorf("%s is before version %d: %t", c.at, c.set.Version, got)
		}
	}
}

func TestOpen(t *testing.T) {
	one := first(t)
	k1, x := dssetest.Ed25519("k1"), dssetest.Ed25519("x")
	seal := func(signers ...dssetest.Signer) []byte {
		t.Helper()
		envelope, err := dsse.Seal(context.Background(), dsse.PayloadType, []byte("{}"), signers...)
		if err != nil {
			t.Fatal(err)
		}
		return envelope
	}
	bundle, err := dsse.Bundle(seal(k1))
	if err != nil {
		t.Fatal(err)
	}
	tampered := bytes.Replace(seal(k1), []byte(`"e30="`), []byte(`"W10="`), 1)
	for _, c := range []struct {
		name    string
		data    []byte
		ok      bool
		unknown bool // the set cannot say
	}{
		{"by a key of the set", seal(k1), true, false},
		{"bundle", bundle, true, false},
		{"a stranger signed too", seal(x, k1), true, false},
		{"by a stranger", seal(x), false, true},
		{"tampered", tampered, false, false},
		{"tampered and renamed", bytes.Replace(tampered, []byte(idOf(t, k1)), []byte(idOf(t, x)), 1), false, true},
		{"a stranger in our name", bytes.Replace(seal(x), []byte(idOf(t, x)), []byte(idOf(t, k1)), 1), false, false},
		{"a key set", one.data, false, false},
		{"nothing", nil, false, false},
	} {
		_, signers, err := one.Open(c.data)
		if (err == nil) != c.ok || errors.Is(err, ErrUnknownKey) != c.unknown || c.ok && (len(signers) != 1 || signers[0].KeyID != idOf(t, k1)) {
			t.Errorf("%s: %v, %v", c.name, signers, err)
		}
	}
}

// TestMaySign: a service signs only what those who have its key set accept.
func TestMaySign(t *testing.T) {
	k1, k2, quantum := dssetest.Ed25519("k1"), dssetest.Ed25519("k2"), dssetest.MLDSA(t, "k2")
	v1 := first(t)
	d, err := v1.Rotate(public(k2, quantum), Change{Now: start})
	v2 := sealedBy(t, d, err, root)
	d, err = v2.Revoke(idOf(t, quantum), Change{Now: start, Reason: "broken"})
	v3 := sealedBy(t, d, err, root)
	for _, c := range []struct {
		name string
		set  *Set
		keys []dssetest.Signer
		want string // of the error; "" for none
	}{
		{"the key", v1.Set, []dssetest.Signer{k1}, ""},
		{"both keys", v2.Set, []dssetest.Signer{k2, quantum}, ""},
		{"a stranger", v1.Set, []dssetest.Signer{k2}, "not in the key set"},
		{"the key and a stranger", v1.Set, []dssetest.Signer{k1, k2}, "not in the key set"},
		{"retired", v2.Set, []dssetest.Signer{k1}, "is retired"},
		{"one of two", v2.Set, []dssetest.Signer{k2}, "only together"},
		{"one twice", v2.Set, []dssetest.Signer{k2, k2}, "twice"},
		{"one is revoked", v3.Set, []dssetest.Signer{k2, quantum}, "is revoked"},
		{"the other is revoked", v3.Set, []dssetest.Signer{k2}, "only together"},
		{"none", v1.Set, nil, "no active key"},
		{"a key of no kind", v1.Set, []dssetest.Signer{{}}, "want an Ed25519"},
	} {
		keys, err := c.set.MaySign(public(c.keys...))
		if c.want == "" && (err != nil || len(keys) != len(c.keys)) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %d keys, %v", c.name, len(keys), err)
		}
	}
}
