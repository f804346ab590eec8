package secrets

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"assize.dev/services/scan/internal/testdata"
	"assize.dev/shared/event"
)

// plain is an engine without custom rules, made once.
var plain = sync.OnceValue(func() *Engine { return New([]byte("key"), nil) })

func scan(t testing.TB, text string) []Match {
	t.Helper()
	var found []Match
	if err := plain().Scan(context.Background(), "", strings.NewReader(text), func(m Match) { found = append(found, m) }); err != nil {
		t.Fatal(err)
	}
	for _, m := range found {
		checkMatch(t, text, m)
	}
	return found
}

// checkMatch verifies what a Match promises.
func checkMatch(t testing.TB, text string, m Match) {
	t.Helper()
	if m.Offset < 0 || m.Length <= 0 || m.Offset+int64(m.Length) > int64(len(text)) {
		t.Fatalf("match %+v is outside of %d bytes", m, len(text))
	}
	before, value := text[:m.Offset], text[m.Offset:m.Offset+int64(m.Length)]
	line := strings.Count(before, "\n") + 1
	column := len(before) - strings.LastIndexByte(before, '\n')
	if m.Line != line || m.Column != column {
		t.Errorf("%s at line %d column %d, want %d and %d", m.Rule, m.Line, m.Column, line, column)
	}
	if len(m.Fingerprint) != 32 || m.Severity == "" || m.Confidence == "" || m.Rule == "" {
		t.Errorf("incomplete match %+v", m)
	}
	if m.Encoding != "" {
		return
	}
	shown := strings.TrimSuffix(m.Redacted, fmt.Sprintf("… (%d characters)", m.Length))
	if !strings.HasPrefix(value, shown) || len(shown) > len(value)/2 {
		t.Errorf("%s shows %q", m.Rule, m.Redacted)
	}
	if f := m.finding("a"); strings.Contains(f.Message, value) || len(value) > 20 && strings.Contains(f.Message, value[len(value)-12:]) {
		t.Errorf("%s: the message holds the value", m.Rule)
	}
}

func rulesOf(found []Match) []string {
	var out []string
	for _, m := range found {
		out = append(out, m.Rule)
	}
	return out
}

// TestKinds plants every kind in every surrounding.
func TestKinds(t *testing.T) {
	surroundings := []string{"%s", "%s\n", "first\nsecond %s\nthird", "\x00%s\x00", "x = \"\n%s\n\""}
	seen := make(map[string]bool)
	seeds := uint64(8)
	if testdata.Race {
		seeds = 1
	}
	for seed := range seeds {
		for _, k := range newSamples(seed).all() {
			for _, around := range surroundings {
				text := fmt.Sprintf(around, k[1]+k[2])
				found := scan(t, text)
				if len(found) != 1 || found[0].Rule != k[0] {
					t.Errorf("%s in %q: %q", k[0], around, rulesOf(found))
					continue
				}
				m := found[0]
				if got := text[m.Offset : m.Offset+int64(m.Length)]; k[0] != "private_key" && !strings.HasPrefix(k[2], got) {
					t.Errorf("%s: value has %d bytes, want %d", k[0], len(got), len(k[2]))
				}
			}
			seen[k[0]] = true
		}
	}
	for _, r := range append(unanchored(), rules...) {
		if !seen[r.id] {
			t.Errorf("no sample of %s", r.id)
		}
	}
}

// TestAssignments gives a name a value the ways files do.
func TestAssignments(t *testing.T) {
	s := newSamples(3)
	p := s.password()
	for _, form := range []string{
		"password=%s", "password = %s\n", "password: %s", "PASSWORD='%s'", `"password": "%s"`, `password := "%s"`, `'password' => '%s',`,
		"export DB_PASSWD=\"%s\"", `<password>%s</password>`, `<property name="password" value="%s"/>`, `config["password"] = "%s"`,
		`{\"password\":\"%s\"}`, "password: str = \"%s\"", "let password: string = '%s';", "?user=a&password=%s&b=c", "pwd=%s;", "dbPwd = \"%s\"", "const dbPassword=`%s`",
	} {
		if found := scan(t, fmt.Sprintf(form, p)); len(found) != 1 || found[0].Rule != "generic_password" || found[0].Length != len(p) {
			t.Errorf("%s: %+v", form, found)
		}
	}
}

