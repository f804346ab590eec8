package sshsig

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"assize.dev/services/sign/internal/signature"
)

// parseLine reads "principals [options] keytype base64 [comment]".
func parseLine(text string) (line, error) {
	var l line
	principals, rest, err := cutPrincipals(text)
	if err != nil {
		return line{}, err
	}
	if l.principals, err = parsePatterns(principals); err != nil {
		return line{}, fmt.Errorf("principals %.80q: %w", principals, err)
	}
	field, rest, err := cutField(rest)
	if err != nil {
		return line{}, err
	}
	if formats[field] == nil {
		if err := l.parseOptions(field); err != nil {
			return line{}, err
		}
		if field, rest, err = cutField(rest); err != nil {
			return line{}, err
		}
	}
	if formats[field] == nil {
		return line{}, fmt.Errorf("%.80q is no type of key that is accepted", field)
	}
	encoded, _, _ := strings.Cut(strings.ReplaceAll(rest, "\t", " "), " ")
	key, err := parseKey(field, encoded)
	if err != nil {
		return line{}, err
	}
	l.key, l.fingerprint = key.Marshal(), signature.KeyFingerprint(public(key))
	return l, nil
}

// cutPrincipals takes the first field, which may be quoted as a whole.
func cutPrincipals(text string) (principals, rest string, err error) {
	quoted, ok := strings.CutPrefix(text, `"`)
	if !ok {
		principals, rest, err = cutField(text)
		if strings.Contains(principals, `"`) {
			return "", "", errors.New("principals: quote them all or none")
		}
		return principals, rest, err
	}
	principals, rest, ok = strings.Cut(quoted, `"`)
	if !ok {
		return "", "", errors.New("principals: quote is not closed")
	}
	if strings.TrimLeft(rest, " \t") == rest {
		return "", "", errors.New("principals: want a space after the closing quote")
	}
	return principals, strings.TrimLeft(rest, " \t"), nil
}

// cutField takes what comes before a space or tab outside of double quotes.
func cutField(text string) (field, rest string, err error) {
	inQuotes := false
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && strings.HasPrefix(text[i+1:], `"`):
			i++
		case text[i] == '"':
			inQuotes = !inQuotes
		case !inQuotes && (text[i] == ' ' || text[i] == '\t'):
			return text[:i], strings.TrimLeft(text[i:], " \t"), nil
		}
	}
	if inQuotes {
		return "", "", errors.New("quote is not closed")
	}
	return "", "", errors.New("line is too short: want principals, maybe options, type of key, key")
}

// parseOptions reads options between commas. Their names are the same in
// lower and upper case.
func (l *line) parseOptions(text string) error {
	seen := map[string]bool{}
	for {
		end := strings.IndexAny(text, "=,")
		if end < 0 {
			end = len(text)
		}
		name := strings.ToLower(text[:end])
		if seen[name] {
			return fmt.Errorf("option %s is given twice", name)
		}
		seen[name] = true
		var err error
		if text = text[end:]; name == "cert-authority" {
			l.authority = true
		} else if text, err = l.parseValue(name, text); err != nil {
			return err
		}
		if text == "" {
			break
		}
		var ok bool
		if text, ok = strings.CutPrefix(text, ","); !ok {
			return fmt.Errorf("option %s: want a comma after it, not %.40q", name, text)
		}
	}
	if !l.before.IsZero() && l.before.Before(l.after) {
		return errors.New("valid-before is before valid-after, so that the key would never be valid")
	}
	return nil
}

// parseValue reads the value of an option that has one, and returns what
// follows it.
func (l *line) parseValue(name, text string) (rest string, err error) {
	var target func(string) error
	switch name {
	case "namespaces":
		target = func(value string) (err error) { l.namespaces, err = parsePatterns(value); return err }
	case "valid-after":
		target = func(value string) (err error) { l.after, err = parseTime(value); return err }
	case "valid-before":
		target = func(value string) (err error) { l.before, err = parseTime(value); return err }
	default:
		return "", fmt.Errorf("%.80q is neither an option that is known nor a type of key that is accepted", name)
	}
	quoted, ok := strings.CutPrefix(text, `="`)
	if !ok {
		return "", fmt.Errorf(`option %s: want %s="…"`, name, name)
	}
	value, rest, ok := dequote(quoted)
	if !ok {
		return "", fmt.Errorf("option %s: quote is not closed", name)
	}
	if err := target(value); err != nil {
		return "", fmt.Errorf("option %s: %w", name, err)
	}
	return rest, nil
}

// dequote takes what comes before the next double quote. A backslash before
// one makes it part of the value.
func dequote(text string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && strings.HasPrefix(text[i+1:], `"`):
			i++
		case text[i] == '"':
			return b.String(), text[i+1:], true
		}
		b.WriteByte(text[i])
	}
	return "", "", false
}

// parseTime reads YYYYMMDD[HHMM[SS]][Z], in UTC, since 1970: the first second
// of year 1 is Go's zero time, which would be no limit.
func parseTime(text string) (time.Time, error) {
	digits := strings.TrimSuffix(text, "Z")
	layout := "20060102150405"
	switch len(digits) {
	case 8, 12, 14:
		if t, err := time.Parse(layout[:len(digits)], digits); err == nil && t.Unix() >= 0 {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is no time: want YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, and maybe Z, since 1970", text)
}

// parseKey reads a key of the type that stands before it.
func parseKey(keyType, encoded string) (ssh.PublicKey, error) {
	wire, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	key, err := ssh.ParsePublicKey(wire)
	if err != nil {
		return nil, fmt.Errorf("key: %s", strings.TrimPrefix(err.Error(), "ssh: "))
	}
	if key.Type() != keyType {
		return nil, fmt.Errorf("key is %s, not %s as the line says", key.Type(), keyType)
	}
	if key.Type() == ssh.KeyAlgoRSA {
		return key, nil // a small one is refused with what it signs: old keys linger in lists
	}
	return key, checkKey(key)
}
