package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"assize.dev/services/sign"
	"assize.dev/shared/event"
)

type inspectCmd struct {
	File  string `arg:"" help:"PSPF package." placeholder:"FILE.psp"`
	Level string `help:"How deep to look: ${enum}. Paranoid also unpacks every slot, in memory." enum:"quick,standard,deep,paranoid" default:"deep"`
}

func (inspectCmd) Help() string {
	return `Nothing is run and nothing is written. What is shown was said by the package;
it is its signer's word only if the signature is valid, and worth something
only if you know the public key.

Exit codes: 0 all checks hold, 1 a check failed, 3 the file could not be read.

Examples:
  assize inspect tool.psp
  assize inspect tool.psp | grep "Public Key"
  assize inspect --level paranoid --json tool.psp`
}

func (c *inspectCmd) Run(ctx context.Context, g *globals) error {
	f, info, err := openFile(c.File)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	defer f.Close()
	report, err := sign.InspectPSPF(ctx, f, info.Size(), c.Level)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	in := inspectionOf(c.File, info.Size(), report)
	if g.JSON {
		err = json.NewEncoder(g.stdout).Encode(in)
	} else {
		_, err = io.WriteString(g.stdout, in.text(g.printer()))
	}
	if err == nil && !in.OK {
		err = status(exitFail)
	}
	return err
}

// inspection is what is known of a package, as --json prints it. States are
// "not looked at" where the level or an earlier failure kept them from being
// found out.
type inspection struct {
	File  string `json:"file"`
	OK    bool   `json:"ok"`    // every check of the level holds
	Level string `json:"level"` // as asked for

	Structure  string `json:"structure"`  // sound or broken
	Integrity  string `json:"integrity"`  // sound or broken
	Signature  string `json:"signature"`  // valid, absent or bad
	PublicKey  string `json:"publicKey"`  // its hexadecimal SHA-256
	Extraction string `json:"extraction"` // safe or unsafe

	Size           int64              `json:"size"`
	Format         string             `json:"format"`
	Name           string             `json:"name"`
	Version        string             `json:"version"`
	Build          inspectedBuild     `json:"build"`
	Launcher       inspectedLauncher  `json:"launcher"`
	Slots          []inspectedSlot    `json:"slots"`
	Command        string             `json:"command"`
	Environment    []string           `json:"environment"` // names only
	SetupCommands  []inspectedCommand `json:"setupCommands"`
	Policy         json.RawMessage    `json:"policy,omitempty"`
	Attestation    inspectedClaims    `json:"attestation"`
	IndexTimestamp uint64             `json:"indexTimestamp,omitempty"` // unsigned, seconds since 1970
	Warnings       []string           `json:"warnings"`
	Checks         []event.Check      `json:"checks"`
}

type inspectedBuild struct {
	Tool      string `json:"tool,omitempty"`
	Version   string `json:"version,omitempty"`
	Timestamp string `json:"timestamp,omitempty"`
	Platform  string `json:"platform,omitempty"`
}

type inspectedLauncher struct {
	State  string `json:"state"` // authenticated, unauthenticated or mismatch
	Size   uint64 `json:"size"`
	SHA256 string `json:"sha256,omitempty"`
}

// inspectedSlot has what the table says where it was read, and what is signed.
type inspectedSlot struct {
	Slot        int     `json:"slot"`
	ID          string  `json:"id"`
	Target      string  `json:"target"`
	Size        *uint64 `json:"size,omitempty"` // bytes stored
	Operations  string  `json:"operations"`
	Purpose     string  `json:"purpose"`
	Lifecycle   string  `json:"lifecycle"`
	Permissions string  `json:"permissions"`
	SHA256      string  `json:"sha256,omitempty"` // of the bytes, where they were read
	Checksum    string  `json:"checksum"`         // as signed
	SelfRef     bool    `json:"selfRef,omitempty"`
}

type inspectedCommand struct {
	Type    string `json:"type"`
	Command string `json:"command,omitempty"`
	Path    string `json:"path,omitempty"`    // to be written
	Files   string `json:"files,omitempty"`   // where files are looked for
	Pattern string `json:"pattern,omitempty"` // of their names
}

type inspectedClaims struct {
	PublicKey string `json:"publicKey,omitempty"`
	SBOM      string `json:"sbom,omitempty"`
	Policy    string `json:"policy,omitempty"`
}

