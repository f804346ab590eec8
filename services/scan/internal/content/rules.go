package content

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"assize.dev/shared/event"
)

// rule is one thing that can be said about a package. How it is told is code
// elsewhere; what it is worth and what to do about it is here.
type rule struct {
	id       string
	class    event.Class
	severity event.Severity
	system   event.Severity // in packages that root unpacks into a system, where it differs
	means    string         // completes "<entry> "
	advice   string
}

// Severities at and above high make the built-in policy's grade "risk".
// Medium is for what somebody has to look at, low for what is careless, info
// for what is normal and worth knowing.
var rules = []*rule{
	// Entries that are unsafe to unpack.
	&traversal, &absolute, &linkOut, &linkChain, &throughLink, &device, &setID, &setGroupDir, &sticky, &worldWritable,
	&duplicate, &caseConflict, &badName, &reservedName, &deceptiveName, &lookalikeName, &unknownHazard,
	// Containers that are unsafe, or that tools read differently.
	&bomb, &damaged, &polyglot, &zipPrefix, &zipTail, &zipStray, &zipTwoEnds, &zipHidden, &zipOverlap, &twoHeaders, &secondTar,
	&gzipMembers, &unknownAnomaly, &debMembers,
	// Files that are not what they seem.
	&hiddenProgram, &hiddenScript, &strayProgram, &bidiControl, &invisibleText, &invisibleCode,
	// What installing runs.
	&installScript, &unreadScript, &startupCode,
	// What such code does.
	&pipeToShell, &decodedCode, &obfuscated, &reverseShell, &sendsCredentials, &readsCredentials, &sendsIdentity,
	&collector, &persistence, &systemPaths, &startupFiles, &loginKeys, &accounts, &privileges, &trustAnchors, &protection, &noTLSCheck,
	&destruction, &mining, &setsSetID, &downloadRun, &network,
}

const (
	doNotUnpack = "do not unpack it with other tools; ask the publisher for a package without it"
	lookAtIt    = "look at it before installing"
	doNotRun    = "do not install it before somebody has read the script"
)

