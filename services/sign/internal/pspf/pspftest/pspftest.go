// Package pspftest makes PSPF/2025 packages for tests, right ones and wrong
// ones. It is written from the format's description, independently of the
// reader it tests, and nothing but tests uses it.
package pspftest

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/adler32"
)

// Package describes a package to build. The Edit functions change one part
// after it is made and before whatever covers it is computed, so that the
// result is consistent up to the edit; nil leaves the part alone.
type Package struct {
	Name, Version string
	Key           crypto.Signer // Ed25519; nil leaves the package unsigned
	Launcher      []byte
	SignLauncher  bool // name the launcher in the metadata, as the Python builder does
	Attest        bool // fill the 0.4 attestation fields
	Slots         []Slot
	Align         int            // of the slots; 0 is 8, as most builders have it
	Extra         map[string]any // further members of the metadata

	EditJSON  func([]byte) []byte // before signing and compressing
	EditGzip  func([]byte) []byte // before its SHA-256 is taken
	EditTable func([]byte)
	EditIndex func([]byte) // before the Adler-32 is taken
}

// Slot is one slot of a package.
type Slot struct {
	ID, Target string
	Data       []byte // stored as it is
	Operations string
	Chain      uint64 // packed operations
	Mode       uint16 // 0 is the Go builder's default, 0600
	Lifecycle  byte
	SelfRef    bool
	Edit       func(map[string]any) // of its metadata
}

// Key makes the key whose seed is the SHA-256 of name.
func Key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// Build writes the package.
func (p Package) Build() []byte {
	doc := p.metadata()
	if p.EditJSON != nil {
		doc = p.EditJSON(doc)
	}
	stored := Gzip(doc)
	if p.EditGzip != nil {
		stored = p.EditGzip(stored)
	}

	out := append(bytes.Clone(p.Launcher), stored...)
	out = align(out, 8)
	tableAt := len(out)
	out = append(out, make([]byte, 64*len(p.Slots))...)
	for i, s := range p.Slots {
		entry := out[tableAt+64*i:][:64:64]
		put64(entry, 0, uint64(i))
		put64(entry, 8, leading(s.ID))
		put64(entry, 40, s.Chain)
		entry[57], entry[58] = s.Lifecycle, 128
		binary.LittleEndian.PutUint16(entry[62:], s.mode())
		if s.SelfRef {
			continue
		}
		out = align(out, p.Align)
		entry = out[tableAt+64*i:][:64:64]
		put64(entry, 16, uint64(len(out)))
		put64(entry, 24, uint64(len(s.Data)))
		put64(entry, 32, uint64(len(s.Data)))
		put64(entry, 48, leading(string(s.Data)))
		out = append(out, s.Data...)
	}
	if p.EditTable != nil {
		p.EditTable(out[tableAt:][:64*len(p.Slots)])
	}
	return append(out, p.trailer(doc, stored, tableAt, len(out))...)
}

func (p Package) metadata() []byte {
	slots := []any{}
	for i, s := range p.Slots {
		m := map[string]any{
			"slot": i, "id": s.ID, "source": s.ID, "target": s.Target, "size": len(s.Data),
			"checksum": "sha256:" + sumHex(s.Data), "operations": s.Operations,
			"purpose": "payload", "lifecycle": "init", "permissions": fmt.Sprintf("%04o", s.mode()),
		}
		if s.Lifecycle == 11 {
			m["lifecycle"] = "attestation"
		}
		if s.SelfRef {
			m["self_ref"], m["checksum"] = true, ""
		}
		if s.Edit != nil {
			s.Edit(m)
		}
		slots = append(slots, m)
	}
	m := map[string]any{
		"format": "PSPF/2025", "format_version": "1.0.0", "slots": slots,
		"package":   map[string]any{"name": p.Name, "version": p.Version},
		"execution": map[string]any{"command": "{workenv}/run", "env": map[string]any{"A": "b"}},
	}
	if p.SignLauncher {
		m["launcher"] = map[string]any{"size": len(p.Launcher), "checksum": "sha256:sha256:" + sumHex(p.Launcher)}
	}
	for k, v := range p.Extra {
		m[k] = v
	}
	doc, err := json.MarshalIndent(m, "", "  ")
	check(err)
	return doc
}

func (p Package) trailer(doc, stored []byte, tableAt, at int) []byte {
	block := make([]byte, 8192)
	binary.LittleEndian.PutUint32(block, 0x20250001)
	put64(block, 8, uint64(at+8200))
	put64(block, 16, uint64(len(p.Launcher)))
	put64(block, 24, uint64(len(p.Launcher)))
	put64(block, 32, uint64(len(stored)))
	put64(block, 40, uint64(tableAt))
	put64(block, 48, uint64(64*len(p.Slots)))
	binary.LittleEndian.PutUint32(block[56:], uint32(len(p.Slots)))
	sum := sha256.Sum256(stored)
	copy(block[96:], sum[:])
	if p.Key != nil {
		copy(block[64:], p.Key.Public().(ed25519.PublicKey))
		signature, err := p.Key.Sign(nil, doc, crypto.Hash(0))
		check(err)
		copy(block[128:], signature)
	}
	if p.Attest {
		copy(block[1376:], sumHex(block[64:96]))
		for _, s := range p.Slots {
			if s.Lifecycle == 11 {
				copy(block[1440:], sumHex(s.Data))
			}
		}
		if policy, ok := p.Extra["policy"]; ok {
			sorted, err := json.Marshal(policy)
			check(err)
			copy(block[1504:], sumHex(sorted))
		}
	}
	if p.EditIndex != nil {
		p.EditIndex(block)
	}
	SealIndex(block)
	return append(append([]byte("\xF0\x9F\x93\xA6"), block...), "\xF0\x9F\xAA\x84"...)
}

// SealIndex computes the Adler-32 of an index block.
func SealIndex(block []byte) {
	clear(block[4:8])
	binary.LittleEndian.PutUint32(block[4:], adler32.Checksum(block))
}

func (s Slot) mode() uint16 {
	if s.Mode == 0 {
		return 0o600
	}
	return s.Mode
}

func put64(b []byte, at int, v uint64) { binary.LittleEndian.PutUint64(b[at:], v) }

func leading(s string) uint64 {
	sum := sha256.Sum256([]byte(s))
	return binary.LittleEndian.Uint64(sum[:])
}

func sumHex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func align(b []byte, to int) []byte {
	if to == 0 {
		to = 8
	}
	return append(b, make([]byte, (to-len(b)%to)%to)...)
}

func must(_ int, err error) { check(err) }

func check(err error) {
	if err != nil {
		panic("pspftest: " + err.Error()) // writes to memory and marshals maps: cannot fail
	}
}
