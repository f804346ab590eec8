package sign

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"strings"

	"assize.dev/services/sign/internal/eddsa"
	"assize.dev/shared/event"
)

// Kinds of signatures.
const (
	kindPSPF        = "pspf"
	kindEd25519     = "ed25519"
	kindUnsupported = "unsupported"
)

// detached is a file that came beside an artifact.
type detached struct {
	answer event.Signature
	broken bool   // meant to be a signature that we check, and is none
	bytes  []byte // Ed25519 signature to verify, nil if there is nothing to
}

// readDetached tells what an attached file is. An Ed25519 signature is the
// artifact's file name and ".ed25519", or ".sig", which other kinds use too,
// if the content has the right shape: 64 raw bytes, their base64 or their
// hexadecimal.
func readDetached(filename string, a event.Attached) detached {
	d := detached{answer: event.Signature{Kind: kindUnsupported, Trust: event.UnknownTrust}}
	name := path.Base(a.Name)
	suffix, named := strings.CutPrefix(name, path.Base(filename))
	switch {
	case !named || !strings.HasPrefix(suffix, "."):
		d.answer.Reason = fmt.Sprintf("%.200s: not named after %.200s; not counted", name, filename)
		return d
	case suffix == ".ed25519", suffix == ".sig":
		if d.bytes = decodeEd25519(a.Data); d.bytes != nil {
			d.answer.Kind = kindEd25519
			return d
		}
	}
	if suffix == ".ed25519" {
		d.answer.Kind, d.broken = kindEd25519, true
		d.answer.Reason = fmt.Sprintf("%.200s: %d bytes are no Ed25519 signature: want 64 raw bytes, 88 of base64 or 128 hexadecimal digits", name, len(a.Data))
		return d
	}
	d.answer.Reason = fmt.Sprintf("%.200s: this kind of signature is not supported yet; not counted", name)
	return d
}

// decodeEd25519 returns the 64 bytes of a signature, nil if data is none.
func decodeEd25519(data []byte) []byte {
	if len(data) == ed25519.SignatureSize {
		return data
	}
	if len(data) > 256 {
		return nil
	}
	text := strings.TrimSpace(string(data))
	switch len(text) {
	case base64.StdEncoding.EncodedLen(ed25519.SignatureSize):
		if b, err := base64.StdEncoding.Strict().DecodeString(text); err == nil && len(b) == ed25519.SignatureSize {
			return b
		}
	case hex.EncodedLen(ed25519.SignatureSize):
		if b, err := hex.DecodeString(text); err == nil {
			return b
		}
	}
	return nil
}

// verifyDetached tries every known key on every signature, since a detached
// one does not say whose it is, in one pass over the artifact.
func verifyDetached(ctx context.Context, found []detached, trust Trust, r io.ReaderAt, size int64) error {
	type trial struct {
		signature *detached
		key       PublicKey
		verifier  *eddsa.Verifier
	}
	var trials []trial
	var hashes []io.Writer
	for i := range found {
		for _, k := range trust.keys {
			public, ok := k.Key.(ed25519.PublicKey)
			if !ok || found[i].bytes == nil {
				continue
			}
			v, err := eddsa.NewVerifier(public, found[i].bytes)
			if err != nil {
				return fmt.Errorf("trusted key %s: %w", k.Fingerprint(), err)
			}
			trials, hashes = append(trials, trial{&found[i], k, v}), append(hashes, v)
		}
	}
	if len(trials) > 0 {
		src := contextReader{ctx, io.NewSectionReader(r, 0, size)}
		n, err := io.CopyBuffer(io.MultiWriter(hashes...), src, make([]byte, 256<<10))
		if err == nil && n != size {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("reading artifact: %d of %d bytes: %w", n, size, err)
		}
	}
	for _, t := range trials {
		if t.verifier.Valid() {
			t.signature.answer.Valid = true
			t.signature.answer.Signer = t.key.Fingerprint()
			t.signature.answer.Trust = trust.Of(t.key.Fingerprint())
		}
	}
	for i := range found {
		if a := &found[i].answer; found[i].bytes != nil && !a.Valid {
			a.Reason = fmt.Sprintf("by none of the %d known keys over these bytes: they were changed after signing, or the signer is unknown", len(trust.keys))
		}
	}
	return nil
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
