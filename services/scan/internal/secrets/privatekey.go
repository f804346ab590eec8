package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"slices"
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
	label, _, ok := bytes.Cut(text[end:min(len(text), end+48)], []byte("----"))
	if !ok {
		return finding{}, false
	}
	kind := strings.TrimRight(string(label), " ")
	if !strings.HasSuffix(kind, "PRIVATE KEY") && kind != "PGP PRIVATE KEY BLOCK" {
		return finding{}, false
	}
	start := skip(text, end+len(label), dashes, len("-----"))
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
			f.confidence = byEntropy
		} else if cipher != "none" {
			f.severity = event.Medium
		}
	case raw[0] != 0x30: // DER SEQUENCE
		f.confidence = byEntropy // damaged, or disguised
	}
	if f.confidence == byEntropy && (len(body) < 100 || entropy(body) < 4.5 || placeholderToken(body)) {
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
			if !base64Set[c] {
				return append(body, trimmed[:n]...), i, encrypted
			}
		}
		body = append(slices.Grow(body, 1<<10), trimmed...)
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

// puttyKey is a key file of PuTTY, versions 2 and 3.
func puttyKey(text []byte, at, end int) (finding, bool) {
	file := text[at:min(len(text), at+8<<10)]
	head, lines, ok := bytes.Cut(file, []byte("Private-Lines: "))
	if !ok {
		return finding{}, false
	}
	_, body, ok := bytes.Cut(lines, newline)
	if !ok || len(body) < 16 || sextet[body[0]] < 0 {
		return finding{}, false
	}
	stop := bytes.Index(body, []byte("Private-MAC"))
	if stop < 0 {
		stop = min(len(body), 64)
	}
	f := finding{start: at, end: at + len(file) - len(body) + stop}
	if !bytes.Contains(head, []byte("Encryption: none")) {
		f.severity = event.Medium
	}
	return f, true
}

// derAnchors are what stands between the length of a PKCS #8 key (RFC 5958)
// and the key: version 0 and the algorithm, RSA, elliptic curve or Ed25519.
var derAnchors = []string{
	"\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x04\x82",
	"\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08",
	"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20",
}

// derKey is a private key as binary data.
func derKey(text []byte, at, end int) (finding, bool) {
	const least = 32 // bytes of any key
	stop := min(len(text), end+4<<10)
	if text[at] == 0x30 { // Ed25519 has one length
		stop = min(stop, end+least)
	} else if at >= 4 && text[at-4] == 0x30 && text[at-3] == 0x82 {
		at -= 4
		stop = min(stop, at+4+int(text[at+2])<<8+int(text[at+3]))
	} else if at >= 3 && text[at-3] == 0x30 && text[at-2] == 0x81 {
		at -= 3
		stop = min(stop, at+3+int(text[at+2]))
	} else {
		return finding{}, false
	}
	if stop-end < least || entropy(text[end:stop]) < 4 {
		return finding{}, false
	}
	return finding{start: at, end: stop}, true
}

// ofKeystore is how many bytes of a keystore tell it from others.
const ofKeystore = 1 << 10

// shroudedKeyBag is the object identifier of an encrypted key in PKCS #12
// (RFC 7292, 4.2.2), behind its tag and length.
const shroudedKeyBag = "\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x02"

// pkcs12Key is an encrypted key of a PKCS #12 file: behind the identifier, in
// [0] and two sequences, stands how it is encrypted (PBES2 or a scheme of
// PKCS #12 itself). Tables of identifiers in programs have nothing of that.
func pkcs12Key(text []byte, at, end int) (finding, bool) {
	const near = 24
	rest := text[end:min(len(text), end+near)]
	if len(rest) < near || rest[0] != 0xa0 {
		return finding{}, false
	}
	pbes := bytes.Contains(rest, []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d")) || bytes.Contains(rest, []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01"))
	return finding{start: at, end: min(len(text), end+ofKeystore)}, pbes
}

// javaKeystore is a keystore in the form JKS or JCEKS whose first entry is a
// key, which is encrypted, and not a certificate somebody trusts: magic,
// version 1 or 2, the number of entries and the kind of the first, each of four
// bytes, as sun.security.provider.JavaKeyStore writes them.
func javaKeystore(text []byte, at, end int) (finding, bool) {
	const head = 16
	if len(text)-at < head || text[at+7] < 1 || text[at+7] > 2 {
		return finding{}, false
	}
	entries, kind := binary.BigEndian.Uint32(text[at+8:]), binary.BigEndian.Uint32(text[at+12:])
	return finding{start: at, end: min(len(text), at+ofKeystore)}, entries > 0 && entries < 1<<20 && kind == 1
}

// webKey is a JSON Web Key (RFC 7517) with its private part, "d", or "k" of
// a symmetric one.
func webKey(text []byte, at, end int) (finding, bool) {
	const near = 1000
	from := max(0, at-near)
	if open := bytes.LastIndexByte(text[from:at], '{'); open >= 0 {
		from += open
	}
	object := text[from:min(len(text), at+4*near)]
	if stop := bytes.IndexByte(object[at-from:], '}'); stop >= 0 {
		object = object[:at-from+stop]
	}
	for _, member := range []string{`"d"`, `"k"`, `\"d\"`, `\"k\"`} {
		i := bytes.Index(object, []byte(member))
		if i < 0 {
			continue
		}
		a, ok := assignedUpTo(text, from+i+len(member)/2+1, 2000)
		if !ok || a.end-a.start < 22 {
			continue
		}
		v := text[a.start:a.end]
		if strings.Trim(string(v), base64URL) == "" && entropy(v) >= 4 && !placeholderToken(v) {
			return finding{start: a.start, end: a.end}, true
		}
	}
	return finding{}, false
}
