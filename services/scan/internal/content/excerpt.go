package content

import (
	"fmt"
	"regexp"
	"strings"
)

// maxQuoted is how much foreign text a message quotes, in runes.
const maxQuoted = 160

// What could be a secret is hidden in quotes of foreign code. It need not be
// one: a quote only has to show what the code does.
var (
	named       = regexp.MustCompile(`(?i)((?:pass(?:word|wd|phrase)?|pwd|secret|token|credential|auth(?:orization)?|api[-_]?key|access[-_]?key|private[-_]?key)s?["']?\s*(?:[=:]|=>|\s)\s*["']?(?:(?:bearer|basic|token)\s+)?)[^\s"'` + "`" + `&|;)]+`)
	inURL       = regexp.MustCompile(`(://)[^\s/@"']+@`)
	userOption  = regexp.MustCompile(`(?i)(\s(?:-u|--user|--password|--proxy-user)[\s=]*["']?)[^\s"']+`)
	hookPath    = regexp.MustCompile(`(?i)(webhooks?/|/bot|/services/)[^\s"'<>|;&)]+`)
	longWord    = regexp.MustCompile(`[A-Za-z0-9+=_~-]{16,}`)
	queryValues = regexp.MustCompile(`([?&][\w.-]+=)[^\s&"'` + "`" + `]+`)
)

const hidden = "…"

func hideSecrets(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = inURL.ReplaceAllString(s, "${1}"+hidden+"@")
	s = hookPath.ReplaceAllString(s, "${1}"+hidden)
	s = queryValues.ReplaceAllString(s, "${1}"+hidden)
	s = userOption.ReplaceAllString(s, "${1}"+hidden)
	s = named.ReplaceAllString(s, "${1}"+hidden)
	return longWord.ReplaceAllStringFunc(s, func(word string) string {
		if strings.ContainsAny(word, "0123456789") || len(word) >= 32 {
			return word[:4] + hidden
		}
		return word
	})
}

// quoted shows foreign text on one line, at most maxQuoted runes of it and
// without what could be a secret.
func quoted(s string) string {
	if len(s) > 8*maxQuoted { // so that hiding stays cheap; more is not shown in any case
		s = s[:8*maxQuoted]
	}
	s = hideSecrets(s)
	n := 0
	for i := range s {
		if n++; n > maxQuoted {
			s = s[:i] + hidden
			break
		}
	}
	return fmt.Sprintf("%q", s)
}
