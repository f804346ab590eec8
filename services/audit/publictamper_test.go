package audit

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"assize.dev/services/audit/internal/checkpoint"
	"assize.dev/services/audit/internal/tree"
	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
)

func testPolicy(t testing.TB) *checkpoint.Policy {
	t.Helper()
	p, err := checkpoint.KeyPolicy(testVKey)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// publishedLog is a log of segments of so many entries, each published.
func publishedLog(t testing.TB, segments ...int) (*blob.Dir, string) {
	t.Helper()
	store, dir := newStore(t)
	l := openLog(t, store)
	p := newTestPublisher(t, store)
	seq := uint64(0)
	for _, n := range segments {
		var batch []*bus.Message
		for range n {
			seq++
			batch = append(batch, said(bus.Events, seq, fmt.Sprintf(`{"n":%d}`, seq)))
		}
		appendAll(t, l, batch...)
		if err := p.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.SaveHead(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store, dir
}

func publicOf(store blob.Store) tree.Fetch {
	return func(ctx context.Context, path string, limit int64) ([]byte, error) {
		return fetch(ctx, store, path, limit)
	}
}

// strangers verify what is published, and owners all there is.
func bothVerify(t testing.TB, store blob.Store, o Options) (owner, stranger *Report) {
	t.Helper()
	owner, err := Verify(t.Context(), store, o)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err = VerifyPublished(t.Context(), publicOf(store), o)
	if err != nil {
		t.Fatal(err)
	}
	return owner, stranger
}

// Every bit of everything that is published counts: for the owner, and for a
// stranger if it is what strangers read for the last checkpoint. With
// ASSIZE_EXHAUSTIVE set it is every bit of the small log, and more of the other,
// which takes a minute.
func TestEveryPublishedBitCounts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		segments []int
		stride   int // in bits
		all      int // the same when asked for more
	}{{"a small log", []int{2, 3}, 29, 1}, {"one with full tiles", []int{200, 330}, 9973, 997}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			store, _ := publishedLog(t, tc.segments...)
			o := Options{Policy: testPolicy(t)}
			if owner, stranger := bothVerify(t, store, o); !owner.OK() || !stranger.OK() || !stranger.Checkpoint.Verified || stranger.Entries != owner.Entries {
				t.Fatalf("%+v, %+v", owner, stranger)
			}
			if os.Getenv("ASSIZE_EXHAUSTIVE") != "" {
				tc.stride = tc.all
			}
			size := 0
			for _, n := range tc.segments {
				size += n
			}
			flips := 0
			for info, err := range store.List(t.Context(), publicPrefix, "") {
				if err != nil {
					t.Fatal(err)
				}
				read := info.Key == checkpointKey || strings.HasPrefix(info.Key, publicPrefix+"tile/")
				if _, width, partial := strings.Cut(info.Key, ".p/"); partial && width != fmt.Sprint(size%256) && width != fmt.Sprint(size/256) {
					continue // of an earlier checkpoint, for those who still have it
				}
				whole := object(t, store, info.Key)
				for at := 0; at < 8*len(whole); at += tc.stride {
					flips++
					flipped := bytes.Clone(whole)
					flipped[at/8] ^= 1 << (at % 8)
					changed := altered{store, info.Key, flipped}
					owner, stranger := bothVerify(t, changed, o)
					if owner.OK() || read && stranger.OK() {
						t.Fatalf("%s, bit %d: unnoticed (owner %v, stranger %v)", info.Key, at, owner.OK(), stranger.OK())
					}
					if len(owner.Problems) > 3 || len(stranger.Problems) > 3 {
						t.Errorf("%s, bit %d: one fault makes %d and %d problems: %+v", info.Key, at, len(owner.Problems), len(stranger.Problems), stranger.Problems)
					}
					if strings.Contains(info.Key, "/tile/entries/000") {
						entry := entryAt(whole, at/8)
						if p := owner.Problems[0]; p.Entry != entry {
							t.Errorf("%s, bit %d: entry %d is wrong, not %+v", info.Key, at, entry, p)
						}
					}
				}
			}
			t.Logf("%d flips", flips)
		})
	}
}

// entryAt is the entry of a bundle to which a byte belongs.
func entryAt(bundle []byte, at int) (entry uint64) {
	for at >= 2+int(bundle[0])<<8+int(bundle[1]) {
		n := 2 + int(bundle[0])<<8 + int(bundle[1])
		bundle, at, entry = bundle[n:], at-n, entry+1
	}
	return entry
}

