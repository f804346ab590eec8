package secrets

import (
	"strings"

	"assize.dev/shared/event"
)

// generics are credentials known only by the name they are given to.
var generics = []*rule{
	{id: "generic_secret", title: "secret", severity: event.Medium, confidence: byGeneric, rank: byKeyword, fold: true, behind: setOf(mayFollow + "_vVsS" + digits),
		anchors: []string{"key", "token", "secret"}, verify: namedValue},
	{id: "generic_password", title: "password", severity: event.Medium, confidence: byGeneric, rank: byPassword, fold: true, behind: mayFollowName,
		anchors: []string{"password", "passwd", "pwd", "passphrase", "pass", "passwort"}, verify: genericPassword},
}

var (
	apiKeyRule     = &rule{id: "generic_api_key", title: "API key", severity: event.Medium, confidence: byGeneric, rank: byKeyword}
	awsSecretRule  = &rule{id: "aws_secret_key", title: "AWS secret access key", severity: event.Critical, confidence: byEntropy, rank: byName}
	awsSessionRule = &rule{id: "aws_session_token", title: "AWS session token", severity: event.High, confidence: byStructure, rank: byName}
)

// minNamed is the length of the shortest credential that a provider's name
// tells.
const minNamed = 14

// namedValue is a value given to a name with "key", "token" or "secret" at
// its end. The rest of the name says of what kind it is.
func namedValue(text []byte, at, end int) (finding, bool) {
	a, ok := assignedUpTo(text, nameEnd(text, end), 4096)
	if !ok || a.end-a.start < minNamed || !graphic(text[a.start:a.end]) {
		return finding{}, false
	}
	v := string(text[a.start:a.end])
	f := finding{start: a.start, end: a.end}
	if f.rule, ok = named(identifier(text, end), v, a.quoted); !ok || owned(v) || placeholderToken([]byte(v)) || entropy([]byte(v)) < 2.5 {
		return finding{}, false
	}
	return f, true
}

// named reports whether a value is secret if it has such a name, and by which
// rule if it is a special one.
func named(name, v string, quoted bool) (*rule, bool) {
	switch {
	case strings.Contains(name, "secret") && (strings.Contains(name, "access") || strings.Contains(name, "aws")) && isAWSSecret([]byte(v)):
		return awsSecretRule, true
	case (strings.Contains(name, "session") || strings.Contains(name, "security")) && strings.HasSuffix(name, "token") && isAWSSession([]byte(v)):
		return awsSessionRule, true
	case len(v) > maxValue:
		return nil, false
	}
	if r := byProvider(name, v); r != nil {
		return r, !isDerived(name)
	}
	if len(v) < 16 {
		return nil, false
	}
	for _, n := range apiKeyNames {
		if strings.HasSuffix(name, n) {
			return apiKeyRule, len(v) >= 20 && keyLike(v) && !placeholderValue(v)
		}
	}
	return nil, isSecretName(name) && genericSecret(v, quoted) && !placeholderValue(v)
}

var apiKeyNames = []string{"api_key", "apikey", "api-key", "api.key"}

// isSecretName leaves out the many keys and tokens that are none.
func isSecretName(name string) bool {
	if isDerived(name) {
		return false
	}
	if !strings.HasSuffix(name, "key") {
		return true
	}
	stem := strings.TrimRight(strings.TrimSuffix(name, "key"), "_-. ")
	for _, w := range []string{"access", "auth", "app", "application", "secret", "encryption", "signing", "master", "private", "account", "service", "subscription", "storage", "license", "client", "deploy", "shared", "session", "hmac", "admin", "root", "crypto"} {
		if strings.HasSuffix(stem, w) {
			return true
		}
	}
	return false
}

// keyLike tells what a machine made: of the alphabets of keys, with digits
// and letters, and without the order of words.
func keyLike(v string) bool {
	v = strings.TrimRight(v, "=")
	if strings.Trim(v, alnum+"_-+/.") != "" || entropy([]byte(v)) < 3 || strings.Count(v, ".") > 2 {
		return false
	}
	digit, letter := count(v, digitSet), count(v, letterSet)
	if letter < 2 || digit == 0 && (len(v) < 24 || count(v, upperSet) < 3 || count(v, lowerSet) < 3) {
		return false // an identifier, or a number
	}
	return drawn(v)
}

