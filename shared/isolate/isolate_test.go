//go:build linux

package isolate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"assize.dev/shared/isolate"
)

// The work of these tests: the request says what to do.
var pool = isolate.Register("test", isolate.Limits{
	Memory: 256 << 20, CPU: 2 * time.Second, FileSize: 1 << 20, Files: 20, Answer: 1 << 20,
}, func(_ context.Context, file *os.File, request []byte) ([]byte, error) {
	switch order, _, _ := strings.Cut(string(request), " "); order {
	case "read":
		return io.ReadAll(io.NewSectionReader(file, 0, 1<<20))
	case "pid":
		return strconv.AppendInt(nil, int64(os.Getpid()), 10), nil
	case "environment":
		return []byte(strings.Join(os.Environ(), "\n")), nil
	case "refuse":
		return nil, errors.New("not today")
	case "memory":
		var kept [][]byte
		for {
			if kept = append(kept, bytes.Repeat([]byte{1}, 1<<20)); len(kept) > 1<<20 {
				return kept[0], nil
			}
		}
	case "cpu":
		for n := 0; ; n++ {
			if n < 0 {
				return nil, nil
			}
		}
	case "stack":
		return deeper(0), nil
	case "panic":
		panic("the secret word")
	case "exit":
		os.Exit(0)
	case "kill":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "write":
		f, err := os.CreateTemp("", "big")
		if err != nil {
			return nil, err
		}
		for err == nil {
			_, err = f.Write(make([]byte, 64<<10))
		}
		return nil, err
	case "files":
		for {
			if _, err := os.CreateTemp("", "many"); err != nil {
				return nil, err
			}
		}
	case "long":
		return make([]byte, 2<<20), nil
	case "sleep":
		time.Sleep(time.Hour)
	}
	return nil, fmt.Errorf("unknown order %q", request)
})

func deeper(n int) []byte {
	if n < 0 {
		return nil
	}
	var some [1 << 10]byte
	some[n%len(some)] = 1
	return append(deeper(n+1), some[n%len(some)])
}

func do(t *testing.T, request string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("content of the file"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	answer, err := pool.Do(t.Context(), f, []byte(request))
	return string(answer), err
}

func TestAChildAnswers(t *testing.T) {
	t.Cleanup(pool.Close)
	if got, err := do(t, "read"); err != nil || got != "content of the file" {
		t.Errorf("got %q, %v", got, err)
	}
	first, err := do(t, "pid")
	if err != nil || first == strconv.Itoa(os.Getpid()) {
		t.Errorf("pid %q, %v", first, err)
	}
	if again, err := do(t, "pid"); err != nil || again != first {
		t.Errorf("a second request went to %q, the first to %q: %v", again, first, err)
	}
	t.Setenv("ASSIZE_S3_SECRET", "hidden")
	if got, err := do(t, "environment"); err != nil || strings.Contains(got, "hidden") || !strings.Contains(got, "TMPDIR=") {
		t.Errorf("environment %q, %v", got, err)
	}
	var failed *isolate.Failed
	if _, err := do(t, "refuse"); !errors.As(err, &failed) || failed.Message != "not today" {
		t.Errorf("error %v", err)
	}
	if again, _ := do(t, "pid"); again != first {
		t.Error("an error of the work ended the child")
	}
}

// TestLimitsAndCrashes: the parent tells what stopped a child, nothing of
// what it read is in the reason, and the next request gets a new one.
func TestLimitsAndCrashes(t *testing.T) {
	t.Cleanup(pool.Close)
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	for request, want := range map[string]string{
		"cpu":   "stopped at its limit of 2s of processor time",
		"stack": "stopped by a crash: runtime: goroutine stack exceeds",
		"panic": "stopped by a crash: panic",
		"long":  "stopped: the answer has 2097152 bytes",
	} {
		t.Run(request, func(t *testing.T) {
			var stopped *isolate.Stopped
			_, err := do(t, request)
			if !errors.As(err, &stopped) || !strings.HasPrefix(stopped.Reason, want) {
				t.Errorf("error %T %v, want %s", err, err, want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Error("what a panic says reached the reason")
			}
			if got, err := do(t, "read"); err != nil || got == "" {
				t.Errorf("the next request: %q, %v", got, err)
			}
		})
	}
	var failed *isolate.Failed
	for request, want := range map[string]string{"files": "too many open files", "write": "file too large"} {
		if _, err := do(t, request); !errors.As(err, &failed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", request, err)
		}
	}
	for _, request := range []string{"exit", "kill"} {
		_, err := do(t, request)
		var stopped *isolate.Stopped
		if err == nil || errors.As(err, &stopped) || errors.As(err, &failed) {
			t.Errorf("%s: error %T %v, want one that may pass", request, err, err)
		}
	}
	pool.Close()
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

// TestKilledWhileIdle: a child that died while it waited is not asked.
func TestKilledWhileIdle(t *testing.T) {
	t.Cleanup(pool.Close)
	first, err := do(t, "pid")
	if err != nil {
		t.Fatal(err)
	}
	pid, _ := strconv.Atoi(first)
	syscall.Kill(pid, syscall.SIGKILL)
	for deadline := time.Now().Add(10 * time.Second); syscall.Kill(pid, 0) == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the child still is there")
		}
	}
	time.Sleep(50 * time.Millisecond) // until its end was noticed
	if again, err := do(t, "pid"); err != nil || again == first {
		t.Errorf("pid %q, %v", again, err)
	}
}

func TestTheContextEndsTheWork(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, errors.New("out of time"))
	defer cancel()
	_, err := pool.Do(ctx, os.Stdin, []byte("sleep"))
	if err == nil || err.Error() != "out of time" {
		t.Errorf("error %v", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Cleanup(pool.Close)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got, err := do(t, "read"); err != nil || got != "content of the file" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	all.Wait()
}

// TestKilledParents: a child ends with its parent, however that ends.
func TestKilledParents(t *testing.T) {
	if os.Getenv("ASSIZE_TEST_PARENT") != "" {
		answer, err := pool.Do(t.Context(), os.Stdin, []byte("pid"))
		fmt.Printf("pid=%s %v\n", answer, err)
		time.Sleep(time.Hour)
	}
	temporary := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	parent, err := os.StartProcess(self, []string{self, "-test.run=^TestKilledParents$", "-test.v"}, &os.ProcAttr{
		Env: append(os.Environ(), "ASSIZE_TEST_PARENT=1", "TMPDIR="+temporary), Files: []*os.File{nil, write, write},
	})
	write.Close()
	if err != nil {
		t.Fatal(err)
	}
	child := 0
	buf, said := make([]byte, 4096), ""
	for child == 0 {
		n, err := read.Read(buf)
		if said += string(buf[:n]); err != nil {
			t.Fatalf("the parent said %q", said)
		}
		if _, rest, ok := strings.Cut(said, "pid="); ok && strings.Contains(rest, "\n") {
			fmt.Sscan(rest, &child)
		}
	}
	parent.Kill()
	parent.Wait()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		// A zombie that nobody has reaped yet has no program any more.
		if _, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", child)); err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("child %d still runs", child)
		}
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}
