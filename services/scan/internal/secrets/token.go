package secrets

import (
	"bytes"
	"hash/crc32"
	"math"
	"strings"
)

const (
	digits     = "0123456789"
	lowerHex   = digits + "abcdef"
	upper      = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	lower      = "abcdefghijklmnopqrstuvwxyz"
	upperDigit = upper + digits
	alnum      = upper + lower + digits
)

// token is a credential that is its anchor and a run of one alphabet behind
// it. The value is anchor and run.
type token struct {
	alphabet string
	min, max int  // length of the run
	apart    bool // the anchor must not continue a word
	entropy  float64
	// check judges the whole value, in place of the entropy.
	check func(value []byte, prefix int) bool
}

func (t token) verify(text []byte, at, end int) (finding, bool) {
	if t.apart && at > 0 && continues(text[:at]) {
		return finding{}, false
	}
	stop := end
	for stop < len(text) && stop-end <= t.max && strings.IndexByte(t.alphabet, text[stop]) >= 0 {
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
	if n < t.min || n > t.max || stop < len(text) && isWord(text[stop]) {
		return finding{}, false
	}
	value, run := text[at:stop], text[end:stop]
	if placeholderToken(value) {
		return finding{}, false
	}
	if t.check != nil {
		if !t.check(value, end-at) {
			return finding{}, false
		}
	} else if entropy(run) < t.entropy {
		return finding{}, false
	}
	return finding{start: at, end: stop}, true
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

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

// base62CRC checks the last six characters: the CRC-32 of what lies between
// prefix and them, in base 62. GitHub and npm make tokens so.
func base62CRC(value []byte, prefix int) bool {
	const alphabet = digits + upper + lower
	body, sum := value[prefix:len(value)-6], value[len(value)-6:]
	crc := crc32.ChecksumIEEE(body)
	for i := 5; i >= 0; i-- {
		if sum[i] != alphabet[crc%62] {
			return false
		}
		crc /= 62
	}
	return true
}

// finegrained is GitHub's github_pat_: 22 letters or digits, "_", 59 more.
func finegrained(value []byte, prefix int) bool {
	run := value[prefix:]
	return run[22] == '_' && bytes.Count(run, []byte("_")) == 1 && entropy(run) >= 3
}

// sendgridParts is SG., 22 characters, a dot, 43 characters.
func sendgridParts(value []byte, prefix int) bool {
	run := value[prefix:]
	return run[22] == '.' && bytes.Count(run, []byte(".")) == 1 && entropy(run) >= 3
}

// slackParts wants groups of which the first is a number of 9 to 13 digits,
// and a tail that is no word.
func slackParts(value []byte, prefix int) bool {
	groups := bytes.Split(value[prefix:], []byte("-"))
	if len(groups) < 2 || len(groups[0]) < 9 || len(groups[0]) > 13 {
		return false
	}
	for _, c := range groups[0] {
		if c < '0' || c > '9' {
			return false
		}
	}
	tail := groups[len(groups)-1]
	return len(tail) >= 12 && entropy(tail) >= 2.5
}

// slackHook is T…/B…/ and 24 characters.
func slackHook(value []byte, prefix int) bool {
	parts := bytes.Split(value[prefix:], []byte("/"))
	return len(parts) == 3 && len(parts[0]) >= 8 && parts[0][0] == 'T' && len(parts[1]) >= 8 && parts[1][0] == 'B' &&
		len(parts[2]) >= 20 && entropy(parts[2]) >= 3 && entropy(parts[0]) >= 1.5
}

// gitlabToken is glpat- and 20 characters, or the routable form, whose last
// seven characters are a CRC-32 in base 36 over all before them.
func gitlabToken(text []byte, at, end int) (finding, bool) {
	plain := token{alphabet: alnum + "_-", min: 20, max: 300, entropy: 3}
	f, ok := plain.verify(text, at, end)
	if !ok || f.end+10 > len(text) || text[f.end] != '.' || f.end-end < 27 {
		return f, ok
	}
	routable := token{alphabet: lower + digits + ".", min: 12, max: 12}
	tail, ok := routable.verify(text, f.end, f.end+1)
	if !ok || tail.end-tail.start != 13 || text[f.end+3] != '.' {
		return f, true // a sentence's full stop
	}
	body, sum := text[at:tail.end-7], text[tail.end-7:tail.end]
	crc := crc32.ChecksumIEEE(body)
	for i := 6; i >= 0; i-- {
		if sum[i] != (digits + lower)[crc%36] {
			return finding{}, false
		}
		crc /= 36
	}
	f.end = tail.end
	return f, true
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
