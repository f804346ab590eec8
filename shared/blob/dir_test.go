package blob_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"assize.dev/shared/blob"
	"assize.dev/shared/blob/conformance"
	"assize.dev/shared/digest"
)

func TestDirConforms(t *testing.T) {
	t.Parallel()
	store, _ := openDir(t)
	conformance.Run(t.Context(), store, reporter(t))
}

func openDir(t *testing.T) (store *blob.Dir, folder string) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), "new", "store")
	store, err := blob.OpenDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store, folder
}

// reporter turns each check into a subtest.
func reporter(t *testing.T) func(string, error) {
	return func(name string, err error) {
		t.Run(name, func(t *testing.T) {
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func create(t *testing.T, store blob.Store, key, content string) {
	t.Helper()
	if err := store.Create(t.Context(), key, strings.NewReader(content), int64(len(content))); err != nil {
		t.Fatal(err)
	}
}

func TestDirFilesAreReadOnlyAndScratchIsEmpty(t *testing.T) {
	store, folder := openDir(t)
	create(t, store, "a/b", "content")
	if err := store.Create(t.Context(), "a/b", strings.NewReader("other"), 5); !errors.Is(err, blob.ErrExists) {
		t.Errorf("second Create: %v", err)
	}
	if err := store.Create(t.Context(), "a/c", strings.NewReader("short"), 6); !errors.Is(err, blob.ErrWrongSize) {
		t.Errorf("short Create: %v", err)
	}
	if err := store.Replace(t.Context(), "a/d", []byte("content")); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"a/b", "a/d"} {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != 0o400 {
			t.Errorf("%s has mode %s, want 0400", name, info.Mode())
		}
	}
	left, err := os.ReadDir(filepath.Join(folder, "tmp"))
	if err != nil || len(left) != 0 {
		t.Errorf("tmp holds %v, %v; want nothing", left, err)
	}
}

func TestDirDoesNotFollowLinks(t *testing.T) {
	store, folder := openDir(t)
	outside := t.TempDir()
	secret := filepath.Join(outside, "file")
	if err := os.WriteFile(secret, []byte("outside"), 0o600); err != nil {
		t.Fatal(err)
	}
	create(t, store, "inside/file", "inside")
	for link, target := range map[string]string{
		"links/file":   secret,
		"links/folder": outside,
		"links/near":   "../inside/file",
		"links/nearby": "../inside",
		"links/broken": "nowhere",
	} {
		if err := os.MkdirAll(filepath.Join(folder, "links"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(folder, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"links/file", "links/folder/file", "links/near", "links/nearby/file", "links/broken"} {
		ctx := t.Context()
		_, opened := store.Open(ctx, key)
		_, examined := store.Stat(ctx, key)
		for call, err := range map[string]error{
			"Open":   opened,
			"Stat":   examined,
			"Create": store.Create(ctx, key, bytes.NewReader(nil), 0),
			"Delete": store.Delete(ctx, key),
		} {
			if err == nil || errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrExists) {
				t.Errorf("%s of %s: %v, want that it is not part of the store", call, key, err)
			}
		}
	}
	for _, key := range []string{"links/folder/new", "links/nearby/new"} {
		if err := store.Create(t.Context(), key, bytes.NewReader(nil), 0); err == nil {
			t.Errorf("Create of %s followed a link", key)
		}
		if err := store.Replace(t.Context(), key, nil); err == nil {
			t.Errorf("Replace of %s followed a link", key)
		}
	}
	var listed error
	for _, listed = range store.List(t.Context(), "links/", "") {
	}
	if listed == nil {
		t.Error("List is silent about links")
	}
	if content, err := os.ReadFile(secret); err != nil || string(content) != "outside" {
		t.Errorf("the file outside holds %q, %v", content, err)
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
		t.Errorf("the folder outside holds %v, %v", entries, err)
	}
}

func TestDirKeyBelowAnObject(t *testing.T) {
	store, _ := openDir(t)
	create(t, store, "a/b", "content")
	for _, key := range []string{"a", "a/b/c", "a/b/c/d"} {
		err := store.Create(t.Context(), key, bytes.NewReader(nil), 0)
		if err == nil || errors.Is(err, blob.ErrExists) {
			t.Errorf("Create of %s beside a/b: %v", key, err)
		}
		if err := store.Replace(t.Context(), key, nil); err == nil {
			t.Errorf("Replace of %s beside a/b succeeded", key)
		}
	}
}

func TestDirSurvivesTidying(t *testing.T) {
	store, folder := openDir(t)
	create(t, store, "a/b/c", "content")
	if err := store.Delete(t.Context(), "a/b/c"); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(folder, "a")); err != nil {
		t.Fatal(err)
	}
	// The first attempt may fail; it must not stay that way.
	err := store.Create(t.Context(), "a/b/c", strings.NewReader("x"), 1)
	if err != nil {
		err = store.Create(t.Context(), "a/b/c", strings.NewReader("x"), 1)
	}
	if err != nil {
		t.Error(err)
	}
}

func TestDirRemovesOnlyStaleScratch(t *testing.T) {
	store, folder := openDir(t)
	create(t, store, "a", "content")
	now := time.Now()
	for name, age := range map[string]time.Duration{"OLD": 25 * time.Hour, "YOUNG": 23 * time.Hour} {
		path := filepath.Join(folder, "tmp", name)
		if err := os.WriteFile(path, []byte("unfinished"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	second, err := blob.OpenDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if _, err := os.Stat(filepath.Join(folder, "tmp", "OLD")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a day old: %v, want it removed", err)
	}
	if _, err := os.Stat(filepath.Join(folder, "tmp", "YOUNG")); err != nil {
		t.Errorf("younger: %v, want it kept", err)
	}
	if _, err := second.Stat(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

func TestDirRefusesWhatIsNoDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", file, filepath.Join(file, "below")} {
		if _, err := blob.OpenDir(name); err == nil {
			t.Errorf("OpenDir(%q) succeeded", name)
		}
	}
}

// damage changes a stored object behind the store's back.
func damage(t *testing.T, folder, key string, change func([]byte) []byte) {
	t.Helper()
	path := filepath.Join(folder, key)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func flipLast(content []byte) []byte {
	content[len(content)-1] ^= 1
	return content
}

func key(content string) (blobKey, documentKey string, d digest.Digest) {
	d = digest.Of([]byte(content))
	return blob.BlobKey(d), blob.DocumentKey(d), d
}