const notLookedAt = "not looked at"

func stateOf[S ~string](s S) string { return cmp.Or(string(s), notLookedAt) }

func inspectionOf(file string, size int64, r *sign.PSPFReport) *inspection {
	in := &inspection{
		File: file, OK: r.OK(), Level: r.Level.String(), Size: size,
		Structure: stateOf(r.Structure), Integrity: stateOf(r.Integrity), Signature: stateOf(r.Signature),
		PublicKey: r.KeyFingerprint, Extraction: stateOf(r.Extraction),
		Launcher:    inspectedLauncher{State: stateOf(r.Launcher), Size: r.LauncherSize, SHA256: r.LauncherDigest.Hex()},
		Attestation: inspectedClaims{PublicKey: r.Attestation.Key, SBOM: r.Attestation.SBOM, Policy: r.Attestation.Policy},
		Slots:       []inspectedSlot{}, Environment: []string{}, SetupCommands: []inspectedCommand{},
		IndexTimestamp: r.BuildTimestamp, Warnings: append([]string{}, r.Warnings...), Checks: r.Checks,
	}
	for i := range r.Slots {
		in.Slots = append(in.Slots, slotOf(i, &r.Slots[i]))
	}
	m := r.Metadata
	if m == nil {
		return in
	}
	if r.Slots == nil {
		for i := range m.Slots {
			in.Slots = append(in.Slots, describedSlot(i, &m.Slots[i]))
		}
	}
	claims := m.Claims()
	in.Format, in.Name, in.Version, in.Command = m.Format, m.Package.Name, m.Package.Version, m.Execution.Command
	in.Build = inspectedBuild{claims.Tool, claims.ToolVersion, claims.Timestamp, claims.Platform}
	in.Environment = append(in.Environment, claims.Environment...)
	for _, c := range m.SetupCommands {
		in.SetupCommands = append(in.SetupCommands, inspectedCommand{c.Type, c.Command, c.Path, c.Enumerate.Path, c.Enumerate.Pattern})
	}
	if string(m.Policy) != "null" {
		in.Policy = m.Policy
	}
	return in
}

func slotOf(i int, s *sign.PSPFSlot) inspectedSlot {
	var out inspectedSlot
	if s.Signed != nil {
		out = describedSlot(i, s.Signed)
	} else {
		out = inspectedSlot{Slot: i, Purpose: fmt.Sprint(s.Purpose), Lifecycle: fmt.Sprint(s.Lifecycle)}
	}
	out.Size, out.Operations, out.SHA256 = &s.Size, s.OperationNames(), s.Digest.Hex()
	out.Permissions = fmt.Sprintf("%04o", s.Mode)
	return out
}

func describedSlot(i int, s *sign.PSPFMetadataSlot) inspectedSlot {
	return inspectedSlot{
		Slot: i, ID: s.ID, Target: s.Target, Operations: cmp.Or(s.Operations, "raw"), Purpose: s.Purpose,
		Lifecycle: s.Lifecycle, Permissions: strings.Trim(string(s.Permissions), `"`),
		Checksum: s.Checksum, SelfRef: s.SelfRef,
	}
}

