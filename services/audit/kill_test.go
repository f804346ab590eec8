package audit

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"assize.dev/shared/blob"
	"assize.dev/shared/blob/storetest"
	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/config"
)

// replica is the life of a process that records until it is killed.
func replica() error {
	ctx := context.Background()
	b, err := bus.Connect(ctx, bus.Config{URL: os.Getenv("ASSIZE_TEST_NATS"), Wait: true}, "replica")
	if err != nil {
		return err
	}
	var store blob.Store
	if url := os.Getenv("ASSIZE_TEST_S3"); url != "" {
		store, err = blob.OpenS3(ctx, blob.S3Config{Bucket: storetest.Bucket, Endpoint: url, Region: "us-east-1",
			AccessKey: config.Secret(os.Getenv("ASSIZE_TEST_ACCESS")), SecretKey: config.Secret(os.Getenv("ASSIZE_TEST_SECRET"))})
	} else {
		store, err = blob.OpenDir(os.Getenv("ASSIZE_TEST_DIR"))
	}
	if err != nil {
		return err
	}
	s, err := New(Config{Batch: 8, Interval: time.Millisecond, Keys: testKey, Publish: 3 * time.Millisecond}, b, store, quiet)
	if err != nil {
		return err
	}
	s.crash = crashAt(os.Getenv("ASSIZE_TEST_CRASH"))
	s.publisher.crash = s.crash
	fmt.Println("recording")
	return s.Run(ctx)
}

// crashPoints are where replicas kill themselves; "" is killed from outside, at
// any moment.
var crashPoints = []string{
	"", "segment to be stored", "segment stored", "tile", "tiles stored", "history stored", "checkpoint moved", "proof",
}

// Three replicas record and publish what comes meanwhile, and one or the other
// is killed all the time, at every point that matters; NATS is killed, too, and
// so is the object store. ASSIZE_KILLS says how often, for longer runs.
func TestKillsLoseNothing(t *testing.T) {
	t.Parallel()
	kills, err := strconv.Atoi(cmp.Or(os.Getenv("ASSIZE_KILLS"), "24"))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("directory", func(t *testing.T) {
		t.Parallel()
		store, dir := newStore(t)
		killReplicas(t, store, kills, func() {}, "ASSIZE_TEST_DIR="+dir)
	})
	t.Run("S3", func(t *testing.T) {
		t.Parallel()
		server := storetest.Start(t)
		store, err := blob.OpenS3(t.Context(), server.Config())
		if err != nil {
			t.Fatal(err)
		}
		killReplicas(t, store, kills/2, func() { server.Kill(); server.Restart() },
			"ASSIZE_TEST_S3="+server.URL, "ASSIZE_TEST_ACCESS="+server.AccessKey, "ASSIZE_TEST_SECRET="+server.SecretKey)
	})
}

type killed struct {
	child *exec.Cmd
	out   *bufio.Reader
	point string
}

func killReplicas(t *testing.T, store blob.Store, kills int, killStore func(), env ...string) {
	nats := bustest.NewProcess(t)
	b := nats.Connect()
	bustest.Provision(t, b)
	env = append(env, "ASSIZE_TEST_NATS="+nats.URL())

	stop := make(chan struct{})
	var publishers sync.WaitGroup
	for p := range 3 {
		publishers.Go(func() {
			for i := p * 1e6; ; i++ {
				select {
				case <-stop:
					return
				default:
					publishSome(t, b, i, i+1)
					publishVerdict(t, b)
					time.Sleep(time.Duration(kills) * 100 * time.Microsecond) // the streams have bounds
				}
			}
		})
	}
	at := map[string]int{}
	start := func() killed {
		point := crashPoints[rand.N(len(crashPoints))]
		child, out := bustest.Child(t, "replica", append(env, fmt.Sprintf("ASSIZE_TEST_CRASH=%s:%d", point, 1+rand.N(4)))...)
		return killed{child, out, point}
	}
	replicas := []killed{start(), start(), start()}
	for n := range kills {
		victim := &replicas[n%len(replicas)]
		if line, err := victim.out.ReadString('\n'); err != nil {
			t.Errorf("the replica did not start: %q, %v", line, err)
			break
		}
		dead := make(chan struct{})
		go func() { defer close(dead); _ = victim.child.Wait() }() // says that it was killed
		wait := time.Second                                        // the others may do all there is to do
		if victim.point == "" {
			wait = rand.N(80 * time.Millisecond)
		}
		select {
		case <-dead:
			at[victim.point]++
		case <-time.After(wait):
			at[""]++
			if err := victim.child.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Error(err)
			}
			<-dead
		}
		*victim = start()
		switch {
		case n == kills/2:
			nats.Restart()
		case n == kills/3:
			killStore()
		}
		if n%20 == 7 {
			if r, err := Verify(t.Context(), store, Options{}); err != nil || !r.OK() {
				t.Errorf("after kill %d: %+v, %v", n+1, r, err)
				break
			}
		}
	}
	close(stop)
	publishers.Wait()
	for _, p := range replicas {
		if err := p.child.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		_ = p.child.Wait()
	}
	s := serve(t, b, store, soon)
	caughtUp(t, b, s)
	s.stop(t)
	checkLog(t, store, onStreams(t, b))
	p := newTestPublisher(t, store)
	if err := p.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.last.mine = true // and so not patient
	if err := p.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkPublished(t, store, logLines(t, store), true)
	t.Logf("%d entries in %d segments after %d kills, by point: %v", s.Head().Size, len(segmentKeys(t, store)), kills, at)
}
