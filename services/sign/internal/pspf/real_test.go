package pspf_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"assize.dev/services/sign/internal/pspf"
	"assize.dev/shared/realdata"
)

// TestRealPackages holds the reader against packages of FlavorPack's own
// builders and against attacks that its readers accept.
func TestRealPackages(t *testing.T) {
	root := realdata.Dir(t)
	seedKey, err := os.ReadFile(filepath.Join(root, "pspf", "keys", "seed-public.hex"))
	if err != nil {
		t.Fatal(err)
	}
	fingerprint := fingerprintOf(t, strings.TrimSpace(string(seedKey)))
	want := map[string]string{
		"attack-metasize-huge":             pspf.CheckIndex,
		"attack-perm-07777":                pspf.CheckSlotTable,
		"attack-slot0-replaced-tablefixed": pspf.CheckSlotContent,
		"index-signature+adlerfixed":       pspf.CheckSignature,
		"meta-body":                        pspf.CheckIntegrity,
		"slot1-data":                       pspf.CheckSlotContent,
		"trunc-half":                       pspf.CheckTrailer,
		"wrongkey-resigned":                "", // only an unknown key tells
	}
	files, err := filepath.Glob(filepath.Join(root, "pspf", "*", "*.psp"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no packages in %s: %v", root, err)
	}
	for _, path := range files {
		folder, name := filepath.Base(filepath.Dir(path)), strings.TrimSuffix(filepath.Base(path), ".psp")
		t.Run(folder+"/"+name, func(t *testing.T) {
			file, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			report := verify(t, file, pspf.Deep)
			check, listed := want[name]
			if folder == "corrupt" && !listed {
				t.Fatal("not in the table of this test")
			}
			if check != "" {
				rejectedBy(t, report, check)
				return
			}
			if err := report.Err(); err != nil {
				t.Fatal(err)
			}
			for _, level := range levels {
				if r := verify(t, file, level); r.OK() != (folder != "evil" || level < pspf.Paranoid) {
					t.Errorf("level %s: %v", level, r.Err())
				}
			}
			seeded := strings.HasSuffix(name, "-seed") || folder == "evil"
			if known := report.KeyFingerprint == fingerprint; seeded != known {
				t.Errorf("key %s; is the seed's key: %v", report.KeyFingerprint, known)
			}
			launcher := pspf.LauncherUnauthenticated
			if strings.HasPrefix(name, "py-") {
				launcher = pspf.LauncherAuthenticated
			}
			if report.Launcher != launcher {
				t.Errorf("launcher is %s, want %s", report.Launcher, launcher)
			}
		})
	}
}

func fingerprintOf(t *testing.T, publicHex string) string {
	t.Helper()
	raw, err := hex.DecodeString(publicHex)
	if err != nil {
		t.Fatal(err)
	}
	return sumHex(raw)
}
