package index

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"assize.dev/services/scan/internal/advisory"
)

// sources are records by id; content is all that is told of an index.
type sources map[string]string

func (s sources) fill(ids ...string) Fill { return s.filling(nil, ids...) }

func (s sources) filling(retracted []string, ids ...string) Fill {
	return func(_ context.Context, add func(*advisory.Record, []byte) error) (*advisory.Stats, error) {
		for _, id := range ids {
			r, err := advisory.Decode([]byte(s[id]))
			if err != nil {
				return nil, err
			}
			if err := add(r, []byte(s[id])); err != nil {
				return nil, err
			}
		}
		return &advisory.Stats{Ecosystems: map[string]bool{"npm": true}, Retracted: retracted}, nil
	}
}

func rec(id, modified, name, bounds string, more ...string) string {
	return fmt.Sprintf(`{"id":%q,"modified":%q,%s"affected":[{"package":{"ecosystem":"npm","name":%q},"ranges":[{"type":"SEMVER","events":%s}]}]}`,
		id, modified, strings.Join(more, ""), name, bounds)
}

const from0 = `[{"introduced":"0"},{"fixed":"2.0.0"}]`

// describe tells everything that an index answers, or the first error.
func describe(x *Index, packages ...string) (string, error) {
	var out strings.Builder
	fmt.Fprintln(&out, x.Generation(), x.Stats().Records, x.Stats().Withdrawn, x.Loaded("npm"), x.Loaded("PyPI"))
	for e, err := range x.All() {
		if err != nil {
			return "", err
		}
		i, packages, err := e.Ref.Packages()
		if err != nil {
			return "", err
		}
		text, err := e.Ref.Text()
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&out, e.ID, e.Modified, i.Aliases, i.Summary, i.Published, packages, string(text))
	}
	for _, name := range packages {
		err := x.Lookup("npm", name, func(p *Posting) {
			i, err := p.Record.Info()
			if err != nil {
				fmt.Fprintln(&out, "error", err)
				return
			}
			p.Record = Ref{}
			fmt.Fprintf(&out, "%s: %s %+v\n", name, i.ID, *p)
		})
		if err != nil {
			return "", err
		}
	}
	if strings.Contains(out.String(), "error ") {
		return "", ErrDamaged
	}
	return out.String(), nil
}

