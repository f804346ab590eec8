package sshsig

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"
)

// AllowedSigners says whose signatures count. It does not change.
type AllowedSigners struct {
	lines []line
}

// line is one signer, or the authority for some.
type line struct {
	number     int
	principals patterns
	authority  bool
	namespaces patterns // any if none are named
	// The key counts from after to before, both included; zero is no limit.
	after, before time.Time
	key           []byte // wire form
	fingerprint   string // of the key, as signature.KeyFingerprint gives it
}

// Bounds of a list: it is read into memory, and every signature is compared
// with each line.
const (
	maxList  = 4 << 20
	maxLines = 1 << 14
)

// ParseAllowedSigners reads the format of ALLOWED SIGNERS in ssh-keygen(1).
// The first line that is not understood stops it, and the error has its
// number: ssh-keygen skips such lines, and so may trust less than was meant.
//
// Times without a Z are UTC here; to ssh-keygen they are in the zone of the
// machine, and what is trusted should not depend on that.
func ParseAllowedSigners(data []byte) (*AllowedSigners, error) {
	if len(data) > maxList {
		return nil, fmt.Errorf("list of allowed signers has more than %d bytes", maxList)
	}
	list := new(AllowedSigners)
	number := 0
	for text := range bytes.Lines(data) {
		number++
		text = bytes.Trim(text, " \t\r\n")
		if len(text) == 0 || text[0] == '#' {
			continue
		}
		l, err := parseLine(string(text))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if len(list.lines) == maxLines {
			return nil, fmt.Errorf("line %d: more than %d signers", number, maxLines)
		}
		l.number = number
		list.lines = append(list.lines, l)
	}
	return list, nil
}

// Keys are the fingerprints of the keys that the lines name, as Result.Key
// gives them, each once, in the order of the lines. Authorities are left out:
// they do not sign themselves.
func (a *AllowedSigners) Keys() []string {
	if a == nil {
		return nil
	}
	var all []string
	seen := map[string]bool{}
	for _, l := range a.lines {
		if l.authority || seen[l.fingerprint] {
			continue
		}
		seen[l.fingerprint] = true
		all = append(all, l.fingerprint)
	}
	return all
}

// answer is what the list says of a signer.
type answer struct {
	allowed   bool
	principal string // whom it allows
	stranger  bool   // nothing in the list is about this signer
	reason    string // why it is not allowed
}

// find looks for the first line that allows the key, or a certificate that
// was checked, to sign.
func (a *AllowedSigners) find(key ssh.PublicKey, identity, namespace string, at time.Time) answer {
	unlisted := answer{stranger: true, reason: "this key is not among the allowed signers"}
	cert, certified := key.(*ssh.Certificate)
	wire := key.Marshal()
	if certified {
		wire = cert.SignatureKey.Marshal()
		unlisted.reason = "the certificate's authority " + ssh.FingerprintSHA256(cert.SignatureKey) + " is not among the allowed signers"
	}
	if a == nil {
		return unlisted
	}
	refused := unlisted
	for _, l := range a.lines {
		if l.authority != certified || !bytes.Equal(l.key, wire) {
			continue
		}
		principal, ok := l.principal(cert, identity)
		if !ok {
			if refused == unlisted {
				refused.reason = fmt.Sprintf("the allowed signers list this key on line %d, but not for %.80q", l.number, principal)
			}
			continue
		}
		err := l.allows(namespace, at)
		if err == nil {
			return answer{allowed: true, principal: principal}
		}
		if refused.stranger {
			refused = answer{reason: fmt.Sprintf("allowed signers, line %d: %v", l.number, err)}
		}
	}
	return refused
}

// principal is whom the line speaks of: identity, unless that is empty. It
// tells whether the line is about that principal, and the certificate as
// well, if there is one.
func (l *line) principal(cert *ssh.Certificate, identity string) (string, bool) {
	if cert == nil {
		if identity == "" {
			return l.principals.text, true
		}
		return identity, l.principals.match(identity)
	}
	if identity == "" {
		i := slices.IndexFunc(cert.ValidPrincipals, l.principals.match)
		if i < 0 {
			return cert.ValidPrincipals[0], false
		}
		return cert.ValidPrincipals[i], true
	}
	return identity, slices.Contains(cert.ValidPrincipals, identity) && l.principals.match(identity)
}

// allows tells why the line does not let its principals sign.
func (l *line) allows(namespace string, at time.Time) error {
	switch {
	case l.namespaces.list != nil && !l.namespaces.match(namespace):
		return fmt.Errorf("key is allowed for namespaces %.80q, not %.80q", l.namespaces.text, namespace)
	case !l.after.IsZero() && at.Before(l.after):
		return errors.New("key is allowed from " + l.after.Format(time.RFC3339) + ", later than this")
	case !l.before.IsZero() && at.After(l.before):
		return errors.New("key was allowed until " + l.before.Format(time.RFC3339))
	}
	return nil
}
