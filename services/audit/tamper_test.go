package audit

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/digest"
)

// written makes a log of 12 entries in 4 segments of 3 with a saved head. Entry
// 6 is a hole, and the data of entry 7 is a document.
func written(t testing.TB) (store *blob.Dir, dir string) {
	t.Helper()
	store, dir = newStore(t)
	l := openLog(t, store)
	for _, batch := range [][]*bus.Message{
		{said(bus.Uploads, 1, `{"n":0}`), said(bus.Events, 1, `{"n":1}`), said(bus.Events, 2, `{"n":2}`)},
		{said(bus.Events, 3, `{"n":3}`), said(bus.Uploads, 2, `{"n":4}`), said(bus.Dead, 1, `{"n":5}`)},
		{said(bus.Events, 9, "no UTF-8\xff"), said(bus.Events, 10, `{"n":8}`)},
		{said(bus.Events, 11, `{"n":9}`), said(bus.Dead, 2, `{"n":10}`), said(bus.Uploads, 3, `{"n":11}`)},
	} {
		appendAll(t, l, batch...)
	}
	if err := l.SaveHead(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := verified(t, store); !r.OK() || r.Entries != 12 || r.Segments != 4 {
		t.Fatalf("%+v", r)
	}
	return store, dir
}

// overwrite changes a file behind the store's back.
func overwrite(t testing.TB, file string, content []byte) {
	t.Helper()
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func path(dir, key string) string { return filepath.Join(dir, filepath.FromSlash(key)) }

// altered is a store where the object under key reads as content.
type altered struct {
	blob.Store
	key     string
	content []byte
}

func (a altered) Open(ctx context.Context, key string) (blob.Object, error) {
	o, err := a.Store.Open(ctx, key)
	if key != a.key || err != nil {
		return o, err
	}
	return alteredObject{o, bytes.NewReader(a.content)}, nil
}

type alteredObject struct {
	blob.Object
	*bytes.Reader
}

func (o alteredObject) Read(p []byte) (int, error)              { return o.Reader.Read(p) }
func (o alteredObject) ReadAt(p []byte, off int64) (int, error) { return o.Reader.ReadAt(p, off) }
func (o alteredObject) Size() int64                             { return o.Reader.Size() }

// Every byte of the log and of its saved head counts: of some bytes every
// bit is flipped, of the others one.
func TestEveryBitCounts(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	l := openLog(t, store)
	appendAll(t, l, said(bus.Events, 1, `1`))
	appendAll(t, l, said(bus.Uploads, 3, "no UTF-8\xff"), said(bus.Events, 2, `{}`))
	if err := l.SaveHead(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := 0 // entry of the segment
	for _, key := range append(segmentKeys(t, store), headKey) {
		whole := object(t, store, key)
		for i := range whole {
			for bit := range 8 {
				if bit != i%8 && i%101 != 0 {
					continue
				}
				flipped := bytes.Clone(whole)
				flipped[i] ^= 1 << bit
				r := verified(t, altered{store, key, flipped})
				if r.OK() {
					t.Fatalf("%s, byte %d, bit %d: %q became %q unnoticed", key, i, bit, whole[i], flipped[i])
				}
				if key == headKey {
					continue
				}
				// That a line was changed may show in the next one only.
				entry := uint64(first + bytes.Count(whole[:i], []byte("\n")))
				if p := r.Problems[0]; p.Entry != entry && p.Entry != entry+1 {
					t.Errorf("%s, byte %d, bit %d, entry %d: first problem is %+v", key, i, bit, entry, p)
				}
				if len(r.Problems) > 3 {
					t.Errorf("%s, byte %d, bit %d: one fault makes %d problems: %+v", key, i, bit, len(r.Problems), r.Problems)
				}
			}
		}
		first += bytes.Count(whole, []byte("\n"))
	}
	if r := verified(t, store); !r.OK() || first != 4 {
		t.Errorf("unchanged: %d entries, %+v", first, r.Problems)
	}
}

func TestTamperingIsDetected(t *testing.T) {
	t.Parallel()
	remove := func(t *testing.T, file string) {
		t.Helper()
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	rename := func(t *testing.T, from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	edit := func(t *testing.T, file string, change func(lines [][]byte) [][]byte) {
		t.Helper()
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		overwrite(t, file, bytes.Join(change(bytes.SplitAfter(b, []byte("\n"))), nil))
	}
	for _, tc := range []struct {
		name   string
		tamper func(t *testing.T, dir string, segment func(first uint64) string)
		entry  uint64
		reason string // part of the first problem's
		opens  bool   // whether the writer, which reads from the saved head on, goes on
	}{
		{"first segment removed", func(t *testing.T, _ string, s func(uint64) string) { remove(t, s(0)) }, 0, "entries 0 to 2 are missing", true},
		{"middle segment removed", func(t *testing.T, _ string, s func(uint64) string) { remove(t, s(3)) }, 3, "entries 3 to 5 are missing", true},
		{"two segments removed", func(t *testing.T, _ string, s func(uint64) string) { remove(t, s(3)); remove(t, s(6)) }, 3, "entries 3 to 8 are missing", true},
		{"tail removed", func(t *testing.T, _ string, s func(uint64) string) { remove(t, s(9)) }, 9, "its tail is cut off", false},
		{"all removed", func(t *testing.T, _ string, s func(uint64) string) {
			for _, first := range []uint64{0, 3, 6, 9} {
				remove(t, s(first))
			}
		}, 0, "its tail is cut off", false},
		{"last line cut", func(t *testing.T, _ string, s func(uint64) string) {
			edit(t, s(9), func(l [][]byte) [][]byte { return l[:2] })
		}, 11, "its tail is cut off", false},
		{"last line cut in two", func(t *testing.T, _ string, s func(uint64) string) {
			edit(t, s(9), func(l [][]byte) [][]byte { l[2] = l[2][:20]; return l })
		}, 11, "its end is cut off", false},
		{"last newline cut", func(t *testing.T, _ string, s func(uint64) string) {
			edit(t, s(9), func(l [][]byte) [][]byte { l[2] = bytes.TrimSpace(l[2]); return l })
		}, 11, "its end is cut off", false},
		{"line cut in the middle", func(t *testing.T, _ string, s func(uint64) string) {
			edit(t, s(3), func(l [][]byte) [][]byte { return l[:2] })
		}, 5, "entries 5 to 5 are missing", true},
		{"segment emptied", func(t *testing.T, _ string, s func(uint64) string) { overwrite(t, s(3), nil) }, 3, "its end is cut off", true},
		{"line removed", func(t *testing.T, _ string, s func(uint64) string) {
			edit(t, s(3), func(l [][]byte) [][]byte { return slices.Delete(l, 1, 2) })
		}, 4, "says it is entry 5", true},
		{"line repeated", func(t *testing.T, _ string, s func(uint64) string) {
			edit(t, s(3), func(l [][]byte) [][]byte { return slices.Insert(l, 1, l[0]) })
		}, 4, "says it is entry 3", true},
		{"lines exchanged", func(t *testing.T, _ string, s func(uint64) string) {
			edit(t, s(3), func(l [][]byte) [][]byte { l[0], l[1] = l[1], l[0]; return l })
		}, 3, "says it is entry 4", true},
		{"empty line", func(t *testing.T, _ string, s func(uint64) string) {
			edit(t, s(3), func(l [][]byte) [][]byte { return slices.Insert(l, 1, []byte("\n")) })
		}, 4, "not an entry", true},
		{"endless line", func(t *testing.T, _ string, s func(uint64) string) {
			edit(t, s(3), func(l [][]byte) [][]byte { l[1] = bytes.Repeat([]byte("x"), 10*maxLine); return l })
		}, 4, "a line is longer", true},
		{"segment renamed", func(t *testing.T, _ string, s func(uint64) string) { rename(t, s(3), s(4)) }, 3, "entries 3 to 3 are missing", true},
		{"segment renamed down", func(t *testing.T, _ string, s func(uint64) string) { rename(t, s(3), s(2)) }, 3, "has no place", true},
		{"segment renamed to nonsense", func(t *testing.T, _ string, s func(uint64) string) { rename(t, s(3), s(3)+".bak") }, 3, "has no place", true},
		{"segments exchanged", func(t *testing.T, dir string, s func(uint64) string) {
			rename(t, s(3), path(dir, "x"))
			rename(t, s(6), s(3))
			rename(t, path(dir, "x"), s(6))
		}, 3, "says it is entry 6", true},
		{"segment put elsewhere too", func(t *testing.T, _ string, s func(uint64) string) {
			b, err := os.ReadFile(s(3))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(s(5), b, 0o400); err != nil {
				t.Fatal(err)
			}
		}, 6, "has no place", true},
		{"object beside the segments", func(t *testing.T, dir string, _ func(uint64) string) {
			if err := os.WriteFile(path(dir, segmentPrefix+"notes"), nil, 0o400); err != nil {
				t.Fatal(err)
			}
		}, 12, "has no place", false},
		{"document changed", func(t *testing.T, dir string, _ func(uint64) string) {
			overwrite(t, path(dir, blob.DocumentKey(digest.Of([]byte("no UTF-8\xff")))), []byte("no UTF-8\xfe"))
		}, 7, "not the ones that were named", true},
		{"document removed", func(t *testing.T, dir string, _ func(uint64) string) {
			remove(t, path(dir, blob.DocumentKey(digest.Of([]byte("no UTF-8\xff")))))
		}, 7, "object not found", true},
		{"head removed and tail changed", func(t *testing.T, dir string, s func(uint64) string) {
			remove(t, path(dir, headKey))
			edit(t, s(9), func(l [][]byte) [][]byte {
				l[0] = bytes.Replace(l[0], []byte(`"source":"assize/test"`), []byte(`"source":"assize/tess"`), 1)
				return l
			})
		}, 10, "one of the two was changed", false},
		{"head is no JSON", func(t *testing.T, dir string, _ func(uint64) string) {
			overwrite(t, path(dir, headKey), []byte("{"))
		}, 0, headKey, false},
		{"head of another log", func(t *testing.T, dir string, _ func(uint64) string) {
			other, _ := newStore(t)
			l := openLog(t, other)
			appendAll(t, l, said(bus.Uploads, 1, `{"n":0}`), said(bus.Events, 1, `{"n":1}`), said(bus.Dead, 1, `{"n":2}`))
			if err := l.SaveHead(t.Context()); err != nil {
				t.Fatal(err)
			}
			overwrite(t, path(dir, headKey), object(t, other, headKey))
		}, 2, "was changed since", false},
		{"rewritten as a whole", func(t *testing.T, dir string, s func(uint64) string) {
			other, otherDir := newStore(t)
			l := openLog(t, other)
			for n := range uint64(4) {
				appendAll(t, l, said(bus.Uploads, 3*n+1, `0`), said(bus.Uploads, 3*n+2, `0`), said(bus.Uploads, 3*n+3, `0`))
			}
			for _, first := range []uint64{0, 3, 6, 9} {
				rename(t, path(otherDir, segmentKey(first)), s(first))
			}
		}, 11, "had sha256:", false},
		{"rewritten from the middle on", func(t *testing.T, dir string, s func(uint64) string) {
			other, otherDir := newStore(t)
			for _, key := range []string{segmentKey(0), segmentKey(3)} {
				b, err := os.ReadFile(path(dir, key))
				if err == nil {
					err = other.Create(t.Context(), key, bytes.NewReader(b), int64(len(b)))
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			l := openLog(t, other)
			for n := range uint64(3) {
				appendAll(t, l, said(bus.Uploads, 2*n+3, `0`), said(bus.Uploads, 2*n+4, `0`))
			}
			for _, first := range []uint64{6, 9} {
				remove(t, s(first))
			}
			for _, first := range []uint64{6, 8, 10} {
				rename(t, path(otherDir, segmentKey(first)), s(first))
			}
		}, 11, "had sha256:", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			store, dir := written(t)
			tc.tamper(t, dir, func(first uint64) string { return path(dir, segmentKey(first)) })
			r := verified(t, store)
			if r.OK() {
				t.Fatal("unnoticed")
			}
			if p := r.Problems[0]; p.Entry != tc.entry || !strings.Contains(p.Reason, tc.reason) {
				t.Errorf("first problem is %+v, want entry %d: %s", p, tc.entry, tc.reason)
			}
			if len(r.Problems) > 3 {
				t.Errorf("one fault makes %d problems: %+v", len(r.Problems), r.Problems)
			}
			if _, err := OpenLog(t.Context(), store); (err == nil) != tc.opens || err != nil && !errors.Is(err, ErrDamaged) {
				t.Errorf("OpenLog: %v", err)
			}
		})
	}
}

// What nobody wrote is listed up to a limit, and costs no more than that.
func TestVerifyOfRubbish(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	rubbish := bytes.Repeat([]byte("rubbish\n"), 1000)
	for n := range uint64(50) {
		if err := store.Create(t.Context(), segmentKey(n*1000), bytes.NewReader(rubbish), int64(len(rubbish))); err != nil {
			t.Fatal(err)
		}
	}
	if r := verified(t, store); len(r.Problems) != maxProblems {
		t.Errorf("%d problems, want %d", len(r.Problems), maxProblems)
	}
	for e, err := range Entries(t.Context(), store, 0) {
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("%+v, %v", e, err)
		}
	}
}

// A replica that finds the segments it wants to make already there, but not
// what they should be, stops instead of trying forever.
func TestAppendToDamage(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "rubbish\n", "{}", "\n"} {
		store, _ := newStore(t)
		l := openLog(t, store)
		if err := store.Create(t.Context(), segmentKey(0), strings.NewReader(content), int64(len(content))); err != nil {
			t.Fatal(err)
		}
		if err := l.Append(t.Context(), []*bus.Message{said(bus.Uploads, 1, `1`)}); !errors.Is(err, ErrDamaged) {
			t.Errorf("over %q: %v", content, err)
		}
	}
}

// A listing that runs while segments are created is no reason for alarm.
func TestListingThatMissesASegment(t *testing.T) {
	t.Parallel()
	store, _ := written(t)
	if err := store.Delete(t.Context(), headKey); err != nil {
		t.Fatal(err)
	}
	for _, first := range []uint64{0, 3, 6, 9} {
		missing := late{store, segmentKey(first)}
		want := uint64(12)
		if first == 9 {
			want = 9 // just not there yet
		}
		if r := verified(t, missing); !r.OK() || r.Entries != want {
			t.Errorf("without %d: %+v", first, r)
		}
		if l := openLog(t, missing); l.Head().Size != want {
			t.Errorf("without %d: %+v", first, l.Head())
		}
		n := uint64(0)
		for _, err := range Entries(t.Context(), missing, 0) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != want {
			t.Errorf("without %d: %d entries", first, n)
		}
	}
}

func TestReadersStopWithTheirContext(t *testing.T) {
	t.Parallel()
	store, _ := written(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := Verify(ctx, store, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := OpenLog(ctx, store); !errors.Is(err, context.Canceled) || errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	seen := 0
	for range Entries(t.Context(), store, 0) {
		if seen++; seen == 2 {
			break
		}
	}
}

// late is a store whose listing has missed what was created while it ran.
type late struct {
	blob.Store
	missed string
}

func (l late) List(ctx context.Context, prefix, after string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		for info, err := range l.Store.List(ctx, prefix, after) {
			if info.Key != l.missed && !yield(info, err) {
				return
			}
		}
	}
}
