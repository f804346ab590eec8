package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"assize.dev/bench/sbom/internal/measure"
)

type measurement = measure.Measurement

// side is one of the two that are compared.
type side struct {
	Name    string
	Program string // path
}

// build compiles one of the commands beside this one into a directory.
func build(ctx context.Context, dir, name string) (side, error) {
	s := side{Name: name, Program: filepath.Join(dir, name)}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", s.Program, "assize.dev/bench/sbom/"+name)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return side{}, fmt.Errorf("build %s: %w", name, err)
	}
	return s, nil
}

// measure has the side look at a file in a process for that alone. 0 passes
// measure the first look.
func (s side) measure(ctx context.Context, file, format string, passes int) (measurement, error) {
	cmd := exec.CommandContext(ctx, s.Program, "-passes", strconv.Itoa(passes), "-format", format, "--", file)
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && len(exit.Stderr) > 0 {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
	}
	if err != nil {
		return measurement{}, fmt.Errorf("%s: %s: %w", file, s.Name, err)
	}
	var m measurement
	if err := json.Unmarshal(out, &m); err != nil {
		return measurement{}, fmt.Errorf("%s: %s: its answer: %w", file, s.Name, err)
	}
	return m, nil
}
