package trust

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"assize.dev/services/sign/internal/keys"
	"assize.dev/services/sign/internal/signature"
	"assize.dev/services/sign/internal/sigstore"
	"assize.dev/services/sign/internal/sigstore/sigstoretest"
	"assize.dev/shared/event"
)

func testKey(t testing.TB, seed string) keys.PublicKey {
	t.Helper()
	k, err := keys.KeyFromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	return keys.PublicKey{Key: k.Public()}
}

func publicPEM(t testing.TB, public any) []byte {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
}

func p256(t testing.TB) []byte {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return publicPEM(t, k.Public())
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

func load(t *testing.T, path string) *Trust {
	t.Helper()
	trust, err := Load([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

// standing asks as the verifier does.
func standing(s *Selection, kind, signer string, at time.Time) Standing {
	if denied, is := s.Denied(signature.Result{Kind: kind, Signer: signer, Key: signer}, nil, at); is {
		return denied
	}
	return s.Of(kind, signer, at)
}

func TestFolder(t *testing.T) {
	a, b, c, d := testKey(t, "a"), testKey(t, "b"), testKey(t, "c"), testKey(t, "d")
	dir := folder(t, map[string][]byte{
		"a.pub": publicPEM(t, a.Key), "b.pub": publicPEM(t, b.Key), "again.pem": publicPEM(t, a.Key), "README.md": []byte("keys"),
		".hidden.pem": []byte("x"), "fingerprints.txt": []byte("# ours\n\n" + strings.ToUpper(c.Fingerprint()) + " # Jo\n"),
		"denied/b.pub": publicPEM(t, b.Key), "denied/fingerprints.txt": []byte("sha256:" + d.Fingerprint()),
	})
	trust := load(t, dir)
	s := trust.For(NewArtifact("r"))
	for k, want := range map[string]string{
		"a": event.Trusted, "b": event.Denied, "c": event.Trusted, "d": event.Denied, "e": event.UnknownTrust,
	} {
		for _, kind := range []string{KindPSPF, KindEd25519} {
			if got := standing(s, kind, testKey(t, k).Fingerprint(), time.Now()); got.Trust != want || (got.Publisher == "") != (want == event.UnknownTrust) {
				t.Errorf("%s key %s: %+v, want %s", kind, k, got, want)
			}
		}
	}
	if one := load(t, filepath.Join(dir, "a.pub")); one.Digest() == trust.Digest() || one.Digest() == (&Trust{}).Digest() || one.Size() != 1 {
		t.Errorf("trust of one file: %+v", one)
	}
	if (&Trust{}).For(NewArtifact("r")).Of(KindPSPF, a.Fingerprint(), time.Now()).Trust != event.UnknownTrust {
		t.Error("the zero value trusts somebody")
	}
}

// TestFolderWithTrustFile: what trust.yaml scopes is not trusted for more
// because it lies in the folder.
func TestFolderWithTrustFile(t *testing.T) {
	a, b := testKey(t, "a"), testKey(t, "b")
	trust := load(t, folder(t, map[string][]byte{
		"us.pub": publicPEM(t, a.Key), "loose.pub": publicPEM(t, b.Key), "denied/b.pub": publicPEM(t, b.Key),
		"trust.yaml": []byte("publishers: [{name: us, keys: [us.pub], packages: ['pkg:npm/us/*']}]"),
	}))
	for purl, want := range map[string]string{"pkg:npm/us/x": event.Trusted, "pkg:npm/them/x": event.UnknownTrust, "": event.UnknownTrust} {
		if got := standing(trust.For(NewArtifact("r", purl)), KindPSPF, a.Fingerprint(), time.Now()); got.Trust != want {
			t.Errorf("%q: %+v, want %s", purl, got, want)
		}
	}
	if got := standing(trust.For(NewArtifact("r")), KindEd25519, b.Fingerprint(), time.Now()); got.Trust != event.Denied {
		t.Errorf("denied/ does not count: %+v", got)
	}
}

// TestDeniedInAnyKind: a key that is denied is so whatever it signs with.
func TestDeniedInAnyKind(t *testing.T) {
	trust := load(t, filepath.Join(folder(t, files(t, "publishers: [{name: thief, deny: true, keys: [a.pub]}, {name: us, attestation_keys: [a.pub]}]")), "trust.yml"))
	s, key := trust.For(NewArtifact("r")), testKey(t, "a")
	for _, r := range []signature.Result{
		{Kind: "dsse", Signer: key.KeyID(), Key: key.Fingerprint()}, {Kind: "ssh", Signer: "jo", Key: key.Fingerprint()},
		{Kind: KindPSPF, Signer: key.Fingerprint()},
	} {
		if got, denied := s.Denied(r, nil, time.Now()); !denied || got.Publisher != "thief" {
			t.Errorf("%+v is not denied: %+v", r, got)
		}
	}
	if _, denied := s.Denied(signature.Result{Kind: "dsse", Key: testKey(t, "b").Fingerprint()}, nil, time.Now()); denied {
		t.Error("another key is denied")
	}
	identities := load(t, filepath.Join(folder(t, files(t, "publishers: [{name: thief, deny: true, sigstore: {trusted_root: trusted_root.json, identities: [{issuer: 'https://i', san: 'https://evil/**'}]}}]")), "trust.yml"))
	evil := &sigstore.Claims{Issuer: "https://i", SAN: "https://evil/x"}
	if _, denied := identities.For(NewArtifact("r")).Denied(signature.Result{Kind: "npm"}, evil, time.Now()); !denied {
		t.Error("a denied identity is not denied under another root")
	}
	if identities.For(NewArtifact("r")).Anybody(func(p *Publisher) bool { return p.Sigstore != nil }) {
		t.Error("somebody who is denied counts as somebody to trust")
	}
}

func TestFolderStops(t *testing.T) {
	good := publicPEM(t, testKey(t, "a").Key)
	for name, files := range map[string]map[string][]byte{
		"a broken key":              {"a.pub": good, "bad.pub": []byte("x")},
		"a key of another kind":     {"a.pub": good, "bad.pem": p256(t)},
		"a large file":              {"a.pub": good, "bad.pub": bytes.Repeat([]byte("x"), keys.MaxFile+1)},
		"a broken fingerprint":      {"a.pub": good, "fingerprints.txt": []byte("abc")},
		"a broken denied key":       {"a.pub": good, "denied/bad.hex": []byte("x")},
		"a denied file of no kind":  {"a.pub": good, "denied/bad.txt": good},
		"a denied folder in folder": {"a.pub": good, "denied/more/x.pub": good},
		"a directory for a key":     {"a.pub": good, "bad.pub/x": good},
		"denied is a file":          {"a.pub": good, "denied": good},
		"a broken trust file":       {"a.pub": good, "trust.yaml": []byte("publishers:")},
	} {
		dir := folder(t, files)
		if trust, err := Load([]string{dir}); err == nil || trust != nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Load([]string{filepath.Join(t.TempDir(), "none")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}

// files are what the trust files of these tests refer to.
func files(t testing.TB, yaml string) map[string][]byte {
	t.Helper()
	key := testKey(t, "a")
	line, err := ssh.NewPublicKey(key.Key)
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"trust.yml": []byte(yaml), "a.pub": publicPEM(t, key.Key), "b.pub": publicPEM(t, testKey(t, "b").Key), "p256.pem": p256(t),
		"allowed_signers":   append([]byte("jo@example.test "), ssh.MarshalAuthorizedKey(line)...),
		"trusted_root.json": sigstoretest.New("trust").TrustedRoot(sigstoretest.Trust{}),
		"empty/README":      nil, "broken": []byte("broken"),
	}
}

func TestTrustFile(t *testing.T) {
	yaml := `
publishers:
- name: app
  packages: ["pkg:npm/app"]
  registries: [npm-*]
  from: 2026-01-01T00:00:00Z
  until: 2027-01-01T00:00:00Z
  keys: [a.pub]
  launchers: ["` + strings.Repeat("ab", 32) + `"]
- name: thief
  deny: true
  keys: [b.pub]
- name: builds
  ssh: {allowed_signers: allowed_signers, identity: jo@example.test}
  sigstore:
    trusted_root: trusted_root.json
    identities: [{issuer: "https://issuer.example", san: "https://example.test/*"}]
  attestation_keys: [p256.pem]
require:
- packages: ["pkg:npm/app"]
  signatures: 2
  publishers: [app, builds]
builders:
- name: ours
  publisher: builds
  builder: https://builder.example
  level: 3
  sources: [https://example.test/app]
`
	trust := load(t, filepath.Join(folder(t, files(t, yaml)), "trust.yml"))
	in, a := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), testKey(t, "a").Fingerprint()
	s := trust.For(NewArtifact("npm-prod", "pkg:npm/app@1.0.0"))
	for _, c := range []struct {
		registry, purl, key string
		at                  time.Time
		want                string
	}{
		{"npm-prod", "pkg:npm/app@1.0.0", "a", in, event.Trusted},
		{"npm-prod", "pkg:npm/other@1.0.0", "a", in, event.UnknownTrust},
		{"npm-prod", "", "a", in, event.UnknownTrust},
		{"pypi", "pkg:npm/app", "a", in, event.UnknownTrust},
		{"npm-prod", "pkg:npm/app@1.0.0", "a", in.AddDate(1, 0, 0), event.UnknownTrust},
		{"npm-prod", "pkg:npm/app@1.0.0", "a", in.AddDate(-1, 0, 0), event.UnknownTrust},
		{"npm-prod", "pkg:npm/app@1.0.0", "b", in, event.Denied},
		{"pypi", "", "b", in, event.Denied},
	} {
		if got := standing(trust.For(NewArtifact(c.registry, c.purl)), KindPSPF, testKey(t, c.key).Fingerprint(), c.at); got.Trust != c.want {
			t.Errorf("%s %s: key %s at %v: %+v, want %s", c.registry, c.purl, c.key, c.at, got, c.want)
		}
	}
	if late := s.Of(KindEd25519, a, in.AddDate(1, 0, 0)); !strings.Contains(late.Reason, "until 2027-01-01") {
		t.Errorf("no reason: %+v", late)
	}
	if s.Required != 2 || !s.Counts("app") || s.Counts("thief") || trust.For(NewArtifact("npm-prod", "")).Required != 1 {
		t.Errorf("required %d", s.Required)
	}
	if got := s.Launchers("app"); len(got) != 1 || s.Launchers("thief") != nil {
		t.Errorf("launchers: %q", got)
	}
	// One rule for the identity and one for the key, before the built-in ones.
	if rules := s.Rules("builds"); len(rules) < 3 || rules[0].Issuer == "" || len(rules[1].KeyIDs) != 1 || rules[0].Level != 3 {
		t.Errorf("rules: %+v", rules)
	}
	if rules := s.Rules("app"); len(rules) == 0 || rules[0].Name == "ours" {
		t.Errorf("rules of another publisher: %+v", rules)
	}
	if again := trust.For(NewArtifact("npm-prod", "pkg:npm/app@2.0.0")); again != s {
		t.Error("the same selection was made twice")
	}
}

func TestTrustFileStops(t *testing.T) {
	good := "publishers: [{name: app, keys: [a.pub]}]\n"
	for yaml, want := range map[string]string{
		"":                                      "not a list",
		"publishers: []\nextra: 1":              "extra",
		"publishers: [{keys: [a.pub]}]":         "name",
		"publishers: [{name: app}]":             "signs with nothing",
		"publishers: [{name: app, deny: true}]": "signs with nothing",
		"publishers: [{name: app, keys: [a.pub]}, {name: app, keys: [b.pub]}]":                                                  "another publisher",
		"publishers: [{name: app, keys: [none.pub]}]":                                                                           "none.pub",
		"publishers: [{name: app, keys: [broken]}]":                                                                             "broken",
		"publishers: [{name: app, keys: [empty]}]":                                                                              "empty",
		"publishers: [{name: app, keys: [p256.pem]}]":                                                                           "attestation_keys",
		"publishers: [{name: app, fingerprints: ['SHA256:" + strings.Repeat("A", 43) + "']}]":                                   "hexadecimal",
		"publishers: [{name: app, fingerprints: [abc]}]":                                                                        "fingerprints",
		"publishers: [{name: app, keys: [a.pub], launchers: [abc]}]":                                                            "launchers",
		"publishers: [{name: app, keys: [a.pub], packages: [npm/app]}]":                                                         "package URL",
		"publishers: [{name: app, keys: [a.pub], packages: ['']}]":                                                              "packages",
		"publishers: [{name: app, keys: [a.pub], registries: ['']}]":                                                            "registries",
		"publishers: [{name: app, keys: [a.pub], until: yesterday}]":                                                            "yesterday",
		"publishers: [{name: app, keys: [a.pub], from: 2027-01-01T00:00:00Z, until: 2026-01-01T00:00:00Z}]":                     "until",
		"publishers: [{name: app, minisign: [broken]}]":                                                                         "minisign",
		"publishers: [{name: app, openpgp: {keyrings: [broken]}}]":                                                              "openpgp",
		"publishers: [{name: app, openpgp: {fingerprints: [abc]}}]":                                                             "keyrings",
		"publishers: [{name: app, ssh: {identity: jo}}]":                                                                        "ssh",
		"publishers: [{name: app, ssh: {allowed_signers: broken}}]":                                                             "ssh",
		"publishers: [{name: app, x509: {names: [a]}}]":                                                                         "roots",
		"publishers: [{name: app, x509: {roots: [broken]}}]":                                                                    "x509",
		"publishers: [{name: app, sigstore: {trusted_root: trusted_root.json}}]":                                                "identities",
		"publishers: [{name: app, sigstore: {trusted_root: broken, identities: [{issuer: a, san: b}]}}]":                        "broken",
		"publishers: [{name: app, sigstore: {trusted_root: trusted_root.json, identities: [{issuer: a}]}}]":                     "SAN",
		"publishers: [{name: app, attestation_keys: [broken]}]":                                                                 "attestation_keys",
		good + "require: [{signatures: 0}]":                                                                                     "signatures",
		good + "require: [{signatures: 2, publishers: [app]}]":                                                                  "cannot give",
		good + "require: [{signatures: 1, publishers: [nobody]}]":                                                               "nobody",
		good + "builders: [{publisher: app, level: 3}]":                                                                         "builder",
		good + "builders: [{builder: b, publisher: app, level: 3}]":                                                             "sources",
		good + "builders: [{builder: b, publisher: app, level: 3, sources: []}]":                                                "sources",
		good + "builders: [{builder: b, level: 3}]":                                                                             "publisher",
		good + "builders: [{builder: b, publisher: nobody, level: 3}]":                                                          "nobody",
		good + "builders: [{builder: b, publisher: app, level: 3, sources: [s]}]":                                               "no attestations",
		"publishers: [{name: k, attestation_keys: [p256.pem]}]\nbuilders: [{builder: b, publisher: k, level: 4, sources: [s]}]": "level",
	} {
		path := filepath.Join(folder(t, files(t, yaml)), "trust.yml")
		if trust, err := Load([]string{path}); err == nil || trust != nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v, want %q", yaml, err, want)
		}
	}
}

// TestDigest: whatever could change an answer changes the digest, and the
// same files give the same.
func TestDigest(t *testing.T) {
	seen := map[string]string{}
	for _, yaml := range []string{
		"publishers: [{name: app, keys: [a.pub]}]",
		"publishers: [{name: app, keys: [a.pub], deny: true}]",
		"publishers: [{name: app, keys: [a.pub], until: 2027-01-01T00:00:00Z}]",
		"publishers: [{name: app, fingerprints: [" + testKey(t, "a").Fingerprint() + "]}]",
		"publishers: [{name: app, keys: [b.pub]}]",
		"publishers: [{name: app, keys: [a.pub], x509: {roots: [root.pem], require_revocation: true}}]",
	} {
		content := files(t, yaml)
		content["root.pem"] = []byte(testRoot)
		dir := folder(t, content)
		path := filepath.Join(dir, "trust.yml")
		sum := load(t, path).Digest().String()
		if load(t, path).Digest().String() != sum {
			t.Errorf("%q has another digest each time", yaml)
		}
		if other, twice := seen[sum]; twice {
			t.Errorf("%q and %q have the same digest", yaml, other)
		}
		seen[sum] = yaml
		if err := os.WriteFile(filepath.Join(dir, "a.pub"), publicPEM(t, testKey(t, "c").Key), 0o600); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(yaml, "a.pub") && load(t, path).Digest().String() == sum {
			t.Errorf("%q: another key in the file, the same digest", yaml)
		}
	}
}

// TestHostileNames: package names are made by strangers; they must not fill
// the memory with selections.
func TestHostileNames(t *testing.T) {
	trust := load(t, filepath.Join(folder(t, files(t, "publishers: [{name: app, keys: [a.pub], packages: ['pkg:npm/app*']}]")), "trust.yml"))
	for i := range 10_000 {
		trust.For(NewArtifact(fmt.Sprint("r", i), fmt.Sprint("pkg:npm/app", hex.EncodeToString([]byte{byte(i), byte(i >> 8)}))))
	}
	if n := len(trust.selections); n > 2 {
		t.Errorf("%d selections are kept", n)
	}
}

func FuzzTrustFile(f *testing.F) {
	dir := folder(f, files(f, ""))
	for _, yaml := range []string{
		"publishers: [{name: app, keys: [a.pub]}]", "publishers: [{name: a, fingerprints: ['x']}]\nrequire: [{signatures: 1}]",
		"publishers: [{name: a, sigstore: {trusted_root: trusted_root.json, identities: [{issuer: a, san: '*'}]}}]",
	} {
		f.Add([]byte(yaml))
	}
	f.Fuzz(func(t *testing.T, yaml []byte) {
		path := filepath.Join(dir, "fuzz.yaml")
		if err := os.WriteFile(path, yaml, 0o600); err != nil {
			t.Fatal(err)
		}
		if trust, err := Load([]string{path}); err == nil {
			trust.For(NewArtifact("r", "pkg:npm/app@1")).Of(KindPSPF, "x", time.Now())
		}
	})
}
