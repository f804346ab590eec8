package e2e

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"assize.dev/shared/blob"
	"assize.dev/shared/identify/identifytest"
)

// verdictLine is what check --json prints, the contract with scripts.
type verdictLine struct {
	Artifact string `json:"artifact"`
	SHA256   string `json:"sha256"`
	Format   string `json:"format"`
	PURL     string `json:"purl"`
	Run      string `json:"run"`
	Decision string `json:"decision"`
	Grade    string `json:"grade"`
	Reasons  []struct {
		Rule, Message, Evidence string
	} `json:"reasons"`
	Verdict string `json:"verdict"`
}

// check runs assize check on files in a process of its own and returns the
// verdicts, the exit code and the peak of its memory in bytes.
func check(t *testing.T, data string, args ...string) (verdicts []verdictLine, code int, memory int64) {
	t.Helper()
	cmd := exec.Command(filepath.Join(binaries(t), "assize"), append([]string{"check", "--json", "--data", data}, args...)...)
	cmd.Env = append(os.Environ(), "ASSIZE_LOG_LEVEL=error")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	for line := range strings.Lines(stdout.String()) {
		var v verdictLine
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("stdout %q: %v", line, err)
		}
		verdicts = append(verdicts, v)
	}
	if cmd.ProcessState.ExitCode() >= 3 {
		t.Logf("stderr: %s", stderr.String())
	}
	store, err := blob.OpenDir(filepath.Join(data, "store"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if n := replayAll(t.Context(), t, store); n < len(verdicts) {
		t.Errorf("%d verdicts replayed, want %d", n, len(verdicts))
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return verdicts, cmd.ProcessState.ExitCode(), usage.Maxrss << 10
}

const maxMemory = 512 << 20

// Every format ends in a verdict, with the identity the bytes tell.
func TestCheckEveryFormat(t *testing.T) {
	type f = identifytest.File
	packages := []struct {
		name         string
		content      []byte
		format, purl string
	}{
		{"a.tgz", identifytest.TarGz(f{"package/package.json", `{"name":"@scope/a","version":"1.2.3"}`}), "npm", "pkg:npm/%40scope/a@1.2.3"},
		{"b.deb", identifytest.Deb("Package: b\nVersion: 1.0-1\nArchitecture: all\nMaintainer: N <n@example.org>\nDescription: d\n"), "deb", "pkg:deb/debian/b@1.0-1?arch=all"},
		{"c.pkg.tar.zst", identifytest.TarZstd(f{".PKGINFO", "pkgname = c\npkgver = 2.0-1\narch = any\n"}), "arch", "pkg:alpm/arch/c@2.0-1?arch=any"},
		{"d.apk", identifytest.APK("pkgname = d\npkgver = 3.0-r0\narch = x86_64\n"), "apk", "pkg:apk/alpine/d@3.0-r0?arch=x86_64"},
		{"e-1.0-py3-none-any.whl", identifytest.Zip(f{"e-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: e\nVersion: 1.0\n"}, f{"e-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n"}), "wheel", "pkg:pypi/e@1.0"},
		{"g.txt", []byte("only text\n"), "unknown", ""},
		{"h", nil, "unknown", ""},
		{"i.zip", identifytest.Zip(f{"x/y.txt", "text"}), "zip", ""},
		{"j.tgz", identifytest.TarGz(f{"package/package.json", `{"name":"j","version":"1.0.0"}`})[:60], "", ""},
	}
	dir := t.TempDir()
	var files []string
	for _, p := range packages {
		path := filepath.Join(dir, p.name)
		if err := os.WriteFile(path, p.content, 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	advisories := filepath.Join(dir, "advisories")
	writeAdvisories(t, advisories)
	verdicts, code, memory := check(t, t.TempDir(), append([]string{"--advisories", advisories}, files...)...)
	if len(verdicts) != len(files) {
		t.Fatalf("%d verdicts for %d files", len(verdicts), len(files))
	}
	if code >= 3 || memory > maxMemory {
		t.Errorf("exit code %d, %d MiB", code, memory>>20)
	}
	for i, v := range verdicts {
		want := packages[i]
		if v.Artifact != files[i] || v.Run == "" || v.Grade == "" || len(v.Reasons) == 0 || len(v.SHA256) != 64 {
			t.Errorf("incomplete: %+v", v)
		}
		if want.format != "" && (v.Format != want.format || v.PURL != want.purl) {
			t.Errorf("%s: %s %s, want %s %s", want.name, v.Format, v.PURL, want.format, want.purl)
		}
		if _, err := os.Stat(v.Verdict); err != nil {
			t.Errorf("%s: %v", v.Artifact, err)
		}
	}
	if cut := verdicts[len(verdicts)-1]; cut.Decision == "allow" {
		t.Errorf("a truncated package is allowed: %+v", cut)
	}
}

// Real packages, packages of FlavorPack's own builders, and hostile archives:
// a verdict each, none lost, none crashing, memory bounded.
func TestCheckRealFiles(t *testing.T) {
	data := identifytest.Data(t)
	var files []string
	for _, pattern := range []string{"packages/*/*", "pspf/valid/*.psp", "hostile/*"} {
		found, err := filepath.Glob(filepath.Join(data, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: nothing there: %v", pattern, err)
		}
		files = append(files, found...)
	}
	verdicts, code, memory := check(t, t.TempDir(), append([]string{"--advisories", filepath.Join(data, "osv")}, files...)...)
	if len(verdicts) != len(files) || code >= 3 {
		t.Fatalf("%d verdicts for %d files, exit code %d", len(verdicts), len(files), code)
	}
	t.Logf("%d files, peak %d MiB", len(files), memory>>20)
	if memory > maxMemory {
		t.Errorf("peak memory %d MiB", memory>>20)
	}
	for _, v := range verdicts {
		hostile := strings.Contains(v.Artifact, "hostile")
		if hostile && v.Decision == "allow" {
			t.Errorf("%s: allowed", v.Artifact)
		}
		if strings.Contains(v.Artifact, "pspf") && (v.Format != "pspf" || v.Decision == "deny") {
			t.Errorf("%s: %s %s %+v", v.Artifact, v.Format, v.Decision, v.Reasons)
		}
	}
}

// Every corrupted package is denied, with exit code 1 and the failing check
// named. Without a trusted key, the one signed anew by a stranger is only
// not vouched for.
func TestCheckTampered(t *testing.T) {
	data := identifytest.Data(t)
	files, err := filepath.Glob(filepath.Join(data, "pspf/corrupt/*.psp"))
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	verdicts, code, _ := check(t, t.TempDir(), files...)
	if len(verdicts) != len(files) || code != 1 {
		t.Fatalf("%d verdicts for %d files, exit code %d", len(verdicts), len(files), code)
	}
	for _, v := range verdicts {
		resigned := strings.Contains(v.Artifact, "wrongkey-resigned")
		named := strings.Contains(fmt.Sprint(v.Reasons), "signature/failed")
		if resigned == named || (v.Decision == "deny") == resigned {
			t.Errorf("%s: %s %+v", v.Artifact, v.Decision, v.Reasons)
		}
	}
}

// A verdict verifies by the recipe of docs/verify.md, with openssl alone.
func TestVerdictVerifiesWithOpenSSL(t *testing.T) {
	for _, tool := range []string{"openssl", "jq", "bash"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	doc, err := os.ReadFile("../docs/verify.md")
	if err != nil {
		t.Fatal(err)
	}
	_, alone, _ := strings.Cut(string(doc), "## With openssl alone")
	_, script, ok := strings.Cut(alone, "```sh\n")
	script, _, ok2 := strings.Cut(script, "```")
	if !ok || !ok2 {
		t.Fatal("docs/verify.md has no recipe")
	}
	name, body := npmPackage(1)
	dir, state := t.TempDir(), t.TempDir()
	file := filepath.Join(dir, name+".tgz")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	verdicts, _, _ := check(t, state, file)
	if len(verdicts) != 1 {
		t.Fatal("no verdict")
	}
	recipe := func(envelope string) error {
		var lines []string
		for line := range strings.Lines(script) {
			if !strings.HasPrefix(line, "E=") && !strings.Contains(line, "P-256") {
				lines = append(lines, line)
			}
		}
		cmd := exec.Command("bash", "-euo", "pipefail", "-c", strings.Join(lines, ""))
		cmd.Dir = t.TempDir()
		cmd.Env = append(os.Environ(), "E="+envelope, "PUB="+filepath.Join(state, "keys", "assize.pub"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	if err := recipe(verdicts[0].Verdict); err != nil {
		t.Errorf("openssl refuses the verdict: %v", err)
	}
	if err := recipe(tamper(t, verdicts[0].Verdict)); err == nil {
		t.Error("openssl accepts a verdict that was changed")
	}
}

// tamper turns a signed statement around and keeps the signature.
func tamper(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var envelope struct {
		PayloadType string              `json:"payloadType"`
		Payload     []byte              `json:"payload"`
		Signatures  []map[string]string `json:"signatures"`
	}
	if err := json.Unmarshal(raw, &envelope); err != nil {
		t.Fatal(err)
	}
	if sig, err := base64.StdEncoding.DecodeString(envelope.Signatures[0]["sig"]); err != nil || len(sig) != ed25519.SignatureSize {
		t.Fatalf("signature of %d bytes: %v", len(sig), err)
	}
	changed := bytes.Replace(envelope.Payload, []byte(`"hold"`), []byte(`"deny"`), 1)
	if bytes.Equal(changed, envelope.Payload) {
		t.Fatal("nothing to change")
	}
	envelope.Payload = changed
	out, err := json.Marshal(envelope)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "tampered.json")
	if err := os.WriteFile(other, out, 0o600); err != nil {
		t.Fatal(err)
	}
	return other
}