// text shows the package to a person. Whatever comes from it goes through
// printable, here or in row.
func (in *inspection) text(p printer) string {
	var b strings.Builder
	row := func(label, format string, args ...any) {
		text := cmp.Or(strings.TrimSpace(fmt.Sprintf(format, args...)), "none")
		fmt.Fprintf(&b, "%-13s %s\n", label, printable(text))
	}
	verdict, tint := "✓ ALL CHECKS HOLD", green
	if !in.OK {
		verdict, tint = "✗ CHECKS FAILED", red
	}
	fmt.Fprintf(&b, "%s  %s\n", p.tinted(tint, verdict+" at level "+in.Level), p.tinted(bold, printable(in.File)))
	row("Package", "%s %s", cmp.Or(in.Name, "unknown"), in.Version)
	row("Format", "%s, %d bytes", cmp.Or(in.Format, "unknown"), in.Size)
	row("Built by", "%s", in.Build)
	if in.IndexTimestamp > 0 {
		row("Index time", "%s (not signed)", unixTime(in.IndexTimestamp))
	}
	row("Public Key", "%s", cmp.Or(in.PublicKey, "unknown"))
	row("Signature", "%s", signatureSays[in.Signature])
	row("Structure", "%s", in.Structure)
	row("Integrity", "%s", in.Integrity)
	row("Extraction", "%s", in.Extraction)
	row("Launcher", "%s, %d bytes %s", in.Launcher.State, in.Launcher.Size, in.Launcher.SHA256)
	row("Command", "%s", in.Command)
	row("Environment", "%s", strings.Join(in.Environment, ", "))
	if in.Policy != nil {
		row("Policy", "%s", oneLine(in.Policy))
	}
	if in.Attestation != (inspectedClaims{}) {
		row("Attestation", "%s", in.Attestation)
	}
	for _, c := range in.SetupCommands {
		fmt.Fprintf(&b, "%-13s %s\n", "Setup", p.tinted(yellow, printable("! "+c.String())))
	}
	in.table(&b)
	for _, c := range in.Checks {
		mark, tint := "✓", green
		if !c.OK {
			mark, tint = "✗", red
		}
		fmt.Fprintln(&b, strings.TrimSpace(p.tinted(tint, mark+" "+printable(c.Name))+" "+printable(c.Detail)))
	}
	for _, w := range in.Warnings {
		fmt.Fprintln(&b, p.tinted(yellow, "! warning"), printable(w))
	}
	return b.String()
}

// signatureSays is what the states mean.
var signatureSays = map[string]string{
	string(sign.PSPFValid):  "valid: whoever has this key signed the metadata; whether to trust the key is yours to say",
	string(sign.PSPFAbsent): "absent: anybody may have made this",
	string(sign.PSPFBad):    "bad: this is not what the holder of this key signed",
	notLookedAt:             notLookedAt,
}

// table shows the slots, with the digest of their bytes or else as signed.
func (in *inspection) table(b *strings.Builder) {
	if len(in.Slots) == 0 {
		return
	}
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SLOT\tID\tTARGET\tSIZE\tOPERATIONS\tPURPOSE\tLIFECYCLE\tMODE\tSHA-256")
	for _, s := range in.Slots {
		size := "?"
		if s.Size != nil {
			size = fmt.Sprint(*s.Size)
		}
		digest := s.SHA256
		switch {
		case s.SelfRef:
			digest = "the package itself"
		case digest == "":
			digest = cmp.Or(s.Checksum, "none") + " as signed, " + notLookedAt
		}
		cells := []string{fmt.Sprint(s.Slot), s.ID, s.Target, size, s.Operations, s.Purpose, s.Lifecycle, s.Permissions, digest}
		for i, cell := range cells {
			if i < len(cells)-1 && strings.ContainsFunc(cell, unicode.IsSpace) {
				cell = strconv.Quote(cell) // else it could look like two
			}
			cells[i] = printable(cell)
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	w.Flush() // into a strings.Builder, which does not fail
}

func (b inspectedBuild) String() string {
	s := strings.TrimSpace(cmp.Or(b.Tool, "unknown") + " " + b.Version)
	if b.Platform != "" {
		s += " for " + b.Platform
	}
	if b.Timestamp != "" {
		s += ", " + b.Timestamp
	}
	return s
}

func (c inspectedCommand) String() string {
	s := c.Type
	for _, part := range []struct{ name, value string }{
		{"", c.Command}, {"to ", c.Path}, {"for files in ", c.Files}, {"named ", c.Pattern},
	} {
		if part.value != "" {
			s += " " + part.name + part.value
		}
	}
	return s
}

func (c inspectedClaims) String() string {
	var parts []string
	for _, part := range []struct{ name, value string }{{"key ", c.PublicKey}, {"SBOM ", c.SBOM}, {"policy ", c.Policy}} {
		if part.value != "" {
			parts = append(parts, part.name+part.value)
		}
	}
	return strings.Join(parts, ", ")
}

// oneLine leaves out the spaces of JSON, which the report has parsed.
func oneLine(doc json.RawMessage) string {
	var b bytes.Buffer
	if json.Compact(&b, doc) != nil {
		return string(doc)
	}
	return b.String()
}

// unixTime shows seconds since 1970, those beyond the year 9999 as a number.
func unixTime(seconds uint64) string {
	const year10000 = 253402300800
	if seconds >= year10000 {
		return fmt.Sprint(seconds, " seconds since 1970")
	}
	return time.Unix(int64(seconds), 0).UTC().Format(time.RFC3339)
}
