package secrets

import (
	"bytes"
	"strings"
)

// placeholderToken tells a made-up value of a kind whose real ones are
// random: what documentation prints in its place. It looks at the value
// alone, never at the line around it.
func placeholderToken(value []byte) bool {
	return bytes.HasSuffix(value, []byte("EXAMPLE")) || bytes.HasSuffix(value, []byte("EXAMPLEKEY")) ||
		longestRun(value, 0) >= 6 || longestRun(value, 1) >= 9 || longestRun(value, -1) >= 9
}

// longestRun is the length of the longest run in which each byte is its
// predecessor plus step: 0 finds "xxxxxx", 1 "abcdef", -1 "987654".
func longestRun(b []byte, step int) int {
	longest, run := 0, 0
	for i, c := range b {
		if i > 0 && int(c) == int(b[i-1])+step {
			run++
		} else {
			run = 1
		}
		longest = max(longest, run)
	}
	return longest
}

// placeholderValue tells a value, given to a name like "password", that is
// not meant to be one: a word for "put yours here", a reference to a
// variable, or a template's field.
func placeholderValue(v string) bool {
	if placeholderToken([]byte(v)) || distinct(v) < 4 {
		return true
	}
	if strings.ContainsAny(v, "<>") || strings.HasPrefix(v, "$") || strings.HasPrefix(v, "ENC[") || strings.HasPrefix(v, "!vault") {
		return true
	}
	for _, mark := range []string{"${", "{{", "}}", "$(", "#{", "%(", "<%", "%s", "%v", "%d", "%@", "{0}", "...", "***", "•"} {
		if strings.Contains(v, mark) {
			return true
		}
	}
	for _, edge := range []string{"%", "@", "__", "{", "["} { // %NAME%, @name@, __NAME__, {name}, [name]
		if strings.HasPrefix(v, edge) && strings.HasSuffix(v, closing(edge)) && len(v) > 2*len(edge) {
			return true
		}
	}
	if longestRun([]byte(strings.ToLower(v)), 0) >= 5 && strings.ContainsAny(v, "xX*.0") {
		return true
	}
	l := strings.ToLower(v)
	if placeholderWords[strings.Trim(l, "_-.!123456789")] || placeholderWords[l] {
		return true
	}
	for word := range strings.FieldsFuncSeq(l, func(r rune) bool { return strings.ContainsRune("_- .:/", r) }) {
		if placeholderParts[word] {
			return true
		}
	}
	return false
}

func closing(edge string) string {
	switch edge {
	case "{":
		return "}"
	case "[":
		return "]"
	}
	return edge
}

// placeholderWords are whole values.
var placeholderWords = set(`password passwd pwd pass secret token apikey api_key api-key key none null nil true false undefined
	unknown empty required optional string text hidden default admin root user username test testing tester
	changeme change_me change-me changeit todo fixme tbd xxx value foobar foobarbaz qwerty letmein
	hunter mypassword my_password my-password mysecret yourpassword yoursecret newpassword oldpassword new_password old_password
	confirm_password confirmpassword password_confirmation current_password currentpassword testpassword test_password passphrase
	supersecret super_secret secretpassword s3cr3t p@ssw0rd p@ssword passw0rd`)

// placeholderParts are words that give a value away wherever they stand in
// it between separators.
var placeholderParts = set(`example examples placeholder your yours dummy fake sample redacted changeme insert replace replaceme here`)

func set(words string) map[string]bool {
	m := make(map[string]bool)
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}

func distinct(s string) int {
	var seen [256]bool
	n := 0
	for _, c := range []byte(s) {
		if !seen[c] {
			seen[c] = true
			n++
		}
	}
	return n
}