func TestNotSecrets(t *testing.T) {
	s := newSamples(9)
	broken := func(v string) string { // another last character
		last := byte('a')
		if v[len(v)-1] == last {
			last = 'b'
		}
		return v[:len(v)-1] + string(last)
	}
	gh, npm := broken(s.withCRC("ghp_")), broken(s.withCRC("npm_"))
	for name, text := range map[string]string{
		"the seed's placeholders": "api_key=your_api_key_here\napi_key = \"example_token_of_20_chars\"\napi_key: <API_KEY>\napi_key=${SECRET}\npassword=example_token\npassword=<API_KEY>\npassword=${SECRET}\npassword=your_api_key_here",
		"AWS documentation":       "AKIA" + "IOSFODNN7" + "EXAMPLE aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY",
		"GitHub checksum":         gh + " password=" + gh + " api_key = \"" + gh + "\"",
		"npm checksum":            npm + " password=\"" + npm + "\"",
		"GitLab checksum":         broken(s.routable()),
		"templates":               `password: {{ .Values.password1 }} api_key={{api_key_12345678901234}} password=%(password1)s password="#{ENV['X1']}" password=$PASSWORD1 password=%DB_PASSWORD1% password=@db.password1@ password="__PASSWORD1__"`,
		"repeated":                "AKIA" + strings.Repeat("X", 16) + " sk_live_" + strings.Repeat("0", 24) + " password=xxxxxxxx1! SK" + strings.Repeat("a", 32),
		"sequential":              "AKIA" + "ABCDEFGHIJKLMNOP SK0123456789abcdef0123456789abcdef password=abcdefghijk1",
		"bare header":             "-----" + "BEGIN RSA PRIVATE KEY-----\nnot a key here at all\n-----END RSA PRIVATE KEY-----",
		"short body":              "-----" + "BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----",
		"public key":              s.pem("PUBLIC KEY", "\n", s.bytes("\x30\x82", 300)),
		"certificate":             s.pem("CERTIFICATE", "\n", s.bytes("\x30\x82", 300)),
		"not DER":                 s.pem("PRIVATE KEY", "\n", bytes.Repeat([]byte("A"), 300)),
		"jwt.io":                  s.jwt(`{"alg":"HS256"}`, `{"sub":"1234567890","name":"John Doe","iat":1516239022}`),
		"unsigned token":          s.jwt(`{"alg":"none"}`, `{"sub":"a"}`),
		"no token":                "eyJ" + s.run(alnum, 40) + ".eyJ" + s.run(alnum, 40) + "." + s.run(alnum, 40),
		"inside base64":           "x" + "AKIA" + s.run(upperDigit, 16) + " " + s.run(alnum, 20) + "SK" + s.run(lowerHex, 32) + "ff",
		"too long":                "AKIA" + s.run(upperDigit, 17) + " AIza" + s.run(alnum, 36) + " ghp_" + s.run(alnum, 40),
		"code":                    "password = getPassword1()\npassword = config.password1;\npassword = os.environ['PASSWORD1']\nif password == 'hunter2!!': pass\npassword: String!\nthis.password = password1;\npassword = (await x1());\nPassword::check1234(\npassword = self.password2",
		"labels":                  "password: \"Enter your password!\"\npassword=\"Passwort eingeben: 8+\"\n\"password\": \"Mot de passe oublié ?1\"\npassword_label=\"New password (8)\"",
		"hashes":                  "password_hash=" + s.run(lowerHex, 64) + "\npassword=" + s.run(lowerHex, 40) + "\nhashed_password: \"" + s.apiKey() + "!\"",
		"sealed":                  "password: ENC[AES256_GCM,data:" + s.run(alnum, 20) + "]\npassword: !vault |\n",
		"identifiers":             "apiKey: process_env_GOOGLE_API_KEY\napi_key = some_long_identifier_name\napikey=00000000000000000000",
		"a path":                  "password=/run/secrets/db1 password=https://example.org/a1 pwd=/home/user/x1 passwd: ./a/b1234567",
		"word with pwd":           "xpwd=" + s.password() + " cpwdx=" + s.password(),
		"test keys":               "api_key=sk_test_" + s.run(alnum, 24) + " password=pk_live_" + s.run(alnum, 24),
		"numbers":                 "password=20260102030405 password: 8.12.2026",
	} {
		if found := scan(t, text); len(found) > 0 {
			t.Errorf("%s: %v", name, rulesOf(found))
		}
	}
}

