package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/miekg/pkcs11"
)

// token is a session with a PKCS#11 token.
type token struct {
	*pkcs11.Ctx
	session  pkcs11.SessionHandle
	pin      string
	loggedIn bool
}

// openToken begins a session with the token that r names, and logs in if
// there is a PIN. Close ends it.
func openToken(r reference) (*token, error) {
	module := r.module
	if module == "" {
		module = os.Getenv("ASSIZE_PKCS11_MODULE")
	}
	if module == "" {
		return nil, errors.New("set ASSIZE_PKCS11_MODULE to the PKCS#11 library of the token")
	}
	pin, err := readPIN()
	if err != nil {
		return nil, err
	}
	ctx := pkcs11.New(module)
	if ctx == nil {
		return nil, fmt.Errorf("PKCS#11 library %s cannot be loaded: is it there, and for this machine?", module)
	}
	if err := ctx.Initialize(); err != nil {
		ctx.Destroy()
		return nil, fmt.Errorf("PKCS#11 library %s: %w", module, err)
	}
	t := &token{Ctx: ctx, pin: pin}
	if err := t.open(r); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// Close ends the session and lets go of the library. Whatever fails here, the
// process ends next.
func (t *token) Close() {
	_ = t.Finalize() // closes all sessions and logs out
	t.Destroy()
}

func (t *token) open(r reference) error {
	slot, flags, err := t.find(r)
	if err != nil {
		return err
	}
	if t.session, err = t.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION); err != nil {
		return fmt.Errorf("opening a session with the token in slot %d: %w", slot, err)
	}
	if t.pin == "" {
		return nil
	}
	switch {
	case flags&pkcs11.CKF_USER_PIN_LOCKED != 0:
		return fmt.Errorf("the PIN of the token in slot %d is locked: unlock it with its SO PIN", slot)
	case flags&pkcs11.CKF_USER_PIN_FINAL_TRY != 0:
		return fmt.Errorf("the token in slot %d locks itself at the next wrong PIN: check the PIN, and log in once by other means", slot)
	}
	if err := t.Login(t.session, pkcs11.CKU_USER, t.pin); err != nil {
		return fmt.Errorf("logging in to the token in slot %d with the PIN: %w", slot, err)
	}
	t.loggedIn = true
	return nil
}

// find returns the one slot whose token is meant, and the token's flags.
func (t *token) find(r reference) (slot, flags uint, err error) {
	slots, err := t.GetSlotList(true)
	if err != nil {
		return 0, 0, fmt.Errorf("listing tokens: %w", err)
	}
	found, labels := 0, []string{}
	for _, s := range slots {
		info, err := t.GetTokenInfo(s)
		if err != nil {
			continue // taken out since
		}
		label := strings.TrimRight(info.Label, " \x00")
		labels = append(labels, fmt.Sprintf("%q in slot %d", label, s))
		if (r.token == "" || r.token == label) && (r.slot == nil || *r.slot == s) {
			slot, flags = s, info.Flags
			found++
		}
	}
	switch {
	case found == 0 && len(labels) == 0:
		return 0, 0, errors.New("no token is present")
	case found == 0:
		return 0, 0, fmt.Errorf("no such token; present are %s", strings.Join(labels, ", "))
	case found > 1:
		return 0, 0, fmt.Errorf("%d tokens are labelled %q, add ?slot=<number>; present are %s", found, r.token, strings.Join(labels, ", "))
	}
	return slot, flags, nil
}

// object returns the one object of class that r names.
func (t *token) object(class uint, r reference) (pkcs11.ObjectHandle, error) {
	template := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, class)}
	if r.key != "" {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_LABEL, r.key))
	}
	if r.id != nil {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_ID, r.id))
	}
	if err := t.FindObjectsInit(t.session, template); err != nil {
		return 0, fmt.Errorf("looking for %v: %w", r, err)
	}
	objects, _, err := t.FindObjects(t.session, 2)
	if err := errors.Join(err, t.FindObjectsFinal(t.session)); err != nil {
		return 0, fmt.Errorf("looking for %v: %w", r, err)
	}
	half := "private"
	if class == pkcs11.CKO_PUBLIC_KEY {
		half = "public"
	}
	switch {
	case len(objects) == 0 && !t.loggedIn && class == pkcs11.CKO_PRIVATE_KEY:
		return 0, fmt.Errorf("no %s %v can be seen without a PIN: set ASSIZE_PKCS11_PIN or ASSIZE_PKCS11_PIN_FILE", half, r)
	case len(objects) == 0:
		return 0, fmt.Errorf("the token has no %s %v: %w", half, r, errNoKey)
	case len(objects) > 1:
		return 0, fmt.Errorf("the token has several %s keys that are %v: name one by ?id=<hex>", half, r)
	}
	return objects[0], nil
}

var errNoKey = errors.New("make it first")

// attribute returns the value of one attribute.
func (t *token) attribute(o pkcs11.ObjectHandle, kind uint) ([]byte, error) {
	values, err := t.GetAttributeValue(t.session, o, []*pkcs11.Attribute{pkcs11.NewAttribute(kind, nil)})
	if err != nil {
		return nil, err
	}
	if len(values) != 1 {
		return nil, fmt.Errorf("%d values, want 1", len(values))
	}
	return values[0].Value, nil
}
