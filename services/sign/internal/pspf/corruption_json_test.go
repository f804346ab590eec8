package pspf_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"assize.dev/services/sign/internal/pspf"
	"assize.dev/services/sign/internal/pspf/pspftest"
)

// metadata changes the signed JSON and repairs what can be repaired without
// the key.
func (c *corruptions) metadata() {
	original := layoutOf(sample().Build()).index
	add := func(name string, json, gzip func([]byte) []byte) {
		for _, repaired := range []bool{false, true} {
			p := sample()
			p.EditJSON, p.EditGzip = json, gzip
			p.EditIndex = func(ix []byte) {
				copy(ix[128:192], original[128:])
				if !repaired {
					copy(ix[96:128], original[96:])
				}
			}
			want := pspf.CheckIntegrity
			if repaired && json != nil {
				want = pspf.CheckSignature
			}
			c.add(fmt.Sprintf("metadata: %s, SHA-256 repaired: %v", name, repaired), p.Build(), want)
		}
	}
	for i, line := range strings.SplitAfter(document(), "\n") {
		name := fmt.Sprintf("line %d (%s) ", i, strings.TrimSpace(line))
		around := func(with string) func([]byte) []byte {
			return func(doc []byte) []byte {
				lines := strings.SplitAfter(string(doc), "\n")
				lines[i] = with
				return []byte(strings.Join(lines, ""))
			}
		}
		add(name+"removed", around(""), nil)
		add(name+"twice", around(line+line), nil)
		add(name+"indented otherwise", around("\t"+line), nil)
	}
	add("space after it", func(doc []byte) []byte { return append(doc, ' ') }, nil)
	add("empty", func([]byte) []byte { return nil }, nil)

	for name, edit := range map[string]func([]byte) []byte{
		"trailing zero":      func(z []byte) []byte { return append(z, 0) },
		"trailing member":    func(z []byte) []byte { return append(z, pspftest.Gzip([]byte("{}"))...) },
		"empty member after": func(z []byte) []byte { return append(z, pspftest.Gzip(nil)...) },
		"member before":      func(z []byte) []byte { return append(pspftest.Gzip([]byte("{}")), z...) },
		"CRC":                func(z []byte) []byte { z[len(z)-8] ^= 1; return z },
		"length":             func(z []byte) []byte { z[len(z)-1] ^= 1; return z },
		"magic":              func(z []byte) []byte { z[0] = 0; return z },
		"method":             func(z []byte) []byte { z[2] = 7; return z },
		"reserved flag":      func(z []byte) []byte { z[3] = 0x04; return z },
		"without trailer":    func(z []byte) []byte { return z[:len(z)-8] },
		"half":               func(z []byte) []byte { return z[:len(z)/2] },
		"header only":        func(z []byte) []byte { return z[:10] },
		"one byte":           func(z []byte) []byte { return z[:1] },
		"as JSON":            func([]byte) []byte { return []byte(document()) },
		"as zstd":            func([]byte) []byte { return pspftest.Zstd([]byte(document())) },
		"bomb":               func([]byte) []byte { return pspftest.Gzip(bytes.Repeat([]byte(" "), 10<<20+1)) },
		"bomb behind it":     func(z []byte) []byte { return append(z, pspftest.Gzip(make([]byte, 1<<20))...) },
	} {
		add(name, nil, edit)
	}
}

// document is the metadata of the sample.
func document() string {
	var doc []byte
	p := sample()
	p.EditJSON = func(b []byte) []byte { doc = bytes.Clone(b); return b }
	p.Build()
	return string(doc)
}

