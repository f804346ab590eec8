package content

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"assize.dev/services/scan/internal/unpack"
	"assize.dev/shared/archive"
)

// scripts notes what an item would run, and what that does. It reports whether
// it has read the content.
func (f *findings) scripts(item unpack.Item, content io.Reader) (bool, error) {
	e := item.Entry
	if e.Format == archive.PSPF && e.Path == archive.PSPFMetadata {
		return true, f.manifest(item.Location, content, pspfCommands)
	}
	if !f.unpacked(len(e.Parents)) {
		return false, nil
	}
	if f.readsPackageJSON() && installed(e.Path) {
		return true, f.manifest(item.Location, content, npmScripts)
	}
	if what := runsAsFile(f.format, e); what != "" {
		s, err := readScript(item.Location, content)
		if err != nil {
			return true, err
		}
		if isProgram(archive.Sniff(s.text[:min(len(s.text), headLen)])) {
			f.add(&unreadScript, item.Location, what+", and is a machine program, which is not judged")
			return true, nil
		}
		f.add(&installScript, item.Location, what+functionsOf(f.format, s.text))
		f.judgeScript(s, path.Base(e.Path))
		if isSource(e.Path) {
			return true, f.source(item.Location, bytes.NewReader(s.text))
		}
		return true, nil
	}
	if read := readsSettings(f.format, e); read != nil {
		s, err := readScript(item.Location, content)
		if err != nil {
			return true, err
		}
		read(f, s)
		return true, nil
	}
	return false, nil
}

// readsPackageJSON says that npm may install the package. Others hold
// package.json for reasons of their own.
func (f *findings) readsPackageJSON() bool {
	switch f.format {
	case formatNPM, formatTar, formatZip:
		return true
	}
	return false
}

// installed tells the package.json of a package, or of one bundled with it,
// from those that merely lie about: npm looks at no others.
func installed(entry string) bool {
	dir, base := path.Split(entry)
	if base != "package.json" {
		return false
	}
	return strings.Count(dir, "/") <= 1 || strings.Contains("/"+dir, "/node_modules/")
}

// runsAsFile tells the files that a kind of package runs as they are.
func runsAsFile(format string, e *archive.Entry) string {
	dir, base := path.Split(e.Path)
	depth := strings.Count(e.Path, "/")
	inControl := slices.ContainsFunc(e.Parents, func(p string) bool { return strings.HasPrefix(p, "control.tar") })
	switch format {
	case formatDeb:
		switch {
		case inControl && slices.Contains([]string{"preinst", "postinst", "prerm", "postrm", "config"}, base):
			return "the maintainer script " + base + " runs as root when the package is installed or removed"
		case inControl && base == "triggers":
			return "triggers make dpkg run maintainer scripts when other packages change"
		}
	case formatArch:
		switch {
		case e.Path == ".INSTALL":
			return "functions of .INSTALL run as root when the package is installed, upgraded or removed"
		case dir == "usr/share/libalpm/hooks/" && path.Ext(base) == ".hook":
			return "the hook " + base + " runs as root when this or another package changes"
		}
	case formatAPK:
		if depth == 0 && slices.Contains([]string{".pre-install", ".post-install", ".pre-upgrade", ".post-upgrade", ".pre-deinstall", ".post-deinstall", ".trigger"}, base) {
			return base + " runs as root when the package is installed, upgraded or removed"
		}
	case formatSdist:
		if base == "setup.py" && depth == 1 {
			return "setup.py runs when the package is built or installed"
		}
	case formatNPM:
		if base == "binding.gyp" && depth == 1 {
			return "binding.gyp makes npm run node-gyp rebuild, unless an install script replaces it"
		}
	case formatGem:
		switch {
		case (base == "extconf.rb" || base == "Rakefile" || base == "mkrf_conf.rb") && strings.HasPrefix(e.Path, "ext/"):
			return base + " runs when the gem is installed"
		case e.Path == "lib/rubygems_plugin.rb":
			return "rubygems_plugin.rb runs whenever the gem command does"
		}
	case formatCrate:
		if base == "build.rs" && depth == 1 {
			return "build.rs runs when the crate is built"
		}
	case formatNupkg:
		lower := strings.ToLower(base)
		switch {
		case strings.HasPrefix(e.Path, "tools/") && slices.Contains([]string{"init.ps1", "install.ps1", "uninstall.ps1"}, lower):
			return base + " runs in the development environment that adds the package"
		case (strings.HasPrefix(strings.ToLower(dir), "build") || strings.HasPrefix(strings.ToLower(dir), "tools/")) && (path.Ext(lower) == ".targets" || path.Ext(lower) == ".props"):
			return base + " becomes part of the build of projects that use the package"
		}
	case formatWheel:
		if depth == 0 && (base == "sitecustomize.py" || base == "usercustomize.py") {
			return base + " runs at every start of Python"
		}
	}
	return ""
}

var installFunction = regexp.MustCompile(`(?m)^\s*(?:function\s+)?((?:pre|post)_(?:install|upgrade|remove))\s*(?:\(\)|\{)`)

// functionsOf lists those that pacman calls.
func functionsOf(format string, text []byte) string {
	if format != formatArch {
		return ""
	}
	var names []string
	for _, m := range installFunction.FindAllSubmatch(text, 20) {
		names = append(names, string(m[1]))
	}
	if len(names) == 0 {
		return ""
	}
	return ": " + strings.Join(names, ", ")
}

