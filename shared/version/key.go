package version

import "strings"

// Bytes of keys, in their order.
const (
	keyEnd     = 0x00 // of a list
	keyNumber  = 0x01
	keyWord    = 0x02
	keyRelease = 0xFF // instead of a prerelease
)

// appendNumber appends a decimal number so that the bytes order as numbers:
// how many digits it has without leading zeros, then those. Max keeps the
// count within two bytes.
func appendNumber(dst []byte, number string) []byte {
	number = strings.TrimLeft(number, "0")
	if n := len(number); n < 0x80 {
		dst = append(dst, byte(n))
	} else {
		dst = append(dst, 0x80|byte(n>>8), byte(n))
	}
	return append(dst, number...)
}

// appendWord ends a word so that it is less than any longer one; a NUL in it
// becomes two bytes that are still less than any other.
func appendWord(dst []byte, word string) []byte {
	for i := range len(word) {
		if dst = append(dst, word[i]); word[i] == 0 {
			dst = append(dst, 0xFF)
		}
	}
	return append(dst, 0, 0)
}

// appendRelease appends numbers of which zeros at the end do not count, and
// returns what follows them.
func appendRelease(dst []byte, v string) ([]byte, string) {
	zeros := 0 // that count only if another number follows
	for more := true; more; {
		var number string
		number, v, more = nextNumber(v, more)
		if strings.TrimLeft(number, "0") == "" {
			zeros++
			continue
		}
		for ; zeros > 0; zeros-- {
			dst = append(dst, keyNumber, 0)
		}
		dst = appendNumber(append(dst, keyNumber), number)
	}
	return append(dst, keyEnd), v
}

// keySemver: the numbers, then the prerelease.
func keySemver(dst []byte, v string) ([]byte, bool) {
	dst, v = appendRelease(dst, withoutBuild(trimV(v)))
	v = strings.TrimPrefix(v, "-")
	if v == "" {
		return append(dst, keyRelease), true
	}
	for identifier := range strings.SplitSeq(v, ".") {
		if isNumber(identifier) {
			dst = appendNumber(append(dst, keyNumber), identifier)
		} else {
			dst = appendWord(append(dst, keyWord), identifier)
		}
	}
	return append(dst, keyEnd), true
}

func keyBitnami(dst []byte, v string) ([]byte, bool) { return keySemver(dst, withoutRevision(v)) }

func keyNuGet(dst []byte, v string) ([]byte, bool) {
	if hasUpper(v) {
		v = strings.ToLower(v)
	}
	return keySemver(dst, v)
}

func keyNumbers(dst []byte, v string) ([]byte, bool) {
	for v != "" {
		var number string
		number, v = digits(v)
		dst = appendNumber(append(dst, keyNumber), number)
		v = afterSeparator(v)
	}
	return append(dst, keyEnd), true
}

// keyPyPI has none for what is not of PEP 440.
func keyPyPI(dst []byte, v string) ([]byte, bool) {
	if hasUpper(v) {
		v = strings.ToLower(v)
	}
	p, ok := parsePEP440(v)
	if !ok {
		return dst, false
	}
	dst, _ = appendRelease(appendNumber(dst, p.epoch), p.release)
	dst = appendNumber(append(dst, byte(p.preRank())), p.preN)
	dst = appendNumber(append(dst, byte(boolRank(p.post))), p.postN)
	dst = appendNumber(append(dst, byte(1-boolRank(p.dev))), p.devN)
	for p.local != "" {
		var part string
		if part, p.local = localPart(p.local); isNumber(part) {
			dst = appendNumber(append(dst, keyWord), part) // here numbers are newer than words
		} else {
			dst = appendWord(append(dst, keyNumber), part)
		}
	}
	return append(dst, keyEnd), true
}

// keyGem has none for zeros between words, which count as much as nothing.
func keyGem(dst []byte, v string) ([]byte, bool) {
	const word, end, number = 1, 2, 3 // the end is a row of zeros
	var room [16]string
	segments := gemSegments(room[:0], v)
	words, zero := false, false
	for _, s := range segments {
		if !isDigit(s[0]) {
			if words && zero {
				return dst, false
			}
			words = true
			dst = appendWord(append(dst, word), s)
			continue
		}
		zero = strings.Trim(s, "0") == ""
		dst = appendNumber(append(dst, number), s)
	}
	return append(dst, end), true
}

func keyDebian(dst []byte, v string) ([]byte, bool) {
	epoch, v := debianEpoch(v)
	return keyOpam(appendNumber(dst, epoch), v)
}

func keyOpam(dst []byte, v string) ([]byte, bool) {
	upstream, revision := cutLast(v, '-')
	return appendDebian(appendDebian(dst, upstream), revision), true
}

// appendDebian: text and numbers in turn, each text ended by what an end
// weighs; a number that is missing is 0.
func appendDebian(dst []byte, s string) []byte {
	const tilde, end, other = 1, 2, 0xFE
	for {
		for ; s != "" && !isDigit(s[0]); s = s[1:] {
			switch c := s[0]; {
			case c == '~':
				dst = append(dst, tilde)
			case isLetter(c):
				dst = append(dst, c)
			default:
				dst = append(dst, other, c)
			}
		}
		var number string
		number, s = digits(s)
		if dst = appendNumber(append(dst, end), number); s == "" {
			return append(dst, end)
		}
	}
}

func keyRPM(dst []byte, v string) ([]byte, bool) {
	epoch, version, release := splitRPM(v)
	dst = appendRPM(appendNumber(dst, epoch), version)
	return appendRPM(dst, release), true
}

func appendRPM(dst []byte, s string) []byte {
	const nothing, tilde, end, caret, word, number = 0, 1, 2, 3, 4, 5
	if s == "" {
		return append(dst, nothing)
	}
	for {
		s = fromSegment(s)
		var part string
		switch {
		case s == "":
			return append(dst, end)
		case s[0] == '~':
			dst, s = append(dst, tilde), s[1:]
		case s[0] == '^':
			dst, s = append(dst, caret), s[1:]
		case isDigit(s[0]):
			part, s = digits(s)
			dst = appendNumber(append(dst, number), part)
		default:
			part, s = run(s, isLetter)
			dst = appendWord(append(dst, word), part)
		}
	}
}

// keyAPK has none for numbers with leading zeros, which are compared as text
// with some and as numbers with others.
func keyAPK(dst []byte, v string) ([]byte, bool) {
	x := apkVersion{v}
	zeros := 0
	for i := 0; ; i++ {
		number, ok := x.number(i)
		if !ok {
			break
		}
		if i > 0 && len(number) > 1 && number[0] == '0' {
			return dst, false
		}
		if strings.TrimLeft(number, "0") == "" {
			zeros++
			continue
		}
		for ; zeros > 0; zeros-- {
			dst = append(dst, keyNumber, 0)
		}
		dst = appendNumber(append(dst, keyNumber), number)
	}
	dst = append(append(append(dst, keyEnd), x.letter()...), keyEnd)
	const none = 16 // the weight of no suffix
	for {
		weight, number, ok := x.suffix()
		if !ok {
			break
		}
		dst = appendNumber(append(dst, byte(none+weight)), number)
	}
	x.hash()
	return appendNumber(append(dst, none), x.release()), true
}
