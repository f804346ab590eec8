package secrets

import (
	"bytes"
	"encoding/binary"
	"os/exec"
	"slices"
	"testing"

	"assize.dev/shared/event"
)

// TestOpenPGPKeys has GnuPG make keys and export them without armour.
func TestOpenPGPKeys(t *testing.T) {
	gpg, err := exec.LookPath("gpg")
	if err != nil {
		t.Skip("gpg is not there")
	}
	home := t.TempDir()
	run := func(args ...string) []byte {
		t.Helper()
		cmd := exec.Command(gpg, append([]string{"--homedir", home, "--batch", "--no-tty", "--pinentry-mode", "loopback", "--trust-model", "always"}, args...)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("gpg %q: %v\n%s", args, err, &stderr)
		}
		return out
	}
	t.Cleanup(func() { _ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() })
	for _, algorithm := range []string{"rsa2048", "ed25519", "nistp256"} {
		for _, passphrase := range []string{"", "a phrase to pass"} {
			user := algorithm + "-" + passphrase + "@test.invalid"
			run("--passphrase", passphrase, "--quick-generate-key", user, algorithm, "sign", "never")
			key := run("--passphrase", passphrase, "--export-secret-keys", user)
			want := event.Critical
			if passphrase != "" {
				want = event.Medium
			}
			if found := scan(t, string(key)); !slices.Equal(rulesOf(found), []string{"private_key"}) || found[0].Severity != want || found[0].Offset != 0 {
				t.Errorf("%s, passphrase %q: %+v", algorithm, passphrase, found)
			}
			if found := scan(t, string(run("--export", user))); len(found) != 0 {
				t.Errorf("public key, %s: %+v", algorithm, found)
			}
			for n := range 80 {
				scan(t, string(key[:len(key)*n/80]))
			}
			if found := scan(t, "x"+string(key)); len(found) != 0 {
				t.Errorf("in the middle of a file: %+v", found)
			}
		}
	}
	// A primary key that is kept elsewhere has a stub; its subkey is here.
	run("--passphrase", "", "--quick-generate-key", "sub@test.invalid", "ed25519", "cert", "never")
	list := run("--with-colons", "--list-keys", "sub@test.invalid")
	_, print, _ := bytes.Cut(list, []byte("fpr:::::::::"))
	run("--passphrase", "", "--quick-add-key", string(print[:40]), "ed25519", "sign", "never")
	subkeys := run("--passphrase", "", "--export-secret-subkeys", "sub@test.invalid")
	if found := scan(t, string(subkeys)); len(found) != 1 || found[0].Severity != event.Critical || found[0].Offset == 0 {
		t.Errorf("subkeys: %+v", found)
	}
}

// TestOpenPGPWithoutGPG: the packet of an Ed25519 key (RFC 9580, version 4
// and 6), made by hand.
func TestOpenPGPWithoutGPG(t *testing.T) {
	random := func(seed byte) (b []byte) {
		for i := range 32 {
			b = append(b, byte(i*int(seed)*37+i*i))
		}
		return b
	}
	created := "\x65\x00\x00\x00"
	old := append([]byte("\x04"+created+"\x1b"), random(3)...)
	sum := uint16(0)
	for _, c := range random(5) {
		sum += uint16(c)
	}
	old = binary.BigEndian.AppendUint16(append(append(old, 0), random(5)...), sum)
	damaged := slices.Clone(old)
	damaged[50] ^= 1
	newer := append([]byte("\x06"+created+"\x1b\x00\x00\x00\x20"), random(3)...)
	newer = append(append(newer, 0), random(5)...)
	for name, tt := range map[string]struct {
		file []byte
		want int
	}{
		"version 4, new header":  {append([]byte{0xC5, byte(len(old))}, old...), 1},
		"version 4, old header":  {append([]byte{0x95, 0, byte(len(old))}, old...), 1},
		"version 6":              {append([]byte{0xC5, byte(len(newer))}, newer...), 1},
		"a wrong checksum":       {append([]byte{0xC5, byte(len(old))}, damaged...), 0},
		"a public key":           {append([]byte{0xC6, byte(len(old))}, old...), 0},
		"cut short":              {append([]byte{0xC5, byte(len(old))}, old[:50]...), 0},
		"zeroes for a secret":    {append([]byte{0xC5, 71}, append(slices.Clone(old[:38]), make([]byte, 33)...)...), 0},
		"longer than memory has": {append([]byte{0x96, 0xFF, 0xFF, 0xFF, 0xFF}, old...), 0},
	} {
		if got := scan(t, string(tt.file)); len(got) != tt.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
