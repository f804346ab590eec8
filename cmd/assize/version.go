package main

import (
	"encoding/json"
	"fmt"

	"assize.dev/shared/run"
)

type versionCmd struct{}

func (versionCmd) Run(g *globals) error {
	if g.JSON {
		return json.NewEncoder(g.stdout).Encode(map[string]string{"version": run.BuildVersion()})
	}
	_, err := fmt.Fprintln(g.stdout, "assize", run.BuildVersion())
	return err
}
