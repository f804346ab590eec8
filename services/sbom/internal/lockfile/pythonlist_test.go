package lockfile

var pythonListSamples = []sample{
	{"", "Pipfile.lock", `{
	"_meta": {"hash": {"sha256": "x"}, "pipfile-spec": 6, "sources": [{"name": "pypi", "url": "https://pypi.example/simple"}]},
	"default": {
		"a": {"hashes": ["sha256:` + hexD + `", "sha256:` + hexE + `"], "index": "pypi", "markers": "x", "version": "==1.0.0"},
		"g": {"git": "https://git.example/g.git", "ref": "abc"},
		"dir": {"editable": true, "path": "."},
		"any": {"version": "*"}
	},
	"develop": {"a": {"version": "==1.0.0"}, "T.x": {"version": "==2.0"}},
	"other": {"o": {"version": "==3.0"}}
}`, []string{
		"pkg:pypi/a@1.0.0 SHA-256:dddddddd SHA-256:eeeeeeee",
		"pkg:pypi/t.x@2.0 dev",
		"pkg:pypi/o@3.0",
	}},
	{"", "requirements.txt", `# a comment == 1
--index-url https://index.example/simple
-r other.txt
-e .
A_b[x,y]==1.0.0 ; python_version >= "3" \
    --hash=sha256:` + hexD + ` \
    --hash=sha256:` + hexE + `
    # via c
c == 2.0  # pinned == here
d===1.0+local
e==1.*
f>=1.0
g>=1.0,==1.5
h @ https://files.example/h==1.0.zip
https://files.example/i==1.0.zip
j==1.0,!=1.1
k`, []string{
		"pkg:pypi/a-b@1.0.0 SHA-256:dddddddd SHA-256:eeeeeeee",
		"pkg:pypi/c@2.0",
		"pkg:pypi/d@1.0%2Blocal",
	}},
}

var rubySamples = []sample{
	{"", "Gemfile.lock", `GIT
  remote: https://git.example/x.git
  revision: abc
  specs:
    x (1.0)
      rack

PATH
  remote: .
  specs:
    own (0.1)

GEM
  remote: https://rubygems.org/
  specs:
    nokogiri (1.15.0)
      mini_portile2 (~> 2.8)
      racc (~> 1.4)
    nokogiri (1.15.0-x86_64-linux)
      racc (~> 1.4)
    mini_portile2 (2.8.5)
    racc (1.7.3.pre.1)
    rails (7.0)
      nokogiri (>= 1.8, < 2)
      x

PLATFORMS
  ruby
  x86_64-linux

DEPENDENCIES
  rails
  x!

CHECKSUMS
  nokogiri (1.15.0) sha256=` + hexD + `
  nokogiri (1.15.0-x86_64-linux) sha256=` + hexE + `
  rails (7.0)

BUNDLED WITH
   2.5.0
`, []string{
		"pkg:gem/nokogiri@1.15.0 SHA-256:dddddddd -> pkg:gem/mini_portile2@2.8.5 pkg:gem/racc@1.7.3.pre.1",
		"pkg:gem/nokogiri@1.15.0?platform=x86_64-linux SHA-256:eeeeeeee -> pkg:gem/racc@1.7.3.pre.1",
		"pkg:gem/mini_portile2@2.8.5",
		"pkg:gem/racc@1.7.3.pre.1",
		"pkg:gem/rails@7.0 -> pkg:gem/nokogiri@1.15.0 pkg:gem/nokogiri@1.15.0?platform=x86_64-linux",
	}},
	{"from elsewhere", "gems.locked", `GEM
  remote: https://u:p@gems.example/private/
  specs:
    a (1.0)
`, []string{"pkg:gem/a@1.0?repository_url=https:%2F%2Fgems.example%2Fprivate%2F"}},
	{"", "composer.lock", `{
	"_readme": ["x"], "content-hash": "x",
	"packages": [
		{"name": "Acme/a", "version": "v1.0.0", "source": {"type": "git", "url": "https://git.example/a.git", "reference": "abc"},
		 "dist": {"type": "zip", "url": "https://api.example/a", "reference": "abc", "shasum": "` + hexF1 + `"},
		 "require": {"php": ">=8", "ext-json": "*", "acme/B": "^2", "acme/old": "1"}, "license": ["MIT"], "description": "The first."},
		{"name": "acme/b", "version": "2.0.0", "dist": {"type": "zip", "shasum": ""}, "require": []},
		{"name": "acme/new", "version": "3.0.0", "replace": {"acme/old": "self.version"}},
		{"name": "acme/dir", "version": "dev-main", "dist": {"type": "path", "url": "dir"}}
	],
	"packages-dev": [{"name": "acme/test", "version": "9.0.0", "require": {"acme/a": "1"}}],
	"aliases": [], "minimum-stability": "stable"
}`, []string{
		"pkg:composer/acme/a@v1.0.0 SHA-1:ffffffff -> pkg:composer/acme/b@2.0.0 pkg:composer/acme/new@3.0.0",
		"pkg:composer/acme/b@2.0.0",
		"pkg:composer/acme/new@3.0.0",
		"pkg:composer/acme/test@9.0.0 dev -> pkg:composer/acme/a@v1.0.0",
	}},
}
