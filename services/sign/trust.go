package sign

import (
	"assize.dev/services/sign/internal/keys"
	"assize.dev/services/sign/internal/trust"
)

// Trust says whose signatures count for which artifacts.
type Trust = trust.Trust

// Publisher is an entry of a trust file, and the parts of one.
type (
	Publisher     = trust.PublisherEntry
	OpenPGPTrust  = trust.OpenPGPEntry
	SSHTrust      = trust.SSHEntry
	X509Trust     = trust.X509Entry
	SigstoreTrust = trust.SigstoreEntry
	IdentityTrust = trust.IdentityEntry
)

// LoadTrust reads trust files and folders of keys, and adds publishers that
// are described in place; see trust.Load.
func LoadTrust(paths []string, extra ...Publisher) (*Trust, error) {
	return trust.Load(paths, extra...)
}

// ParseFingerprint reads the fingerprint of an Ed25519 key as trust files
// name it: 64 hexadecimal digits, maybe after "sha256:".
func ParseFingerprint(text string) (string, error) { return keys.ParseFingerprint(text) }
