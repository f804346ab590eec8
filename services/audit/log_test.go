package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// strange is data that publishers may send, on purpose or not.
var strange = map[string]string{
	"nothing":            ``,
	"null":               `null`,
	"object":             `{"a":1}`,
	"spaces":             `{"a": 1}`,
	"newline":            "{\"a\":1}\n",
	"lines":              "{\n}\n{\n}",
	"no JSON":            "\x00\x01 hello",
	"two values":         `{}{}`,
	"closes the list":    `1],[2`,
	"comma":              `1,2`,
	"duplicate keys":     `{"a":1,"a":2,"A":3}`,
	"big number":         `[123456789012345678901234567890.000e+99999,-0,0e0]`,
	"escapes":            `"\u0041\u2028\ud800\/\u003c"`,
	"HTML":               `"<script>&\u0026</script>"`,
	"line separator":     "\"\u2028\u2029\"",
	"invalid UTF-8":      "\"\xff\xfe\"",
	"byte order mark":    "\uFEFF{}",
	"largest inline":     `"` + strings.Repeat("<", MaxInline-2) + `"`,
	"one more":           `"` + strings.Repeat("<", MaxInline-1) + `"`,
	"large":              `"` + strings.Repeat("x", 500<<10) + `"`,
	"deepest":            strings.Repeat("[", 10000) + strings.Repeat("]", 10000),
	"nearly the deepest": strings.Repeat("[", 9999) + strings.Repeat("]", 9999),
	"too deep":           strings.Repeat("[", 12000) + strings.Repeat("]", 12000),
	"an entry":           `{"index":0,"prev":"","stream":"EVENTS"}`,
	"a gap":              `{"from":1,"to":9}`,
}

func TestAnyDataIsKeptToTheByte(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	l := openLog(t, store)
	var all []*bus.Message
	for _, data := range strange {
		all = append(all, said(bus.Uploads, uint64(len(all)+1), data))
	}
	appendAll(t, l, all...)
	checkLog(t, store, all)
}

func TestAnyAttributeIsRecorded(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	l := openLog(t, store)
	var all []*bus.Message
	for _, hostile := range []string{
		"", "plain", "<&>", "\xff\xfe", strings.Repeat("\x01", 300<<10), strings.Repeat("\xff", 300<<10),
		strings.Repeat("é", 3000), "x" + strings.Repeat("é", 3000), "\u2028", "\x7f\"\\", TypeGap, TypeMalformed, "�",
		strings.Repeat(`"`, 5000), "\xff" + strings.Repeat(`"`, 5000),
	} {
		for _, name := range []string{"ce-id", "ce-source", "ce-type", "subject", "all"} {
			m := said(bus.Dead, uint64(len(all)+1), `{}`)
			if name == "all" { // the longest line there can be
				m.Data = []byte(`"` + strings.Repeat("x", MaxInline-2) + `"`)
			}
			for _, n := range []string{"ce-id", "ce-source", "ce-type"} {
				if name == n || name == "all" {
					m.Header[n] = []string{hostile}
				}
			}
			if name == "subject" || name == "all" {
				m.Subject = hostile
			}
			m.Event, m.Invalid = event.FromMessage(m.Subject, m.Header, m.Data)
			all = append(all, m)
		}
	}
	appendAll(t, l, all...)
	checkLog(t, store, all)
	for e, err := range Entries(t.Context(), store, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == TypeGap {
			t.Errorf("entry %d: an event passes for a gap", e.Index)
		}
	}
}

func TestGap(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	l := openLog(t, store)
	all := []*bus.Message{said(bus.Uploads, 4, `1`), said(bus.Events, 1, `2`), said(bus.Uploads, 5, `3`),
		said(bus.Dead, 2, `4`), said(bus.Events, 1000, `5`)}
	appendAll(t, l, all[:2]...)
	appendAll(t, l, all...)
	appendAll(t, l, all...) // nothing is new
	checkLog(t, store, all)
	if got := len(logLines(t, store)); got != len(all)+3 {
		t.Errorf("%d entries, want %d", got, len(all)+3)
	}
	if got := len(segmentKeys(t, store)); got != 2 {
		t.Errorf("%d segments", got)
	}
}

