// Package pspf reads PSPF/2025 packages (FlavorPack's self-signed,
// self-contained executables) and says whether they are what their signer
// made. It is written from the format's description and checks what no
// upstream reader does: the full SHA-256 of every slot against the signed
// metadata, which is the only thing that binds a slot to the signature.
//
// A package is `launcher | metadata | slot table | slots | trailer`. The
// Ed25519 signature covers the uncompressed metadata JSON and nothing else;
// everything below is bound through it or reported as unauthenticated.
package pspf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// Level is how deep Verify looks; each level includes the ones before it.
type Level int

// The levels. Decoding the slots' content is left to the analysers that scan
// it.
const (
	Quick    Level = iota + 1 // trailer, index, metadata and its signature
	Standard                  // and the slot table
	Deep                      // and every byte of slots and launcher
)

var levelNames = map[Level]string{Quick: "quick", Standard: "standard", Deep: "deep"}

func (l Level) String() string {
	if name, ok := levelNames[l]; ok {
		return name
	}
	return fmt.Sprintf("level %d", int(l))
}

// ParseLevel reads the name of a level.
func ParseLevel(name string) (Level, error) {
	for level, n := range levelNames {
		if n == name {
			return level, nil
		}
	}
	return 0, fmt.Errorf("verification level %.40q: want quick, standard or deep", name)
}

// Signature is what became of the package's own signature.
type Signature string

// The states of a signature. The zero value means that the package is too
// broken to tell.
const (
	SignatureValid  Signature = "valid"  // by the key inside the package, whoever that is
	SignatureAbsent Signature = "absent" // the field is all zero
	SignatureBad    Signature = "bad"
)

// Launcher is what is known about the program in front of the package, which
// the format leaves unsigned.
type Launcher string

// The states of a launcher. The zero value means that it was not looked at.
const (
	LauncherAuthenticated   Launcher = "authenticated"   // matches the signed metadata
	LauncherUnauthenticated Launcher = "unauthenticated" // the signed metadata does not name it
	LauncherMismatch        Launcher = "mismatch"
)

// Report is everything Verify learnt.
type Report struct {
	Level  Level
	Checks []event.Check // in order; those after a structural failure are missing
	// Warnings are deviations that real builders make and that do not
	// weaken what was verified.
	Warnings []string

	Signature Signature
	// KeyFingerprint is the hexadecimal SHA-256 of the embedded public key.
	// A valid signature proves nothing until this is known to be trusted.
	KeyFingerprint string
	Launcher       Launcher
	LauncherDigest digest.Digest // at level deep
	// Metadata is nil if it could not be read. It is what the signer said
	// only if Signature is SignatureValid.
	Metadata *Metadata
}

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

// Names of the checks.
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
)

// Verify checks the size bytes of r. Whatever is wrong with them is in the
// report; an error means that they could not be read or that ctx ended.
func Verify(ctx context.Context, r io.ReaderAt, size int64, level Level) (*Report, error) {
	if _, ok := levelNames[level]; !ok {
		return nil, fmt.Errorf("verifying PSPF package: unknown level %d", int(level))
	}
	v := &verification{ctx: ctx, r: r, size: size, report: &Report{Level: level}}
	for _, s := range v.steps() {
		if s.level > level {
			break
		}
		detail, err := s.run()
		var f flaw
		switch {
		case err == nil:
			v.report.Checks = append(v.report.Checks, event.Check{Name: s.name, OK: true, Detail: detail})
		case errors.As(err, &f):
			v.report.Checks = append(v.report.Checks, event.Check{Name: s.name, Detail: string(f)})
			if s.vital {
				return v.report, nil
			}
		default:
			return nil, fmt.Errorf("verifying PSPF package: %s: %w", s.name, err)
		}
	}
	return v.report, nil
}

// verification is one call of Verify. Each step may rely on what the vital
// steps before it established.
type verification struct {
	ctx    context.Context
	r      io.ReaderAt
	size   int64
	report *Report

	index    index
	json     []byte // exactly the signed bytes
	slots    []slot
	warnings int
}

type step struct {
	name  string
	level Level
	vital bool // later steps make no sense without it
	run   func() (detail string, err error)
}

func (v *verification) steps() []step {
	return []step{
		{CheckTrailer, Quick, true, v.checkTrailer},
		{CheckIndex, Quick, true, v.checkIndex},
		{CheckIntegrity, Quick, true, v.checkIntegrity},
		{CheckSignature, Quick, false, v.checkSignature},
		{CheckMetadata, Quick, true, v.checkMetadata},
		{CheckAttestationKey, Quick, false, v.checkAttestationKey},
		{CheckSlotTable, Standard, true, v.checkSlotTable},
		{CheckSlotContent, Deep, false, v.checkSlotContent},
		{CheckLauncher, Deep, false, v.checkLauncher},
		{CheckAttestationSBOM, Deep, false, v.checkAttestationSBOM},
		{CheckAttestationPolicy, Deep, false, v.checkAttestationPolicy},
	}
}

// flaw is an error in the package, as opposed to one in reading it.
type flaw string

func (f flaw) Error() string { return string(f) }

// maxDetail bounds what a package can put into a report by being wrong.
const maxDetail = 500

func flawf(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if len(text) > maxDetail {
		text = strings.ToValidUTF8(text[:maxDetail], "") + "…"
	}
	return flaw(text)
}

const maxWarnings = 50

func (v *verification) warnf(format string, args ...any) {
	v.warnings++
	switch {
	case v.warnings <= maxWarnings:
		v.report.Warnings = append(v.report.Warnings, fmt.Sprintf(format, args...))
	case v.warnings == maxWarnings+1:
		v.report.Warnings = append(v.report.Warnings, "further warnings are not listed")
	}
}

// read returns n bytes at off. The caller has checked that they lie within
// the file, so n is never more than was really uploaded.
func (v *verification) read(off, n uint64) ([]byte, error) {
	if err := v.ctx.Err(); err != nil {
		return nil, err
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(v.r, int64(off), int64(n)), b); err != nil {
		return nil, fmt.Errorf("reading %d bytes at %d: %w", n, off, err)
	}
	return b, nil
}
