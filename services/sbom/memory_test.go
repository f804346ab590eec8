//go:build linux && !race

package sbom_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"assize.dev/services/sbom"
	"assize.dev/shared/archive"
	"assize.dev/shared/blob"
	"assize.dev/shared/event"
	. "assize.dev/shared/identify/identifytest"
)

// TestAnalyseTellsWhatStoppedIt: the texts of all licences take more memory
// than there is, which ends one process and is told.
func TestAnalyseTellsWhatStoppedIt(t *testing.T) {
	analyser := sbom.NewAnalyser(archive.Limits{}, sbom.Config{Memory: 8 << 20})
	t.Cleanup(analyser.Close)
	in, _ := stored(t, TarGz(File{"package/package.json", pkg("a", "1.0.0")}, File{"package/LICENSE", "Permission is hereby granted"}), "a.tgz")
	answer, err := analyser.Analyse(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if answer.Status != event.Failed || !strings.Contains(answer.Reason, "limit of 8 MiB of memory") || len(answer.Documents) > 0 {
		t.Errorf("status %s, reason %q", answer.Status, answer.Reason)
	}
}

// TestImageIsStreamed: an image of 60 MB is read once from the store, and
// neither this process nor the one that catalogues it holds it in memory.
func TestImageIsStreamed(t *testing.T) {
	noise := make([]byte, 30<<20) // nothing compresses it
	rand.NewChaCha8([32]byte{}).Read(noise)
	layer := func(files ...File) string { return string(TarGz(append(files, File{"opt/noise", string(noise)})...)) }
	const copyright = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: MIT\n"
	image := Tar(
		File{"manifest.json", `[{"Config":"c.json","RepoTags":["demo:1"],"Layers":["1/layer.tar","2/layer.tar"]}]`}, File{"c.json", `{}`},
		File{"1/layer.tar", layer(File{"var/lib/dpkg/status", control + "Status: install ok installed\n"}, File{"usr/share/doc/demo/copyright", copyright})},
		File{"2/layer.tar", layer(File{"app/node_modules/q/package.json", pkg("q", "1.0.0")}, File{"app/node_modules/q/LICENSE", "MIT License\n\nPermission is hereby granted, free of charge, to any person"})})
	size := int64(len(image))
	if size < 60<<20 {
		t.Fatalf("the image has %d bytes", size)
	}
	in, store := stored(t, image, "image.tar")
	noise, image = nil, nil
	counted := &counting{Store: store}
	in.Bytes = func(ctx context.Context) (*blob.File, error) {
		return blob.Fetch(ctx, counted, blob.BlobKey(in.Artifact.Digest), in.Artifact.Digest)
	}
	analyser := sbom.NewAnalyser(archive.Limits{}, sbom.Config{})
	t.Cleanup(analyser.Close)
	answer, err := analyser.Analyse(t.Context(), in)
	if err != nil || answer.Status != event.Complete || answer.Components.Count != 2 {
		t.Fatalf("answer %+v, %v", answer, err)
	}
	if counted.read > size*11/10 {
		t.Errorf("%d bytes were read of an image of %d", counted.read, size)
	}
	peak := childPeak(t)
	t.Logf("%d bytes, %d read, the child's memory %d MiB at most", size, counted.read, peak>>20)
	if peak > 128<<20 {
		t.Errorf("the child had up to %d MiB", peak>>20)
	}
}

// TestHostileMemory: the process that looks at hostile files stays small.
func TestHostileMemory(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(Data(t), "hostile", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := sbom.CatalogueFile(t.Context(), f, filepath.Base(name), time.Time{}, archive.Limits{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		f.Close()
	}
	if peak := childPeak(t); peak > 256<<20 {
		t.Errorf("up to %d MiB", peak>>20)
	} else {
		t.Logf("%d MiB at most", peak>>20)
	}
}

// counting counts what is read from a store.
type counting struct {
	blob.Store
	read int64
}

func (c *counting) Open(ctx context.Context, key string) (blob.Object, error) {
	o, err := c.Store.Open(ctx, key)
	return countedObject{o, &c.read}, err
}

type countedObject struct {
	blob.Object
	read *int64
}

func (o countedObject) Read(p []byte) (int, error) {
	n, err := o.Object.Read(p)
	*o.read += int64(n)
	return n, err
}

// childPeak is the most memory, in bytes, that a child of this process had
// (VmHWM, proc_pid_status(5)).
func childPeak(t *testing.T) (peak int64) {
	all, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		text, err := os.ReadFile("/proc/" + p.Name() + "/status")
		if err != nil || !strings.Contains(string(text), fmt.Sprintf("\nPPid:\t%d\n", os.Getpid())) {
			continue
		}
		_, rest, _ := strings.Cut(string(text), "\nVmHWM:")
		var kilobytes int64
		if _, err := fmt.Sscan(rest, &kilobytes); err == nil {
			peak = max(peak, kilobytes<<10)
		}
	}
	if peak == 0 {
		t.Fatal("no child was found")
	}
	return peak
}
