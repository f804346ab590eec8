package event

import (
	"fmt"
	"strings"
)

// Token encodes any string as one token of a NATS subject, reversibly:
// letters, digits, "_" and "-" stand for themselves, every other byte
// becomes "%" and two upper-case hexadecimal digits, and the empty string
// becomes "%". So "registry.example" is "registry%2Eexample".
func Token(s string) string {
	if s == "" {
		return "%"
	}
	plain := 0
	for plain < len(s) && isPlain(s[plain]) {
		plain++
	}
	if plain == len(s) {
		return s
	}
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	b.WriteString(s[:plain])
	for _, c := range []byte(s[plain:]) {
		if isPlain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	return b.String()
}

// FromToken undoes Token. It refuses every spelling Token would not have
// produced, so that two different tokens never mean the same string.
func FromToken(token string) (string, error) {
	if token == "%" {
		return "", nil
	}
	var b strings.Builder
	for i := 0; i < len(token); i++ {
		c := token[i]
		if c != '%' {
			b.WriteByte(c)
			continue
		}
		if i+2 >= len(token) {
			return "", fmt.Errorf("%w: subject token %q ends inside an escape", ErrInvalid, token)
		}
		hi, ok1 := unhex(token[i+1])
		lo, ok2 := unhex(token[i+2])
		if !ok1 || !ok2 {
			return "", fmt.Errorf("%w: subject token %q: bad escape at byte %d", ErrInvalid, token, i)
		}
		b.WriteByte(hi<<4 | lo)
		i += 2
	}
	s := b.String()
	if Token(s) != token {
		return "", fmt.Errorf("%w: subject token %q is not the spelling of %q", ErrInvalid, token, s)
	}
	return s, nil
}

func isPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
