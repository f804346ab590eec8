package openpgp

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
)

// Types of ASCII armor, RFC 9580 section 6.2.
const (
	armorSignature = "PGP SIGNATURE"
	armorKeys      = "PGP PUBLIC KEY BLOCK"
	armorMessage   = "PGP MESSAGE"
	armorCleartext = "PGP SIGNED MESSAGE"
	armorSecret    = "PGP PRIVATE KEY BLOCK"
)

const (
	// maxArmorLine bounds a line of armor. Base64 has 76 characters; header
	// lines and text around blocks of keys are longer.
	maxArmorLine = 64 << 10
	// maxArmorHeaders bounds the header lines of a block.
	maxArmorHeaders = 64
)

// readArmored decodes all blocks in file, which must be of one kind. Only
// white space may stand around them, unless prose is set: lists of keys are
// often commented. A line that begins with five dashes and goes on is never
// prose, so that a block with a damaged first or last line is an error.
func readArmored(file []byte, kind string, prose bool) ([][]byte, error) {
	r := bufio.NewReaderSize(bytes.NewReader(file), maxArmorLine)
	var blocks [][]byte
	for {
		line, err := readLine(r)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if len(line) == 0 {
			continue
		}
		if !bytes.HasPrefix(line, []byte("-----")) || prose && len(bytes.Trim(line, "-")) == 0 {
			if !prose {
				return nil, fmt.Errorf("text outside of the armored block")
			}
			continue
		}
		body, err := openArmor(r, line, kind)
		if err != nil {
			return nil, err
		}
		block, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		blocks = append(blocks, block)
	}
	if len(blocks) == 0 {
		return nil, fmt.Errorf("holds neither packets nor an armored block %q", kind)
	}
	return blocks, nil
}

// readLine is the next line without its end and white space before that. The
// line is valid until the next call.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("line of more than %d bytes", r.Size())
	}
	if err == io.EOF && len(line) > 0 {
		err = nil
	}
	return bytes.TrimRight(line, " \t\r\n"), err
}

// armorReader decodes one block. At its end it has read the END line and
// nothing after it.
type armorReader struct {
	r       *bufio.Reader
	kind    string
	text    []byte // base64 that does not make up four characters yet
	data    []byte // decoded and not yet read
	padded  bool   // no more base64 may follow
	trailer bool   // the checksum was read: only the END line may follow
	end     bool
}

// openArmor begins to decode a block of the kind whose BEGIN line was just
// read from r.
func openArmor(r *bufio.Reader, begin []byte, kind string) (*armorReader, error) {
	if string(begin) != "-----BEGIN "+kind+"-----" {
		if string(begin) == "-----BEGIN "+armorSecret+"-----" {
			return nil, fmt.Errorf("holds a private key; it belongs in no keyring, export the public one")
		}
		return nil, fmt.Errorf("line %.60q where an armored block %q should begin", begin, kind)
	}
	for range maxArmorHeaders {
		line, err := readLine(r)
		if err != nil {
			return nil, fmt.Errorf("truncated in the header of an armored block: %w", unexpected(err))
		}
		if len(line) == 0 {
			return &armorReader{r: r, kind: kind}, nil
		}
		if !bytes.Contains(line, []byte(":")) {
			return nil, fmt.Errorf("no empty line before the data of an armored block")
		}
	}
	return nil, fmt.Errorf("armored block with more than %d header lines", maxArmorHeaders)
}

func (a *armorReader) Read(p []byte) (int, error) {
	for len(a.data) == 0 {
		if a.end {
			return 0, io.EOF
		}
		if err := a.line(); err != nil {
			return 0, err
		}
	}
	n := copy(p, a.data)
	a.data = a.data[n:]
	return n, nil
}

// line takes the next line. The checksum is not compared: RFC 9580, section
// 6.1, forbids to reject a block for it.
func (a *armorReader) line() error {
	line, err := readLine(a.r)
	if err != nil {
		return fmt.Errorf("armored block without an end: %w", unexpected(err))
	}
	switch {
	case bytes.HasPrefix(line, []byte("-----")):
		if string(line) != "-----END "+a.kind+"-----" {
			return fmt.Errorf("line %.60q where an armored block %q should end", line, a.kind)
		}
		if len(a.text) > 0 {
			return fmt.Errorf("armored block ends within a group of base64")
		}
		a.end = true
		return nil
	case a.trailer:
		return fmt.Errorf("data after the checksum of an armored block")
	case len(line) == 5 && line[0] == '=' && len(a.text) == 0:
		a.trailer = true
		return nil
	case len(line) > 0 && a.padded:
		return fmt.Errorf("data after the end of base64 in an armored block")
	}
	a.text = append(a.text, line...)
	whole := len(a.text) / 4 * 4
	a.padded = a.padded || whole > 0 && a.text[whole-1] == '='
	a.data, err = base64.StdEncoding.Strict().AppendDecode(a.data[:0], a.text[:whole])
	if err != nil {
		return fmt.Errorf("armored block: %w", err)
	}
	a.text = append(a.text[:0], a.text[whole:]...)
	return nil
}
