package pspf

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"

	"assize.dev/shared/digest"
)

// checkSlotContent is what binds slots to the signature: the SHA-256 of the
// stored bytes must be the one in the signed metadata. The table's shortened
// sum is unsigned and only has to agree.
func (v *verification) checkSlotContent() (string, error) {
	var total uint64
	for i := range v.slots {
		s := &v.slots[i]
		if s.signed.SelfRef {
			continue
		}
		want, err := parseChecksum(s.signed.Checksum)
		if err != nil {
			return "", flawf("slot %d (%.80q): %v", i, s.signed.ID, err)
		}
		got, err := v.sum(s.data)
		if err != nil {
			return "", err
		}
		if got != want {
			return "", flawf("slot %d (%.80q): SHA-256 is %x, the signed metadata says %x", i, s.signed.ID, got, want)
		}
		if short := binary.LittleEndian.Uint64(got[:]); short != s.checksum {
			return "", flawf("slot %d (%.80q): checksum %016x in the table, want %016x", i, s.signed.ID, s.checksum, short)
		}
		total += s.data.size
	}
	return fmt.Sprintf("%d bytes in %d slots match the signed metadata", total, len(v.slots)), nil
}

// checkLauncher compares the program in front with the signed metadata, where
// that names it. The Go builder does not; what then remains is the digest.
func (v *verification) checkLauncher() (string, error) {
	got, err := v.sum(section{0, v.index.launcherSize})
	if err != nil {
		return "", err
	}
	v.report.LauncherDigest = digest.FromSum(got[:])
	signed := v.report.Metadata.Launcher
	if signed == nil || signed.Checksum == "" {
		v.report.Launcher = LauncherUnauthenticated
		return "unauthenticated: the signed metadata does not name the launcher " + v.report.LauncherDigest.String(), nil
	}
	v.report.Launcher = LauncherMismatch
	want, err := parseChecksum(signed.Checksum)
	if err != nil {
		return "", err
	}
	if got != want {
		return "", flawf("SHA-256 is %x, the signed metadata says %x", got, want)
	}
	if signed.Size != nil && *signed.Size != v.index.launcherSize {
		return "", flawf("size is %d, the signed metadata says %d", v.index.launcherSize, *signed.Size)
	}
	v.report.Launcher = LauncherAuthenticated
	return string(LauncherAuthenticated), nil
}

// sum hashes a section that is known to lie within the file.
func (v *verification) sum(s section) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	src := io.NewSectionReader(v.r, int64(s.off), int64(s.size))
	buf := make([]byte, min(s.size+1, 256<<10))
	for {
		if err := v.ctx.Err(); err != nil {
			return sum, err
		}
		n, err := src.Read(buf)
		h.Write(buf[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			return sum, fmt.Errorf("reading %d bytes at %d: %w", s.size, s.off, err)
		}
	}
	h.Sum(sum[:0])
	return sum, nil
}
