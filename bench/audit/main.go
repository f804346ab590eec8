// Command audit appends the same entries to our log and to one of Tessera's
// (POSIX driver), in turns, and says what each costs. Both write through to the
// disk, take 1024 entries at a time, and sign a checkpoint every 100 ms.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"

	"assize.dev/bench/internal/cputime"
	"assize.dev/services/audit"
	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/config"
	"assize.dev/shared/event"
)

const (
	batch    = 1024
	interval = 100 * time.Millisecond
)

func main() {
	entries := flag.Int("entries", 50*batch, "entries a round")
	rounds := flag.Int("rounds", 3, "rounds of each")
	profile := flag.String("cpuprofile", "", "file for a CPU profile of our rounds")
	dir := flag.String("dir", "", "directory on the disk to measure; by default a temporary one")
	flag.Parse()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			log.Fatal(err)
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			log.Fatal(err)
		}
		defer pprof.StopCPUProfile()
	}
	if err := run(context.Background(), *dir, *entries, *rounds); err != nil {
		log.Fatal(err)
	}
}

// cost of a round.
type cost struct {
	perSecond, cpu float64 // entries a second; microseconds of CPU an entry
}

func run(ctx context.Context, dir string, n, rounds int) error {
	base, err := os.MkdirTemp(dir, "bench-audit-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(base)
	all := messages(n)
	secret, vkey, err := note.GenerateKey(rand.Reader, "bench.test/log")
	if err != nil {
		return err
	}
	var ours, theirs []cost
	var last string
	for r := range rounds {
		last = filepath.Join(base, fmt.Sprint("ours-", r))
		c, err := measured(n, func() error { return appendOurs(ctx, last, secret, all) })
		if err != nil {
			return err
		}
		ours = append(ours, c)
		lines, err := linesOf(ctx, last)
		if err != nil {
			return err
		}
		c, err = measured(n, func() error { return appendTessera(ctx, filepath.Join(base, fmt.Sprint("tessera-", r)), secret, lines) })
		if err != nil {
			return err
		}
		theirs = append(theirs, c)
	}
	a, b := median(ours), median(theirs)
	fmt.Printf("%d entries, batches of %d, medians of %d rounds\n\n", n, batch, rounds)
	fmt.Printf("%-10s %12s %14s\n", "", "entries/s", "CPU µs/entry")
	fmt.Printf("%-10s %12.0f %14.1f\n%-10s %12.0f %14.1f\n%-10s %11.2fx %13.2fx\n", "assize", a.perSecond, a.cpu, "tessera", b.perSecond, b.cpu, "ratio", a.perSecond/b.perSecond, a.cpu/b.cpu)
	return verify(ctx, last, vkey)
}

// messages are evidence events as a pipeline makes them.
func messages(n int) []*bus.Message {
	all := make([]*bus.Message, n)
	for i := range all {
		run := event.NewRun()
		data := fmt.Sprintf(`{"run":%q,"kind":"sbom","artifact":"sha256:%x","status":"complete","findingsTotal":0,"producer":{"name":"assize/sbom","version":"1"},"time":"2026-11-26T12:00:00Z","documents":[{"name":"sbom","mediaType":"application/vnd.cyclonedx+json","digest":"sha256:%x","size":%d}]}`,
			run, sha256.Sum256([]byte(run)), sha256.Sum256([]byte(run+"x")), i)
		subject := event.EvidenceSubject(event.KindSBOM, "registry", run)
		m := &bus.Message{
			Stream: bus.Events, Sequence: uint64(i + 1), Subject: subject, Time: time.Unix(1_700_000_000, int64(i)), Data: []byte(data),
			Header: event.Header{"ce-specversion": {"1.0"}, "ce-id": {run}, "ce-source": {"assize/sbom"}, "ce-type": {string(event.TypeEvidence)}},
		}
		m.Event, m.Invalid = event.FromMessage(m.Subject, m.Header, m.Data)
		all[i] = m
	}
	return all
}

// linesOf a log that was published.
func linesOf(ctx context.Context, dir string) (lines [][]byte, err error) {
	fetch, closer, err := audit.PublishedIn(filepath.Join(dir, "audit"))
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	var text bytes.Buffer
	if _, err := audit.Export(ctx, fetch, &text); err != nil {
		return nil, err
	}
	lines = bytes.Split(bytes.TrimSuffix(text.Bytes(), []byte("\n")), []byte("\n"))
	return lines[:len(lines)-1], nil // without the checkpoint
}

func appendOurs(ctx context.Context, dir, secret string, all []*bus.Message) error {
	store, err := blob.OpenDir(dir)
	if err != nil {
		return err
	}
	defer store.Close()
	l, err := audit.OpenLog(ctx, store)
	if err != nil {
		return err
	}
	p, err := audit.NewPublisher(audit.Config{Keys: config.Secret(secret)}, store, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	appended := make(chan struct{})
	published := make(chan error, 1)
	go func() {
		for {
			select {
			case <-appended:
				published <- p.Publish(ctx)
				return
			case <-time.After(interval):
				if err := p.Publish(ctx); err != nil {
					published <- err
					return
				}
			}
		}
	}()
	for some := range slices.Chunk(all, batch) {
		if err := l.Append(ctx, some); err != nil {
			return err
		}
	}
	close(appended)
	return <-published
}

// appendTessera gets the lines of our log as its entries.
func appendTessera(ctx context.Context, dir, secret string, all [][]byte) error {
	signer, err := note.NewSigner(secret)
	if err != nil {
		return err
	}
	driver, err := posix.New(ctx, posix.Config{Path: dir})
	if err != nil {
		return err
	}
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).WithBatching(batch, interval).WithCheckpointInterval(interval).WithPushback(uint(len(all)+1)))
	if err != nil {
		return err
	}
	var futures []tessera.IndexFuture
	for _, m := range all {
		futures = append(futures, appender.Add(ctx, tessera.NewEntry(m)))
	}
	for _, f := range futures {
		if _, err := f(); err != nil {
			return err
		}
	}
	// Until a checkpoint covers all of them.
	awaiter := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 10*time.Millisecond)
	if _, _, err := awaiter.Await(ctx, futures[len(futures)-1]); err != nil {
		return err
	}
	return shutdown(ctx)
}

