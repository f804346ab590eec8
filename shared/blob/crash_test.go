package blob_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"assize.dev/shared/blob"
	"assize.dev/shared/digest"
)

const crashFolder = "ASSIZE_TEST_CRASH_FOLDER"

func TestMain(m *testing.M) {
	if folder := os.Getenv(crashFolder); folder != "" {
		fmt.Fprintln(os.Stderr, createForEver(context.Background(), folder))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// createForEver acknowledges each object on standard output.
func createForEver(ctx context.Context, folder string) error {
	store, err := blob.OpenDir(folder)
	if err != nil {
		return err
	}
	for size := 1; ; size = size*7%100_003 + 1 {
		content := make([]byte, size)
		if _, err := rand.Read(content); err != nil {
			return err
		}
		key := blob.BlobKey(digest.Of(content))
		if err := store.Create(ctx, key, &slow{content}, int64(size)); err != nil {
			return err
		}
		fmt.Println(key)
	}
}

// slow delivers in slices, so that a kill is likely to find a body half written.
type slow struct{ left []byte }

func (s *slow) Read(p []byte) (int, error) {
	if len(s.left) == 0 {
		return 0, io.EOF
	}
	time.Sleep(100 * time.Microsecond)
	n := copy(p[:min(len(p), 4096)], s.left)
	s.left = s.left[n:]
	return n, nil
}

// A process that is killed at any moment leaves what it acknowledged, and
// nothing else but complete objects.
func TestDirSurvivesKill(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	acknowledged := map[string]bool{}
	for round := range 5 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), crashFolder+"="+folder)
		child.Stderr = os.Stderr
		output, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(output)
		for count := 0; ; count++ {
			if count == 10+7*round {
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			line, err := lines.ReadString('\n')
			if err != nil {
				break // a line cut short is no acknowledgement
			}
			acknowledged[strings.TrimSpace(line)] = true
		}
		if err := child.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
	}
	if len(acknowledged) < 50 {
		t.Fatalf("only %d objects were acknowledged", len(acknowledged))
	}

	store, err := blob.OpenDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	present := 0
	for info, err := range store.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		object, err := store.Open(t.Context(), info.Key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, object); err != nil {
			t.Errorf("%s is visible, but: %v", info.Key, err)
		}
		object.Close()
		if !strings.HasPrefix(info.Key, "blobs/sha256/") {
			t.Errorf("%s is visible, and nobody created it", info.Key)
		}
		delete(acknowledged, info.Key)
		present++
	}
	for key := range acknowledged {
		t.Errorf("%s was acknowledged and is gone", key)
	}
	t.Logf("%d objects present", present)
}
