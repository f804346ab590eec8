package secrets

import (
	"bytes"
	"strings"

	"assize.dev/shared/event"
)

// databases are the schemes of addresses that say how to log in to one.
var databases = set("postgres postgresql mysql mysql2 mariadb mongodb mongodb+srv redis rediss amqp amqps mssql sqlserver cassandra couchbase clickhouse cockroachdb jdbc oracle db2 neo4j bolt elasticsearch ldap ldaps kafka nats")

var databaseRule = &rule{id: "database_credentials", title: "password of a database", severity: event.High, confidence: byStructure, rank: byName}

// inAuthority are the bytes that an address's authority may have.
var inAuthority = func() (t charset) {
	for c := byte('!'); c <= '~'; c++ {
		t[c] = strings.IndexByte("\"'`<>\\|^/?#", c) < 0
	}
	return t
}()

const maxAuthority = 300 // bytes of an address's authority

// urlPassword is the password in the authority of an address (RFC 3986, section
// 3.2.1): scheme://user:password@host.
func urlPassword(text []byte, at, end int) (finding, bool) {
	if bytes.IndexByte(text[end:min(len(text), end+maxAuthority)], '@') < 0 {
		return finding{}, false
	}
	start := at
	for start > 0 && at-start < 24 && (isWord(text[start-1]) || strings.IndexByte("+-.", text[start-1]) >= 0) {
		start--
	}
	colon, stop := -1, -1
	for i := end; i < len(text) && i-end < maxAuthority; i++ {
		c := text[i]
		if c == '@' {
			stop = i // the last one counts
		} else if c == ':' && colon < 0 {
			colon = i
		} else if !inAuthority[c] && ((c != '/' && c != '?' && c != '#') || colon < 0 || stop >= 0) {
			break // a password may have these three, unescaped
		}
	}
	if start == at || colon < 0 || stop < colon || stop+1 >= len(text) || !isWord(text[stop+1]) && text[stop+1] != '[' {
		return finding{}, false
	}
	user, password := string(text[end:colon]), string(text[colon+1:stop])
	if len(password) < 6 || len(password) > 200 || strings.EqualFold(user, password) || strings.Contains(password, "//") {
		return finding{}, false
	}
	f := finding{start: colon + 1, end: stop}
	if databases[strings.ToLower(string(text[start:at]))] {
		f.rule = databaseRule
	}
	return f, strongPassword(password)
}

// strongPassword tells a password that is meant to be one from what examples
// and development set-ups have.
func strongPassword(v string) bool {
	digit, letter := count(v, digitSet), count(v, letterSet)
	symbol := len(v) - digit - letter
	kinds := 0
	for _, n := range []int{digit, count(v, upperSet), count(v, lowerSet), symbol} {
		if n > 0 {
			kinds++
		}
	}
	return len(v) >= 8 && kinds >= 2 && letter > 0 && (digit > 0 || drawn(v)) && entropy([]byte(v)) >= 2.5 && !owned(v) && !placeholderValue(v)
}

// httpCredentials is a header's user and password, or bearer token (RFC 7617,
// RFC 6750).
func httpCredentials(text []byte, at, end int) (finding, bool) {
	if at > 0 && isWord(text[at-1]) {
		return finding{}, false
	}
	stop := end
	for stop < len(text) && stop-end <= 1000 && (base64Set[text[stop]] || strings.IndexByte("_-.~", text[stop]) >= 0) {
		stop++
	}
	value := text[end:stop]
	if len(value) < 12 {
		return finding{}, false
	}
	if text[at]|0x20 == 'b' && text[at+1]|0x20 == 'a' && (encodedLogin(value)) {
		return finding{start: end, end: stop}, true
	}
	before := bytes.ToLower(text[max(0, at-40):at])
	v := string(value)
	if len(v) < 20 || !bytes.Contains(before, []byte("auth")) || owned(v) || placeholderValue(v) || count(v, digitSet) < 2 || !keyLike(v) {
		return finding{}, false
	}
	return finding{start: end, end: stop, confidence: byEntropy}, true
}