// readsSettings tells the files that name what else runs.
func readsSettings(format string, e *archive.Entry) func(*findings, script) {
	base := path.Base(e.Path)
	depth := strings.Count(e.Path, "/")
	switch {
	case format == formatSdist && base == "pyproject.toml" && depth == 1:
		return (*findings).pyproject
	case format == formatCrate && base == "Cargo.toml" && depth == 1:
		return (*findings).cargoManifest
	case format == formatWheel && path.Ext(base) == ".pth" && (depth == 0 || strings.Contains(e.Path, ".data/purelib/") || strings.Contains(e.Path, ".data/platlib/") || strings.Contains(e.Path, ".data/data/")):
		return (*findings).pathFile
	case format == formatWheel && base == "WHEEL" && depth == 1:
		return (*findings).wheel
	}
	return nil
}

// Of the TOML only these lines matter, and they are never written otherwise
// by the tools that make such packages.
var (
	buildBackend = regexp.MustCompile(`(?m)^\s*build-backend\s*=\s*["']([\w.]+)(?::[\w.]+)?["']`)
	backendPath  = regexp.MustCompile(`(?m)^\s*backend-path\s*=\s*\[\s*["']([^"'\n]*)["']`)
	cargoBuild   = regexp.MustCompile(`(?m)^\s*build\s*=\s*"([^"\n]+)"`)
	procMacro    = regexp.MustCompile(`(?m)^\s*proc[-_]macro\s*=\s*true`)
)

// pyproject notes the build backend, and looks into one that the package
// itself brings along (PEP 517).
func (f *findings) pyproject(s script) {
	name := buildBackend.FindSubmatch(s.text)
	if name == nil {
		return
	}
	f.add(&installScript, s.location, fmt.Sprintf("the build backend %.100q runs when the package is built or installed", name[1]))
	if in := backendPath.FindSubmatch(s.text); in != nil {
		module := path.Join(path.Dir(s.location), string(in[1]), strings.ReplaceAll(string(name[1]), ".", "/"))
		f.follow("the package's own build backend", module+".py", module+"/__init__.py")
	}
}

// cargoManifest notes a build script under another name than build.rs, and
// macros, which the compiler runs.
func (f *findings) cargoManifest(s script) {
	if procMacro.Match(s.text) {
		f.add(&installScript, s.location, "the crate's macros run when a crate that uses them is built")
	}
	if name := cargoBuild.FindSubmatch(s.text); name != nil && path.Clean(string(name[1])) != "build.rs" {
		at := path.Join(path.Dir(s.location), string(name[1]))
		f.add(&installScript, s.location, fmt.Sprintf("%.100q runs when the crate is built", name[1]))
		f.follow("the build script", at)
	}
}

// usualStart are lines of path files that well-known tools write: packages of
// a namespace, setuptools' own.
var usualStart = regexp.MustCompile(`^import sys, ?types, ?os; ?(?:has_mfs = |p ?= ?os\.path\.join\(sys\._getframe\(1\)\.f_locals\['sitedir'\])` +
	`|^import os; var = 'SETUPTOOLS_USE_DISTUTILS'; enabled = os\.environ\.get\(var, '(?:local|stdlib)'\) == 'local'; enabled and __import__\('_distutils_hack'\)(?:\.add_shim\(\))?;?\s*$`)

// pathFile notes the lines of a path file that Python runs at each start:
// those that begin with import (Python documentation, module site).
func (f *findings) pathFile(s script) {
	usual := true
	n := 0
	for line := range strings.Lines(string(s.text)) {
		if strings.HasPrefix(line, "import ") || strings.HasPrefix(line, "import\t") {
			n++
			usual = usual && usualStart.MatchString(line) && len(line) < 1000
		}
	}
	switch {
	case n == 0:
		return
	case usual:
		f.add(&installScript, s.location, fmt.Sprintf("%d line(s) of the path file run at every start of Python, all of them such as setuptools writes", n))
		return
	}
	f.add(&startupCode, s.location, fmt.Sprintf("%d line(s) of the path file: %s", n, startupCode.means))
	f.judgeScript(s, path.Base(s.location))
}

// wheel notes whether the wheel says that it fits every platform.
func (f *findings) wheel(s script) {
	for line := range strings.Lines(string(s.text)) {
		if tag, ok := strings.CutPrefix(strings.TrimSpace(line), "Tag:"); ok {
			f.anyPlatform = strings.HasSuffix(strings.TrimSpace(tag), "-any")
			if !f.anyPlatform {
				return
			}
		}
	}
}

// rpmScripts notes the scriptlets in the header of an RPM package.
func (f *findings) rpmScripts(location string, r io.Reader) {
	all, err := archive.ReadRPMScripts(r)
	if err != nil {
		f.add(&unreadScript, location, unreadScript.means+": "+err.Error())
		return
	}
	for _, s := range all {
		what := fmt.Sprintf("the %s script", s.When)
		message := what + " runs as root"
		if s.Interpreter != "" {
			message += " in " + quoted(s.Interpreter)
		}
		f.add(&installScript, location, message)
		f.judgeScript(script{location: location, text: []byte(s.Body)[:min(len(s.Body), maxScript)], cut: len(s.Body) > maxScript}, what)
	}
}

// maxFollowed is how many files are looked into because something names them.
const maxFollowed = 100

// follow remembers to look into the first of the places that is a file of the
// package.
func (f *findings) follow(what string, places ...string) {
	for _, at := range places {
		if strings.HasPrefix(at, "../") || f.followed[at] != "" {
			continue
		}
		if len(f.followed) == maxFollowed {
			f.unseen(fmt.Sprintf("only %d of the files that scripts run were examined", maxFollowed))
			return
		}
		if f.followed == nil {
			f.followed = map[string]string{}
		}
		f.followed[at] = what
	}
}
