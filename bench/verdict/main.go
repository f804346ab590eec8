// Command verdict measures decisions: of one artifact with an SBOM of many
// components by the built-in policy, in turns with OPA alone evaluating the
// same modules on the same input; and how fast stored verdicts are held
// against a changed policy, and in how much memory.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"assize.dev/bench/internal/cputime"
	"assize.dev/services/verdict"
	"assize.dev/shared/blob"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

const settings = `
allowed_licenses: [MIT, Apache-2.0, BSD-3-Clause, ISC, "LGPL-*"]
denied_licenses: ["AGPL-*"]
banned_packages:
  - {package: "pkg:npm/event-stream", versions: ">=3.3.6, <4", reason: it was taken over}
  - {package: "pkg:npm/%40evil/*", reason: typosquatting}
`

func main() {
	components := flag.Int("components", 1000, "components in the SBOM")
	rounds := flag.Int("rounds", 5, "rounds of each, in turns")
	each := flag.Duration("each", time.Second, "processor time of a round")
	verdicts := flag.Int("verdicts", 0, "stored verdicts to hold against a changed policy; 0 leaves that out")
	dir := flag.String("dir", "", "directory for the store; by default a temporary one")
	flag.Parse()
	ctx := context.Background()
	// One core, for both.
	runtime.GOMAXPROCS(1)
	if err := decisions(ctx, *components, *rounds, *each); err != nil {
		log.Fatal(err)
	}
	if *verdicts > 0 {
		runtime.GOMAXPROCS(runtime.NumCPU())
		if err := change(ctx, *dir, *verdicts); err != nil {
			log.Fatal(err)
		}
	}
}

func loadPolicy(ctx context.Context, yaml string) (*verdict.Policy, error) {
	file, err := os.CreateTemp("", "policy*.yaml")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	if _, err := file.WriteString(yaml); err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	return verdict.LoadPolicy(ctx, file.Name())
}

func decisions(ctx context.Context, components, rounds int, each time.Duration) error {
	p, err := loadPolicy(ctx, settings)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "verdict")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	store, err := blob.OpenDir(folder)
	if err != nil {
		return err
	}
	defer store.Close()
	c, input, err := artifact(ctx, p, store, components)
	if err != nil {
		return err
	}
	bare, err := opa(ctx, p)
	if err != nil {
		return err
	}
	d, _, err := verdict.Decide(ctx, p, c)
	if err != nil {
		return err
	}
	fmt.Printf("%d components: %s, grade %s, %d reasons\n", components, d.Decision, d.Grade, len(d.Reasons))

	ours := func() error {
		got, _, err := verdict.Decide(ctx, p, c)
		if err == nil && got.Decision != d.Decision {
			err = fmt.Errorf("decided %s", got.Decision)
		}
		return err
	}
	theirs := func() error {
		results, err := bare.Eval(ctx, rego.EvalInput(input))
		if err != nil {
			return err
		}
		if len(results) != 1 || results[0].Expressions[0].Value.(map[string]any)["decision"] != string(d.Decision) {
			return fmt.Errorf("OPA answers %v", results)
		}
		return nil
	}
	var ratios []float64
	for range rounds {
		a, err := rate(each, ours)
		if err != nil {
			return err
		}
		b, err := rate(each, theirs)
		if err != nil {
			return err
		}
		ratios = append(ratios, a/b)
		fmt.Printf("Decide %7.1f/s   OPA alone %7.1f/s   ratio %.2f\n", a, b, a/b)
	}
	slices.Sort(ratios)
	fmt.Printf("median ratio %.2f\n", ratios[len(ratios)/2])
	return nil
}

// rate is how often f runs per second of processor time.
func rate(each time.Duration, f func() error) (float64, error) {
	runtime.GC()
	start := cputime.Used()
	for n := 1; ; n++ {
		if err := f(); err != nil {
			return 0, err
		}
		if used := cputime.Used() - start; used >= each {
			return float64(n) / used.Seconds(), nil
		}
	}
}

// opa prepares the modules and settings of a policy for OPA as a library.
func opa(ctx context.Context, p *verdict.Policy) (rego.PreparedEvalQuery, error) {
	var bundle struct {
		Modules  []struct{ Name, Source string }
		Settings map[string]any
	}
	if err := json.Unmarshal(p.Bundle(), &bundle); err != nil {
		return rego.PreparedEvalQuery{}, err
	}
	options := []func(*rego.Rego){
		rego.Query("data.assize.policy.verdict"), rego.SetRegoVersion(ast.RegoV1),
		rego.Data(map[string]any{"assize": map[string]any{"settings": bundle.Settings}}),
	}
	for _, m := range bundle.Modules {
		options = append(options, rego.Module(m.Name, m.Source))
	}
	return rego.New(options...).PrepareForEval(ctx)
}

