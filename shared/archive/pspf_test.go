package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

const pspfThree = `{"slots":[{"id":"a","target":"{workenv}"},{"id":"b","target":"{workenv}/bin/tool"},{"id":"c"}]}`

func raw(bodies ...string) (slots []slot) {
	for _, b := range bodies {
		slots = append(slots, slot{item: item{body: b}, mode: 0o600})
	}
	return slots
}

func TestPSPF(t *testing.T) {
	tgz := string(gz(tarOf(files("deep", "found")...)))
	slots := raw(tgz, "#!/bin/sh\n", "")
	slots[0].ops = 0x1001
	p := pspfOf("\x7fELF launcher", pspfThree, nil, slots...)
	below := func(at string) []string {
		return []string{at + "!metadata.json=" + pspfThree, at + "!launcher=\x7fELF launcher", at + "!a=" + tgz, at + "!a!deep=found", at + "!bin/tool=#!/bin/sh\n", at + "!c="}
	}
	nested := func(name string) []string {
		return append([]string{"p!" + name + "=" + string(p)}, below("p!"+name)...)
	}
	for name, test := range map[string]struct {
		bytes  []byte
		format Format
		want   []string
	}{
		"p.psp":                       {p, PSPF, below("p")},
		"in place, whatever its name": {tarOf(files("x", string(p))...), Tar, nested("x")},
		"compressed, by its name":     {zipOf(files("x.psp", string(p))...), Zip, nested("x.psp")},
		"behind a script":             {zipOf(files("x", string(pspfOf("#!/bin/sh\n", "{}", nil)))...), Zip, []string{"p!x=" + string(pspfOf("#!/bin/sh\n", "{}", nil)), "p!x!metadata.json={}", "p!x!launcher=#!/bin/sh\n"}},
		"launcher looks like a tgz":   {pspfOf(tgz, `{"slots":null}`, nil), PSPF, []string{`p!metadata.json={"slots":null}`, "p!launcher=" + tgz, "p!launcher!deep=found"}},
		"itself":                      {pspfOf("", `{"slots":[{"self_ref":true},{}]}`, nil, raw("", "x")...), PSPF, []string{`p!metadata.json={"slots":[{"self_ref":true},{}]}`, "p!slot1=x"}},
		"named alike":                 {zipOf(files("x.psp", "text")...), Zip, []string{"p!x.psp=text"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := look(t, test.bytes, "p", Limits{})
			var got []string
			for _, path := range s.paths {
				got = append(got, path+"="+s.bodies[path])
			}
			if s.Format != test.format || !s.Complete() || !slices.Equal(got, test.want) {
				t.Errorf("%s, problems %v\ngot  %.200q\nwant %.200q", s.Format, s.Problems, got, test.want)
			}
		})
	}
	for name, limits := range map[string]Limits{"p.PSPF": {}, "small.psp": {EntryBuffer: 1000}} {
		s := seen{entries: map[string]*Entry{}, bodies: map[string]string{}}
		report, err := WalkStream(t.Context(), bytes.NewReader(p), name, limits, s.note(t))
		if err != nil || (report.Format == PSPF && report.Entries == 6) != report.Complete() || report.Complete() != (limits.EntryBuffer == 0) {
			t.Errorf("stream %s: %+v, %v", name, report, err)
		}
	}
	if s := look(t, zipOf(files("x.psp", string(p))...), "p", Limits{EntryBuffer: 1000}); len(s.Problems) != 1 || s.Problems[0].Path != "p!x.psp" {
		t.Errorf("larger than the buffer: %v", s.Problems)
	}
	if s := look(t, p, "p", Limits{Entries: 3}); s.Entries != 3 || s.Complete() {
		t.Errorf("%d entries, problems %v", s.Entries, s.Problems)
	}
}

func TestPSPFHazards(t *testing.T) {
	const metadata = `{"slots":[{"target":"{workenv}/../x"},{"target":"/etc/passwd"},{"target":"{workenv}/launcher"},{"target":"launcher"},{"target":".."}]}`
	slots := raw("1", "2", "3", "4", "5")
	slots[0].mode = 0o4755
	s := look(t, pspfOf("l", metadata, nil, slots...), "p", Limits{})
	for path, want := range map[string][]Hazard{
		"p!x": {Traversal, SetID}, "p!etc/passwd": {Absolute}, "p!launcher": {Duplicate}, "p!.": {Traversal},
	} {
		if e := s.entries[path]; e == nil || !slices.Equal(e.Hazards, want) {
			t.Errorf("%s: %+v, want hazards %q", path, e, want)
		}
	}
	if !s.Complete() || s.Entries != 7 {
		t.Errorf("%d entries, problems %v", s.Entries, s.Problems)
	}
}

