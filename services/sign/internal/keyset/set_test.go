package keyset

import (
	"context"
	"crypto"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"assize.dev/services/sign/internal/dsse"
	"assize.dev/services/sign/internal/dsse/dssetest"
)

var start = time.Date(2026, 11, 22, 7, 33, 8, 0, time.UTC)

func idOf(t testing.TB, s dssetest.Signer) string {
	t.Helper()
	id, err := dsse.KeyID(s.Public())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func public(signers ...dssetest.Signer) []crypto.PublicKey {
	var all []crypto.PublicKey
	for _, s := range signers {
		all = append(all, s.Public())
	}
	return all
}

// sealed is a version and its file.
type sealed struct {
	*Set
	data []byte
}

func sealedBy(t testing.TB, d *Draft, err error, roots ...dssetest.Signer) sealed {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	s, data, err := Seal(context.Background(), d, roots...)
	if err != nil {
		t.Fatal(err)
	}
	return sealed{s, data}
}

// signedAnyhow signs a draft without asking whether anyone would take it.
func signedAnyhow(t testing.TB, d *Draft, roots ...dssetest.Signer) []byte {
	t.Helper()
	payload, err := json.Marshal(d.set)
	if err != nil {
		t.Fatal(err)
	}
	data, err := dsse.Seal(context.Background(), PayloadType, payload, roots...)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

var root = dssetest.Ed25519("root")

// first is version 1: one root, one key.
func first(t testing.TB) sealed {
	t.Helper()
	d, err := First(public(root), 1, public(dssetest.Ed25519("k1")), Change{Now: start})
	return sealedBy(t, d, err, root)
}

func TestParse(t *testing.T) {
	one := first(t)
	s, err := Parse(one.data)
	if err != nil {
		t.Fatal(err)
	}
	k1 := idOf(t, dssetest.Ed25519("k1"))
	if s.Version != 1 || s.Digest() != one.Digest() || len(s.Active()) != 1 || s.Active()[0].KeyID != k1 || s.Key("x") != nil ||
		!slices.Equal(s.SignedBy(nil), []string{idOf(t, root)}) {
		t.Errorf("%+v, signed by %q", s, s.SignedBy(nil))
	}
}

// TestParseRefuses: each edit makes a set that its roots signed and that is
// none all the same.
func TestParseRefuses(t *testing.T) {
	other, err := EncodePEM(dssetest.Ed25519("other").Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*Set){
		"version 0":            func(s *Set) { s.Version = 0 },
		"version too large":    func(s *Set) { s.Version, s.Previous = maxVersion+1, s.digest },
		"no previous":          func(s *Set) { s.Version = 2 },
		"previous of none":     func(s *Set) { s.Previous = s.digest },
		"no roots":             func(s *Set) { s.Roots = nil },
		"too many roots":       func(s *Set) { s.Roots = slices.Repeat(s.Roots, maxRoots+1) },
		"root twice":           func(s *Set) { s.Roots = slices.Repeat(s.Roots, 2) },
		"threshold 0":          func(s *Set) { s.Threshold = 0 },
		"threshold too high":   func(s *Set) { s.Threshold = 2 },
		"too many keys":        func(s *Set) { s.Keys = slices.Repeat(s.Keys, maxKeys+1) },
		"key twice":            func(s *Set) { s.Keys = slices.Repeat(s.Keys, 2) },
		"a root as key":        func(s *Set) { s.Keys[0].KeyID, s.Keys[0].PEM = s.Roots[0].KeyID, s.Roots[0].PEM },
		"key under other name": func(s *Set) { s.Keys[0].KeyID = s.Roots[0].KeyID + "x" },
		"name of other key":    func(s *Set) { s.Keys[0].PEM = other },
		"key in other form":    func(s *Set) { s.Keys[0].PEM += "\n" },
		"key with a title":     func(s *Set) { s.Keys[0].PEM = "# Name: x\n" + s.Keys[0].PEM },
		"no key":               func(s *Set) { s.Keys[0].PEM = "" },
		"another use":          func(s *Set) { s.Keys[0].Use = "tls" },
		"another status":       func(s *Set) { s.Keys[0].Status = "maybe" },
		"verdictThreshold 0":   func(s *Set) { s.Keys[0].VerdictThreshold = 0 },
		"verdictThreshold big": func(s *Set) { s.Keys[0].VerdictThreshold = maxThreshold + 1 },
		"no since":             func(s *Set) { s.Keys[0].Since = 0 },
		"since is yet to come": func(s *Set) { s.Keys[0].Since = 2 },
		"long reason":          func(s *Set) { s.Keys[0].Reason = strings.Repeat("x", maxReason+1) },
		"active with an end":   func(s *Set) { s.Keys[0].To = start },
		"retired, no end":      func(s *Set) { s.Keys[0].Status = Retired },
		"revoked, no time":     func(s *Set) { s.Keys[0].Status = Revoked },
		"active and revoked":   func(s *Set) { s.Keys[0].Revoked = start },
		"ends before it began": func(s *Set) { k := &s.Keys[0]; k.Status, k.From, k.To = Retired, start, start.Add(-1) },
	} {
		one := first(t)
		d := &Draft{set: *one.Set}
		edit(&d.set)
		if s, err := Parse(signedAnyhow(t, d, root)); err == nil {
			t.Errorf("%s: accepted %+v", name, s)
		}
	}
	payload := first(t).envelope.Payload
	for name, text := range map[string]string{
		"another member":  strings.Replace(string(payload), "{", `{"only":"npm",`, 1),
		"a name twice":    strings.Replace(string(payload), "{", `{"version":1,`, 1),
		"another case":    strings.Replace(string(payload), `"threshold"`, `"Threshold"`, 1),
		"white space":     " " + string(payload),
		"another order":   strings.Replace(string(payload), `"version":1,"threshold":1`, `"threshold":1,"version":1`, 1),
		"more behind it":  string(payload) + "{}",
		"time with zone":  strings.Replace(string(payload), `"threshold"`, `"expires":"yesterday","threshold"`, 1),
		"digest of none":  strings.Replace(string(payload), `"threshold"`, `"previous":"x","threshold"`, 1),
		"a list, no set":  "[" + string(payload) + "]",
		"nothing":         "",
		"null":            "null",
		"before since":    strings.Replace(string(payload), `,"since":1`, "", 1),
		"version is text": strings.Replace(string(payload), `"version":1`, `"version":"1"`, 1),
	} {
		if text == string(payload) {
			t.Fatalf("%s: nothing was changed", name)
		}
		data, err := dsse.Seal(t.Context(), PayloadType, []byte(text), root)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := Parse(data); err == nil {
			t.Errorf("%s: accepted %+v", name, s)
		}
	}
	data, err := dsse.Seal(t.Context(), dsse.PayloadType, payload, root)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(data); err == nil {
		t.Error("accepted with the payload type of a statement")
	}
	if _, err := Parse(signedAnyhow(t, &Draft{set: *first(t).Set}, dssetest.Ed25519("k1"))); err == nil {
		t.Error("accepted a set that a verdict key signed")
	}
	if _, err := Parse([]byte("{}")); err == nil {
		t.Error("accepted no envelope")
	}
}

func TestFresh(t *testing.T) {
	d, err := First(public(root), 1, public(dssetest.Ed25519("k1")), Change{Now: start, Expires: start.Add(time.Hour)})
	s := sealedBy(t, d, err, root)
	for after, fresh := range map[time.Duration]bool{0: true, time.Hour: true, time.Hour + 1: false} {
		if err := s.Fresh(start.Add(after)); (err == nil) != fresh {
			t.Errorf("after %s: %v", after, err)
		}
	}
	if err := first(t).Fresh(start.AddDate(100, 0, 0)); err != nil {
		t.Errorf("a set without an end: %v", err)
	}
}

// FuzzParse: what is accepted was signed by the root, and what is accepted
// says the same when it is written again. Every input is tried as it is and
// as a payload that the root did sign.
func FuzzParse(f *testing.F) {
	one := first(f)
	d, err := one.Rotate(public(dssetest.P256(f, "k2"), dssetest.MLDSA(f, "k3")), Change{Now: start, Reason: "hybrid"})
	two := sealedBy(f, d, err, root)
	d, err = two.Revoke(idOf(f, dssetest.Ed25519("k1")), Change{Now: start, Reason: "lost"})
	three := sealedBy(f, d, err, root)
	for _, s := range []sealed{one, two, three} {
		f.Add(s.data)
		f.Add(s.envelope.Payload)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		known := func(s *Set) bool {
			return slices.ContainsFunc([]sealed{one, two, three}, func(k sealed) bool { return k.digest == s.digest })
		}
		if s, err := Parse(data); err == nil && len(s.SignedBy(one.Set)) > 0 && s.SignedBy(one.Set)[0] == idOf(t, root) && !known(s) {
			t.Errorf("%s was never signed", s)
		}
		s, err := parsePayload(data)
		if err != nil {
			return
		}
		again, err := json.Marshal(s)
		if err != nil || string(again) != string(data) {
			t.Errorf("%q is written as %q, %v", data, again, err)
		}
		for _, k := range s.Keys {
			if id, err := dsse.KeyID(k.Public); err != nil || id != k.KeyID {
				t.Errorf("key %q is %s, %v", k.KeyID, id, err)
			}
		}
	})
}
