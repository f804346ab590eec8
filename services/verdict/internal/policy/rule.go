package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"assize.dev/shared/event"
	"assize.dev/shared/pattern"
)

// Rule replaces settings for the artifacts that it names. Rules apply in their
// order, so a later one wins.
type Rule struct {
	// When tells the artifacts: all that it names has to hold.
	When When `yaml:"when" json:"when"`
	// Set has the settings, under their names; lists replace lists. All but name,
	// deciders, rules, and required_evidence with its deadlines: analysers are
	// waited for before anything is known of the artifact.
	Set map[string]any `yaml:"set" json:"set"`
}

// When selects artifacts. An empty field asks for nothing; * in the registry
// stands for any text without a slash.
type When struct {
	Registry string `yaml:"registry" json:"registry"`
	// Package and Versions as of Allowed; what the bytes name, or else what the
	// registry announced.
	Package  string `yaml:"package" json:"package"`
	Versions string `yaml:"versions" json:"versions"`
	// Tag is one that the registry gave the upload.
	Tag string `yaml:"tag" json:"tag"`
}

// fixed settings are the same for all artifacts.
var fixed = []string{"name", "required_evidence", "deadline_minutes", "deciders", "rules"}

func (s Settings) validRules() (errs []error) {
	if len(s.Rules) > maxRules {
		errs = append(errs, fmt.Errorf("rules: %d, want %d at most", len(s.Rules), maxRules))
	}
	for i := range s.Rules {
		if err := s.validRule(&s.Rules[i]); err != nil {
			errs = append(errs, fmt.Errorf("rules: number %d: %w", i+1, err))
		}
	}
	return errs
}

func (s Settings) validRule(r *Rule) error {
	switch {
	case r.When == (When{}):
		return errors.New("when: want a registry, a package or a tag")
	case r.When.Versions != "" && r.When.Package == "":
		return errors.New("when: versions of which package?")
	case len(r.Set) == 0:
		return errors.New("set: want at least one setting")
	}
	if len(r.When.Registry) > pattern.MaxLength {
		return fmt.Errorf("when: registry: %d bytes, at most %d", len(r.When.Registry), pattern.MaxLength)
	}
	if r.When.Package != "" {
		if _, err := parsePattern(r.When.Package, r.When.Versions); err != nil {
			return fmt.Errorf("when: %w", err)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(r.Set)) {
		if slices.Contains(fixed, key) {
			return fmt.Errorf("set: %s is the same for all artifacts", key)
		}
	}
	changed, err := s.with([]Rule{*r})
	if err != nil {
		return fmt.Errorf("set: %w", err)
	}
	if err := changed.Validate(); err != nil {
		return fmt.Errorf("set: %w", err)
	}
	return nil
}

// For are the settings in effect for an artifact.
func (s Settings) For(a *event.Artifact) (Settings, error) {
	var apply []Rule
	for _, r := range s.Rules {
		if r.When.selects(a) {
			apply = append(apply, r)
		}
	}
	return s.with(apply)
}

// with applies rules; the result has none.
func (s Settings) with(rules []Rule) (Settings, error) {
	s.Rules = []Rule{}
	if len(rules) == 0 {
		return s, nil
	}
	all, err := plain(s)
	if err != nil {
		return Settings{}, err
	}
	for _, r := range rules {
		maps.Copy(all, r.Set)
	}
	text, err := canonical(all)
	if err != nil {
		return Settings{}, err
	}
	var changed Settings
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&changed); err != nil {
		return Settings{}, fmt.Errorf("%s", strings.ReplaceAll(err.Error(), "json: ", ""))
	}
	return changed, nil
}

// variants are the settings, and what each rule alone makes of them.
func (s Settings) variants() []Settings {
	all := []Settings{s}
	for _, r := range s.Rules {
		if changed, err := s.with([]Rule{r}); err == nil { // as Validate has found
			all = append(all, changed)
		}
	}
	return all
}

func (w *When) selects(a *event.Artifact) bool {
	if w.Registry != "" {
		if !pattern.Match(w.Registry, a.Registry) {
			return false
		}
	}
	if w.Tag != "" && !slices.Contains(a.Tags, w.Tag) {
		return false
	}
	if w.Package == "" {
		return true
	}
	p, err := parsePattern(w.Package, w.Versions)
	if err != nil {
		return false
	}
	named := a.PURL
	if named == "" {
		named = a.Announced
	}
	c, ok := newCandidate(named)
	return ok && p.match(&c) == matches
}
