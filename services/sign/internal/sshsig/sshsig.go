// Package sshsig verifies detached signatures by OpenSSH keys, as made by
// "ssh-keygen -Y sign", against a list of allowed signers. See PROTOCOL.sshsig
// and PROTOCOL.certkeys of OpenSSH, and ALLOWED SIGNERS in ssh-keygen(1).
//
// It is stricter than ssh-keygen (9.2), which accepts anything in the reserved
// field, after the armor and in a certificate's critical options, and
// signatures by RSA keys of 1024 bits, by Ed25519 keys for which anyone can
// sign, and by tokens that nobody touched.
package sshsig

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"

	"assize.dev/services/sign/internal/signature"
)

const kind = "ssh"

// Verify tells whether an armored signature over the content was made for
// namespace by a signer who is allowed at the time at. The signature does not
// say when it was made, so at is now, or a time that somebody else vouches
// for. An identity narrows the list to its lines for that principal; with ""
// any line will do. A nil list allows nobody.
//
// The result's Signer is "<principal> SHA256:<fingerprint>": the identity; or
// else the certificate's first principal that the line of its authority
// allows, or for a plain key the line's principals as they are written; and
// the fingerprint of the key that made the signature, as "ssh-keygen -l"
// prints it, never that of an authority. It is the fingerprint alone where no
// principal is known to be right.
//
// A key that is not listed, or only for others than identity, is a stranger,
// whatever namespace it signed for. For a key that is listed, another
// namespace, or a line that does not allow the namespace or the time, makes
// the signature invalid. An error is that of reading the content.
func Verify(c *signature.Content, sig []byte, allowed *AllowedSigners, identity, namespace string, at time.Time) (signature.Result, error) {
	s, err := parse(sig)
	if err != nil {
		return signature.Invalid(kind, "%v", err), nil
	}
	result := signature.Result{Kind: kind, Signer: ssh.FingerprintSHA256(plain(s.key))}
	if err := s.check(at); err != nil {
		result.Reason = err.Error()
		return result, nil
	}
	sum, err := c.Sum(s.hash)
	if err != nil {
		return signature.Result{}, err
	}
	if err := s.key.Verify(s.signed(sum), s.signature); err != nil {
		result.Reason = "the signature does not hold over these bytes: they were changed after signing, or the signature was"
		return result, nil
	}
	a := allowed.find(s.key, identity, namespace, at)
	switch {
	case !a.stranger && s.namespace != namespace:
		result.Reason = fmt.Sprintf("signature is for namespace %.80q, want %.80q", s.namespace, namespace)
	case a.allowed:
		result.Valid, result.Key = true, signature.KeyFingerprint(public(s.key))
		result.Signer = a.principal + " " + result.Signer
	default:
		result.Stranger, result.Reason = a.stranger, a.reason
	}
	return result, nil
}

// check tells what is wrong with a signature whatever the content and whoever
// is allowed.
func (s *parsed) check(at time.Time) error {
	// A token that nobody touches signs for any program on its owner's machine.
	if s.onToken() && s.flags()&userPresent == 0 {
		return errors.New("FIDO token signed without being touched")
	}
	cert, ok := s.key.(*ssh.Certificate)
	if !ok {
		return nil
	}
	if _, ok := cert.CriticalOptions[verifyRequired]; ok && (!s.onToken() || s.flags()&userVerified == 0) {
		return errors.New("FIDO token signed without its PIN, which the certificate demands")
	}
	return checkCertificate(cert, at)
}
