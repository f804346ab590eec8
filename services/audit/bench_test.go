package audit

import (
	"fmt"
	"testing"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
)

// BenchmarkAppend appends batches of 1024 to a log in a directory.
func BenchmarkAppend(b *testing.B) {
	store, err := blob.OpenDir(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	l := openLog(b, store)
	seq := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		batch := make([]*bus.Message, 1024)
		for i := range batch {
			seq++
			batch[i] = said(bus.Events, seq, fmt.Sprintf(`{"n":%d,"data":"%0400d"}`, seq, seq))
		}
		appendAll(b, l, batch...)
	}
	b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(seq), "µs/entry")
}

// BenchmarkParseLine reads a line.
func BenchmarkParseLine(b *testing.B) {
	e := entryOf(said(bus.Events, 7, fmt.Sprintf(`{"data":"%0400d"}`, 1)))
	e.Previous = origin
	line, err := e.line()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if _, err := ParseLine(line); err != nil {
			b.Fatal(err)
		}
	}
}
