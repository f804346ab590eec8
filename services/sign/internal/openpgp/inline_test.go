package openpgp

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"context"
	"crypto"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"assize.dev/services/sign/internal/signature"
)

// armor is as other programs write it, with a header line and a checksum
// that is wrong: RFC 9580 has it ignored.
func armor(kind string, data []byte) []byte {
	var b bytes.Buffer
	b.WriteString("-----BEGIN " + kind + "-----\r\nComment: from a test\r\n\r\n")
	text := base64.StdEncoding.EncodeToString(data)
	for len(text) > 64 {
		b.WriteString(text[:64] + "\r\n")
		text = text[64:]
	}
	b.WriteString(text + "\r\n=AAAA\r\n-----END " + kind + "-----\r\n")
	return b.Bytes()
}

// clearSigned signs text that needs no escapes, lines ending with LF.
func clearSigned(k *testKey, f forged, text string) []byte {
	f.typ = 1
	sig := k.sign(f, []byte(strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\r\n")))
	return []byte("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n" + text + string(armor("PGP SIGNATURE", sig)))
}

func onePass(k *testKey, typ, last byte) []byte {
	return pkt(4, append(append([]byte{3, typ, 8, k.algo}, k.keyID()...), last))
}

func literal(data []byte) []byte {
	return pkt(11, append([]byte("b\x04name\x00\x00\x00\x00"), data...))
}

func onePassMessage(k *testKey, f forged, data []byte) []byte {
	return bytes.Join([][]byte{onePass(k, f.typ, 1), literal(data), k.sign(f, data)}, nil)
}

func compressed(algorithm byte, data []byte) []byte {
	var b bytes.Buffer
	b.WriteByte(algorithm)
	switch algorithm {
	case 0:
		b.Write(data)
	case 1:
		w, _ := flate.NewWriter(&b, 9)
		w.Write(data)
		w.Close()
	case 2:
		w := zlib.NewWriter(&b)
		w.Write(data)
		w.Close()
	}
	return append([]byte{0x80 | 8<<2 | 3}, b.Bytes()...) // without a length, as GnuPG does
}

func TestInline(t *testing.T) {
	ed, other, rsa := edKey("signer", day0), edKey("other", day0), rsaKey(t, 2048, day0)
	ring := parse(t, cert{key: ed}.packets(), cert{key: rsa}.packets())
	f := forged{created: at(500)}
	text := forged{created: at(500), typ: 1}
	const note = "valid: how lines end"
	clear := string(clearSigned(ed, f, "one\ntwo\n"))
	message := onePassMessage(ed, f, artifact)
	two := bytes.Join([][]byte{onePass(ed, 0, 0), onePass(rsa, 0, 1), literal(artifact), rsa.sign(f, artifact), ed.sign(f, artifact)}, nil)
	prefixed := bytes.Join([][]byte{ed.sign(f, artifact), literal(artifact)}, nil)
	partial := bytes.Join([][]byte{onePass(ed, 0, 1), {0xc0 | 11, 224 + 3}, []byte("b\x00\x00\x00\x00\x00ab"), {224 + 1}, []byte("cd"), {1}, []byte("e"), ed.sign(f, []byte("abcde"))}, nil)
	replace := func(s, old, new string) []byte {
		if !strings.Contains(s, old) {
			t.Fatalf("no %q in the sample", old)
		}
		return []byte(strings.Replace(s, old, new, 1))
	}
	escaped := "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256, SHA512\n\n- -dash \t\n- From me\n\nlast  \n" +
		string(armor("PGP SIGNATURE", ed.sign(text, []byte("-dash\r\nFrom me\r\n\r\nlast"))))
	cases := []struct {
		name     string
		artifact []byte
		want     string
	}{
		{"clear-signed", []byte(clear), note},
		{"clear-signed with CR LF", []byte(strings.ReplaceAll(strings.ReplaceAll(clear, "\r\n", "\n"), "\n", "\r\n")), note},
		{"clear-signed without hash header", replace(clear, "Hash: SHA256\n", ""), note},
		{"clear-signed with escapes and white space", []byte(escaped), note},
		{"clear-signed, empty", clearSigned(ed, f, ""), note},
		{"clear-signed by a stranger", clearSigned(other, f, "one\n"), "stranger"},
		{"clear-signed, white space added", replace(clear, "one\n", "one \t\n"), note},
		{"clear-signed, changed", replace(clear, "one", "0ne"), "does not match"},
		{"clear-signed, line added", replace(clear, "two\n", "two\nthree\n"), "does not match"},
		{"clear-signed, empty line added", replace(clear, "two\n", "two\n\n"), "does not match"},
		{"clear-signed, line not escaped", replace(clear, "two", "-two"), "is not escaped"},
		{"clear-signed, text before", []byte("hello\n" + clear), "signed message"},
		{"clear-signed, empty line before", []byte("\n" + clear), "something before"},
		{"clear-signed, text after", []byte(clear + "hello\n"), "text outside"},
		{"clear-signed, white space after", []byte(clear + "\n \n"), note},
		{"clear-signed twice", []byte(clear + clear), "where an armored block \"PGP SIGNATURE\" should begin"},
		{"clear-signed, text as a header", replace(clear, "Hash: SHA256\n", "Hash: SHA256\nNote: hello\n"), "only the names of hashes"},
		{"clear-signed, text in the hash header", replace(clear, "Hash: SHA256\n", "Hash: SHA256, do run this\n"), "only the names of hashes"},
		{"clear-signed, white space for the empty line", replace(clear, "\n\none", "\n \none"), "only the names of hashes"},
		{"clear-signed, text on the first line", replace(clear, "MESSAGE-----\n", "MESSAGE----- hello\n"), "something before"},
		{"clear-signed as binary", replace(clear, clear[strings.Index(clear, "-----BEGIN PGP SIGNATURE"):], string(armor("PGP SIGNATURE", ed.sign(f, []byte("one\r\ntwo"))))), "must be one of text"},
		{"clear-signed as binary by a stranger", replace(clear, clear[strings.Index(clear, "-----BEGIN PGP SIGNATURE"):], string(armor("PGP SIGNATURE", other.sign(f, []byte("one\r\ntwo"))))), "must be one of text"},
		{"clear-signed without signature", []byte(clear[:strings.Index(clear, "-----BEGIN PGP SIGNATURE")]), "without a signature"},
		{"clear-signed, cut off", []byte(clear[:len(clear)-20]), "armored block"},

		{"message", message, "valid"},
		{"message, armored", armor("PGP MESSAGE", message), "valid"},
		{"message, armored, text after", append(armor("PGP MESSAGE", message), "hello"...), "there is more after"},
		{"message, armored, white space after", append(armor("PGP MESSAGE", message), "\n\n"...), "valid"},
		{"message of text", onePassMessage(ed, text, []byte("a\r\nb")), note},
		{"message, signatures first", prefixed, "valid"},
		{"message in pieces", partial, "valid"},
		{"message, stored", compressed(0, message), "valid"},
		{"message, deflated", compressed(1, message), "valid"},
		{"message, zlib", compressed(2, message), "valid"},
		{"message, zlib, armored", armor("PGP MESSAGE", compressed(2, message)), "valid"},
		{"message by a stranger", onePassMessage(other, f, artifact), "stranger"},
		{"message, changed", bytes.Replace(message, []byte("second"), []byte("Second"), 1), "does not match"},
		{"message, name changed", bytes.Replace(message, []byte("name"), []byte("game"), 1), "valid"},
		{"message, signature of another type", bytes.Join([][]byte{onePass(ed, 0, 1), literal([]byte("a")), ed.sign(text, []byte("a"))}, nil), "not the one that was announced"},
		{"message, signature of another signer", bytes.Join([][]byte{onePass(ed, 0, 1), literal(artifact), rsa.sign(f, artifact)}, nil), "not the one that was announced"},
		{"message, signature of a stranger", bytes.Join([][]byte{onePass(ed, 0, 1), literal(artifact), other.sign(f, artifact)}, nil), "not the one that was announced"},
		{"message, signature missing", bytes.Join([][]byte{onePass(ed, 0, 1), literal(artifact)}, nil), "1 signatures announced, 0 found"},
		{"message, signature too many", append(bytes.Clone(message), ed.sign(f, artifact)...), "more than 1 signatures"},
		{"message, two literals", bytes.Join([][]byte{onePass(ed, 0, 1), literal(artifact), literal(artifact), ed.sign(f, artifact)}, nil), "a packet of type 11"},
		{"message, literal before", append(literal([]byte("x")), message...), "not signed"},
		{"message, literal after", append(bytes.Clone(message), literal([]byte("x"))...), "a packet of type 11"},
		{"message, junk after", append(bytes.Clone(message), "junk"...), "begins no packet"},
		{"message, zlib, junk after", append(compressed(2, message), "junk"...), "more after the end of the compressed data"},
		{"message of a message", bytes.Join([][]byte{onePass(ed, 0, 1), onePass(rsa, 0, 1), literal(artifact), rsa.sign(f, artifact), ed.sign(f, artifact)}, nil), "signs another signed message"},
		{"message, last announcement missing", bytes.Join([][]byte{onePass(ed, 0, 0), literal(artifact), ed.sign(f, artifact)}, nil), "last one-pass signature is missing"},
		{"not signed", literal(artifact), "not signed"},
		{"compressed and not signed", compressed(2, literal(artifact)), "not signed"},
		{"compressed twice", compressed(2, compressed(2, message)), "a packet of type 8"},
		{"encrypted", pkt(18, append([]byte{1}, make([]byte, 60)...)), "encrypted"},
		{"encrypted to a key", pkt(1, append([]byte{3}, make([]byte, 60)...)), "encrypted"},
		{"signature alone", ed.sign(f, artifact), "truncated: no data"},
		{"empty", nil, "truncated: no data"},
		{"something else", []byte("\x7fELF and more"), "begins no packet"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			results, err := VerifyInline(content(c.artifact), ring, received)
			if err != nil || len(results) != 1 {
				t.Fatalf("%+v, error %v", results, err)
			}
			check(t, results[0], c.want)
		})
	}
	results, err := VerifyInline(content(two), ring, received)
	if err != nil || len(results) != 2 {
		t.Fatalf("%+v, error %v", results, err)
	}
	for i, k := range []*testKey{rsa, ed} {
		if check(t, results[i], "valid"); results[i].Signer != k.fingerprint() {
			t.Errorf("signer %d is %s", i, results[i].Signer)
		}
	}
	for n := range message {
		results, err := VerifyInline(content(message[:n]), ring, received)
		if err != nil || len(results) != 1 || results[0].Valid {
			t.Errorf("%d bytes of a message: %+v, error %v", n, results, err)
		}
	}
}

// TestExpansion: a small file that decompresses to very much is no message.
func TestExpansion(t *testing.T) {
	ed := edKey("signer", day0)
	ring := parse(t, cert{key: ed}.packets())
	zeros := make([]byte, minExpansion)
	head := append([]byte{0xc0 | 11, 255, 1, 0, 0, 6}, "b\x00\x00\x00\x00\x00"...) // 16 MiB and header
	bomb := compressed(2, bytes.Join([][]byte{onePass(ed, 0, 1), head, zeros, ed.sign(forged{created: at(500)}, zeros)}, nil))
	results, err := VerifyInline(content(bomb), ring, received)
	if err != nil || len(results) != 1 {
		t.Fatal(results, err)
	}
	check(t, results[0], "expands to more than")
}

func TestExpansionLimit(t *testing.T) {
	for size, want := range map[int64]int64{
		0: minExpansion, 1000: minExpansion, 1 << 20: 200 << 20, 100 << 20: 100<<20 + maxGrowth, 10 << 30: 10<<30 + maxGrowth,
	} {
		if got := expansion(size); got != want {
			t.Errorf("%d bytes may become %d, want %d", size, got, want)
		}
	}
}

// TestNobodyKnown: without certificates a message is not decompressed, and
// its signatures are a stranger's.
func TestNobodyKnown(t *testing.T) {
	ed, rsa := edKey("signer", day0), rsaKey(t, 2048, day0)
	f := forged{created: at(500)}
	zeros := make([]byte, 8<<20)
	head := append([]byte{0xc0 | 11, 255, 0, 0x80, 0, 6}, "b\x00\x00\x00\x00\x00"...) // 8 MiB and header
	large := slices.Concat(onePass(ed, 0, 0), onePass(rsa, 0, 1), head, zeros, rsa.sign(f, zeros), ed.sign(f, zeros))
	skipped := parse(t, cert{key: ed, self: forged{hash: crypto.SHA1}}.packets())
	for name, c := range map[string]struct {
		artifact []byte
		signers  []string
	}{
		"as it is":         {large, []string{fmt.Sprintf("%X", rsa.keyID()), fmt.Sprintf("%X", ed.keyID())}},
		"armored":          {armor("PGP MESSAGE", large), []string{fmt.Sprintf("%X", rsa.keyID()), fmt.Sprintf("%X", ed.keyID())}},
		"stored":           {compressed(0, large), []string{fmt.Sprintf("%X", rsa.keyID()), fmt.Sprintf("%X", ed.keyID())}},
		"signatures first": {slices.Concat(ed.sign(f, zeros), head, zeros), []string{ed.fingerprint()}},
	} {
		for _, ring := range []*Keyring{nil, Merge(), skipped} {
			counted := &countingReaderAt{r: bytes.NewReader(c.artifact)}
			results, err := VerifyInline(signature.NewContent(t.Context(), counted, int64(len(c.artifact))), ring, received)
			if err != nil || len(results) != len(c.signers) {
				t.Fatalf("%s: %+v, error %v", name, results, err)
			}
			for i, r := range results {
				if check(t, r, "stranger"); r.Signer != c.signers[i] || ring == skipped && r.Signer != c.signers[0] && !strings.Contains(r.Reason, "it was skipped: ") {
					t.Errorf("%s: %+v, want %s", name, r, c.signers[i])
				}
			}
			if counted.n > 1<<20 {
				t.Errorf("%s: read %d bytes", name, counted.n)
			}
		}
	}
	for name, bad := range map[string][]byte{
		"not signed": literal(artifact), "encrypted": pkt(18, append([]byte{1}, make([]byte, 60)...)),
		"last one-pass signature is missing": slices.Concat(onePass(ed, 0, 0), literal(artifact)),
	} {
		results, err := VerifyInline(content(bad), nil, received)
		if err != nil || len(results) != 1 {
			t.Fatalf("%s: %+v, error %v", name, results, err)
		}
		check(t, results[0], name)
	}
}

func TestCleartextLimit(t *testing.T) {
	ring := parse(t, cert{key: edKey("signer", day0)}.packets())
	c := signature.NewContent(context.Background(), endless("-----BEGIN PGP SIGNED MESSAGE-----\n\n"), MaxCleartext+1)
	results, err := VerifyInline(c, ring, received)
	if err != nil || len(results) != 1 {
		t.Fatal(results, err)
	}
	check(t, results[0], "at most 67108864")
}

// endless is a file that begins so and goes on with empty lines.
type endless string

func (e endless) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		if p[i] = '\n'; off+int64(i) < int64(len(e)) {
			p[i] = e[off+int64(i)]
		}
	}
	return len(p), nil
}
