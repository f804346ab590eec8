// Command secrets measures the search for secrets on real text, beside
// gitleaks on the same text and the processor's fastest search for one byte.
// It is a module of its own, outside of the workspace: what gitleaks needs
// must not decide the versions of everything else.
package main

import (
	"archive/tar"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/zricethezav/gitleaks/v8/detect"

	"assize.dev/bench/internal/cputime"
	"assize.dev/services/scan"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "secrets:", err)
		os.Exit(1)
	}
}

func run() error {
	dir := flag.String("dir", moduleCache(), "directory of text; the module cache by default")
	megabytes := flag.Int("mb", 100, "MB of text (10^6 bytes)")
	peer := flag.Int("gitleaks-mb", 4, "MB of it for gitleaks, which is slow; 0 leaves it out")
	rounds := flag.Int("rounds", 3, "rounds; figures are medians")
	list := flag.Bool("list", false, "print each finding with its file, redacted")
	flag.Parse()

	files, err := collect(*dir, int64(*megabytes)*1e6)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	for _, f := range files {
		text.Write(f.data)
	}
	scanner, err := scan.NewSecretScanner([]byte("sixteen bytes or more"), nil)
	if err != nil {
		return err
	}
	size := float64(text.Len()) / 1e6
	fmt.Printf("%d files, %.1f MB of text\n", len(files), size)

	ctx := context.Background()
	absent := absentByte(text.Bytes())
	indexByte, err := measured(*rounds, size*10, func() error {
		for range 10 {
			bytes.IndexByte(text.Bytes(), absent)
		}
		return nil
	})
	if err != nil {
		return err
	}
	kinds := make(map[string]int)
	findings := 0
	ours, err := measured(*rounds, size, func() error {
		clear(kinds)
		findings = 0
		for _, f := range files {
			if err := scanner.ScanBytes(ctx, f.path, f.data, func(s scan.SecretFinding) {
				kinds[s.Type]++
				findings++
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var r bytes.Reader
	streams, err := measured(*rounds, size, func() error {
		for _, f := range files {
			r.Reset(f.data)
			if err := scanner.ScanStream(ctx, f.path, &r, func(scan.SecretFinding) {}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	oneStream, err := measured(*rounds, size, func() error {
		r.Reset(text.Bytes())
		return scanner.ScanStream(ctx, "all", &r, func(scan.SecretFinding) {})
	})
	if err != nil {
		return err
	}
	fmt.Printf("bytes.IndexByte of a byte that is not there: %8.0f MB per CPU second\n", indexByte)
	fmt.Printf("assize, files in memory:                     %8.0f   %.3f of IndexByte\n", ours, ours/indexByte)
	fmt.Printf("assize, files as streams:                    %8.0f   %.3f of IndexByte\n", streams, streams/indexByte)
	fmt.Printf("assize, one stream:                          %8.0f   %.3f of IndexByte\n", oneStream, oneStream/indexByte)
	if *peer > 0 {
		theirs, n, err := gitleaks(ctx, files, int64(*peer)*1e6)
		if err != nil {
			return err
		}
		fmt.Printf("gitleaks, its library, default rules:        %8.2f   assize is %.0f times that; it found %d in %d MB\n", theirs, streams/theirs, n, *peer)
	}
	elsewhere := 0
	for _, f := range files {
		if _, err := scanner.Scan(ctx, f.path, bytes.NewReader(f.data), int64(len(f.data)), func(s scan.SecretFinding) {
			if !s.InTests {
				elsewhere++
			}
			if *list {
				fmt.Printf("%s:%d:%d %s %s %s in tests: %t\n", f.path, s.Line, s.Column, s.Type, s.Confidence, s.Redacted, s.InTests)
			}
		}); err != nil {
			return err
		}
	}
	fmt.Printf("findings: %d, %.2f per MB, %d or %.2f per MB not among tests, examples and documentation:",
		findings, float64(findings)/size, elsewhere, float64(elsewhere)/size)
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Printf(" %s %d", k, kinds[k])
	}
	fmt.Println()
	return packageThroughput(ctx, scanner, files, size, *rounds)
}

// packageThroughput compares looking through a package with decompressing it.
func packageThroughput(ctx context.Context, scanner *scan.SecretScanner, files []file, size float64, rounds int) error {
	packed, err := pack(files)
	if err != nil {
		return err
	}
	inflate, err := measured(rounds, size, func() error {
		r, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, r)
		return err
	})
	if err != nil {
		return err
	}
	whole, err := measured(rounds, size, func() error {
		report, err := scanner.Scan(ctx, "all.tgz", bytes.NewReader(packed), int64(len(packed)), func(scan.SecretFinding) {})
		if err == nil && report.Reason != "" {
			err = fmt.Errorf("the package was not looked at to the end: %s", report.Reason)
		}
		return err
	})
	if err != nil {
		return err
	}
	fmt.Printf("a package of it, tar and gzip, %.1f MB: decompressed alone %.0f, looked through %.0f MB per CPU second, %.2f of it\n",
		float64(len(packed))/1e6, inflate, whole, whole/inflate)
	return nil
}

func pack(files []file) ([]byte, error) {
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	w := tar.NewWriter(zipped)
	for i, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("package/%d", i), Mode: 0o644, Size: int64(len(f.data))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if err := zipped.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// gitleaks scans files up to so many bytes, in the pieces of 100 KB that its
// own command makes.
func gitleaks(ctx context.Context, files []file, most int64) (speed float64, found int, err error) {
	d, err := detect.NewDetectorDefaultConfig()
	if err != nil {
		return 0, 0, err
	}
	const piece = 100_000
	var done int64
	start := cputime.Used()
	for _, f := range files {
		if done >= most {
			break
		}
		for rest := f.data; len(rest) > 0; {
			n := min(piece, len(rest))
			found += len(d.DetectContext(ctx, detect.Fragment{Raw: string(rest[:n]), FilePath: "text"}))
			rest = rest[n:]
			done += int64(n)
		}
	}
	return float64(done) / 1e6 / (cputime.Used() - start).Seconds(), found, nil
}

// measured is the median of MB per CPU second over rounds.
func measured(rounds int, megabytes float64, f func() error) (float64, error) {
	var all []float64
	for range max(1, rounds) {
		runtime.GC() // or a collection that goes on counts
		start := cputime.Used()
		if err := f(); err != nil {
			return 0, err
		}
		all = append(all, megabytes/max(cputime.Used()-start, time.Microsecond).Seconds())
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}
