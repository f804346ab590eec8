package lockfile

import (
	"strings"
	"testing"
)

// broken are files with an error that has the words of want and, before what is
// wrong, as many packages.
var broken = []struct {
	name, data, want string
	packages         int
}{
	{"package-lock.json", "", "too early", 0},
	{"package-lock.json", "[]", "want an object", 0},
	{"package-lock.json", `{"packages": {"node_modules/a": {"version": "1.0.0"}, "node_modules/b": {"ver`, "too early", 1},
	{"package-lock.json", `{"packages": 7}`, "want an object", 0},
	{"package-lock.json", `{} {}`, "more than one value", 0},
	{"package-lock.json", "{\"a\": \x01}", "invalid character", 0},
	{"package-lock.json", `{"packages": {"` + strings.Repeat("node_modules/a/", 100) + `": {}}}`, "nested deeper", 0},
	{"npm-shrinkwrap.json", strings.Repeat(`{"dependencies": {"a":`, 100), "nested deeper", 0},
	{"npm-shrinkwrap.json", `{"x":` + strings.Repeat("[", 20000), "exceeded max depth", 0},
	{"yarn.lock", "a@1:\n  version \"1.0.0\"\n<<<<<<< HEAD\n", "line 3: not the name", 1},
	{"yarn.lock", "a@1:\n  version\n", "line 2: not a field", 0},
	{"yarn.lock", "a@1:\n  dependencies:\n    \"b\n", "line 3: not a dependency", 0},
	{"yarn.lock", "__metadata:\n\t- x", "not the YAML", 0},
	{"pnpm-lock.yaml", "- a\n", "want a mapping", 0},
	{"pnpm-lock.yaml", "packages: [", "not the YAML", 0},
	{"pnpm-lock.yaml", strings.Repeat("[", 20000), "not the YAML", 0},
	{"pnpm-lock.yaml", strings.Repeat("a: b\n", maxYAML), "values", 0},
	{"bun.lock", `{"packages": {"a": ["a@1.0.0"], "b": 7}}`, "want an object or a list", 1},
	{"bun.lock", `{"packages": {"` + strings.Repeat("a/", 100) + `a": ["a@1.0.0"]}}`, "nested deeper", 0},
	{"bun.lock", `{"a": 1 /* `, "too early", 0},
	{"deno.lock", `{"npm": {"a@1.0.0": {}, `, "too early", 1},
	{"Cargo.lock", "[[package]\n", "not the TOML", 0},
	{"Cargo.lock", "[[package]]\nname = \"a", "not the TOML", 0},
	{"uv.lock", "a = " + strings.Repeat("[", 100), "nested deeper", 0},
	{"pdm.lock", strings.Repeat("a.", 100) + "a = 1", "parts", 0},
	{"pdm.lock", "[" + strings.Repeat("a.", 100) + "a]", "parts", 0},
	{"pylock.toml", "x = [" + strings.Repeat("1,", maxTOML+1) + "]", "values", 0},
	{"poetry.lock", "a = \"\xff\"", "not the TOML", 0},
	{"Pipfile.lock", `{"default": {"a": {"version": "==1.0"}}, "develop": []}`, "want an object", 1},
	{"composer.lock", `{"packages": [{"name": "a/b", "version": "1"}`, "too early", 1},
	{"packages.lock.json", `{"dependencies": {"net8.0": {"a": {"resolved": "1"}, }}}`, "invalid character", 1},
	{"gradle.lockfile", "a:b:1=c\na:b\n", "line 2 is not group:name:version", 1},
	{"pubspec.lock", "packages:\n  a: *b\n", "not the YAML", 0},
	{"mix.lock", `%{"a": {:hex, :a, "1.0.0"`, "want , or }", 0},
	{"mix.lock", `%{"a": "x`, "not closed", 0},
	{"mix.lock", "%{", "too early", 0},
	{"mix.lock", strings.Repeat("[", 100), "too deeply", 0},
	{"rebar.lock", "[]", "full stop", 0},
	{"rebar.lock", `[<<"a"].`, "not closed", 0},
	{"rebar.lock", "[&].", "want a term", 0},
	{"Package.resolved", `{"pins": {}}`, "want an object or a list", 0},
	{"conan.lock", `{"requires": ["a/1.0", `, "too early", 1},
	{"renv.lock", `{"Packages": "x"}`, "want an object", 0},
	{"stack.yaml.lock", "packages:\n- a: b: c\n", "not the YAML", 0},
}

func TestBroken(t *testing.T) {
	for _, b := range broken {
		got, err := Parse("x/"+b.name, []byte(b.data))
		if err == nil || !strings.HasPrefix(err.Error(), b.name+": ") || !strings.Contains(err.Error(), b.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s %.60q: error %v, want one with %q", b.name, b.data, err, b.want)
		}
		if len(got) != b.packages {
			t.Errorf("%s %.60q: %d packages, want %d", b.name, b.data, len(got), b.packages)
		}
	}
}

func TestOdd(t *testing.T) {
	for _, s := range []sample{
		{"an anchor", "pubspec.lock", "packages:\n  a: &x {source: hosted, version: 1.0.0}\n  b: *x\n", []string{"pkg:pub/a@1.0.0"}},
		{"a bomb", "pnpm-lock.yaml", "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\npackages: *c\n", nil},
		{"names", "package-lock.json", `{"packages": {"node_modules/a/b": {"version": "1.0.0"}, "node_modules/@/x": {"version": "1.0.0"},
			"node_modules/": {"version": "1.0.0"}, "node_modules/c": {"version": "latest"}, "node_modules/d": {"version": "1.0.0\u0000"}}}`, nil},
		{"types", "Cargo.lock", "package = 1\n", nil},
		{"members", "Cargo.lock", "[[package]]\nname = 1\nversion = \"1\"\nsource = [\"x\"]\n", nil},
		{"strings", "Cargo.lock", "a = \"\"\"\n[[[[\" \\\"\"\"\"\"\nb = ''' [[ '''''\nc = '\\' # [[[\nd = \"\\\"[\"\n", nil},
	} {
		got, err := Parse(s.name, []byte(s.data))
		if err != nil {
			t.Errorf("%s: %v", s.title, err)
		}
		check(t, got, s.want)
	}
}
