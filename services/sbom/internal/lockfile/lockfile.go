// Package lockfile reads the lock files in which package managers note exact
// versions.
//
// What a file calls its own project, links, folders and repositories is left
// out: only what comes from a registry has a version that means the same
// everywhere. The files are taken for hostile: every reader takes time in
// proportion to the size of the file and never panics.
package lockfile

import (
	"bytes"
	"fmt"
	"path"
	"strings"
	"unicode"

	"assize.dev/shared/identify"
)

// MaxPackages is the number of packages that are taken from one file.
const MaxPackages = 50_000

// Package is an entry of a lock file.
type Package struct {
	identify.Package
	Hashes    []Hash   // of the files in which it is published; several of one algorithm where the file does not say which was used
	DependsOn []string // purls of entries of the same file, as Package.PURL() gives them
	Dev       bool     // needed only to build or test
}

// Hash is the hash of a published file.
type Hash struct {
	Algorithm string // as CycloneDX names it: SHA-256, SHA-512, SHA-1, MD5
	Value     string // lower-case hexadecimal
}

// readers has a reader for each base name. A reader adds what it finds up to
// the error that it returns.
var readers = map[string]func(*collection, []byte) error{
	"package-lock.json":           readPackageLock,
	"npm-shrinkwrap.json":         readPackageLock,
	"yarn.lock":                   readYarn,
	"pnpm-lock.yaml":              readPnpm,
	"bun.lock":                    readBun,
	"deno.lock":                   readDeno,
	"Cargo.lock":                  readCargo,
	"poetry.lock":                 readPoetry,
	"uv.lock":                     readUV,
	"pdm.lock":                    readPDM,
	"pylock.toml":                 readPylock,
	"Pipfile.lock":                readPipfile,
	"requirements.txt":            readRequirements,
	"Gemfile.lock":                readGemfile,
	"gems.locked":                 readGemfile,
	"composer.lock":               readComposer,
	"packages.lock.json":          readNuGet,
	"gradle.lockfile":             readGradle,
	"buildscript-gradle.lockfile": readGradleBuildscript,
	"pubspec.lock":                readPub,
	"mix.lock":                    readMix,
	"rebar.lock":                  readRebar,
	"Package.resolved":            readSwift,
	"Podfile.lock":                readPods,
	"conan.lock":                  readConan,
	"renv.lock":                   readRenv,
	"cabal.project.freeze":        readCabalFreeze,
	"stack.yaml.lock":             readStack,
}

// reader is the reader of a file, nil if it is not known. There may be several
// lock files of one kind with a name between (PEP 751, pylock.dev.toml).
func reader(base string) func(*collection, []byte) error {
	if rest, ok := strings.CutPrefix(base, "pylock."); ok && strings.HasSuffix(rest, ".toml") {
		return readPylock
	}
	return readers[base]
}

// Known reports whether a file of this name is a lock file that Parse reads.
// Only the last element of the path counts.
func Known(name string) bool { return reader(path.Base(name)) != nil }

// Parse reads the lock file name. With an error it returns what it found before
// what is wrong with the file. The packages are in the order of the file, each
// purl once.
func Parse(name string, data []byte) (packages []Package, err error) {
	base := path.Base(name)
	read := reader(base)
	if read == nil {
		return nil, fmt.Errorf("%.100q is not the name of a known lock file", base)
	}
	c := newCollection()
	defer func() {
		if p := recover(); p != nil {
			packages, err = nil, fmt.Errorf("%s: reading it panicked: %s", base, oneLine(fmt.Sprint(p)))
		}
	}()
	err = read(c, bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	packages, tooMany := c.finish()
	if err == nil {
		err = tooMany
	}
	if err != nil {
		return packages, fmt.Errorf("%s: %s", base, oneLine(err.Error()))
	}
	return packages, nil
}

// maxMessage bounds the text of an error, in bytes: those of the libraries
// repeat parts of the file.
const maxMessage = 300

func oneLine(s string) string {
	if len(s) > maxMessage {
		s = s[:maxMessage] + "..."
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
