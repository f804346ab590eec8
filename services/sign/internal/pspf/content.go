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
	var first error // the others are hashed all the same, for the report
	for i := range v.report.Slots {
		s := &v.report.Slots[i]
		if s.Signed.SelfRef {
			continue
		}
		got, err := v.sum(s.data())
		if err != nil {
			return "", err
		}
		s.Digest = digest.FromSum(got[:])
		if err := s.checkContent(got); err != nil && first == nil {
			first = flawf("slot %d (%.80q): %v", i, s.Signed.ID, err)
		}
		total += s.Size
	}
	if first != nil {
		return "", first
	}
	return fmt.Sprintf("%d bytes in %d slots match the signed metadata", total, len(v.report.Slots)), nil
}

func (s *Slot) checkContent(got [sha256.Size]byte) error {
	want, err := parseChecksum(s.Signed.Checksum)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("SHA-256 is %x, the signed metadata says %x", got, want)
	}
	if short := binary.LittleEndian.Uint64(got[:]); short != s.Checksum {
		return fmt.Errorf("checksum %016x in the table, want %016x", s.Checksum, short)
	}
	return nil
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
	_, err = io.CopyBuffer(h, v.open(s), make([]byte, min(s.size+1, 256<<10)))
	h.Sum(sum[:0])
	return sum, err
}
