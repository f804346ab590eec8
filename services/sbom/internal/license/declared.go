package license

import (
	"cmp"
	"slices"
	"strings"
)

// FromDeclared makes an SPDX expression of what a package declares: an
// expression as it is, or a spelling that has one meaning. "" means that the
// words have none ("BSD", "see LICENSE").
func FromDeclared(declared string) string {
	s := strings.Join(strings.Fields(declared), " ")
	if s == "" || len(s) > maxExpression {
		return ""
	}
	s = strings.TrimPrefix(s, "custom:") // pacman's word for what is not in its package of licences
	if Valid(s) == nil {
		return s
	}
	if id := alias(s); id != "" {
		return id
	}
	return combined(s)
}

// combined understands lists such as "MIT/Apache-2.0" (Cargo before 2018),
// "MIT or GPL-3", "(MIT and BSD-3-Clause)" and lower-case operators, if every
// part is understood.
func combined(s string) string {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "(") && strings.HasSuffix(s, ")") && !strings.ContainsAny(s[1:len(s)-1], "()") {
		s = s[1 : len(s)-1]
	}
	for _, operator := range []struct{ written, meant string }{
		{" or ", " OR "}, {" OR ", " OR "}, {" | ", " OR "}, {"/", " OR "}, {" and ", " AND "}, {" AND ", " AND "}, {" & ", " AND "},
	} {
		parts := strings.Split(s, operator.written)
		if len(parts) < 2 || len(parts) > 8 {
			continue
		}
		for i, part := range parts {
			part = strings.TrimSpace(part)
			if parts[i] = cmp.Or(known(part), alias(part)); parts[i] == "" {
				return ""
			}
		}
		if expression := strings.Join(parts, operator.meant); Valid(expression) == nil {
			return expression
		}
	}
	return ""
}

func known(part string) string {
	if Valid(part) == nil && !strings.ContainsAny(part, " ()") {
		return part
	}
	return ""
}

// Any makes one expression of several declarations that apply together. The
// rest are the declarations that are none.
func Any(declared []string) (expression string, rest []string) {
	var parts []string
	for _, d := range declared {
		e := FromDeclared(d)
		switch {
		case e == "":
			rest = append(rest, d)
		case !slices.Contains(parts, e):
			parts = append(parts, e)
		}
	}
	if len(parts) > 1 {
		for i, p := range parts {
			if strings.Contains(p, " OR ") {
				parts[i] = "(" + p + ")"
			}
		}
	}
	return strings.Join(parts, " AND "), rest
}

// alias looks a spelling up, case and punctuation aside.
func alias(s string) string {
	if strings.Count(s, "(") != strings.Count(s, ")") {
		return "" // a piece of something else
	}
	if strings.Contains(s, "://") {
		return addresses[address(s)]
	}
	return aliases[plain(s)]
}

// address is a URL without what differs between spellings of it.
func address(s string) string {
	_, rest, _ := strings.Cut(strings.ToLower(s), "://")
	rest = strings.TrimPrefix(rest, "www.")
	rest, _, _ = strings.Cut(rest, "#")
	rest = strings.TrimRight(rest, "/")
	for _, suffix := range []string{".txt", ".html", ".php", ".htm"} {
		rest = strings.TrimSuffix(rest, suffix)
	}
	return rest
}

// addresses are where licences are published, as address writes them: Maven
// and NuGet packages name licences so.
var addresses = map[string]string{
	"apache.org/licenses/license-2.0": "Apache-2.0", "opensource.org/licenses/apache-2.0": "Apache-2.0", "opensource.org/licenses/apache2.0": "Apache-2.0",
	"opensource.org/licenses/mit": "MIT", "opensource.org/licenses/mit-license": "MIT", "opensource.org/license/mit": "MIT",
	"opensource.org/licenses/bsd-2-clause": "BSD-2-Clause", "opensource.org/licenses/bsd-3-clause": "BSD-3-Clause", "opensource.org/licenses/isc": "ISC",
	"eclipse.org/org/documents/epl-v10": "EPL-1.0", "eclipse.org/legal/epl-v10": "EPL-1.0", "eclipse.org/legal/epl-v20": "EPL-2.0", "eclipse.org/legal/epl-2.0": "EPL-2.0", "eclipse.org/org/documents/edl-v10": "BSD-3-Clause",
	"mozilla.org/mpl/2.0": "MPL-2.0", "mozilla.org/mpl/mpl-1.1": "MPL-1.1", "creativecommons.org/publicdomain/zero/1.0": "CC0-1.0", "unlicense.org": "Unlicense",
	"gnu.org/licenses/gpl-2.0": "GPL-2.0-only", "gnu.org/licenses/gpl-3.0": "GPL-3.0-only", "gnu.org/licenses/lgpl-2.1": "LGPL-2.1-only", "gnu.org/licenses/lgpl-3.0": "LGPL-3.0-only",
}

