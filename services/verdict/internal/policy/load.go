package policy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// Bounds of a policy on disk.
const (
	maxModule  = 1 << 20 // bytes of one Rego file
	maxModules = 64
)

// settingsFile is the file of settings inside a directory of rules.
const settingsFile = "settings.yaml"

// Load reads a policy from path:
//
//	""            the built-in rules with default settings
//	*.yaml, *.yml the built-in rules with these settings
//	*.rego        these rules in place of the built-in ones, default settings
//	*.tar.gz      an OPA bundle, whatever its signature; see LoadSigned
//	a directory   its *.rego files as rules, and its settings.yaml, if any
//
// Rules define data.assize.policy.verdict. A directory's hidden files,
// *_test.rego and *.md are passed over, anything else in it is refused, so
// that a misspelt name cannot switch a rule off. Whatever cannot be read,
// parsed or compiled is an error: there is no falling back to defaults.
func Load(ctx context.Context, path string) (*Policy, error) {
	p, err := load(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("load policy %q: %w", path, err)
	}
	return p, nil
}

func load(ctx context.Context, path string) (*Policy, error) {
	if path == "" {
		return Default(ctx, DefaultSettings())
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return loadDir(ctx, path)
	}
	if strings.HasSuffix(path, ".tar.gz") {
		return loadBundle(ctx, path, nil)
	}
	switch filepath.Ext(path) {
	case ".yaml", ".yml":
		text, err := readFile(path, maxSettings)
		if err != nil {
			return nil, err
		}
		settings, err := ParseSettings(text, DefaultSettings())
		if err != nil {
			return nil, err
		}
		return Default(ctx, settings)
	case ".rego":
		m, err := readModule(path)
		if err != nil {
			return nil, err
		}
		return compile(ctx, customSettings(), []module{m})
	}
	return nil, errors.New("neither a directory nor a .yaml, .yml, .rego or .tar.gz file")
}

// customSettings are the defaults under a name that does not claim to be the
// built-in policy.
func customSettings() Settings {
	s := DefaultSettings()
	s.Name = "custom"
	return s
}

func loadDir(ctx context.Context, dir string) (*Policy, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	settings := customSettings()
	var modules []module
	for _, entry := range entries {
		name := entry.Name()
		path := filepath.Join(dir, name)
		switch {
		// Kubernetes keeps "..data" beside the files of a config map.
		case strings.HasPrefix(name, "."), strings.HasSuffix(name, "_test.rego"), filepath.Ext(name) == ".md":
		case filepath.Ext(name) == ".rego":
			m, err := readModule(path)
			if err != nil {
				return nil, err
			}
			modules = append(modules, m)
		case name == settingsFile:
			text, err := readFile(path, maxSettings)
			if err != nil {
				return nil, err
			}
			if settings, err = ParseSettings(text, settings); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		default:
			return nil, fmt.Errorf("%s does not belong in a directory of rules: want *.rego and %s", name, settingsFile)
		}
		if len(modules) > maxModules {
			return nil, fmt.Errorf("more than %d Rego files", maxModules)
		}
	}
	if len(modules) == 0 {
		return nil, errors.New("no Rego files")
	}
	return compile(ctx, settings, modules)
}

func readModule(path string) (module, error) {
	text, err := readFile(path, maxModule)
	if err != nil {
		return module{}, err
	}
	if !utf8.Valid(text) {
		return module{}, fmt.Errorf("%s is not UTF-8", filepath.Base(path))
	}
	return module{Name: filepath.Base(path), Source: string(text)}, nil
}

func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Base(path), err)
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", filepath.Base(path), limit)
	}
	return text, nil
}
