package lockfile

var npmSamples = []sample{
	{"version 1", "package-lock.json", `{
	"name": "app", "version": "1.0.0", "lockfileVersion": 1, "requires": true,
	"dependencies": {
		"a": {
			"version": "1.0.0", "resolved": "https://registry.example/a/-/a-1.0.0.tgz", "integrity": "` + sha512a + `",
			"requires": {"@s/b": "^2.0.0", "c": "1", "gone": "1"},
			"dependencies": {"c": {"version": "1.5.0", "requires": {"@s/b": "2"}}}
		},
		"@s/b": {"version": "2.1.0", "integrity": "` + sha1c + ` ` + sha512b + `", "dev": true},
		"c": {"version": "3.0.0", "bundled": true, "requires": true},
		"alias": {"version": "npm:real@4.0.0", "requires": {"c": "*"}},
		"git": {"version": "git+ssh://git@git.example/x.git#abc", "from": "x"},
		"dir": {"version": "file:dir"},
		"url": {"version": "https://files.example/url.tgz"}
	}}`, []string{
		"pkg:npm/a@1.0.0 SHA-512:aaaaaaaa -> pkg:npm/%40s/b@2.1.0 pkg:npm/c@1.5.0",
		"pkg:npm/c@1.5.0 -> pkg:npm/%40s/b@2.1.0",
		"pkg:npm/%40s/b@2.1.0 dev SHA-1:cccccccc SHA-512:bbbbbbbb",
		"pkg:npm/c@3.0.0",
		"pkg:npm/real@4.0.0 -> pkg:npm/c@3.0.0",
	}},
	{"version 2", "npm-shrinkwrap.json", `{
	"name": "app", "lockfileVersion": 2,
	"packages": {"": {"name": "app", "dependencies": {"a": "1"}}, "node_modules/a": {"version": "1.0.0"}},
	"dependencies": {"a": {"version": "1.0.0"}, "other": {"version": "9.9.9"}}}`, []string{"pkg:npm/a@1.0.0"}},
	{"version 3", "package-lock.json", `{
	"name": "app", "lockfileVersion": 3,
	"packages": {
		"": {"name": "app", "version": "1.0.0", "workspaces": ["lib/*"], "dependencies": {"a": "^1.0.0"}},
		"lib/own": {"name": "own", "version": "0.1.0"},
		"lib/own/node_modules/c": {"version": "7.0.0", "dependencies": {"a": "1", "d": "1"}},
		"node_modules/own": {"resolved": "lib/own", "link": true},
		"node_modules/a": {"version": "1.0.0", "resolved": "https://registry.example/a/-/a-1.0.0.tgz", "integrity": "` + sha512a + `",
			"license": "MIT", "dependencies": {"c": "2", "@s/b": "1"}, "optionalDependencies": {"d": "1"}, "peerDependencies": {"none": "1"}},
		"node_modules/a/node_modules/c": {"version": "2.0.0", "dependencies": {"@s/b": "1"}},
		"node_modules/@s/b": {"version": "1.2.0", "dev": true, "engines": ["node"], "license": ["odd"]},
		"node_modules/c": {"version": "3.0.0"},
		"node_modules/d": {"name": "real-d", "version": "1.0.0-rc.1+x", "optional": true},
		"node_modules/git": {"version": "1.0.0", "resolved": "git+ssh://git@git.example/x.git#abc"},
		"node_modules/url": {"version": "1.0.0", "resolved": "https://files.example/url.tgz"},
		"node_modules/url2": {"version": "1.0.0", "resolved": "https://git.example/x/y/releases/download/@1/url.tgz"},
		"node_modules/@x/y": {"version": "1.0.0", "resolved": "https://npm.example/download/@x/y/1.0.0/abc"},
		"node_modules/e": {"version": "1.0.0", "dev": true},
		"node_modules/x/node_modules/e": {"version": "1.0.0", "integrity": "` + sha512b + `", "dependencies": {"e": "1"}}
	}}`, []string{
		"pkg:npm/c@7.0.0 -> pkg:npm/a@1.0.0 pkg:npm/real-d@1.0.0-rc.1%2Bx",
		"pkg:npm/a@1.0.0 SHA-512:aaaaaaaa -> pkg:npm/c@2.0.0 pkg:npm/%40s/b@1.2.0 pkg:npm/real-d@1.0.0-rc.1%2Bx",
		"pkg:npm/c@2.0.0 -> pkg:npm/%40s/b@1.2.0",
		"pkg:npm/%40s/b@1.2.0 dev",
		"pkg:npm/c@3.0.0",
		"pkg:npm/real-d@1.0.0-rc.1%2Bx",
		"pkg:npm/%40x/y@1.0.0",
		"pkg:npm/e@1.0.0 SHA-512:bbbbbbbb",
	}},
	{"", "bun.lock", `{
	// a comment
	"lockfileVersion": 1,
	"workspaces": {
		"": {"name": "app", "dependencies": {"a": "^1.0.0",}, "devDependencies": {"t": "^1.0.0",},},
		"lib": {"name": "lib", "optionalDependencies": {"@s/b": "1"}},
	},
	"packages": {
		"a": ["a@1.0.0", "", {"dependencies": {"c": "1, ]", "@s/b": "1"}}, "` + sha512a + `"],
		"@s/b": ["@s/b@2.0.0", "", {"peerDependencies": {"c": "1"}}, "` + sha512b + `"], /* and another */
		"a/c": ["c@1.0.0", "", {}, ""],
		"@s/b/c": ["real@5.0.0", "", {"bin": {"c": "c.js"}}, ""],
		"c": ["c@3.0.0", "", {}, ""],
		"t": ["t@1.0.0", "", {"dependencies": {"c": "3", "u": "1"}}, ""],
		"u": ["u@1.0.0", "", {}, ""],
		"lib": ["lib@workspace:lib"],
		"g": ["g@github:x/g#abc", {}, "x-g-abc"],
	},
}`, []string{
		"pkg:npm/a@1.0.0 SHA-512:aaaaaaaa -> pkg:npm/c@1.0.0 pkg:npm/%40s/b@2.0.0",
		"pkg:npm/%40s/b@2.0.0 SHA-512:bbbbbbbb -> pkg:npm/real@5.0.0",
		"pkg:npm/c@1.0.0",
		"pkg:npm/real@5.0.0",
		"pkg:npm/c@3.0.0 dev",
		"pkg:npm/t@1.0.0 dev -> pkg:npm/c@3.0.0 pkg:npm/u@1.0.0",
		"pkg:npm/u@1.0.0 dev",
	}},
	{"version 5", "deno.lock", `{
	"version": "5",
	"specifiers": {"jsr:@std/x@1": "1.0.0", "npm:a@1": "1.0.0"},
	"jsr": {"@std/x@1.0.0": {"integrity": "` + hexD + `"}},
	"npm": {
		"a@1.0.0_@s+b@2.0.0": {"integrity": "` + sha512a + `", "dependencies": ["@s/b", "c@1.0.0", "other@npm:c@2.0.0"], "optionalDependencies": ["d"]},
		"@s/b@2.0.0": {"integrity": "` + sha512b + `", "tarball": "https://x.example/y"},
		"c@1.0.0": {}, "c@2.0.0": {"dependencies": ["@s/b"]}, "d@1.0.0": {"os": ["linux"]}
	},
	"remote": {"https://x.example/mod.ts": "` + hexE + `"}}`, []string{
		"pkg:npm/a@1.0.0 SHA-512:aaaaaaaa -> pkg:npm/%40s/b@2.0.0 pkg:npm/c@1.0.0 pkg:npm/c@2.0.0 pkg:npm/d@1.0.0",
		"pkg:npm/%40s/b@2.0.0 SHA-512:bbbbbbbb",
		"pkg:npm/c@1.0.0",
		"pkg:npm/c@2.0.0 -> pkg:npm/%40s/b@2.0.0",
		"pkg:npm/d@1.0.0",
	}},
	{"version 3", "deno.lock", `{"version": "3", "packages": {
		"specifiers": {"npm:a@1": "npm:a@1.0.0"},
		"jsr": {"@std/x@1.0.0": {}},
		"npm": {"a@1.0.0": {"integrity": "` + sha512a + `", "dependencies": {"x": "b@1.0.0"}}, "b@1.0.0": {}}}}`, []string{
		"pkg:npm/a@1.0.0 SHA-512:aaaaaaaa -> pkg:npm/b@1.0.0", "pkg:npm/b@1.0.0",
	}},
	{"version 2", "deno.lock", `{"version": "2", "remote": {}, "npm": {"specifiers": {"a": "a@1.0.0"}, "packages": {"a@1.0.0": {"dependencies": {}}}}}`,
		[]string{"pkg:npm/a@1.0.0"}},
}
