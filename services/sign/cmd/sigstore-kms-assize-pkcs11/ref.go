package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// reference says which key on which token.
type reference struct {
	token, key string // labels
	id         []byte // CKA_ID
	slot       *uint
	module     string // path of the vendor's library
}

// parseReference reads what follows "assize-pkcs11://"; see the package's
// comment.
func parseReference(text string) (reference, error) {
	r, err := splitReference(text)
	if err != nil {
		return r, fmt.Errorf("key reference %.200q: %w: want <token label>/<key label>[?id=<hex>&slot=<number>&module=<path>]", text, err)
	}
	return r, nil
}

func splitReference(text string) (r reference, err error) {
	path, query, _ := strings.Cut(text, "?")
	token, key, ok := strings.Cut(path, "/")
	if !ok || strings.Contains(key, "/") {
		return r, errors.New("not two labels")
	}
	if r.token, err = url.PathUnescape(token); err != nil {
		return r, err
	}
	if r.key, err = url.PathUnescape(key); err != nil {
		return r, err
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return r, err
	}
	for name, all := range values {
		if len(all) != 1 || all[0] == "" {
			return r, fmt.Errorf("not one value for %.20q", name)
		}
		switch name {
		case "id":
			if r.id, err = hex.DecodeString(all[0]); err != nil {
				return r, fmt.Errorf("id: %w", err)
			}
		case "slot":
			n, err := strconv.ParseUint(all[0], 10, strconv.IntSize)
			if err != nil {
				return r, fmt.Errorf("slot: %w", err)
			}
			slot := uint(n)
			r.slot = &slot
		case "module":
			r.module = all[0]
		default:
			return r, fmt.Errorf("unknown parameter %.20q", name)
		}
	}
	switch {
	case r.token == "" && r.slot == nil:
		return r, errors.New("neither a token label nor a slot")
	case r.key == "" && r.id == nil:
		return r, errors.New("neither a key label nor an id")
	}
	return r, nil
}

func (r reference) String() string {
	var text strings.Builder
	if r.key != "" {
		fmt.Fprintf(&text, " label %q", r.key)
	}
	if r.id != nil {
		fmt.Fprintf(&text, " id %x", r.id)
	}
	return "key" + text.String()
}

// maxPIN is longer than any token takes.
const maxPIN = 1024

// readPIN returns the PIN, empty if none is configured.
func readPIN() (string, error) {
	pin, path := os.Getenv("ASSIZE_PKCS11_PIN"), os.Getenv("ASSIZE_PKCS11_PIN_FILE")
	switch {
	case path == "":
		return pin, nil
	case pin != "":
		return "", errors.New("ASSIZE_PKCS11_PIN is set, and so is ASSIZE_PKCS11_PIN_FILE: set one of them")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("ASSIZE_PKCS11_PIN_FILE: %w", err)
	}
	pin = strings.TrimSpace(string(data))
	if pin == "" || len(pin) > maxPIN {
		return "", fmt.Errorf("ASSIZE_PKCS11_PIN_FILE: %s: %d bytes, want 1 to %d", path, len(pin), maxPIN)
	}
	return pin, nil
}
