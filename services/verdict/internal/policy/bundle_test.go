package policy

import (
	"strings"
	"testing"

	"assize.dev/shared/digest"
)

// A policy that was stored rules as it did, also one of a version that knew
// fewer settings.
func TestFromBundle(t *testing.T) {
	p, err := Default(t.Context(), DefaultSettings())
	if err != nil {
		t.Fatal(err)
	}
	own := loadRego(t, ownRego)
	older := strings.Replace(string(own.Bundle()), `"minimum_slsa_level":0,`, "", 1)
	if older == string(own.Bundle()) {
		t.Fatal("the bundle does not hold the setting")
	}
	for _, bundle := range []string{string(p.Bundle()), string(own.Bundle()), older} {
		again, err := FromBundle(t.Context(), []byte(bundle))
		if err != nil {
			t.Fatal(err)
		}
		if again.Name().Digest != digest.Of([]byte(bundle)) {
			t.Error("it has another digest")
		}
		r, err := again.Evaluate(t.Context(), answered())
		if err != nil || len(r.Reasons) == 0 {
			t.Errorf("%+v, %v", r, err)
		}
	}
	for _, bundle := range []string{"", "{}", `{"modules":[],"settings":{}}`, `{"modules":[{"name":"a","source":"package x"}],"settings":{"name":"n"}}`, `{"rules":1}`} {
		if _, err := FromBundle(t.Context(), []byte(bundle)); err == nil {
			t.Errorf("%s is a policy", bundle)
		}
	}
}
