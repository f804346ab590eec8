package openpgp

import (
	"bytes"
	"crypto"
	"slices"
	"testing"
	"time"
)

var artifact = []byte("first line\nsecond line \r\nthird\twithout an end")

// sample is a keyring, a signature over artifact, and what is to become of it.
type sample struct {
	name string
	ring []byte
	sig  []byte
	// want is "valid", "valid: " and the remark, "stranger", or a part of the
	// reason for not being valid.
	want string
	// sqv is what Sequoia's tool says where it is not the same, "accept" or
	// "reject", and why.
	sqv string
}

// samples is the matrix of what can be right and wrong with one detached
// signature.
func samples(t testing.TB) []sample {
	ed := edKey("signer", day0)
	other := edKey("other", day0)
	signingSub := edKey("subkey", at(10))
	rsa2048, rsa1024 := rsaKey(t, 2048, day0), rsaKey(t, 1024, day0)
	plain := cert{key: ed}
	ring := plain.packets()
	good := forged{created: at(500)}
	with := func(subpackets ...[]byte) forged { return forged{created: at(500), hashed: subpackets} }
	revokedBy := func(created time.Time, subpackets ...[]byte) []byte {
		return cert{key: ed, primary: [][]byte{
			forged{typ: 0x20, created: created, hashed: subpackets}.by(ed, ed.hashedAs()),
		}}.packets()
	}
	subRing := func(binding forged, more ...[]byte) []byte {
		if binding.hashed == nil {
			binding.hashed = [][]byte{maySign, backSig(ed, signingSub, forged{})}
		}
		return cert{key: ed, after: append([][]byte{boundSubkey(ed, signingSub, binding)}, more...)}.packets()
	}
	bySub := signingSub.sign(good, artifact)
	byEd := ed.sign(good, artifact)
	subRevocation := func(created time.Time, code byte) []byte {
		return pkt(2, forged{typ: 0x28, created: created, hashed: [][]byte{reasonFor(code)}}.overKeys(ed, ed, signingSub))
	}
	crlf := bytes.ReplaceAll(bytes.ReplaceAll(artifact, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	expiring := cert{key: ed, self: forged{hashed: [][]byte{mayBoth, keyExpires(1000 * oneDay)}}}.packets()
	edited := func(change func(sig []byte)) []byte {
		sig := bytes.Clone(byEd)
		change(sig)
		return sig
	}
	tooBig := append(bytes.Clone(ring), pkt(60, make([]byte, 10))...)
	return []sample{
		{name: "Ed25519", ring: ring, sig: byEd, want: "valid"},
		{name: "RSA 2048", ring: cert{key: rsa2048}.packets(), sig: rsa2048.sign(good, artifact), want: "valid"},
		{name: "SHA-512", ring: ring, sig: ed.sign(forged{created: at(500), hash: crypto.SHA512}, artifact), want: "valid"},
		{name: "SHA-384", ring: ring, sig: ed.sign(forged{created: at(500), hash: crypto.SHA384}, artifact), want: "valid"},
		{name: "SHA-224", ring: ring, sig: ed.sign(forged{created: at(500), hash: crypto.SHA224}, artifact), want: "valid"},
		{name: "SHA3-256", ring: ring, sig: ed.sign(forged{created: at(500), hash: crypto.SHA3_256}, artifact), want: "valid", sqv: "reject: RFC 9580"},
		{name: "SHA3-512", ring: ring, sig: ed.sign(forged{created: at(500), hash: crypto.SHA3_512}, artifact), want: "valid", sqv: "reject: RFC 9580"},
		{name: "text", ring: ring, sig: ed.sign(forged{typ: 1, created: at(500)}, crlf), want: "valid: how lines end"},
		{name: "text, hashed as binary", ring: ring, sig: ed.sign(forged{typ: 1, created: at(500)}, artifact), want: "does not match"},
		{name: "keyring with packets to ignore", ring: tooBig, sig: byEd, want: "valid"},
		{name: "issuer as key id", ring: ring, sig: ed.sign(forged{created: at(500), unnamed: true, unhashed: [][]byte{sub(16, ed.keyID()...)}}, artifact), want: "valid"},
		{name: "no issuer", ring: ring, sig: ed.sign(forged{created: at(500), unnamed: true}, artifact), want: "does not say who made it"},
		{name: "wildcard issuer", ring: ring, sig: ed.sign(forged{created: at(500), unnamed: true, unhashed: [][]byte{sub(16, make([]byte, 8)...)}}, artifact), want: "does not say who made it"},

		{name: "unknown signer", ring: ring, sig: other.sign(good, artifact), want: "stranger"},
		{name: "unknown signer with SHA-1", ring: ring, sig: other.sign(forged{created: at(500), hash: crypto.SHA1}, artifact), want: "SHA-1, which is no longer safe"},
		{name: "other signer's name", ring: ring, sig: other.sign(forged{created: at(500), named: ed}, artifact), want: "does not match"},
		{name: "other artifact", ring: ring, sig: ed.sign(good, []byte("other")), want: "does not match"},
		{name: "bit flipped", ring: ring, sig: edited(func(s []byte) { s[len(s)-1] ^= 1 }), want: "does not match"},
		{name: "SHA-1", ring: ring, sig: ed.sign(forged{created: at(500), hash: crypto.SHA1}, artifact), want: "SHA-1, which is no longer safe"},
		{name: "MD5", ring: cert{key: rsa2048}.packets(), sig: rsa2048.sign(forged{created: at(500), hash: crypto.MD5}, artifact), want: "hash function 1"},
		{name: "RIPEMD-160", ring: cert{key: rsa2048}.packets(), sig: rsa2048.sign(forged{created: at(500), hash: crypto.RIPEMD160}, artifact), want: "hash function 3"},
		{name: "RSA 1024", ring: cert{key: rsa1024}.packets(), sig: rsa1024.sign(good, artifact), want: "stranger"},
		{name: "certification as signature", ring: ring, sig: ed.sign(forged{typ: 0x13, created: at(500)}, artifact), want: "type 0x13 is not about data"},
		{name: "standalone signature", ring: ring, sig: ed.sign(forged{typ: 2, created: at(500)}, nil), want: "type 0x02 is not about data"},
		{name: "critical notation", ring: ring, sig: ed.sign(with(sub(20|critical, 0x80, 0, 0, 0, 0, 1, 0, 1, 'n', 'v')), artifact), want: "critical notation"},
		{name: "notation", ring: ring, sig: ed.sign(with(sub(20, 0x80, 0, 0, 0, 0, 1, 0, 1, 'n', 'v')), artifact), want: "valid"},
		{name: "critical subpacket", ring: ring, sig: ed.sign(with(sub(100|critical, 1)), artifact), want: "critical signature subpacket"},
		{name: "unknown subpacket", ring: ring, sig: ed.sign(with(sub(100, 1)), artifact), want: "valid"},
		{name: "version 3 signature", ring: ring, sig: pkt(2, append([]byte{3, 5, 0, 0, 0, 0, 0}, make([]byte, 60)...)), want: "version 3"},
		{name: "signature of a hash unknown", ring: ring, sig: edited(func(s []byte) { s[6] = 99 }), want: "hash function 99"},

		{name: "signature expired", ring: ring, sig: ed.sign(with(sigExpires(oneDay)), artifact), want: "signature had expired on 2021-05-16"},
		{name: "signature not yet expired", ring: ring, sig: ed.sign(with(sigExpires(20000*oneDay)), artifact), want: "valid"},
		{name: "future", ring: ring, sig: ed.sign(forged{created: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)}, artifact), want: "from the future"},
		{name: "older than key", ring: ring, sig: ed.sign(forged{created: at(-1)}, artifact), want: "older than the key"},
		{name: "key expired since", ring: expiring, sig: byEd, want: "valid: key expired on 2022-09-27; that it was signed on 2021-05-15 is the signer's word"},
		{name: "after key expiry", ring: expiring, sig: ed.sign(forged{created: at(1001)}, artifact), want: "key expired on 2022-09-27, before the signature was made"},
		{name: "key expiry by a direct signature", ring: cert{key: ed, primary: [][]byte{
			forged{typ: 0x1f, created: day0, hashed: [][]byte{mayBoth, keyExpires(100 * oneDay)}}.by(ed, ed.hashedAs()),
		}}.packets(), sig: byEd, want: "key expired on 2020-04-10"},
		{name: "primary user id decides", ring: cert{key: ed, self: forged{hashed: [][]byte{mayBoth, isPrimUID, keyExpires(100 * oneDay)}}, after: [][]byte{
			pkt(13, []byte("x")), pkt(2, forged{typ: 0x13, created: at(50), hashed: [][]byte{mayBoth}}.overUser(ed, ed, "x")),
		}}.packets(), sig: byEd, want: "key expired on 2020-04-10"},
		{name: "newest user id decides", ring: cert{key: ed, self: forged{hashed: [][]byte{mayBoth, keyExpires(100 * oneDay)}}, after: [][]byte{
			pkt(13, []byte("x")), pkt(2, forged{typ: 0x13, created: at(50), hashed: [][]byte{mayBoth}}.overUser(ed, ed, "x")),
		}}.packets(), sig: byEd, want: "valid"},
		{name: "key extended", ring: cert{key: ed, self: forged{hashed: [][]byte{mayBoth, keyExpires(100 * oneDay)}}, user: [][]byte{
			forged{typ: 0x13, created: at(90), hashed: [][]byte{mayBoth}}.overUser(ed, ed, plain.id()),
		}}.packets(), sig: byEd, want: "valid"},
		{name: "only a later self-signature", ring: cert{key: ed, self: forged{created: at(1000)}}.packets(), sig: byEd, want: "valid: no self-signature from before 2022-09-27", sqv: "reject: wants the old one"},

		{name: "compromised", ring: revokedBy(at(1000), reasonFor(2)), sig: byEd, want: "certificate is revoked (compromised)"},
		{name: "revoked without reason", ring: revokedBy(at(1000), reasonFor(0)), sig: byEd, want: "revoked (no reason given)"},
		{name: "revoked without reason packet", ring: revokedBy(at(1000)), sig: byEd, want: "revoked (no reason given)"},
		{name: "revoked for unknown reason", ring: revokedBy(at(1000), reasonFor(77)), sig: byEd, want: "revoked (unknown reason)"},
		{name: "superseded later", ring: revokedBy(at(1000), reasonFor(1)), sig: byEd, want: "valid: certificate revoked (superseded) on 2022-09-27; that it was signed"},
		{name: "retired later", ring: revokedBy(at(1000), reasonFor(3)), sig: byEd, want: "valid: certificate revoked (retired) on 2022-09-27"},
		{name: "superseded before", ring: revokedBy(at(400), reasonFor(1)), sig: byEd, want: "was revoked (superseded) on 2021-02-04"},
		{name: "revoked with SHA-1", ring: cert{key: ed, primary: [][]byte{
			forged{typ: 0x20, hash: crypto.SHA1, created: at(1000), hashed: [][]byte{reasonFor(2)}}.by(ed, ed.hashedAs()),
		}}.packets(), sig: byEd, want: "compromised"},
		{name: "damaged revocation", ring: cert{key: ed, primary: [][]byte{
			forged{typ: 0x20, created: at(1000), hashed: [][]byte{reasonFor(2)}}.by(ed, other.hashedAs()),
		}}.packets(), sig: byEd, want: "stranger", sqv: "accept: ignores it"},
		{name: "revocation appended", ring: append(bytes.Clone(ring), pkt(2, forged{typ: 0x20, created: at(1000), hashed: [][]byte{reasonFor(2)}}.by(ed, ed.hashedAs()))...), sig: byEd, want: "compromised"},
		{name: "revocation appended to a subkey", ring: subRing(forged{}, pkt(2, forged{typ: 0x20, created: at(1000), hashed: [][]byte{reasonFor(2)}}.by(ed, ed.hashedAs()))), sig: bySub, want: "compromised"},
		{name: "subkey's revocation out of place", ring: cert{key: ed, user: [][]byte{
			forged{typ: 0x28, created: at(1000), hashed: [][]byte{reasonFor(2)}}.overKeys(ed, ed, signingSub),
		}, after: [][]byte{boundSubkey(ed, signingSub, forged{hashed: [][]byte{maySign, backSig(ed, signingSub, forged{})}})}}.packets(), sig: bySub, want: "stranger"},
		{name: "user id's revocation out of place", ring: cert{key: ed, primary: [][]byte{
			forged{typ: 0x30, created: at(400)}.overUser(ed, ed, plain.id()),
		}}.packets(), sig: byEd, want: "stranger", sqv: "accept: puts it in place"},
		{name: "stranger's revocation", ring: cert{key: ed, primary: [][]byte{
			forged{typ: 0x20, created: at(1000), hashed: [][]byte{reasonFor(2)}}.by(other, ed.hashedAs()),
		}}.packets(), sig: byEd, want: "valid"},
		{name: "designated revoker", ring: cert{key: ed, primary: [][]byte{
			forged{typ: 0x1f, created: day0, hashed: [][]byte{sub(12|critical, slices.Concat([]byte{0x80, 22}, mustHex(other.fingerprint()))...)}}.by(ed, ed.hashedAs()),
			forged{typ: 0x20, created: at(1000), hashed: [][]byte{reasonFor(2)}}.by(other, ed.hashedAs()),
		}}.packets(), sig: byEd, want: "stranger", sqv: "accept: has not the revoker's key"},
		{name: "user id revoked before", ring: cert{key: ed, user: [][]byte{
			forged{typ: 0x30, created: at(400)}.overUser(ed, ed, plain.id()),
		}}.packets(), sig: byEd, want: "no valid self-signature on 2021-05-15", sqv: "accept: looks at the key alone"},
		{name: "user id revoked later", ring: cert{key: ed, user: [][]byte{
			forged{typ: 0x30, created: at(600)}.overUser(ed, ed, plain.id()),
		}}.packets(), sig: byEd, want: "valid"},
		{name: "user id certified again", ring: cert{key: ed, user: [][]byte{
			forged{typ: 0x30, created: at(300)}.overUser(ed, ed, plain.id()),
			forged{typ: 0x13, created: at(400), hashed: [][]byte{mayBoth}}.overUser(ed, ed, plain.id()),
		}}.packets(), sig: byEd, want: "valid"},

		{name: "SHA-1 self-signature", ring: cert{key: ed, self: forged{hash: crypto.SHA1}}.packets(), sig: byEd, want: "stranger"},
		{name: "SHA-1 self-signature after a strong one", ring: cert{key: ed, user: [][]byte{
			forged{typ: 0x13, hash: crypto.SHA1, created: at(100), hashed: [][]byte{mayBoth, keyExpires(oneDay)}}.overUser(ed, ed, plain.id()),
		}}.packets(), sig: byEd, want: "valid"},
		{name: "self-signature of somebody else", ring: append(pkt(6, ed.body), slices.Concat(
			pkt(13, []byte("x")), pkt(2, forged{typ: 0x13, created: day0, hashed: [][]byte{mayBoth}, named: ed}.overUser(other, ed, "x")),
		)...), sig: byEd, want: "stranger"},
		{name: "no self-signature", ring: append(pkt(6, ed.body), pkt(13, []byte("x"))...), sig: byEd, want: "stranger"},
		{name: "no key flags", ring: cert{key: ed, self: forged{hashed: [][]byte{}}}.packets(), sig: byEd, want: "not marked as one that may sign"},
		{name: "certify only", ring: cert{key: ed, self: forged{hashed: [][]byte{sub(27, 1)}}}.packets(), sig: byEd, want: "not marked as one that may sign"},
		{name: "direct self-signature and no user id", ring: cert{key: ed, noUser: true, primary: [][]byte{
			forged{typ: 0x1f, created: day0, hashed: [][]byte{mayBoth}}.by(ed, ed.hashedAs()),
		}}.packets(), sig: byEd, want: "valid"},
		{name: "critical notation in self-signature", ring: cert{key: ed, self: forged{hashed: [][]byte{mayBoth, sub(20|critical, 0x80, 0, 0, 0, 0, 1, 0, 1, 'n', 'v')}}}.packets(), sig: byEd, want: "stranger"},

		{name: "subkey", ring: subRing(forged{}), sig: bySub, want: "valid"},
		{name: "subkey without cross-signature", ring: subRing(forged{hashed: [][]byte{maySign}}), sig: bySub, want: "missing cross-signature"},
		{name: "subkey with stranger's cross-signature", ring: subRing(forged{hashed: [][]byte{maySign, sub(32, forged{typ: 0x19, created: at(10)}.overKeys(other, ed, signingSub)...)}}), sig: bySub, want: "cross-signature"},
		{name: "subkey with SHA-1 cross-signature", ring: subRing(forged{hashed: [][]byte{maySign, backSig(ed, signingSub, forged{hash: crypto.SHA1})}}), sig: bySub, want: "cross-signature: made with SHA-1"},
		{name: "subkey with SHA-1 binding", ring: subRing(forged{hash: crypto.SHA1}), sig: bySub, want: "not bound to its certificate: made with SHA-1"},
		{name: "subkey's cross-signature expired", ring: subRing(forged{hashed: [][]byte{maySign, backSig(ed, signingSub, forged{hashed: [][]byte{sigExpires(oneDay)}})}}), sig: bySub, want: "cross-signature had expired"},
		{name: "subkey without sign flag", ring: subRing(forged{hashed: [][]byte{sub(27, 0x0c)}}), sig: bySub, want: "not marked as one that may sign"},
		{name: "subkey without flags", ring: subRing(forged{hashed: [][]byte{}}), sig: bySub, want: "not marked as one that may sign"},
		{name: "subkey expired", ring: subRing(forged{hashed: [][]byte{maySign, backSig(ed, signingSub, forged{}), keyExpires(oneDay)}}), sig: bySub, want: "key expired on 2020-01-12"},
		{name: "subkey expired since", ring: subRing(forged{hashed: [][]byte{maySign, backSig(ed, signingSub, forged{}), keyExpires(990 * oneDay)}}), sig: bySub, want: "valid: key expired on 2022-09-27"},
		{name: "subkey's binding expired", ring: subRing(forged{hashed: [][]byte{maySign, backSig(ed, signingSub, forged{}), sigExpires(oneDay)}}), sig: bySub, want: "subkey was not bound"},
		{name: "subkey compromised", ring: subRing(forged{}, subRevocation(at(1000), 2)), sig: bySub, want: "subkey is revoked (compromised)"},
		{name: "subkey retired later", ring: subRing(forged{}, subRevocation(at(1000), 3)), sig: bySub, want: "valid: subkey revoked (retired)"},
		{name: "subkey retired before", ring: subRing(forged{}, subRevocation(at(400), 3)), sig: bySub, want: "subkey was revoked (retired)"},
		{name: "subkey of a compromised key", ring: cert{key: ed, primary: [][]byte{
			forged{typ: 0x20, created: at(1000), hashed: [][]byte{reasonFor(2)}}.by(ed, ed.hashedAs()),
		}, after: [][]byte{boundSubkey(ed, signingSub, forged{hashed: [][]byte{maySign, backSig(ed, signingSub, forged{})}})}}.packets(), sig: bySub, want: "certificate is revoked (compromised)"},
		{name: "subkey older than binding", ring: subRing(forged{}), sig: signingSub.sign(forged{created: at(5)}, artifact), want: "older than the subkey"},
		{name: "stolen subkey", ring: slices.Concat(ring, cert{key: other, after: [][]byte{boundSubkey(other, ed, forged{created: day0, hashed: [][]byte{maySign}})}}.packets()), sig: byEd, want: "valid"},

		{name: "truncated", ring: ring, sig: byEd[:len(byEd)-1], want: "truncated"},
		{name: "trailing zero", ring: ring, sig: append(bytes.Clone(byEd), 0), want: "begins no packet"},
		{name: "trailing packet", ring: ring, sig: append(bytes.Clone(byEd), pkt(13, []byte("x"))...), want: "packet of type 13"},
		{name: "trailing bytes in the packet", ring: ring, sig: pkt(2, append(good.by(ed, artifact), 0)), want: "1 bytes too many", sqv: "accept: ignores them"},
		{name: "empty", ring: ring, sig: nil, want: "neither packets nor an armored block"},
		{name: "text file", ring: ring, sig: []byte("SHA256 abcdef\n"), want: "text outside"},
	}
}

func mustHex(s string) []byte {
	b, err := hexBytes(s)
	if err != nil {
		panic(err)
	}
	return b
}
