package slsa_test

import (
	"crypto"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"assize.dev/services/sign/internal/slsa"
)

type object = map[string]any

const (
	repository = "https://github.com/example/demo"
	workflow   = repository + "/.github/workflows/release.yml@refs/tags/v1.0.0"
	commit     = "0123456789abcdef0123456789abcdef01234567"
	hosted     = "https://github.com/actions/runner/github-hosted"
	generator  = "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/"
	issuer     = "https://token.actions.githubusercontent.com"
	buildType  = "https://actions.github.io/buildtypes/workflow/v1"
)

var (
	sum256   = sha256.Sum256([]byte("artifact"))
	sum512   = sha512.Sum512([]byte("artifact"))
	artifact = slsa.Artifact{crypto.SHA256: hex.EncodeToString(sum256[:])}
)

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// set changes a member of a document.
func set(value any, path ...string) func(object) {
	return func(o object) {
		for _, p := range path[:len(path)-1] {
			o = o[p].(object)
		}
		o[path[len(path)-1]] = value
	}
}

func edited(o object, edits []func(object)) []byte {
	for _, e := range edits {
		e(o)
	}
	return encode(o)
}

func subject() []any {
	return []any{object{"name": "x", "digest": object{"sha256": hex.EncodeToString(sum256[:])}}}
}

// v1 is what GitHub's own workflows and npm attest.
func v1(edits ...func(object)) []byte {
	return edited(object{
		"_type": "https://in-toto.io/Statement/v1", "subject": subject(), "predicateType": slsa.PredicateV1,
		"predicate": object{
			"buildDefinition": object{
				"buildType":            buildType,
				"externalParameters":   object{"workflow": object{"repository": repository, "ref": "refs/tags/v1.0.0", "path": ".github/workflows/release.yml"}},
				"resolvedDependencies": []any{object{"uri": "git+" + repository + "@refs/tags/v1.0.0", "digest": object{"gitCommit": commit}}},
			},
			"runDetails": object{"builder": object{"id": hosted}},
		},
	}, edits)
}

// v02 is what slsa-github-generator attests.
func v02(edits ...func(object)) []byte {
	return edited(object{
		"_type": "https://in-toto.io/Statement/v0.1", "subject": subject(), "predicateType": slsa.PredicateV02,
		"predicate": object{
			"builder":   object{"id": generator + "generator_generic_slsa3.yml@refs/tags/v1.9.0"},
			"buildType": "https://github.com/slsa-framework/slsa-github-generator/generic@v1",
			"invocation": object{
				"configSource": object{"uri": "git+" + repository + "@refs/tags/v1.0.0", "digest": object{"sha1": commit}, "entryPoint": "release.yml"},
				"parameters":   object{"a": 1},
			},
			"materials": []any{object{"uri": "git+" + repository + "@refs/tags/v1.0.0", "digest": object{"sha1": commit}}},
		},
	}, edits)
}

func signer(edits ...func(*slsa.Signer)) slsa.Signer {
	s := slsa.Signer{
		Issuer: issuer, SAN: workflow, RunnerEnvironment: "github-hosted",
		SourceRepositoryURI: repository, SourceRepositoryDigest: commit,
	}
	for _, e := range edits {
		e(&s)
	}
	return s
}

func san(text string) func(*slsa.Signer) { return func(s *slsa.Signer) { s.SAN = text } }

func runner(text string) func(*slsa.Signer) {
	return func(s *slsa.Signer) { s.RunnerEnvironment = text }
}

func builder(id any) func(object) { return set(id, "predicate", "runDetails", "builder", "id") }

func external(value any) func(object) {
	return set(value, "predicate", "buildDefinition", "externalParameters")
}

