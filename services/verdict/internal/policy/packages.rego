# What the built-in policy says of packages and licences: of the artifact and of
# the components that its SBOM lists.
#
#   input.components        [{"purl": …, "name": …, "licenses": […], "named": […]}],
#                           the artifact itself first; licenses are SPDX
#                           expressions, named is what is none
#   input.componentsFault   why they are not known; absent if they are
package assize.policy

asks_for_components if count(settings.banned_packages) > 0

asks_for_components if asks_for_licenses

asks_for_licenses if count(settings.allowed_licenses) > 0

asks_for_licenses if count(settings.denied_licenses) > 0

# Without a whole list nothing can be said of what is not on it.
components_unknown := [r |
	asks_for_components
	why_unknown := components_fault
	r := reason("package/unknown", "hold", sprintf(
		"packages or licences are restricted, and it is not known which there are: %s: have the artifact examined again",
		[why_unknown],
	), "sbom")
]

components_fault := input.componentsFault if {
	input.componentsFault
} else := "there is no complete sbom evidence" if {
	not sbom_answered
}

sbom_answered if {
	not input.faults.sbom
	evidence.sbom.status in answered_statuses
}

components := object.get(input, "components", [])

# --- Packages ---------------------------------------------------------------

# The artifact counts under the name its bytes say and under the one the
# registry announced.
package_urls := array.concat(own_urls, [c.purl | some c in components; not c.purl in own_urls])

own_urls := [url |
	some key in ["purl", "announced"]
	url := object.get(input.artifact, key, "")
	url != ""
]

# For each ban, what it hits.
banned := assize.packages_matching(package_urls, settings.banned_packages)

banned_packages := [r |
	some i, ban in settings.banned_packages
	hits := [url | some url, "yes" in banned[i]]
	count(hits) > 0
	r := reason("package/banned", "deny", sprintf(
		"%s %s banned: %s: publish a version without it",
		[listed([component_name(url) | some url in hits]), verb(hits), ban.reason],
	), "sbom")
]

# A version that cannot be compared may be one that is banned.
incomparable_packages := [r |
	some i, ban in settings.banned_packages
	hits := [url | some url, "unknown" in banned[i]]
	count(hits) > 0
	r := reason("package/incomparable", "hold", sprintf(
		"%s may be banned (%s), but the version cannot be compared with %s: judge it by hand",
		[listed([component_name(url) | some url in hits]), ban.reason, ban.versions],
	), "sbom")
]

# allowed_packages is about the artifact, not about what is inside.
package_not_allowed := [r |
	count(settings.allowed_packages) > 0
	not some_allows(object.get(input.artifact, "purl", ""))
	r := reason("package/unlisted", "deny", sprintf(
		"%s is not one of the allowed packages: add it to allowed_packages",
		[own_name],
	), "")
]

some_allows(url) if {
	some hit in assize.packages_matching([url], settings.allowed_packages)
	hit[url] == "yes"
}

own_name := component_name(input.artifact.purl) if {
	input.artifact.purl
} else := input.artifact.name

# --- Licences ---------------------------------------------------------------

spdx_licenses := {l | some c in components; some l in c.licenses}

# What no component has as an expression.
named_licenses := {l | some c in components; some l in c.named} - spdx_licenses

license_expressions := spdx_licenses | named_licenses if {
	asks_for_licenses
} else := set()

# What each leaves to choose from; nothing if it is no expression.
choices[expression] := assize.license_choices(expression) if {
	some expression in spdx_licenses
}

choices[expression] := [] if {
	some expression in named_licenses
}

# The names of what is under a licence.
licensed(expression) := [called(c) |
	some c in components
	some list in [c.licenses, object.get(c, "named", [])]
	expression in list
]

called(c) := component_name(c.purl) if {
	c.purl != ""
} else := c.name

licenses_denied := [r |
	some expression in license_expressions
	not acceptable(expression)
	understood(expression)
	names := licensed(expression)
	r := reason("license/denied", "deny", sprintf(
		"%s, which %s, covers %s: publish a version without it, or allow the licence",
		[expression, license_fault(expression), listed(names)],
	), "sbom")
]

understood(expression) if count(choices[expression]) > 0

# Text that is no expression is understood if it is denied as it is.
understood(expression) if named_license(expression, license_words.denied)

# One of the choices that the expression leaves is fine.
acceptable(expression) if {
	some choice in choices[expression]
	every id in choice {
		permitted(id)
	}
}

# Text that is no expression is taken as it is.
acceptable(expression) if lower(expression) in license_words.allowed

license_words := {
	"allowed": {canonical_license(l) | some l in settings.allowed_licenses},
	"denied": {canonical_license(l) | some l in settings.denied_licenses},
}

# The settings may spell GPL-2.0-only as GPL-2.0, too.
canonical_license(text) := lower(assize.license_choices(text)[0][0]) if {
	count(assize.license_choices(text)) == 1
} else := lower(text)

# What is named outright beats what is named by its family or without its
# exception.
permitted(id) if lower(id) in license_words.allowed

permitted(id) if {
	not named_license(id, license_words.denied)
	within_allowed(id)
}

within_allowed(_) if count(settings.allowed_licenses) == 0

within_allowed(id) if named_license(id, license_words.allowed)

# An exception only adds permissions, so a licence with one is named by the
# licence, too.
named_license(id, patterns) if {
	some pattern in patterns
	some form in [lower(id), split(lower(id), " with ")[0]]
	glob.match(pattern, null, form)
}

license_fault(expression) := "is denied" if {
	some choice in array.concat([[expression]], choices[expression])
	some id in choice
	named_license(id, license_words.denied)
} else := "is not allowed"

# Neither allowed nor denied: nobody knows what the licence is.
licenses_unknown := [r |
	asks_for_licenses
	names := array.concat(
		[called(c) | some c in components; count(c.licenses) == 0; not c.named],
		[sprintf("%s (%s)", [name, expression]) |
			some expression in license_expressions
			not acceptable(expression)
			not understood(expression)
			some name in licensed(expression)
		],
	)
	count(names) > 0
	r := reason("license/unknown", settings.unknown_license, sprintf(
		"it is not known under which licence %s: declare it, or set unknown_license",
		[sprintf("%s %s", [listed(names), verb(names)])],
	), "sbom")
]
