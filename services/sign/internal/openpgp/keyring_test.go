package openpgp

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestParseKeyring(t *testing.T) {
	ed, other := edKey("signer", day0), edKey("other", day0)
	a, b := cert{key: ed}.packets(), cert{key: other}.packets()
	secret := bytes.Clone(a)
	secret[0] = 0x80 | tagSecretKey<<2 | 1
	v3 := pkt(6, append([]byte{3, 0, 0, 0, 0, 0, 0, 1}, bytes.Repeat(mpi(bytes.Repeat([]byte{0x81}, 128)), 2)...))
	unknownAlgorithm := pkt(6, []byte{4, 0, 0, 0, 0, 99, 1, 2, 3})
	block := armor("PGP PUBLIC KEY BLOCK", a)
	cases := []struct {
		name    string
		data    []byte
		keys    int
		skipped string
		err     string
	}{
		{"one", a, 1, "", ""},
		{"two", append(bytes.Clone(a), b...), 2, "", ""},
		{"one twice", append(bytes.Clone(a), a...), 1, "", ""},
		{"armored", block, 1, "", ""},
		{"two blocks", append(bytes.Clone(block), armor("PGP PUBLIC KEY BLOCK", b)...), 2, "", ""},
		{"block with text around", slices.Concat([]byte("pub ed25519\n-----------\n\n"), block, []byte("\nthe end")), 1, "", ""},
		{"block without headers or checksum", bytes.Replace(bytes.Replace(block, []byte("Comment: from a test\r\n"), nil, 1), []byte("=AAAA\r\n"), nil, 1), 1, "", ""},
		{"version 3 key skipped", append(v3, a...), 1, "unsupported key", ""},
		{"unknown algorithm skipped", append(unknownAlgorithm, a...), 1, "public key type: 99", ""},
		{"RSA 1024 skipped", append(cert{key: rsaKey(t, 1024, day0)}.packets(), a...), 1, "less than 2048 bits", ""},
		{"SHA-1 self-signature skipped", append(cert{key: other, self: forged{hash: crypto.SHA1}}.packets(), a...), 1, "SHA-1, which is no longer safe", ""},
		{"RSA that lies about its length", append(longRSA(t), a...), 1, "less than 2048 bits", ""},
		{"empty", nil, 0, "", "neither packets nor an armored block"},
		{"text", []byte("hello\n"), 0, "", "neither packets nor an armored block"},
		{"truncated", a[:len(a)-1], 0, "", "truncated"},
		{"truncated block", block[:len(block)-30], 0, "", "armored block"},
		{"block with a damaged begin", bytes.Replace(block, []byte("-----BEGIN PGP"), []byte("-----BEGIN PGQ"), 1), 0, "", "should begin"},
		{"block with a lost begin", bytes.Replace(block, []byte("-----BEGIN"), []byte("BEGIN"), 1), 0, "", "should begin"},
		{"block with a damaged end", bytes.Replace(block, []byte("-----END PGP"), []byte("-----END PGQ"), 1), 0, "", "should end"},
		{"block with data after padding", bytes.Replace(block, []byte("=AAAA"), []byte("AA==\r\n\r\nAAAA"), 1), 0, "", "after the end of base64"},
		{"block without an empty line", bytes.Replace(block, []byte("\r\n\r\n"), []byte("\r\n"), 1), 0, "", "no empty line"},
		{"block with bad base64", bytes.Replace(block, []byte("=AAAA"), []byte("!!!!"), 1), 0, "", "base64"},
		{"junk after", append(bytes.Clone(a), "junk"...), 0, "", "begins no packet"},
		{"private key", secret, 0, "", "private key"},
		{"armored private key", armor("PGP PRIVATE KEY BLOCK", a), 0, "", "private key"},
		{"signature", ed.sign(forged{created: at(1)}, artifact), 0, "", "begins with a packet of type 2"},
		{"armored signature", armor("PGP SIGNATURE", ed.sign(forged{created: at(1)}, artifact)), 0, "", "should begin"},
		{"literal in it", append(bytes.Clone(a), literal(nil)...), 0, "", "packet of type 11"},
		{"malformed key", pkt(6, ed.body[:20]), 0, "", "malformed key"},
		{"key with bytes too many", pkt(6, append(bytes.Clone(ed.body), 0)), 0, "", "malformed key"},
		{"malformed subkey", append(bytes.Clone(a), pkt(14, ed.body[:20])...), 0, "", "malformed key"},
		{"user ids without end", append(bytes.Clone(a), manyUsers(maxParts)...), 0, "", "more than 1000 user ids"},
		{"signatures without end", append(bytes.Clone(a), bytes.Repeat(pkt(2, []byte{4}), maxPartSignatures)...), 0, "", "more than 20000 signatures"},
		{"own signatures without end", append(bytes.Clone(a), bytes.Repeat(pkt(2, cert{key: ed}.selfSig().overUser(ed, ed, "x")), maxOwnSignatures)...), 0, "more than 2000 signatures", ""},
		{"certificates without end", bytes.Repeat(pkt(6, []byte{4}), MaxCertificates+1), 0, "", "more than 20000 certificates"},
		{"keybox", append([]byte{0, 0, 0, 32, 1, 1, 0, 2}, "KBXf and more"...), 0, "", "gpg --export"},
		{"large", make([]byte, MaxKeyring+1), 0, "", "at most 67108864"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			k, err := ParseKeyring(c.data)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			skipped := strings.Join(k.Skipped(), "\n")
			if k.Len() != c.keys || (skipped == "") != (c.skipped == "") || !strings.Contains(skipped, c.skipped) {
				t.Errorf("%d certificates, skipped %q, want %d and %q", k.Len(), skipped, c.keys, c.skipped)
			}
		})
	}
}

