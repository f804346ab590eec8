package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"assize.dev/services/ingest"
)

// npmPackage is a small package of its own for every n; every fifth depends
// on a component with an advisory.
func npmPackage(n int) (name string, body []byte) {
	name = fmt.Sprintf("e2e-%d", n)
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	tw := tar.NewWriter(zw)
	add := func(path, text string) {
		_ = tw.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(text))})
		_, _ = io.WriteString(tw, text)
	}
	add("package/package.json", fmt.Sprintf(`{"name":%q,"version":"1.0.%d","license":"MIT"}`, name, n))
	add("package/index.js", fmt.Sprintf("module.exports = %d;\n", n))
	if vulnerable(n) {
		add("package/node_modules/e2e-dep/package.json", `{"name":"e2e-dep","version":"1.2.0"}`)
	}
	_ = tw.Close()
	_ = zw.Close()
	return name, b.Bytes()
}

func vulnerable(n int) bool { return n%5 == 0 }

func writeAdvisories(t testing.TB, dir string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "npm"), 0o755); err != nil {
		t.Fatal(err)
	}
	advisory := `{"schema_version":"1.7.0","id":"E2E-1","modified":"2026-01-01T00:00:00Z","summary":"e2e-dep is broken",
		"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
		"affected":[{"package":{"ecosystem":"npm","name":"e2e-dep"},
		"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"2.0.0"}]}]}]}`
	if err := os.WriteFile(filepath.Join(dir, "npm", "E2E-1.json"), []byte(advisory), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tryPut is one PUT; again tells whether another may succeed.
func (s *stack) tryPut(ctx context.Context, name, key string, body []byte, header http.Header) (run string, again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, s.http+ingest.Pattern+"e2e/"+name+"/1.0", bytes.NewReader(body))
	if err != nil {
		return "", false, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("Idempotency-Key", key)
	req.Header.Set("Assize-Filename", name+".tgz")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", true, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", true, err
	}
	if resp.StatusCode != http.StatusAccepted {
		return "", resp.StatusCode >= 500, fmt.Errorf("%s: %s", resp.Status, answer)
	}
	var accepted ingest.Accepted
	if err := json.Unmarshal(answer, &accepted); err != nil {
		return "", false, err
	}
	return accepted.Run, false, nil
}
