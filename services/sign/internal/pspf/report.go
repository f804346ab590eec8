package pspf

import (
	"errors"
	"fmt"

	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// Report is everything Verify learnt. The states of its parts are kept apart
// because they mean different things; each is "" where it was not looked at.
type Report struct {
	Level  Level
	Checks []event.Check // in order; those after a structural failure are missing
	// Warnings are deviations that real builders make and that do not
	// weaken what was verified.
	Warnings []string

	// Structure is whether the package is laid out as the format demands,
	// unsigned tables included.
	Structure State
	// Integrity is whether bytes have the checksums they should have, as far
	// as the level reads them; the launcher's are told apart.
	Integrity State
	Signature Signature
	// KeyFingerprint is the hexadecimal SHA-256 of the embedded public key.
	// A valid signature proves nothing until this is known to be trusted.
	KeyFingerprint string
	Launcher       Launcher
	LauncherSize   uint64
	LauncherDigest digest.Digest // at level deep
	Extraction     Extraction    // at level paranoid

	// Attestation is what the unsigned fields of FlavorPack 0.4 claim.
	Attestation Attestation
	// BuildTimestamp is an unsigned hint of the index, in seconds since 1970;
	// 0, as builders write it, says nothing.
	BuildTimestamp uint64
	// Metadata is nil if it could not be read. It is what the signer said
	// only if Signature is SignatureValid.
	Metadata *Metadata
	// Slots are the entries of the table at level standard, as far as there
	// is one to be read.
	Slots []Slot
}

// State is what became of one part of a package.
type State string

// The states of a part.
const (
	Sound  State = "sound"
	Broken State = "broken"
)

// Signature is what became of the package's own signature.
type Signature string

// The states of a signature.
const (
	SignatureValid  Signature = "valid"  // by the key inside the package, whoever that is
	SignatureAbsent Signature = "absent" // the field is all zero
	SignatureBad    Signature = "bad"
)

// Launcher is what is known about the program in front of the package, which
// the format leaves unsigned.
type Launcher string

// The states of a launcher.
const (
	LauncherAuthenticated   Launcher = "authenticated"   // matches the signed metadata
	LauncherUnauthenticated Launcher = "unauthenticated" // the signed metadata does not name it
	LauncherMismatch        Launcher = "mismatch"
)

// Extraction is whether a launcher may unpack the slots.
type Extraction string

// The states of extraction.
const (
	ExtractionSafe   Extraction = "safe"
	ExtractionUnsafe Extraction = "unsafe" // or not known to be safe
)

// Attestation holds the attested SHA-256 values, 64 hexadecimal digits each
// if CheckAttestationKey does not object, "" if absent.
type Attestation struct {
	Key    string // of the public key
	SBOM   string // of the slot that holds SBOM and provenance
	Policy string // of the policy in the metadata
}

// Names of the checks. What makes extraction unsafe has a check of its own,
// CheckExtraction followed by a dot and the hazard.
const (
	CheckTrailer           = "structure.trailer"
	CheckIndex             = "structure.index"
	CheckIntegrity         = "integrity.metadata"
	CheckSignature         = "signature"
	CheckMetadata          = "metadata"
	CheckAttestationKey    = "attestation.key"
	CheckSlotTable         = "slots.table"
	CheckSlotContent       = "slots.content"
	CheckLauncher          = "launcher"
	CheckAttestationSBOM   = "attestation.sbom"
	CheckAttestationPolicy = "attestation.policy"
	CheckExtraction        = "extraction"
)

// OK tells whether every check of the level passed.
func (r *Report) OK() bool { return r.Err() == nil }

// Err names the first check that failed, nil if none did.
func (r *Report) Err() error {
	for _, c := range r.Checks {
		if !c.OK {
			return fmt.Errorf("%s: %s", c.Name, c.Detail)
		}
	}
	if len(r.Checks) == 0 {
		return errors.New("nothing was checked")
	}
	return nil
}
