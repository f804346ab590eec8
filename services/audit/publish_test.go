package audit

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"assize.dev/services/audit/internal/checkpoint"
	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/config"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// logKey is the key of the logs of tests: the same in every process.
func logKey(name string) (secret config.Secret, vkey string) {
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, name)
	vkey, err := note.NewEd25519VerifierKey(name, ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	if err != nil {
		panic(err)
	}
	hash := strings.Split(vkey, "+")[1]
	return config.Secret(fmt.Sprintf("PRIVATE+KEY+%s+%s+%s", name, hash, base64.StdEncoding.EncodeToString(append([]byte{1}, seed...)))), vkey
}

var testKey, testVKey = logKey("assize.test/log")

func newTestPublisher(t testing.TB, store blob.Store) *Publisher {
	t.Helper()
	p, err := NewPublisher(Config{Keys: testKey}, store, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// checkPublished verifies every promise of what is published over lines, the
// log's, by x/mod alone. If complete, all of them must be published and all
// verdicts proven.
func checkPublished(t testing.TB, store blob.Store, lines [][]byte, complete bool) {
	t.Helper()
	verifier, err := note.NewVerifier(testVKey)
	if err != nil {
		t.Fatal(err)
	}
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(at []int64) (out []tlog.Hash, err error) {
		for _, i := range at {
			out = append(out, hashes[i])
		}
		return out, nil
	})
	for i, line := range lines {
		more, err := tlog.StoredHashes(int64(i), line, reader)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, more...)
	}
	rootOf := func(n uint64) tlog.Hash {
		h, err := tlog.TreeHash(int64(n), reader)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	open := func(key string, signed []byte) *checkpoint.Checkpoint {
		n, err := note.Open(signed, note.VerifierList(verifier))
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		c, err := checkpoint.Parse(n.Text)
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		if c.Size > uint64(len(lines)) || c.Root != rootOf(c.Size) {
			t.Fatalf("%s: %d entries, root %v; the log has %d, root %v", key, c.Size, c.Root, len(lines), rootOf(min(c.Size, uint64(len(lines)))))
		}
		return c
	}
	last := open(checkpointKey, object(t, store, checkpointKey))
	if complete && last.Size != uint64(len(lines)) {
		t.Errorf("%d of %d entries are published", last.Size, len(lines))
	}
	for info, err := range store.List(t.Context(), historyPrefix, "") {
		if err != nil {
			t.Fatal(err)
		}
		if c := open(info.Key, object(t, store, info.Key)); historyKey(c.Size) != info.Key {
			t.Errorf("%s is of %d entries", info.Key, c.Size)
		}
	}
	// Tiles and bundles of the checkpoint are there, and nothing else is false.
	want := map[string][]byte{}
	for _, tile := range tlog.NewTiles(8, 0, int64(last.Size)) {
		b, err := tlog.ReadTileData(tile, reader)
		if err != nil {
			t.Fatal(err)
		}
		want[tilePathOf(tile)] = b
	}
	for at := uint64(0); at < last.Size; at += 256 {
		var bundle []byte
		n := min(256, last.Size-at)
		for _, line := range lines[at : at+n] {
			bundle = append(bundle, byte(len(line)>>8), byte(len(line)))
			bundle = append(bundle, line...)
		}
		want[tilePathOf(tlog.Tile{H: 8, L: -1, N: int64(at / 256), W: int(n)})] = bundle
	}
	for path, b := range want {
		if got := object(t, store, publicPrefix+path); !bytes.Equal(got, b) {
			t.Errorf("%s is not what follows from the log", path)
		}
	}
	if complete {
		for info, err := range store.List(t.Context(), publicPrefix+"tile/", "") {
			if err != nil {
				t.Fatal(err)
			}
			full, _, partial := strings.Cut(info.Key, ".p/")
			if partial && want[full[len(publicPrefix):]] != nil {
				t.Errorf("%s is left over beside the full one", info.Key)
			}
		}
		checkProofs(t, store, lines)
	}
}

// tilePathOf is a tile's path as c2sp.org/tlog-tiles has it, by way of x/mod's.
func tilePathOf(t tlog.Tile) string {
	path := strings.Replace(t.Path(), "tile/8/", "tile/", 1)
	return strings.Replace(path, "tile/data/", "tile/entries/", 1)
}

func checkProofs(t testing.TB, store blob.Store, lines [][]byte) {
	t.Helper()
	policy, err := checkpoint.KeyPolicy(testVKey)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range lines {
		e, err := ParseLine(line)
		if err != nil {
			t.Fatal(err)
		}
		if e.Envelope == "" {
			continue
		}
		run := e.Subject[strings.LastIndexByte(e.Subject, '.')+1:]
		p, err := checkpoint.ParseProof(object(t, store, blob.VerdictKey(e.Artifact, run, ProofName)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Verify(policy, p.Entry); err != nil || p.Index != uint64(i) || !bytes.Equal(p.Entry, line) {
			t.Errorf("proof of entry %d: index %d, %v", i, p.Index, err)
		}
	}
}

// judged is a message with a verdict, as sign publishes it.
func judged(t testing.TB, seq uint64) *bus.Message {
	t.Helper()
	run := event.NewRun()
	v := &event.Verdict{
		Run: run, Lane: event.LaneNew, Registry: "r", Name: "n", Filename: "f", Format: "npm", Artifact: digest.Of([]byte(run)),
		Decision: event.Allow, Grade: event.GradeCommunity, KeyID: "k", Envelope: json.RawMessage(`{"payload":"e30="}`), Time: time.Unix(1, 0).UTC(),
	}
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	m := said(bus.Events, seq, string(data))
	m.Subject = v.Subject()
	m.Header["ce-type"] = []string{string(event.TypeVerdict)}
	if m.Event, m.Invalid = event.FromMessage(m.Subject, m.Header, m.Data); m.Event == nil {
		t.Fatal(m.Invalid)
	}
	return m
}

// Two replicas append and publish in turns, in batches of any size.
func TestPublish(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	one, two := newTestPublisher(t, store), newTestPublisher(t, store)
	if err := one.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	var seq uint64
	for round := range 12 {
		l := openLog(t, store)
		var batch []*bus.Message
		for range 1 + rand.IntN(150) {
			seq++
			if rand.IntN(9) == 0 {
				batch = append(batch, judged(t, seq))
			} else {
				batch = append(batch, said(bus.Events, seq, fmt.Sprintf(`{"n":%d}`, seq)))
			}
		}
		appendAll(t, l, batch...)
		p := one
		if round%3 == 1 {
			p = two
		}
		if rand.IntN(4) == 0 {
			p = newTestPublisher(t, store) // one that has just started
		}
		if err := p.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		checkPublished(t, store, logLines(t, store), true)
	}
}

// A person has to look at a log that is not the one that was signed.
func TestPublishRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		tamper func(t *testing.T, store *blob.Dir)
		want   string
	}{
		{"the log is shorter", func(t *testing.T, store *blob.Dir) { drop(t, store, segmentKey(3)) }, "were signed"},
		{"the log is another", func(t *testing.T, store *blob.Dir) {
			other, _ := newStore(t)
			l := openLog(t, other)
			for n := range uint64(2) {
				appendAll(t, l, said(bus.Uploads, 3*n+1, `x`), said(bus.Uploads, 3*n+2, `y`), said(bus.Uploads, 3*n+3, `z`))
			}
			for _, first := range []uint64{0, 3} {
				drop(t, store, segmentKey(first))
				b := object(t, other, segmentKey(first))
				if err := store.Create(t.Context(), segmentKey(first), bytes.NewReader(b), int64(len(b))); err != nil {
					t.Fatal(err)
				}
			}
		}, "not the one that was signed"},
		{"a tile is another", func(t *testing.T, store *blob.Dir) {
			drop(t, store, "audit/tile/0/000.p/6")
			if err := store.Replace(t.Context(), "audit/tile/0/000.p/6", make([]byte, 6*32)); err != nil {
				t.Fatal(err)
			}
		}, "tiles"},
		{"a tile is gone", func(t *testing.T, store *blob.Dir) { drop(t, store, "audit/tile/0/000.p/6") }, "does not exist"},
		{"the checkpoint is of another key", func(t *testing.T, store *blob.Dir) {
			key, _ := logKey("assize.test/other")
			s, err := checkpoint.NewSigners(key.Reveal())
			if err != nil {
				t.Fatal(err)
			}
			signed, err := s.Sign(checkpoint.Checkpoint{Size: 6})
			if err == nil {
				err = store.Replace(t.Context(), checkpointKey, signed)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, "not to be trusted"},
		{"the checkpoint is older", func(t *testing.T, store *blob.Dir) {
			if err := store.Replace(t.Context(), checkpointKey, object(t, store, historyKey(3))); err != nil {
				t.Fatal(err)
			}
			drop(t, store, segmentKey(3))
			l := openLog(t, store)
			appendAll(t, l, said(bus.Uploads, 4, `x`), said(bus.Uploads, 5, `y`), said(bus.Uploads, 6, `z`))
		}, "not what follows from the log"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			store, _ := newStore(t)
			l := openLog(t, store)
			running := newTestPublisher(t, store)
			for n := range uint64(2) {
				appendAll(t, l, said(bus.Uploads, 3*n+1, `1`), said(bus.Uploads, 3*n+2, `2`), said(bus.Uploads, 3*n+3, `3`))
				if err := running.Publish(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			tc.tamper(t, store)
			err := newTestPublisher(t, store).Publish(t.Context())
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

func drop(t testing.TB, store blob.Store, key string) {
	t.Helper()
	object(t, store, key) // there is one
	if err := store.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
}

// Each write of publishing fails in turn, persisting and not; the next attempt,
// by the same process or another, mends it.
func TestEveryPublishedWriteMayFail(t *testing.T) {
	t.Parallel()
	for n := 1; ; n++ {
		faults := 0
		for _, done := range []bool{false, true} {
			for _, restart := range []bool{false, true} {
				dir, _ := newStore(t)
				store := &faulty{Store: dir, done: done}
				p := newTestPublisher(t, store)
				seq := uint64(0)
				for round := range 4 {
					l := openLog(t, dir)
					batch := []*bus.Message{judged(t, seq+1)}
					for i := range uint64(90) {
						batch = append(batch, said(bus.Events, seq+2+i, `{}`))
					}
					seq += 91
					appendAll(t, l, batch...)
					if round == 1 {
						store.n = n
					}
					for try := range 3 {
						err := p.Publish(t.Context())
						if err == nil {
							break
						}
						if !errors.Is(err, errFault) || try == 2 {
							t.Fatalf("write %d, done %v, restart %v: %v", n, done, restart, err)
						}
						faults++
						checkPublished(t, dir, logLines(t, dir), false)
						if restart {
							p = newTestPublisher(t, store)
						}
					}
				}
				p.last.mine = true // and so not patient
				if err := p.Publish(t.Context()); err != nil {
					t.Fatal(err)
				}
				checkPublished(t, dir, logLines(t, dir), true)
			}
		}
		if faults == 0 {
			t.Logf("%d writes", n-1)
			break
		}
	}
}

func TestConsistency(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	l := openLog(t, store)
	p := newTestPublisher(t, store)
	roots := map[uint64]tlog.Hash{}
	for n := range uint64(5) {
		var batch []*bus.Message
		for i := range uint64(100) {
			batch = append(batch, said(bus.Events, n*100+i+1, `{}`))
		}
		appendAll(t, l, batch...)
		if err := p.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		roots[p.last.Size] = p.last.Root
	}
	for size, root := range roots {
		proof, err := p.consistency(t.Context(), size, 500)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckTree(proof, 500, roots[500], int64(size), root); err != nil {
			t.Error(err)
		}
	}
}
