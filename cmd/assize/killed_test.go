package main

import (
	"bytes"
	"crypto"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"assize.dev/services/sign"
)

// TestKilledWhileRotating: a rotation that is killed leaves the old key set or
// the new one, whole, and a node signs with what is there.
func TestKilledWhileRotating(t *testing.T) {
	const kills, checkEvery = 40, 8 // a node costs many times what a look at its keys does
	data := t.TempDir()
	folder := dataDir(data).keys()
	checkedNote(t, data)
	rotate := func(after time.Duration) (time.Duration, bool) {
		return killedAfter(t, after, folder, "keys", "rotate", "--hybrid", "--keys", folder)
	}
	// To the end of the change, from its first trace in the directory.
	whole, _ := rotate(time.Hour)
	version, killed := 2, 0
	for i := range kills {
		if took, died := rotate(rand.N(whole)); died {
			killed++
		} else {
			whole = min(whole, took)
		}
		var stdout, stderr bytes.Buffer
		if code := execute([]string{"keys", "show", "--keys", folder}, &stdout, &stderr); code != exitPass {
			t.Fatalf("keys show: exit %d: %s", code, stderr.String())
		}
		history, err := sign.LoadKeySet(folder)
		if err != nil {
			t.Fatal(err)
		}
		set := history.Newest()
		if set.Version != version && set.Version != version+1 || len(set.Active()) != 2 {
			t.Errorf("version %d after %d, %d active keys", set.Version, version, len(set.Active()))
		}
		version = set.Version
		checkHeld(t, sign.NewKeyDir(folder, sign.SignerOptions{}), set)
		if i%checkEvery != checkEvery-1 {
			continue // without the repairs of a node, so that kills add up
		}
		_, envelope := checkedNote(t, data)
		if v, err := sign.VerifyVerdict(set, envelope, time.Now()); err != nil || v.KeyVersion != version {
			t.Errorf("verdict under version %d: %+v, %v", version, v, err)
		}
		// A node that started has made keys.json the newest version.
		if handed, err := sign.LoadKeySet(filepath.Join(folder, "keys.json")); err != nil || handed.Newest().Digest() != set.Digest() {
			t.Errorf("keys.json is %v, %v", handed, err)
		}
	}
	t.Logf("%d of %d were killed, and %d made a version all the same; a whole one takes %s", killed, kills, version-2-(kills-killed), whole)
	if killed == 0 {
		t.Error("the kills come too late")
	}
}

// checkHeld proves that the active keys are there, and that they may sign.
func checkHeld(t *testing.T, dir sign.KeyDir, set *sign.KeySet) {
	t.Helper()
	var public []crypto.PublicKey
	for _, k := range set.Active() {
		at, err := dir.HeldAt(k.KeyID)
		if err != nil {
			t.Fatal(err)
		}
		s, err := sign.OpenSigner(t.Context(), at, sign.SignerOptions{})
		if err != nil {
			t.Fatal(err)
		}
		public = append(public, s.Public())
	}
	if _, err := set.MaySign(public); err != nil {
		t.Error(err)
	}
}

// killedAfter runs assize and kills it so long after something changed in the
// directory. It returns how long assize ran after that, and whether it was
// killed.
func killedAfter(t *testing.T, after time.Duration, dir string, args ...string) (time.Duration, bool) {
	t.Helper()
	before, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.Command("assize", args...) // testscript.Main puts it on PATH
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		info, err := os.Stat(dir)
		if err != nil {
			t.Error(err)
			break
		}
		if !info.ModTime().Equal(before.ModTime()) || len(ended) > 0 {
			break
		}
		time.Sleep(100 * time.Microsecond)
	}
	changed := time.Now()
	died := false
	select {
	case err = <-ended:
	case <-time.After(after):
		died = cmd.Process.Kill() == nil
		err = <-ended
	}
	if died = died && !cmd.ProcessState.Exited(); !died && err != nil {
		t.Fatalf("%q: %v\n%s", args, err, stderr.String())
	}
	return time.Since(changed), died
}
