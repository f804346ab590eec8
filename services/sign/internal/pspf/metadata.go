package pspf

import (
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"assize.dev/services/sign/internal/eddsa"
	"assize.dev/services/sign/internal/strictjson"
)

// Metadata is the part of the signed JSON that is read here. Unknown members
// are accepted. What is kept raw only says things about the package; see
// Claims.
type Metadata struct {
	Format  string `json:"format"`
	Package struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"package"`
	Slots     []MetadataSlot `json:"slots"`
	Execution struct {
		Command     string          `json:"command"`
		Environment json.RawMessage `json:"environment"` // Go
		Env         json.RawMessage `json:"env"`         // Python, Rust
	} `json:"execution"`
	Launcher *struct {
		Size     *uint64 `json:"size"`
		Checksum string  `json:"checksum"`
	} `json:"launcher"`
	SetupCommands []SetupCommand  `json:"setup_commands"`
	Policy        json.RawMessage `json:"policy"`
	Build         json.RawMessage `json:"build"`
	Runtime       json.RawMessage `json:"runtime"`
	Workenv       json.RawMessage `json:"workenv"`
}

// MetadataSlot is the signed description of a slot. Its size member is not
// read: builders disagree about what it counts.
type MetadataSlot struct {
	Slot        int64           `json:"slot"`
	ID          string          `json:"id"`
	Target      string          `json:"target"`
	Checksum    string          `json:"checksum"`
	Operations  string          `json:"operations"`
	Purpose     string          `json:"purpose"`
	Lifecycle   string          `json:"lifecycle"`
	Permissions json.RawMessage `json:"permissions"`
	SelfRef     bool            `json:"self_ref"`
}

// SetupCommand is something the launcher does before the first start.
type SetupCommand struct {
	Type      string `json:"type"` // execute, enumerate_and_execute or write_file
	Command   string `json:"command"`
	Path      string `json:"path"` // of the file to write
	Enumerate struct {
		Path    string `json:"path"` // where files are looked for
		Pattern string `json:"pattern"`
	} `json:"enumerate"`
}

// UnmarshalJSON accepts the short form, a string, as a command to execute.
func (c *SetupCommand) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		c.Type = "execute"
		return json.Unmarshal(b, &c.Command)
	}
	type plain SetupCommand
	return json.Unmarshal(b, (*plain)(c))
}

// metadataBounds are the format's, but for the number of all values, which
// keeps small what is remembered of them.
var metadataBounds = strictjson.Bounds{Depth: 100, Items: 65535, Values: 500_000}

func (v *verification) checkIntegrity() (string, error) {
	stored, err := v.read(v.index.metadata.off, v.index.metadata.size)
	if err != nil {
		return "", err
	}
	if sum := sha256.Sum256(stored); sum != v.index.metadataSum {
		return "", flawf("SHA-256 of the metadata is %x, the index says %x", sum, v.index.metadataSum)
	}
	v.json, err = gunzip(stored)
	return "", err
}

// gunzip accepts one gzip member and nothing after it: a second member would
// be metadata that some readers see and others do not.
func gunzip(stored []byte) ([]byte, error) {
	src := bytes.NewReader(stored) // an io.ByteReader: gzip reads no further than it must
	zr, err := gzip.NewReader(src)
	if err != nil {
		return nil, flawf("metadata is not gzip: %v", err)
	}
	zr.Multistream(false)
	text, err := io.ReadAll(io.LimitReader(zr, maxMetadata+1))
	if err != nil {
		return nil, flawf("decompressing metadata: %v", err)
	}
	if len(text) > maxMetadata {
		return nil, flawf("metadata is larger than %d bytes", maxMetadata)
	}
	if src.Len() != 0 {
		return nil, flawf("%d bytes follow the gzip member of the metadata", src.Len())
	}
	return text, nil
}

// checkSignature verifies plain Ed25519 over the exact bytes of the JSON.
func (v *verification) checkSignature() (string, error) {
	key, signature := v.index.publicKey[:], v.index.signature[:]
	if allZero(signature) {
		v.report.Signature = SignatureAbsent
		if v.opts.Unsigned {
			return "the package is not signed, which is accepted", nil
		}
		return "", flawf("the package is not signed")
	}
	v.report.Signature = SignatureBad
	if err := eddsa.CheckKey(key); err != nil {
		return "", flawf("%v", err)
	}
	if !ed25519.Verify(key, v.json, signature) {
		return "", flawf("the signature over the metadata does not hold under the embedded key %s", v.report.KeyFingerprint)
	}
	v.report.Signature = SignatureValid
	return "by " + v.report.KeyFingerprint, nil
}

func (v *verification) checkMetadata() (string, error) {
	var m Metadata
	if err := strictjson.Decode(v.json, &m, metadataBounds); err != nil {
		return "", flawf("metadata: %v", err)
	}
	if m.Format != "PSPF/2025" {
		return "", flawf("metadata: format is %.40q, want PSPF/2025", m.Format)
	}
	v.report.Metadata = &m
	return fmt.Sprintf("%.80q version %.80q, %d slots, %d setup commands",
		m.Package.Name, m.Package.Version, len(m.Slots), len(m.SetupCommands)), nil
}

// parseChecksum reads a checksum of the metadata: "sha256:" and 64
// hexadecimal digits, the digits alone, or with the prefix doubled as the
// Python builder writes it. Other algorithms are no proof.
func parseChecksum(s string) (sum [sha256.Size]byte, err error) {
	digits := s
	for strings.HasPrefix(digits, "sha256:") {
		digits = digits[len("sha256:"):]
	}
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) != sha256.Size {
		return sum, flawf("checksum %.100q is not a SHA-256", s)
	}
	return [sha256.Size]byte(b), nil
}
