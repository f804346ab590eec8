package sshsig

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"assize.dev/services/sign/internal/signature"
)

// certify makes a certificate for me, good for one day before and after now.
func certify(key ssh.PublicKey, authority ssh.Signer, edit func(*ssh.Certificate)) *ssh.Certificate {
	cert := &ssh.Certificate{
		Key: key, Serial: 7, CertType: ssh.UserCert, KeyId: "key of me", ValidPrincipals: []string{"other", me},
		ValidAfter: uint64(now.Add(-24 * time.Hour).Unix()), ValidBefore: uint64(now.Add(24 * time.Hour).Unix()),
		Permissions: ssh.Permissions{Extensions: map[string]string{"permit-pty": ""}},
	}
	if edit != nil {
		edit(cert)
	}
	if err := cert.SignCert(rand.Reader, authority); err != nil {
		panic(err)
	}
	return cert
}

func TestCertificates(t *testing.T) {
	authority := ed25519Signer("authority")
	for name, signer := range signers() {
		cert := certify(signer.PublicKey(), authority, nil)
		sig := making{signer: signer, cert: cert}.armored()
		want := me + " " + ssh.FingerprintSHA256(signer.PublicKey())
		if r := verify(t, message, sig, list(t, "*@example.test cert-authority", authority.PublicKey()), "", namespace); !r.Valid || r.Signer != want || r.Key != signature.KeyFingerprint(public(signer.PublicKey())) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	for _, ca := range []ssh.Signer{rsaSigner(2048), ed25519Token(0)} { // whether the authority was touched is its own affair
		key := ed25519Signer("a")
		sig := making{signer: key, cert: certify(key.PublicKey(), ca, nil)}.armored()
		if r := verify(t, message, sig, list(t, me+" cert-authority", ca.PublicKey()), me, namespace); !r.Valid {
			t.Errorf("authority %s: %+v", ca.PublicKey().Type(), r)
		}
	}
}

func TestCertificatesRefused(t *testing.T) {
	key, authority := ed25519Signer("a"), ed25519Signer("authority")
	pin := func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{verifyRequired: ""} }
	sha1 := must(ssh.NewSignerWithAlgorithms(rsaSigner(2048).(ssh.AlgorithmSigner), []string{ssh.KeyAlgoRSA}))
	for _, c := range []struct {
		name     string
		signer   ssh.Signer
		ca       ssh.Signer
		edit     func(*ssh.Certificate)
		after    func(*ssh.Certificate)
		list     string // what stands before the authority, "*" unless told otherwise
		identity string
		valid    bool
		stranger bool
		reason   string
	}{
		{name: "good", valid: true},
		{name: "another principal", identity: "other", valid: true},
		{name: "principal is not in it", identity: "you@example.test", stranger: true, reason: `not for "you@example.test"`},
		{name: "pattern is no principal", identity: "*", stranger: true, reason: `not for "*"`},
		{name: "principal is not in the list", list: "*,!me@example.test", stranger: true, reason: `not for "me@example.test"`},
		{name: "no principal is in the list", list: "you", identity: "any", stranger: true, reason: `not for "other"`},
		{name: "any principal in the list", list: "you,other", identity: "any", valid: true},
		{name: "expired", edit: func(c *ssh.Certificate) { c.ValidBefore = uint64(now.Unix()) }, reason: "expired"},
		{name: "last second", edit: func(c *ssh.Certificate) { c.ValidBefore = uint64(now.Unix()) + 1 }, valid: true},
		{name: "not yet", edit: func(c *ssh.Certificate) { c.ValidAfter = uint64(now.Unix()) + 1 }, reason: "not yet valid"},
		{name: "for ever", edit: func(c *ssh.Certificate) { c.ValidAfter, c.ValidBefore = 0, ssh.CertTimeInfinity }, valid: true},
		{name: "host", edit: func(c *ssh.Certificate) { c.CertType = ssh.HostCert }, reason: "type 2"},
		{name: "no principals", edit: func(c *ssh.Certificate) { c.ValidPrincipals = nil }, reason: "no principals"},
		{name: "critical option", edit: func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"force-command": "ls"} }, reason: "critical option"},
		{name: "PIN demanded of a file", edit: pin, reason: "PIN"},
		{name: "PIN demanded, touched", signer: ed25519Token(userPresent), edit: pin, reason: "PIN"},
		{name: "PIN demanded and given", signer: ed25519Token(userPresent | userVerified), edit: pin, valid: true},
		{name: "need not be touched", signer: ed25519Token(0), edit: func(c *ssh.Certificate) { c.Extensions = map[string]string{"no-touch-required": ""} }, reason: "touched"},
		{name: "unknown authority", ca: ed25519Signer("x"), stranger: true, reason: "authority SHA256:"},
		{name: "signed by itself", ca: key, stranger: true, reason: "authority SHA256:"},
		{name: "changed", after: func(c *ssh.Certificate) { c.ValidPrincipals = []string{me, "root"} }, reason: "signature does not verify"},
		{name: "authority changed", ca: ed25519Signer("x"), after: func(c *ssh.Certificate) { c.SignatureKey = authority.PublicKey() }, reason: "signature does not verify"},
		{name: "small authority", ca: rsaSigner(1024), reason: "1024 bits"},
		{name: "SHA-1 authority", ca: sha1, reason: `signed with "ssh-rsa"`},
		{name: "small key", signer: rsaSigner(1024), reason: "1024 bits"},
		{name: "weak key", signer: weakSigner{}, reason: "weak"},
		{name: "weak authority", ca: weakSigner{}, reason: "weak"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.signer == nil {
				c.signer = key
			}
			if c.ca == nil {
				c.ca = authority
			}
			switch c.identity {
			case "":
				c.identity = me
			case "any":
				c.identity = ""
			}
			if c.list == "" {
				c.list = "*"
			}
			cert := certify(c.signer.PublicKey(), c.ca, c.edit)
			if c.after != nil {
				c.after(cert)
			}
			sig := making{signer: c.signer, cert: cert}.armored()
			r := verify(t, message, sig, list(t, c.list+" cert-authority", authority.PublicKey()), c.identity, namespace)
			if r.Valid != c.valid || r.Stranger != c.stranger || !strings.Contains(r.Reason, c.reason) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// TestAuthorityIsNoSigner keeps keys that certify and keys that sign apart.
func TestAuthorityIsNoSigner(t *testing.T) {
	key, authority := ed25519Signer("a"), ed25519Signer("authority")
	certified := making{signer: key, cert: certify(key.PublicKey(), authority, nil)}.armored()
	for name, c := range map[string]struct {
		sig  []byte
		list *AllowedSigners
	}{
		"the authority's own signature":           {making{signer: authority}.armored(), list(t, "* cert-authority", authority.PublicKey())},
		"certificate by one who may only sign":    {certified, list(t, "*", authority.PublicKey())},
		"certificate of one who is listed as key": {certified, list(t, "*", key.PublicKey())},
	} {
		if r := verify(t, message, c.sig, c.list, "", namespace); r.Valid || !r.Stranger {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestNestedCertificate has a certificate for authority.
func TestNestedCertificate(t *testing.T) {
	key, authority := ed25519Signer("a"), ed25519Signer("authority")
	inner := certify(authority.PublicKey(), authority, nil)
	cert := certify(key.PublicKey(), authority, nil)
	cert.SignatureKey = inner
	r := verify(t, message, making{signer: key, cert: cert}.armored(), list(t, "* cert-authority", authority.PublicKey()), me, namespace)
	if r.Valid || r.Stranger || !strings.Contains(r.Reason, "malformed") {
		t.Errorf("%+v", r)
	}
}

// TestManyPrincipals keeps a large certificate within the limit.
func TestManyPrincipals(t *testing.T) {
	authority := ed25519Signer("authority")
	large := rsaSigner(2048)
	cert := certify(large.PublicKey(), authority, func(c *ssh.Certificate) {
		for range 500 {
			c.ValidPrincipals = append(c.ValidPrincipals, strings.Repeat("x", 64))
		}
	})
	r := verify(t, message, making{signer: large, cert: cert}.armored(), list(t, "* cert-authority", authority.PublicKey()), me, namespace)
	if !r.Valid {
		t.Errorf("%+v", r)
	}
}