func measured(n int, f func() error) (cost, error) {
	started, before := time.Now(), cputime.Used()
	if err := f(); err != nil {
		return cost{}, err
	}
	took, used := time.Since(started), cputime.Used()-before
	return cost{float64(n) / took.Seconds(), used.Seconds() * 1e6 / float64(n)}, nil
}

func median(all []cost) cost {
	slices.SortFunc(all, func(a, b cost) int { return int(a.perSecond - b.perSecond) })
	return all[len(all)/2]
}

// verify holds the speed of verifying against that of hashing the entries.
func verify(ctx context.Context, dir, vkey string) error {
	fetch, closer, err := audit.PublishedIn(filepath.Join(dir, "audit"))
	if err != nil {
		return err
	}
	defer closer.Close()
	policy, err := audit.KeyPolicy(vkey)
	if err != nil {
		return err
	}
	started := time.Now()
	r, err := audit.VerifyPublished(ctx, fetch, audit.Options{Policy: policy})
	if err != nil {
		return err
	}
	if !r.OK() {
		return fmt.Errorf("the log does not hold: %+v", r.Problems)
	}
	took := time.Since(started)
	size := 0
	started = time.Now()
	err = filepath.WalkDir(filepath.Join(dir, "audit", "tile", "entries"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		sha256.Sum256(b)
		size += len(b)
		return err
	})
	hashing := time.Since(started)
	fmt.Printf("\nverify  %d entries, %.1f MB in %v: %.2f of SHA-256 over the same files (%v)\n", r.Entries, float64(size)/1e6, took.Round(time.Millisecond), hashing.Seconds()/took.Seconds(), hashing.Round(time.Millisecond))
	if err != nil {
		return err
	}
	proof, err := audit.Prove(ctx, fetch, r.Entries/2)
	if err != nil {
		return err
	}
	proof.Entry = nil
	fmt.Printf("proof   %d bytes without the entry, %d hashes\n", len(proof.Marshal()), len(proof.Path))
	return nil
}
