// Package license turns what packages say of their licences, and the texts
// they bring, into SPDX expressions. It never guesses: what is no SPDX
// expression and has no single meaning stays the text that it is.
package license

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"assize.dev/services/sbom/internal/schema"
)

const (
	maxExpression = 1000 // bytes
	maxTokens     = 200
)

var errSyntax = errors.New("not an SPDX licence expression")

// Valid checks the grammar of SPDX 2.3 annex D: identifiers of the SPDX list,
// a "+" after one, LicenseRef-, AND, OR, WITH and parentheses.
func Valid(expression string) error {
	if len(expression) > maxExpression {
		return fmt.Errorf("%w: %d bytes, at most %d", errSyntax, len(expression), maxExpression)
	}
	tokens := strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(expression))
	if len(tokens) > maxTokens {
		return fmt.Errorf("%w: %d words, at most %d", errSyntax, len(tokens), maxTokens)
	}
	depth, operand := 0, true // operand: one is due
	for i := 0; i < len(tokens); i++ {
		token := tokens[i]
		unexpected := fmt.Errorf("%w: %.60q is out of place in %.200q", errSyntax, token, expression)
		switch token {
		case "(":
			if !operand {
				return unexpected
			}
			depth++
		case ")":
			if operand || depth == 0 {
				return unexpected
			}
			depth--
		case "AND", "OR":
			if operand {
				return unexpected
			}
			operand = true
		case "WITH":
			if operand || i+1 == len(tokens) || tokens[i-1] == ")" || !isException(tokens[i+1]) {
				return unexpected
			}
			i++
			if i+1 < len(tokens) && tokens[i+1] == "WITH" {
				return unexpected
			}
		default:
			if !operand || !isLicense(token) {
				return unexpected
			}
			operand = false
		}
	}
	if depth != 0 || operand {
		return fmt.Errorf("%w: %.200q is not finished", errSyntax, expression)
	}
	return nil
}

var reference = regexp.MustCompile(`^(DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+$`)

func isLicense(token string) bool {
	ids := schema.LicenseIDs()
	if isException(token) {
		return false
	}
	return ids[token] || ids[strings.TrimSuffix(token, "+")] || reference.MatchString(token)
}

// isException: the list of CycloneDX has licences and exceptions in one. Old
// identifiers such as GPL-2.0-with-font-exception are licences.
func isException(token string) bool {
	switch token {
	case "Linux-syscall-note", "GPL-CC-1.0", "SHL-2.0", "SHL-2.1":
		return true
	}
	return schema.LicenseIDs()[token] && strings.Contains(token, "exception") && !strings.Contains(token, "-with-")
}

// ID reports whether s is one identifier of the SPDX licence list.
func ID(s string) bool { return schema.LicenseIDs()[s] && !isException(s) }
