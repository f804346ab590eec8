package secrets

import (
	"strings"
)

// awsSecret is 40 characters of base64 given to a name that says what it is.
func awsSecret(text []byte, _, end int) (finding, bool) {
	a, ok := assigned(text, end)
	if !ok || a.end-a.start != 40 {
		return finding{}, false
	}
	v := text[a.start:a.end]
	s := string(v)
	if strings.Trim(s, alnum+"/+=") != "" || placeholderToken(v) || entropy(v) < 3.5 ||
		!strings.ContainsAny(s, upper) || !strings.ContainsAny(s, lower) || !strings.ContainsAny(s, digits) {
		return finding{}, false
	}
	return finding{start: a.start, end: a.end}, true
}

// herokuKey is a UUID given to a name with "heroku" and "key" or "token".
func herokuKey(text []byte, _, end int) (finding, bool) {
	stop := skip(text, end, alnum+"_-.", 32)
	name := strings.ToLower(string(text[end:stop]))
	if !strings.HasSuffix(name, "key") && !strings.HasSuffix(name, "token") {
		return finding{}, false
	}
	a, ok := assigned(text, stop)
	if !ok || !isUUID(string(text[a.start:a.end])) || placeholderToken(text[a.start:a.end]) {
		return finding{}, false
	}
	return finding{start: a.start, end: a.end}, true
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (s[i] == '-') || !dash && !isHex(s[i]) {
			return false
		}
	}
	return true
}

// genericKey is 20 or more letters, digits, "_" and "-" given to a name like
// "api_key".
func genericKey(text []byte, _, end int) (finding, bool) {
	a, ok := assigned(text, end)
	if !ok || a.end-a.start < 20 {
		return finding{}, false
	}
	v := string(text[a.start:a.end])
	if strings.Trim(v, alnum+"_-") != "" || owned(v) || placeholderValue(v) || entropy([]byte(v)) < 3 {
		return finding{}, false
	}
	if count(v, digits) < 2 || count(v, upper+lower) < 2 {
		return finding{}, false // an identifier, or a number
	}
	return finding{start: a.start, end: a.end}, true
}

// genericPassword is 8 or more characters given to a name like "password"
// that look chosen to be hard to guess: what does not is more often a label,
// a variable, or a field's name.
func genericPassword(text []byte, at, end int) (finding, bool) {
	if end-at == len("pwd") && at > 0 && isWord(text[at-1]) && text[at-1] != '_' && (text[at] != 'P' || text[at-1] < 'a') {
		return finding{}, false // "pwd" inside another word
	}
	a, ok := assigned(text, end)
	if !ok || a.end-a.start < 8 || a.end-a.start > 128 {
		return finding{}, false
	}
	v := string(text[a.start:a.end])
	if owned(v) || placeholderValue(v) || !looksChosen(v) || !a.quoted && looksLikeCode(v) {
		return finding{}, false
	}
	name := identifier(text, at)
	for _, derived := range []string{"hash", "crypt", "digest", "regex", "pattern", "label", "placeholder", "salt"} {
		if strings.Contains(name, derived) {
			return finding{}, false
		}
	}
	return finding{start: a.start, end: a.end}, true
}

// looksChosen wants two kinds of characters, one of them digits or symbols,
// and refuses hashes, addresses and anything not plain ASCII.
func looksChosen(v string) bool {
	if isUUID(v) || strings.Contains(v, "://") || strings.HasPrefix(v, "/") || strings.HasPrefix(v, "./") || strings.HasPrefix(v, "~/") {
		return false
	}
	for _, c := range []byte(v) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	hashLength := len(v) == 32 || len(v) == 40 || len(v) == 56 || len(v) == 64 || len(v) == 96 || len(v) == 128
	if hashLength && strings.Trim(strings.ToLower(v), lowerHex) == "" {
		return false
	}
	if strings.ContainsAny(v, "()") && strings.HasSuffix(strings.TrimRight(v, ";,"), ")") {
		return false // a call
	}
	digit, letter := count(v, digits), count(v, upper+lower)
	symbol := len(v) - digit - letter - count(v, "_-.:/[]")
	if digit == 0 && symbol == 0 || letter == 0 && symbol == 0 {
		return false
	}
	return letter > 0 && entropy([]byte(v)) >= 2.5
}

// looksLikeCode tells an unquoted value that is an expression: a member of
// something, an index, a call cut short.
func looksLikeCode(v string) bool {
	if strings.ContainsAny(v, "()[]{}|*") || strings.Contains(v, "->") || strings.Contains(v, "::") || strings.Contains(v, "&&") {
		return true
	}
	if head, _, ok := strings.Cut(v, "."); ok && head != "" && strings.Trim(head, upper+lower+"_") == "" {
		return true // config.password1, os.environ
	}
	// Digits at the end only, or letters and a final punctuation, is how
	// names of variables look.
	return strings.Trim(strings.TrimRight(v, digits+"?!:"), upper+lower+"_") == "" && count(v, digits) <= 1
}

// owned reports whether a value is of a kind with a rule of its own. Where
// that rule did not take it, its check failed, and it is no secret.
func owned(v string) bool {
	for _, p := range ownedPrefixes {
		if strings.HasPrefix(v, p) {
			return true
		}
	}
	return false
}

func count(s, set string) int {
	n := 0
	for _, c := range []byte(s) {
		if strings.IndexByte(set, c) >= 0 {
			n++
		}
	}
	return n
}
