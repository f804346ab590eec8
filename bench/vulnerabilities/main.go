// Command vulnerabilities compares assize scan with osv-scanner on the same
// advisories and SBOMs: from the start of the process until the findings are
// written, in processor time and peak memory.
//
//	go build -o /tmp/assize ./cmd/assize
//	go build -o /tmp/osv-scanner github.com/google/osv-scanner/v2/cmd/osv-scanner  # v2.5.1, in a module of its own
//	go run ./bench/vulnerabilities -assize /tmp/assize -osv-scanner /tmp/osv-scanner -data ../shared/data
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	assize := flag.String("assize", "", "binary of Assize")
	scanner := flag.String("osv-scanner", "", "binary of osv-scanner; left out if empty")
	data := flag.String("data", "../shared/data", "folder with osv/ (advisories) and bench/ (SBOMs)")
	runs := flag.Int("runs", 3, "runs of each, of which the median counts")
	flag.Parse()
	work, err := os.MkdirTemp("", "bench-vulnerabilities-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(work)
	osv, err := filepath.Abs(filepath.Join(*data, "osv"))
	if err != nil {
		log.Fatal(err)
	}
	state := filepath.Join(work, "data")
	// The database of osv-scanner's offline mode has the same archives.
	cache := filepath.Join(work, "cache", "osv-scalibr")
	if err := os.MkdirAll(filepath.Dir(cache), 0o700); err != nil {
		log.Fatal(err)
	}
	if err := os.CopyFS(cache, os.DirFS(osv)); err != nil {
		log.Fatal(err)
	}
	fmt.Println("components  program          CPU s     peak MB   findings written")
	ours := func(sbom string, first bool) usage {
		if first {
			if err := os.RemoveAll(state); err != nil {
				log.Fatal(err)
			}
		}
		return run(nil, *assize, "--data", state, "scan", "--json", "--advisories", osv, "--sbom", sbom)
	}
	for _, n := range []int{1000, 10_000, 100_000} {
		sbom := sbomOf(*data, work, n)
		show(n, "assize, first", median(*runs, func() usage { return ours(sbom, true) }))
		mine := median(*runs, func() usage { return ours(sbom, false) })
		show(n, "assize", mine)
		if *scanner == "" || n > 10_000 {
			continue
		}
		peer := median(1, func() usage {
			return run([]string{"OSV_SCANNER_LOCAL_DB_CACHE_DIRECTORY=" + filepath.Join(work, "cache")}, *scanner, "scan", "source", "--offline", "--format", "json", "--sbom", sbom)
		})
		show(n, "osv-scanner", peer)
		fmt.Printf("%10d  ratio          %7.1fx  %7.1fx\n", n, peer.cpu.Seconds()/mine.cpu.Seconds(), peer.memory/mine.memory)
	}
}

// usage is what one run took.
type usage struct {
	cpu     time.Duration
	memory  float64 // MB
	written int
}

func run(env []string, name string, args ...string) usage {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() > 2 && cmd.ProcessState.ExitCode() != 128 {
		log.Fatalf("%s %q: %v\n%s", name, args, err, errors.String())
	}
	used := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return usage{cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), float64(used.Maxrss) / 1024, out.Len()}
}

func median(n int, run func() usage) usage {
	var all []usage
	for range n {
		all = append(all, run())
	}
	slices.SortFunc(all, func(a, b usage) int { return int(a.cpu - b.cpu) })
	return all[len(all)/2]
}

func show(n int, what string, u usage) {
	fmt.Printf("%10d  %-14s %8.2f  %8.0f   %d bytes\n", n, what, u.cpu.Seconds(), u.memory, u.written)
}

// sbomOf is the SBOM with so many components; above 10,000 they are those
// again, with other names.
func sbomOf(data, work string, n int) string {
	if n <= 10_000 {
		path, err := filepath.Abs(filepath.Join(data, "bench", fmt.Sprintf("bench%d.cdx.json", n)))
		if err != nil {
			log.Fatal(err)
		}
		return path
	}
	text, err := os.ReadFile(filepath.Join(data, "bench", "bench10000.cdx.json"))
	if err != nil {
		log.Fatal(err)
	}
	var bom map[string]any
	if err := json.Unmarshal(text, &bom); err != nil {
		log.Fatal(err)
	}
	base := bom["components"].([]any)
	var all []any
	for i := 0; len(all) < n; i++ {
		one := map[string]any{}
		for k, v := range base[i%len(base)].(map[string]any) {
			one[k] = v
		}
		if purl, ok := one["purl"].(string); ok && i >= len(base) {
			one["purl"] = fmt.Sprintf("%s?copy=%d", purl, i/len(base))
		}
		delete(one, "bom-ref")
		all = append(all, one)
	}
	bom["components"] = all
	delete(bom, "dependencies")
	path := filepath.Join(work, fmt.Sprintf("bench%d.cdx.json", n))
	if text, err = json.Marshal(bom); err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		log.Fatal(err)
	}
	return path
}
