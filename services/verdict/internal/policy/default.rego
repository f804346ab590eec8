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
# To write your own, copy this file, keep the package and the shape of
# "verdict", and point ASSIZE_POLICY at it.
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
		unsigned_by_hand, excused_vulnerabilities, spared_vulnerabilities, waived_findings, tolerated_secrets, tolerated_findings,
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

# --- Signatures and provenance that are asked for ---------------------------

# What nobody could look at yet holds; what was looked at and is not there denies.
signature_outcome := "deny" if {
	signature_answered
} else := "hold"

signature_required := [r |
	count(settings.require_signature) > 0
	not signed_as_required
	r := reason("signature/required", signature_outcome, sprintf(
		"no valid signature by a trusted key of kind %s: have the publisher sign it",
		[concat(" or ", settings.require_signature)],
	), "signature")
]

signed_as_required if {
	trusted_signature
	some s in signature.verification.signatures
	s.valid
	s.trust == "trusted"
	s.kind in settings.require_signature
}

slsa_too_low := [r |
	slsa_level < settings.minimum_slsa_level
	r := reason("slsa/minimum", signature_outcome, sprintf(
		"provenance of SLSA build level %d is asked for, level %d is proven",
		[settings.minimum_slsa_level, slsa_level],
	), "signature")
]

slsa_level := object.get(signature.verification, "slsaLevel", 0) if {
	trusted_signature
} else := 0

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
	days := days_between(e.finished, input.time)
	days > settings.maximum_evidence_age_days
	r := reason("evidence/old", "hold", sprintf(
		"the %s evidence is %d days old, at most %d are accepted: have the artifact examined again",
		[e.kind, floor(days), settings.maximum_evidence_age_days],
	), e.kind)
]

advisories_old := [r |
	settings.maximum_advisories_age_days > 0
	e := evidence.vulnerabilities
	e.status == "complete"
	why_old := advisories_fault(e)
	r := reason("advisories/old", "hold", sprintf(
		"%s, at most %d days are accepted: update them and have the artifact examined again",
		[why_old, settings.maximum_advisories_age_days],
	), e.kind)
]

advisories_fault(e) := "it is not known how old the advisories were" if {
	not dated(e)
} else := sprintf("the advisories were updated %d days before", [floor(days)]) if {
	days := days_between(e.basis.advisoriesUpdated, input.time)
	days > settings.maximum_advisories_age_days
}

dated(e) if countable(e.basis.advisoriesUpdated)

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

# --- Signatures -----------------------------------------------------------

signature := evidence.signature

trusted_signature if {
	not input.faults.signature
	signature.status == "complete"
	signature.verification.result == "pass"
	some s in signature.verification.signatures
	s.valid
	s.trust == "trusted"
}

signature_answered if {
	not input.faults.signature
	signature.status in answered_statuses
}

signature_broken := [r |
	signature.verification.result == "fail"
	r := reason("signature/failed", "deny", sprintf(
		"the signature or what it signs does not hold: %s: obtain an intact copy from the publisher",
		[broken_in_words],
	), "signature")
]

broken_in_words := concat("; ", array.slice(broken, 0, 3)) if {
	count(broken) > 0
} else := "verification failed"

broken := array.concat(
	[text |
		some s in signature.verification.signatures
		some text in signature_faults(s)
	],
	[text |
		some c in signature.verification.checks
		not c.ok
		text := sprintf("check %s failed%s", [c.name, after(object.get(c, "detail", ""))])
	],
)

signature_faults(s) := [sprintf("signer %s is denied", [object.get(s, "signer", "unnamed")])] if {
	s.trust == "denied"
} else := [sprintf("the %s signature is not valid%s", [s.kind, after(object.get(s, "reason", ""))])] if {
	not s.valid
	not check_failed # which says the same, and where
} else := []

check_failed if {
	some c in signature.verification.checks
	not c.ok
}

# --- Findings -------------------------------------------------------------

# Unknown severities, and words that are none, count as high.
severity_rank := {"critical": 4, "high": 3, "medium": 2, "low": 1, "info": 0}

rank(severity) := object.get(severity_rank, severity, 3)

# Unknown confidence counts as certainty.
confidence_rank := {"checksum": 3, "structure": 2, "entropy": 1, "generic": 0}

confidence(f) := object.get(confidence_rank, object.get(f, "confidence", ""), 3)

# What makes a risk denies, unless the operator asked for risk to be allowed.
harm := "allow" if {
	settings.minimum_grade == "risk"
} else := "deny"