// longRSA is a key of 1024 bits with 128 leading zeros in its modulus.
func longRSA(t *testing.T) []byte {
	k := *rsaKey(t, 1024, day0)
	short := mpi(k.private.Public().(*rsa.PublicKey).N.Bytes())
	long := append([]byte{0x08, 0x00}, append(make([]byte, 128), short[2:]...)...)
	k.body = bytes.Replace(k.body, short, long, 1)
	return cert{key: &k}.packets()
}

func manyUsers(n int) (packets []byte) {
	for i := range n {
		packets = append(packets, pkt(13, []byte{byte(i), byte(i >> 8)})...)
	}
	return packets
}

// TestEveryKeyringByte: a keyring with a byte changed is an error, or says
// what it skipped, or still holds the certificate; it never changes in silence.
func TestEveryKeyringByte(t *testing.T) {
	ed, sub := edKey("signer", day0), edKey("subkey", at(10))
	data := cert{key: ed, after: [][]byte{boundSubkey(ed, sub, forged{hashed: [][]byte{maySign, backSig(ed, sub, forged{})}})}}.packets()
	good := parse(t, data)
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 0x04
		k, err := ParseKeyring(bad)
		if err == nil && len(k.Skipped()) == 0 && k.Len() != good.Len() {
			t.Errorf("byte %d: %d certificates and nothing skipped", i, k.Len())
		}
		k, err = ParseKeyring(data[:i])
		if err == nil && len(k.Skipped()) == 0 && k.Len() != good.Len() {
			t.Errorf("%d bytes: %d certificates and nothing skipped", i, k.Len())
		}
	}
}

func TestMerge(t *testing.T) {
	ed, other := edKey("signer", day0), edKey("other", day0)
	sig := ed.sign(forged{created: at(500)}, artifact)
	a, b := parse(t, cert{key: ed}.packets()), parse(t, cert{key: other}.packets())
	revocation := forged{typ: 0x20, created: at(1000), hashed: [][]byte{reasonFor(2)}}
	revoked := parse(t, cert{key: ed, primary: [][]byte{revocation.by(ed, ed.hashedAs())}}.packets())
	damaged := parse(t, cert{key: ed, primary: [][]byte{revocation.by(ed, other.hashedAs())}}.packets())
	both := Merge(a, b)
	want := []string{ed.fingerprint(), other.fingerprint()}
	slices.Sort(want)
	if got := both.Fingerprints(); !slices.Equal(got, want) || both.Len() != 2 {
		t.Errorf("fingerprints %q, want %q", got, want)
	}
	verify1(t, both, sig, artifact, "valid")
	verify1(t, Merge(a, revoked), sig, artifact, "compromised")
	verify1(t, Merge(revoked, b, a), sig, artifact, "compromised")
	verify1(t, Merge(a, damaged), sig, artifact, "stranger")
	verify1(t, Merge(damaged, nil, a), sig, artifact, "stranger")
	if s := Merge(damaged, a).Skipped(); len(s) != 1 || !strings.Contains(s[0], "cannot be verified") {
		t.Errorf("skipped %q", s)
	}

	digests := map[string]string{}
	for name, k := range map[string]*Keyring{"a": a, "b": b, "both": both, "revoked": revoked, "none": nil} {
		if other, again := digests[k.Digest()]; again || !strings.HasPrefix(k.Digest(), "sha256:") {
			t.Errorf("%s and %s have digest %s", name, other, k.Digest())
		}
		digests[k.Digest()] = name
	}
	for name, k := range map[string]*Keyring{
		"reversed": Merge(b, a), "again": Merge(both, a), "parsed": parse(t, cert{key: other}.packets(), cert{key: ed}.packets()),
		"armored": parse(t, armor("PGP PUBLIC KEY BLOCK", slices.Concat(cert{key: ed}.packets(), cert{key: other}.packets()))),
	} {
		if k.Digest() != both.Digest() {
			t.Errorf("%s: another digest", name)
		}
	}
	if Merge().Digest() != (*Keyring)(nil).Digest() || Merge().Len() != 0 || (*Keyring)(nil).Skipped() != nil {
		t.Error("empty keyrings differ")
	}
}

