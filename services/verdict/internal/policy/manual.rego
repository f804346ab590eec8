# What a person decided. An allow by hand lets pass what was held when the person
# looked; other holds stay, and so does what is denied. A deny by hand denies.
#
#   input.manual        {"decision": …, "overrules": ["<rule> <kind>", …], "reason": …,
#                       "by": …, "expires": …}, if it is signed by one of the
#                       deciders and about this upload
#   input.manualFault   why there is one that does not count
package assize.policy

denied_by_hand := [r |
	input.manual.decision == "deny"
	r := reason("manual/deny", "deny", sprintf("%s decided so: %s", [input.manual.by, input.manual.reason]), "")
]

unsigned_by_hand := [r |
	fault := input.manualFault
	r := reason("manual/ignored", "allow", sprintf("a decision by hand does not count: %s", [fault]), "")
]

seen_by_hand(r) if {
	input.manual.decision == "allow"
	r.outcome == "hold"
	sprintf("%s %s", [r.rule, r.evidence]) in input.manual.overrules
}

# overruled are the concerns after a person has allowed what would be held.
overruled := array.concat(
	[r | some r in concerns; not seen_by_hand(r)],
	[r |
		some held in concerns
		seen_by_hand(held)
		r := object.union(held, {"outcome": "allow", "message": sprintf("overruled by hand: %s", [held.message])})
	],
)

closing := reason(
	"manual/allow", "allow",
	sprintf("%s decided so until %s: %s", [input.manual.by, input.manual.expires, input.manual.reason]),
	"",
) if {
	some r in concerns
	seen_by_hand(r)
} else := all_is_well
