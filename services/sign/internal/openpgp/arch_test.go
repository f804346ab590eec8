package openpgp

import (
	"bytes"
	"crypto"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// archFiles are Arch's three files, with five master keys.
type archFiles struct {
	masters  []*testKey
	packager *testKey
	ring     [][]byte
	trusted  string
	revoked  string
}

// newArch has one packager; vouch makes the signatures over its user id.
func newArch(vouch func(a *archFiles, id string) [][]byte) *archFiles {
	a := &archFiles{packager: edKey("packager", day0)}
	for i := range 5 {
		m := edKey(fmt.Sprint("master ", i), day0)
		a.masters = append(a.masters, m)
		a.ring = append(a.ring, cert{key: m}.packets())
		a.trusted += m.fingerprint() + ":4:\n"
	}
	c := cert{key: a.packager}
	c.user = vouch(a, c.id())
	a.ring = append(a.ring, c.packets())
	return a
}

func (a *archFiles) load() (*Keyring, error) {
	return archKeyring(bytes.Join(a.ring, nil), []byte(a.trusted), []byte(a.revoked))
}

// vouchers has the first n master keys certify the packager.
func vouchers(n int, f forged) func(*archFiles, string) [][]byte {
	if f.typ == 0 {
		f.typ = 0x10
	}
	if f.created.IsZero() {
		f.created = at(100)
	}
	return func(a *archFiles, id string) (sigs [][]byte) {
		for _, m := range a.masters[:n] {
			sigs = append(sigs, f.overUser(m, a.packager, id))
		}
		return sigs
	}
}

func join(all ...func(*archFiles, string) [][]byte) func(*archFiles, string) [][]byte {
	return func(a *archFiles, id string) (sigs [][]byte) {
		for _, f := range all {
			sigs = append(sigs, f(a, id)...)
		}
		return sigs
	}
}

// only is one signature by one master key.
func only(master int, f forged) func(*archFiles, string) [][]byte {
	return func(a *archFiles, id string) [][]byte {
		return [][]byte{f.overUser(a.masters[master], a.packager, id)}
	}
}

func TestArchRule(t *testing.T) {
	revocation := func(reason byte) forged {
		return forged{typ: 0x20, created: at(200), hashed: [][]byte{reasonFor(reason)}}
	}
	revokedMaster := func(a *archFiles, reason byte) {
		m := a.masters[0]
		a.ring[0] = cert{key: m, primary: [][]byte{revocation(reason).by(m, m.hashedAs())}}.packets()
	}
	nothing := func(*archFiles) {}
	cases := []struct {
		name  string
		vouch func(*archFiles, string) [][]byte
		edit  func(*archFiles)
		want  string // of the packager's signature
	}{
		{"none", vouchers(0, forged{}), nothing, "stranger"},
		{"two", vouchers(2, forged{}), nothing, "stranger"},
		{"three", vouchers(3, forged{}), nothing, "valid"},
		{"five", vouchers(5, forged{}), nothing, "valid"},
		{"persona", vouchers(3, forged{typ: 0x11}), nothing, "valid"},
		{"casual", vouchers(3, forged{typ: 0x12}), nothing, "valid"},
		{"positive", vouchers(3, forged{typ: 0x13}), nothing, "valid"},
		{"another type", vouchers(3, forged{typ: 0x16}), nothing, "stranger"},
		{"twice by each of two", join(vouchers(2, forged{}), vouchers(2, forged{created: at(101)})), nothing, "stranger"},
		{"SHA-1", vouchers(3, forged{hash: crypto.SHA1}), nothing, "stranger"},
		{"critical notation", vouchers(3, forged{hashed: [][]byte{sub(20|critical, 0x80, 0, 0, 0, 0, 1, 0, 1, 'n', 'v')}}), nothing, "stranger"},
		{"critical subpacket", vouchers(3, forged{hashed: [][]byte{sub(100|critical, 1)}}), nothing, "stranger"},
		{"not for others to see", vouchers(3, forged{hashed: [][]byte{sub(4, 0)}}), nothing, "stranger"},
		{"one expired before", join(vouchers(2, forged{}), only(2, forged{typ: 0x10, created: at(100), hashed: [][]byte{sigExpires(oneDay)}})), nothing, "stranger"},
		{"one expires later", join(vouchers(2, forged{}), only(2, forged{typ: 0x10, created: at(100), hashed: [][]byte{sigExpires(20000 * oneDay)}})), nothing, "valid"},
		{"one of another user id", join(vouchers(2, forged{}), func(a *archFiles, _ string) [][]byte {
			return [][]byte{forged{typ: 0x10, created: at(100)}.overUser(a.masters[2], a.packager, "another")}
		}), nothing, "stranger"},
		{"one of another key", join(vouchers(2, forged{}), func(a *archFiles, id string) [][]byte {
			return [][]byte{forged{typ: 0x10, created: at(100)}.overUser(a.masters[2], a.masters[1], id)}
		}), nothing, "stranger"},
		{"one in the name of a master", join(vouchers(2, forged{}), func(a *archFiles, id string) [][]byte {
			return [][]byte{forged{typ: 0x10, created: at(100), named: a.masters[2]}.overUser(a.masters[1], a.packager, id)}
		}), nothing, "stranger"},
		{"one taken back", join(vouchers(3, forged{}), only(0, forged{typ: 0x30, created: at(200)})), nothing, "stranger"},
		{"one taken back at once", join(vouchers(3, forged{}), only(0, forged{typ: 0x30, created: at(100)})), nothing, "stranger"},
		{"one taken back with SHA-1", join(vouchers(3, forged{}), only(0, forged{typ: 0x30, created: at(200), hash: crypto.SHA1})), nothing, "stranger"},
		{"one taken back in a way that cannot be read", join(vouchers(3, forged{}), only(0, forged{typ: 0x30, created: at(200), hashed: [][]byte{sub(100|critical, 1)}})), nothing, "stranger"},
		{"one taken back by somebody else", join(vouchers(3, forged{}), func(a *archFiles, id string) [][]byte {
			return [][]byte{forged{typ: 0x30, created: at(200), named: a.masters[0]}.overUser(a.masters[3], a.packager, id)}
		}), nothing, "valid"},
		{"one taken back and given again", join(vouchers(3, forged{}), only(0, forged{typ: 0x30, created: at(200)}), only(0, forged{typ: 0x10, created: at(300)})), nothing, "valid"},
		{"one of five taken back", join(vouchers(5, forged{}), only(0, forged{typ: 0x30, created: at(200)})), nothing, "valid"},
		{"user id revoked", join(vouchers(3, forged{}), func(a *archFiles, id string) [][]byte {
			return [][]byte{forged{typ: 0x30, created: at(900)}.overUser(a.packager, a.packager, id)}
		}), nothing, "stranger"},
		{"master compromised", vouchers(3, forged{}), func(a *archFiles) { revokedMaster(a, 2) }, "stranger"},
		{"master retired", vouchers(3, forged{}), func(a *archFiles) { revokedMaster(a, 3) }, "stranger"},
		{"master retired, others remain", vouchers(4, forged{}), func(a *archFiles) { revokedMaster(a, 3) }, "valid"},
		{"master listed as revoked", vouchers(3, forged{}), func(a *archFiles) { a.revoked = a.masters[0].fingerprint() + "\n" }, "stranger"},
		{"master expired before", vouchers(3, forged{}), func(a *archFiles) {
			a.ring[0] = cert{key: a.masters[0], self: forged{hashed: [][]byte{mayBoth, keyExpires(50 * oneDay)}}}.packets()
		}, "stranger"},
		{"master expired since", vouchers(3, forged{}), func(a *archFiles) {
			a.ring[0] = cert{key: a.masters[0], self: forged{hashed: [][]byte{mayBoth, keyExpires(500 * oneDay)}}}.packets()
		}, "stranger"},
		{"master may not certify", vouchers(3, forged{}), func(a *archFiles) {
			a.ring[0] = cert{key: a.masters[0], self: forged{hashed: [][]byte{maySign}}}.packets()
		}, "stranger"},
		{"no master for it", vouchers(3, forged{}), func(a *archFiles) {
			a.trusted = strings.Replace(a.trusted, a.masters[0].fingerprint()+":4:\n", "", 1)
		}, "stranger"},
		{"packager listed as revoked", vouchers(5, forged{}), func(a *archFiles) { a.revoked = "# gone\n\n" + a.packager.fingerprint() + "\n" }, "stranger"},
		{"packager revoked", vouchers(5, forged{}), func(a *archFiles) {
			a.ring = append(a.ring, cert{key: a.packager, primary: [][]byte{revocation(2).by(a.packager, a.packager.hashedAs())}}.packets())
		}, "compromised"},
	}
	good := forged{created: at(500)}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := newArch(c.vouch)
			c.edit(a)
			ring, err := a.load()
			if err != nil {
				t.Fatal(err)
			}
			sig := a.packager.sign(good, artifact)
			verify1(t, ring, sig, artifact, c.want)
			// A master key signs no packages.
			verify1(t, ring, a.masters[1].sign(good, artifact), artifact, "stranger")
			if ring.Len() == 0 && len(ring.Skipped()) == 0 {
				t.Error("nothing skipped and nothing there")
			}
			// Another keyring that names the packager does not ask for masters,
			// and is alone with that only where Arch's leaves the packager out.
			plain := parse(t, cert{key: a.packager}.packets())
			want := c.want
			if want == "stranger" && !slices.Contains(ring.Fingerprints(), a.packager.fingerprint()) {
				want = "valid"
			}
			if strings.HasSuffix(c.name, "cannot be read") {
				want = "stranger" // who made it cannot be read either
			}
			verify1(t, Merge(ring, plain), sig, artifact, want)
			verify1(t, Merge(plain, ring), sig, artifact, want)
		})
	}
}

