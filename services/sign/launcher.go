package sign

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"assize.dev/services/sign/internal/pspf"
	"assize.dev/shared/archive"
	"assize.dev/shared/event"
)

// otherNames are extensions of files that people unpack or install. A PSPF
// package is told by its end, these are told by their beginning or their
// name, so a launcher that nobody signed could make it two things at once.
var otherNames = []string{
	".gz", ".tgz", ".bz2", ".xz", ".zst", ".lz", ".tar", ".zip", ".7z", ".whl", ".egg", ".jar", ".war", ".ear",
	".nupkg", ".crate", ".gem", ".deb", ".rpm", ".apk", ".iso", ".img",
}

// checkLauncher looks at a launcher that the signature does not cover: it
// must be one of those that its publisher allows, if that says so, and the
// file must not pass for something else.
func (e *examination) checkLauncher(report *pspf.Report, publisher string) error {
	if report.Launcher == pspf.LauncherAuthenticated {
		return nil
	}
	head := make([]byte, min(e.content.Size(), 4096))
	if err := e.readHead(head); err != nil {
		return fmt.Errorf("reading the launcher: %w", err)
	}
	switch f := archive.Sniff(head); f {
	case archive.ELF, archive.PE, archive.MachO, archive.Unknown:
	default:
		e.check("launcher.kind", fmt.Sprintf("the launcher, which nobody signed, is a %s archive: another program would unpack that", f))
	}
	if extension := strings.ToLower(path.Ext(e.artifact.Filename)); slices.Contains(otherNames, extension) {
		e.check("launcher.name", fmt.Sprintf("a file named %.200s passes for something else, by a launcher that nobody signed", e.artifact.Filename))
	}
	allowed := e.trust.Launchers(publisher)
	switch {
	case allowed == nil:
	case report.LauncherDigest == "":
		e.check("launcher.allowed", "the launcher was not looked at: verify at level deep")
	case !slices.Contains(allowed, report.LauncherDigest.Hex()):
		e.check("launcher.allowed", fmt.Sprintf("launcher %s is none of those that publisher %s allows", report.LauncherDigest, publisher))
	default:
		e.result.Checks = append(e.result.Checks, event.Check{Name: "launcher.allowed", OK: true})
	}
	return nil
}

// check adds a check that failed.
func (e *examination) check(name, detail string) {
	e.failed = true
	e.result.Checks = append(e.result.Checks, event.Check{Name: name, Detail: detail})
}
