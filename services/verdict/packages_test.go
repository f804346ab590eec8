package verdict

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"assize.dev/services/verdict/internal/policy"
	"assize.dev/shared/blob"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// inside is what the SBOM of a test lists: "purl licence" or "purl" alone; ~
// marks what the SBOM knows to be no expression.
func inside(lines ...string) []policy.Component {
	all := []policy.Component{{PURL: "pkg:pypi/shop@1.0", Name: "shop 1.0", Licenses: []string{"MIT"}}}
	for _, line := range lines {
		purl, license, _ := strings.Cut(line, " ")
		c := policy.Component{PURL: purl, Licenses: []string{}}
		if name, named := strings.CutPrefix(license, "~"); named {
			c.Named = append(c.Named, name)
		} else if license != "" {
			c.Licenses = append(c.Licenses, license)
		}
		all = append(all, c)
	}
	return all
}

func allow(licenses ...string) func(*policy.Settings) {
	return func(s *policy.Settings) { s.AllowedLicenses = licenses }
}

func deny(licenses ...string) func(*policy.Settings) {
	return func(s *policy.Settings) { s.DeniedLicenses, s.UnknownLicense = licenses, event.Allow }
}

func hold(denied ...string) func(*policy.Settings) {
	return func(s *policy.Settings) { s.DeniedLicenses = denied }
}

func ban(purl, versions string) func(*policy.Settings) {
	return func(s *policy.Settings) {
		s.BannedPackages = []policy.Ban{{Package: purl, Versions: versions, Reason: "it was taken over"}}
	}
}

func only(purls ...string) func(*policy.Settings) {
	return func(s *policy.Settings) {
		for _, p := range purls {
			s.AllowedPackages = append(s.AllowedPackages, policy.Allowed{Package: p})
		}
	}
}

func rule(when policy.When, set map[string]any) func(*policy.Settings) {
	return func(s *policy.Settings) { s.Rules = append(s.Rules, policy.Rule{When: when, Set: set}) }
}

