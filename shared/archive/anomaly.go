package archive

import "fmt"

// Anomaly is something in a container that other readers take differently, so
// that what was seen here need not be what they unpack. Unlike a Problem it
// kept nothing from being seen.
type Anomaly struct {
	Path   string // FullPath of the container or entry
	Kind   AnomalyKind
	Begins Format // what stray bytes begin as, where the kind is about such
	Detail string
}

// AnomalyKind says on what readers disagree.
type AnomalyKind string

// Kinds of Anomaly.
const (
	Polyglot       AnomalyKind = "polyglot"        // begins as one container and ends as a zip
	Prefixed       AnomalyKind = "prefixed"        // bytes before the first entry of a zip
	Trailed        AnomalyKind = "trailed"         // bytes behind the end of a zip
	TwoEnds        AnomalyKind = "two-ends"        // a zip with a second end record in the comment of the first
	HiddenEntry    AnomalyKind = "hidden-entry"    // a zip's entry that its directory leaves out
	Overlap        AnomalyKind = "overlap"         // entries of a zip that share bytes
	HeaderMismatch AnomalyKind = "header-mismatch" // two records of one entry that differ in what it is called or how long it is
	SecondTar      AnomalyKind = "second-tar"      // entries of a tar behind the mark of its end
	GzipMembers    AnomalyKind = "gzip-members"    // several gzip members behind each other
)

const maxAnomalies = 100

// strange notes an anomaly; what is beyond maxAnomalies only lengthens a list
// that says already what it has to say.
func (w *walk) strange(at string, kind AnomalyKind, format string, args ...any) {
	w.stray(at, kind, "", format, args...)
}

// stray is the same for bytes that belong to nothing and begin as f.
func (w *walk) stray(at string, kind AnomalyKind, f Format, format string, args ...any) {
	if list := &w.report.Anomalies; len(*list) < maxAnomalies {
		*list = append(*list, Anomaly{Path: at, Kind: kind, Begins: f, Detail: fmt.Sprintf(format, args...)})
	}
}
