package archive

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"testing"
)

// TestTruncation cuts small packages at every byte: each cut gives a problem,
// and what was whole before it is seen.
func TestTruncation(t *testing.T) {
	items := files("first", "one", "second", "two")
	for name, whole := range map[string][]byte{
		"p.tar.gz":  gz(tarOf(items...)),
		"p.tar.zst": zst(tarOf(items...)),
		"p.tar.xz":  xzOf(tarOf(items...), 1<<16),
		"p.zip":     zipOf(items...),
		"p.rpm":     rpmOf(gz(cpioNewc(items...))),
		"p.cpio":    cpioNewc(items...),
		"p.tar":     tarOf(items...)[:4*512+512],
		"p.deb":     arOf(files("data.tar.gz", string(gz(tarOf(items...))))...),
	} {
		t.Run(name, func(t *testing.T) {
			for n := range len(whole) {
				head := whole[:n]
				if !Sniff(head).container() {
					continue // too short to say what it was
				}
				s := look(t, head, name, Limits{})
				// One block of zeros is an end to tar, though two are usual;
				// an ar has no end that could be missing.
				if s.Complete() && !(name == "p.deb" && n == len(arMagic)) && !(name == "p.tar" && n > 4*512) {
					t.Errorf("%d of %d bytes: no problem, saw %q", n, len(whole), s.paths)
				}
				if name == "p.tar" && n >= 3*512 && (s.bodies["p.tar!first"] != "one" || n < 4*512 && len(s.Problems) != 1) {
					t.Errorf("%d of %d bytes: saw %q, problems %v", n, len(whole), s.bodies, s.Problems)
				}
			}
		})
	}
}

func TestEachFlippedByteIsNoticed(t *testing.T) {
	for name, whole := range map[string][]byte{"p.gz": gz([]byte("some text")), "p.xz": xzOf([]byte("some text"), 1<<16)} {
		for i := range whole {
			if name == "p.gz" && (3 <= i && i < 10) {
				continue // flags, time, system: gzip does not cover them by its checksum
			}
			b := bytes.Clone(whole)
			b[i] ^= 0x20
			if Sniff(b).container() {
				if s := look(t, b, name, Limits{}); s.Complete() && s.bodies[name+"!p"] != "some text" {
					t.Errorf("%s, byte %d: no problem", name, i)
				}
			}
		}
	}
}

func TestTrailingBytes(t *testing.T) {
	tgz := gz(tarOf(files("a", "x")...))
	hidden := bytes.Repeat([]byte("hidden payload "), 40)
	for name, b := range map[string][]byte{
		"p.tgz":    append(tgz, hidden...),
		"p.tar":    append(tarOf(files("a", "x")...), hidden...),
		"in.tgz":   gz(append(tarOf(files("a", "x")...), hidden...)),
		"p.cpio":   append(cpioNewc(files("a", "x")...), hidden...),
		"p.xz":     append(xzOf([]byte("a"), 1<<16), hidden...),
		"p.tar.zs": append(zst(tarOf(files("a", "x")...)), hidden...),
		"p.lzma":   append(lzmaOf(tarOf(files("a", "x")...)), hidden...),
		"p.ar":     append(arOf(files("a", "xx")...), hidden...),
		"one.tar":  tarUnended(files("a", "x")...), // cut between entries
	} {
		if s := look(t, b, name, Limits{}); len(s.Problems) != 1 || s.Entries != 1 {
			t.Errorf("%s: %d entries, problems %+v", name, s.Entries, s.Problems)
		}
	}
}