malware := [r |
	some e in input.evidence
	some f in e.findings
	f.class == "malware"
	r := reason("malware/known", "deny", sprintf(
		"%s is malware: %s%s: do not install it, and look for where it already is",
		[subject(f), f.id, after(f.message)],
	), e.kind)
]

vulnerabilities := [r |
	some e in input.evidence
	some f in e.findings
	f.class == "vulnerability"
	serious(f)
	not excused(f)
	not spared(f, e)
	not waived(f)
	r := reason("vulnerability/known", harm, sprintf(
		"%s (%s) in %s, %s",
		[f.id, gravity(f), subject(f), fixed_in_words(f)],
	), e.kind)
]

serious(f) if rank(f.severity) >= rank(settings.vulnerability_severity)

serious(f) if {
	settings.vulnerability_exploited
	f.kev
}

serious(f) if {
	settings.vulnerability_epss > 0
	f.epss >= settings.vulnerability_epss
}

serious(f) if {
	settings.vulnerability_cvss > 0
	f.score >= settings.vulnerability_cvss
}

# Why a serious one does not count, as the operator wants it.
spared(f, e) := "no fixed version is known" if {
	settings.vulnerability_fixable_only
	count(object.get(f, "fixed", [])) == 0
} else := sprintf("it was published %d days before, and %d are granted", [floor(age(f, e)), settings.vulnerability_grace_days]) if {
	settings.vulnerability_grace_days > 0
	not f.kev
	age(f, e) < settings.vulnerability_grace_days
}

# In days, when it was looked up; undefined if one of the days is not known.
age(f, e) := days_between(f.published, e.finished)

days_between(from, to) := (time.parse_rfc3339_ns(to) - time.parse_rfc3339_ns(from)) / (((24 * 60) * 60) * 1000000000) if {
	countable(from)
	countable(to)
}

# Nanoseconds since 1970 end in 2262.
countable(moment) if {
	moment >= "1970"
	moment < "2262"
}

spared_vulnerabilities := [r |
	some e in input.evidence
	some f in e.findings
	f.class == "vulnerability"
	serious(f)
	not excused(f)
	not waived(f)
	why_not := spared(f, e)
	r := reason("vulnerability/spared", "allow", sprintf(
		"%s (%s) in %s does not count: %s",
		[f.id, gravity(f), subject(f), why_not],
	), e.kind)
]

# VEX statements are those that the operator has configured.
excused(f) if f.vex.status in {"not_affected", "fixed"}

excused_vulnerabilities := [r |
	some e in input.evidence
	some f in e.findings
	f.class == "vulnerability"
	excused(f)
	r := reason("vulnerability/excused", "allow", sprintf(
		"%s (%s) in %s does not count: %s says %s%s",
		[f.id, f.severity, subject(f), object.get(f.vex, "author", "a VEX statement"), f.vex.status, because(f.vex)],
	), e.kind)
]

because(vex) := sprintf(", %s", [vex.justification]) if {
	vex.justification
} else := sprintf(", %s", [vex.statement]) if {
	vex.statement
} else := ""

# "critical, exploited since 2021-12-10, EPSS 0.97"
gravity(f) := concat(", ", [word |
	some word in [f.severity, exploited(f), likely(f)]
	word != ""
])

exploited(f) := sprintf("exploited since %s", [f.kev]) if {
	f.kev
} else := ""

likely(f) := sprintf("EPSS %.2f", [f.epss]) if {
	f.epss >= 0.01
} else := ""

# --- Waivers ----------------------------------------------------------------

# The first waiver that lets a finding pass on the day it is judged.
waived(f) := waivers(f)[0]

waivers(f) := [w |
	some w in settings.waivers
	named(w, f)
	in_package(w, f)
	w.artifact in {"", input.artifact.digest}
	substring(input.time, 0, 10) < w.expires
]

named(w, _) if w.finding == ""

named(w, f) if w.finding == f.id

named(w, f) if w.finding in object.get(f, "aliases", [])

in_package(w, _) if w.package == ""

in_package(w, f) if w.package == f.component

in_package(w, f) if {
	some separator in ["@", "?"]
	startswith(f.component, concat("", [w.package, separator]))
}

# What would count, had it not been waived.
waived_findings := [r |
	some e in input.evidence
	some f in e.findings
	would_count(f)
	w := waived(f)
	r := reason("finding/waived", "allow", sprintf(
		"%s (%s) in %s does not count until %s: %s (%s)",
		[f.id, f.severity, about(f), w.expires, w.reason, w.owner],
	), e.kind)
]

