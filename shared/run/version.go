package run

import (
	"runtime/debug"
	"sync"
)

// Version is set when a release is linked:
//
//	-ldflags "-X assize.dev/shared/run.Version=v1.2.3"
var Version string

// BuildVersion is Version, else the version of the main module, else the
// commit it was built from ("3f1c2a9b8d7e", with "-dirty" for uncommitted
// changes), else "devel".
func BuildVersion() string {
	if Version != "" {
		return Version
	}
	return recordedVersion()
}

var recordedVersion = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	return versionOf(info)
})

func versionOf(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	var commit, suffix string
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			commit = setting.Value[:min(12, len(setting.Value))]
		case "vcs.modified":
			if setting.Value == "true" {
				suffix = "-dirty"
			}
		}
	}
	if commit == "" {
		return "devel"
	}
	return commit + suffix
}
