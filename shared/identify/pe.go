package identify

import (
	"debug/pe"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
)

// ErrNoVersion means that a Windows program has no version resource.
var ErrNoVersion = errors.New("no version resource")

// Bounds of a resource section.
const (
	maxVersionResource = 64 << 10
	resourceVersion    = 16 // RT_VERSION
)

// ReadPEVersion reads the version resource of a Windows program (Microsoft PE
// format, ".rsrc section"; "VS_VERSIONINFO structure"): name and version of the
// product, who made it, and what it is. It has no package URL, because nobody
// administers these names.
func ReadPEVersion(r io.ReaderAt) (p Package, err error) {
	// The standard library reads headers lazily and promises nothing about
	// hostile ones.
	defer func() {
		if caught := recover(); caught != nil {
			p, err = Package{}, fmt.Errorf("version resource: reading it panicked: %v", caught)
		}
	}()
	f, err := pe.NewFile(r)
	if err != nil {
		return Package{}, fmt.Errorf("version resource: %w", err)
	}
	data, err := versionResource(f)
	if err != nil {
		return Package{}, err
	}
	said := map[string]string{}
	versionStrings(data, 0, said)
	p = Package{
		Name: said["ProductName"], Version: said["ProductVersion"],
		Supplier: said["CompanyName"], Description: said["FileDescription"],
	}
	if p.Name == "" {
		p.Name = said["InternalName"]
	}
	if p.Version == "" {
		p.Version = said["FileVersion"]
	}
	p.Name, p.Version = clean(p.Name, maxName), clean(p.Version, maxName)
	if p.Name == "" || p.Version == "" {
		return Package{}, ErrNoVersion
	}
	return p, nil
}

// versionResource finds the first one: type, then name, then language.
func versionResource(f *pe.File) ([]byte, error) {
	var directory pe.DataDirectory
	switch h := f.OptionalHeader.(type) {
	case *pe.OptionalHeader32:
		directory = h.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_RESOURCE]
	case *pe.OptionalHeader64:
		directory = h.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_RESOURCE]
	}
	if directory.VirtualAddress == 0 {
		return nil, ErrNoVersion
	}
	at := directory.VirtualAddress
	for level := range 3 {
		head, err := peBytes(f, at, 16)
		if err != nil {
			return nil, err
		}
		named, numbered := uint32(binary.LittleEndian.Uint16(head[12:])), uint32(binary.LittleEndian.Uint16(head[14:]))
		first, count := uint32(0), named+numbered
		if level == 0 {
			first = named // types are numbers
		}
		next := uint32(0)
		for i := first; i < min(count, 4096); i++ {
			entry, err := peBytes(f, at+16+8*i, 8)
			if err != nil {
				return nil, err
			}
			if level > 0 || binary.LittleEndian.Uint32(entry) == resourceVersion {
				next = binary.LittleEndian.Uint32(entry[4:])
				break
			}
		}
		if next == 0 || (next>>31 == 1) != (level < 2) {
			return nil, ErrNoVersion
		}
		at = directory.VirtualAddress + next&^(1<<31)
	}
	leaf, err := peBytes(f, at, 8)
	if err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(leaf[4:])
	if size > maxVersionResource {
		return nil, fmt.Errorf("version resource: %d bytes, at most %d are read", size, maxVersionResource)
	}
	return peBytes(f, binary.LittleEndian.Uint32(leaf), size)
}

// peBytes reads at an address of the loaded program.
func peBytes(f *pe.File, address, size uint32) ([]byte, error) {
	for _, s := range f.Sections {
		if address < s.VirtualAddress || uint64(address)+uint64(size) > uint64(s.VirtualAddress)+uint64(s.Size) {
			continue
		}
		data := make([]byte, size)
		if _, err := s.ReadAt(data, int64(address-s.VirtualAddress)); err != nil {
			return nil, fmt.Errorf("version resource: %w", err)
		}
		return data, nil
	}
	return nil, fmt.Errorf("version resource: %d bytes at address %#x lie in no section", size, address)
}

// versionStrings reads a block: its length, that of its value, its type, a key
// in UTF-16, and then its value and blocks inside, each at a multiple of four
// bytes.
func versionStrings(data []byte, depth int, said map[string]string) {
	for offset := 0; offset+6 <= len(data) && depth < 4; {
		size := int(binary.LittleEndian.Uint16(data[offset:]))
		if size < 6 || offset+size > len(data) {
			return
		}
		block := data[offset : offset+size]
		value, text := int(binary.LittleEndian.Uint16(block[2:])), binary.LittleEndian.Uint16(block[4:]) == 1
		key, n := utf16z(block[6:])
		at := align4(6 + n)
		switch {
		case depth == 3 && at <= size: // String
			s, _ := utf16z(block[at:])
			if said[key] == "" {
				said[key] = strings.TrimSpace(s)
			}
		case key == "VS_VERSION_INFO" && !text:
			at = align4(at + value)
			fallthrough
		case depth > 0 && key != "VarFileInfo":
			if at <= size {
				versionStrings(block[at:], depth+1, said)
			}
		}
		offset = align4(offset + size)
	}
}

func align4(n int) int { return (n + 3) &^ 3 }

// utf16z reads up to a zero and tells how many bytes that took.
func utf16z(data []byte) (string, int) {
	var units []uint16
	for i := 0; i+1 < len(data); i += 2 {
		u := binary.LittleEndian.Uint16(data[i:])
		if u == 0 {
			return string(utf16.Decode(units)), i + 2
		}
		units = append(units, u)
	}
	return string(utf16.Decode(units)), len(data)
}
