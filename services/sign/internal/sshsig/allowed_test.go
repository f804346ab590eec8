package sshsig

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"assize.dev/services/sign/internal/keys"
)

func keyLine(s ssh.Signer) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.PublicKey())))
}

func TestParseAllowedSigners(t *testing.T) {
	key := keyLine(ed25519Signer("a"))
	for name, text := range map[string]string{
		"empty": "", "comments": "# one\n\n  \t# two\n", "plain": "me " + key, "tabs": "\t me\t" + strings.ReplaceAll(key, " ", "\t "),
		"comment": "me " + key + " my own key, from \"home\"", "CRLF": "# x\r\nme " + key + "\r\n",
		"several": "me,*@x,!you@x " + key, "quoted": `"me,my friend" ` + key, "authority": "* cert-authority " + key,
		"capitals": `* CERT-Authority,NameSpaces="a" ` + key, "all options": `* namespaces="a,b*",cert-authority,valid-after="20260101",valid-before="20270101Z" ` + key,
		"same day": `* valid-after="20260101",valid-before="20260101" ` + key, "space in namespace": `* namespaces="a b" ` + key,
		"quote in namespace": `* namespaces="a\"b,c" ` + key,
	} {
		l, err := ParseAllowedSigners([]byte(text))
		if want := strings.Contains(text, "ssh-"); err != nil || (len(l.lines) == 1) != want {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
	}

	data := strings.Fields(key)[1]
	for name, c := range map[string]struct{ text, reason string }{
		"no key":                  {"me", "too short"},
		"no principals":           {key, "too short"},
		"options only":            {"me cert-authority ", "too short"},
		"type only":               {"me ssh-ed25519 ", "too short"},
		"options and type":        {"me cert-authority ssh-ed25519", "too short"},
		"key cut":                 {"me " + key[:40], "key:"},
		"key of nothing":          {"me ssh-ed25519 AAAA", "key:"},
		"not base64":              {"me ssh-ed25519 %%%%", "base64"},
		"base64, not canonical":   {"me ssh-ed25519 " + base64.StdEncoding.EncodeToString([]byte("x"))[:1] + "B==", "base64"},
		"wrong type":              {"me ssh-rsa " + data, "not ssh-rsa"},
		"unknown type":            {"me ssh-foo " + data, `"ssh-foo" is neither`},
		"unknown type after":      {"me cert-authority ssh-dss " + data, `"ssh-dss" is no type`},
		"weak key":                {"me " + keyLine(weakSigner{}), "weak"},
		"certificate":             {"me " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(certify(ed25519Signer("a").PublicKey(), ed25519Signer("b"), nil)))), "neither an option"},
		"unknown option":          {"me no-pty " + key, `"no-pty" is neither`},
		"option without value":    {"me namespaces " + key, `want namespaces="`},
		"option without quotes":   {"me namespaces=file " + key, `want namespaces="`},
		"value for a flag":        {`me cert-authority="x" ` + key, "comma"},
		"twice":                   {`me namespaces="a",namespaces="b" ` + key, "twice"},
		"no comma":                {`me namespaces="a"cert-authority ` + key, "comma"},
		"comma at the end":        {"me cert-authority, " + key, `"" is neither`},
		"two commas":              {"me cert-authority,,cert-authority " + key, `"" is neither`},
		"open quote":              {`me namespaces="a ` + key, "not closed"},
		"open quote, principals":  {`"me ` + key, "not closed"},
		"quote in the middle":     {`m"e" ` + key, "quote them all"},
		"no space after quote":    {`"me"x ` + key, "space after"},
		"empty quoted":            {`"" ` + key, "empty"},
		"empty pattern":           {"me,,you " + key, "empty"},
		"comma first":             {",me " + key, "empty"},
		"negated nothing":         {"me,! " + key, "empty"},
		"only negated":            {"!me " + key, "nothing would match"},
		"only negated namespaces": {`me namespaces="!git" ` + key, "nothing would match"},
		"time":                    {`me valid-after="2026" ` + key, "no time"},
		"time, month 13":          {`me valid-after="20261301" ` + key, "no time"},
		"time, zone":              {`me valid-after="20260101UTC" ` + key, "no time"},
		"time, sign":              {`me valid-after="+0260101" ` + key, "no time"},
		"never":                   {`me valid-after="20260102",valid-before="20260101" ` + key, "never be valid"},
	} {
		l, err := ParseAllowedSigners([]byte("# first\nfine " + key + "\n" + c.text + "\nfine " + key + "\n"))
		if err == nil || !strings.HasPrefix(err.Error(), "line 3: ") || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %+v, %v, want %q", name, l, err, c.reason)
		}
	}
	if _, err := ParseAllowedSigners(bytes.Repeat([]byte("me "+key+"\n"), maxLines+1)); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("too many lines: %v", err)
	}
	if _, err := ParseAllowedSigners(bytes.Repeat([]byte("#"), maxList+1)); err == nil {
		t.Error("a list too large is read")
	}
}