const run = "01920000-0000-7000-8000-000000000001"

// artifact is a clean package, and the same as OPA's input in plain maps.
func artifact(ctx context.Context, p *verdict.Policy, store blob.Store, components int) (verdict.Case, any, error) {
	sbom := sbomOf(components)
	d, err := blob.PutDocument(ctx, store, sbom)
	if err != nil {
		return verdict.Case{}, nil, err
	}
	r, err := record(run, "a.tgz", digest.Of([]byte("the bytes")), []event.Document{{Name: "sbom", Key: blob.DocumentKey(d), Digest: d, Size: int64(len(sbom))}}, 20)
	if err != nil {
		return verdict.Case{}, nil, err
	}
	c, err := r.Case()
	if err != nil {
		return verdict.Case{}, nil, err
	}
	if err := verdict.AddComponents(ctx, store, p, &c); err != nil {
		return verdict.Case{}, nil, err
	}
	var evidence []*event.Evidence
	for _, piece := range c.Evidence {
		evidence = append(evidence, piece.Evidence)
	}
	text, err := json.Marshal(map[string]any{
		"artifact": c.Artifact, "evidence": evidence, "faults": map[string]string{}, "time": c.Time, "components": c.Components,
	})
	if err != nil {
		return verdict.Case{}, nil, err
	}
	var input any
	err = json.Unmarshal(text, &input)
	return c, input, err
}

func sbomOf(components int) []byte {
	licenses := []string{"MIT", "Apache-2.0", "BSD-3-Clause", "ISC", "MIT OR Apache-2.0", "(MIT OR GPL-3.0-only) AND ISC", "LGPL-2.1-or-later"}
	var list []map[string]any
	for i := range components {
		list = append(list, map[string]any{
			"name": fmt.Sprintf("package-%d", i), "version": fmt.Sprintf("1.%d.0", i), "purl": fmt.Sprintf("pkg:npm/package-%d@1.%d.0", i, i),
			"licenses": []any{map[string]any{"expression": licenses[i%len(licenses)]}},
		})
	}
	text, err := json.Marshal(map[string]any{
		"bomFormat":  "CycloneDX",
		"metadata":   map[string]any{"component": map[string]any{"name": "app", "version": "1", "purl": "pkg:npm/app@1", "licenses": []any{map[string]any{"expression": "MIT"}}}},
		"components": list,
	})
	if err != nil {
		panic(err)
	}
	return text
}

// record of an artifact with evidence of all kinds and some mild findings.
func record(run, file string, d digest.Digest, sbom []event.Document, findings int) (*verdict.Record, error) {
	at := time.Now().UTC().Truncate(time.Second)
	a := event.Artifact{
		Run: run, Lane: event.LaneNew, Registry: "bench", Name: "app", Version: "1", Filename: file, Digest: d,
		SHA512: strings.Repeat("0", 128), Size: 1, Format: "npm", PURL: "pkg:npm/app@1", Received: at,
	}
	fact := func(kind event.Kind, typ event.Type, v any) (verdict.Fact, error) {
		data, err := json.Marshal(v)
		return verdict.Fact{Kind: kind, Type: typ, Digest: digest.Of(data), Data: data}, err
	}
	r := verdict.Record{Time: at}
	var err error
	if r.Artifact, err = fact("", event.TypeArtifact, &a); err != nil {
		return nil, err
	}
	for _, kind := range event.Kinds {
		e := event.Evidence{
			Run: run, Lane: a.Lane, Registry: a.Registry, Kind: kind, Artifact: d, Status: event.Complete,
			Producer: event.Producer{Name: "bench", Version: "1"}, Started: at, Finished: at,
		}
		switch kind {
		case event.KindSBOM:
			e.Documents = sbom
		case event.KindSignature:
			e.Verification = &event.Verification{Result: event.Undetermined}
		case event.KindVulnerabilities:
			var all []event.Finding
			for i := range findings {
				all = append(all, event.Finding{
					ID: fmt.Sprintf("CVE-2026-%04d", i), Class: event.ClassVulnerability, Severity: event.Medium, Score: 5.5,
					Component: fmt.Sprintf("pkg:npm/package-%d@1.%d.0", i, i), Fixed: []string{"9.0.0"}, Message: "bounds are not checked",
				})
			}
			e.SetFindings(all)
		}
		f, err := fact(kind, event.TypeEvidence, &e)
		if err != nil {
			return nil, err
		}
		r.Evidence = append(r.Evidence, f)
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return verdict.ParseRecord(text)
}

func put(ctx context.Context, store blob.Store, key string, text []byte) error {
	return store.Create(ctx, key, bytes.NewReader(text), int64(len(text)))
}
