//go:build !linux && !darwin

package isolate

import (
	"context"
	"errors"
	"os"
)

const supported = false

type child struct {
	served int
	ended  bool
}

func start(*Pool) (*child, error) { return nil, errors.ErrUnsupported }

func (*child) do(context.Context, *os.File, []byte) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

func (*child) alive() bool { return false }

func (*child) stop() *os.ProcessState { return nil }

func serve(*Pool) int { return 1 }
