package secrets

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"assize.dev/shared/event"
)

// Limits of a file of custom rules.
const (
	maxRuleFile  = 1 << 20
	maxRules     = 1000
	maxPattern   = 16 << 10 // bytes of a regular expression
	maxKeywords  = 200      // of one rule
	maxAllowed   = 2000     // entries of an allowlist, of each kind
	maxIndicated = 20_000   // keywords of all rules
)

// Rules are custom rules in the format of gitleaks's configuration, beside
// the built-in ones.
type Rules struct {
	rules []*customRule
	allow []allowlist
}

// customRule is one of them. Its regular expression is RE2, which takes time
// in proportion to the text whatever either is.
type customRule struct {
	rule
	pattern  *regexp.Regexp // nil for a rule on paths alone
	path     *regexp.Regexp
	group    int
	entropy  float64
	keywords []string
	allow    []allowlist
}

// The format: https://github.com/gitleaks/gitleaks#configuration
type ruleFile struct {
	Title       string           `toml:"title"`
	Description string           `toml:"description"`
	MinVersion  string           `toml:"minVersion"`
	Extend      extendEntry      `toml:"extend"`
	Rules       []ruleEntry      `toml:"rules"`
	Allowlist   *allowlistEntry  `toml:"allowlist"`
	Allowlists  []allowlistEntry `toml:"allowlists"`
}

type extendEntry struct {
	UseDefault    bool     `toml:"useDefault"`
	Path          string   `toml:"path"`
	URL           string   `toml:"url"`
	DisabledRules []string `toml:"disabledRules"`
}

type ruleEntry struct {
	ID          string           `toml:"id"`
	Description string           `toml:"description"`
	Regex       string           `toml:"regex"`
	SecretGroup int              `toml:"secretGroup"`
	Entropy     float64          `toml:"entropy"`
	Keywords    []string         `toml:"keywords"`
	Path        string           `toml:"path"`
	Tags        []string         `toml:"tags"`
	SkipReport  bool             `toml:"skipReport"`
	Allowlist   *allowlistEntry  `toml:"allowlist"`
	Allowlists  []allowlistEntry `toml:"allowlists"`
}

type allowlistEntry struct {
	Description string   `toml:"description"`
	Condition   string   `toml:"condition"`
	Commits     []string `toml:"commits"`
	Paths       []string `toml:"paths"`
	Regexes     []string `toml:"regexes"`
	RegexTarget string   `toml:"regexTarget"`
	StopWords   []string `toml:"stopwords"`
	TargetRules []string `toml:"targetRules"`
}

// ParseRules reads a file of rules. Errors name the rule and the key, and
// what is not understood is one: a rule that does less than its author thinks
// is worse than none.
func ParseRules(text []byte) (*Rules, error) {
	if len(text) > maxRuleFile {
		return nil, fmt.Errorf("%d bytes, at most %d", len(text), maxRuleFile)
	}
	var file ruleFile
	meta, err := toml.Decode(string(text), &file)
	if err != nil {
		return nil, fmt.Errorf("parse TOML: %w", err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return nil, fmt.Errorf("unknown key %.80q", unknown[0].String())
	}
	if file.Extend.Path != "" || file.Extend.URL != "" {
		return nil, errors.New("extend: other files are not read: copy their rules here")
	}
	if len(file.Rules) > maxRules {
		return nil, fmt.Errorf("%d rules, at most %d", len(file.Rules), maxRules)
	}
	out := &Rules{}
	if out.allow, err = compileAllowlists(file.Allowlist, file.Allowlists); err != nil {
		return nil, err
	}
	keywords := 0
	for i := range file.Rules {
		entry := &file.Rules[i]
		if entry.ID == "" {
			return nil, fmt.Errorf("rule %d: id is missing", i+1)
		}
		if slices.Contains(file.Extend.DisabledRules, entry.ID) {
			continue
		}
		if slices.ContainsFunc(out.rules, func(r *customRule) bool { return r.id == entry.ID }) {
			return nil, fmt.Errorf("rule %.80q: id is given twice", entry.ID)
		}
		r, err := entry.compile()
		if err != nil {
			return nil, fmt.Errorf("rule %.80q: %w", entry.ID, err)
		}
		if keywords += len(r.keywords); keywords > maxIndicated {
			return nil, fmt.Errorf("more than %d keywords in all", maxIndicated)
		}
		out.rules = append(out.rules, r)
	}
	return out, nil
}

func (e *ruleEntry) compile() (*customRule, error) {
	r := &customRule{group: e.SecretGroup, entropy: e.Entropy}
	r.rule = rule{id: e.ID, title: cmp.Or(e.Description, e.ID), severity: event.Medium, confidence: byStructure, rank: byCustom}
	if e.Entropy > 0 {
		r.confidence = byEntropy
	}
	for _, tag := range e.Tags { // gitleaks has no severities
		switch s := event.Severity(strings.ToLower(tag)); s {
		case event.Critical, event.High, event.Medium, event.Low, event.Info:
			r.severity = s
		}
	}
	var err error
	if r.path, err = compile("path", e.Path); err != nil {
		return nil, err
	}
	if r.pattern, err = compile("regex", e.Regex); err != nil {
		return nil, err
	}
	switch {
	case r.pattern == nil && r.path == nil:
		return nil, errors.New("neither regex nor path: give one")
	case r.pattern != nil && (r.group < 0 || r.group > r.pattern.NumSubexp()):
		return nil, fmt.Errorf("secretGroup: %d, but the regex has %d groups", r.group, r.pattern.NumSubexp())
	case len(e.Keywords) > maxKeywords:
		return nil, fmt.Errorf("%d keywords, at most %d", len(e.Keywords), maxKeywords)
	case e.Entropy < 0 || e.Entropy > 8:
		return nil, fmt.Errorf("entropy: %g, want 0 to 8 bits", e.Entropy)
	}
	for _, k := range e.Keywords {
		if len(k) < 2 || len(k) > maxLiteral {
			return nil, fmt.Errorf("keyword %.40q: %d bytes, want 2 to %d", k, len(k), maxLiteral)
		}
		r.keywords = append(r.keywords, strings.ToLower(k))
	}
	if r.allow, err = compileAllowlists(e.Allowlist, e.Allowlists); err != nil {
		return nil, err
	}
	return r, nil
}

func compile(key, pattern string) (*regexp.Regexp, error) {
	if pattern == "" {
		return nil, nil
	}
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("%s: %d bytes, at most %d", key, len(pattern), maxPattern)
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("%s: %w (the syntax is RE2's: no look-around, no back-references)", key, err)
	}
	return re, nil
}

