package audit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
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
	s := New(Config{Batch: 8, Interval: time.Millisecond}, b, store, quiet)
	fmt.Println("recording")
	return s.Run(ctx)
}

// Three replicas record what is published meanwhile, and one or the other is
// killed all the time; NATS is killed, too.
func TestKillsLoseNothing(t *testing.T) {
	t.Parallel()
	t.Run("directory", func(t *testing.T) {
		t.Parallel()
		store, dir := newStore(t)
		killReplicas(t, store, 12, "ASSIZE_TEST_DIR="+dir)
	})
	t.Run("S3", func(t *testing.T) {
		t.Parallel()
		server := storetest.Start(t)
		store, err := blob.OpenS3(t.Context(), server.Config())
		if err != nil {
			t.Fatal(err)
		}
		killReplicas(t, store, 6, "ASSIZE_TEST_S3="+server.URL, "ASSIZE_TEST_ACCESS="+server.AccessKey, "ASSIZE_TEST_SECRET="+server.SecretKey)
	})
}

func killReplicas(t *testing.T, store blob.Store, kills int, env ...string) {
	nats := bustest.NewProcess(t)
	b := nats.Connect()
	bustest.Provision(t, b)
	env = append(env, "ASSIZE_TEST_NATS="+nats.URL())

	stop := make(chan struct{})
	var publishers sync.WaitGroup
	for p := range 4 {
		publishers.Go(func() {
			for i := p * 1e6; ; i++ {
				select {
				case <-stop:
					return
				default:
					publishSome(t, b, i, i+1)
				}
			}
		})
	}
	type process struct {
		child *exec.Cmd
		out   *bufio.Reader
	}
	start := func() process {
		child, out := bustest.Child(t, "replica", env...)
		return process{child, out}
	}
	replicas := []process{start(), start(), start()}
	for n := range kills {
		victim := &replicas[rand.N(len(replicas))]
		if line, err := victim.out.ReadString('\n'); err != nil {
			t.Errorf("the replica did not start: %q, %v", line, err)
			break
		}
		time.Sleep(rand.N(80 * time.Millisecond))
		if err := victim.child.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = victim.child.Wait() // says that it was killed
		*victim = start()
		if n == kills/2 {
			nats.Restart()
		}
		if r, err := Verify(t.Context(), store); err != nil || !r.OK() {
			t.Errorf("after kill %d: %+v, %v", n+1, r, err)
			break
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
	t.Logf("%d entries in %d segments after %d kills", s.Head().Size, len(segmentKeys(t, store)), kills)
}
