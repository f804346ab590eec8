package secrets

const (
	digits     = "0123456789"
	lowerHex   = digits + "abcdef"
	upper      = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	lower      = "abcdefghijklmnopqrstuvwxyz"
	upperDigit = upper + digits
	lowerDigit = lower + digits
	alnum      = upper + lower + digits
	base64URL  = alnum + "_-"
	base64Std  = alnum + "+/="
)

// charset is a set of bytes.
type charset [256]bool

func setOf(chars string) *charset {
	var set charset
	for i := range len(chars) {
		set[chars[i]] = true
	}
	return &set
}

var (
	digitSet      = setOf(digits)
	lowerHexSet   = setOf(lowerHex)
	lowerSet      = setOf(lower)
	upperSet      = setOf(upper)
	letterSet     = setOf(upper + lower)
	upperDigitSet = setOf(upperDigit)
	wordSet       = setOf(alnum + "_")
	base64Set     = setOf(base64Std)
	base64URLSet  = setOf(base64URL)

	blanks     = setOf(" \t")
	space      = setOf(" ")
	spaces     = setOf(" \t\r\n")
	colons     = setOf(":")
	dashes     = setOf("-")
	underscore = setOf("_")
	quotes     = setOf("\"'`")
)

// count is how many bytes of s are of a set.
func count(s string, set *charset) int {
	n := 0
	for i := range len(s) {
		if set[s[i]] {
			n++
		}
	}
	return n
}

// skip steps over at most most bytes of a set.
func skip(text []byte, i int, set *charset, most int) int {
	for end := min(len(text), i+most); i < end && set[text[i]]; i++ {
	}
	return i
}

// graphic reports whether v is of ASCII's visible characters alone.
func graphic(v []byte) bool {
	for _, c := range v {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

func isWord(c byte) bool { return c == '_' || isDigit(c) || isLetter(c) }

func isHex(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isUpper(c byte) bool  { return c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
