package identify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"unicode/utf16"

	"assize.dev/shared/archive"
)

// versionBlock is one block of a version resource.
func versionBlock(key string, value []byte, text bool, inside ...[]byte) []byte {
	pad := func(b []byte) []byte { return append(b, make([]byte, -len(b)&3)...) }
	b := make([]byte, 6)
	length := len(value)
	if text {
		length /= 2
		b[4] = 1
	}
	binary.LittleEndian.PutUint16(b[2:], uint16(length))
	b = append(pad(append(b, wide(key)...)), value...)
	for _, i := range inside {
		b = append(pad(b), i...)
	}
	binary.LittleEndian.PutUint16(b, uint16(len(b)))
	return b
}

func wide(s string) (out []byte) {
	for _, u := range utf16.Encode([]rune(s + "\x00")) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return out
}

// windowsProgram has nothing but a version resource.
func windowsProgram(strings ...string) []byte {
	var entries [][]byte
	for i := 0; i < len(strings); i += 2 {
		entries = append(entries, versionBlock(strings[i], wide(strings[i+1]), true))
	}
	version := versionBlock("VS_VERSION_INFO", make([]byte, 52), false,
		versionBlock("VarFileInfo", nil, true, versionBlock("Translation", []byte{9, 4, 0xb0, 4}, false)),
		versionBlock("StringFileInfo", nil, true, versionBlock("040904b0", nil, true, entries...)))
	const address, place = 0x1000, 0x200
	u32 := binary.LittleEndian.AppendUint32
	directory := func(number, to uint32) []byte {
		d := make([]byte, 16)
		d[14] = 1
		return u32(u32(d, number), to)
	}
	resources := append(directory(16, 1<<31|24), directory(1, 1<<31|48)...)
	resources = append(resources, directory(1033, 72)...)
	resources = u32(u32(u32(u32(resources, address+88), uint32(len(version))), 0), 0)
	resources = append(resources, version...)

	out := append(append([]byte("MZ"), make([]byte, 58)...), 64, 0, 0, 0)
	out = append(out, "PE\x00\x00"...)
	out = append(out, 0x64, 0x86, 1, 0)
	out = append(append(out, make([]byte, 12)...), 240, 0, 0x22, 0)
	optional := make([]byte, 240)
	optional[0], optional[1] = 0x0b, 2
	binary.LittleEndian.PutUint32(optional[108:], 16) // directories
	binary.LittleEndian.PutUint32(optional[112+8*2:], address)
	binary.LittleEndian.PutUint32(optional[112+8*2+4:], uint32(len(resources)))
	out = append(append(out, optional...), ".rsrc\x00\x00\x00"...)
	out = u32(u32(u32(u32(out, uint32(len(resources))), address), uint32(len(resources))), place)
	out = append(out, make([]byte, place-len(out))...)
	return append(out, resources...)
}

func TestReadPEVersion(t *testing.T) {
	data := windowsProgram("CompanyName", "Us", "FileDescription", "does it", "ProductName", "Täglich", "ProductVersion", "1.2")
	p, err := ReadPEVersion(bytes.NewReader(data))
	if err != nil || p.Name != "Täglich" || p.Version != "1.2" || p.Supplier != "Us" || p.Description != "does it" || p.PURL() != "" {
		t.Errorf("got %+v, %v", p, err)
	}
	if archive.Sniff(data) != archive.PE {
		t.Error("not taken for a program")
	}
	id, err := Identify(t.Context(), bytes.NewReader(data), int64(len(data)), "x.exe")
	if err != nil || id.Name != "Täglich" || id.Version != "1.2" || id.PURL != "" || id.Reason != "" {
		t.Errorf("identity %+v, %v", id, err)
	}
	p, err = ReadPEVersion(bytes.NewReader(windowsProgram("InternalName", "tool", "FileVersion", "7")))
	if err != nil || p.Name != "tool" || p.Version != "7" {
		t.Errorf("got %+v, %v", p, err)
	}
	if _, err := ReadPEVersion(bytes.NewReader(windowsProgram("LegalCopyright", "(c)"))); !errors.Is(err, ErrNoVersion) {
		t.Errorf("error %v", err)
	}
	if p, err := ReadPEVersion(bytes.NewReader(windowsProgram("ProductName", "\x01", "ProductVersion", "1"))); !errors.Is(err, ErrNoVersion) {
		t.Errorf("a name of control characters: %+v, %v", p, err)
	}
	for cut := range data {
		ReadPEVersion(bytes.NewReader(data[:cut])) // whatever it says, it ends
	}
}

func TestParseBuildInfo(t *testing.T) {
	got, err := ParseBuildInfo([]byte("format = 2\npkgname = a\ninstalled = gcc-libs-13.2.1-3-x86_64\ninstalled = broken\ninstalled = python-pip-1:23.3-1-any\n"))
	if err != nil || len(got) != 2 || got[0].PURL() != "pkg:alpm/arch/gcc-libs@13.2.1-3?arch=x86_64" || got[1].PURL() != "pkg:alpm/arch/python-pip@1:23.3-1?arch=any" {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := ParseBuildInfo([]byte("nothing")); err == nil {
		t.Error("no error")
	}
}

func FuzzReadPEVersion(f *testing.F) {
	f.Add(windowsProgram("ProductName", "a", "ProductVersion", "1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ReadPEVersion(bytes.NewReader(data))
		if err == nil && (p.Name == "" || p.Version == "") {
			t.Errorf("a package without a name or version: %+v", p)
		}
	})
}
