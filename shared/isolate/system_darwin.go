package isolate

import (
	"os"
	"syscall"
)

// limitMemory: the kernel limits only the classic data segment, so that the
// Go runtime's own limit, which is a soft one, is what holds.
func limitMemory(int64) error { return nil }

func program() (string, error) { return os.Executable() }

// attributes: a child ends when its parent's end of the socket is gone.
func attributes() *syscall.SysProcAttr { return nil }
