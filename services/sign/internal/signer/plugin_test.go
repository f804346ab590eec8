package signer

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/common"

	"assize.dev/services/sign/internal/dsse"
)

// TestMain lets the test binary be plug-ins, under their names.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "sigstore-kms-fake" {
		os.Exit(fake(os.Args[1:], os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// fake is a plug-in that is told by its key, ed25519 or p256, and by the
// environment, what to do wrong.
func fake(args []string, stdin io.Reader, stdout io.Writer) (exit int) {
	var call common.PluginArgs
	if len(args) != 2 || args[0] != "v1" || json.Unmarshal([]byte(args[1]), &call) != nil || call.InitOptions.ProtocolVersion != "v1" {
		fmt.Fprint(stdout, `{"errorMessage":"malformed call"}`)
		return 0
	}
	message, err := io.ReadAll(stdin)
	if err != nil {
		return 1
	}
	var key crypto.Signer = edKey(call.InitOptions.KeyResourceID)
	digest, hash := message, crypto.Hash(0)
	if strings.HasPrefix(call.InitOptions.KeyResourceID, "p256") {
		if key, err = deriveP256(call.InitOptions.KeyResourceID); err != nil {
			return 1
		}
		sum := sha256.Sum256(message)
		digest, hash = sum[:], call.InitOptions.HashFunc
	}
	var answer common.PluginResp
	switch call.MethodName {
	case common.PublicKeyMethodName:
		spki, err := encodePublic(key.Public())
		if err != nil {
			return 1
		}
		answer.PublicKey = &common.PublicKeyResp{PublicKeyPEM: spki}
	case common.SignMessageMethodName:
		switch fault := os.Getenv("FAKE_FAULT"); fault {
		case "":
		case "exits":
			return 2
		case "killed":
			self, _ := os.FindProcess(os.Getpid())
			_ = self.Kill()
			select {}
		case "slow":
			time.Sleep(time.Hour)
		case "huge":
			for {
				if _, err := stdout.Write(bytes.Repeat([]byte("x"), 1<<16)); err != nil {
					select {} // a program that does not care for the pipe
				}
			}
		case "another key":
			key = edKey("another")
		case "another message":
			digest = []byte("another")
		default:
			fmt.Fprint(stdout, fault)
			return 3
		}
		sig, err := key.Sign(nil, digest, hash)
		if err != nil {
			answer.ErrorMessage = err.Error()
		}
		answer.SignMessage = &common.SignMessageResp{Signature: sig}
	}
	_ = json.NewEncoder(stdout).Encode(answer)
	return 0
}

// installFake puts the plug-in on PATH.
func installFake(t *testing.T) (dir string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "sigstore-kms-fake")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return dir
}

func TestPlugin(t *testing.T) {
	dir := installFake(t)
	checkSigner(t, openTest(t, "fake://ed/1?x=y z", Options{}), edKey("ed/1?x=y z").Public())
	checkSigner(t, openTest(t, "fake://p256", Options{}), p256Key(t, "p256").Public())

	s := openTest(t, "fake://ed", Options{})
	t.Setenv("PATH", "")
	checkSigner(t, s, edKey("ed").Public()) // found once and for all
	if _, err := Open(t.Context(), "fake://ed", Options{}); err == nil || !strings.Contains(err.Error(), "needs the program sigstore-kms-fake") {
		t.Errorf("not on PATH: %v", err)
	}
	t.Chdir(dir)
	t.Setenv("PATH", ".")
	if _, err := Open(t.Context(), "fake://ed", Options{}); err == nil {
		t.Error("a program in the current directory is run")
	}
	for _, ref := range []string{"://k", "../fake://k", "a/b://k", "-x://k", "a b://k", strings.Repeat("a", 65) + "://k"} {
		if _, err := Open(t.Context(), ref, Options{}); err == nil || !strings.Contains(err.Error(), "is no name of a plug-in") {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

func TestPluginMisbehaves(t *testing.T) {
	installFake(t)
	s := openTest(t, "fake://ed", Options{})
	for fault, want := range map[string]string{
		"exits":                                "not the protocol's JSON",
		"killed":                               "signal: killed",
		"huge":                                 "more than 1048576 bytes",
		"another key":                          "was the key replaced?",
		"another message":                      "was the key replaced?",
		" ":                                    "not the protocol's JSON",
		"no JSON":                              "not the protocol's JSON",
		"null":                                 "no signMessage.signature",
		"{}":                                   "no signMessage.signature",
		`{"signMessage":{}}`:                   "no signMessage.signature",
		`{"signMessage":{"signature":1}}`:      "not the protocol's JSON",
		`{"signMessage":{"signature":"*"}}`:    "not the protocol's JSON",
		`{"signMessage":{"signature":"AAAA"}}`: "3 bytes that do not hold",
		`{"signMessage":{"signature":"AAAA"},"errorMessage":"token is gone\u001b"}`: `"token is gone\x1b"`,
		`{"errorMessage":"` + strings.Repeat("long ", 10_000) + `"}`:                "long long",
	} {
		t.Run(fmt.Sprintf("%.30s", fault), func(t *testing.T) {
			t.Setenv("FAKE_FAULT", fault)
			sig, err := s.Sign(t.Context(), []byte("m"))
			if err == nil || sig != nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 1000 {
				t.Fatalf("signature %x, error %v, want %q", sig, err, want)
			}
			t.Setenv("FAKE_FAULT", "")
			checkSigner(t, s, edKey("ed").Public())
		})
	}
}

// TestPluginSlow ends with the caller's patience or with its own.
func TestPluginSlow(t *testing.T) {
	installFake(t)
	s := openTest(t, "fake://ed", Options{}).(*Plugin)
	t.Setenv("FAKE_FAULT", "slow")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Sign(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	turn, _ := turns.Load(s.program)
	turn.(chan struct{}) <- struct{}{} // as another signature does that never ends
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := s.Sign(ctx, nil); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "waiting") {
		t.Errorf("in a queue: %v", err)
	}
	<-turn.(chan struct{})
	s.timeout = 50 * time.Millisecond
	if _, err := s.Sign(t.Context(), nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("out of time: %v", err)
	}
}

func TestPluginKeys(t *testing.T) {
	encode := func(pem []byte) string {
		data, err := json.Marshal(common.PluginResp{PublicKey: &common.PublicKeyResp{PublicKeyPEM: pem}})
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for name, answer := range map[string]string{
		"empty": "", "null": "null", "nothing": "{}", "no PEM": `{"publicKey":{}}`, "error": `{"errorMessage":"no such key"}`,
		"words": encode([]byte("words")), "private": encode(pkcs8(t, edKey("a"))), "weak": encode(make([]byte, 32)),
	} {
		if public, err := parsePluginKey([]byte(answer)); err == nil {
			t.Errorf("%s: %v", name, public)
		}
	}
}

func FuzzPluginAnswers(f *testing.F) {
	for _, a := range []common.PluginResp{
		{PublicKey: &common.PublicKeyResp{PublicKeyPEM: publicPEM(f, edKey("a").Public())}},
		{PublicKey: &common.PublicKeyResp{PublicKeyPEM: publicPEM(f, p256Key(f, "a").Public())}},
		{SignMessage: &common.SignMessageResp{Signature: make([]byte, 64)}},
		{ErrorMessage: "no"},
	} {
		data, err := json.Marshal(a)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if public, err := parsePluginKey(data); err == nil && suitable(public) != nil {
			t.Errorf("%q: %v", data, public)
		}
		if sig, err := parsePluginSignature(data); err == nil && (len(sig) == 0 || dsse.Holds(edKey("a").Public(), []byte("never signed"), sig)) {
			t.Errorf("%q: %x", data, sig)
		}
	})
}
