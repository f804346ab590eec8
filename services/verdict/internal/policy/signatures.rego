# What the built-in policy makes of signatures and provenance.
package assize.policy

# --- Signatures and provenance that are asked for ---------------------------

# What nobody could look at yet holds; what was looked at and is not there denies.
signature_outcome := "deny" if {
	signature_answered
} else := "hold"

signature_required := [r |
	asks_for_signature
	not signed_as_required
	r := reason("signature/required", signature_outcome, sprintf(
		"no valid signature by a trusted key%s%s: have the publisher sign it",
		[one_of(" of kind ", settings.require_signature), one_of(" of ", settings.require_publisher)],
	), "signature")
]

asks_for_signature if count(settings.require_signature) > 0

asks_for_signature if count(settings.require_publisher) > 0

one_of(word, list) := concat("", [word, concat(" or ", list)]) if {
	count(list) > 0
} else := ""

signed_as_required if {
	trusted_signature
	some s in signature.verification.signatures
	s.valid
	s.trust == "trusted"
	kind_as_required(s)
	publisher_as_required(s)
}

kind_as_required(s) if s.kind in settings.require_signature

kind_as_required(_) if count(settings.require_signature) == 0

# The name under which the trust file knows the signer.
publisher_as_required(s) if {
	some pattern in settings.require_publisher
	glob.match(pattern, null, s.publisher)
}

publisher_as_required(_) if count(settings.require_publisher) == 0

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
