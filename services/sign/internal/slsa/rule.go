package slsa

import (
	"errors"
	"fmt"
	"slices"

	"assize.dev/shared/pattern"
)

// Signer is who signed the statement, as its verification proved: a key, or
// what a certificate of Sigstore's says.
type Signer struct {
	KeyID string // the OpenSSH fingerprint of a key; empty for a certificate

	Issuer                 string // whom the certificate authority asked
	SAN                    string // whom that named: for GitHub Actions, the workflow
	RunnerEnvironment      string // 1.3.6.1.4.1.57264.1.11
	SourceRepositoryURI    string // .12
	SourceRepositoryDigest string // .13
}

// Rule says how far one builder is believed, if the right signer vouches for
// it. All that is not empty must hold. Strings are patterns (see package
// pattern) unless something else is said.
type Rule struct {
	Name    string // for people, and in the reason
	Builder string // builder.id of the document

	// BuilderIsSAN demands that the builder.id is the certificate's SAN.
	BuilderIsSAN bool
	// Issuer and SAN are those of the certificate.
	Issuer, SAN string
	// RunnerEnvironment is what the certificate has to say of where the build
	// ran, exactly.
	RunnerEnvironment string
	// KeyIDs are the OpenSSH fingerprints of the builder's keys, for builders
	// that sign with a key. A rule has these or Issuer and SAN.
	KeyIDs []string

	Level int // 1 to 3

	Sources    []string // repositories it may have built; empty: any
	BuildTypes []string // empty: any
	// Parameters are the names of the external parameters it may have been
	// given, exactly; empty: any.
	Parameters []string
}

// Check refuses rules that would not do what they were written for. A rule
// that fails it must not be used.
func (r Rule) Check() error {
	if err := r.check(); err != nil {
		return fmt.Errorf("builder rule %.80q: %w", r.Name, err)
	}
	return nil
}

func (r Rule) check() error {
	keyless := r.Issuer != "" || r.SAN != ""
	switch {
	case r.Level < 1 || r.Level > 3:
		return fmt.Errorf("level is %d, want 1 to 3", r.Level)
	case keyless == (len(r.KeyIDs) > 0):
		return errors.New("want either issuer and SAN of its certificates or its key ids")
	case !keyless && (r.BuilderIsSAN || r.RunnerEnvironment != ""):
		return errors.New("a key cannot prove a SAN or a runner environment")
	}
	named := map[string]string{"builder": r.Builder}
	if keyless {
		named["issuer"], named["SAN"] = r.Issuer, r.SAN
	}
	for what, p := range named {
		if err := pattern.Check(p); err != nil {
			return fmt.Errorf("%s %w", what, err)
		}
	}
	for _, p := range slices.Concat(r.Sources, r.BuildTypes) {
		if err := pattern.Check(p); err != nil {
			return fmt.Errorf("source or build type %w", err)
		}
	}
	if slices.Contains(r.KeyIDs, "") {
		return errors.New("an empty key id")
	}
	return nil
}

// disbelieves says why signer is not the one who may speak for the builder;
// it is empty if it is.
func (r Rule) disbelieves(signer Signer, builder string) string {
	switch {
	case len(r.KeyIDs) > 0 && slices.Contains(r.KeyIDs, signer.KeyID):
		return ""
	case len(r.KeyIDs) > 0:
		return fmt.Sprintf("it is not one of the builder's keys, but %.200q", signer.KeyID+signer.SAN)
	case signer.KeyID != "":
		return "it is a key, not a certificate"
	case !pattern.Match(r.Issuer, signer.Issuer):
		return fmt.Sprintf("the certificate's issuer is %.200q", signer.Issuer)
	case !pattern.Match(r.SAN, signer.SAN) || r.BuilderIsSAN && builder != signer.SAN:
		return fmt.Sprintf("the certificate names %.300q", signer.SAN)
	case r.RunnerEnvironment != "" && r.RunnerEnvironment != signer.RunnerEnvironment:
		return fmt.Sprintf("the certificate's runner environment is %.80q, want %q", signer.RunnerEnvironment, r.RunnerEnvironment)
	}
	return ""
}

const (
	githubIssuer = "https://token.actions.githubusercontent.com"
	githubHosted = "github-hosted"
	gitlabHosted = "gitlab-hosted"
	selfHosted   = "self-hosted"
	anyWorkflow  = "https://github.com/*/*/.github/workflows/*@**"
	slsaGitHub   = "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/"
	releaseTag   = "@refs/tags/v*.*.*"
)

// BuiltIn is the builders that are known without configuration. Put rules of
// your own before them: the first that fits decides. They believe what the
// certificate proves, which GitHub and the certificate authority vouch for,
// and take from the document only which builder it is about.
func BuiltIn() []Rule {
	var rules []Rule
	// Level 3: workflows that run apart from the project's own, so that it
	// cannot reach the signing. Only released versions of them.
	for _, file := range []string{
		"generator_generic_slsa3.yml", "generator_container_slsa3.yml",
		"builder_go_slsa3.yml", "builder_container-based_slsa3.yml",
	} {
		rules = append(rules, Rule{
			Name: "slsa-github-generator " + file, Builder: slsaGitHub + file + releaseTag, BuilderIsSAN: true,
			Issuer: githubIssuer, SAN: slsaGitHub + file + releaseTag, RunnerEnvironment: githubHosted, Level: 3,
		})
	}
	rules = append(rules,
		// Delegators sign for builders beside them, whose names differ.
		Rule{
			Name: "slsa-github-generator delegator", Builder: slsaGitHub + "builder_*_slsa3.yml" + releaseTag,
			Issuer: githubIssuer, SAN: slsaGitHub + "delegator_*_slsa3.yml" + releaseTag, RunnerEnvironment: githubHosted, Level: 3,
		},
		Rule{
			Name: "Bazel Central Registry", Builder: "https://github.com/bazel-contrib/publish-to-bcr/.github/workflows/publish.yaml@refs/tags/v*.*.*", BuilderIsSAN: true,
			Issuer: githubIssuer, SAN: "https://github.com/bazel-contrib/publish-to-bcr/.github/workflows/publish.yaml@refs/tags/v*.*.*", RunnerEnvironment: githubHosted, Level: 3,
		},
	)
	// Level 2 on GitHub's machines, 1 on others: the project's own workflow.
	// GitHub's attestations name the workflow as the builder, npm the runner.
	for _, runner := range []struct {
		environment string
		level       int
	}{{githubHosted, 2}, {selfHosted, 1}} {
		for _, builder := range []string{"https://github.com/actions/runner/" + runner.environment, "https://github.com/actions/runner"} {
			rules = append(rules, Rule{
				Name: "GitHub Actions, " + runner.environment + " runner", Builder: builder,
				Issuer: githubIssuer, SAN: anyWorkflow, RunnerEnvironment: runner.environment, Level: runner.level,
			})
		}
		rules = append(rules, Rule{
			Name: "GitHub Actions workflow, " + runner.environment, Builder: anyWorkflow, BuilderIsSAN: true,
			Issuer: githubIssuer, SAN: anyWorkflow, RunnerEnvironment: runner.environment, Level: runner.level,
		})
	}
	return rules
}