// plain keeps letters, digits and what tells versions apart.
func plain(s string) string {
	s = strings.ToLower(s)
	s = strings.TrimPrefix(s, "license :: osi approved :: ") // Python's classifiers
	s = strings.TrimPrefix(s, "the ")
	var b strings.Builder
	for _, c := range s {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '.', c == '+':
			b.WriteRune(c)
		}
	}
	return b.String()
}

// aliases are common spellings with exactly one meaning, as plain writes
// them. A bare "BSD", "GPL" or "LGPL" has several and is not here.
var aliases = func() map[string]string {
	m := map[string]string{}
	for id, spellings := range map[string]string{
		"MIT":               "mit|mitlicense|mitlicence|expat|expatlicense|mitexpat|mitlicensemit|x11mit",
		"Apache-2.0":        "apache2|apache2.0|apachev2|apachev2.0|apachelicense2|apachelicense2.0|apachelicensev2|apachelicensev2.0|apachelicenseversion2.0|apachelicenseversion2|apachesoftwarelicense2.0|apachesoftwarelicenseversion2.0|asl2.0|al2.0|apachelicense2.0apache2.0|apache2.0license|asf2.0",
		"BSD-2-Clause":      "bsd2|bsd2clause|2clausebsd|2clausebsdlicense|simplifiedbsd|simplifiedbsdlicense|freebsd|bsd2clauselicense|bsd2clausesimplifiedlicense",
		"BSD-3-Clause":      "bsd3|bsd3clause|3clausebsd|3clausebsdlicense|newbsd|newbsdlicense|modifiedbsd|modifiedbsdlicense|revisedbsd|bsd3clauselicense|bsd3clauseneworrevisedlicense|edl1.0|eclipsedistributionlicensev1.0|eclipsedistributionlicensev.1.0",
		"0BSD":              "bsdzeroclause|bsdzeroclauselicense|zeroclausebsd",
		"ISC":               "isc|isclicense|isclicenseiscl",
		"Zlib":              "zlib|zliblicense|zliblibpng|zliblibpnglicense",
		"Unlicense":         "unlicense|unlicenseunlicense",
		"CC0-1.0":           "cc0|cc01.0|cc01.0universal|cc01.0universalcc01.0publicdomaindedication",
		"CC-BY-4.0":         "ccby4|ccby4.0",
		"CC-BY-3.0":         "ccby3|ccby3.0",
		"MPL-1.1":           "mpl1.1|mozillapubliclicense1.1|mozillapubliclicense1.1mpl1.1",
		"MPL-2.0":           "mpl2|mpl2.0|mplv2|mplv2.0|mozillapubliclicense2.0|mozillapubliclicense2.0mpl2.0|mozillapubliclicenseversion2.0",
		"EPL-1.0":           "epl1|epl1.0|eclipsepubliclicense1.0|eclipsepubliclicensev1.0|eclipsepubliclicenseversion1.0|eclipsepubliclicense1.0epl1.0",
		"EPL-2.0":           "epl2|epl2.0|eclipsepubliclicense2.0|eclipsepubliclicensev2.0|eclipsepubliclicensev.2.0|eclipsepubliclicenseversion2.0|eclipsepubliclicense2.0epl2.0",
		"GPL-2.0-only":      "gpl2|gplv2|gpl2.0|gplv2.0|gnugplv2|gnugpl2|gnugeneralpubliclicensev2|gnugeneralpubliclicensev2gplv2|gnugeneralpubliclicenseversion2",
		"GPL-2.0-or-later":  "gpl2+|gplv2+|gpl2.0+|gplv2.0+|gnugplv2+|gnugeneralpubliclicensev2orlater|gnugeneralpubliclicensev2orlatergplv2+|gplv2orlater|gpl2orlater",
		"GPL-3.0-only":      "gpl3|gplv3|gpl3.0|gplv3.0|gnugplv3|gnugpl3|gnugeneralpubliclicensev3|gnugeneralpubliclicensev3gplv3|gnugeneralpubliclicenseversion3",
		"GPL-3.0-or-later":  "gpl3+|gplv3+|gpl3.0+|gplv3.0+|gnugplv3+|gnugeneralpubliclicensev3orlater|gnugeneralpubliclicensev3orlatergplv3+|gplv3orlater|gpl3orlater",
		"LGPL-2.0-only":     "lgpl2|lgplv2|lgpl2.0|gnulibraryorlessergeneralpubliclicenseversion2.0",
		"LGPL-2.0-or-later": "lgpl2+|lgplv2+|lgpl2.0+|gnulessergeneralpubliclicensev2orlater|gnulessergeneralpubliclicensev2orlaterlgplv2+",
		"LGPL-2.1-only":     "lgpl2.1|lgplv2.1|gnulgplv2.1|gnulessergeneralpubliclicenseversion2.1|gnulessergeneralpubliclicensev2.1",
		"LGPL-2.1-or-later": "lgpl2.1+|lgplv2.1+|lgplv2.1orlater",
		"LGPL-3.0-only":     "lgpl3|lgplv3|lgpl3.0|lgplv3.0|gnulgplv3|gnulessergeneralpubliclicensev3|gnulessergeneralpubliclicensev3lgplv3",
		"LGPL-3.0-or-later": "lgpl3+|lgplv3+|lgpl3.0+|gnulessergeneralpubliclicensev3orlater|gnulessergeneralpubliclicensev3orlaterlgplv3+|lgplv3orlater",
		"AGPL-3.0-only":     "agpl3|agplv3|agpl3.0|gnuafferogeneralpubliclicensev3",
		"AGPL-3.0-or-later": "agpl3+|agplv3+|agpl3.0+|gnuafferogeneralpubliclicensev3orlater|gnuafferogeneralpubliclicensev3orlateragplv3+",
		"PSF-2.0":           "psf|psf2|psf2.0|psfl|pythonsoftwarefoundationlicense",
		"Artistic-2.0":      "artistic2|artistic2.0|artisticlicense2.0",
		"BSL-1.0":           "boost|boost1.0|boostsoftwarelicense|boostsoftwarelicense1.0|boostsoftwarelicense1.0bsl1.0",
		"CDDL-1.0":          "cddl1.0|cddl|commondevelopmentanddistributionlicensecddlversion1.0",
		"CDDL-1.1":          "cddl1.1",
		"MS-PL":             "mspl|microsoftpubliclicense",
		"WTFPL":             "wtfpl|dowhatthefuckyouwanttopubliclicense",
		"OFL-1.1":           "ofl|ofl1.1|silopenfontlicense1.1|silopenfontlicense1.1ofl1.1",
		"Ruby":              "ruby|rubylicense|rubys",
		"curl":              "curl",
		"X11":               "x11|x11license",
		"NCSA":              "ncsa|universityofillinoisncsaopensourcelicense",
		"PostgreSQL":        "postgresql|postgresqllicense",
		"GPL-2.0-only WITH Classpath-exception-2.0": "gpl2wcpe|gplv2withclasspathexception|gpl2withclasspathexception|gnugeneralpubliclicenseversion2withtheclasspathexception|gnugeneralpubliclicensev2.0wclasspathexception",
		"EUPL-1.2": "eupl1.2|europeanunionpubliclicence1.2eupl1.2",
	} {
		for spelling := range strings.SplitSeq(spellings, "|") {
			m[spelling] = id
		}
	}
	return m
}()

// Conclude weighs what licence files amount to against what is declared: a
// choice between licences whose texts are all there is the choice declared.
func Conclude(declared []string, observed string) string {
	expression, rest := Any(declared)
	if observed == "" || expression == "" || len(rest) > 0 {
		return observed
	}
	offered := identifiers(expression)
	for _, id := range identifiers(observed) {
		if !slices.Contains(offered, id) && !slices.Contains(offered, strings.TrimSuffix(id, "-only")+"-or-later") {
			return observed
		}
	}
	return expression
}

func identifiers(expression string) []string {
	var ids []string
	for _, token := range strings.Fields(strings.NewReplacer("(", " ", ")", " ").Replace(expression)) {
		if token != "AND" && token != "OR" && token != "WITH" {
			ids = append(ids, token)
		}
	}
	return ids
}
