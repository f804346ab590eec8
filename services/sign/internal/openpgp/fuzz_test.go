package openpgp

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func FuzzDetached(f *testing.F) {
	ed, other := edKey("signer", day0), edKey("other", day0)
	ring := parse(f, cert{key: ed}.packets())
	for _, s := range samples(f) {
		f.Add(s.sig)
		f.Add(armor("PGP SIGNATURE", s.sig))
	}
	f.Add(bytes.Repeat(other.sign(forged{created: at(1)}, artifact), 3))
	f.Fuzz(func(t *testing.T, sig []byte) {
		results := verify(t, ring, sig, artifact)
		if len(results) > MaxSignatures {
			t.Errorf("%d results", len(results))
		}
		for _, r := range results {
			checkPromises(t, r)
		}
		if again := verify(t, ring, sig, append(artifact[:len(artifact):len(artifact)], 'x')); again[0].Valid {
			t.Error("valid for another artifact")
		}
		Detect(sig)
	})
}

func FuzzInline(f *testing.F) {
	ed := edKey("signer", day0)
	ring := parse(f, cert{key: ed}.packets())
	good := forged{created: at(500)}
	message := onePassMessage(ed, good, artifact)
	for _, seed := range [][]byte{
		clearSigned(ed, good, "one\ntwo\n"), message, armor("PGP MESSAGE", message), compressed(0, message), compressed(1, message),
		compressed(2, message), literal(artifact), append(ed.sign(good, artifact), literal(artifact)...),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, artifact []byte) {
		results, err := VerifyInline(content(artifact), ring, received)
		if err != nil || len(results) == 0 {
			t.Fatalf("%+v, error %v", results, err)
		}
		for _, r := range results {
			checkPromises(t, r)
		}
	})
}

func FuzzKeyring(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s.ring)
	}
	f.Add(armor("PGP PUBLIC KEY BLOCK", cert{key: edKey("signer", day0)}.packets()))
	sig := edKey("signer", day0).sign(forged{created: at(500)}, artifact)
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := ParseKeyring(data)
		if err != nil {
			return
		}
		if k.Len()+len(k.Skipped()) == 0 {
			t.Error("nothing there and nothing skipped")
		}
		if Merge(k, k).Digest() != k.Digest() {
			t.Error("merged with itself it is another")
		}
		checkPromises(t, verify(t, k, sig, artifact)[0])
	})
}

func FuzzArch(f *testing.F) {
	a := newArch(vouchers(3, forged{}))
	f.Add([]byte(a.trusted), []byte(a.revoked), bytes.Join(a.ring, nil))
	f.Add([]byte(a.trusted), []byte("# x\r\n"+a.packager.fingerprint()), bytes.Join(a.ring, nil))
	f.Fuzz(func(t *testing.T, trusted, revoked, ring []byte) {
		k, err := archKeyring(ring, trusted, revoked)
		if err != nil {
			return
		}
		for _, m := range bytes.Split(trusted, []byte("\n")) {
			fingerprint, ok := strings.CutSuffix(strings.TrimSpace(string(m)), ":4:")
			if ok && slices.Contains(k.Fingerprints(), strings.ToUpper(fingerprint)) {
				t.Errorf("master key %s may sign", fingerprint)
			}
		}
	})
}