func TestEvaluate(t *testing.T) {
	tag := generator + "generator_generic_slsa3.yml@refs/tags/v1.9.0"
	dependencies := func(value any) func(object) {
		return set(value, "predicate", "buildDefinition", "resolvedDependencies")
	}
	own := func(edits ...func(*slsa.Rule)) []slsa.Rule {
		r := slsa.Rule{Name: "our builder", Builder: hosted, Issuer: issuer, SAN: "https://github.com/example/*/.github/workflows/*@refs/tags/*", Level: 3}
		for _, e := range edits {
			e(&r)
		}
		return append([]slsa.Rule{r}, slsa.BuiltIn()...)
	}
	keyed := []slsa.Rule{{Name: "factory", Builder: "https://factory.test/**", KeyIDs: []string{"SHA256:abc"}, Level: 3}}
	byKey := func(id string) slsa.Signer { return slsa.Signer{KeyID: id} }
	for _, c := range []struct {
		name      string
		statement []byte
		signer    slsa.Signer
		want      slsa.Expectations
		rules     []slsa.Rule // the built-in ones if nil
		unknown   bool        // to all rules
		level     int
		reason    string
	}{
		{name: "GitHub-hosted runner", statement: v1(), signer: signer(), level: 2, reason: "GitHub Actions, github-hosted runner"},
		{name: "workflow as builder", statement: v1(builder(workflow)), signer: signer(), level: 2, reason: "GitHub Actions workflow, github-hosted"},
		{name: "npm's first builder id", statement: v1(builder("https://github.com/actions/runner")), signer: signer(), level: 2},
		{name: "self-hosted runner", statement: v1(builder("https://github.com/actions/runner/self-hosted")), signer: signer(runner("self-hosted")), level: 1, reason: "self-hosted"},
		{name: "workflow on a self-hosted runner", statement: v1(builder(workflow)), signer: signer(runner("self-hosted")), level: 1},
		{name: "generator, v0.2", statement: v02(), signer: signer(san(tag)), level: 3, reason: "generator_generic_slsa3.yml"},
		{name: "Go builder", statement: v1(builder(generator + "builder_go_slsa3.yml@refs/tags/v2.0.0")), signer: signer(san(generator + "builder_go_slsa3.yml@refs/tags/v2.0.0")), level: 3},
		{name: "container builder", statement: v1(builder(generator + "builder_container-based_slsa3.yml@refs/tags/v2.0.0")), signer: signer(san(generator + "builder_container-based_slsa3.yml@refs/tags/v2.0.0")), level: 3},
		{name: "delegator", statement: v1(builder(generator + "builder_nodejs_slsa3.yml@refs/tags/v1.8.0")), signer: signer(san(generator + "delegator_lowperms-generic_slsa3.yml@refs/tags/v1.8.0")), level: 3, reason: "delegator"},
		{name: "Bazel Central Registry", statement: v1(builder("https://github.com/bazel-contrib/publish-to-bcr/.github/workflows/publish.yaml@refs/tags/v1.0.0")), signer: signer(san("https://github.com/bazel-contrib/publish-to-bcr/.github/workflows/publish.yaml@refs/tags/v1.0.0")), level: 3},
		{name: "generator, not a release", statement: v1(builder(generator + "generator_generic_slsa3.yml@refs/heads/main")), signer: signer(san(generator + "generator_generic_slsa3.yml@refs/heads/main")), level: 2},
		{name: "generator on a self-hosted runner", statement: v02(), signer: signer(san(tag), runner("self-hosted")), level: 1, reason: "self-hosted"},
		{name: "generator on a runner nobody knows", statement: v02(), signer: signer(san(tag), runner("")), level: 0, reason: "runner environment"},
		{name: "generator's name, own signer", statement: v02(), signer: signer(), level: 0, reason: "certificate names"},
		{name: "generator's other version", statement: v02(), signer: signer(san(generator + "generator_generic_slsa3.yml@refs/tags/v1.9.1")), level: 0, reason: "certificate names"},
		{name: "delegated builder, own signer", statement: v1(builder(generator + "builder_nodejs_slsa3.yml@refs/tags/v1.8.0")), signer: signer(), level: 0, reason: "does not believe"},
		{name: "says hosted, is not", statement: v1(), signer: signer(runner("self-hosted")), level: 0, reason: `runner environment is "self-hosted"`},
		{name: "says hosted, certificate does not", statement: v1(), signer: signer(runner("")), level: 0, reason: "runner environment"},
		{name: "says hosted, another issuer", statement: v1(), signer: signer(func(s *slsa.Signer) { s.Issuer = "https://gitlab.test" }), level: 0, reason: "issuer"},
		{name: "says hosted, a person signed", statement: v1(), signer: signer(san("dev@example.test")), level: 0, reason: "certificate names"},
		{name: "says hosted, a key signed", statement: v1(), signer: byKey("SHA256:abc"), level: 0, reason: "it is a key"},
		{name: "another workflow as builder", statement: v1(builder(repository + "/.github/workflows/other.yml@refs/tags/v1.0.0")), signer: signer(), level: 0, reason: "certificate names"},
		{name: "unknown builder", statement: v1(builder("https://builder.test")), signer: signer(), unknown: true, level: 1, reason: "no rule knows builder"},
		{name: "unknown builder on GitLab", statement: v1(builder("https://builder.test")), signer: signer(runner("gitlab-hosted")), unknown: true, level: 1},
		{name: "unknown builder, self-hosted", statement: v1(builder("https://builder.test")), signer: signer(runner("self-hosted")), unknown: true, level: 1},
		{name: "unknown builder, a person signed", statement: v1(builder("https://builder.test")), signer: signer(san("dev@example.test"), runner("")), unknown: true, level: 0, reason: "does not say that a build service ran it"},
		{name: "unknown builder, unknown runner", statement: v1(builder("https://builder.test")), signer: signer(runner("laptop")), unknown: true, level: 0, reason: "no rule knows builder"},
		{name: "unknown builder of level 4", statement: v1(builder("https://builder.test/SLSA_BUILD_LEVEL_4")), signer: byKey("SHA256:abc"), unknown: true, level: 1},
		{name: "no rules", statement: v1(), signer: signer(), rules: []slsa.Rule{}, unknown: true, level: 1, reason: "no rule knows"},

		{name: "own rule first", statement: v1(), signer: signer(), rules: own(), level: 3, reason: "our builder"},
		{name: "own rule, another signer", statement: v1(), signer: signer(san(strings.ReplaceAll(workflow, "example", "other"))), rules: own(), level: 2},
		{name: "own key", statement: v1(builder("https://factory.test/1/2")), signer: byKey("SHA256:abc"), rules: keyed, level: 3, reason: "factory"},
		{name: "another key", statement: v1(builder("https://factory.test/1/2")), signer: byKey("SHA256:abd"), rules: keyed, level: 0, reason: "not one of the builder's keys"},
		{name: "a certificate instead of the key", statement: v1(builder("https://factory.test/1/2")), signer: signer(), rules: keyed, level: 0, reason: "not one of the builder's keys"},
		{name: "rule's source", statement: v1(), signer: signer(), rules: own(func(r *slsa.Rule) { r.Sources = []string{"https://github.com/example/*"} }), level: 3},
		{name: "not the rule's source", statement: v1(), signer: signer(), rules: own(func(r *slsa.Rule) { r.Sources = []string{"https://github.com/example/other"} }), level: 0, reason: "source"},
		{name: "rule's build type", statement: v1(), signer: signer(), rules: own(func(r *slsa.Rule) { r.BuildTypes = []string{buildType} }), level: 3},
		{name: "not the rule's build type", statement: v1(), signer: signer(), rules: own(func(r *slsa.Rule) { r.BuildTypes = []string{buildType + "x"} }), level: 0, reason: "build type"},
		{name: "rule's parameters", statement: v1(), signer: signer(), rules: own(func(r *slsa.Rule) { r.Parameters = []string{"workflow", "inputs"} }), level: 3},
		{name: "not the rule's parameters", statement: v1(external(object{"workflow": object{}, "debug": true})), signer: signer(), rules: own(func(r *slsa.Rule) { r.Parameters = []string{"workflow"} }), level: 0, reason: `external parameter "debug"`},
		{name: "v0.2 parameters", statement: v02(), signer: signer(san(tag)), rules: []slsa.Rule{{Name: "x", Builder: tag, Issuer: issuer, SAN: tag, Level: 3, Parameters: []string{"b"}}}, level: 0, reason: `external parameter "a"`},

		{name: "expected source", statement: v1(), signer: signer(), want: slsa.Expectations{Sources: []string{"https://x.test", repository}, BuildTypes: []string{buildType}}, level: 2},
		{name: "unexpected source", statement: v1(), signer: signer(), want: slsa.Expectations{Sources: []string{repository + "2"}}, level: 0, reason: "source"},
		{name: "unexpected source of an unknown builder", statement: v1(builder("https://builder.test")), signer: signer(), want: slsa.Expectations{Sources: []string{repository + "2"}}, level: 0, reason: "source"},
		{name: "unexpected build type", statement: v1(), signer: signer(), want: slsa.Expectations{BuildTypes: []string{"https://x.test"}}, level: 0, reason: "build type"},
		{name: "no source where one is expected", statement: v1(builder("https://factory.test/"), external(nil), dependencies(nil)), signer: byKey("SHA256:abc"), rules: keyed, want: slsa.Expectations{Sources: []string{repository}}, level: 0, reason: "source"},

		{name: "source is not the certificate's", statement: v1(), signer: signer(func(s *slsa.Signer) { s.SourceRepositoryURI = repository + "2" }), level: 0, reason: "the certificate says"},
		{name: "source in capitals", statement: v1(external(object{"workflow": object{"repository": "https://github.com/Example/demo"}})), signer: signer(), level: 0, reason: "the certificate says"},
		{name: "source, v0.2, is not the certificate's", statement: v02(set("git+"+repository+"2", "predicate", "invocation", "configSource", "uri")), signer: signer(san(tag)), level: 0, reason: "the certificate says"},
		{name: "commit is not the certificate's", statement: v1(), signer: signer(func(s *slsa.Signer) { s.SourceRepositoryDigest = strings.Repeat("0", 40) }), level: 0, reason: "commit"},
		{name: "source only in the certificate", statement: v1(external(nil), dependencies(nil)), signer: signer(), want: slsa.Expectations{Sources: []string{repository}}, level: 2},
		{name: "source only in dependencies", statement: v1(external(object{"x": 1}), dependencies([]any{
			object{"uri": "pkg:docker/x"}, object{"uri": "git+" + repository + ".git@main", "digest": object{"sha1": commit}},
		})), signer: signer(), level: 2},
		{name: "another source in dependencies", statement: v1(external(object{}), dependencies([]any{object{"uri": "git+" + repository + "2"}})), signer: signer(), level: 0, reason: "the certificate says"},
		{name: "source only in materials", statement: v02(set(nil, "predicate", "invocation")), signer: signer(san(tag)), level: 3},
		{name: "source as BYOB names it", statement: v1(external(object{"source": object{"uri": "git+" + repository + "@refs/heads/main", "digest": object{"sha1": commit}}})), signer: signer(), level: 2},
		{name: "source as text", statement: v1(external(object{"source": repository})), signer: signer(), level: 2},
		{name: "source of something else", statement: v1(external(object{"source": 1, "workflow": 2})), signer: signer(), level: 2},
		{name: "nothing about the source in the certificate", statement: v1(), signer: signer(func(s *slsa.Signer) { s.SourceRepositoryURI, s.SourceRepositoryDigest = "", "" }), level: 2},

		{name: "another file", statement: v1(set([]any{object{"digest": object{"sha256": strings.Repeat("0", 64)}}}, "subject")), signer: signer(), level: 0, reason: "another file"},
		{name: "only a digest that is not known", statement: v1(set([]any{object{"digest": object{"sha512": hex.EncodeToString(sum512[:])}}}, "subject")), signer: signer(), level: 0, reason: "another file"},
		{name: "a digest too that is not known", statement: v1(set([]any{object{"digest": object{"sha256": hex.EncodeToString(sum256[:]), "sha512": hex.EncodeToString(sum512[:])}}}, "subject")), signer: signer(), level: 2},
		{name: "no builder", statement: v1(builder("")), signer: signer(), level: 0, reason: "names no builder"},
		{name: "no run details", statement: v1(set(nil, "predicate", "runDetails")), signer: signer(), level: 0, reason: "names no builder"},
		{name: "no predicate", statement: v1(set(nil, "predicate")), signer: signer(), level: 0, reason: "names no builder"},
		{name: "another predicate", statement: v1(set("https://slsa.dev/verification_summary/v1", "predicateType")), signer: signer(), level: 0, reason: "predicate type"},
		{name: "v0.1", statement: v1(set("https://slsa.dev/provenance/v0.1", "predicateType")), signer: signer(), level: 0, reason: "predicate type"},
		{name: "v1 in v0.2", statement: v1(set(slsa.PredicateV02, "predicateType")), signer: signer(), level: 0, reason: "names no builder"},
		{name: "builder id not text", statement: v1(builder(1)), signer: signer(), level: 0, reason: "predicate.runDetails.builder.id: want a string"},
		{name: "builder not an object", statement: v1(set(1, "predicate", "runDetails", "builder")), signer: signer(), level: 0, reason: "predicate.runDetails.builder: want an object"},
		{name: "parameters not an object", statement: v1(external("x")), signer: signer(), level: 0, reason: "externalParameters: want an object"},
		{name: "dependencies not an array", statement: v1(dependencies(1)), signer: signer(), level: 0, reason: "want an array"},
		{name: "dependency of a number", statement: v1(dependencies([]any{1})), signer: signer(), level: 0, reason: "want an object"},
		{name: "dependency's uri", statement: v1(dependencies([]any{object{"uri": 1}})), signer: signer(), level: 0, reason: "uri"},
		{name: "dependency's digest", statement: v1(dependencies([]any{object{"digest": 1}})), signer: signer(), level: 0, reason: "digest"},
		{name: "config source of a number", statement: v02(set(1, "predicate", "invocation", "configSource")), signer: signer(san(tag)), level: 0, reason: "configSource"},
		{name: "builder id too long", statement: v1(builder(strings.Repeat("a", 3000))), signer: signer(), level: 0, reason: "builder id of 3000 bytes"},
		{name: "builder twice", statement: []byte(strings.Replace(string(v1()), `"id":`, `"id":"https://x.test","id":`, 1)), signer: signer(), level: 0, reason: "duplicate name"},
		{name: "parameter twice", statement: []byte(strings.Replace(string(v1()), `"workflow":`, `"workflow":{},"workflow":`, 1)), signer: signer(), level: 0, reason: "duplicate name"},
		{name: "not JSON", statement: []byte("x"), signer: signer(), level: 0, reason: "not JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.rules == nil {
				c.rules = slsa.BuiltIn()
			}
			p := slsa.Evaluate(c.statement, c.signer, artifact, c.want, c.rules)
			if p.Level != c.level || !strings.Contains(p.Reason, c.reason) || p.Reason == "" {
				t.Errorf("got level %d, %s\nwant level %d, %s", p.Level, p.Reason, c.level, c.reason)
			}
			if p.Known && c.unknown || p.Level > 0 && p.Known == c.unknown {
				t.Errorf("the builder is known: %v", p.Known)
			}
			if p.SignerURI != c.signer.SAN+c.signer.KeyID {
				t.Errorf("signer %q", p.SignerURI)
			}
			if p.Level > 0 && c.signer.SourceRepositoryURI != "" && (p.Source != repository || p.SourceDigest != commit) {
				t.Errorf("source %q at %q", p.Source, p.SourceDigest)
			}
		})
	}
}

