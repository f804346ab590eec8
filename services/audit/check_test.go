package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// checkLog verifies every promise of the log in store, which must hold
// exactly the messages want, each once and in the order of its stream, and
// nothing else but gaps where want has none. It reads the store by itself
// before it asks the package.
func checkLog(t testing.TB, store blob.Store, want []*bus.Message) {
	t.Helper()
	wanted := map[string]map[uint64]*bus.Message{}
	last := map[string]uint64{}
	for _, m := range want {
		if wanted[m.Stream] == nil {
			wanted[m.Stream] = map[uint64]*bus.Message{}
		}
		wanted[m.Stream][m.Sequence] = m
		last[m.Stream] = max(last[m.Stream], m.Sequence)
	}
	at, previous, index := map[string]uint64{}, sha(nil), uint64(0)
	for _, line := range logLines(t, store) {
		var e struct {
			Index, Seq          uint64
			Prev, Stream        string
			Type, Digest        string
			Subject, ID, Source string
			Time                time.Time
			Data                *string
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("entry %d: %v: %s", index, err, line)
		}
		if e.Index != index || e.Prev != previous {
			t.Fatalf("entry %d: index %d, prev %s, want %s", index, e.Index, e.Prev, previous)
		}
		index, previous = index+1, sha(line)
		if e.Type == TypeGap {
			var hole struct{ From, To uint64 }
			if err := json.Unmarshal([]byte(*e.Data), &hole); err != nil {
				t.Fatal(err)
			}
			if hole.From != at[e.Stream]+1 || hole.To != e.Seq || hole.To < hole.From {
				t.Errorf("entry %d: hole %+v of %s after %d", e.Index, hole, e.Stream, at[e.Stream])
			}
			for seq := hole.From; seq <= hole.To; seq++ {
				if wanted[e.Stream][seq] != nil {
					t.Errorf("entry %d: %s %d is no hole", e.Index, e.Stream, seq)
				}
			}
			at[e.Stream] = e.Seq
			continue
		}
		if e.Seq != at[e.Stream]+1 {
			t.Errorf("entry %d: %s %d after %d", e.Index, e.Stream, e.Seq, at[e.Stream])
		}
		at[e.Stream] = e.Seq
		m := wanted[e.Stream][e.Seq]
		if m == nil {
			t.Fatalf("entry %d: %s %d was never published", e.Index, e.Stream, e.Seq)
		}
		delete(wanted[e.Stream], e.Seq)
		if !e.Time.Equal(m.Time) || e.Digest != sha(m.Data) {
			t.Errorf("entry %d: %s, %s; want %s, %s", e.Index, e.Time, e.Digest, m.Time, sha(m.Data))
		}
		if len(m.Subject) < 1000 && event.Token(m.Subject) == m.Subject && e.Subject != m.Subject {
			t.Errorf("entry %d: subject %q, want %q", e.Index, e.Subject, m.Subject)
		}
		var data []byte
		if e.Data != nil {
			data = []byte(*e.Data)
		} else if len(m.Data) > 0 {
			var err error
			if data, err = blob.GetDocument(t.Context(), store, digest.Digest(e.Digest), 1<<20); err != nil {
				t.Errorf("entry %d: %v", e.Index, err)
			}
		}
		if !bytes.Equal(data, m.Data) {
			t.Errorf("entry %d: data %.80q, want %.80q", e.Index, data, m.Data)
		}
	}
	for stream, left := range wanted {
		if len(left) > 0 {
			t.Errorf("%d messages of %s are not in the log: %d…", len(left), stream, slices.Min(slices.Collect(maps.Keys(left))))
		}
	}

	r := verified(t, store)
	if !r.OK() || r.Entries != index || string(r.Chain) != previous || !maps.Equal(r.Positions, last) {
		t.Errorf("Verify says %+v, want %d entries, %s, %v", r, index, previous, last)
	}
	n := uint64(0)
	for e, err := range Entries(t.Context(), store, 0) {
		if err != nil || e.Index != n {
			t.Fatalf("Entries: %v, %v, want %d", e, err, n)
		}
		n++
	}
	l, err := OpenLog(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	if h := l.Head(); n != index || h.Size != index || string(h.Chain) != previous || !maps.Equal(h.Positions, last) {
		t.Errorf("%d entries; OpenLog says %+v, want %d, %s, %v", n, h, index, previous, last)
	}
	s, err := New(Config{}, nil, store, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.commit(l)
	for _, stream := range recorded {
		if got := s.position(stream); got != last[stream]+1 {
			t.Errorf("position of %s is %d, want %d: the first not stored", stream, got, last[stream]+1)
		}
	}
}

// logLines are all lines, from segments whose names are right.
func logLines(t testing.TB, store blob.Store) (lines [][]byte) {
	t.Helper()
	for _, key := range segmentKeys(t, store) {
		if want := fmt.Sprintf("audit/log/%020d.jsonl", len(lines)); key != want {
			t.Fatalf("segment %s, want %s", key, want)
		}
		b := object(t, store, key)
		if len(b) == 0 || b[len(b)-1] != '\n' {
			t.Fatalf("%s does not end with a line", key)
		}
		lines = append(lines, bytes.Split(b[:len(b)-1], []byte("\n"))...)
	}
	return lines
}

func segmentKeys(t testing.TB, store blob.Store) (keys []string) {
	t.Helper()
	for info, err := range store.List(t.Context(), "audit/log/", "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

func object(t testing.TB, store blob.Store, key string) []byte {
	t.Helper()
	o, err := store.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func verified(t testing.TB, store blob.Store) *Report {
	t.Helper()
	r, err := Verify(t.Context(), store, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sha(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// said makes the next message of a stream, as the bus would hand it out.
func said(stream string, seq uint64, data string) *bus.Message {
	m := &bus.Message{
		Stream: stream, Sequence: seq, Subject: "assize.upload.registry", Data: []byte(data),
		Time: time.Date(2026, 3, 1, 12, 0, int(seq%60), int(seq)*1001, time.UTC),
		Header: event.Header{"ce-specversion": {"1.0"}, "ce-id": {fmt.Sprint(stream, "-", seq)},
			"ce-source": {"assize/test"}, "ce-type": {string(event.TypeUpload)}},
	}
	m.Event, m.Invalid = event.FromMessage(m.Subject, m.Header, m.Data)
	return m
}

func newStore(t testing.TB) (store *blob.Dir, dir string) {
	t.Helper()
	dir = t.TempDir()
	store, err := blob.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store, dir
}

func openLog(t testing.TB, store blob.Store) *Log {
	t.Helper()
	l, err := OpenLog(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func appendAll(t testing.TB, l *Log, messages ...*bus.Message) {
	t.Helper()
	if err := l.Append(t.Context(), messages); err != nil {
		t.Fatal(err)
	}
}
