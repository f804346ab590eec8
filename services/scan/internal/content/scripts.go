package content

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"assize.dev/services/scan/internal/unpack"
	"assize.dev/shared/archive"
	"assize.dev/shared/event"
)

// Code that runs when a package is installed or built is normal and worth
// knowing: the finding says what runs.
var (
	installScript = rule{"content/install-script", event.Info, "runs at installation"}
	unreadScript  = rule{"content/install-script-unread", event.Low, "may run something at installation"}
)

// maxManifest bounds a package.json or PSPF metadata that is read.
const maxManifest = 10 << 20

// scripts notes what an item would run.
func (f *findings) scripts(item unpack.Item, content io.Reader) error {
	if content == nil || item.Entry == nil {
		return nil
	}
	if item.Entry.Format == archive.PSPF && item.Entry.Path == archive.PSPFMetadata {
		return f.manifest(item.Location, content, pspfCommands)
	}
	if installed(item.Entry.Path) {
		return f.manifest(item.Location, content, npmScripts)
	}
	if what := runsAsFile(f.format, item.Entry); what != "" {
		f.add(installScript, item.Location, what)
	}
	return nil
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
	base := path.Base(e.Path)
	depth := strings.Count(e.Path, "/")
	inControl := slices.ContainsFunc(e.Parents, func(p string) bool { return strings.HasPrefix(p, "control.tar") })
	switch format {
	case "deb":
		if inControl && slices.Contains([]string{"preinst", "postinst", "prerm", "postrm", "config"}, base) {
			return "the maintainer script " + base + " runs as root when the package is installed or removed"
		}
	case "arch":
		if e.Path == ".INSTALL" {
			return "functions of .INSTALL run as root when the package is installed, upgraded or removed"
		}
	case "apk":
		if depth == 0 && slices.Contains([]string{".pre-install", ".post-install", ".pre-upgrade", ".post-upgrade", ".pre-deinstall", ".post-deinstall", ".trigger"}, base) {
			return base + " runs as root when the package is installed, upgraded or removed"
		}
	case "sdist":
		if base == "setup.py" && depth == 1 {
			return "setup.py runs when the package is built or installed"
		}
	case "npm":
		if base == "binding.gyp" && depth == 1 {
			return "binding.gyp makes npm run node-gyp rebuild, unless an install script replaces it"
		}
	case "gem":
		if base == "extconf.rb" && strings.HasPrefix(e.Path, "ext/") {
			return "extconf.rb runs when the gem is installed"
		}
	case "crate":
		if base == "build.rs" && depth == 1 {
			return "build.rs runs when the crate is built"
		}
	case "nupkg", "nuget":
		if strings.HasPrefix(e.Path, "tools/") && slices.Contains([]string{"init.ps1", "install.ps1", "uninstall.ps1"}, strings.ToLower(base)) {
			return base + " runs in the development environment that adds the package"
		}
	}
	return ""
}

// manifest reads a JSON document and notes the commands in it. One that
// cannot be read may run anything.
func (f *findings) manifest(location string, content io.Reader, commands func([]byte) ([]string, error)) error {
	data, err := io.ReadAll(io.LimitReader(content, maxManifest+1))
	if err != nil {
		return err
	}
	var list []string
	if len(data) > maxManifest {
		err = fmt.Errorf("more than %d bytes", maxManifest)
	} else {
		list, err = commands(data)
	}
	if err != nil {
		f.add(unreadScript, location, unreadScript.means+": "+err.Error())
		return nil
	}
	for _, c := range list {
		f.add(installScript, location, c+" "+installScript.means)
	}
	return nil
}

// npmScripts lists the scripts that npm runs on installing, in its order
// (npm documentation, "scripts", "npm install").
func npmScripts(data []byte) ([]string, error) {
	var manifest struct {
		Scripts map[string]json.RawMessage `json:"scripts"`
	}
	if err := json.Unmarshal(trimBOM(data), &manifest); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) && kind.Field == "scripts" || json.Valid(trimBOM(data)) {
			return nil, nil // npm ignores scripts that are no object
		}
		return nil, errors.New("package.json is not JSON")
	}
	var out []string
	for _, name := range []string{"preinstall", "install", "postinstall"} {
		var command string
		if json.Unmarshal(manifest.Scripts[name], &command) == nil && command != "" {
			out = append(out, fmt.Sprintf("%s script %s", name, quoted(command)))
		}
	}
	return out, nil
}

// pspfCommands lists what a PSPF package runs to set itself up and to start.
func pspfCommands(data []byte) ([]string, error) {
	var metadata struct {
		Setup     []json.RawMessage `json:"setup_commands"`
		Execution struct {
			Command string `json:"command"`
		} `json:"execution"`
	}
	if err := json.Unmarshal(data, &metadata); err != nil {
		return nil, errors.New("the metadata is not JSON of the known form")
	}
	var out []string
	for _, raw := range metadata.Setup {
		var command string
		if json.Unmarshal(raw, &command) != nil {
			command = string(raw)
		}
		out = append(out, "setup command "+quoted(command))
	}
	if c := metadata.Execution.Command; c != "" {
		out = append(out, "command "+quoted(c))
	}
	return out, nil
}

func trimBOM(data []byte) []byte {
	if s := string(data[:min(3, len(data))]); s == "\xEF\xBB\xBF" {
		return data[3:]
	}
	return data
}

// quoted shows foreign text on one line, at most 200 runes of it.
func quoted(s string) string {
	n := 0
	for i := range s {
		if n++; n > 200 {
			s = s[:i] + "…"
			break
		}
	}
	return fmt.Sprintf("%q", s)
}
