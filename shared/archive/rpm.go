package archive

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// RPMHeader is who an RPM package says it is. Fields are empty where the
// package does not have the tag.
type RPMHeader struct {
	Name, Epoch, Version, Release, Arch string
	Summary, License, Vendor            string
	Requires, Provides                  []string // names of capabilities; none where there are more than 65,536
}

const (
	rpmLead      = 96
	rpmMagic     = "\x8e\xad\xe8"
	maxRPMHeader = 16 << 20 // index and store together

	maxRPMCapabilities = 65_536
)

// ReadRPMHeader reads lead, signature and header of an RPM package (format 3
// and 4) and leaves r at the first byte of the payload. Nothing is verified.
// Malformed input gives an error that wraps ErrDamaged, a header over 16 MiB
// one that wraps ErrUnsupported.
func ReadRPMHeader(r io.Reader) (RPMHeader, error) {
	var h RPMHeader
	index, store, err := readRPMSections(r)
	if err != nil {
		return h, err
	}
	return rpmHeader(index, store)
}

// ParseRPMHeader reads a header as rpm's database keeps it: the counts of
// index entries and of bytes in the store, then both. Errors wrap ErrDamaged.
func ParseRPMHeader(data []byte) (RPMHeader, error) {
	if len(data) < 8 {
		return RPMHeader{}, damaged(nil, "rpm: a header of %d bytes", len(data))
	}
	entries, size := int64(binary.BigEndian.Uint32(data)), int64(binary.BigEndian.Uint32(data[4:]))
	if data = data[8:]; entries*16+size > int64(len(data)) {
		return RPMHeader{}, damaged(nil, "rpm: a header of %d bytes, of which %d are there", entries*16+size, len(data))
	}
	return rpmHeader(data[:entries*16], data[entries*16:entries*16+size])
}

func rpmHeader(index, store []byte) (h RPMHeader, err error) {
	for tag, field := range map[uint32]*string{
		1000: &h.Name, 1001: &h.Version, 1002: &h.Release, 1003: &h.Epoch,
		1004: &h.Summary, 1011: &h.Vendor, 1014: &h.License, 1022: &h.Arch,
	} {
		if *field, err = rpmTag(index, store, tag); err != nil {
			return h, err
		}
	}
	for tag, field := range map[uint32]*[]string{1047: &h.Provides, 1049: &h.Requires} {
		if *field, err = rpmStrings(index, store, tag, maxRPMCapabilities); err != nil && !errors.Is(err, ErrUnsupported) {
			return h, err
		}
	}
	return h, nil
}

// readRPMSections reads up to the payload and gives the header's index and
// store.
func readRPMSections(r io.Reader) (index, store []byte, err error) {
	lead := make([]byte, rpmLead)
	if _, err := io.ReadFull(r, lead); err != nil {
		return nil, nil, asFault(err, "rpm: lead")
	}
	if Sniff(lead) != RPM {
		return nil, nil, damaged(nil, "rpm: no magic")
	}
	index, store, err = readRPMSection(r, "signature")
	if err != nil {
		return nil, nil, err
	}
	if odd := (len(index) + len(store)) % 8; odd != 0 { // the 16 bytes before keep the alignment
		if _, err := io.CopyN(io.Discard, r, int64(8-odd)); err != nil {
			return nil, nil, asFault(err, "rpm: padding of the signature")
		}
	}
	return readRPMSection(r, "header")
}

// readRPMSection reads the magic, the counts, the index of 16 bytes an entry
// and the store it points into.
func readRPMSection(r io.Reader, what string) (index, store []byte, err error) {
	var intro [16]byte
	if _, err := io.ReadFull(r, intro[:]); err != nil {
		return nil, nil, asFault(err, "rpm: %s", what)
	}
	if string(intro[:3]) != rpmMagic {
		return nil, nil, damaged(nil, "rpm: %s has no magic", what)
	}
	entries := int64(binary.BigEndian.Uint32(intro[8:]))
	size := int64(binary.BigEndian.Uint32(intro[12:]))
	if entries*16+size > maxRPMHeader {
		return nil, nil, unsupported("rpm: %s of %d bytes; the most read is %d", what, entries*16+size, maxRPMHeader)
	}
	var b bytes.Buffer // grows with what is there, not with what was claimed
	if _, err := io.CopyN(&b, r, entries*16+size); err != nil {
		return nil, nil, asFault(err, "rpm: %s of %d bytes", what, entries*16+size)
	}
	return b.Bytes()[:entries*16], b.Bytes()[entries*16:], nil
}

// rpmTag gives the first string or number of a tag, the untranslated one of
// an internationalised string.
func rpmTag(index, store []byte, tag uint32) (string, error) {
	const int32Type, stringType, stringArray, i18nString = 4, 6, 8, 9
	for ; len(index) > 0; index = index[16:] {
		if binary.BigEndian.Uint32(index) != tag {
			continue
		}
		kind := binary.BigEndian.Uint32(index[4:])
		at := int64(binary.BigEndian.Uint32(index[8:]))
		if at > int64(len(store)) {
			return "", damaged(nil, "rpm: tag %d lies outside the header", tag)
		}
		switch value := store[at:]; kind {
		case int32Type:
			if len(value) < 4 {
				return "", damaged(nil, "rpm: tag %d lies outside the header", tag)
			}
			return strconv.FormatUint(uint64(binary.BigEndian.Uint32(value)), 10), nil
		case stringType, stringArray, i18nString:
			s, _, found := bytes.Cut(value, []byte{0})
			if !found {
				return "", damaged(nil, "rpm: tag %d does not end", tag)
			}
			return string(s), nil
		default:
			return "", damaged(nil, "rpm: tag %d has type %d", tag, kind)
		}
	}
	return "", nil
}

// rpm walks the payload. Its compressor is told from its bytes; the tag that
// names it is free text.
func (w *walk) rpm(c *container, s *source) error {
	br := bufio.NewReaderSize(s.seq, 32<<10)
	if _, err := ReadRPMHeader(br); err != nil {
		return err
	}
	payload := &source{seq: br, charged: s.charged}
	head, err := payload.head()
	if err != nil && err != io.EOF {
		return err
	}
	f := Sniff(head)
	if f.compressed() {
		packed := &container{format: f, parents: c.parents, path: c.path}
		inner, closeInner, err := w.inflate(packed, payload)
		if err != nil {
			return fmt.Errorf("open the payload: %w", err)
		}
		defer closeInner()
		payload = inner
		if head, err = payload.head(); err != nil && len(head) == 0 {
			return asFault(err, "rpm: payload")
		}
		f = Sniff(head)
	}
	switch {
	case f == Cpio:
		return w.sequence(c, payload)
	case len(head) == 0:
		return damaged(nil, "rpm: no payload")
	}
	return unsupported("rpm: payload is %s, not cpio", f)
}
