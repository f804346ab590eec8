//go:build unix

// Package cputime tells what this process has had of the processors.
package cputime

import (
	"syscall"
	"time"
)

// Used is what this process has had of the processors. Unlike wall-clock
// time it hardly depends on who else uses the machine.
func Used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
