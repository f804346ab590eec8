package sign

import "assize.dev/services/sign/internal/keys"

// PublicKey is a publisher's key or a verdict's.
type PublicKey = keys.PublicKey

// PrivateKey signs verdicts.
type PrivateKey = keys.PrivateKey

// Reading and making keys; see package keys for the formats.
var (
	LoadPublicKeys  = keys.LoadPublicKeys
	ParsePublicKey  = keys.ParsePublicKey
	GenerateKey     = keys.GenerateKey
	KeyFromSeed     = keys.KeyFromSeed
	ReadPrivateKey  = keys.ReadPrivateKey
	ParsePrivateKey = keys.ParsePrivateKey
)
