package sign

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"assize.dev/services/sign/internal/pspf/pspftest"
	"assize.dev/services/sign/internal/sigstore/sigstoretest"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// trustFile loads YAML beside the files it names.
func trustFile(t testing.TB, yaml string, files map[string][]byte) *Trust {
	t.Helper()
	all := map[string][]byte{"trust.yaml": []byte(yaml), "trusted_root.json": sigstoretest.New("x").TrustedRoot(sigstoretest.Trust{})}
	for name, data := range files {
		all[name] = data
	}
	trust, err := LoadTrust([]string{filepath.Join(folder(t, all), "trust.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

func verifyWith(t *testing.T, trust *Trust, opts VerifierOptions, a event.Artifact, data []byte) *event.Verification {
	t.Helper()
	v, err := NewVerifier(trust, opts)
	if err != nil {
		t.Fatal(err)
	}
	a.Digest, a.Received = digest.Of(data), time.Now()
	if a.Filename == "" {
		a.Filename = filename
	}
	got, err := v.Verify(t.Context(), &a, bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestLauncherIsNotAnotherPackage: a launcher that nobody signed must not
// turn a trusted package into something else.
func TestLauncherIsNotAnotherPackage(t *testing.T) {
	key := testKey(t, "trusted")
	trust := trustOf(t, []*PrivateKey{key})
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	fmt.Fprint(zw, "another package")
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	build := func(launcher []byte, signed bool) []byte {
		return pspftest.Package{Name: "demo", Version: "1", Key: key, Launcher: launcher, SignLauncher: signed,
			Slots: []pspftest.Slot{{ID: "x", Target: "{workenv}/x", Data: []byte("content")}}}.Build()
	}
	for _, c := range []struct {
		name, file string
		data       []byte
		want       string
	}{
		{"a stub", "demo.psp", build([]byte("stub"), false), event.Pass},
		{"a program", "demo", build([]byte("\x7fELF..."), false), event.Pass},
		{"an archive", "demo.psp", build(packed.Bytes(), false), event.Fail},
		{"an archive that is signed", "demo.psp", build(packed.Bytes(), true), event.Pass},
		{"named as an archive", "demo-1.0.tgz", build([]byte("stub"), false), event.Fail},
	} {
		for _, level := range []string{"quick", "deep"} {
			if got := verifyWith(t, trust, VerifierOptions{Level: level}, event.Artifact{Filename: c.file}, c.data); got.Result != c.want && !(level == "quick" && c.want == event.Pass && strings.Contains(c.name, "signed")) {
				t.Errorf("%s at %s: %s, want %s: %+v", c.name, level, got.Result, c.want, got.Checks)
			}
		}
	}
}

// TestLauncherPins: a pin holds at every level.
func TestLauncherPins(t *testing.T) {
	key := testKey(t, "trusted")
	data := pspftest.Package{Name: "demo", Version: "1", Key: key, Launcher: []byte("stub")}.Build()
	for pin, want := range map[string][2]string{
		digest.Of([]byte("stub")).Hex():  {event.Fail, event.Pass},
		digest.Of([]byte("other")).Hex(): {event.Fail, event.Fail},
	} {
		trust := trustFile(t, "publishers: [{name: us, keys: [a.pub], launchers: ["+pin+"]}]", map[string][]byte{"a.pub": publicKey(key)})
		for i, level := range []string{"quick", "deep"} {
			if got := verifyWith(t, trust, VerifierOptions{Level: level}, event.Artifact{Filename: "demo.psp"}, data); got.Result != want[i] {
				t.Errorf("%s at %s: %s, want %s", pin, level, got.Result, want[i])
			}
		}
	}
}

const identity = "sigstore: {trusted_root: trusted_root.json, identities: [{issuer: '" + sigstoretest.Issuer + "', san: '%s'}]}"

func provenanceBy(builder, source string, data []byte) event.Attached {
	statement := fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x","digest":{"sha256":"%s"}}],
		"predicateType":"https://slsa.dev/provenance/v1","predicate":{"buildDefinition":{"buildType":"https://example.test/build",
		"externalParameters":{"workflow":{"repository":"%s"}}},"runDetails":{"builder":{"id":"%s"}}}}`, digest.Of(data).Hex(), source, builder)
	return event.Attached{Name: filename + ".sigstore.json", Data: sigstoretest.New("x").Attest(sigstoretest.Options{Repository: source}, []byte(statement))}
}

// TestProvenanceVouches: provenance counts as a signature only if it meets
// what is expected of its builder.
func TestProvenanceVouches(t *testing.T) {
	data := []byte("the artifact")
	const builder = "https://github.com/actions/runner/github-hosted"
	us := fmt.Sprintf("publishers: [{name: us, "+identity+"}]\nbuilders: [{name: ours, publisher: us, builder: '%s', level: 2, sources: ['https://github.com/example/demo']}]\nonly_these_builders: true\n",
		"https://github.com/example/demo/**", builder)
	for _, c := range []struct {
		name, yaml, source string
		opts               VerifierOptions
		want               string
		level              int
	}{
		{"from our source", us, "https://github.com/example/demo", VerifierOptions{}, event.Pass, 2},
		{"from another source", us, "https://github.com/evil/fork", VerifierOptions{}, event.Undetermined, 0},
		{"from a source that was not asked for", us, "https://github.com/example/demo", VerifierOptions{Source: "https://github.com/example/other"}, event.Undetermined, 0},
		{"by somebody denied", us + "", "https://github.com/example/demo", VerifierOptions{}, event.Pass, 2},
	} {
		a := event.Artifact{Signatures: []event.Attached{provenanceBy(builder, c.source, data)}}
		got := verifyWith(t, trustFile(t, c.yaml, nil), c.opts, a, data)
		if got.Result != c.want || got.SLSALevel != c.level || len(got.Provenance) != 1 || got.Provenance[0].Level != c.level || got.Provenance[0].Reason == "" {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	denied := strings.Replace(us, "publishers: [", "publishers: [{name: thief, deny: true, "+fmt.Sprintf(identity, "https://github.com/example/**")+"}, ", 1)
	a := event.Artifact{Signatures: []event.Attached{provenanceBy(builder, "https://github.com/example/demo", data)}}
	if got := verifyWith(t, trustFile(t, denied, nil), VerifierOptions{}, a, data); got.Result != event.Fail || got.SLSALevel != 0 {
		t.Errorf("denied: %+v", got)
	}
}

// TestStatementAside: what is said about an artifact does not vouch for it.
func TestStatementAside(t *testing.T) {
	data := []byte("the artifact")
	statement := fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x","digest":{"sha256":"%s"}}],"predicateType":"https://example.test/report","predicate":{"malware":true}}`, digest.Of(data).Hex())
	a := event.Artifact{Signatures: []event.Attached{{Name: filename + ".sigstore.json", Data: sigstoretest.New("x").Attest(sigstoretest.Options{}, []byte(statement))}}}
	trust := trustFile(t, fmt.Sprintf("publishers: [{name: us, "+identity+"}]", "https://github.com/example/**"), nil)
	got := verifyWith(t, trust, VerifierOptions{}, a, data)
	if got.Result != event.Undetermined || !got.Signatures[0].Valid || !strings.Contains(got.Signatures[0].Reason, "does not vouch") {
		t.Errorf("%+v", got)
	}
}

// TestRequire: one signature that two publishers know is one.
func TestRequire(t *testing.T) {
	data := []byte("the artifact")
	a, b := testKey(t, "a"), testKey(t, "b")
	file := func(suffix string, k *PrivateKey) event.Attached {
		return event.Attached{Name: filename + suffix, Data: detachedBy(t, k, data)}
	}
	keys := map[string][]byte{"a.pub": publicKey(a), "b.pub": publicKey(b)}
	both := "publishers: [{name: one, keys: [a.pub]}, {name: two, keys: [a.pub, b.pub]}]\nrequire: [{signatures: 2}]"
	for _, c := range []struct {
		name, yaml string
		files      []event.Attached
		want       string
	}{
		{"one of two", both, []event.Attached{file(".sig", a)}, event.Undetermined},
		{"the same twice", both, []event.Attached{file(".sig", a), file(".ed25519", a)}, event.Undetermined},
		{"two", both, []event.Attached{file(".sig", a), file(".ed25519", b)}, event.Pass},
		{"two by one publisher", strings.Replace(both, "[a.pub]", "[b.pub]", 1), []event.Attached{file(".sig", a), file(".ed25519", b)}, event.Pass},
		{"a stranger's is none", both, []event.Attached{file(".sig", testKey(t, "c")), file(".ed25519", a)}, event.Undetermined},
	} {
		if got := verifyWith(t, trustFile(t, c.yaml, keys), VerifierOptions{}, event.Artifact{Signatures: c.files}, data); got.Result != c.want {
			t.Errorf("%s: %s, want %s: %+v", c.name, got.Result, c.want, got)
		}
	}
	// The bytes cannot talk themselves out of what the registry says.
	scoped := "publishers: [{name: one, keys: [a.pub]}, {name: two, keys: [b.pub]}]\nrequire: [{signatures: 2, packages: ['pkg:generic/payments']}]"
	for purl, want := range map[[2]string]string{
		{"", "pkg:generic/payments@1"}: event.Undetermined, {"pkg:npm/other@1", "pkg:generic/payments@1"}: event.Undetermined,
		{"pkg:generic/payments@1", ""}: event.Undetermined, {"pkg:npm/other@1", ""}: event.Pass,
	} {
		art := event.Artifact{PURL: purl[0], Announced: purl[1], Signatures: []event.Attached{file(".sig", a)}}
		if got := verifyWith(t, trustFile(t, scoped, keys), VerifierOptions{}, art, data); got.Result != want {
			t.Errorf("%q: %s, want %s", purl, got.Result, want)
		}
	}
}

// TestOnlyDenied: with nobody to trust, a stranger is no reason to fail.
func TestOnlyDenied(t *testing.T) {
	data := []byte("the artifact")
	trust := trustOf(t, nil, testKey(t, "denied"))
	for k, want := range map[string]string{"stranger": event.Undetermined, "denied": event.Fail} {
		a := event.Artifact{Signatures: []event.Attached{{Name: filename + ".sig", Data: detachedBy(t, testKey(t, k), data)}}}
		if got := verifyWith(t, trust, VerifierOptions{}, a, data); got.Result != want {
			t.Errorf("%s: %s, want %s", k, got.Result, want)
		}
	}
}
