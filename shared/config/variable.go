package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// variable is one environment variable that a configuration struct reads.
type variable struct {
	name     string // with the prefixes of the structs around it
	field    string // "Outer: Inner: ", as envconfig prefixes its errors
	def      string // the default as written in the tag
	help     string
	required bool
	secret   bool
}

// variables lists what cfg, a struct or a pointer to one, reads, in the order
// of declaration.
func variables(cfg any) ([]variable, error) {
	t := reflect.TypeOf(cfg)
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("configuration %T: not a struct", cfg)
	}
	vars, err := structVariables(t, "", "", nil)
	if err != nil {
		return nil, fmt.Errorf("configuration %T: %w", cfg, err)
	}
	return vars, nil
}

func structVariables(t reflect.Type, prefix, path string, within []reflect.Type) ([]variable, error) {
	if slices.Contains(within, t) {
		return nil, fmt.Errorf("%s%s contains itself", path, t)
	}
	within = append(slices.Clone(within), t)

	var vars []variable
	for field := range t.Fields() {
		if !field.IsExported() {
			continue
		}
		tag := parseTag(field.Tag.Get("env"))
		inner := field.Type
		for inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		fieldPath := path + field.Name + ": "
		switch {
		case tag.name != "":
			vars = append(vars, variable{
				name:     prefix + tag.name,
				field:    fieldPath,
				def:      tag.def,
				help:     field.Tag.Get("help"),
				required: tag.required,
				secret:   holdsSecret(field.Type),
			})
		case inner.Kind() == reflect.Struct:
			nested, err := structVariables(inner, prefix+tag.prefix, fieldPath, within)
			if err != nil {
				return nil, err
			}
			vars = append(vars, nested...)
		}
	}
	return vars, nil
}

// tag is the part of an envconfig tag that a reader of the table cares for.
type tag struct {
	name, prefix, def string
	required          bool
}

// parseTag reads "NAME, option, default=the rest, commas and all". Options
// that change decoding only are left to envconfig, which also rejects tags
// that are malformed.
func parseTag(s string) tag {
	name, rest, _ := strings.Cut(s, ",")
	parsed := tag{name: strings.TrimSpace(name)}
	for rest != "" {
		rest = strings.TrimLeft(rest, " ")
		if def, ok := strings.CutPrefix(rest, "default="); ok {
			parsed.def = def
			break
		}
		var option string
		option, rest, _ = strings.Cut(rest, ",")
		if value, ok := strings.CutPrefix(option, "prefix="); ok {
			parsed.prefix = value
		}
		if strings.TrimSpace(option) == "required" {
			parsed.required = true
		}
	}
	return parsed
}

// holdsSecret also looks into lists and maps, whose decoding errors would
// quote an element.
func holdsSecret(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return holdsSecret(t.Elem())
	}
	return t == reflect.TypeFor[Secret]()
}

func find(vars []variable, name string) (variable, bool) {
	i := slices.IndexFunc(vars, func(v variable) bool { return v.name == name })
	if i < 0 {
		return variable{}, false
	}
	return vars[i], true
}
