package sbom

import (
	"errors"
	"slices"
	"strings"

	"assize.dev/services/sbom/internal/lockfile"
	"assize.dev/shared/identify"
)

// locks reads lock files: what an installation from the artifact would add,
// or what was installed where it was built.
type locks struct{}

func (locks) name() string { return "lock file" }

func (locks) wants(e *entry) bool { return wantsLockFile(e) }

func wantsLockFile(e *entry) bool {
	return e.Name != "" && e.Name != besideName && lockfile.Known(e.Path)
}

// errTestData is about lock files of something else.
var errTestData = errors.New("a lock file among tests, examples or documentation, which says nothing about the artifact")

// sampleDirs hold projects of their own, that nobody installs.
var sampleDirs = []string{"test", "tests", "testdata", "__tests__", "spec", "fixtures", "example", "examples", "doc", "docs", "benchmarks", "fuzz"}

func (locks) extract(e *entry, src *source) ([]identify.Package, error) {
	dirs := strings.Split(e.Path, "/")
	if slices.ContainsFunc(dirs[:len(dirs)-1], func(dir string) bool { return slices.Contains(sampleDirs, strings.ToLower(dir)) }) {
		return nil, &misplaced{errTestData}
	}
	data, err := src.all(maxDatabase)
	if err != nil {
		return nil, err
	}
	entries, err := lockfile.Parse(e.Path, data)
	if err != nil {
		err = &misplaced{err}
	}
	found := make([]identify.Package, 0, len(entries))
	for _, l := range entries {
		p := l.Package
		p.DependsOn, p.NeedsStated = l.DependsOn, true
		p.Development = l.Dev
		for _, h := range l.Hashes {
			if _, second := p.Hashes[h.Algorithm]; second {
				p.Hashes = nil // those of several files, of which one will be used
				break
			}
			if p.Hashes == nil {
				p.Hashes = map[string]string{}
			}
			p.Hashes[h.Algorithm] = h.Value
		}
		found = append(found, p)
	}
	return found, err
}