about(f) := subject(f) if {
	f.component
} else := place(f)

would_count(f) if {
	f.class == "vulnerability"
	serious(f)
	not excused(f)
}

would_count(f) if {
	f.class == "secret"
	live(f)
}

would_count(f) if {
	not f.class in other_classes
	rank(f.severity) >= rank(settings.content_severity)
}

would_count(f) if f.class == "unevaluated"

live(f) if {
	rank(f.severity) >= rank(settings.secret_severity)
	confidence(f) >= confidence_rank[settings.secret_confidence]
}

secrets := [r |
	some e in input.evidence
	some f in e.findings
	f.class == "secret"
	live(f)
	not waived(f)
	r := reason("secret/live", harm, sprintf(
		"%s holds a secret: %s (%s): revoke it and publish a version without it",
		[place(f), f.id, graded(f)],
	), e.kind)
]

tolerated_secrets := [r |
	some e in input.evidence
	some f in e.findings
	f.class == "secret"
	not live(f)
	r := reason("secret/possible", "allow", sprintf(
		"%s may hold a secret: %s (%s): look at it",
		[place(f), f.id, graded(f)],
	), e.kind)
]

# Classes that are judged by rules of their own; every other one, known or
# not, is judged as content is.
other_classes := {"malware", "vulnerability", "secret", "informational", "unevaluated"}

unsafe_content := [r |
	some e in input.evidence
	some f in e.findings
	not f.class in other_classes
	rank(f.severity) >= rank(settings.content_severity)
	not waived(f)
	r := reason("content/unsafe", harm, sprintf(
		"%s is unsafe: %s (%s)%s",
		[place(f), f.id, f.severity, after(f.message)],
	), e.kind)
]

unevaluated := [r |
	some e in input.evidence
	some f in e.findings
	f.class == "unevaluated"
	not waived(f)
	r := reason("finding/unevaluated", unevaluated_outcome(f), sprintf(
		"%s was not judged: %s%s",
		[subject(f), f.id, after(f.message)],
	), e.kind)
]

unevaluated_outcome(f) := "hold" if {
	rank(f.severity) >= rank(settings.unevaluated_severity)
} else := "allow"

# One remark for each kind of evidence with findings below the threshold.
tolerated_findings := [r |
	some e in input.evidence
	below := [f | some f in e.findings; tolerated(f)]
	count(below) > 0
	r := reason("finding/tolerated", "allow", sprintf(
		"below the threshold in the %s evidence: %d, the worst is %s (%s)",
		[e.kind, count(below), below[0].id, below[0].severity],
	), e.kind)
]

tolerated(f) if {
	f.class == "vulnerability"
	not excused(f)
	not serious(f)
}

tolerated(f) if {
	not f.class in other_classes
	rank(f.severity) < rank(settings.content_severity)
}

# --- Words ----------------------------------------------------------------

after(text) := "" if {
	text == ""
} else := sprintf(": %s", [text])

graded(f) := concat(", ", [word |
	some word in [f.severity, object.get(f, "confidence", "")]
	word != ""
])

fixed_in_words(f) := sprintf("fixed in %s", [concat(", ", array.slice(f.fixed, 0, 3))]) if {
	count(f.fixed) > 0
} else := "no fixed version is known"

# Where in the artifact: "lib/config.py line 12".
place(f) := sprintf("%s line %d", [f.location, f.line]) if {
	f.line > 0
	f.location
} else := f.location if {
	f.location
} else := subject(f)

# What it is about: "django 3.2.0", "@babel/core 7.0.0", else the artifact.
subject(f) := component_name(f.component) if {
	f.component
} else := f.location if {
	f.location
} else := input.artifact.name

# Name and version out of a package URL; text that is none stays as it is.
component_name(purl) := sprintf("%s %s", [readable(substring(path, 0, at)), readable(substring(path, at + 1, -1))]) if {
	path := purl_path(purl)
	at := max(indexof_n(path, "@"))
	at > 0
} else := readable(purl_path(purl))

purl_path(purl) := substring(body, indexof(body, "/") + 1, -1) if {
	startswith(purl, "pkg:")
	body := trim_prefix(split(split(purl, "?")[0], "#")[0], "pkg:")
} else := purl

readable(text) := replace(replace(replace(text, "%40", "@"), "%2B", "+"), "%20", " ")
