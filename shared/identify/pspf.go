package identify

import (
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"

	purl "github.com/package-url/packageurl-go"
)

// Layout of a PSPF/2025 package's end: start magic, index, end magic.
const (
	pspfTrailer     = 8200
	pspfIndexAt     = 4
	pspfStart       = "\xf0\x9f\x93\xa6"
	pspfEnd         = "\xf0\x9f\xaa\x84"
	maxPSPFMetadata = 10 << 20 // the format's own limit for the JSON
)

// IsPSPF looks for the two magics at the end, where alone they count: a
// launcher may contain the same bytes anywhere.
func IsPSPF(r io.ReaderAt, size int64) bool {
	if size < pspfTrailer {
		return false
	}
	var magic [4]byte
	if _, err := r.ReadAt(magic[:], size-pspfTrailer); err != nil || string(magic[:]) != pspfStart {
		return false
	}
	if n, err := r.ReadAt(magic[:], size-4); n != 4 || (err != nil && err != io.EOF) {
		return false
	}
	return string(magic[:]) == pspfEnd
}

func identifyPSPF(r io.ReaderAt, size int64) Identity {
	p, err := readPSPF(r, size)
	if err != nil {
		return Identity{Format: PSPF, Reason: "metadata: " + err.Error()}
	}
	return identityOf(PSPF, p)
}

// readPSPF reads package.name and package.version of the metadata. It proves
// nothing: verifying is another service's work.
func readPSPF(r io.ReaderAt, size int64) (Package, error) {
	var index [40]byte
	if _, err := r.ReadAt(index[:], size-pspfTrailer+pspfIndexAt); err != nil {
		return Package{}, fmt.Errorf("read the index: %w", err)
	}
	offset, length := binary.LittleEndian.Uint64(index[24:]), binary.LittleEndian.Uint64(index[32:])
	end := uint64(size - pspfTrailer)
	if offset > end || length > end-offset {
		return Package{}, fmt.Errorf("%d bytes at %d lie outside the package", length, offset)
	}
	z, err := gzip.NewReader(io.NewSectionReader(r, int64(offset), int64(length)))
	if err != nil {
		return Package{}, err
	}
	data, err := readMetadata(z, maxPSPFMetadata)
	if err != nil {
		return Package{}, err
	}
	return ParsePSPFMetadata(data)
}

// ParsePSPFMetadata reads the package member of a PSPF/2025 metadata JSON.
func ParsePSPFMetadata(data []byte) (Package, error) {
	var m struct {
		Package struct {
			Name        string `json:"name"`
			Version     string `json:"version"`
			Description string `json:"description"`
		} `json:"package"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return Package{}, err
	}
	if m.Package.Name == "" || m.Package.Version == "" {
		return Package{}, fmt.Errorf("%w: no package name and version", ErrNoPackage)
	}
	return Package{
		Type: purl.TypeGeneric, Name: m.Package.Name, Version: m.Package.Version, Description: m.Package.Description,
	}, nil
}