// curlLogin is the password in "curl -u user:password", in the command's line
// or the lines it goes on in.
func curlLogin(text []byte, at, end int) (finding, bool) {
	const most = 600 // bytes of the command
	if at > 0 && isWord(text[at-1]) {
		return finding{}, false
	}
	command := text[end:min(len(text), end+most)]
	for i, c := range command {
		if c == '\n' && (i == 0 || command[i-1] != '\\') || c == '|' || c == ';' || c == 0 {
			command = command[:i]
			break
		}
	}
	start := -1
	for _, option := range []string{"-u ", "--user ", "--user="} {
		if i := bytes.Index(command, []byte(option)); i >= 0 && (i == 0 || command[i-1] == ' ' || command[i-1] == '\n') {
			start = skip(text, end+i+len(option), space, 8)
			break
		}
	}
	if start < 0 {
		return finding{}, false
	}
	stop := end + len(command)
	if start > stop {
		return finding{}, false
	}
	if quote := text[start:stop]; len(quote) > 0 && (quote[0] == '"' || quote[0] == '\'') {
		start++
		n := bytes.IndexByte(text[start:stop], quote[0])
		if n < 0 {
			return finding{}, false
		}
		stop = start + n
	} else if n := bytes.IndexAny(quote, " \t\r\n\"'`)\\"); n >= 0 {
		stop = start + n
	}
	user, password, ok := strings.Cut(string(text[start:stop]), ":")
	if !ok || strings.EqualFold(user, password) || !strongPassword(password) {
		return finding{}, false
	}
	return finding{start: stop - len(password), end: stop}, true
}

// encodedLogin reports whether value is base64 of user and password.
func encodedLogin(value []byte) bool {
	value = bytes.TrimRight(value, "=")
	if len(value) > 400 {
		return false
	}
	var plain [301]byte
	for _, c := range value {
		if sextet[c] < 0 {
			return false
		}
	}
	login := plain[:decodeBase64(plain[:], value)]
	user, password, ok := strings.Cut(string(login), ":")
	if !ok || strings.EqualFold(user, password) {
		return false
	}
	for _, c := range login {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return strongPassword(password) || strings.HasPrefix(password, "npm_") || strings.HasPrefix(password, "gh")
}

// dockerAuth is a registry's login as Docker keeps it in config.json.
func dockerAuth(text []byte, _, end int) (finding, bool) {
	a, ok := assignedUpTo(text, end, 400)
	if !ok || a.end-a.start < 16 || !encodedLogin(text[a.start:a.end]) {
		return finding{}, false
	}
	return finding{start: a.start, end: a.end}, true
}

var cryptSet = setOf(alnum + "./$=,+_-")

// passwordHash is a password in the modular crypt format, as /etc/shadow and
// its likes have it, or in Django's or LDAP's: one that can be tried out.
func passwordHash(text []byte, at, end int) (finding, bool) {
	if at > 0 && (isWord(text[at-1]) || text[at-1] == '$') {
		return finding{}, false
	}
	start := end
	if text[end-1] != '}' { // LDAP's scheme may have more letters
		for start < len(text) && start-end < 8 && text[at] == '{' && text[start] != '}' {
			start++
		}
		if text[at] == '{' {
			start++
		}
	}
	stop := start
	for stop < len(text) && stop-start <= 300 && cryptSet[text[stop]] {
		stop++
	}
	for stop > start && strings.IndexByte(".,-_", text[stop-1]) >= 0 && text[at] != '$' {
		stop--
	}
	value := text[at:stop]
	last := value[bytes.LastIndexByte(value, '$')+1:]
	if text[at] == '{' {
		last = text[min(start, stop):stop]
		return finding{start: at, end: stop}, len(last) >= 28 && len(last) <= 120 && entropy(last) >= 3.5
	}
	need, parts := 22, bytes.Count(value, []byte("$"))
	switch text[at+1] {
	case '2':
		need = 53
	case '6':
		need = 86
	case '5', 'y':
		need = 43
	case 'P':
		return finding{start: at, end: at + 34}, len(value) >= 34 && entropy(value) >= 3.5
	}
	if len(last) < need || len(last) > 130 || parts < 3 || placeholderToken(last) {
		return finding{}, false
	}
	return finding{start: at, end: stop}, entropy(last) >= 3.5
}
