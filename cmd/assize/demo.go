package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto"
	"crypto/rand"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"assize.dev/services/sign"
)

type demoCmd struct{}

func (demoCmd) Help() string {
	return `Makes three npm packages and a small advisory database in a temporary place,
sends them through the real pipeline, and shows how to check the result:

  demo-clean     signed by a key that is trusted           allow, verified
  demo-tampered  the same, changed after it was signed     deny
  demo-leaky     a token inside and a vulnerable component deny

With --data DIR the state is kept there; without it, below the system's
temporary directory.

Examples:
  assize demo
  assize demo --data ./trial`
}

func (c *demoCmd) Run(ctx context.Context, g *globals) error {
	if g.Data == "" {
		dir, err := os.MkdirTemp("", "assize-demo-")
		if err != nil {
			return err
		}
		g.Data = dir
	}
	data, err := g.dir()
	if err != nil {
		return err
	}
	made, err := os.MkdirTemp(string(data), "demo-") // another one each time
	if err != nil {
		return fmt.Errorf("make the demo packages: %w", err)
	}
	d, err := makeDemo(made)
	if err != nil {
		return fmt.Errorf("make the demo packages: %w", err)
	}
	check := checkCmd{
		pipelineFlags: pipelineFlags{Advisories: d.advisories, Trust: d.trusted, Workers: 2},
		Registry:      "demo", File: d.packages,
	}
	if !g.JSON {
		fmt.Fprintf(g.stdout, "Three packages go through the pipeline: ingest, signatures, SBOM, secrets,\ncontent, vulnerabilities, policy, signed verdict, audit log.\n\n")
	}
	worst, err := check.check(ctx, g, data)
	if err != nil {
		return err
	}
	if worst != exitFail {
		return fmt.Errorf("the demo should end in denials, but the worst exit code was %d", worst)
	}
	if g.JSON {
		return nil
	}
	fmt.Fprintf(g.stdout, demoNext, data, data.publicKey())
	return nil
}

const demoNext = `
What you can do now (with "go run ./cmd/assize" for "assize" if it is not installed):

  assize audit verify --data %[1]s
      checks the hash chain over everything that just happened

  assize audit log --json --data %[1]s
      shows it

  docs/verify.md
      checks a verdict file with openssl alone; the public key is
      %[2]s

  assize check --data %[1]s --advisories DIR FILE...
      judges packages of your own
`

// demo is what the demonstration runs on.
type demo struct {
	packages   []string
	advisories string
	trusted    string
}

func makeDemo(dir string) (*demo, error) {
	d := &demo{advisories: filepath.Join(dir, "advisories"), trusted: filepath.Join(dir, "trusted")}
	for _, sub := range []string{filepath.Join(d.advisories, "npm"), d.trusted} {
		if err := os.MkdirAll(sub, 0o700); err != nil {
			return nil, err
		}
	}
	key, err := sign.GenerateKey()
	if err != nil {
		return nil, err
	}
	if err := key.WriteFiles(filepath.Join(dir, "publisher.key"), filepath.Join(d.trusted, "publisher.pub"), "demo publisher"); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(d.advisories, "npm", "DEMO-2026-0001.json"), []byte(demoAdvisory), 0o644); err != nil {
		return nil, err
	}
	clean, err := npmPackage(map[string]string{
		"package/package.json": `{"name":"demo-clean","version":"1.0.0","license":"MIT"}`,
		"package/index.js":     "module.exports = (a, b) => a + b;\n",
	})
	if err != nil {
		return nil, err
	}
	leaky, err := npmPackage(map[string]string{
		"package/package.json":                       `{"name":"demo-leaky","version":"0.1.0","license":"MIT"}`,
		"package/deploy.js":                          "const token = \"" + demoToken() + "\";\n",
		"package/node_modules/demo-dep/package.json": `{"name":"demo-dep","version":"1.2.0","license":"MIT"}`,
	})
	if err != nil {
		return nil, err
	}
	tampered, err := npmPackage(map[string]string{
		"package/package.json": `{"name":"demo-clean","version":"1.0.0","license":"MIT"}`,
		"package/index.js":     "module.exports = (a, b) => a - b;\n",
	})
	if err != nil {
		return nil, err
	}
	signature, err := key.Sign(rand.Reader, clean, crypto.Hash(0))
	if err != nil {
		return nil, err
	}
	for _, p := range []struct {
		name      string
		bytes     []byte
		signature []byte
	}{
		{"demo-clean-1.0.0.tgz", clean, signature},
		{"demo-tampered-1.0.0.tgz", tampered, signature},
		{"demo-leaky-0.1.0.tgz", leaky, nil},
	} {
		path := filepath.Join(dir, p.name)
		if err := os.WriteFile(path, p.bytes, 0o644); err != nil {
			return nil, err
		}
		if p.signature != nil {
			if err := os.WriteFile(path+".ed25519", p.signature, 0o644); err != nil {
				return nil, err
			}
		}
		d.packages = append(d.packages, path)
	}
	return d, nil
}

const demoAdvisory = `{
  "schema_version": "1.7.0", "id": "DEMO-2026-0001", "modified": "2026-01-01T00:00:00Z",
  "summary": "demo-dep runs what it is sent",
  "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
  "affected": [{
    "package": {"ecosystem": "npm", "name": "demo-dep"},
    "ranges": [{"type": "SEMVER", "events": [{"introduced": "1.0.0"}, {"fixed": "1.2.1"}]}]
  }]
}`

// demoToken has the form and checksum of a GitHub token and opens nothing:
// it is put together here so that no file of the project holds one.
func demoToken() string {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	body := make([]byte, 30)
	seed := uint32(2026)
	for i := range body {
		seed = seed*1664525 + 1013904223
		body[i] = alphabet[(seed>>16)%uint32(len(alphabet))]
	}
	sum := crc32.ChecksumIEEE(body)
	check := make([]byte, 6)
	for i := len(check) - 1; i >= 0; i-- {
		check[i] = alphabet[sum%62]
		sum /= 62
	}
	return "gh" + "p_" + string(body) + string(check)
}

// npmPackage packs files, in the order of their names, as npm does.
func npmPackage(files map[string]string) ([]byte, error) {
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	tw := tar.NewWriter(zw)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name])), ModTime: time.Date(1985, 10, 26, 8, 15, 0, 0, time.UTC)}
		if err := tw.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := tw.Write([]byte(files[name])); err != nil {
			return nil, err
		}
	}
	if err := tw.Close(); err != nil {
		return nil, err
	}
	if err := zw.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
