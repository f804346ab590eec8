package match

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"assize.dev/services/scan/internal/index"
	"assize.dev/shared/realdata"
)

// BenchmarkFind matches the components of the test data, of which most have
// advisories. A pair is a component and an advisory about its package.
func BenchmarkFind(b *testing.B) {
	x := build(b, filepath.Join(realdata.Dir(b), "osv"))
	text, err := os.ReadFile(filepath.Join(realdata.Dir(b), "bench", "bench10000.tsv"))
	if err != nil {
		b.Fatal(err)
	}
	var all []Package
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if p, err := Of(f[0], f[1], f[2]); err == nil {
			all = append(all, p)
		}
	}
	var pairs, hits int
	for _, p := range all {
		if err := x.Lookup(p.Ecosystem, p.Name, func(*index.Posting) { pairs++ }); err != nil {
			b.Fatal(err)
		}
		if res, err := Find(x, p); err == nil {
			hits += len(res.Vulnerabilities)
		}
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		_, _ = Find(x, all[n%len(all)])
		n++
	}
	perComponent := b.Elapsed().Seconds() / float64(n)
	b.ReportMetric(1/perComponent, "components/s")
	b.ReportMetric(float64(pairs)/float64(len(all))/perComponent, "pairs/s")
	b.ReportMetric(float64(hits)/float64(len(all)), "findings/component")
}
