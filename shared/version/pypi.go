package version

import (
	"strings"

	"github.com/google/osv-scalibr/semantic"
)

// comparePyPI orders by PEP 440. What is none, releases of another age, is
// older than everything that is, and ordered among itself as setuptools did.
func comparePyPI(a, b string) int {
	if hasUpper(a) || hasUpper(b) {
		a, b = strings.ToLower(a), strings.ToLower(b)
	}
	x, okX := parsePEP440(a)
	y, okY := parsePEP440(b)
	switch {
	case okX && okY:
		return x.compare(&y)
	case okX != okY:
		return 2*boolRank(okX) - 1
	}
	v, err := semantic.ParsePyPIVersion(a)
	if err != nil {
		return strings.Compare(a, b)
	}
	c, err := v.CompareStr(b)
	if err != nil {
		return strings.Compare(a, b)
	}
	return c
}

// pep440 is a version taken apart; absent numbers are "".
type pep440 struct {
	epoch, release    string
	pre               byte // a, b or r for rc; 0: none
	preN, postN, devN string
	post, dev         bool
	local             string
}

// parsePEP440 follows the regular expression of PEP 440, appendix B.
func parsePEP440(v string) (p pep440, ok bool) {
	v = strings.TrimPrefix(v, "v")
	number, rest := digits(v)
	if number == "" {
		return p, false
	}
	if after, found := strings.CutPrefix(rest, "!"); found {
		p.epoch, v = number, after
		if number, rest = digits(v); number == "" {
			return p, false
		}
	}
	for len(rest) > 1 && rest[0] == '.' && isDigit(rest[1]) {
		_, rest = digits(rest[1:])
	}
	p.release, v = v[:len(v)-len(rest)], rest
	for _, w := range preWords {
		if after, found := cutWord(v, w.word); found {
			p.pre = w.letter
			p.preN, v = digits(afterSeparators(after))
			break
		}
	}
	if after, found := strings.CutPrefix(v, "-"); found && after != "" && isDigit(after[0]) {
		p.post = true
		p.postN, v = digits(after)
	} else {
		for _, w := range []string{"post", "rev", "r"} {
			if after, found := cutWord(v, w); found {
				p.post = true
				p.postN, v = digits(afterSeparators(after))
				break
			}
		}
	}
	if after, found := cutWord(v, "dev"); found {
		p.dev = true
		p.devN, v = digits(afterSeparators(after))
	}
	if local, found := strings.CutPrefix(v, "+"); found {
		p.local, v = local, ""
		if !isLocal(local) {
			return p, false
		}
	}
	return p, v == ""
}

var preWords = [...]struct {
	word   string
	letter byte
}{{"alpha", 'a'}, {"beta", 'b'}, {"preview", 'r'}, {"pre", 'r'}, {"rc", 'r'}, {"a", 'a'}, {"b", 'b'}, {"c", 'r'}}

// cutWord cuts a word off, and one separator before it.
func cutWord(s, word string) (string, bool) {
	if after, ok := strings.CutPrefix(s, word); ok {
		return after, true
	}
	if s != "" && isLocalSeparator(s[0]) {
		return strings.CutPrefix(s[1:], word)
	}
	return s, false
}

// afterSeparators drops one separator, which may stand before a number even
// where there is none.
func afterSeparators(s string) string {
	if s != "" && isLocalSeparator(s[0]) {
		return s[1:]
	}
	return s
}

func isLocalSeparator(c byte) bool { return c == '.' || c == '-' || c == '_' }

func isLocal(s string) bool {
	separated := true
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c), c >= 'a' && c <= 'z':
			separated = false
		case isLocalSeparator(c) && !separated:
			separated = true
		default:
			return false
		}
	}
	return !separated
}

func (p *pep440) compare(q *pep440) int {
	if c := compareNumber(p.epoch, q.epoch); c != 0 {
		return c
	}
	if c, _, _ := compareRelease(p.release, q.release); c != 0 {
		return c
	}
	if c := sign(p.preRank() - q.preRank()); c != 0 {
		return c
	}
	if c := compareNumber(p.preN, q.preN); c != 0 {
		return c
	}
	if p.post != q.post {
		return boolRank(p.post) - boolRank(q.post)
	}
	if c := compareNumber(p.postN, q.postN); c != 0 {
		return c
	}
	if p.dev != q.dev {
		return boolRank(q.dev) - boolRank(p.dev)
	}
	if c := compareNumber(p.devN, q.devN); c != 0 {
		return c
	}
	return compareLocal(p.local, q.local)
}

// preRank: 1.0.dev1 comes before 1.0a1, and 1.0 after 1.0rc1.
func (p *pep440) preRank() int {
	switch {
	case p.pre != 0:
		return int(p.pre)
	case p.dev && !p.post:
		return 0
	}
	return 0xFF
}

func compareLocal(a, b string) int {
	for a != "" || b != "" {
		x, restA := localPart(a)
		y, restB := localPart(b)
		c := 0
		switch numberX, numberY := isNumber(x), isNumber(y); {
		case x == "" || y == "":
			return sign(len(x) - len(y))
		case numberX && numberY:
			c = compareNumber(x, y)
		case numberX != numberY:
			c = 2*boolRank(numberX) - 1
		default:
			c = strings.Compare(x, y)
		}
		if c != 0 {
			return c
		}
		a, b = restA, restB
	}
	return 0
}

func localPart(s string) (part, rest string) {
	if i := strings.IndexAny(s, ".-_"); i >= 0 {
		return s[:i], s[i+1:]
	}
	return s, ""
}