func TestPrivateKeySeverity(t *testing.T) {
	s := newSamples(5)
	for text, want := range map[string]event.Severity{
		s.pem("RSA PRIVATE KEY", "\n", s.bytes("\x30\x82", 300)):                                                          event.Critical,
		s.pem("ENCRYPTED PRIVATE KEY", "\n", s.bytes("\x30\x82", 300)):                                                    event.Medium,
		s.pem("RSA PRIVATE KEY", "\n", s.bytes("\x99\x82", 300), "Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-128-CBC,0", ""): event.Medium,
		s.pem("OPENSSH PRIVATE KEY", "\n", s.openssh("none")):                                                             event.Critical,
		s.pem("OPENSSH PRIVATE KEY", "\n", s.openssh("aes256-ctr")):                                                       event.Medium,
		s.pem("PGP PRIVATE KEY BLOCK", "\n", s.bytes("\xc5\x58", 400), "Version: X", ""):                                  event.High,
	} {
		if found := scan(t, text); len(found) != 1 || found[0].Severity != want {
			t.Errorf("%.40s: %+v, want %s", text, found, want)
		}
	}
}

// TestChunks plants secrets around the places where one buffer ends and the
// next begins.
func TestChunks(t *testing.T) {
	const chunk = bufferSize - lookAhead
	s := newSamples(7)
	kinds := s.all()
	line := strings.Repeat("0123456 ", 9) + "\n"
	filler := strings.Repeat(line, 4*bufferSize/len(line))
	for i, k := range kinds {
		if testdata.Race && i%32 != 0 {
			continue
		}
		for _, near := range []int{chunk, bufferSize, bufferSize + chunk - lookBehind, 2 * chunk} {
			for _, shift := range []int{-len(k[1]) - len(k[2]) - 1, -len(k[2]) / 2, -1, 0, 1, 40} {
				at := near + shift - i%2
				text := filler[:at] + " " + k[1] + k[2] + "\n" + filler[:1000]
				found := scan(t, text)
				if len(found) != 1 || found[0].Rule != k[0] || found[0].Offset != int64(at+1+len(k[1])) {
					t.Fatalf("%s at %d: %+v", k[0], at, found)
				}
			}
		}
	}
}

func TestFingerprint(t *testing.T) {
	s := newSamples(1)
	one, two := s.withCRC("ghp_"), s.withCRC("ghp_")
	found := scan(t, one+"\n"+two+"\n"+one)
	if len(found) != 3 || found[0].Fingerprint != found[2].Fingerprint || found[0].Fingerprint == found[1].Fingerprint {
		t.Errorf("fingerprints %+v", found)
	}
	var other []Match
	if err := New([]byte("other"), nil).Scan(context.Background(), "", strings.NewReader(one), func(m Match) { other = append(other, m) }); err != nil {
		t.Fatal(err)
	}
	if len(other) != 1 || other[0].Fingerprint == found[0].Fingerprint {
		t.Error("another key must make another fingerprint")
	}
}

