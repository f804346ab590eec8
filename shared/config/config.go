// Package config reads the configuration of a service from environment
// variables. Every service and the all-in-one program share it, so that a
// variable means the same and fails the same way everywhere.
package config

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sethvargo/go-envconfig"
)

// Load fills each cfg, a pointer to a struct, from the variables its fields
// name. Tags are those of go-envconfig, plus `help:"..."` for Table:
//
//	type Config struct {
//		Drain time.Duration `env:"ASSIZE_DRAIN, default=25s" help:"how long stopping may take"`
//		Token config.Secret `env:"ASSIZE_TOKEN, required" help:"what callers must present"`
//		Store store.Config  `env:", prefix=ASSIZE_STORE_"`
//	}
//
// A variable that is set wins over what the struct already holds, which wins
// over the default in the tag. A variable set to nothing counts as unset, as
// compose files and manifests write "${NAME:-}" for what nobody chose. A
// pointer, slice or map that nothing sets stays nil.
//
// A [Secret] may instead be given as NAME_FILE, the path of a file that holds
// it; see [Secret].
//
// A nil lookuper is the process environment. The error joins every problem
// found, each beginning with the name of its variable; after an error the
// contents of cfg are of no use.
func Load(ctx context.Context, lookuper envconfig.Lookuper, cfgs ...any) error {
	if lookuper == nil {
		lookuper = envconfig.OsLookuper()
	}
	var problems []error
	for _, cfg := range cfgs {
		problems = append(problems, load(ctx, lookuper, cfg)...)
	}
	return errors.Join(problems...)
}

func load(ctx context.Context, lookuper envconfig.Lookuper, cfg any) []error {
	vars, err := variables(cfg)
	if err != nil {
		return []error{err}
	}
	env := &environment{source: lookuper, files: make(map[string]string), bad: make(map[string]bool)}
	problems := env.readSecretFiles(vars)
	for _, v := range vars {
		if _, set := env.Lookup(v.name); v.required && !set {
			env.bad[v.name] = true
			problems = append(problems, fmt.Errorf("%s: is required and not set", v.name))
		}
	}

	// envconfig stops at the first problem. Whatever it complained about is
	// hidden and it is asked again, so that one start reports all of them.
	for range len(vars) + 1 {
		err := envconfig.ProcessWith(ctx, &envconfig.Config{
			Target:           cfg,
			Lookuper:         env,
			DefaultOverwrite: true,
			// Without it the decoders of unset variables are run on "".
			DefaultNoInit: true,
			Mutators:      []envconfig.Mutator{envconfig.MutatorFunc(env.noteValue)},
		})
		if err == nil {
			break
		}
		culprit, known := find(vars, env.last)
		if !known {
			return append(problems, fmt.Errorf("configuration %T: %w", cfg, err))
		}
		if env.bad[culprit.name] {
			break // its type takes not even nothing, so envconfig gets no further
		}
		problems = append(problems, culprit.problem(env.value, err))
		env.bad[culprit.name] = true
	}
	return problems
}

// problem says what is wrong with a variable without the Go field path that
// envconfig puts in front, and never quotes a secret.
func (v variable) problem(value string, err error) error {
	if v.secret {
		return fmt.Errorf("%s: the value is malformed", v.name)
	}
	return &valueError{name: v.name, value: value, field: v.field, err: err}
}

type valueError struct {
	name, value, field string
	err                error
}

func (e *valueError) Error() string {
	text := e.err.Error()
	for step := range strings.SplitAfterSeq(e.field, ": ") {
		text = strings.TrimPrefix(text, step)
	}
	if !strings.Contains(text, e.value) {
		text = fmt.Sprintf("%.80q: %s", e.value, text) // some decoders do not say what they were given
	}
	return e.name + ": " + text
}

func (e *valueError) Unwrap() error { return e.err }

// environment is the lookuper handed to envconfig: the source, overlaid with
// what secret files held.
type environment struct {
	source envconfig.Lookuper
	files  map[string]string
	bad    map[string]bool // already reported; looks as if set to nothing
	last   string          // the variable envconfig is working on
	value  string          // and its value
}

func (e *environment) Lookup(name string) (string, bool) {
	e.last, e.value = name, ""
	if e.bad[name] {
		return "", true
	}
	if value, ok := e.files[name]; ok {
		return value, true
	}
	e.value, _ = e.source.Lookup(name)
	return e.value, e.value != ""
}

// noteValue is called between the lookup and the decoding of a value. It
// restores last, which a default such as "$OTHER" has moved to OTHER.
func (e *environment) noteValue(_ context.Context, _, resolved, _, current string) (string, bool, error) {
	e.last, e.value = resolved, current
	return current, false, nil
}
