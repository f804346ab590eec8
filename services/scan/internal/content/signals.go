package content

import "regexp"

// signal is something that code says. pattern is only tried around one of
// the words, which are in lower case; it ignores case. A script is text of
// any language, so patterns are not told apart by language.
type signal struct {
	near    []string
	pattern *regexp.Regexp
}

func says(pattern string, near ...string) *signal {
	return &signal{near: near, pattern: regexp.MustCompile(`(?is)` + pattern)}
}

// Parts of patterns. line is what may lie between two words of a command, but
// no end of it.
const (
	line   = `[^\n]{0,160}`
	fetch  = `\b(?:curl|wget|fetch|lwp-request|aria2c)\b`
	shell  = `(?:(?:sudo|env|exec|nohup|command|busybox)\s+(?:-\S+\s+)*)*(?:/\S*/)?(?:ba|z|da|k|a|c|fi)?sh\b`
	interp = `(?:(?:sudo|env|exec|nohup|command|busybox)\s+(?:-\S+\s+)*)*(?:/\S*/)?(?:(?:ba|z|da|k|a|c|fi)?sh|python[\d.]*|perl|ruby|node|php)\b`
	// writesTo is what comes before the path that is written.
	writesTo = `(?:>>?|\btee\s+(?:-a\s+)?|appendfile(?:sync)?\s*\(|writefile(?:sync)?\s*\(|\bopen\s*\(|\bsed\s+-i` + line + `|\b(?:cp|mv|ln|install)\s` + line + `\s)\s*["']?`
	webGet   = `(?:invoke-webrequest|invoke-restmethod|\biwr\b|\birm\b|downloadstring|net\.webclient)`
	pyGet    = `(?:urlopen|requests\.(?:get|post)|urllib\d?(?:\.request)?\.\w+|httpx\.\w+)\s*\(`
)

// signals are all that is looked for.
var signals = []*signal{
	pipedDownload, decodedRun, hexNames, charCodes, escapedText, packed, shellToSocket, dupToSocket, namesShell,
	credentialPaths, rcCredentials, wholeEnvironment, identity, identityInURL, collectors,
	schedule, systemService, systemFiles, desktopStart, loginFiles, authorizedKeys, newAccounts, accountFiles, sudoers,
	newTrust, switchesOff, hidesTraces, unverified, deletesAll, overwritesDisk, mines, setsBit, talks, downloads, makesRunnable,
}

