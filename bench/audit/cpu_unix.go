//go:build unix

package main

import (
	"syscall"
	"time"
)

// cpuTime is what this process has had of the processors. Unlike wall-clock
// time it hardly depends on who else uses the machine.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