// The table of decisions on packages, licences, ages and rules.
func TestDecisionsOnPackages(t *testing.T) {
	verified := map[string]any{"minimum_grade": "verified"}
	const unsigned = "deny community\ndeny grade/minimum [signature] grade community is below verified: it has no signature by a trusted key"
	const undated = "hold community\nhold evidence/old [content] the content evidence is of an age nobody knows, at most 30 are accepted: have the artifact examined again"
	const explained = "allow verified\nallow grade/explained [signature] verified, not locked: provenance of SLSA build level 0 is proven, locked needs 3\n" +
		"allow evidence/complete [] all 5 kinds of evidence complete, grade verified meets the minimum community"
	for _, tt := range []struct {
		name     string
		settings func(*policy.Settings)
		inside   []policy.Component
		change   func(*Case)
		want     string
	}{
		{"allowed licence", allow("MIT"), inside("pkg:npm/a@1 MIT"), nil, allowed},
		{"licence in another case", allow("mit"), inside("pkg:npm/a@1 MIT"), nil, allowed},
		{"not on the list", allow("MIT"), inside("pkg:npm/a@1 GPL-3.0-only"), nil,
			"deny community\ndeny license/denied [sbom] GPL-3.0-only, which is not allowed, covers a 1: publish a version without it, or allow the licence"},
		{"one choice of two is allowed", allow("MIT"), inside("pkg:npm/a@1 GPL-3.0-only OR MIT"), nil, allowed},
		{"both are to be kept", allow("MIT"), inside("pkg:npm/a@1 GPL-3.0-only AND MIT"), nil,
			"deny community\ndeny license/denied [sbom] GPL-3.0-only AND MIT, which is not allowed, covers a 1: publish a version without it, or allow the licence"},
		{"a choice inside parentheses", allow("MIT", "BSD-3-Clause"), inside("pkg:npm/a@1 BSD-3-Clause AND (GPL-2.0-only OR MIT)"), nil, allowed},
		{"denied, but there is a choice", deny("GPL-*"), inside("pkg:npm/a@1 GPL-3.0-only OR MIT"), nil, allowed},
		{"denied by its family", deny("GPL-*"), inside("pkg:npm/a@1 GPL-3.0-or-later"), nil,
			"deny community\ndeny license/denied [sbom] GPL-3.0-or-later, which is denied, covers a 1: publish a version without it, or allow the licence"},
		{"denied in its old spelling", deny("GPL-2.0-only"), inside("pkg:npm/a@1 GPL-2.0"), nil,
			"deny community\ndeny license/denied [sbom] GPL-2.0, which is denied, covers a 1: publish a version without it, or allow the licence"},
		{"denied with an exception all the same", deny("GPL-2.0-only"), inside("pkg:npm/a@1 GPL-2.0-only WITH Classpath-exception-2.0"), nil,
			"deny community\ndeny license/denied [sbom] GPL-2.0-only WITH Classpath-exception-2.0, which is denied, covers a 1: publish a version without it, or allow the licence"},
		{"denied, but allowed with its exception", func(s *policy.Settings) {
			s.DeniedLicenses = []string{"GPL-*"}
			s.AllowedLicenses = []string{"MIT", "GPL-2.0-only WITH Classpath-exception-2.0"}
		}, inside("pkg:npm/a@1 GPL-2.0-only WITH Classpath-exception-2.0"), nil, allowed},
		{"allowed with any exception", allow("MIT", "Apache-2.0"), inside("pkg:npm/a@1 Apache-2.0 WITH LLVM-exception"), nil, allowed},
		{"nobody knows the licence", allow("MIT"), inside("pkg:npm/a@1"), nil,
			"hold community\nhold license/unknown [sbom] it is not known under which licence a 1 is: declare it, or set unknown_license"},
		{"text that is no licence", allow("MIT"), inside("pkg:npm/a@1 see the file"), nil,
			"hold community\nhold license/unknown [sbom] it is not known under which licence a 1 (see the file) is: declare it, or set unknown_license"},
		{"text that is no licence, and listed", allow("MIT", "see the file"), inside("pkg:npm/a@1 see the file"), nil, allowed},
		{"unknown licences are denied", func(s *policy.Settings) { s.AllowedLicenses, s.UnknownLicense = []string{"MIT"}, event.Deny }, inside("pkg:npm/a@1", "pkg:npm/b@2"), nil,
			"deny community\ndeny license/unknown [sbom] it is not known under which licence a 1, b 2 are: declare it, or set unknown_license"},
		{"unknown licences and nobody asks", nil, inside("pkg:npm/a@1"), nil, allowed},
		{"an expression of too many choices", allow("MIT"), inside("pkg:npm/a@1 " + strings.Repeat("(MIT OR X) AND ", 10) + "MIT"), nil,
			"hold community\nhold license/unknown [sbom] it is not known under which licence a 1 (" + strings.Repeat("(MIT OR X) AND ", 10) + "MIT) is: declare it, or set unknown_license"},

		{"denied in its old spelling in the settings", deny("GPL-2.0"), inside("pkg:npm/a@1 GPL-2.0-only"), nil,
			"deny community\ndeny license/denied [sbom] GPL-2.0-only, which is denied, covers a 1: publish a version without it, or allow the licence"},
		{"denied, in another case", deny("GPL-2.0-only"), inside("pkg:npm/a@1 gpl-2.0"), nil,
			"deny community\ndeny license/denied [sbom] gpl-2.0, which is denied, covers a 1: publish a version without it, or allow the licence"},
		{"text that is denied", deny("*proprietary*"), inside("pkg:npm/a@1 ~Acme Proprietary License"), nil,
			"deny community\ndeny license/denied [sbom] Acme Proprietary License, which is denied, covers a 1: publish a version without it, or allow the licence"},
		{"a word that is no expression", hold("GPL-*"), inside("pkg:npm/a@1 ~LICENSE"), nil,
			"hold community\nhold license/unknown [sbom] it is not known under which licence a 1 (LICENSE) is: declare it, or set unknown_license"},
		{"a word that is one elsewhere", hold("GPL-*"), inside("pkg:npm/a@1 ~MIT", "pkg:npm/b@1 MIT"), nil, allowed},
		{"nothing asserted", hold("GPL-*"), inside("pkg:npm/a@1 NOASSERTION"), nil,
			"hold community\nhold license/unknown [sbom] it is not known under which licence a 1 (NOASSERTION) is: declare it, or set unknown_license"},
		{"two licences at once, one denied", deny("GPL-*"), []policy.Component{{PURL: "pkg:npm/a@1", Licenses: []string{"MIT", "GPL-3.0-only"}}}, nil,
			"deny community\ndeny license/denied [sbom] GPL-3.0-only, which is denied, covers a 1: publish a version without it, or allow the licence"},

		{"banned inside", ban("pkg:npm/event-stream", ""), inside("pkg:npm/event-stream@3.3.6 MIT"), nil,
			"deny community\ndeny package/banned [sbom] event-stream 3.3.6 is banned: it was taken over: publish a version without it"},
		{"banned in a version", ban("pkg:npm/event-stream", ">=3.3.6, <4"), inside("pkg:npm/event-stream@3.3.10"), nil,
			"deny community\ndeny package/banned [sbom] event-stream 3.3.10 is banned: it was taken over: publish a version without it"},
		{"banned in other versions", ban("pkg:npm/event-stream", ">=3.3.6, <4"), inside("pkg:npm/event-stream@3.3.5", "pkg:npm/event-stream@4.0.0"), nil, allowed},
		{"banned by its exact version", ban("pkg:npm/event-stream@3.3.6", ""), inside("pkg:npm/event-stream@3.3.6"), nil,
			"deny community\ndeny package/banned [sbom] event-stream 3.3.6 is banned: it was taken over: publish a version without it"},
		{"banned as a scope", ban("pkg:npm/%40evil/*", ""), inside("pkg:npm/%40evil/x@1", "pkg:npm/%40good/x@1"), nil,
			"deny community\ndeny package/banned [sbom] @evil/x 1 is banned: it was taken over: publish a version without it"},
		{"another type of the same name", ban("pkg:npm/requests", ""), inside("pkg:pypi/requests@1"), nil, allowed},
		{"the artifact itself is banned", ban("pkg:pypi/Shop", "<2"), inside(), nil,
			"deny community\ndeny package/banned [sbom] shop 1.0 is banned: it was taken over: publish a version without it"},
		{"banned under the name that was announced", ban("pkg:pypi/other", ""), inside(), func(c *Case) { c.Artifact.Announced = "pkg:pypi/other@1" },
			"deny community\ndeny package/banned [sbom] other 1 is banned: it was taken over: publish a version without it"},
		{"a version that cannot be compared", ban("pkg:npm/a", "<2"), inside("pkg:npm/a@latest"), nil,
			"hold community\nhold package/incomparable [sbom] a latest may be banned (it was taken over), but the version cannot be compared with <2: judge it by hand"},
		{"no version at all", ban("pkg:npm/a", "<2"), inside("pkg:npm/a"), nil,
			"hold community\nhold package/incomparable [sbom] a may be banned (it was taken over), but the version cannot be compared with <2: judge it by hand"},
		{"components are not known", ban("pkg:npm/a", ""), nil, func(c *Case) { c.Without = "the SBOM is gone" },
			"hold community\nhold package/unknown [sbom] packages or licences are restricted, and it is not known which there are: the SBOM is gone: have the artifact examined again"},
		{"the SBOM is not asked for, and partial", func(s *policy.Settings) { allow("MIT")(s); s.RequiredEvidence = []event.Kind{sec} }, inside("pkg:npm/a@1 MIT"), func(c *Case) {
			for i := range c.Evidence {
				if c.Evidence[i].Kind == sbom {
					c.Evidence[i].Evidence.Status = event.Partial
				}
			}
		}, "hold community\nhold package/unknown [sbom] packages or licences are restricted, and it is not known which there are: there is no complete sbom evidence: have the artifact examined again"},
		{"one of the allowed packages", only("pkg:npm/*", "pkg:pypi/sh*"), nil, nil, allowed},
		{"none of the allowed packages", only("pkg:npm/*"), nil, nil,
			"deny community\ndeny package/unlisted [] shop 1.0 is not one of the allowed packages: add it to allowed_packages"},
		{"bytes that name no package are none of them", only("pkg:pypi/*"), nil, func(c *Case) { c.Artifact.PURL = "" },
			"deny community\ndeny package/unlisted [] shop is not one of the allowed packages: add it to allowed_packages"},

		{"evidence that is too old", func(s *policy.Settings) { s.MaximumEvidenceAgeDays = 30 }, nil, func(c *Case) { c.Time = testTime.AddDate(0, 0, 31) },
			"hold community\n" + strings.Join([]string{
				"hold evidence/old [signature] the signature evidence is 31 days old, at most 30 are accepted: have the artifact examined again",
				"hold evidence/old [sbom] the sbom evidence is 31 days old, at most 30 are accepted: have the artifact examined again",
				"hold evidence/old [secrets] the secrets evidence is 31 days old, at most 30 are accepted: have the artifact examined again",
				"hold evidence/old [content] the content evidence is 31 days old, at most 30 are accepted: have the artifact examined again",
				"hold evidence/old [vulnerabilities] the vulnerabilities evidence is 31 days old, at most 30 are accepted: have the artifact examined again",
			}, "\n")},
		{"evidence of the last day", func(s *policy.Settings) { s.MaximumEvidenceAgeDays = 30 }, nil, func(c *Case) { c.Time = testTime.AddDate(0, 0, 30) }, allowed},
		{"advisories that are too old", func(s *policy.Settings) { s.MaximumAdvisoriesAgeDays = 7 }, nil, func(c *Case) { updated(c, testTime.AddDate(0, 0, -8)) },
			"hold community\nhold advisories/old [vulnerabilities] what is known of advisories is 8 days old, at most 7 are accepted: update them and have the artifact examined again"},
		{"advisories of this week", func(s *policy.Settings) { s.MaximumAdvisoriesAgeDays = 7 }, nil, func(c *Case) { updated(c, testTime.AddDate(0, 0, -7)) }, allowed},
		{"advisories of an age nobody knows", func(s *policy.Settings) { s.MaximumAdvisoriesAgeDays = 7 }, nil, nil,
			"hold community\nhold advisories/old [vulnerabilities] what is known of advisories is of an age nobody knows, at most 7 are accepted: update them and have the artifact examined again"},
		{"evidence without a date", func(s *policy.Settings) { s.MaximumEvidenceAgeDays = 30 }, nil, finished(time.Time{}), undated},
		{"evidence with a date to come", func(s *policy.Settings) { s.MaximumEvidenceAgeDays = 30 }, nil, finished(testTime.AddDate(1, 0, 0)), undated},
		{"evidence by a clock that is fast", func(s *policy.Settings) { s.MaximumEvidenceAgeDays = 30 }, nil, finished(testTime.Add(time.Hour)), allowed},

		{"signed by the publisher that is asked for", publisher("Corp *"), nil, signedBy("Corp Release"), explained},
		{"signed by another publisher", publisher("Corp *"), nil, signedBy("Ann"),
			"deny verified\ndeny signature/required [signature] no valid signature by a trusted key of Corp *: have the publisher sign it\n" +
				"allow grade/explained [signature] verified, not locked: provenance of SLSA build level 0 is proven, locked needs 3"},
		{"signed by that publisher in another way", func(s *policy.Settings) { publisher("Corp *")(s); s.RequireSignature = []string{"openpgp"} }, nil, signedBy("Corp Release"),
			"deny verified\ndeny signature/required [signature] no valid signature by a trusted key of kind openpgp of Corp *: have the publisher sign it\n" +
				"allow grade/explained [signature] verified, not locked: provenance of SLSA build level 0 is proven, locked needs 3"},

		{"a rule for this registry", rule(policy.When{Registry: "registry.*"}, verified), nil, nil, unsigned},
		{"a rule for another registry", rule(policy.When{Registry: "corp-*"}, verified), nil, nil, allowed},
		{"a rule for this package", rule(policy.When{Package: "pkg:pypi/shop", Versions: ">=1"}, verified), nil, nil, unsigned},
		{"a rule for other versions", rule(policy.When{Package: "pkg:pypi/shop", Versions: ">=1.1"}, verified), nil, nil, allowed},
		{"a rule for what was announced", rule(policy.When{Package: "pkg:pypi/shop"}, verified), nil, func(c *Case) { c.Artifact.PURL, c.Artifact.Announced = "", "pkg:pypi/shop@1" }, unsigned},
		{"a rule for a tag", rule(policy.When{Tag: "production"}, verified), nil, func(c *Case) { c.Artifact.Tags = []string{"latest", "production"} }, unsigned},
		{"a rule for a tag it has not", rule(policy.When{Tag: "production"}, verified), nil, nil, allowed},
		{"the later rule wins", func(s *policy.Settings) {
			rule(policy.When{Registry: "*"}, verified)(s)
			rule(policy.When{Package: "pkg:pypi/*"}, map[string]any{"minimum_grade": "community"})(s)
		}, nil, nil, allowed},
		{"a rule that bans", rule(policy.When{Registry: "*"}, map[string]any{"banned_packages": []any{map[string]any{"package": "pkg:npm/a", "reason": "no"}}}), inside("pkg:npm/a@1"), nil,
			"deny community\ndeny package/banned [sbom] a 1 is banned: no: publish a version without it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := clean().toCase(t)
			c.Components = tt.inside
			if tt.change != nil {
				tt.change(&c)
				c.ArtifactFact = encode(t, c.Artifact)
			}
			if got := show(decide(t, builtIn(t, tt.settings), c)); got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

func publisher(names ...string) func(*policy.Settings) {
	return func(s *policy.Settings) { s.RequirePublisher = names }
}

func signedBy(publisher string) func(*Case) {
	return func(c *Case) {
		for i := range c.Evidence {
			if c.Evidence[i].Kind == sig {
				c.Evidence[i].Evidence.Verification = &event.Verification{Result: event.Pass, Signatures: []event.Signature{
					{Kind: "ed25519", Valid: true, Trust: event.Trusted, Signer: "SHA256:abc", Publisher: publisher},
				}}
			}
		}
	}
}

func finished(when time.Time) func(*Case) {
	return func(c *Case) {
		for i := range c.Evidence {
			if c.Evidence[i].Kind == con {
				c.Evidence[i].Evidence.Finished = when
			}
		}
	}
}

func updated(c *Case, when time.Time) {
	for i := range c.Evidence {
		if c.Evidence[i].Kind == vul {
			c.Evidence[i].Evidence.Basis["advisoriesUpdated"] = when.Format(time.RFC3339)
		}
	}
}

// Waivers change nothing beside what they name: over random findings, one for
// another finding, package, artifact or time leaves the decision as it is.
func TestWaiversOutsideTheirScope(t *testing.T) {
	elsewhere := []policy.Waiver{
		{Finding: "F-1000", Expires: "2027-01-01"},
		{Package: "pkg:npm/another", Expires: "2027-01-01"},
		{Package: "pkg:npm/a@2", Expires: "2027-01-01"},
		{Artifact: string(digest.Of([]byte("another"))), Expires: "2027-01-01"},
		{Artifact: string(testDigest), Expires: "2026-03-04"}, // the day it is judged
		{Artifact: string(testDigest), Finding: "F-1000", Expires: "2027-01-01"},
	}
	policies := map[*Policy]*Policy{}
	for _, g := range []event.Grade{event.GradeRisk, event.GradeCommunity} {
		with := builtIn(t, func(s *policy.Settings) {
			s.MinimumGrade = g
			for _, w := range elsewhere {
				w.Reason, w.Owner = "r", "o"
				s.Waivers = append(s.Waivers, w)
			}
		})
		policies[builtIn(t, minimum(g))] = with
	}
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 7))
		c := anyFacts(r).toCase(t)
		for without, with := range policies {
			if a, b := show(decide(t, without, c)), show(decide(t, with, c)); a != b {
				t.Fatalf("seed %d:\n%s\nwith waivers for something else:\n%s", seed, a, b)
			}
		}
	}
}

