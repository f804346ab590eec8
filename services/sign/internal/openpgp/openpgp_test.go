package openpgp

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"assize.dev/services/sign/internal/signature"
)

func content(b []byte) *signature.Content {
	return signature.NewContent(context.Background(), bytes.NewReader(b), int64(len(b)))
}

func parse(t testing.TB, data ...[]byte) *Keyring {
	t.Helper()
	k, err := ParseKeyring(bytes.Join(data, nil))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// checkPromises verifies what every result promises.
func checkPromises(t testing.TB, r signature.Result) {
	t.Helper()
	if r.Kind != Kind || r.TimeProven || !r.Valid && r.Reason == "" || r.Valid && (r.Stranger || r.Signer == "" || r.Time.IsZero()) {
		t.Errorf("result breaks a promise: %+v", r)
	}
}

// check verifies the promises of a result, and compares it with want as
// sample describes it.
func check(t testing.TB, r signature.Result, want string) {
	t.Helper()
	checkPromises(t, r)
	remark, valid := strings.CutPrefix(want, "valid")
	switch {
	case valid:
		remark = strings.TrimPrefix(remark, ": ")
		if !r.Valid || !strings.Contains(r.Reason, remark) || remark == "" && r.Reason != "" {
			t.Errorf("got %+v, want %s", r, want)
		}
	case want == "stranger":
		if r.Valid || !r.Stranger {
			t.Errorf("got %+v, want %s", r, want)
		}
	default:
		if r.Valid || r.Stranger || !strings.Contains(r.Reason, want) {
			t.Errorf("got %+v, want it not to be valid: %s", r, want)
		}
	}
}

func verify(t testing.TB, ring *Keyring, sig, artifact []byte) []signature.Result {
	t.Helper()
	results, err := VerifyDetached(content(artifact), sig, ring, received)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) == 0 {
		t.Fatal("no result")
	}
	return results
}

func verify1(t testing.TB, ring *Keyring, sig, artifact []byte, want string) {
	t.Helper()
	results := verify(t, ring, sig, artifact)
	if len(results) != 1 {
		t.Fatalf("%d results", len(results))
	}
	check(t, results[0], want)
}

func TestDetached(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			ring := parse(t, s.ring)
			verify1(t, ring, s.sig, artifact, s.want)
			// Armor changes nothing.
			if len(s.sig) > 0 && s.sig[0]&0x80 != 0 {
				armored := ring
				if a, err := ParseKeyring(armor("PGP PUBLIC KEY BLOCK", s.ring)); err != nil {
					t.Error(err)
				} else {
					armored = a
				}
				if armored.Digest() != ring.Digest() {
					t.Error("armored keyring has another digest")
				}
				verify1(t, armored, armor("PGP SIGNATURE", s.sig), artifact, s.want)
			}
			// Nor is any other artifact ever signed.
			if r := verify(t, ring, s.sig, append(bytes.Clone(artifact), 'x')); r[0].Valid {
				t.Error("valid for another artifact")
			}
			// And nobody is trusted by nobody.
			if r := verify(t, nil, s.sig, artifact); r[0].Valid {
				t.Error("valid without a keyring")
			}
		})
	}
}

func TestFutureByTheSecond(t *testing.T) {
	ed := edKey("signer", day0)
	ring := parse(t, cert{key: ed}.packets())
	verify1(t, ring, ed.sign(forged{created: received.Add(ClockSkew)}, artifact), artifact, "valid")
	verify1(t, ring, ed.sign(forged{created: received.Add(ClockSkew + time.Second)}, artifact), artifact, "from the future")
}

