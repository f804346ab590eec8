package main

import (
	"fmt"

	"assize.dev/shared/run"
)

type versionCmd struct{}

func (versionCmd) Run(g *globals) error {
	_, err := fmt.Fprintln(g.stdout, "assize", run.BuildVersion())
	return err
}
