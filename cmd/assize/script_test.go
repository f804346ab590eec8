package main

import (
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
			return nil
		},
	})
}
