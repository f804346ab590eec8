package openpgp

import (
	"bufio"
	"compress/bzip2"
	"compress/flate"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"assize.dev/services/sign/internal/signature"
)

const (
	// maxExpansion bounds how many times larger than the artifact its
	// decompressed content may be. Real files come to 30.
	maxExpansion = 200
	// minExpansion is allowed in any case, in bytes.
	minExpansion = 16 << 20
	// maxGrowth is how many bytes larger it may be: some seconds of hashing,
	// as an artifact that is large itself would cost.
	maxGrowth = 4 << 30
)

// message reads a signed message: either a one-pass signature for each
// signature, the data, and the signatures in reverse order; or, as was usual
// once, signatures and then the data.
type message struct {
	ring    *Keyring
	at      time.Time
	content *signature.Content
	inside  bool // a compressed packet
	onePass []*packet.OnePassSignature
	bodies  [][]byte // of signature packets
	sums    digests
}

// verifyMessage verifies the signatures of a binary message.
func verifyMessage(r *bufio.Reader, c *signature.Content, ring *Keyring, at time.Time) ([]signature.Result, error) {
	m := &message{ring: ring, at: at, content: c, sums: digests{}}
	switch err := m.read(r); {
	case err == errAllStrangers:
		return m.strangers(), err
	case err != nil:
		return nil, fmt.Errorf("signed message: %w", err)
	}
	claims := make([]*claim, len(m.bodies))
	for i, body := range m.bodies {
		claims[i] = m.ring.claim(body, m.at)
		if len(m.onePass) == 0 {
			continue
		}
		if err := announced(m.onePass[len(m.onePass)-1-i], claims[i].sig); err != nil {
			claims[i].refuse(err.Error())
		}
	}
	return settle(claims, m.sums), nil
}

// errAllStrangers ends a message before its data: there is no key to hold a
// signature against. The results are there all the same.
var errAllStrangers = errors.New("no certificate is known")

// strangers are the results for signatures, or for what announces them, that
// nobody known can have made.
func (m *message) strangers() (results []signature.Result) {
	for _, o := range slices.Backward(m.onePass) {
		by := fmt.Sprintf("%016X", o.KeyId)
		if len(o.KeyFingerprint) > 0 {
			by = fmt.Sprintf("%X", o.KeyFingerprint)
		}
		results = append(results, signature.Stranger(Kind, by, "%s", m.ring.unknown(by)))
	}
	for _, body := range m.bodies {
		results = append(results, m.ring.claim(body, m.at).result)
	}
	return results
}

// announced fails unless a one-pass signature is the one for sig.
func announced(o *packet.OnePassSignature, sig *packet.Signature) error {
	if sig == nil {
		return nil // the claim says why
	}
	if (o.Version == 6) != (sig.Version == 6) || o.SigType != sig.SigType || o.Hash != sig.Hash ||
		o.PubKeyAlgo != sig.PubKeyAlgo || string(o.Salt) != string(sig.Salt()) ||
		fmt.Sprintf("%016X", o.KeyId) != keyID(issuer(sig)) {
		return fmt.Errorf("signature is not the one that was announced before the data")
	}
	return nil
}

// read reads a message to the end of r.
func (m *message) read(r *bufio.Reader) error {
	packets := packetReader{r}
	for first, data := true, false; ; first = false {
		tag, body, err := packets.next()
		if err == io.EOF {
			return m.complete(data)
		}
		if err != nil {
			return truncated(err)
		}
		switch {
		case tag == tagCompressed && first && !m.inside:
			if err := m.readCompressed(body); err != nil {
				return err
			}
			return atEnd(r.ReadByte())
		case tag == tagOnePass && !data && len(m.bodies) == 0:
			err = m.readOnePass(body)
		case tag == tagSignature && (data == (len(m.onePass) > 0)):
			err = m.readSignature(body)
		case tag == tagLiteral && !data && len(m.onePass)+len(m.bodies) > 0:
			data, err = true, m.readLiteral(body)
		case tag == tagEncrypted || tag == tagEncryptedChecked || tag == tagEncryptedAEAD || tag == tagEncryptedKey || tag == tagSymmetricKey:
			return fmt.Errorf("encrypted, its signatures cannot be seen")
		case tag == tagLiteral && !data:
			return fmt.Errorf("not signed")
		default:
			return fmt.Errorf("a packet of type %d where none may be", tag)
		}
		if err != nil {
			return truncated(err)
		}
	}
}

