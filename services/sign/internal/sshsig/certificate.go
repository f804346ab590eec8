package sshsig

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// verifyRequired is the critical option that demands a PIN, and the only one
// that means something for files: see PROTOCOL.certkeys.
const verifyRequired = "verify-required"

// checkCertificate tells what is wrong with a certificate at a time, whatever
// is thought of its authority. Whose certificate it is, its principals say;
// one without any is anybody's, and refused.
func checkCertificate(cert *ssh.Certificate, at time.Time) error {
	if cert.CertType != ssh.UserCert {
		return fmt.Errorf("SSH certificate is of type %d, want that of users, %d", cert.CertType, ssh.UserCert)
	}
	if len(cert.ValidPrincipals) == 0 {
		return fmt.Errorf("SSH certificate %.80q names no principals", cert.KeyId)
	}
	if err := checkKey(cert.SignatureKey); err != nil {
		return fmt.Errorf("SSH certificate's authority: %w", err)
	}
	if accepted := formats[cert.SignatureKey.Type()]; !slices.Contains(accepted, cert.Signature.Format) {
		return fmt.Errorf("SSH certificate is signed with %.40q, want one of %q", cert.Signature.Format, accepted)
	}
	checker := ssh.CertChecker{
		SupportedCriticalOptions: []string{verifyRequired},
		Clock:                    func() time.Time { return at },
	}
	// The principal is compared with the list of allowed signers later.
	if err := checker.CheckCert(cert.ValidPrincipals[0], cert); err != nil {
		return fmt.Errorf("SSH certificate %.80q: %s", cert.KeyId, strings.TrimPrefix(err.Error(), "ssh: "))
	}
	return nil
}
