package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"assize.dev/shared/event"
)

// maxPEM bounds the encoded body that is looked at; an RSA key of 16384 bits
// needs 13 KiB.
const maxPEM = 16 << 10

// privateKey is a PEM or OpenPGP armour block of a private key with a body:
// a header alone is something people write about. Escaped line ends and
// quotes, as in JSON or code, are taken for line ends.
func privateKey(text []byte, at, end int) (finding, bool) {
	label, _, ok := bytes.Cut(text[end:min(len(text), end+48)], []byte("-----"))
	if !ok {
		return finding{}, false
	}
	kind := string(label)
	if !strings.HasSuffix(kind, "PRIVATE KEY") && kind != "PGP PRIVATE KEY BLOCK" {
		return finding{}, false
	}
	start := end + len(label) + len("-----")
	body, stop, encrypted := armoured(text, start)
	if len(body) < 64 || entropy(body[:64]) < 2.5 {
		return finding{}, false
	}
	raw, err := base64.StdEncoding.DecodeString(string(body[:64]))
	if err != nil {
		return finding{}, false
	}
	f := finding{start: at, end: stop}
	switch {
	case strings.HasPrefix(kind, "ENCRYPTED "), encrypted:
		f.severity = event.Medium
	case kind == "PGP PRIVATE KEY BLOCK":
		if raw[0]&0x80 == 0 { // RFC 9580, section 4.2
			return finding{}, false
		}
		f.severity = event.High // whether it has a passphrase is deeper inside
	case kind == "OPENSSH PRIVATE KEY":
		cipher, ok := opensshCipher(raw)
		if !ok {
			return finding{}, false
		}
		if cipher != "none" {
			f.severity = event.Medium
		}
	case raw[0] != 0x30: // DER SEQUENCE
		return finding{}, false
	}
	return f, true
}

// armoured collects the base64 body behind a header line.
func armoured(text []byte, i int) (body []byte, stop int, encrypted bool) {
	limit := min(len(text), i+maxPEM)
	headersEnd := min(limit, i+1024)
	for i < limit {
		// RFC 1421 headers. They are short, and are sought in little text:
		// a file may hold nothing but header lines of keys.
		if line, next := armourLine(text[:headersEnd], min(i, headersEnd)); len(body) == 0 && bytes.IndexByte(line[:min(32, len(line))], ':') > 0 {
			encrypted = encrypted || bytes.Contains(line, []byte("ENCRYPTED"))
			i = next
			if i == headersEnd {
				return nil, i, false
			}
			continue
		}
		line, next := armourLine(text[:limit], i)
		trimmed := bytes.Trim(line, " \t\"'`,+;")
		if bytes.HasSuffix(line, []byte("+")) && !bytes.ContainsAny(line, "\"'") {
			trimmed = bytes.Trim(line, " \t")
		}
		for n, c := range trimmed {
			if strings.IndexByte(alnum+"+/=", c) < 0 {
				return append(body, trimmed[:n]...), i, encrypted
			}
		}
		body = append(body, trimmed...)
		stop, i = next, next
	}
	return body, limit, encrypted
}

// armourLine is the text up to the next line end, real or escaped.
func armourLine(text []byte, i int) (line []byte, next int) {
	for j := i; j < len(text); j++ {
		switch {
		case text[j] == '\n', text[j] == '\r', text[j] == 0:
			return text[i:j], j + 1
		case text[j] == '\\' && j+1 < len(text) && (text[j+1] == 'n' || text[j+1] == 'r'):
			return text[i:j], j + 2
		}
	}
	return text[i:], len(text)
}

// opensshCipher reads the first field of the format in OpenSSH's
// PROTOCOL.key: the magic, then a string with its length before it.
func opensshCipher(raw []byte) (string, bool) {
	rest, ok := bytes.CutPrefix(raw, []byte("openssh-key-v1\x00"))
	if !ok || len(rest) < 4 {
		return "", false
	}
	n := binary.BigEndian.Uint32(rest)
	if n > uint32(len(rest)-4) {
		return "", false
	}
	return string(rest[4 : 4+n]), true
}
