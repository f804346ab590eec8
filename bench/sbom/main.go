// Command sbom measures our cataloguer beside syft, as a warm library, on the
// same artifacts in one run: processor time, peak memory and the number of
// components found. It is a module of its own, outside of the workspace: what
// syft needs must not decide the versions of everything else.
//
// Each side is a program of its own, too, that looks at one artifact, one
// program at a time: in one with both, the garbage collector would go through
// syft's variables for ours as well, and 75 MB of memory would be syft's alone.
// Licences are on for both; ours also writes the CycloneDX document, while
// what syft found stays in memory. Linux only.
package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage, in the directory of this module: GOWORK=off go run . [flags] [FILE...]\n"+
			"Without files: the real packages of the test data, and a Go binary, ours.")
		flag.PrintDefaults()
	}
	passes := flag.Int("passes", 5, "passes over an artifact; its CPU time is their median")
	hostile := flag.Bool("hostile", false, "ours alone, on hostile files, those of the test data by default; fails above 256 MB")
	flag.Parse()
	if *passes < 1 {
		return fmt.Errorf("-passes %d: want 1 at least", *passes)
	}
	temp, err := os.MkdirTemp("", "bench-sbom-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	ours, err := build(ctx, temp, "ours")
	if err != nil {
		return err
	}
	if *hostile {
		return withstand(ctx, ours, flag.Args())
	}
	theirs, err := build(ctx, temp, "syft")
	if err != nil {
		return err
	}
	return compare(ctx, ours, theirs, flag.Args(), *passes)
}

// comparison is what both sides made of one artifact.
type comparison struct {
	Name         string
	Kind         string // format, or "go" for a program that the Go compiler made
	Ours, Theirs measurement
}

// compare measures both sides on every file and prints the tables. A file that
// one of them fails on is left out and makes an error.
func compare(ctx context.Context, ours, theirs side, files []string, passes int) error {
	if len(files) == 0 {
		found, err := testData("packages/*/*")
		if err != nil {
			return err
		}
		files = append(found, ours.Program)
	}
	var done []comparison
	err := each(ctx, files, func(file string) error {
		c := comparison{Name: filepath.Base(file)}
		var err error
		if c.Ours, err = ours.measure(ctx, file, "", passes); err != nil {
			return err
		}
		if c.Theirs, err = theirs.measure(ctx, file, c.Ours.Format, passes); err != nil {
			return err
		}
		c.Kind = c.Ours.Format
		if _, err := buildinfo.ReadFile(file); err == nil {
			c.Kind = "go"
		}
		done = append(done, c)
		return nil
	})
	return errors.Join(printComparisons(os.Stdout, done), err)
}

// withstand has ours look once at each hostile file, with nothing warmed up,
// and fails if one takes more memory than is allowed.
func withstand(ctx context.Context, ours side, files []string) error {
	if len(files) == 0 {
		var err error
		if files, err = testData("hostile/*", "pspf/evil/*.psp"); err != nil {
			return err
		}
	}
	var done []named
	err := each(ctx, files, func(file string) error {
		m, err := ours.measure(ctx, file, "", 0)
		if err != nil {
			return err
		}
		done = append(done, named{filepath.Base(file), m})
		if m.PeakBytes > maxHostile {
			return fmt.Errorf("%s: took %.1f MB of memory, %d are allowed", file, megabytes(m.PeakBytes), maxHostile>>20)
		}
		return nil
	})
	return errors.Join(printHostile(os.Stdout, done), err)
}

// each calls f with every file, and tells how far it is. The errors are
// joined; it ends early only with ctx.
func each(ctx context.Context, files []string, f func(file string) error) error {
	var failed []error
	for i, file := range files {
		fmt.Fprintf(os.Stderr, "%d of %d: %s\n", i+1, len(files), file)
		err := f(file)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// testData lists the files of some patterns below the folder that
// ASSIZE_TESTDATA names, or below shared/data beside the repository.
func testData(patterns ...string) ([]string, error) {
	dir := os.Getenv("ASSIZE_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	var all []string
	for _, p := range patterns {
		found, err := filepath.Glob(filepath.Join(dir, p))
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%s: no %s: set ASSIZE_TESTDATA to the folder of test data, or name files", dir, p)
		}
		all = append(all, found...)
	}
	return all, nil
}
