package secrets

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"assize.dev/services/scan/internal/unpack"
	"assize.dev/shared/archive"
	"assize.dev/shared/event"
	"assize.dev/shared/evidence"
)

func gz(t testing.TB, data string) string {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

// tarOf takes name, body, name, body.
func tarOf(t testing.TB, files ...string) string {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func zipOf(t testing.TB, method uint16, files ...string) string {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for i := 0; i < len(files); i += 2 {
		f, err := w.CreateHeader(&zip.FileHeader{Name: files[i], Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

// pspfOf makes a PSPF package whose slots all claim the same operations.
func pspfOf(t testing.TB, launcher, metadata string, operations uint64, slots ...string) string {
	t.Helper()
	meta := gz(t, metadata)
	file := []byte(launcher + meta)
	index := make([]byte, 8192)
	for at, v := range map[int]int{16: len(launcher), 24: len(launcher), 32: len(meta), 40: len(file), 48: 64 * len(slots)} {
		binary.LittleEndian.PutUint64(index[at:], uint64(v))
	}
	binary.LittleEndian.PutUint32(index[56:], uint32(len(slots)))
	at := len(file) + 64*len(slots)
	for _, s := range slots {
		record := make([]byte, 64)
		binary.LittleEndian.PutUint64(record[16:], uint64(at))
		binary.LittleEndian.PutUint64(record[24:], uint64(len(s)))
		binary.LittleEndian.PutUint64(record[40:], operations)
		file = append(file, record...)
		at += len(s)
	}
	file = append(file, strings.Join(slots, "")...)
	file = append(append(file, "\xF0\x9F\x93\xA6"...), index...)
	return string(append(file, "\xF0\x9F\xAA\x84"...))
}

func examine(t *testing.T, format, data string, limits archive.Limits) *evidence.Answer {
	t.Helper()
	a := NewAnalyser([]byte("key"))
	a.limits = limits
	answer, err := a.examine(context.Background(), unpack.Artifact{
		Bytes: strings.NewReader(data), Size: int64(len(data)), Name: "package.tgz", Format: format,
	})
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// TestLocations plants one token everywhere it can be reached.
func TestLocations(t *testing.T) {
	s := newSamples(4)
	token := s.withCRC("ghp_")
	line := "first\n" + token + "\n"
	stub := "#!/bin/sh\n" + token + "\nexit\n"
	for name, test := range map[string]struct {
		format, data string
		want         []string // location:line severity
		status       event.Status
		reason       string
	}{
		"plain":               {"unknown", line, []string{":2 critical"}, event.Complete, ""},
		"executable":          {"elf", "\x7fELF\x00\x00" + token + "\x00", []string{":1 critical"}, event.Complete, ""},
		"empty":               {"unknown", "", nil, event.Complete, ""},
		"tar.gz":              {"npm", gz(t, tarOf(t, "package/a.env", line, "package/b", "x")), []string{"package/a.env:2 critical"}, event.Complete, ""},
		"single gzip":         {"gzip", gz(t, line), []string{"package.tar:2 critical"}, event.Complete, ""},
		"stored in a zip":     {"jar", zipOf(t, zip.Store, "a.env", line), []string{"a.env:2 critical"}, event.Complete, ""},
		"nested":              {"jar", zipOf(t, zip.Deflate, "in.tgz", gz(t, tarOf(t, "x/id.pem", line))), []string{"in.tgz!x/id.pem:2 critical"}, event.Complete, ""},
		"nested uncompressed": {"tar", tarOf(t, "in.zip", zipOf(t, zip.Store, "a", line)), []string{"in.zip!a:2 critical"}, event.Complete, ""},
		"in tests":            {"npm", gz(t, tarOf(t, "package/test/a.env", line)), []string{"package/test/a.env:2 critical"}, event.Complete, ""},
		"before a zip":        {"unknown", stub + zipOf(t, zip.Deflate, "a", line), []string{":2 critical", "a:2 critical"}, event.Complete, ""},
		"pspf":                {"pspf", pspfOf(t, stub, `{"slots":[{},{}],"env":"`+token+`"}`, 0x1001, gz(t, tarOf(t, "a", line)), gz(t, tarOf(t, "b", "x"))), []string{"launcher:2 critical", "metadata.json:1 critical", "slot0!a:2 critical"}, event.Complete, ""},
		"pspf raw slot":       {"pspf", pspfOf(t, "x", `{"slots":[{},{}]}`, 0, line, ""), []string{"slot0:2 critical"}, event.Complete, ""},
		"pspf sealed slot":    {"pspf", pspfOf(t, "x", `{"slots":[{}]}`, 0x30, line), []string{"slot0:2 critical"}, event.Partial, "operation 0x30"},
		"pspf not as said":    {"pspf", pspfOf(t, "x", `{"slots":[{}]}`, 0x10, line), []string{"slot0:2 critical"}, event.Partial, "not encoded so"},
		"pspf without end":    {"pspf", line, []string{":2 critical"}, event.Partial, "no trailer"},
		"damaged":             {"npm", gz(t, tarOf(t, "a", line, "b", s.run(alnum, 50_000)))[:20_000], []string{"a:2 critical"}, event.Partial, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := examine(t, test.format, test.data, archive.Limits{})
			var got []string
			for _, f := range answer.Findings {
				got = append(got, fmt.Sprintf("%s:%d %s", f.Location, f.Line, f.Severity))
				if f.ID != "secret/github_token" || (f.Confidence == "checksum") == strings.Contains(f.Location, "test/") || f.Class != event.ClassSecret || strings.Contains(f.Message, token) {
					t.Errorf("finding %+v", f)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, test.want) || answer.Status != test.status || !strings.Contains(answer.Reason, test.reason) {
				t.Errorf("%s %q %q, want %s %q %q", answer.Status, answer.Reason, got, test.status, test.reason, test.want)
			}
			if (answer.Status == event.Complete) != (answer.Reason == "") {
				t.Errorf("%s with reason %q", answer.Status, answer.Reason)
			}
		})
	}
}

// TestLimitsAcrossParts gives many slots no more than one package may use.
func TestLimitsAcrossParts(t *testing.T) {
	s := newSamples(6)
	slot := gz(t, tarOf(t, "a", strings.Repeat("text ", 20_000), "b", s.withCRC("ghp_")))
	data := pspfOf(t, "x", `{"slots":[{},{},{},{}]}`, 0x1001, slot, slot, slot, slot)
	if a := examine(t, "pspf", data, archive.Limits{}); a.Status != event.Complete || len(a.Findings) != 4 {
		t.Fatalf("%s %s, %d findings", a.Status, a.Reason, len(a.Findings))
	}
	for name, limits := range map[string]archive.Limits{"inflated": {Inflated: 250_000}, "entries": {Entries: 5}} {
		a := examine(t, "pspf", data, limits)
		if a.Status != event.Partial || !strings.Contains(a.Reason, "limit") || len(a.Findings) == 0 || len(a.Findings) >= 4 {
			t.Errorf("%s: %s %q, %d findings", name, a.Status, a.Reason, len(a.Findings))
		}
	}
}

func TestManyFindings(t *testing.T) {
	s := newSamples(8)
	var b strings.Builder
	for range maxFindings + 7 {
		b.WriteString("SK" + s.run(lowerHex, 32) + "\n")
	}
	a := examine(t, "unknown", b.String(), archive.Limits{})
	listed := len(a.Findings)
	if listed != maxFindings || a.Status != event.Partial || !strings.Contains(a.Reason, "not listed") {
		t.Errorf("%d findings, %s %q", listed, a.Status, a.Reason)
	}
}

// TestInTests: which paths make a finding less sure.
func TestInTests(t *testing.T) {
	for path, want := range map[string]bool{
		"a/test/b.env": true, "a/testdata/b": true, "x/test-fixtures/root/key.pem": true, "keys_test_data.go": true,
		"src/LoginTest.java": true, "src/__tests__/a.js": true, "a.test.ts": true, "docs/a.yaml": true, "README.md": true,
		"app.tgz!package/examples/x": true, "spec/a.rb": true, "pkg/testutils/key.go": true,
		"latest/a": false, "contest.go": false, "src/attestation.go": false, "spec.json": false, "api/docs.go": false,
		"test-utils-1.0.tgz!package/index.js": false, "out.tar!tests.zip!a/b.env": false, "": false, "!": false,
	} {
		if got := inTests(path); got != want {
			t.Errorf("inTests(%q) = %v", path, got)
		}
	}
}

// FuzzExamine takes any bytes apart as a package: what it finds is complete,
// and what it cannot look at is said.
func FuzzExamine(f *testing.F) {
	s := newSamples(9)
	line := "x = " + s.withCRC("ghp_") + "\n"
	f.Add([]byte(line), "a.txt")
	f.Add([]byte(zipOf(f, zip.Deflate, "a", line)), "a.zip")
	f.Add([]byte(gz(f, tarOf(f, "in.zip", zipOf(f, zip.Store, "a", line)))), "a.tgz")
	f.Add([]byte(pspfOf(f, "#!/bin/sh\n", "{}", 0, gz(f, line))), "a.psp")
	a := NewAnalyser([]byte("key"))
	a.limits = archive.Limits{Inflated: 1 << 20}
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		answer, err := a.examine(context.Background(), unpack.Artifact{Bytes: bytes.NewReader(data), Size: int64(len(data)), Name: name})
		if err != nil {
			t.Fatal(err)
		}
		if answer.Status != event.Complete && answer.Reason == "" {
			t.Errorf("%s without a reason", answer.Status)
		}
		for _, f := range answer.Findings {
			if f.ID == "" || f.Line < 1 || f.Severity == "" || !slices.Contains(Confidences, f.Confidence) {
				t.Errorf("finding %+v", f)
			}
		}
	})
}
