package feed

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"assize.dev/shared/blob"
	"assize.dev/shared/blob/storetest"
)

// A bucket of a real S3 server is a mirror like any other, and only for who
// has the keys.
func TestBucket(t *testing.T) {
	config := storetest.Start(t).Config()
	config.Prefix, config.EnsureBucket = "osv", true
	objects, err := blob.OpenS3(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	put := func(key, content string) {
		t.Helper()
		if err := objects.Replace(t.Context(), key, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	put("ecosystems.txt", "npm\n")
	archive := zipped(map[string]string{"A": record("A", "2026-01-01T00:00:00Z", "npm", "a")})
	if err := objects.Create(t.Context(), "npm/all.zip", bytes.NewReader(archive), int64(len(archive))); err != nil {
		t.Fatal(err)
	}
	put("npm/modified_id.csv", "2026-01-01T00:00:00Z,A\n")

	s := At(filepath.Join(t.TempDir(), "advisories"))
	server := strings.TrimPrefix(config.Endpoint, "http://")
	o := Options{
		Sources: []string{fmt.Sprintf("s3://%s/osv?endpoint=%s&region=%s&tls=false", config.Bucket, server, config.Region)},
		Bucket:  blob.S3Config{AccessKey: config.AccessKey, SecretKey: config.SecretKey},
	}
	if r := updated(t, s, o); r.Read != 1 || ids(t, s) != "A" {
		t.Errorf("%+v, %s", r, ids(t, s))
	}
	put("npm/modified_id.csv", "2026-02-01T00:00:00Z,B+1\n2026-01-01T00:00:00Z,A\n")
	put("npm/B+1.json", record("B+1", "2026-02-01T00:00:00Z", "npm", "b"))
	if r := updated(t, s, o); r.Read != 1 || ids(t, s) != "A B+1" {
		t.Errorf("%+v, %s", r, ids(t, s))
	}
	o.Bucket = blob.S3Config{}
	if r, err := s.Update(t.Context(), o); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("without keys: %+v, %v", r, err)
	}
	if ids(t, s) != "A B+1" {
		t.Error("a failed update changed something")
	}
	o.Sources[0] = "s3://" + config.Bucket + "/osv?endpoint=http://mirror.example"
	if _, err := s.Update(t.Context(), o); err == nil || !strings.Contains(err.Error(), "plain http") {
		t.Errorf("plain http to another machine: %v", err)
	}
}
