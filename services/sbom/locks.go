package sbom

func wantsLockFile(e *entry) bool { return false }
