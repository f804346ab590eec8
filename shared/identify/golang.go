package identify

import (
	"debug/buildinfo"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	purl "github.com/package-url/packageurl-go"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// GoModule names a module; the version keeps its "v". An empty version is
// one that is not known.
func GoModule(modulePath, version string) Package {
	p := Package{Type: purl.TypeGolang, Name: modulePath, Version: version}
	if i := strings.LastIndexByte(modulePath, '/'); i >= 0 {
		p.Namespace, p.Name = modulePath[:i], modulePath[i+1:]
	}
	if p.Version == "(devel)" {
		p.Version = ""
	}
	return p
}

// GoProgram is what the Go linker noted in a program.
type GoProgram struct {
	Main    Package // its module; without a version when built from a working copy
	Modules []Package
	Stdlib  Package
}

// ReadGoProgram reads the build information of a Go program. The error says
// that there is none or that it cannot be read.
func ReadGoProgram(r io.ReaderAt) (program GoProgram, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("go build information: reading it panicked: %v", p)
		}
	}()
	info, err := buildinfo.Read(r)
	if err != nil {
		return GoProgram{}, fmt.Errorf("go build information: %w", err)
	}
	if info.Main.Path != "" {
		program.Main = GoModule(info.Main.Path, info.Main.Version)
	}
	for _, m := range info.Deps {
		if m == nil {
			continue
		}
		program.Modules = append(program.Modules, replaced(m))
	}
	version, _, _ := strings.Cut(strings.TrimPrefix(info.GoVersion, "go"), " ")
	version, _, _ = strings.Cut(version, "-X:")
	if version != "" && version[0] >= '0' && version[0] <= '9' {
		program.Stdlib = GoModule("stdlib", version)
	}
	return program, nil
}

// replaced follows a replace directive, unless it points to a directory,
// whose module keeps its own name with an unknown version.
func replaced(m *debug.Module) Package {
	if m.Replace == nil {
		return GoModule(m.Path, m.Version)
	}
	if strings.HasPrefix(m.Replace.Path, ".") || strings.HasPrefix(m.Replace.Path, "/") {
		return GoModule(m.Path, "")
	}
	return GoModule(m.Replace.Path, m.Replace.Version)
}

// ParseGoMod lists the modules that a go.mod requires, itself left out.
func ParseGoMod(data []byte) ([]Package, error) {
	f, err := modfile.ParseLax("go.mod", data, nil)
	if err != nil {
		return nil, err
	}
	var out []Package
	for _, r := range f.Require {
		out = append(out, GoModule(r.Mod.Path, r.Mod.Version))
	}
	return out, nil
}

// goModulePrefix reads "path@version/" off the name of an entry of a module
// zip (golang.org/ref/mod#zip-files), undoing nothing: module zips spell upper
// case as it is.
func goModulePrefix(name string) (prefix string, p Package, ok bool) {
	at := strings.IndexByte(name, '@')
	if at <= 0 {
		return "", Package{}, false
	}
	slash := strings.IndexByte(name[at:], '/')
	if slash < 0 {
		return "", Package{}, false
	}
	modulePath, version := name[:at], name[at+1:at+slash]
	if module.Check(modulePath, version) != nil {
		return "", Package{}, false
	}
	return name[:at+slash+1], GoModule(modulePath, version), true
}