func TestKeys(t *testing.T) {
	a, b, rsa, token := ed25519Signer("a"), ed25519Signer("b"), rsaSigner(2048), ed25519Token(userPresent)
	fingerprint := func(s ssh.Signer) string {
		return keys.PublicKey{Key: s.PublicKey().(ssh.CryptoPublicKey).CryptoPublicKey()}.Fingerprint()
	}
	l, err := ParseAllowedSigners([]byte("me " + keyLine(rsa) + "\nyou cert-authority " + keyLine(b) + "\nyou " + keyLine(a) + "\nhe " + keyLine(a) + "\nhe " + keyLine(token) + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := l.Keys(), []string{fingerprint(rsa), fingerprint(a), fingerprint(token)}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := (*AllowedSigners)(nil).Keys(); got != nil {
		t.Errorf("nobody has %q", got)
	}
}

// TestAllowed has lists with % and # for two keys, and a signature by %.
func TestAllowed(t *testing.T) {
	a, b := ed25519Signer("a"), ed25519Signer("b")
	sig := making{signer: a}.armored()
	for _, c := range []struct {
		name, list, identity string
		signer               string // empty if it is not valid
		stranger             bool
		reason               string
	}{
		{"exact", "me %", "me", "me", false, ""},
		{"any", "me,you %", "", "me,you", false, ""},
		{"any, quoted", `"me and you,other" %`, "", "me and you,other", false, ""},
		{"space", `"me and you" %`, "me and you", "me and you", false, ""},
		{"star", "*@x.test %", "me@x.test", "me@x.test", false, ""},
		{"star only", "* %", "me", "me", false, ""},
		{"question mark", "m? %", "me", "me", false, ""},
		{"negated", "*,!me %", "me", "", true, `not for "me"`},
		{"negated first", "!me,* %", "me", "", true, `not for "me"`},
		{"not negated", "*,!you %", "me", "me", false, ""},
		{"case", "Me %", "me", "", true, "line 1, but not"},
		{"part", "me %", "me@x", "", true, "but not"},
		{"other key", "me #", "me", "", true, "not among"},
		{"second line", "me #\nme %", "me", "me", false, ""},
		{"second principal", "you %\nme %", "me", "me", false, ""},
		{"first of two", "you %\nme %", "", "you", false, ""},
		{"authority", "me cert-authority %", "me", "", true, "not among"},
		{"namespace", `me namespaces="file" %`, "me", "me", false, ""},
		{"namespaces", `me namespaces="git,fil*" %`, "me", "me", false, ""},
		{"namespace excluded", `me namespaces="*,!file" %`, "me", "", false, "line 1: key is allowed for namespaces"},
		{"namespace of another", `me namespaces="git" %`, "", "", false, "namespaces"},
		{"namespace, next line", "me namespaces=\"git\" %\nme %", "me", "me", false, ""},
		{"namespace, other identity", "me namespaces=\"git\" %\nyou %", "me", "", false, "namespaces"},
		{"other identity, namespace", "you %\nme namespaces=\"git\" %", "me", "", false, "line 2: key is allowed for namespaces"},
		{"from", `me valid-after="202606151200Z" %`, "me", "me", false, ""},
		{"from later", `me valid-after="20260615120001" %`, "me", "", false, "later than this"},
		{"until", `me valid-before="20260615120000Z" %`, "me", "me", false, ""},
		{"until earlier", `me valid-before="202606151159" %`, "me", "", false, "until 2026-06-15T11:59:00Z"},
		{"between", `me valid-after="20260101",valid-before="20261231" %`, "me", "me", false, ""},
		{"rotated", "me valid-before=\"20260101\" %\nme valid-after=\"20260601\" %", "me", "me", false, ""},
	} {
		text := strings.NewReplacer("%", keyLine(a), "#", keyLine(b)).Replace(c.list)
		l, err := ParseAllowedSigners([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		r := verify(t, message, sig, l, c.identity, namespace)
		want := c.signer
		if want != "" {
			want += " "
		}
		want += ssh.FingerprintSHA256(a.PublicKey())
		if r.Valid != (c.signer != "") || r.Signer != want || r.Stranger != c.stranger || !strings.Contains(r.Reason, c.reason) {
			t.Errorf("%s: %+v, want %q", c.name, r, want)
		}
	}
}

func TestParseTime(t *testing.T) {
	for text, want := range map[string]string{
		"20260102": "2026-01-02T00:00:00Z", "20260102Z": "2026-01-02T00:00:00Z", "202601020304": "2026-01-02T03:04:00Z",
		"20260102030405Z": "2026-01-02T03:04:05Z", "20240229": "2024-02-29T00:00:00Z", "19700101": "1970-01-01T00:00:00Z", "19691231235959": "", "00010101": "", "00000101": "",
		"": "", "Z": "", "20260102ZZ": "", "20230229": "", "2026010203": "", "202601022400": "", "20260102030460": "", " 2026010": "", "20260102030405.6": "",
	} {
		got, err := parseTime(text)
		if (err == nil) != (want != "") || err == nil && got.Format(time.RFC3339) != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// slowGlob is the definition of patterns.
func slowGlob(pattern, text string) bool {
	switch {
	case pattern == "":
		return text == ""
	case pattern[0] == '*':
		return slowGlob(pattern[1:], text) || text != "" && slowGlob(pattern, text[1:])
	}
	return text != "" && (pattern[0] == '?' || pattern[0] == text[0]) && slowGlob(pattern[1:], text[1:])
}

func TestGlob(t *testing.T) {
	words := []string{""} // all words of up to 4 of these letters
	for i := 0; len(words[i]) < 4; i++ {
		for _, letter := range "ab*?" {
			words = append(words, words[i]+string(letter))
		}
	}
	for _, pattern := range words {
		for _, text := range words {
			if got, want := glob(pattern, text), slowGlob(pattern, text); got != want {
				t.Fatalf("%q matches %q: %v, want %v", pattern, text, got, want)
			}
		}
	}
	if glob(strings.Repeat("*a", 200)+"b", strings.Repeat("a", 5000)) { // ends, if not exponential
		t.Error("matches without its last letter")
	}
}

func FuzzAllowedSigners(f *testing.F) {
	key := keyLine(ed25519Signer("a"))
	for _, s := range []string{"me " + key, `"a b,*" namespaces="x\"y",valid-after="20260101Z",cert-authority ` + key + " c", "# x\n\n*,!you " + keyLine(rsaSigner(2048))} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseAllowedSigners([]byte(text))
		if err != nil {
			return
		}
		for _, l := range l.lines {
			k, err := ssh.ParsePublicKey(l.key)
			if err != nil || checkKey(k) != nil && k.Type() != ssh.KeyAlgoRSA || len(l.principals.list) == 0 || !l.before.IsZero() && l.before.Before(l.after) {
				t.Errorf("%q was read as %+v", text, l)
			}
		}
	})
}

func FuzzSignature(f *testing.F) {
	authority := ed25519Signer("authority")
	l := list(f, "* cert-authority", authority.PublicKey())
	for _, s := range signers() {
		f.Add(making{signer: s}.blob())
		f.Add(making{signer: s, cert: certify(s.PublicKey(), authority, nil)}.blob())
	}
	f.Add(making{signer: ed25519Signer("a")}.armored())
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := parse(data); err != nil {
			data = armor(data)
		}
		s, err := parse(data)
		r, failed := Verify(content(message), data, l, "", namespace, now)
		if failed != nil || r.Valid == (r.Reason != "") || err != nil && (r.Valid || r.Stranger) {
			t.Errorf("%q: %+v, %v; parsing it: %v", data, r, failed, err)
		}
		if r.Valid { // nobody but the authority makes one
			if _, ok := s.key.(*ssh.Certificate); !ok {
				t.Errorf("%q: %+v", data, r)
			}
		}
	})
}

// TestSmallKeyInList: an old key in a list does not stop the others, and what
// it signs is refused.
func TestSmallKeyInList(t *testing.T) {
	allowed, err := ParseAllowedSigners([]byte("old " + keyLine(rsaSigner(1024)) + "\nnew " + keyLine(ed25519Signer("a")) + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	for signer, want := range map[ssh.Signer]bool{rsaSigner(1024): false, ed25519Signer("a"): true} {
		got, err := Verify(content(message), making{signer: signer}.armored(), allowed, "", "file", now)
		if err != nil || got.Valid != want || !want && !strings.Contains(got.Reason, "1024 bits") {
			t.Errorf("%s: %+v, %v", signer.PublicKey().Type(), got, err)
		}
	}
}
