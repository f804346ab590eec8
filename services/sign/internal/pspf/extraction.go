package pspf

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"time"

	"assize.dev/shared/archive"
	"assize.dev/shared/event"
)

// unpackLimits bound what all slots of a package together may unpack to. They
// are those of the scanners: a package that cannot be seen whole is not safe.
// FlavorPack's own (1 GB, 10,000 files) are less than one Python environment.
// With them a walk holds at most 96 MiB of dictionaries and buffers.
var unpackLimits = archive.DefaultLimits

// What makes extraction unsafe beside the hazards and kinds of problems that
// package archive names.
const (
	unsafeOperations = "operations" // the content is not encoded as the table says
	unsafeSticky     = "sticky"
)

// tolerated hazards are warnings: terminfo trees hold names that differ in
// case only, and packages built on file systems without permissions have
// files that anybody may write. Launchers unpack below a directory of mode
// 0700, so the latter lets nobody in.
var tolerated = []archive.Hazard{archive.WorldWrite, archive.CaseConflict}

// extraction is the walk through what the slots unpack to.
type extraction struct {
	v     *verification
	ends  time.Time
	found map[string]*danger // by name

	slots, entries int
	unpacked       int64
}

// danger is why extraction is unsafe: the first case, and how many there are.
type danger struct {
	first string
	count int
}

// checkExtraction undoes the operations of every slot and judges what would
// be unpacked. It fails closed: what a limit or damage kept from being seen
// is unsafe.
func (v *verification) checkExtraction() error {
	x := &extraction{v: v, ends: time.Now().Add(unpackLimits.Time), found: map[string]*danger{}}
	for i := range v.report.Slots {
		if s := &v.report.Slots[i]; s.Size > 0 {
			if err := x.slot(s); err != nil {
				return err
			}
		}
	}
	v.report.Extraction = ExtractionSafe
	for _, name := range slices.Sorted(maps.Keys(x.found)) {
		d := x.found[name]
		detail := d.first
		if d.count > 1 {
			detail += fmt.Sprintf("; and %d more", d.count-1)
		}
		check := CheckExtraction + "." + name
		if slices.Contains(tolerated, archive.Hazard(name)) {
			v.warnf("%s: %s", check, detail)
			continue
		}
		v.report.Extraction = ExtractionUnsafe
		v.report.Checks = append(v.report.Checks, event.Check{Name: check, Detail: detail})
	}
	if v.report.Extraction == ExtractionSafe {
		v.report.Checks = append(v.report.Checks, event.Check{Name: CheckExtraction, OK: true,
			Detail: fmt.Sprintf("%d entries in %d encoded slots, %d bytes", x.entries, x.slots, x.unpacked)})
	}
	return nil
}

func (x *extraction) note(name, format string, args ...any) {
	if d := x.found[name]; d != nil {
		d.count++
		return
	}
	x.found[name] = &danger{first: flawf(format, args...).Error(), count: 1}
}

// slot walks the content of one slot as the table says it is encoded. Where
// it says nothing the content itself does: some builders write no operations
// for words they do not know.
func (x *extraction) slot(s *Slot) error {
	want, known := undoing(s.Operations)
	if !known {
		x.note(unsafeOperations, "slot %d: operations %s cannot be undone", s.ID, s.OperationNames())
		return nil
	}
	head, err := x.v.read(s.Offset, min(s.Size, sniffed))
	if err != nil {
		return err
	}
	outer := archive.Sniff(head)
	if len(want) == 0 && !isOperation(outer) {
		return nil
	}
	x.slots++
	if len(want) > 0 && outer != want[0] {
		return x.misencoded(s, want, outer)
	}
	limits, ok := x.remaining()
	if !ok {
		x.note(archive.KindLimit, "slot %d: nothing is left of the limits for the whole package", s.ID)
		return nil
	}
	limits.Depth = max(1, compressors(want))
	if limits.Depth == 1 {
		limits.EntryBuffer = 1 // no container in a container is opened, so none need be held; 0 would be the default
	}
	w := &slotWalk{extraction: x, slot: s, outer: outer, want: want}
	report, err := archive.WalkStream(x.v.ctx, x.v.open(s.data()), fmt.Sprintf("slot %d", s.ID), limits, w.visit)
	if err != nil {
		return err
	}
	for _, p := range report.Problems {
		x.note(p.Kind, "%.100q: %s", p.Path, p.Detail)
	}
	if len(report.Problems) == 0 && report.Entries == 0 && len(want) > 1 && want[1] != archive.Tar {
		w.mismatch(1, archive.Tar) // one without entries
	}
	x.entries += report.Entries
	x.unpacked += report.Inflated
	return nil
}

