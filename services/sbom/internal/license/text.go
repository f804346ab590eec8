package license

import (
	"cmp"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/google/licensecheck"
)

// MaxText is how much of a licence file is read, in bytes. A file of more
// is a collection of notices, not a licence.
const MaxText = 512 << 10

// covered is how much of a text has to be licences for the text to be taken
// for them, in percent: the measure of pkg.go.dev.
const covered = 75

// IsText tells from a file's name whether it may hold a licence.
func IsText(name string) bool {
	base := strings.ToLower(path.Base(name))
	switch path.Ext(base) {
	case "", ".txt", ".md", ".rst", ".html", ".markdown", ".mit", ".apache", ".bsd", ".apache2":
	default:
		// LICENSE-2.0 and LICENSE.Apache-2.0 end in what looks like a suffix.
		if !strings.HasPrefix(base, "license-") && !strings.HasPrefix(base, "license.") && !strings.HasPrefix(base, "copying.") {
			return false
		}
		switch path.Ext(base) {
		case ".go", ".js", ".ts", ".py", ".json", ".xml", ".yml", ".yaml", ".spdx", ".c", ".h", ".java", ".rb", ".rs", ".map", ".class":
			return false
		}
	}
	for _, prefix := range []string{"license", "licence", "copying", "unlicense", "mit-license", "apache-license", "copyright"} {
		if strings.HasPrefix(base, prefix) {
			return true
		}
	}
	return false
}

// FromText concludes an expression from a licence's text; "" if less than
// three quarters of it are the words of known licences. Several licences in
// one text all apply.
func FromText(text []byte) string {
	if len(text) > MaxText {
		return ""
	}
	found := usual().Scan(text)
	if found.Percent < covered {
		found = all().scan(text)
	}
	if found.Percent < covered {
		return ""
	}
	var ids []string
	for _, m := range found.Match {
		if id := current(m.ID); ID(id) && !m.IsURL && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Compare(strings.ToLower(a), strings.ToLower(b)) })
	if len(ids) > maxTokens/2 {
		return ""
	}
	return strings.Join(ids, " AND ")
}

// current replaces identifiers that SPDX has deprecated. The text of a GNU
// licence does not say whether later versions may be used: that is for the
// file that applies it.
func current(id string) string {
	switch id {
	case "GPL-1.0", "GPL-2.0", "GPL-3.0", "LGPL-2.0", "LGPL-2.1", "LGPL-3.0", "AGPL-1.0", "AGPL-3.0", "GFDL-1.1", "GFDL-1.2", "GFDL-1.3":
		return id + "-only"
	}
	return id
}

// usual knows the licences of nearly all packages; learning all 551 texts
// takes twenty times as long and is put off until a text needs it.
var usual = sync.OnceValue(func() *licensecheck.Scanner {
	common := map[string]bool{}
	for id := range strings.FieldsSeq(`0BSD AGPL-3.0 Apache-2.0 Artistic-2.0 BlueOak-1.0.0 BSD-2-Clause BSD-2-Clause-Views BSD-3-Clause BSL-1.0
		CC-BY-3.0 CC-BY-4.0 CC0-1.0 CDDL-1.0 CDDL-1.1 curl EPL-1.0 EPL-2.0 GPL-2.0 GPL-3.0 ISC LGPL-2.1 LGPL-3.0 MIT MIT-0 MPL-1.1 MPL-2.0
		MS-PL NCSA OFL-1.1 OpenSSL PostgreSQL PSF-2.0 Python-2.0 Ruby Unlicense WTFPL X11 Zlib`) {
		common[id] = true
	}
	return scanner(func(l licensecheck.License) bool { return common[l.ID] })
})

// all knows every licence, in several scanners, as one for all of them takes
// 90 MB to make.
var all = sync.OnceValue(func() (s scanners) {
	const parts = 8
	place := map[string]int{}
	for i, l := range licensecheck.BuiltinLicenses() {
		if _, known := place[l.ID]; !known {
			place[l.ID] = i
		}
	}
	for part := range parts {
		s = append(s, scanner(func(l licensecheck.License) bool {
			return place[l.ID]%parts == part
		}))
	}
	return s
})

// scanners know different licences.
type scanners []*licensecheck.Scanner

// scan joins what they find: of matches that overlap the longest counts, as
// within one scanner.
func (s scanners) scan(text []byte) (joined licensecheck.Coverage) {
	type match struct {
		licensecheck.Match
		percent float64 // of the text's words, by its share of its scanner's matches
	}
	var matches []match
	for _, one := range s {
		found, size := one.Scan(text), 0
		for _, m := range found.Match {
			size += m.End - m.Start
		}
		for _, m := range found.Match {
			matches = append(matches, match{m, found.Percent * float64(m.End-m.Start) / float64(size)})
		}
	}
	slices.SortStableFunc(matches, func(a, b match) int { return cmp.Compare(b.End-b.Start, a.End-a.Start) })
	for _, m := range matches {
		if !slices.ContainsFunc(joined.Match, func(j licensecheck.Match) bool { return m.Start < j.End && j.Start < m.End }) {
			joined.Match = append(joined.Match, m.Match)
			joined.Percent += m.percent
		}
	}
	return joined
}

// scanner is made of six times the memory that it keeps: the garbage is
// collected sooner meanwhile.
func scanner(wanted func(licensecheck.License) bool) *licensecheck.Scanner {
	debug.FreeOSMemory()
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	s, err := licensecheck.NewScanner(slices.DeleteFunc(licensecheck.BuiltinLicenses(), func(l licensecheck.License) bool { return !wanted(l) }))
	if err != nil {
		panic(err) // the texts are part of the program
	}
	return s
}