// Variables rather than literals in the list, because behaviours name them.
var (
	pipedDownload = says(fetch+line+`\|\s*`+interp+
		`|(?:`+shell+`|\beval|\bsource|(?:^|\s)\.)\s+(?:-c\s+)?["']?(?:<\(|\$\(|`+"`"+`)\s*`+fetch+
		`|(?:\biex\b|invoke-expression)`+line+webGet+`|`+webGet+line+`\|\s*(?:iex\b|invoke-expression)`+
		`|\b(?:exec|eval)\s*\(\s*(?:compile\s*\(\s*)?`+pyGet+
		`|\b(?:eval|function)\s*\(\s*\(?\s*await\s`+line+`fetch\(`,
		"curl", "wget", "fetch", "lwp-request", "aria2c", "iex", "invoke-expression", "urlopen", "requests.", "urllib", "httpx")

	decodedRun = says(`(?:base64\s+(?:-d|-D|--decode)|xxd\s+(?:-r|-p)\S*|openssl\s+(?:enc|base64)`+line+`-d)`+line+`\|\s*`+interp+
		`|(?:`+shell+`|\beval)\s+(?:-c\s+)?["']?(?:<\(|\$\(|`+"`"+`)`+line+`(?:base64\s+(?:-d|-D|--decode)|xxd\s+-r)`+
		`|\b(?:exec|eval)\s*\(\s*(?:compile\s*\(\s*)?(?:__import__\s*\(\s*["'](?:base64|zlib|marshal|codecs)|(?:\w+\.)?(?:b64decode|b32decode|b85decode|a85decode|decompress|unhexlify|fromhex|loads)\s*\()`+
		`|\b(?:eval|function|settimeout|runinthiscontext|runinnewcontext)\s*\(\s*(?:\w+\s*\(\s*)?(?:atob\s*\(|(?:new\s+)?buffer(?:\.from)?\s*\([^\n]{0,900}?["'](?:base64|hex)["'])`+
		`|\b(?:powershell|pwsh)\S*\s`+line+`\s-e(?:nc|ncodedcommand|c)?\s+["']?[a-z0-9+/=]{40,}`+
		`|(?:\biex\b|invoke-expression)`+line+`frombase64string|frombase64string`+line+`\|\s*(?:iex\b|invoke-expression)`+
		`|\beval\s*\(?\s*(?:base64\.decode64|decode_base64|unpack\b|base64_decode|gzinflate|\w+\.unpack)`,
		"base64", "xxd", "openssl", "b64decode", "b32decode", "b85decode", "decompress", "unhexlify", "fromhex", "marshal", "atob", "buffer", "powershell", "pwsh", "decode64", "unpack", "gzinflate")

	// What usual obfuscators leave behind.
	hexNames    = says(`(?:\b_0x[0-9a-f]{4,6}\b.{0,90}?){10}`, "_0x")
	charCodes   = says(`fromcharcode\s*\((?:\s*(?:0x)?[0-9a-f]+\s*[,)^+*-]){16}|(?:\bchr\s*\(\s*\d+\s*\)\s*[+.]\s*){8}`, "fromcharcode", "chr(", "chr (")
	escapedText = says(`(?:\\x[0-9a-f]{2}|\\u00[0-9a-f]{2}){40}`, `\x`, `\u00`)
	packed      = says(`eval\s*\(\s*function\s*\(\s*p\s*,\s*a\s*,\s*c\s*,\s*k\s*,`, "eval")

	shellToSocket = says(`/dev/(?:tcp|udp)/[\w.$\{]|\bn(?:c|cat|etcat)\s(?:\S+\s){0,6}-[a-z]*[ec]\s*\S*sh\b|\bsocat\b`+line+`exec:`+
		`|\bsh\s+-i\b`+line+`(?:>&|\|)`, "/dev/tcp", "/dev/udp", "nc ", "ncat ", "netcat ", "socat", "sh -i")
	dupToSocket = says(`\bdup2\s*\(\s*(?:s|so?ck\w*|socket\w*|client\w*|conn\w*)\.fileno\(\)\s*,\s*[012]\s*\)|\bpty\.spawn\s*\(`, "dup2", "pty.spawn")
	namesShell  = says(`["'](?:/bin/|/usr/bin/env )?(?:ba|z|da)?sh["']|["']cmd(?:\.exe)?["']`, "sh\"", "sh'", "cmd")

	credentialPaths = says(`\.ssh/(?:id_|\*|config)|id_(?:rsa|ed25519|ecdsa|dsa)\b|\.aws/credentials|\.git-credentials|\.config/gh/hosts|`+
		`\.docker/config\.json|\.kube/config|/etc/g?shadow\b|application_default_credentials|\.azure/|\.gnupg/|login data\b|cookies\.sqlite|`+
		`logins\.json|wallet\.dat|keychain-db|find-generic-password|169\.254\.169\.254|computemetadata/v1/instance/service-accounts|/proc/(?:self|\d+|\*)/environ`,
		".ssh", "id_rsa", "id_ed25519", "id_ecdsa", "id_dsa", ".aws", ".git-credentials", "gh/hosts", ".docker/", ".kube/", "shadow", "application_default", ".azure", ".gnupg",
		"login data", "cookies.sqlite", "logins.json", "wallet.dat", "keychain-db", "find-generic", "169.254", "computemetadata", "/environ")
	// Read for settings as well, so by themselves they say little.
	rcCredentials = says(`[/~"'\x60]\.(?:npmrc|pypirc|netrc|yarnrc|gem/credentials|cargo/credentials|env)\b`, ".npmrc", ".pypirc", ".netrc", ".yarnrc", "/credentials", ".env")

	wholeEnvironment = says(`json\.stringify\(\s*\{?\s*(?:\.\.\.)?process\.env\s*[,})]|(?:json\.dumps|urlencode|\bstr|\brepr)\s*\(\s*(?:dict\s*\(\s*)?(?:\w+\.)?environ\b\s*[,)]|`+
		`\b(?:env|printenv|set)\s*\|\s*(?:curl|base64|nc|openssl|xxd|gzip|tee)\b|(?:\$\(|\x60)\s*(?:env|printenv)\s*(?:\||[\x60)])|`+
		`for\s*\(\s*(?:const|let|var)\s+\w+\s+in\s+process\.env\b|object\.(?:entries|keys)\(\s*process\.env\s*\)|std::env::vars\(\)`,
		"process.env", "environ", "env |", "env|", "printenv", "set |", "$(env", "`env", "env::vars")

	identity      = says(`\bos\.(?:hostname|userinfo|networkinterfaces)\s*\(|getpass\.getuser\s*\(|socket\.gethostname\s*\(|platform\.(?:node|uname)\s*\(|os\.(?:getlogin|uname)\s*\(`, "os.hostname", "os.userinfo", "os.networkinterfaces", "getuser", "gethostname", "platform.", "os.getlogin", "os.uname")
	identityInURL = says(`(?:`+fetch+`|(?:^|[\n;&|(\x60])\s*(?:nslookup|dig|host|ping))\s`+line+`(?:\$\(|\x60)\s*(?:whoami|hostname|id|uname|env|cat\s+["']?[~/])\b`, "whoami", "hostname", "$(id", "`id", "uname", "$(cat", "`cat", "$(env", "`env")

	collectors = says(`webhook\.site|\.oast(?:ify)?\.\w|interact\.sh\b|burpcollaborator|pipedream\.net|requestbin|\.ngrok(?:-free)?\.(?:io|app)|discord(?:app)?\.com/api/webhooks|api\.telegram\.org/bot|pastebin\.com/(?:raw|api)|transfer\.sh\b|hookbin|canarytokens|beeceptor|\.requestcatcher`,
		"webhook.site", ".oast", "interact.sh", "burpcollab", "pipedream", "requestbin", ".ngrok", "discord", "api.telegram", "pastebin", "transfer.sh", "hookbin", "canarytokens", "beeceptor", "requestcatcher")

	schedule      = says(`\bcrontab\s+(?:-u\s+\S+\s+)?(?:-(?:\s|$)|["'/\w])|[|>]\s*crontab\b|`+writesTo+`/(?:etc/cron(?:tab\b|\.\w+)|var/spool/cron)|\bschtasks\b`+line+`/create|register-scheduledtask|@reboot\s`, "crontab", "/cron", "schtasks", "register-scheduledtask", "@reboot")
	systemService = says(`\bsystemctl\s+(?:--\S+\s+)*enable\b|`+writesTo+`(?:/(?:etc|lib)/systemd/(?:system|user)/|\S*\.config/systemd/user|/etc/init\.d/|/etc/rc\.local)|\bsc(?:\.exe)?\s+create\s|new-service\b`, "systemctl", "systemd/", "init.d", "rc.local", "sc create", "sc.exe", "new-service")
	systemFiles   = says(`/etc/cron(?:tab\b|\.\w+)|/var/spool/cron|/(?:etc|lib)/systemd/(?:system|user)/|\.config/systemd/user|/etc/init\.d/|/etc/rc\.local`, "/cron", "systemd/", "init.d", "rc.local")
	desktopStart  = says(`library/launch(?:agents|daemons)|\.config/autostart|currentversion\\+run\b|start menu\\+programs\\+startup|/etc/ld\.so\.preload`, "library/launch", "autostart", "currentversion", "start menu", "ld.so.preload")
	loginFiles    = says(writesTo+`[^\n]{0,80}(?:\.bashrc|\.bash_profile|\.zshrc|\.zprofile|/\.profile|/etc/profile|/etc/bash\.bashrc|/etc/environment)\b`, ".bashrc", ".bash_profile", ".zshrc", ".zprofile", ".profile", "/etc/profile", "bash.bashrc", "/etc/environment")

	authorizedKeys = says(`authorized_keys\b`, "authorized_keys")
	newAccounts    = says(`(?:^|[\s;&|"'(/])(?:useradd|adduser|groupadd|addgroup|usermod|chpasswd|net\s+user|sysadminctl|dscl)\s+\S`, "useradd", "adduser", "groupadd", "addgroup", "usermod", "chpasswd", "net user", "sysadminctl", "dscl")
	accountFiles   = says(`(?:>>?|tee\s+(?:-a\s+)?|open\s*\()\s*["']?/etc/(?:passwd|g?shadow|group)\b`, "/etc/passwd", "/etc/shadow", "/etc/gshadow", "/etc/group")
	sudoers        = says(`/etc/sudoers|\bnopasswd\s*:|\busermod\b`+line+`\b(?:sudo|wheel|root|docker)\b|/etc/polkit-1/`, "sudoers", "nopasswd", "usermod", "polkit")

	newTrust = says(`\bapt-key\s+(?:adv|add)|/etc/apt/trusted\.gpg|\brpm\s+--import|pacman-key\s+(?:--add|-a|--lsign)|security\s+add-trusted-cert|certutil\b`+line+`-addstore|/usr/local/share/ca-certificates|\bupdate-ca-trust\b|import-certificate\b`, "apt-key", "trusted.gpg", "rpm --import", "pacman-key", "add-trusted-cert", "certutil", "ca-certificates", "update-ca-trust", "import-certificate")

	switchesOff = says(`\bsetenforce\s+(?:0|permissive)|selinux=(?:disabled|permissive)|\bufw\s+disable|\biptables\s+(?:-F\b|--flush)|\bnft\s+flush\s+ruleset|systemctl\s+(?:--\S+\s+)*(?:stop|disable|mask)\s+(?:--\S+\s+)*(?:firewalld|ufw|auditd|apparmor|fail2ban|falcon-sensor|clamav)|(?:set|add)-mppreference|\bcsrutil\s+disable|spctl\s+--(?:master|global)-disable|com\.apple\.quarantine|set-executionpolicy\s+(?:\S+\s+)*(?:bypass|unrestricted)|amsiinitfailed|kernel\.randomize_va_space\s*=\s*0`,
		"setenforce", "selinux=", "ufw disable", "iptables", "nft flush", "systemctl", "mppreference", "csrutil", "spctl", "apple.quarantine", "executionpolicy", "amsiinitfailed", "randomize_va_space")
	hidesTraces    = says(`\bunset\s+histfile|histfile=(?:/dev/null|$|\s|;)|history\s+-c\b|>\s*~?\S*\.bash_history|\b(?:shred|rm)\b`+line+`/var/log/(?:\*|auth|syslog|wtmp|secure)`, "histfile", "history", "/var/log")
	unverified     = says(`node_tls_reject_unauthorized["'\]]*\s*[=:]\s*["']?0|rejectunauthorized\s*:\s*(?:false|!1)|\bcurl\s(?:\S+\s){0,8}(?:-[a-z]*k[a-z]*|--insecure)\s|--no-check-certificate|sslverify["']?\s+false|strict-ssl["']?\s+false|verify\s*=\s*false|_create_unverified_context|verify_none`, "reject_unauthorized", "rejectunauthorized", "curl", "no-check-certificate", "sslverify", "strict-ssl", "verify", "unverified_context")
	deletesAll     = says(`\brm\s+(?:-\S+\s+)*-[a-z]*r[a-z]*\s+(?:-\S+\s+)*["']?(?:/\*?|~/?\*?|\$home/?\*?|\$\{home\}/?\*?|/(?:etc|usr|var|home|root|boot|bin|lib|opt)/?\*?)["']?(?:\s*$|\s*[;&|\n]|\s+[-/~$])|remove-item\s`+line+`\sc:\\(?:\s|\*|$)|rmtree\s*\(\s*["'](?:/|~)["']`, "rm ", "remove-item", "rmtree")
	overwritesDisk = says(`\bdd\s`+line+`of=/dev/(?:sd|hd|nvme|vd|mmcblk|disk)|\bmkfs(?:\.\w+)?\s+(?:-\S+\s+)*/dev/|>\s*/dev/(?:sd|nvme|hd|vd)[a-z\d]|:\(\)\s*\{\s*:\s*\|\s*:`, "dd ", "mkfs", "/dev/", ":()")
	mines          = says(`stratum\+(?:tcp|ssl)://|\bxmrig\b|\bminerd\b|\bcryptonight\b`, "stratum+", "xmrig", "minerd", "cryptonight")
	setsBit        = says(`\bchmod\s+(?:-\S+\s+)*(?:[ugoa]*\+[rwxt]*s|0?[4267][0-7]{3}\b)|os\.chmod\s*\([^\n,]{0,200},\s*0o?[4267][0-7]{3}\b`, "chmod")

	talks = says(fetch+`\s+(?:-|["']?(?:https?|ftp):|["']?\$)|\b(?:https?|net|tls|dgram|dns)\.(?:get|request|connect|createconnection|createsocket|resolve\w*|lookup)\s*\(|\bfetch\s*\(|\baxios\b|xmlhttprequest|`+
		pyGet+`|http\.client|socket\.(?:socket|create_connection)\s*\(|net::http|open-uri|uri\.open|`+webGet+`|downloadfile|start-bitstransfer|\breqwest\b|\bureq::|command::new\(\s*"(?:curl|wget)|(?:^|[\n;&|(\x60])\s*(?:nslookup|nc|ncat|scp|rsync|ftp)\s+\S`,
		"curl", "wget", "fetch", "http", "net.", "tls.", "dgram.", "dns.", "axios", "urlopen", "requests.", "urllib", "socket", "open-uri", "uri.open", "invoke-", "iwr", "irm", "downloadstring", "webclient", "downloadfile", "bitstransfer", "reqwest", "ureq::", "nslookup", "nc ", "ncat ", "scp ", "rsync ", "ftp ")
	downloads     = says(fetch+`\s(?:\S+\s+){0,10}(?:-o|-O|--output|--remote-name|-P)|urlretrieve\s*\(|downloadfile\s*\(|(?:invoke-webrequest|\biwr\b)`+line+`-outfile|start-bitstransfer|createwritestream\s*\(`, "curl", "wget", "fetch", "urlretrieve", "downloadfile", "invoke-webrequest", "iwr", "bitstransfer", "createwritestream")
	makesRunnable = says(`\bchmod\s+(?:-\S+\s+)*(?:[ugoa]*\+[rwst]*x|0?[1357][0-7]{2}\b|0?7[0-7]{2}\b)|chmod(?:sync)?\s*\([^\n,]{0,200},\s*["']?(?:0o?)?[1357][0-7]{2}|start-process\s|os\.startfile`, "chmod", "start-process", "startfile")
)