func open(t testing.TB, dir string) *Index {
	t.Helper()
	x, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

func samples() sources {
	s := sources{}
	for i := range 100 {
		id := fmt.Sprintf("A%02d", i)
		s[id] = rec(id, "2026-01-01T00:00:00Z", fmt.Sprintf("p%d", i%7), from0, `"aliases":["CVE-`+id+`"],"summary":"flaw `+id+`","published":"2025-01-02T03:04:05Z",`)
	}
	return s
}

func (s sources) ids() []string {
	var ids []string
	for id := range s {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// An update answers as if all had been built at once: deltas on deltas, one
// that is too large to be one, retractions, old news.
func TestUpdateEqualsBuild(t *testing.T) {
	dir, s := t.TempDir(), samples()
	if err := Write(t.Context(), filepath.Join(dir, "0"), s.fill(s.ids()...)); err != nil {
		t.Fatal(err)
	}
	x := open(t, filepath.Join(dir, "0"))
	packages := []string{"p0", "p1", "p2", "p3", "p6", "new", "moved"}
	for n, step := range []struct {
		change, retract []string
		delta           bool
		apply           func()
	}{
		{[]string{"A03"}, nil, true, func() { s["A03"] = rec("A03", "2026-02-01T00:00:00Z", "moved", from0) }},
		{[]string{"B01"}, []string{"A05"}, true, func() { s["B01"] = rec("B01", "2026-02-01T00:00:00Z", "new", from0); delete(s, "A05") }},
		{[]string{"A07"}, nil, true, func() {
			s["A07"] = rec("A07", "2026-02-02T00:00:00Z", "p0", from0, `"withdrawn":"2026-02-02T00:00:00Z",`)
		}},
		{[]string{"A03"}, nil, true, func() { s["A03"] = rec("A03", "2026-03-01T00:00:00Z", "p3", from0) }},
		{[]string{"A10", "A11", "A12", "A13"}, nil, false, func() {
			for _, id := range []string{"A10", "A11", "A12", "A13"} {
				s[id] = rec(id, "2026-04-01T00:00:00Z", "new", from0)
			}
		}},
	} {
		step.apply()
		to := filepath.Join(dir, fmt.Sprint("u", n))
		if err := Update(t.Context(), to, x, s.filling(step.retract, step.change...)); err != nil {
			t.Fatal(err)
		}
		whole := filepath.Join(dir, fmt.Sprint("w", n))
		if err := Write(t.Context(), whole, s.fill(s.ids()...)); err != nil {
			t.Fatal(err)
		}
		next, want := open(t, to), open(t, whole)
		a, errA := describe(next, packages...)
		b, errB := describe(want, packages...)
		if errA != nil || errB != nil || sortedLines(a) != sortedLines(b) {
			t.Errorf("step %d: %v, %v\n%s\nwant\n%s", n, errA, errB, a, b)
		}
		if (next.delta != nil) != step.delta {
			t.Errorf("step %d: delta %v", n, next.delta != nil)
		}
		changed, err := Diff(x, next)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range slices.Concat(step.change, step.retract) {
			if !slices.ContainsFunc(changed, func(c Changed) bool { return slices.Contains(c.Advisories, id) }) {
				t.Errorf("step %d: the difference lacks %s: %v", n, id, changed)
			}
		}
		if len(changed) > 5 {
			t.Errorf("step %d: the difference has what did not change: %v", n, changed)
		}
		if none, err := Diff(next, want); err != nil || len(none) > 0 {
			t.Errorf("step %d: equal indexes differ: %v, %v", n, none, err)
		}
		x = next
	}
	// What is older than what there is changes nothing.
	stale := sources{"A03": rec("A03", "2020-01-01T00:00:00Z", "p1", from0)}
	if err := Update(t.Context(), filepath.Join(dir, "stale"), x, stale.fill("A03")); err != nil {
		t.Fatal(err)
	}
	if y := open(t, filepath.Join(dir, "stale")); y.Generation() != x.Generation() {
		t.Error("old news made another generation")
	}
}

// sortedLines: a delta's postings come after the base's.
func sortedLines(s string) string {
	lines := strings.Split(s, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Every byte that is changed, and every end that is cut off, is noticed or
// makes no difference.
func TestDamage(t *testing.T) {
	dir, s := t.TempDir(), samples()
	if err := Write(t.Context(), filepath.Join(dir, "0"), s.fill(s.ids()...)); err != nil {
		t.Fatal(err)
	}
	s["B"] = rec("B", "2026-02-01T00:00:00Z", "p1", from0)
	if err := Update(t.Context(), filepath.Join(dir, "1"), open(t, filepath.Join(dir, "0")), s.filling([]string{"A01"}, "B")); err != nil {
		t.Fatal(err)
	}
	want, err := describe(open(t, filepath.Join(dir, "1")), "p0", "p1")
	if err != nil {
		t.Fatal(err)
	}
	work := filepath.Join(dir, "w")
	if err := os.CopyFS(work, os.DirFS(filepath.Join(dir, "1"))); err != nil {
		t.Fatal(err)
	}
	unnoticed := 0
	check := func(name string, at int, changed []byte) {
		if err := os.WriteFile(filepath.Join(work, name), changed, 0o600); err != nil {
			t.Fatal(err)
		}
		x, err := Open(work)
		if err != nil {
			return
		}
		defer x.Close()
		if got, err := describe(x, "p0", "p1"); err == nil && got != want {
			t.Errorf("%s changed at %d: another answer and no error", name, at)
		} else if err == nil {
			unnoticed++
		}
	}
	for _, name := range []string{"base.idx", "delta.idx", "base.rec", "delta.rec"} {
		whole, err := os.ReadFile(filepath.Join(work, name))
		if err != nil {
			t.Fatal(err)
		}
		step := 1
		if strings.HasSuffix(name, ".rec") || testing.Short() {
			step = 13
		}
		for i := 0; i < len(whole); i += step {
			changed := bytes.Clone(whole)
			changed[i] ^= 1 << (i % 8)
			check(name, i, changed)
		}
		for _, n := range []int{0, 1, headerSize - 1, headerSize, len(whole) / 2, len(whole) - 1} {
			check(name, n, whole[:n])
		}
		if err := os.WriteFile(filepath.Join(work, name), whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := describe(open(t, work), "p0", "p1"); err != nil || got != want {
		t.Fatalf("mended: %v", err)
	}
	t.Logf("%d changes made no difference", unnoticed)
}

// FuzzSegment opens any bytes as an index.
func FuzzSegment(f *testing.F) {
	dir, s := f.TempDir(), samples()
	if err := Write(context.Background(), filepath.Join(dir, "0"), s.fill("A01", "A02")); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, "0", "base.idx"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole, false)
	f.Fuzz(func(t *testing.T, file []byte, mend bool) {
		if h := file; mend && len(h) >= headerSize {
			file = mended(file)
		}
		h, err := decodeHeader(file)
		if err != nil {
			return
		}
		x := &Index{base: &segment{header: h, file: file}}
		if x.base.readTables() != nil {
			return
		}
		for _, name := range []string{"p1", "p2"} {
			_ = x.Lookup("npm", name, func(p *Posting) {
				probe, err := NewProbe("npm", "1.0.0")
				if err != nil {
					t.Fatal(err)
				}
				_, _ = probe.Affected(p)
				_, _ = p.Record.Info()
			})
		}
		for e, err := range x.All() {
			if err != nil {
				break
			}
			_, _ = e.Ref.Info()
		}
	})
}

// mended gives a file the checksums of what it holds, so that fuzzing gets
// behind them.
func mended(file []byte) []byte {
	file = bytes.Clone(file)
	h := &header{}
	u32 := func(at int) uint32 { return uint32(file[at]) | uint32(file[at+1])<<8 }
	h.packages, h.records, h.removed, h.ecosystems = u32(12)%8, u32(16)%8, u32(20)%8, u32(24)%8
	h.packagesAt = headerSize
	h.recordsAt = h.packagesAt + 16*uint64(h.packages)
	h.removedAt = h.recordsAt + 8*uint64(h.records)
	h.ecosystemsAt = h.removedAt + uint64(u32(28)%32)
	h.tablesEnd = h.ecosystemsAt + uint64(u32(30)%64)
	h.bodyAt, h.size = h.tablesEnd, uint64(len(file))
	if h.tablesEnd > h.size {
		return file
	}
	h.tables = checksum(file[headerSize:h.tablesEnd])
	copy(file, h.encode())
	return file
}

// TestKilledWhileWriting kills a process that writes generations; what can be
// opened is whole.
func TestKilledWhileWriting(t *testing.T) {
	if dir := os.Getenv("INDEX_KILLED"); dir != "" {
		s := samples()
		for n := 0; ; n++ {
			s["N"] = rec("N", fmt.Sprintf("2026-02-01T00:00:%02dZ", n%60), "p1", from0)
			if err := Write(t.Context(), filepath.Join(dir, fmt.Sprint(os.Getpid(), "-", n)), s.fill(s.ids()...)); err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				fmt.Println("written")
			}
		}
	}
	dir := t.TempDir()
	rounds := 12
	if testing.Short() {
		rounds = 4
	}
	for i := range rounds {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWhileWriting$")
		cmd.Env = append(os.Environ(), "INDEX_KILLED="+dir)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		// However slow the machine is, each writes something whole first.
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i*7) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
	}
	generations, err := filepath.Glob(filepath.Join(dir, "[0-9]*"))
	if err != nil || len(generations) == 0 {
		t.Fatalf("nothing was written: %v", err)
	}
	for _, g := range generations {
		x, err := Open(g)
		if err != nil {
			t.Errorf("%s: %v", g, err)
			continue
		}
		if _, err := describe(x, "p0", "p1"); err != nil || x.Stats().Records != 101 {
			t.Errorf("%s: %d records, %v", g, x.Stats().Records, err)
		}
		x.Close()
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"nothing": "", "no JSON": "{", "no files": `{"generation":"` + strings.Repeat("0", 64) + `"}`,
		"a path": `{"generation":"` + strings.Repeat("0", 64) + `","files":[{"name":"../../x","size":1,"sha256":"` + strings.Repeat("0", 64) + `"},{"name":"base.rec","size":1,"sha256":"` + strings.Repeat("0", 64) + `"}]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, manifestName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(filepath.Join(dir, "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
}
