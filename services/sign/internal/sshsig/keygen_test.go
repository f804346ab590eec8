package sshsig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"assize.dev/shared/realdata"
)

// sshKeygen runs the real tool in a directory.
func sshKeygen(t *testing.T, dir string, stdin []byte, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.Command("ssh-keygen", args...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(stdin)
	return cmd.CombinedOutput()
}

func needKeygen(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("no ssh-keygen")
	}
}

func mustKeygen(t *testing.T, dir string, stdin []byte, args ...string) {
	t.Helper()
	if out, err := sshKeygen(t, dir, stdin, args...); err != nil {
		t.Fatalf("ssh-keygen %q: %v\n%s", args, err, out)
	}
}

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestSSHKeygenSigns verifies what the real tool signs, with keys and with
// certificates of every type that needs no token.
func TestSSHKeygenSigns(t *testing.T) {
	t.Parallel()
	needKeygen(t)
	dir := t.TempDir()
	mustKeygen(t, dir, nil, "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "ca")
	for _, c := range [][]string{{"ed25519"}, {"ecdsa", "-b", "256"}, {"ecdsa", "-b", "384"}, {"ecdsa", "-b", "521"}, {"rsa", "-b", "2048"}} {
		name := strings.Join(c, "")
		mustKeygen(t, dir, nil, append([]string{"-q", "-N", "", "-C", "some comment", "-f", name, "-t"}, c...)...)
		mustKeygen(t, dir, nil, "-q", "-s", "ca", "-I", "id", "-n", me, name+".pub")
		for _, hash := range []string{"sha256", "sha512"} {
			for _, key := range []string{name, name + "-cert.pub"} {
				file := fmt.Sprintf("file-%s-%s", key, hash)
				if err := os.WriteFile(filepath.Join(dir, file), message, 0o600); err != nil {
					t.Fatal(err)
				}
				mustKeygen(t, dir, nil, "-q", "-Y", "sign", "-O", "hashalg="+hash, "-n", namespace, "-f", key, file)
				sig := read(t, dir, file+".sig")
				line := me + " " + string(read(t, dir, name+".pub"))
				if strings.HasSuffix(key, "-cert.pub") {
					line = "*@example.test cert-authority " + string(read(t, dir, "ca.pub"))
				}
				l, err := ParseAllowedSigners([]byte(line))
				if err != nil {
					t.Fatal(err)
				}
				if r := verify(t, message, sig, l, me, namespace); !r.Valid {
					t.Errorf("%s: %+v", file, r)
				}
				if r := verify(t, message[1:], sig, l, me, namespace); r.Valid {
					t.Errorf("%s, changed: %+v", file, r)
				}
			}
		}
	}
}

// TestAgreesWithSSHKeygen asks the real tool about lists of allowed signers.
// % is the key that signed, # another, & an authority.
func TestAgreesWithSSHKeygen(t *testing.T) {
	t.Parallel()
	needKeygen(t)
	dir := t.TempDir()
	signer, other, authority := ed25519Signer("a"), ed25519Signer("b"), ed25519Signer("authority")
	cert := certify(signer.PublicKey(), authority, func(c *ssh.Certificate) {
		c.ValidAfter, c.ValidBefore, c.ValidPrincipals = 0, ssh.CertTimeInfinity, []string{"other", "me"}
	})
	sigs := map[string][]byte{"plain": making{signer: signer}.armored(), "certified": making{signer: signer, cert: cert}.armored()}
	token := ed25519Token(userPresent)
	sigs["token"] = making{signer: token}.armored()
	for name, sig := range sigs {
		if err := os.WriteFile(filepath.Join(dir, name+".sig"), sig, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	identities := map[string][]string{"plain": {"me", "you"}, "certified": {"me", "other"}, "token": {"me"}}
	accepted := 0
	for _, text := range []string{
		"me %", "* %", "m? %", "*,!me %", "!me,* %", "*,!you %", "you,me %", "Me %", "me #\nme %", "you %\nme %", `"me" %`, `"me,you" %`,
		"me cert-authority %", "me cert-authority &", "*e cert-authority &", "other cert-authority &", "* cert-authority #", "* &",
		`me namespaces="file" %`, `me namespaces="git,f*" %`, `me namespaces="git" %`, `me namespaces="*,!file" %`, `me NAMESPACES="file" %`,
		`me namespaces="file",cert-authority &`, `me cert-authority,namespaces="git" &`, `me namespaces="a b,file" % a comment`,
		`me valid-after="20200101" %`, `me valid-after="20990101Z" %`, `me valid-before="20200101000000Z" %`, `me valid-before="209901010000" %`,
		`me valid-after="20200101",valid-before="20990101" %`, "# c\n\n\tme\t%", "me " + keyLine(token), "me namespaces=\"file\" " + keyLine(token),
	} {
		text = strings.NewReplacer("%", keyLine(signer), " #", " "+keyLine(other), "&", keyLine(authority)).Replace(text)
		path := filepath.Join(dir, "allowed")
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := ParseAllowedSigners([]byte(text + "\n"))
		if err != nil {
			t.Errorf("%.60q: %v", text, err)
			continue
		}
		for name, sig := range sigs {
			for _, identity := range identities[name] {
				out, err := sshKeygen(t, dir, message, "-Y", "verify", "-f", path, "-I", identity, "-n", namespace, "-s", name+".sig")
				if r := verify(t, message, sig, l, identity, namespace); r.Valid != (err == nil) {
					t.Errorf("%s, %s, %.60q: %+v, ssh-keygen says %v\n%s", name, identity, text, r, err, out)
				}
				if err == nil {
					accepted++
				}
			}
		}
	}
	if accepted < 25 {
		t.Errorf("ssh-keygen accepted only %d", accepted)
	}
}

// TestRealSamples verifies signatures made with ssh-keygen elsewhere.
func TestRealSamples(t *testing.T) {
	dir := filepath.Join(realdata.Dir(t), "signatures", "rawkeys")
	tried := 0
	for text := range strings.Lines(string(read(t, dir, "manifest.jsonl"))) {
		var c struct {
			Kind, Signature, Artifact, Identity, Namespace, Want string
			Allowed                                              string `json:"allowed_signers"`
		}
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			t.Fatal(err)
		}
		if c.Kind != "sshsig" {
			continue
		}
		tried++
		l, err := ParseAllowedSigners(read(t, dir, c.Allowed))
		if err != nil {
			t.Fatal(err)
		}
		if r := verify(t, read(t, dir, c.Artifact), read(t, dir, c.Signature), l, c.Identity, c.Namespace); r.Valid != (c.Want == "accept") {
			t.Errorf("%s: %+v, want %s", text, r, c.Want)
		}
	}
	if tried == 0 {
		t.Error("the manifest has no SSH signatures")
	}
}