// TestDamageStaysInItsContainer: siblings of a damaged container are seen.
func TestDamageStaysInItsContainer(t *testing.T) {
	broken := gz(tarOf(files("x", "1", "y", noise(5000))...))
	broken = broken[:len(broken)-2000]
	for name, b := range map[string][]byte{
		"p.tar": tarOf(files("n.tgz", string(broken), "after", "a")...),
		"p.zip": zipOf(files("n.tgz", string(broken), "after", "a")...),
		"p.tgz": gz(tarOf(files("n.tgz", string(broken), "after", "a")...)),
		"p.deb": arOf(files("n.tgz", string(broken), "after", "a")...),
	} {
		s := look(t, b, name, Limits{})
		want := []string{name + "!n.tgz", name + "!n.tgz!x", name + "!n.tgz!y", name + "!after"}
		if !slices.Equal(s.paths, want) || len(s.Problems) != 1 || s.Problems[0].Path != name+"!n.tgz!y" || s.Problems[0].Kind != KindDamaged {
			t.Errorf("%s: saw %q, problems %+v", name, s.paths, s.Problems)
		}
	}
}

func TestRPMFaults(t *testing.T) {
	good := rpmOf(gz(cpioNewc(files("a", "x")...)))
	claims := bytes.Clone(good)
	copy(claims[rpmLead+8:], "\xff\xff\xff\xff\xff\xff\xff\xff")
	for detail, b := range map[string][]byte{
		"the most read is":  claims,
		"no payload":        rpmOf(nil),
		"not cpio":          rpmOf(gz([]byte("text"))),
		"over 4 GB":         rpmOf(gz([]byte("07070X00000000"))),
		"no magic":          append(bytes.Clone(good[:rpmLead]), make([]byte, 64)...),
		"without its trail": rpmOf(gz(cpioNewc(files("a", "x")...)[:116])),
	} {
		s := look(t, b, "p.rpm", Limits{})
		if len(s.Problems) != 1 || !strings.Contains(s.Problems[0].Detail, detail) {
			t.Errorf("%s: problems %+v", detail, s.Problems)
		}
	}
}

func FuzzWalk(f *testing.F) {
	items := files("a", "alpha", "../b", "beta")
	for _, seed := range [][]byte{
		tarOf(items...), zipOf(items...), zipMethod(zipZstd, items...), arOf(items...), cpioNewc(items...), cpioOdc(items...),
		gz(tarOf(items...)), zst(tarOf(items...)), xzOf(tarOf(items...), 1<<16), lzmaOf(tarOf(items...)), bzip2Hello(),
		rpmOf(gz(cpioNewc(items...))), zipOf(files("n.tgz", string(gz(tarOf(items...))))...),
		arOf(files("//", "long-name/\n", "/0", "x")...),
		pspfOf("#!", pspfThree, nil, raw(string(gz(tarOf(items...))), "x", "")...), zipOf(files("x.psp", string(pspfOf("x", "{}", nil, raw("y")...)))...),
	} {
		f.Add(seed)
	}
	limits := Limits{Inflated: 4 << 20, Entries: 200, Depth: 3, EntryBuffer: 1 << 20}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := seen{entries: map[string]*Entry{}, bodies: map[string]string{}}
		var err error
		if s.Report, err = Walk(t.Context(), bytes.NewReader(b), int64(len(b)), "p", limits, s.note(t)); err != nil {
			t.Fatal(err)
		}
		checkReport(t, "Walk", s)
		report, err := WalkStream(t.Context(), bytes.NewReader(b), "p", limits, func(_ context.Context, _ *Entry, content io.Reader) error {
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if Sniff(b).container() && s.Format != PSPF && (s.Format != report.Format || s.Complete() != report.Complete()) {
			t.Errorf("Walk: %v, WalkStream: %v", s.Problems, report.Problems)
		}
	})
}

func FuzzReadRPMHeader(f *testing.F) {
	f.Add(rpmOf(nil))
	f.Add(rpmOf([]byte("payload"))[:200])
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ReadRPMHeader(bytes.NewReader(b))
		if err == nil && strings.ContainsRune(h.Name+h.Version+h.Summary, 0) {
			t.Errorf("NUL in %+v", h)
		}
	})
}
