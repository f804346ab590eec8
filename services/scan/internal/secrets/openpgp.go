package secrets

import (
	"encoding/binary"

	"assize.dev/shared/event"
)

// openpgpRule is tried at the beginning of a file: the packets of a key have
// no literal.
var openpgpRule = &rule{id: "private_key", title: "OpenPGP private key", severity: event.Critical, confidence: byStructure}

// Packet tags (RFC 9580, section 5).
const (
	secretKeyTag    = 5
	secretSubkeyTag = 7
)

// openpgpKey is a secret key as it is exported without armour: a file that
// begins with its packet. Where that holds only a stub, as of a primary key
// that is kept elsewhere, the subkeys behind it are looked at.
func openpgpKey(text []byte) (finding, bool) {
	text = text[:min(len(text), lookAhead)]
	for at, packets := 0, 0; packets < 100; packets++ {
		tag, body, end, ok := openpgpPacket(text, at)
		if !ok || packets == 0 && tag != secretKeyTag {
			break
		}
		if tag == secretKeyTag || tag == secretSubkeyTag {
			usage, material, ok := secretMaterial(body)
			if !ok {
				break
			}
			if len(material) >= 16 && entropy(material) >= 3 {
				f := finding{start: at, end: end}
				if usage != 0 {
					f.severity = event.Medium // encrypted
				}
				return f, true
			}
		}
		at = end
	}
	return finding{}, false
}

// openpgpPacket reads the packet that begins at text[at], of either format
// (RFC 9580, section 4.2). It must be there whole.
func openpgpPacket(text []byte, at int) (tag byte, body []byte, end int, ok bool) {
	rest := text[at:]
	if len(rest) < 6 || rest[0]&0x80 == 0 {
		return 0, nil, 0, false
	}
	head, n := 0, 0
	if rest[0]&0x40 != 0 {
		tag = rest[0] & 0x3F
		switch first := int(rest[1]); {
		case first < 192:
			head, n = 2, first
		case first < 224:
			head, n = 3, (first-192)<<8+int(rest[2])+192
		case first == 255:
			head, n = 6, int(binary.BigEndian.Uint32(rest[2:]))
		default:
			return 0, nil, 0, false // parts, which keys do not come in
		}
	} else {
		tag = rest[0] >> 2 & 0x0F
		switch rest[0] & 3 {
		case 0:
			head, n = 2, int(rest[1])
		case 1:
			head, n = 3, int(binary.BigEndian.Uint16(rest[1:]))
		case 2:
			head, n = 5, int(binary.BigEndian.Uint32(rest[1:]))
		default:
			return 0, nil, 0, false
		}
	}
	if n < 0 || n > len(rest)-head {
		return 0, nil, 0, false
	}
	return tag, rest[head : head+n], at + head + n, true
}

// secretMaterial is what a secret key packet holds of the secret, and how:
// usage is 0 where it is not encrypted (RFC 9580, section 5.5.3; version 5 is
// LibrePGP's).
func secretMaterial(body []byte) (usage byte, material []byte, ok bool) {
	if len(body) < 8 {
		return 0, nil, false
	}
	rest := body[6:]
	switch body[0] {
	case 4:
		if rest, ok = behindPublic(body[5], rest); !ok {
			return 0, nil, false
		}
	case 5, 6:
		if len(rest) < 4 {
			return 0, nil, false
		}
		n := binary.BigEndian.Uint32(rest)
		if n > uint32(len(rest)-4) {
			return 0, nil, false
		}
		rest = rest[4+n:]
	default:
		return 0, nil, false
	}
	if len(rest) == 0 {
		return 0, nil, false
	}
	usage, rest = rest[0], rest[1:]
	specifier := 1 // of how the passphrase makes a key, behind the cipher
	if body[0] == 5 {
		specifier = 2 // and behind a length
	}
	const stub = 101 // GnuPG's
	if usage >= 254 && len(rest) > specifier && rest[specifier] == stub {
		return usage, nil, true
	}
	if body[0] == 4 && usage == 0 && !summed(rest) {
		return 0, nil, false
	}
	return usage, rest, usage <= 13 || usage >= 253
}

// summed reports whether the last two bytes are the sum of those before.
func summed(material []byte) bool {
	n := len(material) - 2
	if n < 0 {
		return false
	}
	sum := uint16(0)
	for _, c := range material[:n] {
		sum += uint16(c)
	}
	return sum == binary.BigEndian.Uint16(material[n:])
}

// behindPublic steps over the public part of a key of version 4.
func behindPublic(algorithm byte, rest []byte) ([]byte, bool) {
	numbers, fixed := 0, 0
	switch algorithm {
	case 1, 2, 3: // RSA
		numbers = 2
	case 16: // Elgamal
		numbers = 3
	case 17: // DSA
		numbers = 4
	case 18, 19, 22: // ECDH, ECDSA, EdDSA: a curve and a point
		if len(rest) == 0 {
			return nil, false
		}
		fixed, numbers = 1+int(rest[0]), 1
	case 25, 27: // X25519, Ed25519
		fixed = 32
	case 26: // X448
		fixed = 56
	case 28: // Ed448
		fixed = 57
	default:
		return nil, false
	}
	if fixed > len(rest) {
		return nil, false
	}
	rest = rest[fixed:]
	for range numbers {
		if len(rest) < 2 {
			return nil, false
		}
		n := (int(binary.BigEndian.Uint16(rest)) + 7) / 8
		if n == 0 || n > len(rest)-2 {
			return nil, false
		}
		rest = rest[2+n:]
	}
	if algorithm == 18 { // how the key is derived
		if len(rest) == 0 || int(rest[0]) > len(rest)-1 {
			return nil, false
		}
		rest = rest[1+int(rest[0]):]
	}
	return rest, true
}
