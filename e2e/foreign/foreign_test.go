package foreign

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

const origin = "assize.test/foreign"

// build compiles a program: ours in the workspace, others in this module.
func build(t *testing.T, dir, pkg, work string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-o", out, pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK="+work)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, text)
	}
	return out
}

// log is the audit log of a data directory.
type log struct {
	assize, data string
	env          []string
	vkey, secret string
}

func newLog(t *testing.T) *log {
	t.Helper()
	l := &log{assize: build(t, "../..", "./cmd/assize", ""), data: t.TempDir()}
	key := filepath.Join(t.TempDir(), "audit.key")
	l.run(t, 0, "audit", "keygen", "-o", key, origin)
	l.secret, l.vkey = read(t, key), read(t, strings.TrimSuffix(key, ".key")+".pub")
	l.env = append(l.env, "ASSIZE_AUDIT_KEY_FILE="+key)
	return l
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func (l *log) run(t *testing.T, want int, args ...string) string {
	t.Helper()
	cmd := exec.Command(l.assize, args...)
	cmd.Env = append(os.Environ(), append([]string{"ASSIZE_DATA_DIR=" + l.data}, l.env...)...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || cmd.ProcessState.ExitCode() != want {
		t.Fatalf("assize %s: %v, want exit code %d\n%s", strings.Join(args, " "), err, want, out)
	}
	return string(out)
}

// check judges some files that were not there before.
func (l *log) check(t *testing.T, n int) {
	t.Helper()
	args := []string{"check"}
	dir := t.TempDir()
	for i := range n {
		file := filepath.Join(dir, fmt.Sprintf("note-%d.txt", i))
		if err := os.WriteFile(file, []byte(rand.Text()), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	l.run(t, 2, args...) // hold: there are no advisories
}

func (l *log) dir() string { return filepath.Join(l.data, "store", "audit") }

// fsck is Tessera's. It hangs on some faults, so it has a limit.
func (l *log) fsck(t *testing.T, dir string) error {
	t.Helper()
	v, err := note.NewVerifier(l.vkey)
	if err != nil {
		t.Fatal(err)
	}
	hashes := func(bundle []byte) (all [][]byte, err error) {
		for len(bundle) > 0 {
			if len(bundle) < 2 || len(bundle)-2 < int(binary.BigEndian.Uint16(bundle)) {
				return nil, errors.New("malformed bundle")
			}
			n := 2 + int(binary.BigEndian.Uint16(bundle))
			all, bundle = append(all, rfc6962.DefaultHasher.HashLeaf(bundle[2:n])), bundle[n:]
		}
		return all, nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- fsck.New(origin, v, client.FileFetcher{Root: dir}, hashes, fsck.Opts{N: 8}).Check(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// torchwood reads all entries, each verified against the checkpoint.
func (l *log) torchwood(t *testing.T, dir string, policy torchwood.Policy) (entries [][]byte, err error) {
	t.Helper()
	signed, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := torchwood.VerifyCheckpoint(signed, policy)
	if err != nil {
		return nil, err
	}
	files, err := torchwood.NewTileFS(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	reader, err := torchwood.NewClient(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range reader.AllEntries(t.Context(), c.Tree, 0) {
		entries = append(entries, bytes.Clone(e))
	}
	if err := reader.Err(); err != nil {
		return nil, err
	}
	if int64(len(entries)) != c.N {
		return nil, fmt.Errorf("%d of %d entries", len(entries), c.N)
	}
	return entries, nil
}

// witness is a litewitness that knows our log.
type witness struct{ url, vkey string }

func newWitness(t *testing.T, l *log) *witness {
	t.Helper()
	program := build(t, ".", "filippo.io/torchwood/cmd/litewitness", "off")
	dir, err := os.MkdirTemp("", "w") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keyring := agent.NewKeyring()
	if err := keyring.Add(agent.AddedKey{PrivateKey: private}); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	go func() {
		for {
			c, err := socket.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(keyring, c) }()
		}
	}()
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := port.Addr().String()
	port.Close()
	database := filepath.Join(dir, "db")
	var stderr bytes.Buffer
	start := func() *exec.Cmd {
		cmd := exec.Command(program, "-name", "witness.test/lite", "-db", database, "-ssh-agent", filepath.Join(dir, "s"), "-listen", address, "-key", ssh.FingerprintSHA256(key))
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(20 * time.Second)
		for {
			c, err := net.Dial("tcp", address)
			if err == nil {
				c.Close()
				return cmd
			}
			if time.Now().After(deadline) {
				t.Fatalf("litewitness does not listen: %s", stderr.String())
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	stop := func(cmd *exec.Cmd) { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	stop(start()) // it has made its tables
	db, err := sqlite.OpenConn(database, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	empty := tlog.Hash(rfc6962.DefaultHasher.EmptyRoot())
	err = sqlitex.Execute(db, "INSERT INTO log (origin, tree_size, tree_hash) VALUES (?, 0, ?)", &sqlitex.ExecOptions{Args: []any{origin, base64.StdEncoding.EncodeToString(empty[:])}})
	if err == nil {
		err = sqlitex.Execute(db, "INSERT INTO key (origin, key) VALUES (?, ?)", &sqlitex.ExecOptions{Args: []any{origin, l.vkey}})
	}
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	running := start()
	t.Cleanup(func() { stop(running) })
	vkey := regexp.MustCompile(`vkey=(\S+)`).FindStringSubmatch(stderr.String())
	if vkey == nil {
		t.Fatalf("litewitness does not say its key: %s", stderr.String())
	}
	return &witness{"http://" + address, strings.Trim(vkey[1], `"`)}
}

// post sends a checkpoint as the log would.
func (w *witness) post(t *testing.T, old uint64, signed []byte) (int, string) {
	t.Helper()
	body := fmt.Sprintf("old %d\n\n%s", old, signed)
	r, err := http.Post(w.url+"/add-checkpoint", "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, strings.TrimSpace(string(answer))
}

// A real witness cosigns, and Tessera and torchwood accept what is published; a
// witness refuses a rollback and a fork, and the tools see every tampering.
func TestForeignPrograms(t *testing.T) {
	l := newLog(t)
	w := newWitness(t, l)
	policyFile := filepath.Join(t.TempDir(), "policy")
	text := fmt.Sprintf("log %s\nwitness lite %s %s\nquorum lite\n", l.vkey, w.vkey, w.url)
	if err := os.WriteFile(policyFile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	policy, err := torchwood.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	l.env = append(l.env, "ASSIZE_AUDIT_WITNESSES="+policyFile)
	l.check(t, 3)
	first, err := os.ReadFile(filepath.Join(l.dir(), "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	l.check(t, 40) // more than a tile
	if out := l.run(t, 0, "audit", "verify", "--witness-policy", policyFile); !strings.Contains(out, "✓ witness lite") {
		t.Errorf("audit verify does not name the witness:\n%s", out)
	}
	if err := l.fsck(t, l.dir()); err != nil {
		t.Errorf("Tessera's fsck: %v", err)
	}
	entries, err := l.torchwood(t, l.dir(), policy)
	if err != nil {
		t.Fatalf("torchwood: %v", err)
	}
	if len(entries) < 300 {
		t.Errorf("%d entries: too few for a full tile", len(entries))
	}

	proofs, err := filepath.Glob(filepath.Join(l.data, "store/verdicts/sha256/*/*.tlog-proof"))
	if err != nil || len(proofs) != 43 {
		t.Fatalf("%d proofs, %v", len(proofs), err)
	}
	for _, file := range proofs {
		proof, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		entry, err := torchwood.ProofExtraData(proof)
		if err != nil {
			t.Fatal(err)
		}
		if err := torchwood.VerifyProof(policy, tlog.RecordHash(entry), proof); err != nil {
			t.Errorf("torchwood: %s: %v", filepath.Base(file), err)
		}
		if err := torchwood.VerifyProof(policy, tlog.RecordHash(append(entry, 'x')), proof); err == nil {
			t.Errorf("torchwood: %s proves another entry", filepath.Base(file))
		}
	}

	size := uint64(len(entries))
	if code, answer := w.post(t, 0, first); code != http.StatusConflict || answer != fmt.Sprint(size) {
		t.Errorf("a rollback: %d %s", code, answer)
	}
	s, err := note.NewSigner(l.secret)
	if err != nil {
		t.Fatal(err)
	}
	fork, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", origin, size, base64.StdEncoding.EncodeToString(make([]byte, 32)))}, s)
	if err != nil {
		t.Fatal(err)
	}
	if code, answer := w.post(t, size, fork); code != http.StatusUnprocessableEntity && code != http.StatusConflict {
		t.Errorf("a fork: %d %s", code, answer)
	} else {
		t.Logf("a fork: %d %s", code, answer)
	}

	for _, file := range []string{"tile/entries/000", "tile/0/000", "checkpoint"} {
		dir := filepath.Join(t.TempDir(), "copy")
		if err := os.CopyFS(dir, os.DirFS(l.dir())); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, file)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		if err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, b, 0o600)); err != nil {
			t.Fatal(err)
		}
		ours := l.run(t, 1, "audit", "verify", "--offline", dir, "--witness-policy", policyFile)
		if err := l.fsck(t, dir); err == nil {
			t.Errorf("%s: Tessera's fsck does not see a changed bit", file)
		}
		if _, err := l.torchwood(t, dir, policy); err == nil {
			t.Errorf("%s: torchwood does not see a changed bit", file)
		}
		t.Logf("%s: %s", file, strings.Split(ours, "\n")[0])
	}
}
