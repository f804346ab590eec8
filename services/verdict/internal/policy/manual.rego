# What a person decided. An allow by hand lets pass what is held; what is denied
# stays denied, for which waivers are the way. A deny by hand denies.
#
#   input.manual        {"decision": …, "reason": …, "by": …, "expires": …}, if it
#                       is signed by one of the deciders and about this upload
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

allowed_by_hand if input.manual.decision == "allow"

# overruled are the concerns after a person has allowed what would be held.
overruled := array.concat(
	[r | some r in concerns; r.outcome != "hold"],
	[r |
		some held in concerns
		held.outcome == "hold"
		r := object.union(held, {"outcome": "allow", "message": sprintf("overruled by hand: %s", [held.message])})
	],
) if {
	allowed_by_hand
} else := concerns

closing := reason(
	"manual/allow", "allow",
	sprintf("%s decided so until %s: %s", [input.manual.by, input.manual.expires, input.manual.reason]),
	"",
) if {
	allowed_by_hand
	some r in concerns
	r.outcome == "hold"
} else := all_is_well