func compressors(made []archive.Format) int {
	n := len(made)
	if n > 0 && made[n-1] == archive.Tar {
		n--
	}
	return n
}

// remaining is what earlier slots left of the limits.
func (x *extraction) remaining() (archive.Limits, bool) {
	l := unpackLimits
	l.Inflated -= x.unpacked
	l.Entries -= x.entries
	l.Time = time.Until(x.ends)
	return l, l.Inflated > 0 && l.Entries > 0 && l.Time > 0 // 0 would be no limit
}

// misencoded judges content that does not begin as its last operation would
// make it. Only zeros are right where a tar is expected: one without entries.
func (x *extraction) misencoded(s *Slot, want []archive.Format, got archive.Format) error {
	if want[0] == archive.Tar {
		empty, err := x.v.isZero(s.data())
		if err != nil || empty {
			return err
		}
	}
	x.note(unsafeOperations, "slot %d: operations are %s, the content is %s", s.ID, s.OperationNames(), got)
	return nil
}

// sniffed is how many bytes tell a format.
const sniffed = 512

// slotWalk is the walk through one slot.
type slotWalk struct {
	*extraction
	slot  *Slot
	outer archive.Format
	want  []archive.Format // outermost first
	wrong bool             // the content was found to be encoded otherwise
}

// visit sees either the entries of a tar, or what one compressor gave. Of
// what lies in files nothing is unpacked, so other containers stay closed.
func (w *slotWalk) visit(_ context.Context, e *archive.Entry, content io.Reader) error {
	undone := len(e.Parents) // containers around the entry; a tar and its compressor are one
	if e.Format == archive.Tar {
		if w.outer == archive.Tar {
			undone = 0
		}
		if undone < len(w.want) && w.want[undone] != archive.Tar {
			w.mismatch(undone, archive.Tar)
		}
		w.judge(e)
		return archive.SkipNested
	}
	if undone >= len(w.want) || e.Type != archive.File {
		return archive.SkipNested
	}
	if e.Format != w.want[undone-1] { // a container that merged with its compressor
		w.mismatch(undone, e.Format)
		return archive.SkipNested
	}
	return w.inner(undone, content)
}

// inner compares what a compressor gave with the next operation to undo.
// Reading errors are the walk's to report.
func (w *slotWalk) inner(undone int, content io.Reader) error {
	head := make([]byte, sniffed)
	n, err := io.ReadFull(content, head)
	if err != nil && n == 0 && err != io.EOF {
		return nil
	}
	format := archive.Sniff(head[:n])
	if w.want[undone] == archive.Tar && format == archive.Unknown && n > 0 && allZero(head[:n]) && onlyZeros(content) {
		return archive.SkipNested
	}
	if format != w.want[undone] {
		w.mismatch(undone, format)
		return archive.SkipNested
	}
	return nil
}

func (w *slotWalk) mismatch(undone int, got archive.Format) {
	if w.wrong {
		return // each entry of a tar shows it again
	}
	w.wrong = true
	w.note(unsafeOperations, "slot %d: operations are %s, the content below %s is %s",
		w.slot.ID, w.slot.OperationNames(), w.want[undone-1], got)
}

// judge notes the hazards of one entry of a tar.
func (w *slotWalk) judge(e *archive.Entry) {
	entry := fmt.Sprintf("slot %d: %.100q", w.slot.ID, e.RawPath)
	if e.Linkname != "" {
		entry += fmt.Sprintf(" to %.100q", e.Linkname)
	}
	for _, h := range e.Hazards {
		w.note(string(h), "%s", entry)
	}
	if e.Mode&fs.ModeSticky != 0 && e.Type != archive.Symlink {
		w.note(unsafeSticky, "%s", entry)
	}
}

func onlyZeros(r io.Reader) bool {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if !allZero(buf[:n]) {
			return false
		}
		if err != nil {
			return err == io.EOF
		}
	}
}