func TestPSPFFaults(t *testing.T) {
	set := func(at int, v uint64) func(index, table []byte) {
		return func(index, _ []byte) { binary.LittleEndian.PutUint64(index[at:], v) }
	}
	inTable := func(at int, v uint64) func(index, table []byte) {
		return func(_, table []byte) { binary.LittleEndian.PutUint64(table[at:], v) }
	}
	const tree = "metadata.json launcher a bin/tool c"
	for name, test := range map[string]struct {
		metadata string
		change   func(index, table []byte)
		ops      uint64
		seen     string // whose content
		problem  string // of the first
	}{
		"good":                     {pspfThree, nil, 0, tree, ""},
		"launcher outside":         {pspfThree, set(16, 1<<40), 0, "metadata.json a bin/tool c", "damaged p!launcher: pspf: launcher: 1099511627776 bytes at 0 lie outside"},
		"metadata overflowing":     {pspfThree, set(24, 1<<64-2), 0, "launcher slot0 slot1 slot2", "damaged p!metadata.json: pspf: metadata:"},
		"metadata over launcher":   {pspfThree, set(24, 0), 0, "launcher slot0 slot1 slot2", "begins before"},
		"metadata is no gzip":      {pspfThree, set(24, 9), 0, "launcher slot0 slot1 slot2", "damaged p!metadata.json"},
		"metadata is no JSON":      {"[", nil, 0, "metadata.json launcher slot0 slot1 slot2", "damaged p!metadata.json"},
		"slots are no list":        {`{"slots":{}}`, nil, 0, "metadata.json launcher slot0 slot1 slot2", "not a list"},
		"metadata too large":       {`"` + strings.Repeat("x", MaxPSPFMetadata) + `"`, nil, 0, "launcher slot0 slot1 slot2", "more than the 10485760 bytes"},
		"metadata hides a slot":    {`{"slots":[{},{}]}`, nil, 0, "metadata.json launcher slot0 slot1 slot2", "damaged p: pspf: metadata describes 2 slots"},
		"metadata has no end":      {`{"slots":[` + strings.Repeat("{},", maxPSPFSlots) + "{}]}", nil, 0, "metadata.json launcher slot0 slot1 slot2", "more than 65535 slots"},
		"too many slots":           {pspfThree, set(56, 1<<31), 0, "metadata.json launcher", "damaged p"},
		"table size":               {pspfThree, set(48, 65), 0, "metadata.json launcher", "3 slots has 65 bytes"},
		"table outside":            {pspfThree, set(40, 1<<63), 0, "metadata.json launcher", "damaged p: pspf: slot table"},
		"no slots in the index":    {`{}`, set(56, 0), 0, "metadata.json launcher", "belong to nothing"},
		"slot outside":             {pspfThree, inTable(24, 1<<62), 0, "metadata.json launcher bin/tool c", "damaged p!a: pspf: slot 0: 4611686018427387904 bytes"},
		"slot overflowing":         {pspfThree, inTable(16, 1<<64-1), 0, "metadata.json launcher bin/tool c", "damaged p!a"},
		"slots over each other":    {pspfThree, inTable(64+24, 10), 0, "metadata.json launcher a bin/tool", "damaged p!c: pspf: slot 2: begins before"},
		"slot within the metadata": {pspfThree, inTable(16, 8), 0, "metadata.json launcher bin/tool c", "damaged p!a"},
		"bytes of no slot":         {pspfThree, inTable(24, 2), 0, tree, "damaged p: pspf: bytes from"},
		"sealed":                   {pspfThree, nil, 0x3001, tree, "unsupported p!a: pspf: operation 0x30"},
		"gap in the chain":         {pspfThree, nil, 0x100001, tree, "unsupported p!a: pspf: operation"},
		"not as said":              {pspfThree, nil, 0x1001, tree, "damaged p!a: pspf: operations 0x1001, but"},
	} {
		t.Run(name, func(t *testing.T) {
			slots := raw("alpha", "beta", "gamma")
			slots[0].ops = test.ops
			s := look(t, pspfOf("launcher", test.metadata, test.change, slots...), "p", Limits{Ratio: 1e9})
			var got []string
			for _, p := range s.paths {
				if s.bodies[p] != "" {
					got = append(got, strings.TrimPrefix(p, "p!"))
				}
			}
			if strings.Join(got, " ") != test.seen {
				t.Errorf("saw %q, want %q", got, test.seen)
			}
			var first string
			if len(s.Problems) > 0 {
				first = fmt.Sprintf("%s %s: %s", s.Problems[0].Kind, s.Problems[0].Path, s.Problems[0].Detail)
			}
			if !strings.Contains(first, test.problem) || (first == "") != (test.problem == "") {
				t.Errorf("problem %q, want %q", s.Problems, test.problem)
			}
		})
	}
}

func TestIsPSPF(t *testing.T) {
	p := pspfOf("x", "{}", nil)
	for name, b := range map[string][]byte{"empty": nil, "short": p[:100], "no end": p[:len(p)-1], "no start": p[len(p)-pspfTrailer+1:], "more": append(bytes.Clone(p), 0)} {
		if is, err := IsPSPF(bytes.NewReader(b), int64(len(b))); is || err != nil {
			t.Errorf("%s: %v, %v", name, is, err)
		}
	}
	broken := errors.New("broken disk")
	if is, err := IsPSPF(readerAt(func([]byte, int64) (int, error) { return 0, broken }), 1<<20); is || !errors.Is(err, broken) {
		t.Errorf("%v, %v", is, err)
	}
	if is, err := IsPSPF(io.NewSectionReader(bytes.NewReader(p), 0, int64(len(p))), int64(len(p))); !is || err != nil {
		t.Errorf("%v, %v", is, err)
	}
}

type readerAt func([]byte, int64) (int, error)

func (f readerAt) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }

// TestDepthBehindProgram: what only the end gives away is a container, too.
func TestDepthBehindProgram(t *testing.T) {
	pex := "#!/usr/bin/env python3\n" + string(zipOf(files("a", "x")...))
	for _, nested := range []string{pex, string(pspfOf("#!", "{}", nil))} {
		for _, outer := range [][]byte{tarOf(files("x", nested)...), zipOf(files("x", nested)...)} {
			s := look(t, outer, "p", Limits{Depth: 1})
			if len(s.Problems) != 1 || s.Problems[0].Kind != KindLimit || s.Entries != 1 {
				t.Errorf("%d entries, problems %v", s.Entries, s.Problems)
			}
		}
	}
}
