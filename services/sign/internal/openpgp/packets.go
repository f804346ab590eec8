package openpgp

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Packet types, RFC 9580 section 5.
const (
	tagEncryptedKey     = 1
	tagSignature        = 2
	tagSymmetricKey     = 3
	tagOnePass          = 4
	tagSecretKey        = 5
	tagPublicKey        = 6
	tagSecretSubkey     = 7
	tagCompressed       = 8
	tagEncrypted        = 9
	tagMarker           = 10
	tagLiteral          = 11
	tagTrust            = 12
	tagUserID           = 13
	tagPublicSubkey     = 14
	tagOldComment       = 16 // GnuPG before 1.0
	tagUserAttribute    = 17
	tagEncryptedChecked = 18
	tagEncryptedAEAD    = 20
	tagPadding          = 21
	tagFirstNonCritical = 40
)

// maxPacket bounds every packet but those of data. The largest in use is a
// user attribute with a photograph.
const maxPacket = 8 << 20

// rawPacket is one packet of a signature or a certificate. The body is part
// of the bytes it was cut from.
type rawPacket struct {
	tag  byte
	body []byte
}

// Forms of a packet's length, RFC 9580 section 4.2.
type lengthForm int

const (
	definite lengthForm = iota
	partial             // more pieces follow
	openEnd             // to the end of the data
)

// header reads the header of the packet that b begins with. If b is too short
// for that, the error is io.ErrUnexpectedEOF.
func header(b []byte) (tag byte, size int, length int64, form lengthForm, err error) {
	if len(b) == 0 {
		return 0, 0, 0, 0, io.ErrUnexpectedEOF
	}
	if b[0]&0x80 == 0 {
		return 0, 0, 0, 0, fmt.Errorf("byte 0x%02x begins no packet", b[0])
	}
	if b[0]&0x40 != 0 { // OpenPGP format
		n, length, form, err := newLength(b[1:])
		return b[0] & 0x3f, 1 + n, length, form, err
	}
	tag = b[0] >> 2 & 0xf
	if b[0]&3 == 3 {
		return tag, 1, 0, openEnd, nil
	}
	n := 1 << (b[0] & 3)
	if len(b) < 1+n {
		return 0, 0, 0, 0, io.ErrUnexpectedEOF
	}
	for _, octet := range b[1 : 1+n] {
		length = length<<8 | int64(octet)
	}
	return tag, 1 + n, length, definite, nil
}

// newLength reads a length in the OpenPGP format, RFC 9580 section 4.2.1.
func newLength(b []byte) (size int, length int64, form lengthForm, err error) {
	switch {
	case len(b) == 0:
	case b[0] < 192:
		return 1, int64(b[0]), definite, nil
	case b[0] < 224:
		if len(b) > 1 {
			return 2, int64(b[0]-192)<<8 + int64(b[1]) + 192, definite, nil
		}
	case b[0] < 255:
		return 1, 1 << (b[0] & 0x1f), partial, nil
	default:
		if len(b) > 4 {
			return 5, int64(binary.BigEndian.Uint32(b[1:])), definite, nil
		}
	}
	return 0, 0, 0, io.ErrUnexpectedEOF
}

// cutPacket takes the first packet, which is not one of data, from b.
func cutPacket(b []byte) (p rawPacket, rest []byte, err error) {
	tag, size, length, form, err := header(b)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return p, nil, fmt.Errorf("truncated in the header of a packet")
	case err != nil:
		return p, nil, err
	case form != definite:
		return p, nil, fmt.Errorf("packet of type %d without a definite length", tag)
	case length > maxPacket:
		return p, nil, fmt.Errorf("packet of type %d with %d bytes, at most %d are allowed", tag, length, maxPacket)
	case length > int64(len(b)-size):
		return p, nil, fmt.Errorf("truncated: a packet of type %d has %d of its %d bytes", tag, len(b)-size, length)
	}
	end := size + int(length)
	return rawPacket{tag, b[size:end:end]}, b[end:], nil
}

// parsePacket has go-crypto parse one packet. It fails if bytes are left
// over. On an error the packet, if any, is incomplete.
func parsePacket(tag byte, body []byte) (packet.Packet, error) {
	head := binary.BigEndian.AppendUint32([]byte{0xc0 | tag, 255}, uint32(len(body)))
	r := bytes.NewReader(body)
	p, err := packet.Read(io.MultiReader(bytes.NewReader(head), r))
	if err == nil && r.Len() > 0 {
		err = fmt.Errorf("%d bytes too many in a packet of type %d", r.Len(), tag)
	}
	return p, err
}

// packetReader reads the packets of a message, in which data can be longer
// than memory.
type packetReader struct {
	r *bufio.Reader
}

// next is the next packet, io.EOF if there is none. The packet before must
// have been read to its end.
func (p packetReader) next() (tag byte, body *packetBody, err error) {
	b, err := p.r.Peek(6) // the longest header
	if len(b) == 0 {
		return 0, nil, err
	}
	tag, size, length, form, err := header(b)
	if err != nil {
		return 0, nil, err
	}
	if _, err := p.r.Discard(size); err != nil {
		return 0, nil, err
	}
	return tag, &packetBody{r: p.r, left: length, form: form}, nil
}

// packetBody reads what a packet contains and not one byte more.
type packetBody struct {
	r    *bufio.Reader
	left int64 // in this piece
	form lengthForm
}

// more tells whether bytes are left, having read the next piece's length if
// need be; a packet that ends early is io.ErrUnexpectedEOF.
func (b *packetBody) more() (bool, error) {
	for b.left == 0 && b.form == partial {
		head, err := b.r.Peek(5)
		if len(head) == 0 {
			return false, unexpected(err)
		}
		size, length, form, err := newLength(head)
		if err != nil {
			return false, err
		}
		if _, err := b.r.Discard(size); err != nil {
			return false, err
		}
		b.left, b.form = length, form
	}
	return b.left > 0 || b.form == openEnd, nil
}

func (b *packetBody) Read(p []byte) (int, error) {
	if ok, err := b.more(); err != nil || !ok {
		return 0, cmp.Or(err, io.EOF)
	}
	if b.form == openEnd {
		return b.r.Read(p)
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, unexpected(err)
}

// ReadByte makes decompressors read no further than they must.
func (b *packetBody) ReadByte() (byte, error) {
	if ok, err := b.more(); err != nil || !ok {
		return 0, cmp.Or(err, io.EOF)
	}
	c, err := b.r.ReadByte()
	if b.form == openEnd {
		return c, err
	}
	if err == nil {
		b.left--
	}
	return c, unexpected(err)
}

// whole reads a packet that is not one of data.
func (b *packetBody) whole() ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(b, MaxSignatureFile+1))
	if err == nil && len(body) > MaxSignatureFile {
		err = fmt.Errorf("packet of more than %d bytes", MaxSignatureFile)
	}
	return body, err
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
