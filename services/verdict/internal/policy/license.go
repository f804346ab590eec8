package policy

import (
	"errors"
	"fmt"
	"strings"
)

// Bounds of a licence expression.
const (
	maxExpression   = 4 << 10 // bytes
	maxNesting      = 32
	maxAlternatives = 64
)

var errExpression = errors.New("no SPDX licence expression")

// alternatives reads an SPDX licence expression (SPDX 2.3, annex D) as the
// choices that it leaves: a list of lists of licences of which all of one
// have to be kept. "MIT OR (Apache-2.0 AND BSD-3-Clause)" has two. A licence
// with its exception is one word, "GPL-2.0-only WITH Classpath-exception-2.0".
// Identifiers are not looked up; the old forms GPL-2.0 and GPL-2.0+ become
// GPL-2.0-only and GPL-2.0-or-later, so that they are compared with today's.
func alternatives(expression string) ([][]string, error) {
	if len(expression) > maxExpression {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", errExpression, len(expression), maxExpression)
	}
	p := licenseParser{words: strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(expression))}
	choices, err := p.or(0)
	if err == nil && len(p.words) > 0 {
		err = p.unexpected()
	}
	if err != nil {
		return nil, err
	}
	return choices, nil
}

type licenseParser struct{ words []string }

func (p *licenseParser) next(word string) bool {
	if len(p.words) == 0 || !strings.EqualFold(p.words[0], word) {
		return false
	}
	p.words = p.words[1:]
	return true
}

func (p *licenseParser) unexpected() error {
	if len(p.words) == 0 {
		return fmt.Errorf("%w: it is not finished", errExpression)
	}
	return fmt.Errorf("%w: %.60q is out of place", errExpression, p.words[0])
}

func (p *licenseParser) or(depth int) ([][]string, error) {
	choices, err := p.and(depth)
	for err == nil && p.next("OR") {
		var more [][]string
		if more, err = p.and(depth); err == nil {
			choices = append(choices, more...)
		}
		if len(choices) > maxAlternatives {
			return nil, fmt.Errorf("%w: it leaves more than %d choices", errExpression, maxAlternatives)
		}
	}
	return choices, err
}

func (p *licenseParser) and(depth int) ([][]string, error) {
	choices, err := p.operand(depth)
	for err == nil && p.next("AND") {
		var more [][]string
		if more, err = p.operand(depth); err != nil {
			break
		}
		if len(choices)*len(more) > maxAlternatives {
			return nil, fmt.Errorf("%w: it leaves more than %d choices", errExpression, maxAlternatives)
		}
		var both [][]string
		for _, a := range choices {
			for _, b := range more {
				both = append(both, append(append([]string{}, a...), b...))
			}
		}
		choices = both
	}
	return choices, err
}

func (p *licenseParser) operand(depth int) ([][]string, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("%w: more than %d parentheses deep", errExpression, maxNesting)
	}
	if p.next("(") {
		choices, err := p.or(depth + 1)
		if err == nil && !p.next(")") {
			err = p.unexpected()
		}
		return choices, err
	}
	id, err := p.word()
	if err != nil {
		return nil, err
	}
	id = current(id)
	if p.next("WITH") {
		exception, err := p.word()
		if err != nil {
			return nil, err
		}
		id += " WITH " + exception
	}
	return [][]string{{id}}, nil
}

// word is an identifier.
func (p *licenseParser) word() (string, error) {
	if len(p.words) == 0 {
		return "", p.unexpected()
	}
	word := p.words[0]
	// NONE and NOASSERTION say that there is nothing to read.
	for _, reserved := range []string{"AND", "OR", "WITH", "(", ")", "NONE", "NOASSERTION"} {
		if strings.EqualFold(word, reserved) {
			return "", p.unexpected()
		}
	}
	if strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-+:") != "" {
		return "", p.unexpected()
	}
	p.words = p.words[1:]
	return word, nil
}

// current spells the GNU licences as SPDX does since 3.0; identifiers are of
// any case.
func current(id string) string {
	for _, family := range []string{"GPL-", "LGPL-", "AGPL-", "GFDL-"} {
		if len(id) < len(family) || !strings.EqualFold(id[:len(family)], family) {
			continue
		}
		number := id[len(family):]
		if plain, later := strings.CutSuffix(number, "+"); later && numeric(plain) {
			return family + plain + "-or-later"
		}
		if numeric(number) {
			return family + number + "-only"
		}
	}
	return id
}

func numeric(text string) bool { return text != "" && strings.Trim(text, "0123456789.") == "" }
