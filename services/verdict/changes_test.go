package verdict

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"assize.dev/services/verdict/internal/join"
	"assize.dev/shared/event"
)

// superseding makes a case that replaces one with these findings, which was
// allowed, and reuses everything but the findings.
func superseding(t testing.TB, before, after []event.Finding) Case {
	t.Helper()
	earlier := clean()
	earlier.found(vul, before...)
	was := earlier.toCase(t)
	now := clean()
	now.found(vul, after...)
	c := now.toCase(t)
	c.Artifact.Lane, c.Artifact.Supersedes, c.Artifact.Reuse = event.LaneAgain, "01920000-0000-7000-8000-00000000000f", []event.Kind{sig, sbom, sec, con}
	c.ArtifactFact = encode(t, c.Artifact)
	c.Before = &join.Before{Decision: event.Allow, Grade: event.GradeCommunity, Evidence: was.Evidence}
	for i, p := range c.Evidence {
		c.Evidence[i].Reused = p.Kind != vul
	}
	return c
}

func replayable(t testing.TB, c Case) event.Decision {
	t.Helper()
	p, err := LoadPolicy(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	d, record, err := Decide(t.Context(), p, c)
	if err != nil {
		t.Fatal(err)
	}
	// Whatever is decided is decided again from the record.
	parsed, err := ParseRecord(record)
	if err != nil {
		t.Fatal(err)
	}
	again, err := parsed.Case()
	if err != nil {
		t.Fatal(err)
	}
	replayed, _, err := Decide(t.Context(), p, again)
	if err != nil || !reflect.DeepEqual(d, replayed) {
		t.Errorf("replayed: %+v, %v\nfirst: %+v", replayed, err, d)
	}
	return d
}

func TestChanges(t *testing.T) {
	old, kept := cve("CVE-1", event.Low, "pkg:gem/a@1"), cve("CVE-2", event.Medium, "pkg:gem/b@1")
	worse := kept
	worse.KEV = "2026-02-01"
	for name, test := range map[string]struct {
		before, after []event.Finding
		want          string
	}{
		"nothing":   {[]event.Finding{old}, []event.Finding{old}, ""},
		"new":       {nil, []event.Finding{cve("CVE-3", event.Critical, "pkg:gem/c@1", "2")}, "decision :allow>deny grade :community>risk finding CVE-3 pkg:gem/c@1:>critical, fixed in 2"},
		"gone":      {[]event.Finding{old, kept}, []event.Finding{kept}, "finding CVE-1 pkg:gem/a@1:low>"},
		"exploited": {[]event.Finding{kept}, []event.Finding{worse}, "finding CVE-2 pkg:gem/b@1:medium>medium, exploited since 2026-02-01"},
	} {
		var got []string
		for _, c := range replayable(t, superseding(t, test.before, test.after)).Changes {
			got = append(got, fmt.Sprintf("%s %s:%s>%s", c.What, c.Subject, c.From, c.To))
		}
		if s := strings.Join(got, " "); s != test.want {
			t.Errorf("%s: %s\nwant %s", name, s, test.want)
		}
	}
	var many []event.Finding
	for i := range event.MaxFindings {
		many = append(many, cve(fmt.Sprintf("CVE-%d", i), event.Low, "pkg:gem/a@1"))
	}
	changes := replayable(t, superseding(t, nil, many)).Changes
	if n := len(changes); n != event.MaxChanges || changes[n-1].What != "more" || !strings.HasPrefix(changes[n-1].Subject, "33 ") {
		t.Errorf("%d changes, the last %+v", n, changes[n-1])
	}
	first := clean().toCase(t)
	if d := replayable(t, first); d.Changes != nil {
		t.Errorf("the first verdict has changed something: %+v", d.Changes)
	}
}

// Evidence that was to be reused and is not there holds, also when replayed.
func TestReusedIsMissing(t *testing.T) {
	c := superseding(t, nil, nil)
	c.Before = nil
	for i, p := range c.Evidence {
		if p.Kind == sec {
			c.Evidence[i] = join.Piece{Kind: sec, Reused: true, Fault: "it was to be taken from an earlier run, and could not be"}
		}
	}
	if d := replayable(t, c); d.Decision != event.Hold || d.Reasons[0].Rule != "evidence/unusable" {
		t.Errorf("%s: %+v", d.Decision, d.Reasons)
	}
}

// What is known beyond an advisory is in the reason, and a VEX statement that
// it does not matter counts.
func TestVulnerabilityReasons(t *testing.T) {
	log4j := cve("CVE-2021-44228", event.Critical, "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1", "2.15.0")
	log4j.KEV, log4j.EPSS = "2021-12-10", 0.97565
	excused := log4j
	excused.VEX = &event.VEX{Status: event.VEXNotAffected, Author: "Vendor", Justification: "vulnerable_code_not_present"}
	affected := log4j
	affected.VEX = &event.VEX{Status: event.VEXAffected}
	for name, test := range map[string]struct {
		finding event.Finding
		want    event.Outcome
		message string
	}{
		"exploited": {log4j, event.Deny, "CVE-2021-44228 (critical, exploited since 2021-12-10, EPSS 0.98) in org.apache.logging.log4j/log4j-core 2.14.1, fixed in 2.15.0"},
		"excused":   {excused, event.Allow, "CVE-2021-44228 (critical) in org.apache.logging.log4j/log4j-core 2.14.1 does not count: Vendor says not_affected, vulnerable_code_not_present"},
		"affected":  {affected, event.Deny, "CVE-2021-44228 (critical, exploited"},
	} {
		f := clean()
		f.found(vul, test.finding)
		d := replayable(t, f.toCase(t))
		if d.Decision != test.want || !strings.HasPrefix(d.Reasons[0].Message, test.message) {
			t.Errorf("%s: %s, %q\nwant %s, %q", name, d.Decision, d.Reasons[0].Message, test.want, test.message)
		}
	}
}