// What is kept elsewhere shows a log that was shortened or rewritten, by
// whoever has its key.
func TestKeptCheckpoints(t *testing.T) {
	t.Parallel()
	store, _ := publishedLog(t, 3, 4)
	small, large := object(t, store, historyKey(3)), object(t, store, historyKey(7))
	other, _ := publishedLog(t, 2, 1)
	another, _ := publishedLog(t, 3)
	o := Options{Policy: testPolicy(t), Kept: [][]byte{small}}
	owner, stranger := bothVerify(t, store, o)
	if !owner.OK() || !stranger.OK() || owner.Consistent != 3 || stranger.Consistent != 3 {
		t.Errorf("%+v, %+v", owner, stranger)
	}
	o.Kept = [][]byte{large}
	for name, store := range map[string]blob.Store{"rolled back": another, "of other segments, but the same": other} {
		if owner, stranger := bothVerify(t, store, o); owner.OK() || stranger.OK() || !strings.Contains(owner.Problems[0].Reason, "rolled back") {
			t.Errorf("%s: %+v, %+v", name, owner, stranger)
		}
	}
	// The same length, other entries, the right key: a fork.
	fork, _ := newStore(t)
	appendAll(t, openLog(t, fork), said(bus.Dead, 1, `1`), said(bus.Dead, 2, `2`), said(bus.Dead, 3, `3`))
	if err := newTestPublisher(t, fork).Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.Kept = [][]byte{small}
	if owner, stranger := bothVerify(t, fork, o); owner.OK() || stranger.OK() || !strings.Contains(stranger.Problems[0].Reason, "two logs") {
		t.Errorf("a fork: %+v, %+v", owner, stranger)
	}
	// A policy without the log's key trusts nothing.
	_, vkey := logKey("assize.test/other")
	stranger2, err := checkpoint.KeyPolicy(vkey)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := VerifyPublished(t.Context(), publicOf(store), Options{Policy: stranger2}); err != nil || r.OK() {
		t.Errorf("by another key: %+v, %v", r, err)
	}
}

// Whatever is cut off, missing or exchanged is named.
func TestPublishedTampering(t *testing.T) {
	t.Parallel()
	for name, tamper := range map[string]func(t *testing.T, dir string){
		"a tile is missing":     func(t *testing.T, dir string) { gone(t, path(dir, "audit/tile/0/000")) },
		"a bundle is missing":   func(t *testing.T, dir string) { gone(t, path(dir, "audit/tile/entries/000")) },
		"the edge is missing":   func(t *testing.T, dir string) { gone(t, path(dir, "audit/tile/0/001.p/44")) },
		"a bundle is truncated": func(t *testing.T, dir string) { cutOff(t, path(dir, "audit/tile/entries/000"), 100) },
		"a tile is truncated":   func(t *testing.T, dir string) { cutOff(t, path(dir, "audit/tile/0/000"), 1) },
		"a tile is longer": func(t *testing.T, dir string) {
			b, err := os.ReadFile(path(dir, "audit/tile/0/000"))
			if err != nil {
				t.Fatal(err)
			}
			overwrite(t, path(dir, "audit/tile/0/000"), append(b, 0))
		},
		"the checkpoint is truncated": func(t *testing.T, dir string) { cutOff(t, path(dir, checkpointKey), 20) },
		"an older checkpoint": func(t *testing.T, dir string) {
			b, err := os.ReadFile(path(dir, historyKey(200)))
			if err != nil {
				t.Fatal(err)
			}
			overwrite(t, path(dir, checkpointKey), b)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, dir := publishedLog(t, 200, 100)
			kept := object(t, store, checkpointKey)
			tamper(t, dir)
			owner, stranger := bothVerify(t, store, Options{Policy: testPolicy(t), Kept: [][]byte{kept}})
			if owner.OK() || stranger.OK() {
				t.Errorf("unnoticed: %+v, %+v", owner, stranger)
			}
		})
	}
	store, dir := publishedLog(t, 2)
	gone(t, path(dir, checkpointKey))
	if _, err := VerifyPublished(t.Context(), publicOf(store), Options{}); err == nil || !strings.Contains(err.Error(), fs.ErrNotExist.Error()) {
		t.Errorf("without a checkpoint: %v", err)
	}
}

func gone(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

func cutOff(t *testing.T, file string, n int) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, file, b[:len(b)-n])
}