// Replicas that append the same messages at once, cut into batches in their
// own way, make one log.
func TestReplicasAppendAtOnce(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	var all []*bus.Message
	for seq := range uint64(40) {
		all = append(all, said(bus.Uploads, seq+1, `{}`), said(bus.Events, seq+1, `{ }`), said(bus.Dead, seq*2+1, `[]`))
	}
	var replicas sync.WaitGroup
	for r := range 3 {
		l := openLog(t, store)
		replicas.Go(func() {
			for batch, n := all, 0; len(batch) > 0; batch = batch[n:] {
				n = min(len(batch), r+2)
				err := l.Append(t.Context(), batch[:n])
				for errors.Is(err, errMoved) {
					if err = l.SaveHead(t.Context()); err == nil {
						err = l.Append(t.Context(), batch[:n])
					}
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	written := make(chan struct{})
	go func() { replicas.Wait(); close(written) }()
	for done := false; !done; {
		select {
		case <-written:
			done = true
		default: // a reader meanwhile sees a log that is whole
		}
		if r := verified(t, store); !r.OK() {
			t.Fatalf("while it is written: %+v", r.Problems)
		}
	}
	checkLog(t, store, all)
}

// faulty is a store whose n-th write from now fails, done or not done.
type faulty struct {
	blob.Store
	mu   sync.Mutex
	n    int
	done bool
}

var errFault = errors.New("the store broke down")

func (f *faulty) write(write func() error) error {
	f.mu.Lock()
	f.n--
	now := f.n == 0
	f.mu.Unlock()
	if !now {
		return write()
	}
	if f.done {
		if err := write(); err != nil {
			return err
		}
	}
	return errFault
}

func (f *faulty) Create(ctx context.Context, key string, body io.Reader, size int64) error {
	return f.write(func() error { return f.Store.Create(ctx, key, body, size) })
}

func (f *faulty) Replace(ctx context.Context, key string, body []byte) error {
	return f.write(func() error { return f.Store.Replace(ctx, key, body) })
}

func (f *faulty) Swap(ctx context.Context, key string, old, body []byte) error {
	return f.write(func() error { return f.Store.Swap(ctx, key, old, body) })
}

func (f *faulty) Delete(ctx context.Context, key string) error {
	return f.write(func() error { return f.Store.Delete(ctx, key) })
}

// Each write fails in turn, persisting and not; after a restart, and also
// when the same process goes on, nothing is missing or there twice.
func TestEveryWriteMayFail(t *testing.T) {
	t.Parallel()
	rounds := [][]*bus.Message{
		{said(bus.Uploads, 1, `{}`), said(bus.Events, 1, "\xff1")},
		{said(bus.Uploads, 2, "\xff2"), said(bus.Events, 4, `{}`), said(bus.Events, 5, "\xff3")},
		{said(bus.Dead, 1, "\xff4")},
	}
	var all []*bus.Message
	for _, r := range rounds {
		all = append(all, r...)
	}
	// Documents, segments and heads: 4 + 3 + 3 writes.
	for n := 1; n <= 11; n++ {
		for _, done := range []bool{false, true} {
			for _, restart := range []bool{false, true} {
				t.Run(fmt.Sprintf("write %d, done %v, restart %v", n, done, restart), func(t *testing.T) {
					t.Parallel()
					dir, _ := newStore(t)
					store := &faulty{Store: dir, n: n, done: done}
					l := openLog(t, store)
					faults := 0
					for _, batch := range rounds {
						for range 3 {
							err := l.Append(t.Context(), batch)
							if err == nil {
								err = l.SaveHead(t.Context())
							}
							if err == nil {
								break
							}
							if errors.Is(err, errFault) {
								faults++
							} else if !errors.Is(err, errMoved) {
								t.Fatal(err)
							}
							if r := verified(t, dir); !r.OK() {
								t.Fatalf("after the fault: %+v", r.Problems)
							}
							if restart {
								l = openLog(t, store)
							}
						}
					}
					if want := 1 - n/11; faults != want {
						t.Errorf("%d faults, want %d", faults, want)
					}
					checkLog(t, dir, all)
				})
			}
		}
	}
}

func TestSavedHead(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	if err := openLog(t, store).SaveHead(t.Context()); err != nil {
		t.Fatal(err)
	}
	if h, err := readHead(t.Context(), store); h != nil || err != nil {
		t.Errorf("saved %+v, %v of an empty log", h, err)
	}
	one, two := openLog(t, store), openLog(t, store)
	all := []*bus.Message{said(bus.Uploads, 1, `1`), said(bus.Uploads, 2, `2`), said(bus.Events, 1, `3`)}
	appendAll(t, one, all[0])
	if err := two.Append(t.Context(), all[:1]); !errors.Is(err, errMoved) {
		t.Fatal(err)
	}
	appendAll(t, two, all[1:]...)
	for _, l := range []*Log{two, one} { // one is behind and leaves it
		if err := l.SaveHead(t.Context()); err != nil {
			t.Fatal(err)
		}
		if h, err := readHead(t.Context(), store); err != nil || h.Size != 3 || h.Segment != 1 {
			t.Fatalf("%+v, %v", h, err)
		}
	}
	checkLog(t, store, all)
	if err := store.Delete(t.Context(), headKey); err != nil {
		t.Fatal(err)
	}
	checkLog(t, store, all) // found again without it
	if err := one.SaveHead(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkLog(t, store, all) // and from one that is behind
}

// What no service would write is refused even if its chain is right.
func TestForgedEntriesAreRefused(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		forge func(e *Entry)
		ok    bool
	}{
		{"genuine", func(*Entry) {}, true},
		{"of another stream", func(e *Entry) { e.Stream, e.Sequence = "VERDICTS", 1 }, false},
		{"of no stream", func(e *Entry) { e.Stream, e.Sequence = "", 1 }, false},
		{"repeated", func(e *Entry) { e.Sequence = 2 }, false},
		{"skipped", func(e *Entry) { e.Sequence = 4 }, false},
		{"sequence 0", func(e *Entry) { e.Stream, e.Sequence = bus.Dead, 0 }, false},
		{"gap", func(e *Entry) { e.Type, e.Sequence, e.Data = TypeGap, 9, gapData(3, 9) }, true},
		{"gap over what is recorded", func(e *Entry) { e.Type, e.Sequence, e.Data = TypeGap, 9, gapData(1, 9) }, false},
		{"gap that hides something", func(e *Entry) { e.Type, e.Sequence, e.Data = TypeGap, 9, gapData(4, 9) }, false},
		{"gap that is longer", func(e *Entry) { e.Type, e.Sequence, e.Data = TypeGap, 9, gapData(3, 8) }, false},
		{"gap backwards", func(e *Entry) { e.Type, e.Sequence, e.Data = TypeGap, 2, gapData(3, 2) }, false},
		{"gap without data", func(e *Entry) { e.Type, e.Data = TypeGap, "" }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := emptyHead()
			for seq := range uint64(2) {
				if _, err := h.add(nil, entryOf(said(bus.Events, seq+1, `{}`))); err != nil {
					t.Fatal(err)
				}
			}
			e := entryOf(said(bus.Events, 3, `{}`))
			tc.forge(e)
			e.Digest = digest.Of([]byte(e.Data))
			if _, err := h.add(nil, e); (err == nil) != tc.ok {
				t.Errorf("%v", err)
			}
			if want := map[bool]uint64{true: 3, false: 2}[tc.ok]; h.Size != want {
				t.Errorf("size %d, want %d", h.Size, want)
			}
		})
	}
}
