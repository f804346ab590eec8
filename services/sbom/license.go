package sbom

import (
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// spdxIDs are the identifiers of the SPDX licence list that cover nearly all
// packages. A licence that is none of them is carried over as a name, never
// bent into an identifier.
var spdxIDs = func() map[string]bool {
	const list = `0BSD AFL-2.1 AFL-3.0 AGPL-3.0 AGPL-3.0-only AGPL-3.0-or-later Apache-1.1 Apache-2.0 Artistic-1.0
		Artistic-1.0-Perl Artistic-2.0 BlueOak-1.0.0 BSD-1-Clause BSD-2-Clause BSD-2-Clause-Patent BSD-3-Clause
		BSD-3-Clause-Clear BSD-4-Clause BSL-1.0 BUSL-1.1 bzip2-1.0.6 CC-BY-3.0 CC-BY-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC0-1.0
		CDDL-1.0 CDDL-1.1 CECILL-2.1 CPL-1.0 curl ECL-2.0 EPL-1.0 EPL-2.0 EUPL-1.1 EUPL-1.2 FTL GFDL-1.3-or-later GPL-1.0-or-later
		GPL-2.0 GPL-2.0+ GPL-2.0-only GPL-2.0-or-later GPL-3.0 GPL-3.0+ GPL-3.0-only GPL-3.0-or-later HPND ICU IJG ISC
		JSON LGPL-2.0-only LGPL-2.0-or-later LGPL-2.1 LGPL-2.1+ LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0 LGPL-3.0+ LGPL-3.0-only
		LGPL-3.0-or-later libpng-2.0 MIT MIT-0 MPL-1.0 MPL-1.1 MPL-2.0 MPL-2.0-no-copyleft-exception MS-PL MS-RL MulanPSL-2.0
		NCSA ODbL-1.0 OFL-1.1 OpenSSL OSL-3.0 PHP-3.01 PostgreSQL PSF-2.0 Python-2.0 Ruby SISSL Sleepycat SSPL-1.0 TCL
		Unicode-3.0 Unicode-DFS-2016 Unlicense UPL-1.0 Vim W3C WTFPL X11 Zlib zlib-acknowledgement ZPL-2.1`
	ids := map[string]bool{}
	for _, id := range strings.Fields(list) {
		ids[id] = true
	}
	return ids
}()

// licenses writes declared licences. CycloneDX 1.5 allows one expression, or
// any number of identifiers and names.
func licenses(declared []string) *cdx.Licenses {
	if len(declared) == 0 {
		return nil
	}
	if len(declared) == 1 && !spdxIDs[declared[0]] && isExpression(declared[0]) {
		return &cdx.Licenses{{Expression: declared[0]}}
	}
	var out cdx.Licenses
	for _, d := range declared {
		if spdxIDs[d] {
			out = append(out, cdx.LicenseChoice{License: &cdx.License{ID: d}})
		} else {
			out = append(out, cdx.LicenseChoice{License: &cdx.License{Name: d}})
		}
	}
	return &out
}

// isExpression checks the grammar of SPDX 2.3 annex D over the identifiers
// known here.
func isExpression(s string) bool {
	tokens := strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(s))
	depth, wantOperand := 0, true
	for i := 0; i < len(tokens); i++ {
		switch t := tokens[i]; {
		case t == "(":
			if !wantOperand {
				return false
			}
			depth++
		case t == ")":
			if wantOperand || depth == 0 {
				return false
			}
			depth--
		case t == "AND" || t == "OR":
			if wantOperand {
				return false
			}
			wantOperand = true
		case t == "WITH":
			// An exception follows a licence and is followed by no other operand.
			if wantOperand || i+1 >= len(tokens) || !strings.Contains(tokens[i+1], "exception") {
				return false
			}
			i++
		default:
			if !wantOperand || !spdxIDs[strings.TrimSuffix(t, "+")] {
				return false
			}
			wantOperand = false
		}
	}
	return depth == 0 && !wantOperand
}
