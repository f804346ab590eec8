package x509sig

import (
	"crypto/x509"
	"testing"
)

func TestConcerns(t *testing.T) {
	w := theWorld()
	list := func(all ...*identity) (certs []*x509.Certificate) {
		for _, i := range all {
			certs = append(certs, i.cert)
		}
		return certs
	}
	expired := issue(w.inter, "expired", p256(), codeSigning, validity(now.Add(-900*day), now.Add(-800*day)))
	server := issue(w.inter, "server", p256(), usages(x509.ExtKeyUsageServerAuth))
	noCA := issue(w.leaf, "below a leaf", p256(), codeSigning)
	second := issue(w.inter, "second", p256(), ca)
	deep := issue(second, "deep", p256(), codeSigning)
	namesake := issue(issue(nil, "root", p256(), ca), "intermediate", p256(), ca)
	alone := issue(nil, "alone", p256(), codeSigning)
	for _, c := range []struct {
		name string
		a    Anchors
		leaf *identity
		want bool
	}{
		{"nothing", Anchors{}, w.leaf, false},
		{"issuer", Anchors{Roots: list(w.inter)}, w.leaf, true},
		{"expired", Anchors{Roots: list(w.inter)}, expired, true},
		{"another usage", Anchors{Roots: list(w.inter)}, server, true},
		{"issuer is no authority", Anchors{Roots: list(w.leaf)}, noCA, true},
		{"the leaf itself", Anchors{Roots: list(w.leaf)}, w.leaf, true},
		{"self-signed", Anchors{Roots: list(alone)}, alone, true},
		{"through an intermediate", Anchors{Roots: list(w.root), Intermediates: list(w.inter)}, w.leaf, true},
		{"through two, in any order", Anchors{Roots: list(w.root), Intermediates: list(w.tsa, w.inter, second)}, deep, true},
		{"through two, one missing", Anchors{Roots: list(w.root), Intermediates: list(second)}, deep, false},
		{"intermediate not known", Anchors{Roots: list(w.root)}, w.leaf, false},
		{"an intermediate is no root", Anchors{Intermediates: list(w.inter)}, w.leaf, false},
		{"another authority", Anchors{Roots: list(w.tsaRoot)}, w.leaf, false},
		{"another authority of the same name", Anchors{Roots: list(namesake), Intermediates: list(namesake)}, w.leaf, false},
		{"name", Anchors{Roots: list(w.tsaRoot), Names: []string{"cn:other", "cn:publish*"}}, w.leaf, true},
		{"another name", Anchors{Roots: list(w.inter), Names: []string{"cn:other"}}, w.leaf, false},
	} {
		if got := c.a.Concerns(c.leaf.cert); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
