package openpgp

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"assize.dev/services/sign/internal/signature"
)

// MaxCleartext bounds clear-signed texts, in bytes: the signature that says
// how to hash them is at their end. They are lists and descriptions; larger
// things are signed with a detached signature.
const MaxCleartext = 64 << 20

// verifyCleartext verifies a text that is signed in place, RFC 9580 section 7.
func verifyCleartext(r *bufio.Reader, size int64, ring *Keyring, at time.Time) ([]signature.Result, error) {
	if size > MaxCleartext {
		return nil, fmt.Errorf("clear-signed text of %d bytes, at most %d are allowed", size, MaxCleartext)
	}
	whole, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	text, sig, err := splitCleartext(whole)
	if err != nil {
		return nil, err
	}
	bodies, err := detached(sig)
	if err != nil {
		return nil, err
	}
	claims := make([]*claim, len(bodies))
	sums := digests{}
	for i, body := range bodies {
		c := ring.claim(body, at)
		if c.sig != nil && c.sig.SigType != packet.SigTypeText {
			c.refuse("signature of a clear-signed text must be one of text, type 0x01")
		}
		if c.open() {
			sums.need(digestOf(c.sig))
		}
		claims[i] = c
	}
	sums.Write(text)
	return settle(claims, sums), nil
}

// splitCleartext takes a clear-signed message apart into what is hashed and
// the armored signature. Nothing may stand before, and only white space after.
func splitCleartext(whole []byte) (text, sig []byte, err error) {
	line, rest := cutLine(whole)
	if string(line) != "-----BEGIN "+armorCleartext+"-----" {
		return nil, nil, fmt.Errorf("there is something before the signed text, which nobody signed")
	}
	for {
		if line, rest = cutLine(rest); len(line) == 0 {
			break
		}
		if err := checkHashHeader(string(line)); err != nil {
			return nil, nil, err
		}
	}
	begin := []byte("-----BEGIN " + armorSignature + "-----")
	var out bytes.Buffer
	for first := true; ; first = false {
		if len(rest) == 0 {
			return nil, nil, fmt.Errorf("clear-signed text without a signature")
		}
		at := rest
		line, rest = cutLine(rest)
		if bytes.Equal(line, begin) {
			return out.Bytes(), at, nil
		}
		if escaped, ok := bytes.CutPrefix(line, []byte("- ")); ok {
			line = escaped
		} else if bytes.HasPrefix(line, []byte("-")) {
			return nil, nil, fmt.Errorf("line %.60q of the clear-signed text is not escaped", line)
		}
		if !first {
			out.WriteString("\r\n") // ends the line before; the last has none
		}
		out.Write(bytes.TrimRight(line, " \t"))
	}
}

// cutLine takes the first line without its LF or CR LF.
func cutLine(b []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(b, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), rest
}

// checkHashHeader allows lines between the first and the text that name
// hashes and nothing else: they are not signed, and yet are read as if.
func checkHashHeader(line string) error {
	names, ok := strings.CutPrefix(line, "Hash: ")
	for name := range strings.SplitSeq(names, ",") {
		switch strings.ToUpper(strings.TrimSpace(name)) {
		case "MD5", "SHA1", "RIPEMD160", "SHA224", "SHA256", "SHA384", "SHA512", "SHA3-256", "SHA3-512":
		default:
			ok = false
		}
	}
	if !ok {
		return fmt.Errorf("line %.60q before the clear-signed text, where only the names of hashes may stand", line)
	}
	return nil
}
