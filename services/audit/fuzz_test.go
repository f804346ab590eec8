package audit

import (
	"bytes"
	"strings"
	"testing"

	"assize.dev/shared/bus"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

func FuzzParseLine(f *testing.F) {
	e := entryOf(said(bus.Events, 7, `{"a":"<>&"}`))
	e.Previous = origin
	line, err := e.line()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	for _, seed := range []string{``, `{}`, `null`, `{"index":1e0}`, string(line) + " ", strings.Replace(string(line), `"seq"`, `"Seq"`, 1),
		strings.Replace(string(line), `"data":`, `"data":null,"data":`, 1), strings.Replace(string(line), `Z"`, `+01:00"`, 1)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := ParseLine(line)
		if err != nil {
			return
		}
		again, err := e.line()
		if err != nil || !bytes.Equal(again, line) || bytes.ContainsAny(again, "\n") || len(line) > maxLine {
			t.Fatalf("%q became %q, %v", line, again, err)
		}
		if e.Data != "" && digest.Of([]byte(e.Data)) != e.Digest {
			t.Fatalf("%q: data is not what the digest says", line)
		}
	})
}

// What any publisher sends can be recorded, verified and read back.
func FuzzAnyMessage(f *testing.F) {
	for _, data := range strange {
		if len(data) < 1000 {
			f.Add("assize.upload.registry", "id", "source", "type", []byte(data))
		}
	}
	f.Add("\xff", "\x00", "<>&", TypeGap, []byte(`{"from":1,"to":2}`))
	f.Fuzz(func(t *testing.T, subject, id, source, typ string, data []byte) {
		m := said(bus.Uploads, 1, string(data))
		m.Subject = subject
		m.Header["ce-id"], m.Header["ce-source"], m.Header["ce-type"] = []string{id}, []string{source}, []string{typ}
		m.Event, m.Invalid = event.FromMessage(m.Subject, m.Header, m.Data)
		h := emptyHead()
		segment, err := h.add(nil, entryOf(m))
		if err != nil {
			t.Fatal(err)
		}
		e, err := ParseLine(bytes.TrimSuffix(segment, []byte("\n")))
		if err != nil || e.Type == TypeGap || e.Data != "" && e.Data != string(data) || string(e.Digest) != sha(data) {
			t.Fatalf("%+v, %v", e, err)
		}
	})
}
