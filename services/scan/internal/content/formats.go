package content

// Formats of packages as an artifact's event names them.
const (
	formatPSPF   = "pspf"
	formatArch   = "arch"
	formatDeb    = "deb"
	formatRPM    = "rpm"
	formatAPK    = "apk" // Alpine's
	formatNPM    = "npm"
	formatWheel  = "wheel"
	formatSdist  = "sdist"
	formatCrate  = "crate"
	formatGem    = "gem"
	formatNupkg  = "nupkg"
	formatGoMod  = "gomod"
	formatOCI    = "oci"
	formatDocker = "docker"
	formatTar    = "tar"
	formatZip    = "zip"
)