var (
	traversal     = rule{"content/traversal", event.ClassContent, event.High, "", "would be written outside of where the package is unpacked", doNotUnpack}
	absolute      = rule{"content/absolute", event.ClassContent, event.High, "", "would be written to an absolute path", doNotUnpack}
	linkOut       = rule{"content/link-out", event.ClassContent, event.High, "", "links to outside of where the package is unpacked", doNotUnpack}
	linkChain     = rule{"content/link-chain", event.ClassContent, event.High, "", "links through other links to outside of where the package is unpacked", doNotUnpack}
	throughLink   = rule{"content/through-link", event.ClassContent, event.High, event.Medium, "would be written through a link of the package, to wherever that points", doNotUnpack}
	device        = rule{"content/device", event.ClassContent, event.High, "", "is a device or a fifo", doNotUnpack}
	setID         = rule{"content/setid", event.ClassContent, event.High, event.Medium, "runs with its owner's rights whoever starts it (setuid or setgid)", "take the bit away after installing, or do not install it"}
	setGroupDir   = rule{"content/setgid-directory", event.ClassContent, event.Low, event.Info, "hands its group on to what is put into it (setgid)", lookAtIt}
	sticky        = rule{"content/sticky", event.ClassContent, event.Low, event.Info, "has the sticky bit, which a package has no use for", "take the bit away after installing"}
	worldWritable = rule{"content/world-writable", event.ClassContent, event.Medium, "", "can be changed by anyone", "take the permission away after installing"}
	duplicate     = rule{"content/duplicate", event.ClassContent, event.Medium, "", "occurs twice, so that what one tool checks another may not install", doNotUnpack}
	caseConflict  = rule{"content/case-conflict", event.ClassContent, event.Low, "", "differs from another entry only in case or in how letters are composed, so that one replaces the other on some systems", lookAtIt}
	badName       = rule{"content/bad-name", event.ClassContent, event.Medium, "", "has a name that is empty, not UTF-8, or holds control characters", doNotUnpack}
	reservedName  = rule{"content/reserved-name", event.ClassContent, event.Low, event.Info, "has a name that means something else, or cannot be made, on Windows", "do not unpack it on Windows"}
	deceptiveName = rule{"content/deceptive-name", event.ClassContent, event.High, "", "has a name with invisible characters or such that change the direction of text, so that it is shown as another", doNotUnpack}
	lookalikeName = rule{"content/lookalike-name", event.ClassContent, event.Medium, "", "has a name that mixes letters of two alphabets that look alike", lookAtIt}
	// Hazards no rule knows are of a newer archive package.
	unknownHazard = rule{"content/unknown-hazard", event.ClassUnevaluated, event.Unknown, "", "is unsafe in a way no rule here knows", doNotUnpack}

	bomb        = rule{"content/bomb", event.ClassContent, event.High, "", "inflates beyond what is examined", doNotUnpack}
	damaged     = rule{"content/damaged", event.ClassContent, event.Medium, "", "is damaged, so that tools will disagree on what it holds", "get an intact copy"}
	polyglot    = rule{"content/polyglot", event.ClassContent, event.High, "", "is two kinds of archive at once, so that what one tool checks another does not see", doNotUnpack}
	zipPrefix   = rule{"content/zip-prefix", event.ClassContent, event.Medium, "", "has bytes before the zip, which some tools take for something else", lookAtIt}
	zipTail     = rule{"content/zip-tail", event.ClassContent, event.High, "", "has another archive or program behind the zip, which some tools read instead", doNotUnpack}
	zipStray    = rule{"content/zip-stray-bytes", event.ClassContent, event.Low, "", "has bytes behind the zip that belong to nothing", lookAtIt}
	zipTwoEnds  = rule{"content/zip-two-ends", event.ClassContent, event.High, "", "has two directories, of which tools choose differently", doNotUnpack}
	zipHidden   = rule{"content/zip-hidden-entry", event.ClassContent, event.High, "", "holds an entry that only tools reading from front to back see", doNotUnpack}
	zipOverlap  = rule{"content/zip-overlap", event.ClassContent, event.High, "", "has entries that share bytes, as bombs do", doNotUnpack}
	twoHeaders  = rule{"content/two-headers", event.ClassContent, event.High, "", "is described twice and differently, so that tools see different files", doNotUnpack}
	secondTar   = rule{"content/second-tar", event.ClassContent, event.High, "", "goes on behind the mark of its end, where most tools stop", doNotUnpack}
	gzipMembers = rule{"content/gzip-members", event.ClassContent, event.Low, "", "is compressed in several parts, of which some tools read only the first", lookAtIt}
	debMembers  = rule{"content/deb-members", event.ClassContent, event.High, "", "is a second part of its kind, or stands where dpkg expects another", doNotUnpack}
	// Anomalies no rule knows are of a newer archive package.
	unknownAnomaly = rule{"content/unknown-anomaly", event.ClassUnevaluated, event.Unknown, "", "is strange in a way no rule here knows", doNotUnpack}

	hiddenProgram = rule{"content/hidden-executable", event.ClassContent, event.High, "", "is a program under the name of something harmless", "do not install it; ask the publisher what it is for"}
	hiddenScript  = rule{"content/hidden-script", event.ClassContent, event.Medium, "", "is a script under the name of something harmless", lookAtIt}
	strayProgram  = rule{"content/stray-executable", event.ClassContent, event.Medium, "", "is a machine program in a package of a kind that holds sources only", lookAtIt}
	bidiControl   = rule{"content/bidi-control", event.ClassContent, event.High, "", "holds control characters that reorder what is shown up to the end of a line, so that code reads differently than it runs (CVE-2021-42574)", "read it in an editor that shows them"}
	invisibleText = rule{"content/invisible-text", event.ClassContent, event.Low, "", "holds characters that are not shown, or that change the direction of text", "read it in an editor that shows them"}
	invisibleCode = rule{"content/invisible-code", event.ClassContent, event.High, "", "holds a long run of characters that are not shown, which can carry code", "do not install it before somebody has decoded them"}

	// Code that runs when a package is installed or built is normal and
	// worth knowing: the finding says what runs.
	installScript = rule{"content/install-script", event.ClassContent, event.Info, "", "runs at installation", lookAtIt}
	unreadScript  = rule{"content/install-script-unread", event.ClassUnevaluated, event.Low, "", "may run something at installation", lookAtIt}
	startupCode   = rule{"content/startup-code", event.ClassContent, event.Medium, "", "runs at every start of Python once the package is installed", lookAtIt}

	pipeToShell      = rule{"content/pipe-to-shell", event.ClassContent, event.High, "", "runs what it downloads, unseen by anyone", doNotRun}
	decodedCode      = rule{"content/decoded-code", event.ClassContent, event.High, "", "decodes text and runs it", doNotRun}
	obfuscated       = rule{"content/obfuscated", event.ClassContent, event.High, "", "is obfuscated, which honest installation scripts are not", doNotRun}
	reverseShell     = rule{"content/reverse-shell", event.ClassContent, event.Critical, "", "gives somebody else a shell on this machine", doNotRun}
	sendsCredentials = rule{"content/sends-credentials", event.ClassContent, event.High, "", "reads credentials or the whole environment, and talks to the network", doNotRun}
	readsCredentials = rule{"content/reads-credentials", event.ClassContent, event.Medium, event.Low, "looks where credentials are kept", doNotRun}
	sendsIdentity    = rule{"content/sends-identity", event.ClassContent, event.Medium, "", "asks who and where it runs, and talks to the network", doNotRun}
	collector        = rule{"content/collector", event.ClassContent, event.High, event.Medium, "names a service that is used to collect stolen data", doNotRun}
	persistence      = rule{"content/persistence", event.ClassContent, event.High, event.Info, "makes something run later: by cron, systemd or the like", doNotRun}
	systemPaths      = rule{"content/system-paths", event.ClassContent, event.Medium, event.Info, "names files from which the system runs things by itself", lookAtIt}
	startupFiles     = rule{"content/startup-files", event.ClassContent, event.High, event.Medium, "changes what runs when somebody logs in", doNotRun}
	loginKeys        = rule{"content/login-keys", event.ClassContent, event.High, "", "changes who may log in by key", doNotRun}
	accounts         = rule{"content/accounts", event.ClassContent, event.High, event.Info, "adds or changes accounts", doNotRun}
	privileges       = rule{"content/privileges", event.ClassContent, event.High, event.Medium, "changes who may become root", doNotRun}
	trustAnchors     = rule{"content/trust-anchors", event.ClassContent, event.High, event.Low, "changes whose signatures or certificates the machine trusts", doNotRun}
	protection       = rule{"content/protection", event.ClassContent, event.High, "", "switches off what protects the machine, or hides its traces", doNotRun}
	noTLSCheck       = rule{"content/no-tls-check", event.ClassContent, event.Medium, "", "does not check whom it talks to", doNotRun}
	destruction      = rule{"content/destruction", event.ClassContent, event.High, "", "deletes or overwrites what is not its own", doNotRun}
	mining           = rule{"content/mining", event.ClassContent, event.High, "", "mines cryptocurrency", doNotRun}
	setsSetID        = rule{"content/sets-setid", event.ClassContent, event.High, event.Low, "makes a program run with its owner's rights", doNotRun}
	downloadRun      = rule{"content/download-run", event.ClassContent, event.Medium, "", "downloads something and makes it runnable", doNotRun}
	network          = rule{"content/network", event.ClassContent, event.Low, "", "talks to the network", lookAtIt}
)

// rulesDigest is the SHA-256, in hexadecimal, of the table above and of the
// patterns. How else a rule is told is part of the analyser's version.
func rulesDigest() string {
	sum := sha256.New()
	for _, r := range rules {
		fmt.Fprintf(sum, "%q\n", []string{r.id, string(r.class), string(r.severity), string(r.system), r.means, r.advice})
	}
	for _, s := range signals {
		fmt.Fprintf(sum, "%q %q\n", s.near, s.pattern)
	}
	for _, b := range behaviours {
		fmt.Fprintf(sum, "%q", b.rule.id)
		for _, s := range b.needs {
			fmt.Fprintf(sum, " %d", slices.Index(signals, s))
		}
		fmt.Fprintln(sum)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
