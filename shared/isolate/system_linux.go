package isolate

import (
	"fmt"
	"os"
	"syscall"
)

// limitMemory bounds private writable memory (getrlimit(2), RLIMIT_DATA since
// Linux 4.7), not the address space that the Go runtime only reserves. What
// the program had before its work began does not count.
func limitMemory(limit int64) error {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return err
	}
	var total, resident, shared, code, unused, data int64 // in pages: proc_pid_statm(5)
	if _, err := fmt.Sscan(string(text), &total, &resident, &shared, &code, &unused, &data); err != nil {
		return fmt.Errorf("/proc/self/statm: %w", err)
	}
	return lower(syscall.RLIMIT_DATA, uint64(data*int64(os.Getpagesize())+limit))
}

// program stays the one that runs when the file is replaced by a newer one.
func program() (string, error) { return "/proc/self/exe", nil }

func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
