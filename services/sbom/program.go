package sbom

import (
	"bytes"
	"compress/zlib"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"assize.dev/shared/archive"
	"assize.dev/shared/identify"
)

// program reads what Go's linker, cargo-auditable and the version resources of
// Windows note in programs.
type program struct{}

func (program) name() string { return "program" }

func (program) wants(e *entry) bool {
	return e.Content == archive.ELF || e.Content == archive.PE || e.Content == archive.MachO
}

func (program) extract(e *entry, src *source) ([]identify.Package, error) {
	r, size, done, err := src.random()
	if err != nil {
		return nil, err
	}
	defer done()
	var found []identify.Package
	if built, err := identify.ReadGoProgram(r); err == nil {
		found = append(found, built.Modules...)
		if built.Stdlib.Name != "" {
			found = append(found, built.Stdlib)
		}
		if built.Main.Name != "" {
			// Which of them needs which is not noted.
			for _, p := range found {
				built.Main.DependsOn = append(built.Main.DependsOn, p.PURL())
			}
			found = append(found, built.Main)
		}
	}
	if e.Content == archive.PE && len(found) == 0 {
		p, err := identify.ReadPEVersion(r)
		if err == nil {
			found = append(found, p)
		} else if !errors.Is(err, identify.ErrNoVersion) {
			return nil, &misplaced{err} // a program that runs without it
		}
	}
	crates, err := auditedCrates(r, size, e.Content)
	return append(found, crates...), err
}

// maxDependsOn bounds the edges that one crate is listed with.
const maxDependsOn = 2000

// maxAudit bounds the list of crates, before and after decompression.
const maxAudit = 8 << 20

// auditedCrates reads the section .dep-v0 that cargo-auditable links into
// Rust programs: zlib-compressed JSON. A program without it has none.
func auditedCrates(r io.ReaderAt, size int64, format archive.Format) ([]identify.Package, error) {
	section, err := auditSection(io.NewSectionReader(r, 0, size), format)
	if err != nil || section == nil {
		return nil, err
	}
	return parseAudit(section)
}

func auditSection(r io.ReaderAt, format archive.Format) (section []byte, err error) {
	// The standard library reads headers lazily and promises nothing about
	// hostile ones.
	defer func() {
		if p := recover(); p != nil {
			section, err = nil, fmt.Errorf("reading the section table panicked: %v", p)
		}
	}()
	var open io.Reader
	switch format {
	case archive.ELF:
		if f, err := elf.NewFile(r); err == nil {
			if s := f.Section(".dep-v0"); s != nil {
				open = s.Open()
			}
		}
	case archive.PE:
		if f, err := pe.NewFile(r); err == nil {
			if s := f.Section(".dep-v0"); s != nil {
				open = s.Open()
			}
		}
	case archive.MachO:
		if f, err := macho.NewFile(r); err == nil {
			if s := f.Section(".dep-v0"); s != nil {
				open = s.Open()
			}
		}
	}
	if open == nil {
		return nil, nil // no such section, or no section table to be read
	}
	return (&source{r: open}).all(maxAudit)
}

// parseAudit reads the list of crates. Build dependencies are left out: they
// ran on the builder and are not in the program.
func parseAudit(section []byte) ([]identify.Package, error) {
	z, err := zlib.NewReader(bytes.NewReader(section))
	if err != nil {
		return nil, fmt.Errorf("section .dep-v0: %w", err)
	}
	data, err := (&source{r: z}).all(maxAudit)
	if err != nil && !errors.Is(err, errTooLarge) {
		return nil, fmt.Errorf("section .dep-v0: %w", err)
	} else if err != nil {
		return nil, err
	}
	var list struct {
		Packages []struct {
			Name    string `json:"name"`
			Version string `json:"version"`
			Kind    string `json:"kind"`
			Needs   []int  `json:"dependencies"` // places in this list
		} `json:"packages"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("section .dep-v0: %w", err)
	}
	purls := make([]string, len(list.Packages))
	for i, p := range list.Packages {
		purls[i] = identify.Package{Type: "cargo", Name: p.Name, Version: p.Version}.PURL()
	}
	var found []identify.Package
	for _, p := range list.Packages {
		if p.Kind != "build" {
			crate := identify.Package{Type: "cargo", Name: p.Name, Version: p.Version, NeedsStated: true}
			for _, i := range p.Needs {
				if i >= 0 && i < len(list.Packages) && list.Packages[i].Kind != "build" && len(crate.DependsOn) < maxDependsOn {
					crate.DependsOn = append(crate.DependsOn, purls[i])
				}
			}
			found = append(found, crate)
		}
	}
	return found, nil
}
