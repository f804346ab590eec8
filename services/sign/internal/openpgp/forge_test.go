package openpgp

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"sync"
	"testing"
	"time"

	_ "crypto/md5"
	_ "crypto/sha1"

	//lint:ignore SA1019 to make signatures that must be refused
	_ "golang.org/x/crypto/ripemd160"
)

// This file writes OpenPGP byte by byte, so that tests can make what no
// library agrees to make. Whether good cases are good OpenPGP is shown by
// other implementations in interop_test.go.

// day0 is when most keys are created, and received when artifacts arrive.
var (
	day0     = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	received = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
)

func at(days int) time.Time { return day0.AddDate(0, 0, days) }

// testKey is a version 4 key.
type testKey struct {
	private crypto.Signer
	algo    byte
	created time.Time
	body    []byte // of its packet
}

// edKey is a legacy Ed25519 key, which every implementation knows.
func edKey(name string, created time.Time) *testKey {
	seed := sha256.Sum256([]byte(name))
	k := &testKey{private: ed25519.NewKeyFromSeed(seed[:]), algo: 22, created: created}
	public := k.private.Public().(ed25519.PublicKey)
	oid := []byte{9, 0x2b, 6, 1, 4, 1, 0xda, 0x47, 0x0f, 1}
	k.body = k.packet(oid, mpi(append([]byte{0x40}, public...)))
	return k
}

var rsaKeys = struct {
	sync.Mutex
	m map[int]*rsa.PrivateKey
}{m: map[int]*rsa.PrivateKey{}}

func rsaKey(t testing.TB, bits int, created time.Time) *testKey {
	t.Helper()
	rsaKeys.Lock()
	defer rsaKeys.Unlock()
	if rsaKeys.m[bits] == nil {
		key, err := rsa.GenerateKey(nil, bits)
		if err != nil {
			t.Fatal(err)
		}
		rsaKeys.m[bits] = key
	}
	private := rsaKeys.m[bits]
	k := &testKey{private: private, algo: 1, created: created}
	k.body = k.packet(mpi(private.N.Bytes()), mpi([]byte{1, 0, 1}))
	return k
}

func (k *testKey) packet(material ...[]byte) []byte {
	head := binary.BigEndian.AppendUint32([]byte{4}, uint32(k.created.Unix()))
	return slices.Concat(append([][]byte{head, {k.algo}}, material...)...)
}

func (k *testKey) fingerprint() string { return fingerprint(k.body) }

func (k *testKey) keyID() []byte {
	id, err := hexBytes(keyID(k.fingerprint()))
	if err != nil {
		panic(err)
	}
	return id
}

func mpi(b []byte) []byte {
	b = bytes.TrimLeft(b, "\x00")
	bits := 8 * len(b)
	if len(b) > 0 {
		for mask := byte(0x80); b[0]&mask == 0; mask >>= 1 {
			bits--
		}
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(bits)), b...)
}

// forged is a version 4 signature to be.
type forged struct {
	typ      byte
	hash     crypto.Hash // SHA-256 if zero
	created  time.Time
	hashed   [][]byte // more subpackets
	unhashed [][]byte
	unnamed  bool // no issuer
	named    *testKey
}

var hashIDs = map[crypto.Hash]byte{
	crypto.MD5: 1, crypto.SHA1: 2, crypto.RIPEMD160: 3, crypto.SHA256: 8, crypto.SHA384: 9,
	crypto.SHA512: 10, crypto.SHA224: 11, crypto.SHA3_256: 12, crypto.SHA3_512: 14,
}

// sub is a signature subpacket.
func sub(typ byte, content ...byte) []byte {
	n := len(content) + 1
	if n >= 192 {
		return append([]byte{byte((n-192)>>8) + 192, byte(n - 192), typ}, content...)
	}
	return append([]byte{byte(n), typ}, content...)
}

func seconds(typ byte, d time.Duration) []byte {
	return sub(typ, binary.BigEndian.AppendUint32(nil, uint32(d/time.Second))...)
}

const (
	critical = 0x80
	oneDay   = 24 * time.Hour
)

var (
	maySign   = sub(27, 0x02)
	mayBoth   = sub(27, 0x03)
	isPrimUID = sub(25, 1)
)

func sigExpires(d time.Duration) []byte { return seconds(3, d) }
func keyExpires(d time.Duration) []byte { return seconds(9, d) }
func reasonFor(code byte) []byte        { return sub(29, append([]byte{code}, "a reason"...)...) }