// derived are words in names of what is made from secrets, or tells where
// they are, but is none.
var derived = strings.Fields(`hash digest regex pattern label placeholder salt sha1 sha256 md5 checksum public csrf xsrf commit cursor
	pagetoken page_token nextpage next_page continuation etag nonce bcrypt scrypt encrypted`)

func isDerived(name string) bool {
	for _, d := range derived {
		if strings.Contains(name, d) {
			return true
		}
	}
	return false
}

// genericSecret tells 16 or more characters that look made by a machine.
func genericSecret(v string, quoted bool) bool {
	if isUUID(v) || !quoted && looksLikeCode(v) {
		return false
	}
	return keyLike(v) || quoted && len(v) >= 20 && looksChosen(v) && entropy([]byte(v)) >= 3.5 && drawn(v)
}

// nameEndings are what a name may have behind "key", the longest first.
var nameEndings = []string{"_key_base", "_value", "_string", "string", "s", "value"}

// nameEnd steps over one of those endings and a number.
func nameEnd(text []byte, end int) int {
	if end == len(text) || !isWord(text[end]) {
		return end
	}
	for _, e := range nameEndings {
		if n := end + len(e); n <= len(text) && lowered(text[end]) == e[0] && strings.EqualFold(string(text[end:n]), e) {
			end = n
			break
		}
	}
	number := skip(text, end, underscore, 1)
	if stop := skip(text, number, digitSet, 4); stop > number {
		return stop
	}
	return end
}

// genericPassword is 8 or more characters given to a name like "password"
// that look chosen to be hard to guess: what does not is more often a label,
// a variable, or a field's name.
func genericPassword(text []byte, at, end int) (finding, bool) {
	if short := end-at <= len("pass"); short && at > 0 && isWord(text[at-1]) && text[at-1] != '_' && (text[at] != 'P' || text[at-1] < 'a') {
		return finding{}, false // inside another word
	}
	a, ok := assigned(text, end)
	if !ok || a.end-a.start < 8 || a.end-a.start > 128 {
		return finding{}, false
	}
	v := string(text[a.start:a.end])
	if !looksChosen(v) || !a.quoted && looksLikeCode(v) || owned(v) || isDerived(identifier(text, at)) || placeholderValue(v) {
		return finding{}, false
	}
	return finding{start: a.start, end: a.end}, true
}

// harmless are the symbols that words are joined with.
var harmless = setOf("_-.:/[]")

// looksChosen wants two kinds of characters, one of them digits or symbols,
// or letters no word has, and refuses hashes, addresses and anything not
// plain ASCII.
func looksChosen(v string) bool {
	if isUUID(v) || strings.Contains(v, "://") || strings.HasPrefix(v, "/") || strings.HasPrefix(v, "./") || strings.HasPrefix(v, "~/") {
		return false
	}
	if !graphic([]byte(v)) {
		return false
	}
	hashLength := len(v) == 32 || len(v) == 40 || len(v) == 56 || len(v) == 64 || len(v) == 96 || len(v) == 128
	if hashLength && strings.Trim(strings.ToLower(v), lowerHex) == "" {
		return false
	}
	if strings.ContainsAny(v, "()") && strings.HasSuffix(strings.TrimRight(v, ";,"), ")") {
		return false // a call
	}
	digit, letter := count(v, digitSet), count(v, letterSet)
	symbol := len(v) - digit - letter - count(v, harmless)
	if digit == 0 && symbol == 0 {
		return letter == len(v) && letter >= 10 && drawn(v) && (count(v, upperSet) >= 2 && count(v, lowerSet) >= 2 || letter >= 14)
	}
	if letter == 0 && symbol == 0 {
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
	return strings.Trim(strings.TrimRight(v, digits+"?!:"), upper+lower+"_") == "" && count(v, digitSet) <= 1 && !drawn(v)
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

// ownedPrefixes start values that belong to a rule of their own: where that
// rule did not confirm them, by a failed checksum say, no generic rule may.
var ownedPrefixes = []string{
	"AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "-----BEGIN", "sk_live_", "rk_live_",
	"sk_test_", "rk_test_", "pk_live_", "pk_test_", "xoxb-", "xoxa-", "xoxp-", "xoxr-", "xoxs-", "https://hooks.slack.com/", "AIza", "npm_",
	"pypi-", "SG.", "dckr_pat_", "dop_v1_", "doo_v1_", "dor_v1_", "eyJ", "$2a$", "$2b$", "$2y$", "$argon2", "sha1-", "sha256-", "sha384-", "sha512-", "sha256:", "h1:",
}
