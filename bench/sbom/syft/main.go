// Command syft measures syft's library on one file.
package main

import (
	"context"

	"github.com/anchore/syft/syft"
	"github.com/anchore/syft/syft/cataloging"
	"github.com/anchore/syft/syft/cataloging/filecataloging"
	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/source"
	"github.com/anchore/syft/syft/source/filesource"
	_ "modernc.org/sqlite" // reads rpm's databases for syft

	"assize.dev/bench/sbom/internal/measure"
)

func main() { measure.Main(prepare) }

// prepare makes the scanner of licences, which takes two seconds of processor
// time and which syft would otherwise make for every artifact.
func prepare(ctx context.Context, path, format string) (measure.Look, error) {
	ctx, err := syft.SetContextLicenseScanner(ctx, cataloging.DefaultLicenseConfig())
	if err != nil {
		return nil, err
	}
	config := syft.DefaultCreateSBOMConfig().
		WithParallelism(1).
		WithFilesConfig(filecataloging.DefaultConfig().WithSelection(file.NoFilesSelection)).
		WithCatalogerSelection(cataloging.NewSelectionRequest().WithDefaults("all"))
	return func(m *measure.Measurement) error { return look(ctx, path, format, config, m) }, nil
}

// look uses all of syft's cataloguers, in one thread. The result stays in
// memory: no document is written.
func look(ctx context.Context, path, format string, config *syft.CreateSBOMConfig, m *measure.Measurement) error {
	src, err := open(ctx, path, format)
	if err != nil {
		return err
	}
	bom, err := syft.CreateSBOM(ctx, src, config)
	if err != nil {
		src.Close()
		return err
	}
	m.Components = bom.Artifacts.Packages.PackageCount()
	return src.Close() // takes away what was unpacked
}

// open takes image archives for images and anything else for a file, which
// syft unpacks if it is an archive.
func open(ctx context.Context, path, format string) (source.Source, error) {
	switch format {
	case "docker", "oci": // as package identify names them
		return syft.GetSource(ctx, path, syft.DefaultGetSourceConfig().WithSources(format+"-archive"))
	}
	return filesource.New(filesource.Config{Path: path})
}