func TestEvaluateTells(t *testing.T) {
	want := slsa.Provenance{
		Level: 2, Known: true, Builder: hosted, BuildType: buildType, Source: repository, SourceDigest: commit,
		SignerURI: workflow, PredicateType: slsa.PredicateV1, Reason: "rule GitHub Actions, github-hosted runner",
	}
	if got := slsa.Evaluate(v1(), signer(), artifact, slsa.Expectations{}, slsa.BuiltIn()); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	npm := slsa.Artifact{crypto.SHA512: hex.EncodeToString(sum512[:])}
	s := v1(set([]any{object{"digest": object{"sha512": npm[crypto.SHA512]}}}, "subject"))
	if got := slsa.Evaluate(s, signer(), npm, slsa.Expectations{}, slsa.BuiltIn()); got != want {
		t.Errorf("with SHA-512: %+v", got)
	}
	for _, bad := range []string{"", "xyz", npm[crypto.SHA512]} {
		got := slsa.Evaluate(v1(), signer(), slsa.Artifact{crypto.SHA256: bad}, slsa.Expectations{}, slsa.BuiltIn())
		if got.Level != 0 || !strings.Contains(got.Reason, "hexadecimal") {
			t.Errorf("artifact %q: %+v", bad, got)
		}
	}
}

// TestSource pins how repositories are written, by provenance whose
// certificate says the wanted one.
func TestSource(t *testing.T) {
	for uri, want := range map[string]string{
		repository:                                       repository,
		repository + "/":                                 repository,
		repository + ".git":                              repository,
		"git+" + repository:                              repository,
		"git+" + repository + "@refs/tags/v@1":           repository,
		"git+" + repository + ".git@refs/tags/v1":        repository,
		"git+" + repository + "?x=1#y":                   repository,
		"git+ssh://git@github.com/example/demo@v1":       "ssh://git@github.com/example/demo",
		"https://host@evil.test":                         "https://host@evil.test",
		"git@github.com:example/demo.git":                "git@github.com:example/demo",
		repository + "/../other":                         repository + "/../other",
		"http" + strings.TrimPrefix(repository, "https"): "http" + strings.TrimPrefix(repository, "https"),
	} {
		d, err := slsa.Parse(v1(external(object{"source": uri}), set(nil, "predicate", "buildDefinition", "resolvedDependencies")))
		if err != nil || d.Source != want {
			t.Errorf("%s: %q, %v, want %q", uri, d.Source, err, want)
		}
	}
}

