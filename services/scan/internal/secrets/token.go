package secrets

import (
	"math"
	"strings"
)

// token is a credential that is its anchor and a run of one alphabet behind
// it. The value is anchor and run.
type token struct {
	alphabet string
	min, max int    // length of the run
	apart    bool   // the anchor must not continue a word
	tail     string // what the run ends with
	entropy  float64
	// check judges the whole value, in place of the entropy.
	check func(value []byte, prefix int) bool
	// sealed is for values whose check tells where they end.
	sealed bool

	set *charset
}

// verifier prepares the token's own.
func (t token) verifier() verifier {
	t.set = setOf(t.alphabet)
	return t.verify
}

func (t *token) verify(text []byte, at, end int) (finding, bool) {
	if t.apart && at > 0 && continues(text[:at]) {
		return finding{}, false
	}
	stop, most := end, t.max+1
	if t.sealed {
		most = t.max
	}
	for stop < len(text) && stop-end < most && t.set[text[stop]] {
		stop++
	}
	if t.min != t.max {
		// A separator at the end of a run of any length belongs to the
		// sentence around it.
		for stop > end && strings.IndexByte("-_./", text[stop-1]) >= 0 {
			stop--
		}
	}
	n := stop - end
	if n < t.min || n > t.max || !t.sealed && stop < len(text) && isWord(text[stop]) {
		return finding{}, false
	}
	value, run := text[at:stop], text[end:stop]
	if placeholderToken(run) || !strings.HasSuffix(string(run), t.tail) {
		return finding{}, false
	}
	if t.check != nil {
		if !t.check(value, end-at) {
			return finding{}, false
		}
	} else if entropy(run) < t.entropy {
		return finding{}, false
	}
	return finding{start: at, end: stop, shown: end - at}, true
}

// continues reports whether what comes next would continue a word of text.
// The letter of an escape as in "\nAKIA…" or "%3DAKIA…" is none.
func continues(text []byte) bool {
	n := len(text)
	c := text[n-1]
	if !isWord(c) && c != '+' {
		return false
	}
	if n >= 2 && text[n-2] == '\\' && strings.IndexByte("nrtbf0", c) >= 0 {
		return false
	}
	if n >= 3 && text[n-3] == '%' && isHex(c) && isHex(text[n-2]) {
		return false
	}
	return true
}

// around is a credential whose anchor stands inside of it: so many
// characters of an alphabet before, and so many behind.
type around struct {
	before, behind       string // alphabets
	minBefore, maxBefore int
	minBehind, maxBehind int
}

func (r around) verifier() verifier {
	before, behind := setOf(r.before), setOf(r.behind)
	return func(text []byte, at, end int) (finding, bool) {
		start, stop := at, end
		for start > 0 && at-start <= r.maxBefore && before[text[start-1]] {
			start--
		}
		for stop < len(text) && stop-end <= r.maxBehind && behind[text[stop]] {
			stop++
		}
		if at-start < r.minBefore || at-start > r.maxBefore || stop-end < r.minBehind || stop-end > r.maxBehind ||
			stop < len(text) && isWord(text[stop]) || start > 0 && continues(text[:start]) {
			return finding{}, false
		}
		value := text[start:stop]
		if placeholderToken(value) || entropy(value) < 3 {
			return finding{}, false
		}
		return finding{start: start, end: stop}, true
	}
}

// entropy is Shannon's, in bits per byte, of the bytes' own frequencies.
func entropy(b []byte) float64 {
	if len(b) == 0 {
		return 0
	}
	var count [256]int
	for _, c := range b {
		count[c]++
	}
	h, n := 0.0, float64(len(b))
	for _, k := range count {
		if k > 0 {
			p := float64(k) / n
			h -= p * math.Log2(p)
		}
	}
	return h
}
