# The built-in policy of Assize. It turns the evidence of one examination into
# a decision (allow, hold, deny), a grade (risk < community < verified <
# locked) and the reasons for both.
#
# It sees
#   input.artifact   the artifact fact
#   input.evidence   the evidence about this artifact, a list
#   input.faults     kind -> why evidence of that kind cannot be relied on
#   input.time       when the last of it came in, RFC 3339
#   input.settings   data.assize.settings, with what holds for this artifact only
#   input.components what the SBOM lists, see packages.rego
#
# and follows four principles:
#   1. Whatever speaks against an artifact counts, even in evidence that is
#      partial or failed. What speaks for it counts in complete evidence only.
#   2. Missing, partial or failed evidence is never a pass: it holds.
#   3. Deny outranks hold: known-bad stays bad while other evidence is late.
#   4. A word this policy does not know is taken for the worse.
#
# To write your own, copy these files into a directory, keep the package and the shape of
# "verdict", and point ASSIZE_POLICY at the directory.
package assize.policy

# What rules for this registry or package make of the settings.
settings := object.get(input, "settings", data.assize.settings)

# The entry point.
verdict := {"decision": decision, "grade": grade, "reasons": reasons}

reason(rule, outcome, message, kind) := {
	"rule": rule,
	"outcome": outcome,
	"message": message,
	"evidence": kind,
}

# --- Decision -------------------------------------------------------------

decision := "deny" if {
	some r in overruled
	r.outcome == "deny"
} else := "hold" if {
	some r in overruled
	r.outcome == "hold"
} else := "allow"

reasons := array.concat(overruled, [r | decision == "allow"; r := closing])

# Everything but the closing remark of an allow.
concerns := [r |
	some group in [
		denied_by_hand, signature_broken, malware, vulnerabilities, secrets, unsafe_content,
		grade_too_low, signature_required, slsa_too_low,
		banned_packages, package_not_allowed, licenses_denied,
		incomparable_packages, components_unknown, licenses_unknown,
		evidence_incomplete, evidence_old, advisories_old, unlisted_findings, unlisted_vulnerabilities, unevaluated,
		unsigned_by_hand, grade_explained, excused_vulnerabilities, spared_vulnerabilities, waived_findings, tolerated_secrets, tolerated_findings,
	]
	some r in group
]

all_is_well := reason(
	"evidence/complete", "allow",
	sprintf("%s complete, grade %s meets the minimum %s", [kinds_in_words, grade, settings.minimum_grade]),
	"",
)

kinds_in_words := "the one kind of evidence is" if {
	count(settings.required_evidence) == 1
} else := sprintf("all %d kinds of evidence", [count(settings.required_evidence)])

# --- Grade ----------------------------------------------------------------

grade := "risk" if {
	some group in [signature_broken, malware, vulnerabilities, secrets, unsafe_content]
	count(group) > 0
} else := "locked" if {
	trusted_signature
	signature.verification.slsaLevel >= 3
} else := "verified" if {
	trusted_signature
} else := "community"

grade_rank := {"risk": 1, "community": 2, "verified": 3, "locked": 4}

below_minimum if grade_rank[grade] < grade_rank[settings.minimum_grade]

grade_too_low := [r |
	below_minimum
	r := reason(
		"grade/minimum", shortfall_outcome,
		sprintf("grade %s is below %s: %s", [grade, settings.minimum_grade, shortfall]),
		shortfall_kind,
	)
]

# Why it is not better, where that is not plain.
grade_explained := [r |
	grade == "verified"
	not below_minimum
	level := object.get(signature.verification, "slsaLevel", 0)
	r := reason("grade/explained", "allow", sprintf(
		"verified, not locked: provenance of SLSA build level %d is proven, locked needs 3", [level],
	), "signature")
]

# A grade that is low only because nobody could look at the signatures yet is
# not the artifact's fault.
shortfall_outcome := "deny" if {
	grade == "risk"
} else := "deny" if {
	signature_answered
} else := "hold"

shortfall := "see what was found" if {
	grade == "risk"
} else := "the signatures could not be judged yet" if {
	not signature_answered
} else := "it has no signature by a trusted key" if {
	grade == "community"
} else := sprintf("it needs provenance of SLSA build level 3, level %d is proven", [signature.verification.slsaLevel])

shortfall_kind := "" if {
	grade == "risk"
} else := "signature"

# --- Evidence -------------------------------------------------------------

evidence := {e.kind: e | some e in input.evidence}