// behaviour is what a script does if it gives all of the signals.
type behaviour struct {
	rule  *rule
	needs []*signal
}

// behaviours are all that is told apart. The first signal is the one shown.
var behaviours = []behaviour{
	{&pipeToShell, []*signal{pipedDownload}},
	{&decodedCode, []*signal{decodedRun}},
	{&obfuscated, []*signal{hexNames}},
	{&obfuscated, []*signal{charCodes}},
	{&obfuscated, []*signal{escapedText}},
	{&obfuscated, []*signal{packed}},
	{&reverseShell, []*signal{shellToSocket}},
	{&reverseShell, []*signal{dupToSocket, namesShell, talks}},
	{&sendsCredentials, []*signal{credentialPaths, talks}},
	{&sendsCredentials, []*signal{wholeEnvironment, talks}},
	{&sendsIdentity, []*signal{identity, talks}},
	{&collector, []*signal{identityInURL}},
	{&collector, []*signal{collectors}},
	{&readsCredentials, []*signal{credentialPaths}},
	{&readsCredentials, []*signal{rcCredentials}},
	{&persistence, []*signal{schedule}},
	{&persistence, []*signal{systemService}},
	{&persistence, []*signal{desktopStart}},
	{&systemPaths, []*signal{systemFiles}},
	{&startupFiles, []*signal{loginFiles}},
	{&loginKeys, []*signal{authorizedKeys}},
	{&accounts, []*signal{newAccounts}},
	{&privileges, []*signal{accountFiles}},
	{&privileges, []*signal{sudoers}},
	{&trustAnchors, []*signal{newTrust}},
	{&protection, []*signal{switchesOff}},
	{&protection, []*signal{hidesTraces}},
	{&noTLSCheck, []*signal{unverified}},
	{&destruction, []*signal{deletesAll}},
	{&destruction, []*signal{overwritesDisk}},
	{&mining, []*signal{mines}},
	{&setsSetID, []*signal{setsBit}},
	{&downloadRun, []*signal{downloads, makesRunnable}},
	{&network, []*signal{talks}},
}
