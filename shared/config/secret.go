package config

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

// Secret is a value that must not be shown: a password, a token, a key.
// Whatever prints, logs or encodes it gets a placeholder; only Reveal gives
// the value. fmt cannot ask a field it may not read, so keep a Secret in
// exported fields.
//
// For a Secret whose variable is NAME, Load also reads NAME_FILE: the path of
// a file of at most 1 MiB whose content, without surrounding white space, is
// the value. Setting both is an error, and so is an empty file.
type Secret string

const redacted = "[redacted]"

// Reveal is the value itself.
func (s Secret) Reveal() string { return string(s) }

// String tells only whether there is a value.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString is what %#v prints.
func (s Secret) GoString() string { return fmt.Sprintf("config.Secret(%q)", s.String()) }

// Format covers every verb: for one that does not suit a string, such as %d,
// fmt would otherwise print the value in its complaint.
func (s Secret) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		_, _ = io.WriteString(f, s.GoString())
		return
	}
	_, _ = io.WriteString(f, s.String())
}

// MarshalText covers JSON, XML, YAML and flag sets.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON is the placeholder as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// LogValue is what slog shows.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

const (
	fileSuffix     = "_FILE"
	secretFileSize = 1 << 20
)

// readSecretFiles fixes the value of every secret that is given as a file.
func (e *environment) readSecretFiles(vars []variable) []error {
	var problems []error
	for _, v := range vars {
		if !v.secret {
			continue
		}
		path, given := e.Lookup(v.name + fileSuffix)
		if !given {
			continue
		}
		if _, both := e.Lookup(v.name); both {
			problems = append(problems, fmt.Errorf("%s: is set, and so is %s%s; set one of them", v.name, v.name, fileSuffix))
			e.bad[v.name] = true
			continue
		}
		value, err := readSecret(path)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s%s: %w", v.name, fileSuffix, err))
			e.bad[v.name] = true
			continue
		}
		e.files[v.name] = value
	}
	return problems
}

func readSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading a secret: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, secretFileSize+1))
	if err != nil {
		return "", fmt.Errorf("reading a secret: %w", err)
	}
	if len(content) > secretFileSize {
		return "", fmt.Errorf("reading a secret: %s is larger than %d bytes", path, secretFileSize)
	}
	value := strings.TrimSpace(string(content))
	if value == "" {
		return "", fmt.Errorf("reading a secret: %s is empty", path)
	}
	return value, nil
}
