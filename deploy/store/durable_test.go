package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/versity/versitygw/s3response"
)

// Both places for metadata work, and the first choice is kept.
func TestMetadata(t *testing.T) {
	for _, want := range []string{"xattr", "sidecar"} {
		t.Run(want, func(t *testing.T) {
			data := t.TempDir()
			if want == "sidecar" { // as a first start without extended attributes leaves it
				if err := os.Mkdir(filepath.Join(data, "metadata"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			for start := range 2 {
				d, err := open(&config{data: data})
				if err != nil {
					t.Fatal(err)
				}
				if want == "xattr" && d.metadata == "sidecar" && start == 0 {
					t.Skipf("skipped: %s has no extended attributes", data)
				}
				if d.metadata != want {
					t.Fatalf("start %d keeps metadata in %s, want %s", start, d.metadata, want)
				}
				if err := d.ensureBucket(t.Context(), "bucket", "owner"); err != nil {
					t.Fatal(err)
				}
				put(t, d, "folder/object", start == 0)
				put(t, d, "folder/object", false)
				put(t, d, "folder/second", start == 0)
				d.Shutdown()
			}
		})
	}
}

// put creates an object, which must succeed or fail as told.
func put(t *testing.T, d *durable, key string, created bool) {
	t.Helper()
	bucket, content, any := "bucket", "content", "*"
	size := int64(len(content))
	_, err := d.PutObject(context.WithoutCancel(t.Context()), s3response.PutObjectInput{
		Bucket: &bucket, Key: &key, Body: strings.NewReader(content), ContentLength: &size, IfNoneMatch: &any,
	})
	if created != (err == nil) || err != nil && !isRefusal(err, "PreconditionFailed") {
		t.Fatalf("creating %s: %v, want it created: %t", key, err, created)
	}
	head, err := d.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	if err != nil || *head.ContentLength != size {
		t.Fatalf("examining %s: %v", key, err)
	}
	stored, err := os.ReadFile(filepath.Join(d.root, bucket, key))
	if err != nil || string(stored) != content {
		t.Fatalf("%s holds %q, %v", key, stored, err)
	}
}

func TestDeleteSyncsWhatIsLeft(t *testing.T) {
	d, err := open(&config{data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Shutdown()
	if err := d.ensureBucket(t.Context(), "bucket", "owner"); err != nil {
		t.Fatal(err)
	}
	bucket, key := "bucket", "a/b/c"
	put(t, d, key, true)
	if _, err := d.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: &key}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(d.root, bucket, key)); err == nil {
		t.Error("the object is still there")
	}
}

func TestSecretFromFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("value\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ASSIZE_S3_SECRET_KEY", "")
	t.Setenv("ASSIZE_S3_SECRET_KEY_FILE", file)
	if got, err := fromEnvOrFile("ASSIZE_S3_SECRET_KEY"); err != nil || got != "value" {
		t.Errorf("got %q, %v", got, err)
	}
	t.Setenv("ASSIZE_S3_SECRET_KEY_FILE", file+".missing")
	if _, err := fromEnvOrFile("ASSIZE_S3_SECRET_KEY"); err == nil {
		t.Error("a missing file is accepted")
	}
	t.Setenv("ASSIZE_S3_SECRET_KEY_FILE", "")
	if _, err := fromEnvOrFile("ASSIZE_S3_SECRET_KEY"); err == nil {
		t.Error("no secret at all is accepted")
	}
}
