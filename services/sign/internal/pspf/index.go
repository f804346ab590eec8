package pspf

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/adler32"
	"io"
)

// The trailer: start magic, index block, end magic.
const (
	indexSize   = 8192
	trailerSize = 4 + indexSize + 4
	startMagic  = "\xF0\x9F\x93\xA6"
	endMagic    = "\xF0\x9F\xAA\x84"
)

// Bounds of the format. The first is this reader's own: gzip may make
// incompressible metadata a little longer.
const (
	maxStoredMetadata = 11 << 20
	maxMetadata       = 10 << 20
	maxSlots          = 65535
	formatVersion     = 0x20250001
)

// Offsets within the index block. All integers are little-endian.
const (
	offChecksum     = 4
	offPackageSize  = 8
	offLauncherSize = 16
	offMetadata     = 24
	offMetadataSize = 32
	offTable        = 40
	offTableSize    = 48
	offSlotCount    = 56
	offPublicKey    = 64
	offMetadataSum  = 96
	offSignature    = 128
	signatureSize   = 64
	offSignatureEnd = 640
	offAttestation  = 1376 // three times 64 hexadecimal digits or zero bytes
	offReserved     = offAttestation + 3*64
	offTimestamp    = 704
)

// index is the part of the index block that means something here.
type index struct {
	launcherSize uint64
	metadata     section
	table        section
	slotCount    int
	publicKey    [32]byte
	metadataSum  [sha256.Size]byte
	signature    [signatureSize]byte
	trailer      uint64 // where the trailer starts
}

type section struct{ off, size uint64 }

func (s section) end() uint64 { return s.off + s.size }

// within tells whether the section lies in [low, high], without overflow.
func (s section) within(low, high uint64) bool {
	return s.off >= low && s.off <= high && s.size <= high-s.off
}

// Detect tells whether r ends in a PSPF trailer. The magic strings are not
// searched for: a launcher contains them as constants.
func Detect(r io.ReaderAt, size int64) (bool, error) {
	start, end, err := magics(r, size)
	return start && end, err
}

// Resembles tells whether one end at least of a trailer is where it should
// be: the file is a package, or was one.
func Resembles(r io.ReaderAt, size int64) (bool, error) {
	start, end, err := magics(r, size)
	return start || end, err
}

func magics(r io.ReaderAt, size int64) (start, end bool, err error) {
	if size < trailerSize {
		return false, false, nil
	}
	at := func(off int64, magic string) bool {
		var got [4]byte
		if _, e := io.ReadFull(io.NewSectionReader(r, off, 4), got[:]); e != nil && err == nil {
			err = fmt.Errorf("looking for a PSPF trailer at %d: %w", off, e)
		}
		return string(got[:]) == magic
	}
	start, end = at(size-trailerSize, startMagic), at(size-4, endMagic)
	return start, end, err
}

func (v *verification) checkTrailer() (string, error) {
	if v.size < trailerSize {
		return "", flawf("%d bytes are less than a trailer of %d", v.size, trailerSize)
	}
	found, err := Detect(v.r, v.size)
	if err != nil {
		return "", err
	}
	if !found {
		return "", flawf("the last %d bytes are not framed by the PSPF magics (truncated, or a PE resource)", trailerSize)
	}
	return "", nil
}

func (v *verification) checkIndex() (string, error) {
	v.index.trailer = uint64(v.size) - trailerSize
	block, err := v.read(v.index.trailer+4, indexSize)
	if err != nil {
		return "", err
	}
	u32 := func(off int) uint32 { return binary.LittleEndian.Uint32(block[off:]) }
	u64 := func(off int) uint64 { return binary.LittleEndian.Uint64(block[off:]) }

	if got := u32(0); got != formatVersion {
		return "", flawf("format version is %#x, want %#x", got, formatVersion)
	}
	if got, want := u32(offChecksum), indexChecksum(block); got != want {
		return "", flawf("Adler-32 is %08x, the block says %08x", want, got)
	}
	if got := u64(offPackageSize); got != uint64(v.size) {
		return "", flawf("package size is %d, the file has %d bytes", got, v.size)
	}
	ix := &v.index
	ix.launcherSize = u64(offLauncherSize)
	ix.metadata = section{u64(offMetadata), u64(offMetadataSize)}
	ix.table = section{u64(offTable), u64(offTableSize)}
	if err := ix.checkRanges(uint64(u32(offSlotCount))); err != nil {
		return "", err
	}
	copy(ix.publicKey[:], block[offPublicKey:])
	copy(ix.metadataSum[:], block[offMetadataSum:])
	copy(ix.signature[:], block[offSignature:])
	if !allZero(block[offSignature+signatureSize : offSignatureEnd]) {
		return "", flawf("the signature field holds more than %d bytes", signatureSize)
	}
	a := &v.report.Attestation
	for i, field := range []*string{&a.Key, &a.SBOM, &a.Policy} {
		if digits := block[offAttestation+64*i:][:64]; !allZero(digits) {
			*field = string(digits)
		}
	}
	if !allZero(block[offReserved:]) {
		v.warnf("index: reserved bytes are not zero")
	}
	fingerprint := sha256.Sum256(ix.publicKey[:])
	v.report.KeyFingerprint = hex.EncodeToString(fingerprint[:])
	v.report.LauncherSize, v.report.BuildTimestamp = ix.launcherSize, u64(offTimestamp)
	return "", nil
}

// checkRanges puts launcher, metadata, slot table and trailer in order. The
// launcher ends where the metadata begins, so that no byte is unaccounted
// for between what the metadata may authenticate and itself.
func (ix *index) checkRanges(slots uint64) error {
	if slots > maxSlots {
		return flawf("%d slots, at most %d", slots, maxSlots)
	}
	ix.slotCount = int(slots)
	if ix.metadata.off != ix.launcherSize {
		return flawf("metadata starts at %d, the launcher ends at %d", ix.metadata.off, ix.launcherSize)
	}
	if ix.metadata.size == 0 || ix.metadata.size > maxStoredMetadata {
		return flawf("metadata of %d bytes, want 1 to %d", ix.metadata.size, maxStoredMetadata)
	}
	if !ix.metadata.within(0, ix.trailer) {
		return flawf("metadata (%d bytes at %d) does not end before the trailer at %d", ix.metadata.size, ix.metadata.off, ix.trailer)
	}
	if want := slots * slotEntrySize; ix.table.size != want {
		return flawf("slot table of %d bytes, %d slots need %d", ix.table.size, slots, want)
	}
	if slots == 0 && ix.table.off == 0 { // what the Python builder writes
		ix.table.off = ix.metadata.end()
	}
	if !ix.table.within(ix.metadata.end(), ix.trailer) {
		return flawf("slot table (%d bytes at %d) does not lie between metadata end %d and trailer %d",
			ix.table.size, ix.table.off, ix.metadata.end(), ix.trailer)
	}
	return nil
}

// indexChecksum is Adler-32 over the block with its own field zeroed.
func indexChecksum(block []byte) uint32 {
	sum := adler32.New()
	sum.Write(block[:offChecksum])
	sum.Write(make([]byte, 4))
	sum.Write(block[offChecksum+4:])
	return sum.Sum32()
}

func allZero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }
