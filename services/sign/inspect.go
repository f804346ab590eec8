package sign

import (
	"context"
	"io"

	"assize.dev/services/sign/internal/pspf"
)

// PSPFReport is what is known about a PSPF package and what is inside it.
// Whether its key is to be trusted is not part of it.
type PSPFReport = pspf.Report

// PSPFSlot is one entry of a package's slot table.
type PSPFSlot = pspf.Slot

// PSPFMetadata is what the signed JSON of a package says, and its slots.
type (
	PSPFMetadata     = pspf.Metadata
	PSPFMetadataSlot = pspf.MetadataSlot
)

// What became of a package's own signature, as its report says.
const (
	PSPFValid  = pspf.SignatureValid
	PSPFAbsent = pspf.SignatureAbsent
	PSPFBad    = pspf.SignatureBad
)

// InspectPSPF reads the size bytes of r as a package. level is how deep:
// quick, standard, deep or paranoid. Whatever is wrong with the package is in
// the report; an error means that it could not be read, or an unknown level.
func InspectPSPF(ctx context.Context, r io.ReaderAt, size int64, level string) (*PSPFReport, error) {
	l, err := pspf.ParseLevel(level)
	if err != nil {
		return nil, err
	}
	return pspf.Verify(ctx, r, size, pspf.Options{Level: l})
}
