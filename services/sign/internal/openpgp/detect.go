package openpgp

import "bytes"

// Form is what a file is, by its first bytes.
type Form int

const (
	None             Form = iota // nothing that OpenPGP would begin with
	ArmoredSignature             // detached, for VerifyDetached
	BinarySignature
	ArmoredKeyring // for ParseKeyring
	BinaryKeyring
	ClearSigned // for VerifyInline, as are messages
	ArmoredMessage
	BinaryMessage // signed, compressed or encrypted; or one that says to be so
)

func (f Form) String() string {
	return [...]string{
		"none", "armored signature", "binary signature", "armored keyring", "binary keyring",
		"clear-signed text", "armored message", "binary message",
	}[f]
}

// Detect tells what a file is that begins with head; 64 bytes are enough. It
// is no more than a plausible guess for binary files, of which many begin
// like a packet. Names are not looked at.
func Detect(head []byte) Form {
	if len(head) > 0 && head[0]&0x80 != 0 {
		return detectBinary(head)
	}
	text := bytes.TrimLeft(head, " \t\r\n")
	for begin, form := range map[string]Form{
		armorSignature: ArmoredSignature,
		armorKeys:      ArmoredKeyring,
		armorSecret:    ArmoredKeyring,
		armorCleartext: ClearSigned,
		armorMessage:   ArmoredMessage,
	} {
		if bytes.HasPrefix(text, []byte("-----BEGIN "+begin+"-----")) {
			return form
		}
	}
	return None
}

// detectBinary looks at the first packet, and whether it could be one.
func detectBinary(head []byte) Form {
	tag, size, length, form, err := header(head)
	if err != nil || size >= len(head) || form == definite && length < 2 {
		return None
	}
	body := head[size:]
	version := body[0]
	switch tag {
	case tagSignature:
		if form == definite && version >= 2 && version <= 6 {
			return BinarySignature
		}
	case tagPublicKey, tagSecretKey:
		if form == definite && version >= 2 && version <= 6 {
			return BinaryKeyring
		}
	case tagOnePass:
		if version == 3 && length == 13 || version == 6 && length > 38 && length < 256 {
			return BinaryMessage
		}
	case tagCompressed:
		if version <= 3 { // the algorithm
			return BinaryMessage
		}
	case tagLiteral:
		if bytes.IndexByte([]byte("btu1lm"), body[0]) >= 0 {
			return BinaryMessage
		}
	case tagEncryptedKey:
		if version == 3 || version == 6 {
			return BinaryMessage
		}
	case tagSymmetricKey:
		if version >= 4 && version <= 6 {
			return BinaryMessage
		}
	case tagEncryptedChecked, tagEncryptedAEAD:
		if version == 1 || version == 2 {
			return BinaryMessage
		}
	}
	return None
}

// binaryPackets says whether a file holds packets as they are, not armored.
func binaryPackets(file []byte) bool { return len(file) > 0 && file[0]&0x80 != 0 }