// signedNonsense is signed by the right key and yet must not be believed:
// readers would not agree about it.
func (c *corruptions) signedNonsense() {
	of := func(p pspftest.Package, name, want string) { c.add("signed: "+name, p.Build(), want) }
	wrong := []any{"x", -1, 1.5, true, []any{}, map[string]any{}, []any{1}, []any{[]any{}}}
	slotMembers := map[string]string{ // what also fits
		"slot": "", "id": "string", "target": "string", "checksum": "string", "operations": "string", "purpose": "string",
		"lifecycle": "string", "self_ref": "bool", "permissions": "",
	}
	for member, fits := range slotMembers {
		for _, value := range wrong {
			if strings.HasPrefix(fmt.Sprintf("%T", value), fits) && fits != "" || member == "permissions" && value == "x" {
				continue // of the right type; other spellings of permissions mean the default
			}
			p := sample()
			p.Slots[0].Edit = func(m map[string]any) { m[member] = value }
			of(p, fmt.Sprintf("slot %s is %v", member, value), pspf.CheckMetadata+" "+pspf.CheckSlotTable)
		}
	}
	for _, member := range []string{"format", "package", "slots", "execution", "launcher", "setup_commands"} {
		for _, value := range wrong {
			name := fmt.Sprintf("%s is %v (%T)", member, value, value)
			if slices.Contains([]string{"setup_commands is [] ([]interface {})", "package is map[] (map[string]interface {})",
				"execution is map[] (map[string]interface {})", "launcher is map[] (map[string]interface {})"}, name) {
				continue // empty, and of the right type
			}
			p := sample()
			p.Extra[member] = value
			of(p, name, pspf.CheckMetadata+" "+pspf.CheckSlotTable)
		}
	}
	for i, line := range strings.SplitAfter(document(), "\n") {
		name, _, found := strings.Cut(strings.TrimSpace(line), ":")
		if !found || !strings.HasPrefix(name, `"`) {
			continue
		}
		insert := func(what string) pspftest.Package {
			p := sample()
			p.EditJSON = func(doc []byte) []byte {
				lines := strings.SplitAfter(string(doc), "\n")
				lines[i] = what + lines[i]
				return []byte(strings.Join(lines, ""))
			}
			return p
		}
		of(insert(name+": null,"), fmt.Sprintf("line %d: %s twice", i, name), pspf.CheckMetadata)
		escaped := fmt.Sprintf(`"\u%04x%s`, name[1], name[2:])
		of(insert(escaped+": null,"), fmt.Sprintf("line %d: %s twice, once escaped", i, name), pspf.CheckMetadata)
		if depth := len(line) - len(strings.TrimLeft(line, " ")); depth == 2 && strings.Contains(`"format""package""slots""execution""launcher""setup_commands""policy"`, name) {
			of(insert(strings.ToUpper(name)+": null,"), fmt.Sprintf("line %d: %s in capitals", i, name), pspf.CheckMetadata)
		}
	}
	for _, target := range []string{"/", "/x", "..", "../x", "a/../../x", "a/..", "{workenv}/..", "{workenv}..", "{workenv}-beside/x",
		"{workenv}//x", "{workenv}x", `a\b`, `\\host\x`, "c:", "C:/x", "{workenv}/c:x", "a\x00b", "a\nb", "a\x1b[2J", "a\u0085b", strings.Repeat("a/", 2049)} {
		p := sample()
		p.Slots[0].Target = target
		of(p, fmt.Sprintf("target %.20q", target), pspf.CheckSlotTable)
	}
	for _, mode := range []uint16{0o1644, 0o2644, 0o4644, 0o7777, 0o10644, 0o177777} {
		p := sample()
		p.Slots[0].Mode = mode
		of(p, fmt.Sprintf("permissions %#o", mode), pspf.CheckSlotTable)
	}
	for _, text := range []string{"", "9", "0o", "644 ", "-0644", "0x1a4", "rw-r--r--", "06440", "+644"} {
		p := sample()
		p.Slots[0].Mode = 0o755
		p.Slots[0].Edit = func(m map[string]any) { m["permissions"] = text }
		of(p, fmt.Sprintf("permissions %q for 0755", text), pspf.CheckSlotTable)
	}
	for operations, chain := range map[string]uint64{
		"tar|gzip": 0x0110, "gzip": 0x1001, "tar": 0x10, "raw": 0x01, "zstd": 0x16, "nonsense": 0x30, "gzip|nonsense": 0x10, "tar|gzip|": 0x10,
		"tar,gzip": 0x100001, "none": 0x0100, "gzip|gzip|gzip|gzip|gzip|gzip|gzip|gzip|gzip": 0x1010101010101010,
	} {
		p := sample()
		p.Slots[3].Operations, p.Slots[3].Chain = operations, chain
		of(p, fmt.Sprintf("operations %.20q as %#x", operations, chain), pspf.CheckSlotTable)
	}
	for _, checksum := range []string{"", "sha256:", "x", "sha1:" + strings.Repeat("0", 40), "adler32:00000000", "blake2b:" + strings.Repeat("0", 64),
		"sha512:" + strings.Repeat("0", 128), strings.Repeat("0", 63), strings.Repeat("0", 64), "sha256:" + strings.Repeat("g", 64)} {
		p := sample()
		p.Slots[0].Edit = func(m map[string]any) { m["checksum"] = checksum }
		of(p, fmt.Sprintf("checksum %.20q", checksum), pspf.CheckSlotContent)
	}
	for _, nested := range []string{strings.Repeat("[", 101) + strings.Repeat("]", 101), strings.Repeat(`{"a":`, 101) + "0" + strings.Repeat("}", 101),
		"[0" + strings.Repeat(",0", 65535) + "]", "NaN", "01", "'x'", `"\x"`, "\"\xff\"", "[1,]", "nul", "/**/1"} {
		p := sample()
		p.EditJSON = func(doc []byte) []byte { return bytes.Replace(doc, []byte(`"b"`), []byte(nested), 1) }
		of(p, fmt.Sprintf("value %.20q", nested), pspf.CheckMetadata)
	}
	for _, ids := range [][2]string{{"hello", "hello"}, {"", "b"}, {strings.Repeat("a", 256), "b"}} {
		p := sample()
		p.Slots[0].ID, p.Slots[2].ID = ids[0], ids[1]
		of(p, fmt.Sprintf("ids %.20q", ids), pspf.CheckSlotTable)
	}
	p := sample()
	p.Slots = append(p.Slots, p.Slots[0])
	of(p, "slot twice", pspf.CheckSlotTable)
	p = sample()
	p.Slots[1].Edit = func(m map[string]any) { m["checksum"] = sumHex(nil) }
	of(p, "self reference with a checksum", pspf.CheckSlotTable)
}