// Whatever a policy restricts, an SBOM that is gone, of other bytes or no SBOM
// holds.
func TestComponentsComeFromTheSBOM(t *testing.T) {
	document := []byte(`{"bomFormat":"CycloneDX","metadata":{"component":{"name":"shop","licenses":[{"license":{"id":"MIT"}}]}},
		"components":[{"group":"org","name":"a","version":"1","purl":"pkg:maven/org/a@1","licenses":[{"expression":"MIT OR X"},{"license":{"name":"Own"}}],
		"components":[{"name":"nested","purl":"pkg:npm/nested@2"}]}]}`)
	p := builtIn(t, ban("pkg:npm/nested", ""))
	for name, tt := range map[string]struct {
		stored []byte
		want   string
	}{
		"as it should be": {document, "deny package/banned"},
		"gone":            {nil, "hold package/unknown"},
		"other bytes":     {[]byte(`{"bomFormat":"CycloneDX","components":[{"name":"a"}]}`), "hold package/unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			store, err := blob.OpenDir(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			f := clean()
			d := digest.Of(document)
			f[sbom].Documents = []event.Document{{Name: "sbom", Key: blob.DocumentKey(d), Digest: d, Size: int64(len(document))}}
			if tt.stored != nil {
				putObject(t, store, blob.DocumentKey(d), tt.stored)
			}
			c := f.toCase(t)
			if err := AddComponents(t.Context(), store, p, &c); err != nil {
				t.Fatal(err)
			}
			got := decide(t, p, c)
			if first := string(got.Reasons[0].Outcome) + " " + got.Reasons[0].Rule; first != tt.want {
				t.Errorf("got %s\n%s", first, show(got))
			}
		})
	}
	all, err := componentsOf(document)
	if err != nil || len(all) != 3 || all[1].Name != "org a 1" || strings.Join(all[1].Licenses, "|") != "MIT OR X" || strings.Join(all[1].Named, "|") != "Own" {
		t.Errorf("%+v, %v", all, err)
	}
}

