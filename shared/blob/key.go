package blob

import (
	"fmt"
	"strings"

	"assize.dev/shared/digest"
)

const (
	maxKey     = 512 // bytes
	maxSegment = 255 // bytes: what a file name may have on common file systems

	// scratch is where Dir keeps unfinished objects; no key may start there,
	// with any driver, so that a store can move from one to the other.
	scratch = "tmp"
)

// BlobKey is where the bytes of an artifact are kept: blobs/sha256/<hex>.
func BlobKey(d digest.Digest) string { return "blobs/sha256/" + d.Hex() }

// DocumentKey is where a document (an SBOM, a list of findings) is kept:
// documents/sha256/<hex>.
func DocumentKey(d digest.Digest) string { return "documents/sha256/" + d.Hex() }

// VerdictKey is where one file of a verdict's record is kept:
// verdicts/sha256/<hex>/<run>.<name>, for the artifact with digest d. Runs
// have no folder of their own, as each new folder costs a Dir two more fsyncs.
func VerdictKey(d digest.Digest, run, name string) string {
	return "verdicts/sha256/" + d.Hex() + "/" + run + "." + name
}

// CheckKey returns ErrKey with the reason unless key is one: 1 to 512 bytes
// out of A-Z a-z 0-9 . _ : / @ + = -, in segments of 1 to 255 bytes, none of
// them "." or "..", the first not "tmp". No key may be another's directory:
// with a and a/b, whichever comes second is refused by most drivers.
func CheckKey(key string) error {
	if len(key) == 0 || len(key) > maxKey {
		return fmt.Errorf("%w: %d bytes long, want 1 to %d", ErrKey, len(key), maxKey)
	}
	if err := checkAlphabet(key); err != nil {
		return err
	}
	for i, segment := range strings.Split(key, "/") {
		switch {
		case segment == "":
			return fmt.Errorf("%w: %.80q has an empty segment", ErrKey, key)
		case segment == "." || segment == "..":
			return fmt.Errorf("%w: %.80q has the segment %q", ErrKey, key, segment)
		case len(segment) > maxSegment:
			return fmt.Errorf("%w: %.80q… has a segment of %d bytes, want at most %d", ErrKey, key, len(segment), maxSegment)
		case i == 0 && segment == scratch:
			return fmt.Errorf("%w: %.80q: %s/ is reserved", ErrKey, key, scratch)
		}
	}
	return nil
}

// checkPrefix is CheckKey for the beginning of a key, or for "".
func checkPrefix(prefix string) error {
	if len(prefix) > maxKey {
		return fmt.Errorf("%w: prefix is %d bytes long, want at most %d", ErrKey, len(prefix), maxKey)
	}
	if err := checkAlphabet(prefix); err != nil {
		return err
	}
	if end := strings.LastIndexByte(prefix, '/'); end >= 0 {
		return CheckKey(prefix[:end])
	}
	return nil
}

func checkAlphabet(key string) error {
	for i := range len(key) {
		c := key[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && strings.IndexByte("._:/@+=-", c) < 0 {
			return fmt.Errorf("%w: %.80q has the byte %q", ErrKey, key, c)
		}
	}
	return nil
}

// checkReplaceable refuses the keys whose objects never change.
func checkReplaceable(key string, size int) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if _, ok := namedDigest(key); ok {
		return fmt.Errorf("%w: %s is content-addressed, it cannot be replaced", ErrKey, key)
	}
	if size > MaxReplace {
		return fmt.Errorf("replacing %s: %w: %d bytes, want at most %d", key, ErrTooLarge, size, MaxReplace)
	}
	return nil
}

// namedDigest is the digest that the bytes under a content-addressed key have.
func namedDigest(key string) (digest.Digest, bool) {
	for _, kind := range []string{"blobs/sha256/", "documents/sha256/"} {
		if hexa, ok := strings.CutPrefix(key, kind); ok {
			d, err := digest.Parse("sha256:" + hexa)
			return d, err == nil
		}
	}
	return "", false
}
