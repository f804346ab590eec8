# What the built-in policy makes of findings: malware, vulnerabilities, secrets,
# unsafe content, and what nobody could judge.
package assize.policy

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

# Nanoseconds since 1970 end in 2262. What is no moment at all is not countable.
countable(moment) if {
	regex.match(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$`, moment)
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

# --- Secrets and content ----------------------------------------------------

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