// allowlist says which matches are none.
type allowlist struct {
	all       bool // every kind of entry must apply, not any
	paths     []*regexp.Regexp
	regexes   []*regexp.Regexp
	target    string // what regexes are held against: secret, match or line
	stopWords []string
	rules     []string // ids it is for; all if empty
}

func compileAllowlists(single *allowlistEntry, several []allowlistEntry) ([]allowlist, error) {
	if single != nil {
		several = append([]allowlistEntry{*single}, several...)
	}
	var out []allowlist
	for _, e := range several {
		a := allowlist{target: cmp.Or(e.RegexTarget, "secret"), rules: e.TargetRules}
		switch strings.ToUpper(e.Condition) {
		case "AND", "&&":
			a.all = true
		case "", "OR", "||":
		default:
			return nil, fmt.Errorf("allowlist: condition %.20q, want AND or OR", e.Condition)
		}
		if !slices.Contains([]string{"secret", "match", "line"}, a.target) {
			return nil, fmt.Errorf("allowlist: regexTarget %.20q, want secret, match or line", e.RegexTarget)
		}
		if max(len(e.Paths), len(e.Regexes), len(e.StopWords)) > maxAllowed {
			return nil, fmt.Errorf("allowlist: more than %d entries of one kind", maxAllowed)
		}
		for _, list := range []struct {
			key  string
			from []string
			to   *[]*regexp.Regexp
		}{{"allowlist paths", e.Paths, &a.paths}, {"allowlist regexes", e.Regexes, &a.regexes}} {
			for _, pattern := range list.from {
				re, err := compile(list.key, pattern)
				if err != nil {
					return nil, err
				}
				if re != nil {
					*list.to = append(*list.to, re)
				}
			}
		}
		for _, w := range e.StopWords {
			a.stopWords = append(a.stopWords, strings.ToLower(w))
		}
		if len(a.paths)+len(a.regexes)+len(a.stopWords) == 0 {
			if len(e.Commits) > 0 {
				continue // there are no commits here
			}
			return nil, errors.New("allowlist: no paths, regexes or stopwords")
		}
		out = append(out, a)
	}
	return out, nil
}

// allows reports whether a match is none.
func (a *allowlist) allows(id, path string, secret, match, line []byte) bool {
	if len(a.rules) > 0 && !slices.Contains(a.rules, id) {
		return false
	}
	target := map[string][]byte{"secret": secret, "match": match, "line": line}[a.target]
	lowered := bytes.ToLower(secret)
	kinds := []struct {
		given, met bool
	}{
		{len(a.paths) > 0, slices.ContainsFunc(a.paths, func(re *regexp.Regexp) bool { return re.MatchString(path) })},
		{len(a.regexes) > 0, slices.ContainsFunc(a.regexes, func(re *regexp.Regexp) bool { return re.Match(target) })},
		{len(a.stopWords) > 0, slices.ContainsFunc(a.stopWords, func(w string) bool { return bytes.Contains(lowered, []byte(w)) })},
	}
	for _, k := range kinds {
		if !k.given {
			continue
		}
		if k.met != a.all {
			return k.met
		}
	}
	return a.all
}