// Many bans of many packages are decided in time, and what a hostile SBOM says
// fits into a record.
func TestManyBansAndHostileNames(t *testing.T) {
	p := builtIn(t, func(s *policy.Settings) {
		for i := range 1000 {
			s.BannedPackages = append(s.BannedPackages, policy.Ban{Package: fmt.Sprintf("pkg:npm/banned-%d", i), Versions: "<2", Reason: "no"})
		}
	})
	c := clean().toCase(t)
	for i := range 10_000 {
		c.Components = append(c.Components, policy.Component{PURL: fmt.Sprintf("pkg:npm/fine-%d@1.0.0", i), Licenses: []string{}})
	}
	if got := show(decide(t, p, c)); got != allowed {
		t.Errorf("%.500s", got)
	}

	name := `{"name":"` + strings.Repeat(`\u0001`, maxWord) + `"}` // six bytes each in JSON
	text := `{"bomFormat":"CycloneDX","components":[` + name + strings.Repeat(","+name, maxListed/6/maxWord) + "]}"
	if all, err := componentsOf([]byte(text)); err == nil || !strings.Contains(err.Error(), "take more than") {
		t.Errorf("%d components, %v", len(all), err)
	}
}

func putObject(t *testing.T, store blob.Store, key string, text []byte) {
	t.Helper()
	if err := store.Create(context.Background(), key, strings.NewReader(string(text)), int64(len(text))); err != nil {
		t.Fatal(err)
	}
}

func FuzzComponentsOf(f *testing.F) {
	f.Add([]byte(`{"bomFormat":"CycloneDX","components":[{"name":"a","licenses":[{"license":{"id":"MIT"}},{}],"components":[{}]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := componentsOf(text)
		if (err == nil) != (len(all) > 0) {
			t.Errorf("%d components, error %v", len(all), err)
		}
	})
}
