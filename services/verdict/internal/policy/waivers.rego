# Findings that operators let pass for a time.
package assize.policy

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
