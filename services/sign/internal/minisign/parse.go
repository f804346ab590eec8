package minisign

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// parsed is a signature file as it was read.
type parsed struct {
	kind            string
	signer          string // id of the key
	prehashed       bool   // over the BLAKE2b-512 of the content
	signature       []byte
	trustedComment  string
	globalSignature []byte
	time            time.Time // zero if the comment has none
}

const (
	untrusted = "untrusted comment: "
	trusted   = "trusted comment: "

	// maxFile leaves room for comments of 1,024 and 8,192 bytes, the longest
	// that minisign reads.
	maxFile = 16 << 10

	idSize = 8
)

// parse reads a signature file. Even with an error, the result has a kind.
func parse(data []byte) (*parsed, error) {
	s := &parsed{kind: kindMinisign}
	if len(data) > maxFile {
		return s, fmt.Errorf("signature file of %d bytes, at most %d; a signature with the content inside is not detached", len(data), maxFile)
	}
	comment, rest := cutLine(string(data))
	if !strings.HasPrefix(comment, untrusted) {
		return s, fmt.Errorf("no signature of minisign or signify: want %q first", untrusted)
	}
	line, rest := cutLine(rest)
	body, err := base64.StdEncoding.Strict().DecodeString(line)
	if err != nil {
		return s, fmt.Errorf("signature, second line: %w", err)
	}
	if want := 2 + idSize + ed25519.SignatureSize; len(body) != want {
		return s, fmt.Errorf("signature, second line: %d bytes, want %d", len(body), want)
	}
	s.signer, s.signature = keyID(body[2:2+idSize]), body[2+idSize:]
	switch string(body[:2]) {
	case "Ed":
	case "ED":
		s.prehashed = true
	default:
		return s, fmt.Errorf("signature has algorithm %q, want Ed or ED", body[:2])
	}
	if !strings.HasPrefix(rest, trusted) {
		return s.withoutComment(rest)
	}
	return s, s.readComment(rest)
}

// withoutComment is a signature by signify, or what was left of one.
func (s *parsed) withoutComment(rest string) (*parsed, error) {
	if s.prehashed {
		return s, fmt.Errorf("minisign signature is cut short: want %q in the third line", trusted)
	}
	s.kind = kindSignify
	if rest != "" {
		return s, errors.New("signature is followed by the content (signify -e) or something else: want a detached signature")
	}
	return s, nil
}

// readComment reads the two lines that only minisign has.
func (s *parsed) readComment(text string) error {
	comment, text := cutLine(text)
	s.trustedComment = strings.TrimPrefix(comment, trusted)
	line, rest := cutLine(text)
	var err error
	if s.globalSignature, err = base64.StdEncoding.Strict().DecodeString(line); err != nil {
		return fmt.Errorf("signature, fourth line: %w", err)
	}
	if len(s.globalSignature) != ed25519.SignatureSize {
		return fmt.Errorf("signature, fourth line: %d bytes, want %d", len(s.globalSignature), ed25519.SignatureSize)
	}
	if rest != "" {
		return errors.New("something follows the signature")
	}
	s.time = timestamp(s.trustedComment)
	return nil
}

// global is what the global signature is over.
func (s *parsed) global() []byte {
	return append(bytes.Clone(s.signature), s.trustedComment...)
}

// timestamp finds "timestamp:" and seconds since 1970, as minisign writes
// into comments unless told otherwise.
func timestamp(comment string) time.Time {
	const lastSecond = 253402300799 // of the year 9999, the last that RFC 3339 can write
	for field := range strings.FieldsSeq(comment) {
		if digits, ok := strings.CutPrefix(field, "timestamp:"); ok {
			if seconds, err := strconv.ParseUint(digits, 10, 64); err == nil && seconds <= lastSecond {
				return time.Unix(int64(seconds), 0).UTC()
			}
			break
		}
	}
	return time.Time{}
}

// cutLine takes a line without its end.
func cutLine(text string) (line, rest string) {
	line, rest, _ = strings.Cut(text, "\n")
	return strings.TrimSuffix(line, "\r"), rest
}

// keyID is an id as minisign prints it.
func keyID(id []byte) string {
	return strings.ToUpper(strconv.FormatUint(binary.LittleEndian.Uint64(id), 16))
}