func TestReaders(t *testing.T) {
	s := newSamples(2)
	text := "a\n" + s.withCRC("ghp_") + "\n"
	e := New([]byte("key"), nil)
	count := func(ctx context.Context, r io.Reader) (n int, err error) {
		err = e.Scan(ctx, "", r, func(Match) { n++ })
		return n, err
	}
	if n, err := count(context.Background(), iotest.OneByteReader(strings.NewReader(text))); n != 1 || err != nil {
		t.Errorf("one byte at a time: %d, %v", n, err)
	}
	if n, err := count(context.Background(), iotest.DataErrReader(strings.NewReader(text))); n != 1 || err != nil {
		t.Errorf("data with EOF: %d, %v", n, err)
	}
	broken := errors.New("broken")
	if n, err := count(context.Background(), io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken))); n != 1 || !errors.Is(err, broken) {
		t.Errorf("broken reader: %d, %v; what came before the fault counts", n, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := count(ctx, strings.NewReader(text)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// naive finds what Scan must find: it tries every anchor at every position of
// the whole text, and every place where an encoding may begin.
func naive(text []byte, whole bool) (found []Match) {
	s := &stream{engine: plain(), line: 1, text: text, emit: func(m Match) { found = append(found, m) }}
	if f, ok := openpgpKey(text); ok && whole {
		s.add(openpgpRule, f, text, view{width: 1})
	}
	naiveLook(s, text, view{width: 1})
	s.report(int64(len(text)) + 1)
	return found
}

func naiveLook(s *stream, text []byte, v view) {
	for _, a := range allAnchors(nil) {
		for at := range text {
			if a.begins(text[at:]) {
				if f, ok := a.rule.verify(text, at, at+len(a.literal)); ok {
					s.add(a.rule, f, text, v)
				}
			}
		}
	}
	if v.width > 1 {
		return
	}
	for at := 0; at < len(text); {
		if sextet[text[at]] < 0 {
			at++
			continue
		}
		stop := at
		for stop < len(text) && stop-at < maxEncoded && sextet[text[stop]] >= 0 {
			stop++
		}
		run := text[at:stop]
		if v.depth == maxNesting || len(shifts(run)) == 0 {
			at = stop
			continue
		}
		if stop < len(text) && text[stop] == '.' {
			if f, ok := discordToken(text, at, stop); ok {
				s.add(discordRule, f, text, v)
			}
		}
		b := s.collect(text, at)
		at = b.end
		if b.cut {
			at = b.at(len(b.chars) - overlap)
		}
		for _, shift := range shifts(b.chars) {
			inner := *b
			inner.outer, inner.shift, inner.step = v, shift, 1
			decoded := make([]byte, len(b.chars))
			n := decodeBase64(decoded, b.chars[shift:])
			naiveLook(s, decoded[:n], view{encoding: "base64", width: 1, depth: v.depth + 1, block: &inner})
		}
	}
	for at := range text {
		if text[at] == 0 || at >= 2 && text[at-1] == 0 && text[at-2] != 0 {
			continue
		}
		var chars []byte
		for i := at; i < len(text) && text[i] != 0 && (i == at || text[i-1] == 0); i += 2 {
			chars = append(chars, text[i])
		}
		if len(chars) < minWide {
			continue
		}
		w := v
		w.encoding, w.width, w.base = "utf-16", 2, v.base+int64(at)
		if w.block != nil {
			w.block = w.block.from(at)
		}
		naiveLook(s, chars, w)
	}
}

// FuzzScan holds the streaming engine against the naive one.
func FuzzScan(f *testing.F) {
	for i, k := range newSamples(1).all() {
		if testdata.Race && i%32 != 0 {
			continue
		}
		plainly := k[1] + k[2]
		forms := []string{
			plainly,
			"\x00" + plainly + "\\n" + k[2],
			base64.StdEncoding.EncodeToString([]byte(plainly)),
			strings.TrimSuffix(string(wideOf([]byte(plainly))), "\x00"), // cut in a character
			base64.StdEncoding.EncodeToString(wideOf([]byte(plainly))),
		}
		near := []int{0, chunkSize + lookBehind - i, chunkSize - i, chunkSize + i}
		f.Add([]byte(forms[i%len(forms)]), uint32(near[i%len(near)]))
	}
	f.Fuzz(func(t *testing.T, data []byte, padding uint32) {
		if len(data) > 4<<10 {
			return // naive is quadratic, and context reaches no farther
		}
		pad := int(padding % (2 * bufferSize))
		text := append(bytes.Repeat([]byte(" "), pad), data...)
		var got []Match
		end := int64(-1)
		if err := plain().Scan(context.Background(), "", bytes.NewReader(text), func(m Match) {
			checkMatch(t, string(text), m)
			if m.Offset < end {
				t.Errorf("overlapping matches at %d", m.Offset)
			}
			end = m.Offset + int64(m.Length)
			got = append(got, m)
		}); err != nil {
			t.Fatal(err)
		}
		var inMemory []Match
		if err := plain().ScanBytes(context.Background(), "", text, func(m Match) { inMemory = append(inMemory, m) }); err != nil || !slices.Equal(inMemory, got) {
			t.Errorf("in memory %+v, %v\nas a stream %+v", inMemory, err, got)
		}
		shift := max(0, pad-lookBehind)
		want := naive(text[shift:], shift == 0)
		for i := range want {
			want[i].Offset += int64(shift)
			want[i].Column += shift * b2i(want[i].Line == 1)
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %+v\nnaive %+v", got, want)
		}
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// wideOf writes text in UTF-16LE.
func wideOf(text []byte) []byte {
	out := make([]byte, 0, 2*len(text))
	for _, c := range text {
		out = append(out, c, 0)
	}
	return out
}

func BenchmarkScan(b *testing.B) {
	text := strings.Repeat("func (s *server) handle(w http.ResponseWriter, key string) error { return s.next(w, key) } // they keep it\n", 10_000)
	e := plain()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if err := e.Scan(context.Background(), "", strings.NewReader(text), func(Match) {}); err != nil {
			b.Fatal(err)
		}
	}
}
