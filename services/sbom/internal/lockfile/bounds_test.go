package lockfile

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// many repeats f, which has its number.
func many(n int, f func(i string) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(f(strconv.Itoa(i)))
	}
	return b.String()
}

// TestTooMany: a file of too many packages gives as many as are taken.
func TestTooMany(t *testing.T) {
	const n = MaxPackages + 2
	for name, data := range map[string]string{
		"package-lock.json": `{"packages": {` + many(n, func(i string) string { return `"node_modules/a` + i + `": {"version": "1.0"},` }),
		"pnpm-lock.yaml":    "lockfileVersion: '9.0'\npackages:\n" + many(n, func(i string) string { return "  a@1." + i + ": {}\n" }),
		"Cargo.lock": many(n, func(i string) string {
			return "[[package]]\nname = \"a\"\nversion = \"" + i + "\"\nsource = \"registry+x\"\n"
		}),
		"requirements.txt": many(n, func(i string) string { return "a==" + i + "\n" }),
		"mix.lock":         "%{" + many(n, func(i string) string { return `"a": {:hex, :a, "` + i + `"},` }) + "}",
	} {
		got, err := Parse(name, []byte(data))
		if len(got) != MaxPackages || err == nil || !strings.HasSuffix(err.Error(), fmt.Sprintf("more than %d packages", MaxPackages)) {
			t.Errorf("%s: %d packages, error %v", name, len(got), err)
		}
	}
}

// TestNoSquare: files whose parts multiply when taken together. They take no
// time to speak of, or would take hours.
func TestNoSquare(t *testing.T) {
	const n = 5_000
	for name, c := range map[string]struct{ data, want string }{
		"Gemfile.lock": {"GEM\n  specs:\n" + many(n, func(i string) string { return "    a (1." + i + ")\n      a\n" }), "more than 1048576 dependencies"},
		"package-lock.json": {`{"packages": {"` + strings.Repeat("node_modules/a/", 60) + `node_modules/b": {"version": "1.0", "dependencies": {` +
			many(40*n, func(i string) string { return `"` + i + `": "",` }) + `"x": ""}}}}`, ""},
		"packages.lock.json": {`{"dependencies": {"` + strings.Repeat("f", 1<<20) + `": {` +
			many(n, func(i string) string { return `"a` + i + `": {"resolved": "1", "dependencies": {"b": "", "c": ""}},` }) + `"b": {}}}}`, ""},
		"Cargo.lock":      {"[" + strings.Repeat("a", maxTOMLKey) + "]\n" + many(n, func(i string) string { return "a" + i + " = 1\n" }), "longer than 512 bytes"},
		"uv.lock":         {strings.Repeat("a", maxTOMLKey) + ".b = 1\n", "longer than 512 bytes"},
		"poetry.lock":     {many(maxTOML+1, func(string) string { return "[[a]]\n" }), "values"},
		"bun.lock":        {strings.Repeat("/**/", n*20) + "{}", ""},
		"Podfile.lock":    {"PODS:\n" + many(n, func(i string) string { return "- A (1." + i + "):\n  - A\n" }), "more than 1048576 dependencies"},
		"pylock.toml":     {"packages = [{name = 'a', version = '1', wheels = [" + strings.Repeat("{hashes = {sha256 = '"+hexD+"'}},", n) + "]}]", ""},
		"stack.yaml.lock": {strings.Repeat("---\n", n), ""},
	} {
		_, err := Parse(name, []byte(c.data))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}