func TestRuleCheck(t *testing.T) {
	for _, r := range slsa.BuiltIn() {
		if err := r.Check(); err != nil {
			t.Error(err)
		}
	}
	keyless := slsa.Rule{Name: "mine", Builder: "https://b.test", Issuer: "https://i.test", SAN: "https://s.test/*", Level: 1}
	keyed := slsa.Rule{Name: "mine", Builder: "https://b.test", KeyIDs: []string{"SHA256:x"}, Level: 3}
	edit := func(r slsa.Rule, e func(*slsa.Rule)) slsa.Rule { e(&r); return r }
	for _, c := range []struct {
		rule slsa.Rule
		want string
	}{
		{keyless, ""}, {keyed, ""},
		{edit(keyless, func(r *slsa.Rule) { r.Level = 0 }), "level is 0"},
		{edit(keyless, func(r *slsa.Rule) { r.Level = 4 }), "level is 4"},
		{edit(keyless, func(r *slsa.Rule) { r.Builder = "" }), "builder is empty"},
		{edit(keyless, func(r *slsa.Rule) { r.Builder = "**" }), "anybody"},
		{edit(keyless, func(r *slsa.Rule) { r.Issuer = "" }), "issuer is empty"},
		{edit(keyless, func(r *slsa.Rule) { r.SAN = "" }), "SAN is empty"},
		{edit(keyless, func(r *slsa.Rule) { r.Issuer, r.SAN = "", "" }), "want either"},
		{edit(keyless, func(r *slsa.Rule) { r.KeyIDs = []string{"x"} }), "want either"},
		{edit(keyless, func(r *slsa.Rule) { r.Sources = []string{"a b"} }), "white space"},
		{edit(keyless, func(r *slsa.Rule) { r.BuildTypes = []string{""} }), "is empty"},
		{edit(keyed, func(r *slsa.Rule) { r.KeyIDs = []string{""} }), "empty key id"},
		{edit(keyed, func(r *slsa.Rule) { r.RunnerEnvironment = "x" }), "a key cannot prove"},
		{edit(keyed, func(r *slsa.Rule) { r.BuilderIsSAN = true }), "a key cannot prove"},
	} {
		err := c.rule.Check()
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "mine")) {
			t.Errorf("%+v: %v, want %q", c.rule, err, c.want)
		}
	}
}

// FuzzParse also holds the judgement to its bounds.
func FuzzParse(f *testing.F) {
	f.Add(v1())
	f.Add(v02())
	f.Add(v1(builder("https://builder.test"), external(object{"source": object{"uri": "git+https://x.test/y@z"}})))
	f.Add(v02(set(nil, "predicate", "invocation")))
	f.Fuzz(func(t *testing.T, statement []byte) {
		d, err := slsa.Parse(statement)
		p := slsa.Evaluate(statement, slsa.Signer{KeyID: "SHA256:x"}, artifact, slsa.Expectations{}, slsa.BuiltIn())
		if p.Reason == "" || p.Level > 1 || p.Level < 0 || err != nil && p.Level != 0 {
			t.Errorf("a key that no rule knows gave %+v", p)
		}
		if err == nil && (p.Builder != d.Builder || d.Statement == nil) {
			t.Errorf("parsed %+v, judged %+v", d, p)
		}
	})
}