// TestSameUserTwice: what is said of one user id in two places is all said.
func TestSameUserTwice(t *testing.T) {
	ed := edKey("signer", day0)
	c := cert{key: ed, user: [][]byte{forged{typ: 0x30, created: at(400)}.overUser(ed, ed, cert{key: ed}.id())}}
	again := slices.Concat(pkt(13, []byte(c.id())), pkt(2, c.selfSig().overUser(ed, ed, c.id())))
	ring := parse(t, append(c.packets(), again...))
	verify1(t, ring, ed.sign(forged{created: at(500)}, artifact), artifact, "no valid self-signature")
	verify1(t, ring, ed.sign(forged{created: at(300)}, artifact), artifact, "valid")
}

// TestAnyOrder: what a verification says does not depend on those before it.
func TestAnyOrder(t *testing.T) {
	ed := edKey("signer", day0)
	ring := parse(t, cert{key: ed, user: [][]byte{forged{typ: 0x30, created: at(400)}.overUser(ed, ed, cert{key: ed}.id())}}.packets())
	early, late := ed.sign(forged{created: at(300)}, artifact), ed.sign(forged{created: at(500)}, artifact)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range 20 {
				verify1(t, ring, early, artifact, "valid")
				verify1(t, ring, late, artifact, "no valid self-signature")
			}
		})
	}
	wait.Wait()
}

// TestSharedKey: two certificates with one key, each is tried.
func TestSharedKey(t *testing.T) {
	signing := edKey("subkey", at(10))
	first, second := edKey("first", day0), edKey("second", day0)
	bound := func(k *testKey, f forged) []byte {
		f.hashed = append([][]byte{maySign, backSig(k, signing, forged{})}, f.hashed...)
		return cert{key: k, after: [][]byte{boundSubkey(k, signing, f)}}.packets()
	}
	for _, file := range [][]byte{
		slices.Concat(bound(first, forged{hashed: [][]byte{keyExpires(oneDay)}}), bound(second, forged{})),
		slices.Concat(bound(second, forged{}), bound(first, forged{hashed: [][]byte{keyExpires(oneDay)}})),
	} {
		ring := parse(t, file)
		results := verify(t, ring, signing.sign(forged{created: at(500)}, artifact), artifact)
		if check(t, results[0], "valid"); results[0].Signer != second.fingerprint() {
			t.Errorf("signer %s", results[0].Signer)
		}
	}
}

// TestSharedKeyOrder: of two certificates that both may sign with one key, the
// same is named every time, whatever the order of files and rings.
func TestSharedKeyOrder(t *testing.T) {
	signing := edKey("subkey", at(10))
	var rings []*Keyring
	first := ""
	for _, name := range []string{"a", "b", "c", "d"} {
		k := edKey(name, day0)
		rings = append(rings, parse(t, cert{key: k, after: [][]byte{boundSubkey(k, signing, forged{hashed: [][]byte{maySign, backSig(k, signing, forged{})}})}}.packets()))
		if first == "" || k.fingerprint() < first {
			first = k.fingerprint()
		}
	}
	sig := signing.sign(forged{created: at(500)}, artifact)
	for i := range 20 {
		rings = append(rings[1:], rings[0])
		if i%2 == 1 {
			slices.Reverse(rings)
		}
		if r := verify(t, Merge(rings...), sig, artifact)[0]; !r.Valid || r.Signer != first {
			t.Fatalf("%+v, want %s", r, first)
		}
	}
}

func TestSkippedIsExplained(t *testing.T) {
	ed := edKey("signer", day0)
	ring := parse(t, cert{key: ed, self: forged{hash: crypto.SHA1}}.packets())
	r := verify(t, ring, ed.sign(forged{created: at(500)}, artifact), artifact)[0]
	if check(t, r, "stranger"); !strings.Contains(r.Reason, "skipped") || !strings.Contains(r.Reason, "SHA-1") {
		t.Errorf("reason %q", r.Reason)
	}
}

