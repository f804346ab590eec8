package openpgp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"assize.dev/services/sign/internal/signature"
)

// VerifyInline verifies the signatures of an artifact that is itself a
// clear-signed text (RFC 9580, section 7) or a signed message (section 10.3),
// armored or binary, and compressed at most once. It returns as VerifyDetached
// does. Messages of any size are read once, as a stream.
//
// Whatever stands outside of what is signed makes the artifact not valid:
// somebody may read it as if it were signed too. With an empty ring all
// signers are strangers, and a message is only read up to its data.
func VerifyInline(c *signature.Content, ring *Keyring, at time.Time) ([]signature.Result, error) {
	src := &source{r: c.Reader()}
	r := bufio.NewReaderSize(src, maxArmorLine)
	head, _ := r.Peek(64)
	var results []signature.Result
	var err error
	switch Detect(head) {
	case ClearSigned:
		results, err = verifyCleartext(r, c.Size(), ring, at)
	case ArmoredMessage:
		results, err = verifyArmored(r, c, ring, at)
	default:
		results, err = verifyMessage(r, c, ring, at)
	}
	if errors.Is(src.err, signature.ErrBudget) {
		err = src.err
	} else if src.err != nil {
		return nil, src.err
	}
	if err != nil && !errors.Is(err, errAllStrangers) {
		return []signature.Result{signature.Invalid(Kind, "%v", err)}, nil
	}
	return results, nil
}

// source remembers a failure of reading the artifact, which is not the fault
// of the signature.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// verifyArmored verifies a message in one armored block.
func verifyArmored(r *bufio.Reader, c *signature.Content, ring *Keyring, at time.Time) ([]signature.Result, error) {
	begin, err := readLine(r)
	if err != nil {
		return nil, err
	}
	body, err := openArmor(r, begin, armorMessage)
	if err != nil {
		return nil, err
	}
	results, err := verifyMessage(bufio.NewReaderSize(body, maxArmorLine), c, ring, at)
	if err != nil {
		return results, err
	}
	return results, onlySpace(r)
}

// onlySpace fails if anything but white space is left.
func onlySpace(r *bufio.Reader) error {
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		if len(bytes.TrimSpace(buf[:n])) > 0 {
			return fmt.Errorf("there is more after the signed part, which nobody signed")
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
