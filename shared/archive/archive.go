// Package archive walks untrusted containers as a stream of entries, nested
// ones included, without writing anything to where an entry's name points.
// It is shared because sbom reads packages' contents and scan judges them,
// and both must meet the same limits and see the same hazards.
package archive

import (
	"context"
	"io"
	"io/fs"
	"time"
)

// Limits bound one walk. Zero fields take the value of DefaultLimits. They
// are enforced while bytes are read, never from what a header claims.
type Limits struct {
	Inflated    int64         // bytes produced by all decompressors and copied from all containers; a tar inside a gzip is counted once
	Ratio       float64       // inflated bytes per input byte, judged once Inflated exceeds 16 MiB
	Entries     int           // entries of all containers together
	Depth       int           // containers inside containers; 1 is a plain archive
	EntryBuffer int64         // bytes of one nested container that may be held (memory, then an unlinked temporary file) for random access
	Time        time.Duration // wall clock of the whole walk
}

// DefaultLimits suit a package of up to a few GB on a worker with 512 MB.
var DefaultLimits = Limits{
	Inflated:    8 << 30,
	Ratio:       200,
	Entries:     100_000,
	Depth:       8,
	EntryBuffer: 512 << 20,
	Time:        10 * time.Minute,
}

// EntryType is what an entry would become on disk.
type EntryType string

const (
	File     EntryType = "file"
	Dir      EntryType = "dir"
	Symlink  EntryType = "symlink"
	Hardlink EntryType = "hardlink"
	Device   EntryType = "device" // character or block
	Fifo     EntryType = "fifo"
	Other    EntryType = "other" // sockets and unknown types
)

// Hazard says why writing an entry to disk would be unsafe.
type Hazard string

const (
	Traversal    Hazard = "traversal"     // ".." that climbs out of the root
	Absolute     Hazard = "absolute"      // leading slash, drive letter or UNC path
	LinkOut      Hazard = "link-out"      // link whose target is absolute or lies outside the root, or a path that leads through an earlier link
	DeviceNode   Hazard = "device"        // device or fifo
	SetID        Hazard = "setid"         // setuid or setgid bit
	WorldWrite   Hazard = "world-write"   // file or directory (without sticky bit) anyone may change
	Duplicate    Hazard = "duplicate"     // the same path twice in one container, unless both are directories
	CaseConflict Hazard = "case-conflict" // paths that differ only in case or in how Unicode composes their letters
	BadName      Hazard = "bad-name"      // empty, NUL, control characters, or not UTF-8
)

// Entry is one member of a container.
type Entry struct {
	Path     string   // cleaned, relative, slash-separated; hazards were noted before cleaning
	RawPath  string   // as the container spells it
	Parents  []string // paths of the containers around it, outermost (the walked artifact's own name) first
	Format   Format   // of the container that holds it: tar for a .tar.gz, rpm for the payload of one, gzip for the only entry of a .gz
	Type     EntryType
	Mode     fs.FileMode // permission, setuid, setgid and sticky bits
	Size     int64       // as claimed; -1 if the container does not say
	ModTime  time.Time
	Linkname string
	Hazards  []Hazard
}

// FullPath joins the parents and the path with "!", outer container first,
// as in "outer.tgz!inner.zip!file".
func (e *Entry) FullPath() string {
	s := ""
	for _, p := range e.Parents {
		s += p + "!"
	}
	return s + e.Path
}

// Visitor receives every entry, directories and links included, in container
// order. content is nil for anything but a File; it is valid until the
// visitor returns, need not be read to the end, and fails with a *LimitError
// when a limit is hit or with ErrDamaged when the container is. A nested
// container is shown as an entry first, and then, whether or not the visitor
// read it, walked. Returning SkipNested leaves it closed; any other error
// ends the walk and is returned by Walk.
type Visitor func(ctx context.Context, e *Entry, content io.Reader) error

// Report tells how complete a walk was.
type Report struct {
	Format   Format // of the outermost bytes
	Entries  int
	Inflated int64
	Problems []Problem // in order of occurrence; empty means everything was seen
	// Anomalies say where other readers may see something else; at most 100.
	Anomalies []Anomaly
}

// Complete reports whether every entry was seen to its last byte.
func (r *Report) Complete() bool { return len(r.Problems) == 0 }

// Problem is something that kept a part of the input from being seen. At
// most 100 are kept; a last one of Kind "omitted" says that there were more.
type Problem struct {
	Path   string // FullPath of the container or entry
	Kind   string // KindLimit, KindDamaged, KindUnsupported or KindOmitted
	Detail string // names the limit or the fault
}

// Kinds of Problem.
const (
	KindLimit       = "limit"       // one of Limits was reached
	KindDamaged     = "damaged"     // truncated, corrupt, or with bytes that belong to nothing
	KindUnsupported = "unsupported" // encrypted, unknown method, dictionary too large
	KindOmitted     = "omitted"     // further problems that are not listed
)