func TestLoadKeyring(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a, b, c := cert{key: edKey("a", day0)}.packets(), cert{key: edKey("b", day0)}.packets(), cert{key: edKey("c", day0)}.packets()
	write("good/a.gpg", a)
	write("good/b.asc", armor("PGP PUBLIC KEY BLOCK", b))
	write("good/c.pgp", c)
	write("good/README", []byte("not a keyring"))
	bad := write("bad/a.key", a[:len(a)-1])
	write("bad/b.gpg", b)
	write("empty/README", nil)
	write("stray/a.gpg", a)
	write("stray/other-trusted", nil)
	write("half/arch.gpg", a)
	write("half/arch-trusted", nil)
	good := filepath.Join(dir, "good")
	for _, c := range []struct {
		paths []string
		keys  int
		err   []string // parts of it
	}{
		{nil, 0, nil},
		{[]string{good}, 3, nil},
		{[]string{filepath.Join(good, "a.gpg"), good}, 3, nil},
		{[]string{filepath.Join(dir, "bad")}, 0, []string{bad, "truncated"}},
		{[]string{good, bad}, 0, []string{bad, "truncated"}},
		{[]string{filepath.Join(dir, "empty")}, 0, []string{"empty"}},
		{[]string{filepath.Join(dir, "missing")}, 0, []string{"missing"}},
		{[]string{filepath.Join(dir, "stray")}, 0, []string{"other-trusted without other.gpg"}},
		{[]string{filepath.Join(dir, "half")}, 0, []string{"Arch's rule", "arch-revoked"}},
		{[]string{filepath.Join(dir, "half/arch.gpg")}, 0, []string{"Arch's rule", "arch-revoked"}},
		{[]string{filepath.Join(dir, "good/a")}, 0, []string{"Arch's rule", "a-trusted"}},
	} {
		k, err := LoadKeyring(c.paths...)
		if c.err == nil {
			if err != nil || k.Len() != c.keys {
				t.Errorf("%q: %d certificates, error %v", c.paths, k.Len(), err)
			}
			continue
		}
		for _, part := range c.err {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%q: error %v, want %q", c.paths, err, part)
			}
		}
	}
}

func TestDetect(t *testing.T) {
	ed := edKey("signer", day0)
	sig := ed.sign(forged{created: at(1)}, artifact)
	for name, c := range map[string]struct {
		head []byte
		want Form
	}{
		"armored signature": {armor("PGP SIGNATURE", sig), ArmoredSignature},
		"after empty lines": {append([]byte("\r\n \n"), armor("PGP SIGNATURE", sig)...), ArmoredSignature},
		"signature":         {sig, BinarySignature},
		"armored keyring":   {armor("PGP PUBLIC KEY BLOCK", sig), ArmoredKeyring},
		"private key":       {armor("PGP PRIVATE KEY BLOCK", sig), ArmoredKeyring},
		"keyring":           {cert{key: ed}.packets(), BinaryKeyring},
		"clear-signed":      {clearSigned(ed, forged{created: at(1)}, "x\n"), ClearSigned},
		"armored message":   {armor("PGP MESSAGE", sig), ArmoredMessage},
		"message":           {onePassMessage(ed, forged{created: at(1)}, artifact), BinaryMessage},
		"literal":           {literal(artifact), BinaryMessage},
		"compressed":        {compressed(2, artifact), BinaryMessage},
		"encrypted":         {pkt(18, []byte{1, 2, 3}), BinaryMessage},
		"encrypted to key":  {pkt(1, []byte{3, 2, 3}), BinaryMessage},
		"with passphrase":   {pkt(3, []byte{4, 2, 3}), BinaryMessage},
		"empty":             {nil, None},
		"one byte":          {[]byte{0x88}, None},
		"text":              {[]byte("hello"), None},
		"other armor":       {[]byte("-----BEGIN CERTIFICATE-----\n"), None},
		"gzip":              {[]byte{0x1f, 0x8b, 8, 0}, None},
		"zip":               {[]byte("PK\x03\x04"), None},
		"ELF":               {[]byte("\x7fELF\x02\x01"), None},
		"xz":                {[]byte("\xfd7zXZ\x00\x00"), None},
		"zstd":              {[]byte{0x28, 0xb5, 0x2f, 0xfd}, None},
		"RPM":               {[]byte{0xed, 0xab, 0xee, 0xdb, 3, 0}, None},
		"Java class":        {[]byte{0xca, 0xfe, 0xba, 0xbe, 0, 0}, None},
		"PNG":               {[]byte("\x89PNG\r\n\x1a\n"), None},
		"UTF-8 text":        {[]byte("über"), None},
	} {
		if got := Detect(c.head); got != c.want || got.String() == "" {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		for n := range min(len(c.head), 100) {
			if got := Detect(c.head[:n]); got != None && got != c.want {
				t.Errorf("%s: %v by its first %d bytes", name, got, n)
			}
		}
	}
}