func TestSeveralSignatures(t *testing.T) {
	ed, other, rsa := edKey("signer", day0), edKey("other", day0), rsaKey(t, 2048, day0)
	good := forged{created: at(500)}
	ring := parse(t, cert{key: ed}.packets(), cert{key: rsa}.packets())
	file := bytes.Join([][]byte{
		other.sign(good, artifact), ed.sign(good, artifact), rsa.sign(good, artifact),
		ed.sign(good, []byte("else")), rsa.sign(forged{created: at(500), hash: 7}, artifact),
	}, nil)
	wants := []string{"stranger", "valid", "valid", "does not match", "valid"}
	c := content(artifact)
	counted := &countingReaderAt{r: c.ReaderAt()}
	c = signature.NewContent(context.Background(), counted, c.Size())
	results, err := VerifyDetached(c, file, ring, received)
	if err != nil || len(results) != len(wants) {
		t.Fatalf("%d results, error %v", len(results), err)
	}
	for i, want := range wants {
		check(t, results[i], want)
	}
	if counted.n != c.Size() {
		t.Errorf("read %d bytes of an artifact of %d", counted.n, c.Size())
	}
	if results[1].Signer != ed.fingerprint() || results[0].Signer != other.fingerprint() || !results[1].Time.Equal(at(500)) {
		t.Errorf("signers %s, %s at %v", results[0].Signer, results[1].Signer, results[1].Time)
	}

	// Nobody's signature is no reason to read anything.
	counted.n = 0
	if _, err := VerifyDetached(c, other.sign(good, artifact), ring, received); err != nil || counted.n != 0 {
		t.Errorf("read %d bytes for a stranger, error %v", counted.n, err)
	}
	// Two armored blocks in one file.
	two := append(armor("PGP SIGNATURE", ed.sign(good, artifact)), armor("PGP SIGNATURE", rsa.sign(good, artifact))...)
	for _, r := range verify(t, ring, two, artifact) {
		check(t, r, "valid")
	}
	many := bytes.Repeat(ed.sign(good, artifact), MaxSignatures)
	if got := verify(t, ring, many, artifact); len(got) != MaxSignatures {
		t.Errorf("%d results", len(got))
	}
	verify1(t, ring, append(many, ed.sign(good, artifact)...), artifact, "more than 16 signatures")
	verify1(t, ring, make([]byte, MaxSignatureFile+1), artifact, "at most 65536")
}

type countingReaderAt struct {
	r interface {
		ReadAt([]byte, int64) (int, error)
	}
	n int64
}

func (c *countingReaderAt) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.r.ReadAt(p, off)
	c.n += int64(n)
	return n, err
}

// TestReadingFails: an artifact that cannot be read is no verdict.
func TestReadingFails(t *testing.T) {
	ed := edKey("signer", day0)
	ring := parse(t, cert{key: ed}.packets())
	sig := ed.sign(forged{created: at(500)}, artifact)
	short := signature.NewContent(context.Background(), bytes.NewReader(artifact), int64(len(artifact))+1)
	if r, err := VerifyDetached(short, sig, ring, received); err == nil {
		t.Errorf("got %+v", r)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	ended := signature.NewContent(ctx, bytes.NewReader(artifact), int64(len(artifact)))
	if r, err := VerifyDetached(ended, sig, ring, received); err == nil {
		t.Errorf("got %+v", r)
	}
	for _, b := range [][]byte{clearSigned(ed, forged{created: at(500)}, "text\n"), onePassMessage(ed, forged{created: at(500)}, artifact)} {
		short := signature.NewContent(context.Background(), bytes.NewReader(b), int64(len(b))+1)
		if r, err := VerifyInline(short, ring, received); err == nil {
			t.Errorf("got %+v", r)
		}
	}
}

// TestEveryBit flips each bit of a signature file. Where that leaves it valid
// it must have changed nothing that is signed: the unhashed subpackets, and
// how packet and integers state their length.
func TestEveryBit(t *testing.T) {
	for name, k := range map[string]*testKey{"ed25519": edKey("signer", day0), "rsa": rsaKey(t, 2048, day0)} {
		ring := parse(t, cert{key: k}.packets())
		f := forged{created: at(500), unhashed: [][]byte{sub(100, 1, 2, 3)}}
		sig := k.sign(f, artifact)
		hashed := 3 + 6 + int(sig[3+5]) // header, fields and hashed subpackets
		free := map[int]bool{}
		for i := hashed; i < hashed+2+5; i++ {
			free[i] = true
		}
		tag := hashed + 2 + 5 // the first bits of the hash, for which RFC 9580, section 5.2.4, has no use in version 4
		free[tag], free[tag+1] = true, true
		for at := tag + 2; at < len(sig); at += 2 + (int(sig[at])<<8+int(sig[at+1])+7)/8 {
			free[at+1] = true // low byte of an integer's length in bits
		}
		for i := range 8 * len(sig) {
			bad := bytes.Clone(sig)
			bad[i/8] ^= 1 << (i % 8)
			for _, r := range verify(t, ring, bad, artifact) {
				if r.Valid && !free[i/8] {
					t.Errorf("%s: valid with bit %d of byte %d flipped", name, i%8, i/8)
				}
			}
		}
		for n := range sig {
			for _, r := range verify(t, ring, sig[:n], artifact) {
				if r.Valid {
					t.Errorf("%s: valid with %d of %d bytes", name, n, len(sig))
				}
			}
		}
		block := armor("PGP SIGNATURE", sig)
		for n := range len(block) - len("\r\n") {
			for _, r := range verify(t, ring, block[:n], artifact) {
				if r.Valid {
					t.Errorf("%s: valid with %d of %d bytes of armor", name, n, len(block))
				}
			}
		}
	}
}
