# How the built-in policy says things.
package assize.policy

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

verb(names) := "is" if {
	count(names) == 1
} else := "are"

# The first three of them, sorted.
listed(names) := concat(", ", sort(names)) if {
	count(names) <= 3
} else := sprintf("%s and %d more", [concat(", ", array.slice(sort(names), 0, 3)), count(names) - 3])
