package verdict

import (
	"fmt"
	"strings"
	"testing"

	"assize.dev/services/verdict/internal/policy"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

const (
	sig, sbom, sec, con, vul = event.KindSignature, event.KindSBOM, event.KindSecrets, event.KindContent, event.KindVulnerabilities

	closing  = "allow evidence/complete [] all 5 kinds of evidence complete, grade community meets the minimum community"
	allowed  = "allow community\n" + closing
	riskDeny = "\ndeny grade/minimum [] grade risk is below community: see what was found"
)

func cve(id string, severity event.Severity, component string, fixed ...string) event.Finding {
	return event.Finding{ID: id, Class: event.ClassVulnerability, Severity: severity, Component: component, Fixed: fixed, Message: "m"}
}

func waive(w policy.Waiver) func(*policy.Settings) {
	w.Reason, w.Owner = "not reachable", "ann"
	return func(s *policy.Settings) { s.Waivers = []policy.Waiver{w} }
}

// rated is a vulnerability of which more is known; it was published so many days
// before it was looked up.
func rated(severity event.Severity, epss, score float64, kev string, days int) event.Finding {
	f := cve("CVE-1", severity, "pkg:gem/rack@1", "2")
	f.EPSS, f.Score, f.KEV, f.Published = epss, score, kev, testTime.AddDate(0, 0, -days)
	return f
}

func secret(severity event.Severity, confidence string) event.Finding {
	return event.Finding{ID: "github-pat", Class: event.ClassSecret, Severity: severity, Confidence: confidence, Location: "lib/config.py", Line: 12}
}

func minimum(g event.Grade) func(*policy.Settings) {
	return func(s *policy.Settings) { s.MinimumGrade = g }
}

// The table of decisions: what is said about the artifact, and what follows.
func TestDecisions(t *testing.T) {
	other := digest.Of([]byte("other bytes"))
	again := ": have the artifact examined again"
	for _, tt := range []struct {
		name     string
		settings func(*policy.Settings)
		facts    func(facts)
		want     string
	}{
		{"clean", nil, func(facts) {}, allowed},
		{"not applicable answers", nil, func(f facts) { f.status(sbom, event.NotApplicable, "") }, allowed},
		{"trusted signature", nil, func(f facts) { f.signed(0) },
			"allow verified\nallow grade/explained [signature] verified, not locked: provenance of SLSA build level 0 is proven, locked needs 3\nallow evidence/complete [] all 5 kinds of evidence complete, grade verified meets the minimum community"},
		{"trusted signature, build level 2", nil, func(f facts) { f.signed(2) },
			"allow verified\nallow grade/explained [signature] verified, not locked: provenance of SLSA build level 2 is proven, locked needs 3\nallow evidence/complete [] all 5 kinds of evidence complete, grade verified meets the minimum community"},
		{"trusted signature, build level 3", minimum(event.GradeLocked), func(f facts) { f.signed(3) },
			"allow locked\nallow evidence/complete [] all 5 kinds of evidence complete, grade locked meets the minimum locked"},
		{"one kind required", func(s *policy.Settings) { s.RequiredEvidence = []event.Kind{sec} }, func(f facts) { delete(f, sbom) },
			"allow community\nallow evidence/complete [] the one kind of evidence is complete, grade community meets the minimum community"},

		{"unsigned below verified", minimum(event.GradeVerified), func(facts) {},
			"deny community\ndeny grade/minimum [signature] grade community is below verified: it has no signature by a trusted key"},
		{"signed below locked", minimum(event.GradeLocked), func(f facts) { f.signed(1) },
			"deny verified\ndeny grade/minimum [signature] grade verified is below locked: it needs provenance of SLSA build level 3, level 1 is proven"},
		{"signatures not looked at, verified wanted", minimum(event.GradeVerified), func(f facts) { f.status(sig, event.Failed, "key directory is unreadable") },
			"hold community\nhold grade/minimum [signature] grade community is below verified: the signatures could not be judged yet\n" +
				"hold evidence/failed [signature] the signature evidence failed: key directory is unreadable: mend that and have the artifact examined again"},
		{"signature evidence missing and not required, verified wanted",
			func(s *policy.Settings) {
				s.MinimumGrade, s.RequiredEvidence = event.GradeVerified, []event.Kind{sbom, sec, con, vul}
			},
			func(f facts) { delete(f, sig) },
			"hold community\nhold grade/minimum [signature] grade community is below verified: the signatures could not be judged yet"},
		{"pass in partial evidence is none", nil, func(f facts) { f.signed(3); f.status(sig, event.Partial, "timed out") },
			"hold community\nhold evidence/partial [signature] the signature evidence is partial: timed out: mend that and have the artifact examined again, or judge it by hand"},

		{"signature fails", nil, func(f facts) {
			f[sig].Verification = &event.Verification{Result: event.Fail, Signatures: []event.Signature{{Kind: "pspf", Trust: event.UnknownTrust, Reason: "bytes changed"}},
				Checks: []event.Check{{Name: "structure.trailer", OK: true}, {Name: "integrity.metadata", Detail: "checksum differs"}}}
		}, "deny risk\ndeny signature/failed [signature] the signature or what it signs does not hold: check integrity.metadata failed: checksum differs: obtain an intact copy from the publisher" + riskDeny},
		{"denied signer", nil, func(f facts) {
			f[sig].Verification = &event.Verification{Result: event.Fail, Signatures: []event.Signature{{Kind: "ed25519", Valid: true, Trust: event.Denied, Signer: "SHA256:bad"}}}
		}, "deny risk\ndeny signature/failed [signature] the signature or what it signs does not hold: signer SHA256:bad is denied: obtain an intact copy from the publisher" + riskDeny},
		{"signature fails and risk is tolerated", minimum(event.GradeRisk), func(f facts) {
			f[sig].Verification = &event.Verification{Result: event.Fail}
		}, "deny risk\ndeny signature/failed [signature] the signature or what it signs does not hold: verification failed: obtain an intact copy from the publisher"},

		{"critical vulnerability with a fix", nil, func(f facts) { f.found(vul, cve("CVE-2021-35042", event.Critical, "pkg:pypi/django@3.2.0", "3.2.1")) },
			"deny risk\ndeny vulnerability/known [vulnerabilities] CVE-2021-35042 (critical) in django 3.2.0, fixed in 3.2.1" + riskDeny},
		{"exploited, though only of low severity", func(s *policy.Settings) { s.VulnerabilityExploited = true }, func(f facts) { f.found(vul, rated(event.Low, 0, 0, "2026-01-01", 400)) },
			"deny risk\ndeny vulnerability/known [vulnerabilities] CVE-1 (low, exploited since 2026-01-01) in rack 1, fixed in 2" + riskDeny},
		{"exploited, and nobody asks", nil, func(f facts) { f.found(vul, rated(event.Low, 0, 0, "2026-01-01", 400)) },
			"allow community\nallow finding/tolerated [vulnerabilities] below the threshold in the vulnerabilities evidence: 1, the worst is CVE-1 (low)\n" + closing},
		{"likely to be exploited", func(s *policy.Settings) { s.VulnerabilityEPSS = 0.5 }, func(f facts) { f.found(vul, rated(event.Medium, 0.5, 0, "", 400)) },
			"deny risk\ndeny vulnerability/known [vulnerabilities] CVE-1 (medium, EPSS 0.50) in rack 1, fixed in 2" + riskDeny},
		{"less likely", func(s *policy.Settings) { s.VulnerabilityEPSS = 0.5 }, func(f facts) { f.found(vul, rated(event.Medium, 0.49, 0, "", 400)) },
			"allow community\nallow finding/tolerated [vulnerabilities] below the threshold in the vulnerabilities evidence: 1, the worst is CVE-1 (medium)\n" + closing},
		{"by its score", func(s *policy.Settings) { s.VulnerabilityCVSS = 6.5 }, func(f facts) { f.found(vul, rated(event.Medium, 0, 6.5, "", 400)) },
			"deny risk\ndeny vulnerability/known [vulnerabilities] CVE-1 (medium) in rack 1, fixed in 2" + riskDeny},
		{"no fix, and only those with one count", func(s *policy.Settings) { s.VulnerabilityFixableOnly = true }, func(f facts) { f.found(vul, cve("CVE-1", event.Critical, "pkg:gem/rack@1")) },
			"allow community\nallow vulnerability/spared [vulnerabilities] CVE-1 (critical) in rack 1 does not count: no fixed version is known\n" + closing},
		{"in its days of grace", func(s *policy.Settings) { s.VulnerabilityGraceDays = 14 }, func(f facts) { f.found(vul, rated(event.High, 0, 0, "", 3)) },
			"allow community\nallow vulnerability/spared [vulnerabilities] CVE-1 (high) in rack 1 does not count: it was published 3 days before, and 14 are granted\n" + closing},
		{"after its days of grace", func(s *policy.Settings) { s.VulnerabilityGraceDays = 14 }, func(f facts) { f.found(vul, rated(event.High, 0, 0, "", 14)) },
			"deny risk\ndeny vulnerability/known [vulnerabilities] CVE-1 (high) in rack 1, fixed in 2" + riskDeny},
		{"no grace for what is exploited", func(s *policy.Settings) { s.VulnerabilityGraceDays = 14 }, func(f facts) { f.found(vul, rated(event.High, 0, 0, "2026-03-03", 3)) },
			"deny risk\ndeny vulnerability/known [vulnerabilities] CVE-1 (high, exploited since 2026-03-03) in rack 1, fixed in 2" + riskDeny},
		{"no grace without a day of publication", func(s *policy.Settings) { s.VulnerabilityGraceDays = 14 }, func(f facts) { f.found(vul, cve("CVE-1", event.High, "pkg:gem/rack@1", "2")) },
			"deny risk\ndeny vulnerability/known [vulnerabilities] CVE-1 (high) in rack 1, fixed in 2" + riskDeny},
		{"more than are listed, and mild ones may count", func(s *policy.Settings) { s.VulnerabilityEPSS = 0.5 },
			func(f facts) { f.found(vul, rated(event.Low, 0.1, 0, "", 400)); f[vul].FindingsTotal = 200 },
			"hold community\nhold evidence/unlisted [vulnerabilities] 199 of 200 vulnerabilities are not listed and may be exploited, likely to be, or grave: read the document \"findings\"\n" +
				"allow finding/tolerated [vulnerabilities] below the threshold in the vulnerabilities evidence: 1, the worst is CVE-1 (low)"},
		{"waived until a day to come", waive(policy.Waiver{Finding: "CVE-1", Expires: "2026-03-05"}), func(f facts) { f.found(vul, rated(event.High, 0, 0, "", 400)) },
			"allow community\nallow finding/waived [vulnerabilities] CVE-1 (high) in rack 1 does not count until 2026-03-05: not reachable (ann)\n" + closing},
		{"waived until today", waive(policy.Waiver{Finding: "CVE-1", Expires: "2026-03-04"}), func(f facts) { f.found(vul, rated(event.High, 0, 0, "", 400)) },
			"deny risk\ndeny vulnerability/known [vulnerabilities] CVE-1 (high) in rack 1, fixed in 2" + riskDeny},
		{"waived by alias, in a package", waive(policy.Waiver{Finding: "GHSA-1", Package: "pkg:gem/rack", Expires: "2027-01-01"}),
			func(f facts) {
				v := rated(event.High, 0, 0, "", 400)
				v.Aliases = []string{"GHSA-1"}
				f.found(vul, v)
			},
			"allow community\nallow finding/waived [vulnerabilities] CVE-1 (high) in rack 1 does not count until 2027-01-01: not reachable (ann)\n" + closing},
		{"waived in another package", waive(policy.Waiver{Finding: "CVE-1", Package: "pkg:gem/rac", Expires: "2027-01-01"}), func(f facts) { f.found(vul, rated(event.High, 0, 0, "", 400)) },
			"deny risk\ndeny vulnerability/known [vulnerabilities] CVE-1 (high) in rack 1, fixed in 2" + riskDeny},
		{"waived in another version", waive(policy.Waiver{Package: "pkg:gem/rack@2", Expires: "2027-01-01"}), func(f facts) { f.found(vul, rated(event.High, 0, 0, "", 400)) },
			"deny risk\ndeny vulnerability/known [vulnerabilities] CVE-1 (high) in rack 1, fixed in 2" + riskDeny},
		{"waived in another artifact", waive(policy.Waiver{Artifact: string(other), Expires: "2027-01-01"}), func(f facts) { f.found(vul, rated(event.High, 0, 0, "", 400)) },
			"deny risk\ndeny vulnerability/known [vulnerabilities] CVE-1 (high) in rack 1, fixed in 2" + riskDeny},
		{"a secret waived in this artifact", waive(policy.Waiver{Finding: "github-pat", Artifact: string(testDigest), Expires: "2027-01-01"}), func(f facts) { f.found(sec, secret(event.High, "checksum")) },
			"allow community\nallow finding/waived [secrets] github-pat (high) in lib/config.py line 12 does not count until 2027-01-01: not reachable (ann)\n" + closing},
		{"malware is not waived", waive(policy.Waiver{Artifact: string(testDigest), Expires: "2027-01-01"}),
			func(f facts) {
				f.found(vul, event.Finding{ID: "MAL-1", Class: event.ClassMalware, Severity: event.Critical, Component: "pkg:gem/rack@1"})
			},
			"deny risk\ndeny malware/known [vulnerabilities] rack 1 is malware: MAL-1: do not install it, and look for where it already is" + riskDeny},
		{"waived and excused: the statement speaks", waive(policy.Waiver{Finding: "CVE-1", Expires: "2027-01-01"}),
			func(f facts) {
				v := rated(event.High, 0, 0, "", 400)
				v.VEX = &event.VEX{Status: event.VEXNotAffected, Author: "vendor", Justification: "component_not_present"}
				f.found(vul, v)
			},
			"allow community\nallow vulnerability/excused [vulnerabilities] CVE-1 (high) in rack 1 does not count: vendor says not_affected, component_not_present\n" + closing},
		{"waived, and one that is not", waive(policy.Waiver{Finding: "CVE-1", Expires: "2027-01-01"}),
			func(f facts) {
				f.found(vul, rated(event.High, 0, 0, "", 400), cve("CVE-2", event.Critical, "pkg:gem/rack@1"))
			},
			"deny risk\ndeny vulnerability/known [vulnerabilities] CVE-2 (critical) in rack 1, no fixed version is known" + riskDeny +
				"\nallow finding/waived [vulnerabilities] CVE-1 (high) in rack 1 does not count until 2027-01-01: not reachable (ann)"},
		{"unjudged and waived", waive(policy.Waiver{Package: "pkg:gem/rack", Expires: "2027-01-01"}),
			func(f facts) {
				f.found(vul, event.Finding{ID: "unevaluated", Class: event.ClassUnevaluated, Severity: event.High, Component: "pkg:gem/rack@1"})
			},
			"allow community\nallow finding/waived [vulnerabilities] unevaluated (high) in rack 1 does not count until 2027-01-01: not reachable (ann)\n" + closing},
		{"signature and build level, both missing", func(s *policy.Settings) { s.RequireSignature, s.MinimumSLSALevel = []string{"sigstore"}, 3 }, func(facts) {},
			"deny community\ndeny signature/required [signature] no valid signature by a trusted key of kind sigstore: have the publisher sign it\n" +
				"deny slsa/minimum [signature] provenance of SLSA build level 3 is asked for, level 0 is proven"},
		{"signature of a kind that is asked for", func(s *policy.Settings) { s.RequireSignature = []string{"openpgp", "ed25519"} }, func(f facts) { f.signed(0) },
			"allow verified\nallow grade/explained [signature] verified, not locked: provenance of SLSA build level 0 is proven, locked needs 3\nallow evidence/complete [] all 5 kinds of evidence complete, grade verified meets the minimum community"},
		{"signature of another kind", func(s *policy.Settings) { s.RequireSignature = []string{"openpgp", "sigstore"} }, func(f facts) { f.signed(0) },
			"deny verified\ndeny signature/required [signature] no valid signature by a trusted key of kind openpgp or sigstore: have the publisher sign it\nallow grade/explained [signature] verified, not locked: provenance of SLSA build level 0 is proven, locked needs 3"},
		{"signature asked for, and none looked at", func(s *policy.Settings) { s.RequireSignature = []string{"openpgp"} }, func(f facts) { f.status(sig, event.Failed, "broken") },
			"hold community\nhold signature/required [signature] no valid signature by a trusted key of kind openpgp: have the publisher sign it\n" +
				"hold evidence/failed [signature] the signature evidence failed: broken: mend that and have the artifact examined again"},
		{"build level that is asked for", func(s *policy.Settings) { s.MinimumSLSALevel = 2 }, func(f facts) { f.signed(2) },
			"allow verified\nallow grade/explained [signature] verified, not locked: provenance of SLSA build level 2 is proven, locked needs 3\nallow evidence/complete [] all 5 kinds of evidence complete, grade verified meets the minimum community"},
		{"lower build level", func(s *policy.Settings) { s.MinimumSLSALevel = 2 }, func(f facts) { f.signed(1) },
			"deny verified\ndeny slsa/minimum [signature] provenance of SLSA build level 2 is asked for, level 1 is proven\nallow grade/explained [signature] verified, not locked: provenance of SLSA build level 1 is proven, locked needs 3"},
		{"no provenance", func(s *policy.Settings) { s.MinimumSLSALevel = 1 }, func(facts) {},
			"deny community\ndeny slsa/minimum [signature] provenance of SLSA build level 1 is asked for, level 0 is proven"},
		{"vulnerability without a fix, scoped name", nil, func(f facts) { f.found(vul, cve("GHSA-1", event.High, "pkg:npm/%40babel/core@7.0.0?x=1#y")) },
			"deny risk\ndeny vulnerability/known [vulnerabilities] GHSA-1 (high) in @babel/core 7.0.0, no fixed version is known" + riskDeny},
		{"unknown severity counts as high", nil, func(f facts) { f.found(vul, cve("OSV-1", event.Unknown, "pkg:golang/example.org/x/y@v1.2.3")) },
			"deny risk\ndeny vulnerability/known [vulnerabilities] OSV-1 (unknown) in example.org/x/y v1.2.3, no fixed version is known" + riskDeny},
		{"invented severity counts as high", nil, func(f facts) { f.found(vul, cve("OSV-2", "dreadful", "pkg:gem/rack@1")) },
			"deny risk\ndeny vulnerability/known [vulnerabilities] OSV-2 (dreadful) in rack 1, no fixed version is known" + riskDeny},
		{"unknown severity below a critical threshold", func(s *policy.Settings) { s.VulnerabilitySeverity = event.Critical },
			func(f facts) { f.found(vul, cve("OSV-1", event.Unknown, "pkg:gem/rack@1")) },
			"allow community\nallow finding/tolerated [vulnerabilities] below the threshold in the vulnerabilities evidence: 1, the worst is OSV-1 (unknown)\n" + closing},
		{"component without version", nil, func(f facts) { f.found(vul, cve("C", event.High, "pkg:gem/rack")) },
			"deny risk\ndeny vulnerability/known [vulnerabilities] C (high) in rack, no fixed version is known" + riskDeny},
		{"component that is no purl, three fixes at most", nil, func(f facts) { f.found(vul, cve("C", event.High, "zlib", "1", "2", "3", "4")) },
			"deny risk\ndeny vulnerability/known [vulnerabilities] C (high) in zlib, fixed in 1, 2, 3" + riskDeny},
		{"medium vulnerabilities are remarked on", nil, func(f facts) {
			f.found(vul, cve("CVE-1", event.Low, "pkg:gem/a@1"), cve("CVE-2", event.Medium, "pkg:gem/b@1"))
		}, "allow community\nallow finding/tolerated [vulnerabilities] below the threshold in the vulnerabilities evidence: 2, the worst is CVE-2 (medium)\n" + closing},
		{"medium is the threshold", func(s *policy.Settings) { s.VulnerabilitySeverity = event.Medium },
			func(f facts) { f.found(vul, cve("CVE-2", event.Medium, "pkg:gem/b@1")) },
			"deny risk\ndeny vulnerability/known [vulnerabilities] CVE-2 (medium) in b 1, no fixed version is known" + riskDeny},
		{"risk is tolerated", minimum(event.GradeRisk), func(f facts) { f.found(vul, cve("CVE-2", event.Critical, "pkg:gem/b@1")) },
			"allow risk\nallow vulnerability/known [vulnerabilities] CVE-2 (critical) in b 1, no fixed version is known\n" +
				"allow evidence/complete [] all 5 kinds of evidence complete, grade risk meets the minimum risk"},
		{"informational is nothing", nil, func(f facts) {
			f.found(vul, event.Finding{ID: "RUSTSEC-1", Class: event.ClassInformational, Severity: event.High})
		}, allowed},

		{"malware of any severity", minimum(event.GradeRisk), func(f facts) {
			f.found(vul, event.Finding{ID: "MAL-2024-1", Class: event.ClassMalware, Severity: event.Info, Component: "pkg:npm/evil@1.0.0", Message: "steals tokens"})
		}, "deny risk\ndeny malware/known [vulnerabilities] evil 1.0.0 is malware: MAL-2024-1: steals tokens: do not install it, and look for where it already is"},

		{"live secret", nil, func(f facts) { f.found(sec, secret(event.High, "checksum")) },
			"deny risk\ndeny secret/live [secrets] lib/config.py line 12 holds a secret: github-pat (high, checksum): revoke it and publish a version without it" + riskDeny},
		{"secret of unstated confidence", nil, func(f facts) { f.found(sec, secret(event.Critical, "")) },
			"deny risk\ndeny secret/live [secrets] lib/config.py line 12 holds a secret: github-pat (critical): revoke it and publish a version without it" + riskDeny},
		{"generic and medium secrets are remarked on", nil, func(f facts) {
			f.found(sec, secret(event.High, "generic"), secret(event.Medium, "checksum"))
		}, "allow community\nallow secret/possible [secrets] lib/config.py line 12 may hold a secret: github-pat (high, generic): look at it\n" +
			"allow secret/possible [secrets] lib/config.py line 12 may hold a secret: github-pat (medium, checksum): look at it\n" + closing},
		{"entropy is not enough", func(s *policy.Settings) { s.SecretConfidence = "structure" }, func(f facts) { f.found(sec, secret(event.High, "entropy")) },
			"allow community\nallow secret/possible [secrets] lib/config.py line 12 may hold a secret: github-pat (high, entropy): look at it\n" + closing},

		{"unsafe content", nil, func(f facts) {
			f.found(con, event.Finding{ID: "content/traversal", Class: event.ClassContent, Severity: event.High, Location: "../../etc/passwd", Message: "leaves the directory it is unpacked in"})
		}, "deny risk\ndeny content/unsafe [content] ../../etc/passwd is unsafe: content/traversal (high): leaves the directory it is unpacked in" + riskDeny},
		{"a class nobody knows is judged as content", nil, func(f facts) {
			f.found(con, event.Finding{ID: "x", Class: "heresy", Severity: event.Critical, Message: "bad"})
		}, "deny risk\ndeny content/unsafe [content] shop is unsafe: x (critical): bad" + riskDeny},
		{"unevaluated, mild", nil, func(f facts) {
			f.found(vul, event.Finding{ID: "no-source", Class: event.ClassUnevaluated, Severity: event.Info, Message: "2 components"})
		}, "allow community\nallow finding/unevaluated [vulnerabilities] shop was not judged: no-source: 2 components\n" + closing},
		{"unevaluated, of unknown weight", nil, func(f facts) {
			f.found(vul, event.Finding{ID: "no-source", Class: event.ClassUnevaluated, Severity: event.Unknown, Message: "2 components"})
		}, "hold community\nhold finding/unevaluated [vulnerabilities] shop was not judged: no-source: 2 components"},
		{"third party's finding counts", func(s *policy.Settings) { s.RequiredEvidence = append(s.RequiredEvidence, "antivirus") }, func(f facts) {
			f.add("antivirus")
			f.found("antivirus", event.Finding{ID: "eicar", Class: event.ClassMalware, Severity: event.Critical, Location: "a.exe"})
		}, "deny risk\ndeny malware/known [antivirus] a.exe is malware: eicar: do not install it, and look for where it already is" + riskDeny},

		{"missing", nil, func(f facts) { delete(f, vul) },
			"hold community\nhold evidence/missing [vulnerabilities] there is no vulnerabilities evidence: start its analyser and have the artifact examined again"},
		{"failed", nil, func(f facts) { f.status(vul, event.Failed, "no advisories loaded") },
			"hold community\nhold evidence/failed [vulnerabilities] the vulnerabilities evidence failed: no advisories loaded: mend that and have the artifact examined again"},
		{"partial", nil, func(f facts) { f.status(con, event.Partial, "archive is damaged") },
			"hold community\nhold evidence/partial [content] the content evidence is partial: archive is damaged: mend that and have the artifact examined again, or judge it by hand"},
		{"third party's kind is missing", func(s *policy.Settings) { s.RequiredEvidence = append(s.RequiredEvidence, "antivirus") }, func(facts) {},
			"hold community\nhold evidence/missing [antivirus] there is no antivirus evidence: start its analyser and have the artifact examined again"},
		{"finding in partial evidence counts, deny outranks hold", nil, func(f facts) {
			f.status(vul, event.Partial, "npm is not loaded")
			f.found(vul, cve("CVE-1", event.High, "pkg:gem/a@1"))
		}, "deny risk\ndeny vulnerability/known [vulnerabilities] CVE-1 (high) in a 1, no fixed version is known" + riskDeny + "\n" +
			"hold evidence/partial [vulnerabilities] the vulnerabilities evidence is partial: npm is not loaded: mend that and have the artifact examined again, or judge it by hand"},
		{"evidence of another artifact", nil, func(f facts) {
			f[sbom].Artifact = other
		}, fmt.Sprintf("hold community\nhold evidence/unusable [sbom] the sbom evidence cannot be relied on: evidence of another artifact: it examined %s, the artifact is %s%s", other, testDigest, again)},
		{"signature of another artifact does not verify this one", nil, func(f facts) { f.signed(3); f[sig].Artifact = other },
			fmt.Sprintf("hold community\nhold evidence/unusable [signature] the signature evidence cannot be relied on: evidence of another artifact: it examined %s, the artifact is %s%s", other, testDigest, again)},
		{"evidence nobody required is of another artifact", func(s *policy.Settings) { s.RequiredEvidence = []event.Kind{sig, sec, con, vul} },
			func(f facts) { f[sbom].Artifact = other },
			fmt.Sprintf("hold community\nhold evidence/unusable [sbom] the sbom evidence cannot be relied on: evidence of another artifact: it examined %s, the artifact is %s%s", other, testDigest, again)},
		{"evidence breaks the contract", nil, func(f facts) { f[sec].Status = "splendid" },
			"hold community\nhold evidence/unusable [secrets] the secrets evidence cannot be relied on: it breaks the contract (invalid event: assize.evidence.secrets.registry%2Eexample." + testRun + ": status: unknown value \"splendid\")" + again},
		{"pass without a trusted signature", nil, func(f facts) { f[sig].Verification.Result = event.Pass },
			"hold community\nhold evidence/unusable [signature] the signature evidence cannot be relied on: it passes without a valid signature by a trusted key" + again},
		{"build level that does not exist", nil, func(f facts) { f.signed(9) },
			"hold community\nhold evidence/unusable [signature] the signature evidence cannot be relied on: SLSA build level 9 does not exist" + again},
		{"verification left out", nil, func(f facts) { f[sig].Verification = nil },
			"hold community\nhold evidence/unusable [signature] the signature evidence cannot be relied on: it is complete but says nothing of the verification" + again},
		{"result that does not exist", nil, func(f facts) { f[sig].Verification.Result = "PASS" },
			"hold community\nhold evidence/unusable [signature] the signature evidence cannot be relied on: verification result \"PASS\" is unknown" + again},
		{"basis too large, findings count all the same", nil, func(f facts) {
			f[vul].Basis = map[string]string{"x": strings.Repeat("y", 5000)}
			f.found(vul, cve("CVE-1", event.High, "pkg:gem/a@1"))
		}, "deny risk\ndeny vulnerability/known [vulnerabilities] CVE-1 (high) in a 1, no fixed version is known" + riskDeny + "\n" +
			"hold evidence/unusable [vulnerabilities] the vulnerabilities evidence cannot be relied on: its basis takes 5001 bytes, at most 4096" + again},
		{"unlisted findings may be worse", nil, func(f facts) {
			f.found(sec, secret(event.High, "generic"))
			f[sec].FindingsTotal = 5
		}, "hold community\nhold evidence/unlisted [secrets] 4 of 5 findings of the secrets evidence are not listed and may be as bad as those that are: read its document \"findings\"\n" +
			"allow secret/possible [secrets] lib/config.py line 12 may hold a secret: github-pat (high, generic): look at it"},
		{"nothing listed of what was found", nil, func(f facts) { f[vul].FindingsTotal = 1 },
			"hold community\nhold evidence/unlisted [vulnerabilities] 1 of 1 findings of the vulnerabilities evidence are not listed and may be as bad as those that are: read its document \"findings\""},
		{"unlisted findings are milder", nil, func(f facts) {
			f.found(vul, cve("CVE-1", event.Low, "pkg:gem/a@1"))
			f[vul].FindingsTotal = 900
		}, "allow community\nallow finding/tolerated [vulnerabilities] below the threshold in the vulnerabilities evidence: 1, the worst is CVE-1 (low)\n" + closing},
		{"control characters of foreign origin", nil, func(f facts) {
			f.found(vul, cve("CVE-1\x1b[2J", event.High, "pkg:gem/a\n@1\u202e"))
		}, "deny risk\ndeny vulnerability/known [vulnerabilities] CVE-1 [2J (high) in a  1 , no fixed version is known" + riskDeny},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := clean()
			tt.facts(f)
			if got := show(decide(t, builtIn(t, tt.settings), f.toCase(t))); got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}