// TestArchOverTime: a packager is one as long as three master keys say so.
func TestArchOverTime(t *testing.T) {
	a := newArch(join(vouchers(2, forged{}), only(2, forged{typ: 0x10, created: at(100), hashed: [][]byte{sigExpires(1000 * oneDay)}})))
	ring, err := a.load()
	if err != nil {
		t.Fatal(err)
	}
	// What Arch's rule allows until then, no other keyring makes last longer.
	plain := parse(t, cert{key: a.packager}.packets())
	for _, ring := range []*Keyring{ring, Merge(ring, plain), Merge(plain, ring), Merge(plain, Merge(plain, ring))} {
		for when, want := range map[time.Time]string{at(1100): "valid", at(1101): "stranger"} {
			results, err := VerifyDetached(content(artifact), a.packager.sign(forged{created: at(500)}, artifact), ring, when)
			if err != nil {
				t.Fatal(err)
			}
			check(t, results[0], want)
		}
	}
	b := newArch(vouchers(3, forged{}))
	forever, err := b.load()
	if err != nil {
		t.Fatal(err)
	}
	if forever.Digest() == ring.Digest() {
		t.Error("the end of a certification is not in the digest")
	}
}

func TestArchBrokenFiles(t *testing.T) {
	fingerprint := strings.Repeat("AB", 20)
	for name, c := range map[string]struct {
		edit func(*archFiles)
		err  string
	}{
		"two masters":            {func(a *archFiles) { a.trusted = strings.Join(strings.SplitAfter(a.trusted, "\n")[:2], "") }, "names 2, fewer than the 3"},
		"no masters":             {func(a *archFiles) { a.trusted = "# none\n" }, "names 0"},
		"unknown master":         {func(a *archFiles) { a.trusted += fingerprint + ":4:\n" }, fingerprint + " is listed and not in the keyring"},
		"another trust":          {func(a *archFiles) { a.trusted += fingerprint + ":5:\n" }, "line 6"},
		"no trust":               {func(a *archFiles) { a.trusted += fingerprint + "\n" }, "line 6"},
		"short fingerprint":      {func(a *archFiles) { a.trusted += "ABCD:4:\n" }, "line 6"},
		"no fingerprint":         {func(a *archFiles) { a.trusted += "hello:4:\n" }, "line 6"},
		"a line cut off":         {func(a *archFiles) { a.trusted = a.trusted[:len(a.trusted)-10] }, "line 5"},
		"master twice":           {func(a *archFiles) { a.trusted += a.masters[0].fingerprint() + ":4:\n" }, "second time"},
		"lines without end":      {func(a *archFiles) { a.revoked = manyFingerprints() }, "more than 2000 lines"},
		"revoked with trust":     {func(a *archFiles) { a.revoked = fingerprint + ":4:\n" }, "line 1"},
		"revoked cut off":        {func(a *archFiles) { a.revoked = fingerprint[:39] }, "line 1"},
		"too few masters usable": {func(a *archFiles) { a.revoked = strings.ReplaceAll(a.trusted, ":4:", "")[:3*41] }, "2 of 5 master keys can be used"},
		"keyring cut off":        {func(a *archFiles) { a.ring[5] = a.ring[5][:len(a.ring[5])-1] }, "truncated"},
	} {
		a := newArch(vouchers(3, forged{}))
		c.edit(a)
		if _, err := a.load(); err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: error %v, want %q", name, err, c.err)
		}
	}
}

func manyFingerprints() string {
	var b strings.Builder
	for i := range maxArchLines + 1 {
		fmt.Fprintf(&b, "%040X\n", i)
	}
	return b.String()
}

// TestArchPaths: the rule holds however the three files are named.
func TestArchPaths(t *testing.T) {
	dir := t.TempDir()
	a := newArch(vouchers(2, forged{}))
	for suffix, data := range map[string][]byte{".gpg": bytes.Join(a.ring, nil), "-trusted": []byte(a.trusted), "-revoked": nil} {
		if err := os.WriteFile(filepath.Join(dir, "arch"+suffix), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "arch"), filepath.Join(dir, "arch.gpg")} {
		ring, err := LoadKeyring(path)
		if err != nil {
			t.Fatal(err)
		}
		verify1(t, ring, a.packager.sign(forged{created: at(500)}, artifact), artifact, "stranger")
	}
}