// complete fails unless everything that began has come to its end.
func (m *message) complete(data bool) error {
	switch {
	case !data:
		return fmt.Errorf("truncated: no data")
	case len(m.onePass) > len(m.bodies):
		return fmt.Errorf("truncated: %d signatures announced, %d found", len(m.onePass), len(m.bodies))
	}
	return nil
}

func (m *message) readOnePass(body *packetBody) error {
	raw, err := body.whole()
	if err != nil {
		return err
	}
	p, err := parsePacket(tagOnePass, raw)
	if err != nil {
		return err
	}
	o, ok := p.(*packet.OnePassSignature)
	switch n := len(m.onePass); {
	case !ok:
		return fmt.Errorf("not a one-pass signature")
	case n == MaxSignatures:
		return fmt.Errorf("more than %d signatures", MaxSignatures)
	case n > 0 && m.onePass[n-1].IsLast:
		return fmt.Errorf("signs another signed message, which is not supported")
	}
	m.onePass = append(m.onePass, o)
	known := m.ring.keysOf(&packet.Signature{IssuerKeyId: &o.KeyId})
	if len(known) > 0 && strongHash(o.Hash) && (o.SigType == packet.SigTypeBinary || o.SigType == packet.SigTypeText) {
		m.sums.need(digest{o.Hash, o.SigType == packet.SigTypeText, string(o.Salt)})
	}
	return nil
}

func (m *message) readSignature(body *packetBody) error {
	raw, err := body.whole()
	if err != nil {
		return err
	}
	limit := MaxSignatures
	if len(m.onePass) > 0 {
		limit = len(m.onePass)
	}
	if len(m.bodies) == limit {
		return fmt.Errorf("more than %d signatures", limit)
	}
	m.bodies = append(m.bodies, raw)
	if len(m.onePass) == 0 {
		if c := m.ring.claim(raw, m.at); c.open() {
			m.sums.need(digestOf(c.sig))
		}
	}
	return nil
}

// readLiteral hashes the data, RFC 9580 section 5.9. The name and the date
// before it are not signed, and nobody reads them here.
func (m *message) readLiteral(body *packetBody) error {
	if n := len(m.onePass); n > 0 && !m.onePass[n-1].IsLast {
		return fmt.Errorf("the last one-pass signature is missing")
	}
	if m.ring.Len() == 0 {
		return errAllStrangers
	}
	if err := m.content.Spend(m.sums.passes() - 1); err != nil { // one is being read
		return err
	}
	var head [2]byte
	if _, err := io.ReadFull(body, head[:]); err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, body, int64(head[1])+4); err != nil {
		return err
	}
	_, err := io.CopyBuffer(m.sums, body, make([]byte, maxArmorLine))
	return err
}

// readCompressed reads a message that is compressed as a whole, RFC 9580
// section 5.6.
func (m *message) readCompressed(body *packetBody) error {
	algorithm, err := body.ReadByte()
	if err != nil {
		return truncated(err)
	}
	var inflated io.Reader
	switch algorithm {
	case 0:
		inflated = body
	case 1:
		inflated = flate.NewReader(body)
	case 2:
		if inflated, err = zlib.NewReader(body); err != nil {
			return truncated(err)
		}
	case 3:
		inflated = bzip2.NewReader(body)
	default:
		return fmt.Errorf("compressed with the unknown algorithm %d", algorithm)
	}
	m.inside = true
	limit := expansion(m.content.Size())
	limited := &limitedReader{inflated, limit, limit}
	if err := m.read(bufio.NewReaderSize(limited, maxArmorLine)); err != nil {
		return err
	}
	return atEnd(body.ReadByte())
}

// atEnd fails unless reading one more byte has failed with io.EOF.
func atEnd(_ byte, err error) error {
	switch err {
	case io.EOF:
		return nil
	case nil:
		return fmt.Errorf("there is more after the end of the compressed data")
	}
	return truncated(err)
}

// expansion is how many bytes so many may decompress to.
func expansion(size int64) int64 {
	return max(minExpansion, min(size*maxExpansion, size+maxGrowth))
}

// limitedReader fails after so many bytes.
type limitedReader struct {
	r           io.Reader
	limit, left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, fmt.Errorf("expands to more than %d bytes", l.limit)
	}
	return n, err
}

// truncated puts the end of the data into words.
func truncated(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("truncated")
	}
	return err
}
