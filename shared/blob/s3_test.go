package blob_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"assize.dev/shared/blob"
	"assize.dev/shared/blob/conformance"
	"assize.dev/shared/blob/storetest"
)

func TestS3(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t)
	for _, c := range []struct {
		name string
		test func(*testing.T, *storetest.Endpoint)
	}{
		{"conforms", func(t *testing.T, server *storetest.Endpoint) {
			conformance.RunS3(t.Context(), server.Config(), reporter(t))
		}},
		{"prefix", testS3Prefix},
		{"bucket", testS3Bucket},
		{"limits", testS3Limits},
		{"multipart trap", testS3MultipartTrap},
		{"create is one conditional put", testS3SinglePut},
		{"lost answer", testS3LostAnswer},
		{"damage", testS3Damage},
		{"replaced under a reader", testS3ReplacedUnderReader},
		{"truncated stream", testS3TruncatedStream},
		{"foreign keys", testS3OpenForeign},
		{"tls", testS3TLS},
		{"lock", testS3Lock},
		{"kill", testS3Kill}, // last: it restarts the server
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, server) })
	}
}

func openS3(t *testing.T, config blob.S3Config) *blob.S3 {
	t.Helper()
	store, err := blob.OpenS3(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// throughProxy is the server's configuration by way of a proxy.
func throughProxy(server *storetest.Endpoint, p *proxy) blob.S3Config {
	config := server.Config()
	config.Endpoint = p.URL
	return config
}

func testS3Prefix(t *testing.T, server *storetest.Endpoint) {
	config := server.Config()
	for _, prefix := range []string{"one", "one/below", "on"} {
		opened, err := blob.Open(t.Context(), blob.Config{Store: "s3://" + config.Bucket + "/" + prefix + "/", S3: config})
		if err != nil {
			t.Fatal(err)
		}
		create(t, opened, "key", prefix)
	}
	config.Prefix = "one"
	store := openS3(t, config)
	var keys []string
	for info, err := range store.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	if got := strings.Join(keys, " "); got != "below/key key" {
		t.Errorf("listed %s", got)
	}
}

func testS3Bucket(t *testing.T, server *storetest.Endpoint) {
	config := server.Config()
	config.Bucket = "another"
	if _, err := blob.OpenS3(t.Context(), config); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("a missing bucket: %v, want ErrNotFound", err)
	}
	config.EnsureBucket = true
	for range 2 {
		create(t, openS3(t, config), rand.Text(), "content")
	}
	config.EnsureBucket = false
	openS3(t, config)
}

func testS3Limits(t *testing.T, server *storetest.Endpoint) {
	store := openS3(t, server.Config())
	err := store.Create(t.Context(), "huge", strings.NewReader(""), 5<<30+1)
	if !errors.Is(err, blob.ErrTooLarge) {
		t.Errorf("more than a single PUT can carry: %v, want ErrTooLarge", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.Create(ctx, "cancelled", strings.NewReader("x"), 1); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for _, err := range store.List(ctx, "", "") {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled List: %v", err)
		}
	}
}

// Why Create never uploads in parts: minio-go drops the condition when it
// completes the upload, and the object that was there is overwritten. If this
// fails, minio-go may have learned it.
func testS3MultipartTrap(t *testing.T, server *storetest.Endpoint) {
	store := openS3(t, server.Config())
	create(t, store, "trap", "content")
	client, err := minio.New(strings.TrimPrefix(server.URL, "http://"), &minio.Options{
		Creds: credentials.NewStaticV4(server.AccessKey, server.SecretKey, ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	options := minio.PutObjectOptions{PartSize: 5 << 20, DisableContentSha256: true}
	options.SetMatchETagExcept("*")
	_, err = client.PutObject(t.Context(), storetest.Bucket, "trap", bytes.NewReader(make([]byte, 6<<20)), 6<<20, options)
	info, examined := store.Stat(t.Context(), "trap")
	if examined != nil {
		t.Fatal(examined)
	}
	if err == nil && info.Size == 6<<20 {
		t.Log("as known: a conditional multipart upload overwrites")
	} else {
		t.Errorf("the upload: %v, the object: %+v; want it overwritten", err, info)
	}
}

// Records are locked, other objects are not; a bucket without object lock is
// refused.
func testS3Lock(t *testing.T, server *storetest.Endpoint) {
	config := server.Config()
	config.Lock = time.Hour
	if _, err := blob.OpenS3(t.Context(), config); err == nil || !strings.Contains(err.Error(), "no object lock") {
		t.Errorf("a bucket without object lock: %v", err)
	}
	p := startProxy(t, server)
	config = throughProxy(server, p)
	config.Lock, config.EnsureBucket, config.Bucket = time.Hour, true, "locked"
	store := openS3(t, config)
	for _, key := range []string{"audit/log/00000000000000000000.jsonl", "audit/checkpoints/1", "verdicts/sha256/x", "audit/tile/0/000", "blobs/x"} {
		if err := store.Create(t.Context(), key, strings.NewReader("x"), 1); err != nil {
			t.Fatal(err)
		}
	}
	locked := 0
	for _, r := range p.requests() {
		if r.method != "PUT" || r.header.Get("If-None-Match") == "" {
			continue
		}
		until, err := time.Parse(time.RFC3339, r.header.Get("X-Amz-Object-Lock-Retain-Until-Date"))
		if r.header.Get("X-Amz-Object-Lock-Mode") == "COMPLIANCE" && err == nil && time.Until(until) > 50*time.Minute {
			locked++
		}
	}
	if locked != 3 {
		t.Errorf("%d of 5 objects are locked, want 3", locked)
	}
	if err := store.Delete(t.Context(), "blobs/x"); err != nil {
		t.Errorf("what is not locked cannot be deleted: %v", err)
	}
	if err := store.Delete(t.Context(), "audit/log/00000000000000000000.jsonl"); err == nil {
		t.Error("what is locked was deleted")
	}
}

func testS3SinglePut(t *testing.T, server *storetest.Endpoint) {
	p := startProxy(t, server)
	store := openS3(t, throughProxy(server, p))
	const size = 40 << 20 // above minio-go's part size of 16 MiB
	if err := store.Create(t.Context(), "one-put", io.LimitReader(zeros{}, size), size); err != nil {
		t.Fatal(err)
	}
	puts := 0
	for _, r := range p.requests() {
		switch {
		case r.method == "PUT":
			puts++
			if r.header.Get("If-None-Match") != "*" || r.query != "" {
				t.Errorf("PUT with If-None-Match %q and parameters %q", r.header.Get("If-None-Match"), r.query)
			}
			if got := r.header.Get("X-Amz-Content-Sha256"); got != "STREAMING-UNSIGNED-PAYLOAD-TRAILER" || r.header.Get("X-Amz-Trailer") != "x-amz-checksum-crc32c" {
				t.Errorf("payload %q with trailer %q", got, r.header.Get("X-Amz-Trailer"))
			}
		case r.method != "HEAD":
			t.Errorf("unexpected %s %s", r.method, r.query)
		}
	}
	if puts != 1 {
		t.Errorf("%d PUTs, want 1", puts)
	}
}

// The server stored the object, and the answer never came.
func testS3LostAnswer(t *testing.T, server *storetest.Endpoint) {
	p := startProxy(t, server)
	store := openS3(t, throughProxy(server, p))
	for _, size := range []int{0, 100, 2 << 20} {
		content := make([]byte, size)
		for kind, body := range map[string]func() io.Reader{
			"seekable": func() io.Reader { return bytes.NewReader(content) },
			"one-way":  func() io.Reader { return io.MultiReader(bytes.NewReader(content)) },
		} {
			k := fmt.Sprintf("lost/%s/%d", kind, size)
			p.loseAnswers("PUT", 1)
			if err := store.Create(t.Context(), k, body(), int64(size)); err != nil {
				t.Errorf("%s: our own object: %v, want success", k, err)
			}
			if p.lost() != 1 {
				t.Errorf("%s: %d answers were lost, want 1", k, p.lost())
			}
			p.loseAnswers("PUT", 1)
			if err := store.Create(t.Context(), k, body(), int64(size)); !errors.Is(err, blob.ErrExists) {
				t.Errorf("%s: another's object: %v, want ErrExists", k, err)
			}
		}
	}
	// Losing every answer ends, with an error that is not ErrExists.
	p.loseAnswers("PUT", 1000)
	p.loseAnswers("HEAD", 1000)
	defer p.loseAnswers("PUT", 0)
	err := store.Create(t.Context(), "lost/all", strings.NewReader("content"), 7)
	if err == nil || errors.Is(err, blob.ErrExists) {
		t.Errorf("all answers lost: %v", err)
	}
}

func testS3Damage(t *testing.T, server *storetest.Endpoint) {
	store := openS3(t, server.Config())
	content := rand.Text()
	blobKey, documentKey, d := key(content)
	create(t, store, blobKey, strings.Repeat("x", len(content)))
	create(t, store, documentKey, strings.Repeat("x", len(content)))
	object, err := store.Open(t.Context(), blobKey)
	if err != nil {
		t.Fatal(err)
	}
	defer object.Close()
	if _, err := io.ReadAll(object); !errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("Read: %v, want ErrCorrupt", err)
	}
	if _, err := blob.Fetch(t.Context(), store, blobKey, d); !errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("Fetch: %v, want ErrCorrupt", err)
	}
	if _, err := blob.GetDocument(t.Context(), store, d, 1000); !errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("GetDocument: %v, want ErrCorrupt", err)
	}
}

func testS3ReplacedUnderReader(t *testing.T, server *storetest.Endpoint) {
	store := openS3(t, server.Config())
	if err := store.Replace(t.Context(), "replaced", []byte("first")); err != nil {
		t.Fatal(err)
	}
	object, err := store.Open(t.Context(), "replaced")
	if err != nil {
		t.Fatal(err)
	}
	defer object.Close()
	if err := store.Replace(t.Context(), "replaced", []byte("second")); err != nil {
		t.Fatal(err)
	}
	if n, err := object.ReadAt(make([]byte, 3), 0); err == nil || !strings.Contains(err.Error(), "replaced since") {
		t.Errorf("ReadAt gives %d, %v; want that it has been replaced", n, err)
	}
}

func testS3TruncatedStream(t *testing.T, server *storetest.Endpoint) {
	p := startProxy(t, server)
	store := openS3(t, throughProxy(server, p))
	const size = 1 << 20
	if err := store.Create(t.Context(), "truncated", io.LimitReader(zeros{}, size), size); err != nil {
		t.Fatal(err)
	}
	p.truncateAnswers(size / 2)
	object, err := store.Open(t.Context(), "truncated")
	if err != nil {
		t.Fatal(err)
	}
	defer object.Close()
	if n, err := io.Copy(io.Discard, object); err == nil || n > size/2 {
		t.Errorf("Read gives %d bytes, %v; want an error", n, err)
	}
	if n, err := object.ReadAt(make([]byte, size), 0); err == nil {
		t.Errorf("ReadAt gives %d bytes, %v; want an error", n, err)
	}
}

func testS3Kill(t *testing.T, server *storetest.Endpoint) {
	store := openS3(t, server.Config())
	create(t, store, "killed/before", "content")
	server.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := store.Create(ctx, "killed/during", strings.NewReader("content"), 7); err == nil || ctx.Err() != nil {
		t.Errorf("Create without a server: %v", err)
	}
	if _, err := store.Stat(ctx, "killed/before"); err == nil || errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Stat without a server: %v", err)
	}
	server.Restart()
	if info, err := store.Stat(t.Context(), "killed/before"); err != nil || info.Size != 7 {
		t.Errorf("Stat after the restart: %+v, %v", info, err)
	}
	create(t, store, "killed/during", "content")
	if err := store.Create(t.Context(), "killed/before", strings.NewReader("content"), 7); !errors.Is(err, blob.ErrExists) {
		t.Errorf("Create after the restart: %v, want ErrExists", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Other people's keys follow S3's rules, not ours.
func testS3OpenForeign(t *testing.T, server *storetest.Endpoint) {
	raw, err := minio.New(strings.TrimPrefix(server.URL, "http://"), &minio.Options{
		Creds: credentials.NewStaticV4(server.AccessKey, server.SecretKey, ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	store := openS3(t, server.Config())
	for _, key := range []string{"pool/p_1.0~rc1 (copy)_all.deb", "ünïcode/ключ", "blobs/sha256/" + strings.Repeat("0", 64)} {
		if _, err := raw.PutObject(t.Context(), storetest.Bucket, key, strings.NewReader("theirs"), 6, minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
		object, err := store.OpenForeign(t.Context(), key)
		if err != nil {
			t.Errorf("%q: %v", key, err)
			continue
		}
		got, err := io.ReadAll(object)
		if err != nil || string(got) != "theirs" {
			t.Errorf("%q: %q, %v", key, got, err)
		}
		object.Close()
	}
	for _, key := range []string{"", strings.Repeat("k", 1025), "\xff"} {
		if _, err := store.OpenForeign(t.Context(), key); !errors.Is(err, blob.ErrKey) {
			t.Errorf("%.20q: %v", key, err)
		}
	}
	if _, err := store.OpenForeign(t.Context(), "not there"); !errors.Is(err, blob.ErrNotFound) {
		t.Error(err)
	}
}