answered_statuses := {"complete", "not_applicable"}

evidence_incomplete := [r |
	some kind in array.concat(settings.required_evidence, optional_faults)
	message := incomplete(kind)
	r := reason(incomplete_rule(kind), "hold", message, kind)
]

# Evidence that contradicts itself or the artifact holds even where that kind
# is not required.
optional_faults := [kind |
	some kind, _ in input.faults
	not kind in settings.required_evidence
]

incomplete(kind) := sprintf("the %s evidence cannot be relied on: %s: have the artifact examined again", [kind, input.faults[kind]]) if {
	input.faults[kind]
} else := sprintf("there is no %s evidence: start its analyser and have the artifact examined again", [kind]) if {
	not evidence[kind]
} else := sprintf("the %s evidence failed: %s: mend that and have the artifact examined again", [kind, why(kind)]) if {
	evidence[kind].status == "failed"
} else := sprintf("the %s evidence is partial: %s: mend that and have the artifact examined again, or judge it by hand", [kind, why(kind)]) if {
	not evidence[kind].status in answered_statuses
}

incomplete_rule(kind) := "evidence/unusable" if {
	input.faults[kind]
} else := "evidence/missing" if {
	not evidence[kind]
} else := "evidence/failed" if {
	evidence[kind].status == "failed"
} else := "evidence/partial"

why(kind) := object.get(evidence[kind], "reason", "no reason was given")

# Evidence that was gathered long before the artifact is judged, as when it is
# judged again by another policy.
evidence_old := [r |
	settings.maximum_evidence_age_days > 0
	some e in input.evidence
	e.kind in settings.required_evidence
	how_old := age_fault(object.get(e, "finished", ""), settings.maximum_evidence_age_days)
	r := reason("evidence/old", "hold", sprintf(
		"the %s evidence %s, at most %d are accepted: have the artifact examined again",
		[e.kind, how_old, settings.maximum_evidence_age_days],
	), e.kind)
]

# What has no date, or one to come, may be of any age.
age_fault(moment, most) := sprintf("is %d days old", [floor(days_between(moment, input.time))]) if {
	days_between(moment, input.time) > most
} else := "is of an age nobody knows" if {
	not plausible(moment)
}

# Clocks differ, but not by days.
plausible(moment) if days_between(moment, input.time) > -1

advisories_old := [r |
	settings.maximum_advisories_age_days > 0
	e := evidence.vulnerabilities
	e.status == "complete"
	how_old := age_fault(object.get(e, ["basis", "advisoriesUpdated"], ""), settings.maximum_advisories_age_days)
	r := reason("advisories/old", "hold", sprintf(
		"what is known of advisories %s, at most %d are accepted: update them and have the artifact examined again",
		[how_old, settings.maximum_advisories_age_days],
	), e.kind)
]

# Evidence lists only its worst findings. Where even the mildest one listed is
# as bad as what would make a risk, yet none did, one that is not listed may.
unlisted_findings := [r |
	some e in input.evidence
	listed := object.get(e, "findings", [])
	e.findingsTotal > count(listed)
	mildest(listed) >= min([rank(severity) |
		some severity in [settings.vulnerability_severity, settings.content_severity, settings.secret_severity]
	])
	not has_risk(e)
	r := reason("evidence/unlisted", "hold", sprintf(
		"%d of %d findings of the %s evidence are not listed and may be as bad as those that are: read its document \"findings\"",
		[e.findingsTotal - count(listed), e.findingsTotal, e.kind],
	), e.kind)
]

# Where mild ones may count, too, every one that is not listed may.
unlisted_vulnerabilities := [r |
	mild_may_count
	e := evidence.vulnerabilities
	listed := object.get(e, "findings", [])
	e.findingsTotal > count(listed)
	not has_risk(e)
	r := reason("evidence/unlisted", "hold", sprintf(
		"%d of %d vulnerabilities are not listed and may be exploited, likely to be, or grave: read the document \"findings\"",
		[e.findingsTotal - count(listed), e.findingsTotal],
	), e.kind)
]

mild_may_count if settings.vulnerability_exploited

mild_may_count if settings.vulnerability_epss > 0

mild_may_count if settings.vulnerability_cvss > 0

mildest(listed) := min([rank(f.severity) | some f in listed]) if {
	count(listed) > 0
} else := 4

has_risk(e) if {
	some group in [malware, vulnerabilities, secrets, unsafe_content]
	some r in group
	r.evidence == e.kind
}
