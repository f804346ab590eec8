package main

import (
	"net"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"assize": main})
}

// The scripts in testdata/script read like a session at a terminal.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("ASSIZE_DATA_DIR", e.WorkDir+"/data")
			e.Setenv("ASSIZE_LOG_LEVEL", "error")
			// Addresses that were free a moment ago.
			var free [2]string
			for i := range free {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					return err
				}
				defer l.Close()
				free[i] = l.Addr().String()
			}
			e.Setenv("ASSIZE_HTTP", free[0])
			e.Setenv("ASSIZE_URL", "http://"+free[0])
			e.Setenv("ASSIZE_NATS_LISTEN", free[1])
			e.Setenv("ASSIZE_NATS_URL", "nats://"+free[1])
			return nil
		},
	})
}