// by signs content and returns the body of the packet.
func (f forged) by(k *testKey, content []byte) []byte {
	if f.hash == 0 {
		f.hash = crypto.SHA256
	}
	hashed := slices.Concat(append([][]byte{sub(2, binary.BigEndian.AppendUint32(nil, uint32(f.created.Unix()))...)}, f.hashed...)...)
	if !f.unnamed {
		named := k
		if f.named != nil {
			named = f.named
		}
		print, err := hexBytes(named.fingerprint())
		if err != nil {
			panic(err)
		}
		hashed = append(hashed, sub(33, append([]byte{4}, print...)...)...)
	}
	body := []byte{4, f.typ, k.algo, hashIDs[f.hash]}
	body = append(binary.BigEndian.AppendUint16(body, uint16(len(hashed))), hashed...)
	h := f.hash.New()
	h.Write(content)
	h.Write(body)
	h.Write(binary.BigEndian.AppendUint32([]byte{4, 0xff}, uint32(len(body))))
	sum := h.Sum(nil)
	unhashed := slices.Concat(f.unhashed...)
	body = append(binary.BigEndian.AppendUint16(body, uint16(len(unhashed))), unhashed...)
	body = append(body, sum[0], sum[1])
	opts := crypto.SignerOpts(f.hash)
	if k.algo == 22 {
		opts = crypto.Hash(0)
	}
	sig, err := k.private.Sign(nil, sum, opts)
	if err != nil {
		panic(err)
	}
	if k.algo == 22 {
		return slices.Concat(body, mpi(sig[:32]), mpi(sig[32:]))
	}
	return append(body, mpi(sig)...)
}

func (k *testKey) hashedAs() []byte {
	return append([]byte{0x99, byte(len(k.body) >> 8), byte(len(k.body))}, k.body...)
}

func (f forged) overUser(k, subject *testKey, id string) []byte {
	content := binary.BigEndian.AppendUint32(append(subject.hashedAs(), 0xb4), uint32(len(id)))
	return f.by(k, append(content, id...))
}

func (f forged) overKeys(k, primary, subkey *testKey) []byte {
	return f.by(k, slices.Concat(primary.hashedAs(), subkey.hashedAs()))
}

// pkt is a packet in the old format, as GnuPG writes them, or the new one.
func pkt(tag byte, body []byte) []byte {
	if tag < 16 {
		return append([]byte{0x80 | tag<<2 | 1, byte(len(body) >> 8), byte(len(body))}, body...)
	}
	return append(binary.BigEndian.AppendUint32([]byte{0xc0 | tag, 255}, uint32(len(body))), body...)
}

// sign is a detached signature file.
func (k *testKey) sign(f forged, artifact []byte) []byte { return pkt(2, f.by(k, artifact)) }

// cert writes a certificate with one user id. Its fields replace what is
// usual.
type cert struct {
	key     *testKey
	self    forged   // over the user id; made on the day of the key if zero
	primary [][]byte // signatures over the primary key
	user    [][]byte // more signatures over the user id
	after   [][]byte // whole packets after that
	noUser  bool
}

func (c cert) id() string { return "Name of " + c.key.fingerprint()[:4] + " <a@example.org>" }

func (c cert) packets() []byte {
	out := pkt(6, c.key.body)
	for _, s := range c.primary {
		out = append(out, pkt(2, s)...)
	}
	if !c.noUser {
		out = append(out, pkt(13, []byte(c.id()))...)
		out = append(out, pkt(2, c.selfSig().overUser(c.key, c.key, c.id()))...)
		for _, s := range c.user {
			out = append(out, pkt(2, s)...)
		}
	}
	return slices.Concat(append([][]byte{out}, c.after...)...)
}

func (c cert) selfSig() forged {
	self := c.self
	if self.typ == 0 {
		self.typ = 0x13
	}
	if self.created.IsZero() {
		self.created = c.key.created
	}
	if self.hashed == nil {
		self.hashed = [][]byte{mayBoth}
	}
	return self
}

// boundSubkey is a subkey with its binding.
func boundSubkey(primary, sub *testKey, binding forged) []byte {
	binding.typ = 0x18
	if binding.created.IsZero() {
		binding.created = sub.created
	}
	return append(pkt(14, sub.body), pkt(2, binding.overKeys(primary, primary, sub))...)
}

// backSig is the subpacket with a subkey's agreement.
func backSig(primary, subkey *testKey, f forged) []byte {
	f.typ = 0x19
	if f.created.IsZero() {
		f.created = subkey.created
	}
	return sub(32, f.overKeys(subkey, primary, subkey)...)
}

func hexBytes(s string) ([]byte, error) { return hex.DecodeString(s) }
