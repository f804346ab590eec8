package ingest

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"

	"assize.dev/shared/blob"
	"assize.dev/shared/digest"
)

// announced is what a client says the digests of its bytes are; empty where
// it does not.
type announced struct {
	sha256 digest.Digest
	sha512 string // lower-case hexadecimal
}

// announcedDigest reads Content-Digest, a dictionary of byte sequences (RFC
// 9530 section 2, RFC 9651 section 3.2). A header that names no algorithm we
// know is refused: its sender believes that the bytes are checked.
func announcedDigest(h http.Header) (announced, error) {
	var a announced
	header := strings.Join(h.Values("Content-Digest"), ",")
	if strings.TrimSpace(header) == "" {
		return a, nil
	}
	for member := range strings.SplitSeq(header, ",") {
		member, _, _ = strings.Cut(member, ";") // parameters say nothing here
		switch algorithm, value, _ := strings.Cut(strings.Trim(member, " \t"), "="); algorithm {
		case "sha-256":
			sum, err := byteSequence(value, sha256.Size)
			if err != nil {
				return announced{}, err
			}
			a.sha256 = digest.FromSum(sum)
		case "sha-512":
			sum, err := byteSequence(value, sha512.Size)
			if err != nil {
				return announced{}, err
			}
			a.sha512 = hex.EncodeToString(sum)
		}
	}
	if a == (announced{}) {
		return a, badRequest("Content-Digest: want sha-256 or sha-512 as in sha-256=:<base64>:")
	}
	return a, nil
}

func byteSequence(value string, size int) ([]byte, error) {
	inner, opened := strings.CutPrefix(value, ":")
	inner, closed := strings.CutSuffix(inner, ":")
	sum, err := base64.StdEncoding.DecodeString(inner)
	if !opened || !closed || err != nil || len(sum) != size {
		return nil, badRequest("Content-Digest: %.100q is not %d bytes in base64 between colons", value, size)
	}
	return sum, nil
}

// check compares with what came.
func (a announced) check(bytes *blob.Spooled) error {
	if a.sha256 != "" && a.sha256 != bytes.Digest {
		return badRequest("the body has %s, but Content-Digest announced %s", bytes.Digest, a.sha256)
	}
	if a.sha512 != "" && a.sha512 != bytes.SHA512 {
		return badRequest("the body has SHA-512 %s, but Content-Digest announced %s", bytes.SHA512, a.sha512)
	}
	return nil
}
