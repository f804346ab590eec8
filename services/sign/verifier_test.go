package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"assize.dev/services/sign/internal/pspf/pspftest"
	"assize.dev/shared/blob"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
	"assize.dev/shared/evidence"
	"assize.dev/shared/realdata"
)

const filename = "demo-1.0.0.tgz"

func testKey(t testing.TB, seed string) *PrivateKey {
	t.Helper()
	k, err := KeyFromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func public(k *PrivateKey) PublicKey { return PublicKey{Key: k.Public()} }

// publicKey is a key file.
func publicKey(k *PrivateKey) []byte { return k.Public().(ed25519.PublicKey) }

func detachedBy(t testing.TB, k *PrivateKey, message []byte) []byte {
	t.Helper()
	signature, err := k.Sign(nil, message, crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// folder writes files, named by path, into a new directory.
func folder(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// trustOf trusts some keys and denies others.
func trustOf(t testing.TB, trusted []*PrivateKey, denied ...*PrivateKey) *Trust {
	t.Helper()
	files := map[string][]byte{}
	for i, k := range trusted {
		files[fmt.Sprint(i, ".pub")] = publicKey(k)
	}
	for i, k := range denied {
		files[fmt.Sprint("denied/", i, ".pub")] = publicKey(k)
	}
	trust, err := LoadTrust([]string{folder(t, files)})
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

func pspfPackage(t testing.TB, key *PrivateKey) []byte {
	t.Helper()
	return pspftest.Package{
		Name: "demo", Version: "1", Key: key, Launcher: []byte("#!"), SignLauncher: true,
		Slots: []pspftest.Slot{{ID: "x", Target: "{workenv}/x", Data: []byte("content of the slot")}},
	}.Build()
}

// analyse runs the verifier on bytes from a store, as the service does.
func analyse(t *testing.T, trust *Trust, level, format string, data []byte, signatures ...event.Attached) *event.Verification {
	t.Helper()
	store, err := blob.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d := digest.Of(data)
	if err := store.Create(t.Context(), blob.BlobKey(d), bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	v, err := NewVerifier(trust, VerifierOptions{Level: level})
	if err != nil {
		t.Fatal(err)
	}
	name := filename
	if format == "pspf" || bytes.HasSuffix(data, []byte("\xF0\x9F\xAA\x84")) {
		name = "demo.psp"
	}
	for i := range signatures {
		signatures[i].Name = strings.Replace(signatures[i].Name, filename, name, 1)
	}
	answer, err := v.Analyse(t.Context(), evidence.Input{
		Artifact: event.Artifact{Digest: d, Size: int64(len(data)), Format: format, Filename: name, Signatures: signatures},
		Bytes:    func(ctx context.Context) (*blob.File, error) { return blob.Fetch(ctx, store, blob.BlobKey(d), d) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if answer.Status != event.Complete || answer.Basis["keys"] != trust.Digest().String() || answer.Basis["level"] == "" ||
		answer.Verification.Signatures == nil || len(answer.Findings) != 0 {
		t.Errorf("answer: %+v", answer)
	}
	return answer.Verification
}

func TestPSPF(t *testing.T) {
	trusted, denied, stranger := testKey(t, "trusted"), testKey(t, "denied"), testKey(t, "stranger")
	trust := trustOf(t, []*PrivateKey{trusted, denied}, denied)
	replaced := bytes.Replace(pspfPackage(t, trusted), []byte("content of"), []byte("virus in  "), 1)
	unsigned := pspftest.Package{Name: "demo", Launcher: []byte("#!")}.Build()
	for _, c := range []struct {
		name, level, format string
		data                []byte
		result              string
		valid               bool
		trust, signer       string
	}{
		{"trusted", "", "pspf", pspfPackage(t, trusted), event.Pass, true, event.Trusted, public(trusted).Fingerprint()},
		{"detected", "", "unknown", pspfPackage(t, trusted), event.Pass, true, event.Trusted, public(trusted).Fingerprint()},
		{"unknown key", "", "pspf", pspfPackage(t, stranger), event.Undetermined, true, event.UnknownTrust, public(stranger).Fingerprint()},
		{"denied key", "", "pspf", pspfPackage(t, denied), event.Fail, true, event.Denied, public(denied).Fingerprint()},
		{"slot replaced", "", "pspf", replaced, event.Fail, false, event.UnknownTrust, public(trusted).Fingerprint()},
		{"slot replaced, not looked at", "standard", "pspf", replaced, event.Pass, true, event.Trusted, public(trusted).Fingerprint()},
		{"unsigned", "", "pspf", unsigned, event.Fail, false, event.UnknownTrust, ""},
		{"said to be, but cut", "", "pspf", pspfPackage(t, trusted)[:5000], event.Fail, false, event.UnknownTrust, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := analyse(t, trust, c.level, c.format, c.data)
			if v.Result != c.result || len(v.Signatures) != 1 || len(v.Checks) == 0 || v.Level == "" {
				t.Fatalf("verification: %+v", v)
			}
			s := v.Signatures[0]
			if s.Kind != "pspf" || s.Valid != c.valid || s.Trust != c.trust || s.Signer != c.signer || (s.Reason == "") != (c.valid && c.trust != event.Denied) {
				t.Errorf("signature: %+v", s)
			}
		})
	}
	if _, err := NewVerifier(trust, VerifierOptions{Level: "none"}); err == nil {
		t.Error("level none is accepted")
	}
}

func TestDetached(t *testing.T) {
	trusted, denied, stranger := testKey(t, "trusted"), testKey(t, "denied"), testKey(t, "stranger")
	trust := trustOf(t, []*PrivateKey{trusted, testKey(t, "another")}, denied)
	data := bytes.Repeat([]byte("0123456789abcdef"), 40_000) // more than one buffer
	by := func(k *PrivateKey, message []byte) []byte { return detachedBy(t, k, message) }
	raw := by(trusted, data)
	file := func(suffix string, content []byte) event.Attached {
		return event.Attached{Name: filename + suffix, Data: content}
	}
	const valid, unknown, unsupported = "ed25519 valid", "ed25519", "unsupported"
	for _, c := range []struct {
		name   string
		files  []event.Attached
		result string
		kinds  []string
	}{
		{"none", nil, event.Undetermined, nil},
		{"raw", []event.Attached{file(".ed25519", raw)}, event.Pass, []string{valid}},
		{"raw .sig", []event.Attached{file(".sig", raw)}, event.Pass, []string{valid}},
		{"base64", []event.Attached{file(".sig", []byte(base64.StdEncoding.EncodeToString(raw)+"\n"))}, event.Pass, []string{valid}},
		{"hex", []event.Attached{file(".ed25519", []byte(hex.EncodeToString(raw)))}, event.Pass, []string{valid}},
		{"in a folder", []event.Attached{{Name: "sigs/" + filename + ".sig", Data: raw}}, event.Pass, []string{valid}},
		{"of other bytes", []event.Attached{file(".sig", by(trusted, data[1:]))}, event.Fail, []string{unknown}},
		{"unknown key", []event.Attached{file(".sig", by(stranger, data))}, event.Fail, []string{unknown}},
		{"unknown and trusted", []event.Attached{file(".sig", by(stranger, data)), file(".ed25519", raw)}, event.Pass, []string{unknown, valid}},
		{"denied key", []event.Attached{file(".sig", by(denied, data))}, event.Fail, []string{valid}},
		{"denied and trusted", []event.Attached{file(".sig", by(denied, data)), file(".ed25519", raw)}, event.Fail, []string{valid, valid}},
		{"malformed", []event.Attached{file(".ed25519", raw[:63])}, event.Fail, []string{unsupported}},
		{"malformed and trusted", []event.Attached{file(".ed25519", nil), file(".sig", raw)}, event.Fail, []string{unsupported, valid}},
		{"no kind of .sig", []event.Attached{file(".sig", raw[:63])}, event.Fail, []string{unsupported}},
		{"empty .sig", []event.Attached{file(".sig", nil)}, event.Fail, []string{unsupported}},
		{"OpenPGP cut", []event.Attached{file(".asc", []byte("-----BEGIN PGP SIGNATURE-----"))}, event.Fail, []string{"openpgp"}},
		{"no signature by its name", []event.Attached{file(".txt", raw[:63]), file(".ed25519", raw)}, event.Pass, []string{unsupported, valid}},
		{"of another file", []event.Attached{{Name: "other.tgz.sig", Data: raw}}, event.Undetermined, []string{unsupported}},
		{"of the name alone", []event.Attached{{Name: filename, Data: raw}}, event.Undetermined, []string{unsupported}},
		{"without a dot", []event.Attached{{Name: filename + "sig", Data: raw}}, event.Undetermined, []string{unsupported}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := analyse(t, trust, "", "npm", data, c.files...)
			var kinds []string
			for _, s := range v.Signatures {
				kind := s.Kind
				if s.Valid {
					kind += " valid"
				}
				kinds = append(kinds, kind)
				if (s.Valid && s.Trust != event.Denied) != (s.Reason == "") || s.Valid != (s.Signer != "") || (!s.Valid && s.Trust != event.UnknownTrust) {
					t.Errorf("signature: %+v", s)
				}
			}
			if v.Result != c.result || strings.Join(kinds, ",") != strings.Join(c.kinds, ",") {
				t.Errorf("result %s, signatures %q; want %s, %q", v.Result, kinds, c.result, c.kinds)
			}
		})
	}

	// A package that signs itself may also be signed beside.
	self := pspfPackage(t, stranger)
	if v := analyse(t, trust, "", "pspf", self, file(".sig", by(trusted, self))); v.Result != event.Pass || len(v.Signatures) != 2 {
		t.Errorf("PSPF by an unknown and a file by a trusted key: %+v", v)
	}
	self[len(self)-8201] ^= 1 // the last byte of the last slot
	if v := analyse(t, trust, "", "pspf", self, file(".sig", by(trusted, self))); v.Result != event.Fail {
		t.Errorf("a damaged PSPF, signed beside: %+v", v)
	}
}

func TestUnreadableArtifactIsNoVerdict(t *testing.T) {
	v, err := NewVerifier(&Trust{}, VerifierOptions{})
	if err != nil {
		t.Fatal(err)
	}
	outage := errors.New("the store is away")
	answer, err := v.Analyse(t.Context(), evidence.Input{Bytes: func(context.Context) (*blob.File, error) { return nil, outage }})
	if answer != nil || !errors.Is(err, outage) {
		t.Errorf("answer %+v, %v", answer, err)
	}
}

// TestRealPackages uses packages of FlavorPack's builders.
func TestRealPackages(t *testing.T) {
	root := realdata.Dir(t)
	read := func(path ...string) []byte {
		data, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	trust, err := LoadTrust([]string{filepath.Join(root, "pspf", "keys")})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"valid/go-raw-seed": event.Pass, "valid/go-codecs-seed": event.Pass, "valid/py-explicit-pagealigned": event.Pass,
		"evil/dotdot": event.Pass, "evil/bomb": event.Pass,
		"corrupt/wrongkey-resigned": event.Undetermined, "corrupt/attack-slot0-replaced-tablefixed": event.Fail,
		"corrupt/trunc-half": event.Fail, "corrupt/meta-body": event.Fail,
	} {
		if v := analyse(t, trust, "", "pspf", read("pspf", filepath.FromSlash(name)+".psp")); v.Result != want {
			t.Errorf("%s: %s, want %s: %+v", name, v.Result, want, v)
		}
	}
}
