package trust

import "time"

// File is a trust file (YAML): who may sign what. Every key it knows is here;
// any other key, a key without a value, a file that cannot be read, and a
// pattern that cannot match stop the load. Paths are relative to the file.
type File struct {
	// Publishers lists who is trusted or denied.
	Publishers []PublisherEntry `yaml:"publishers"`
	// Require demands more than one trusted signature for some artifacts;
	// the first entry that covers an artifact holds.
	Require []RequireEntry `yaml:"require"`
	// Builders says what provenance by whom proves which SLSA build level.
	Builders []BuilderEntry `yaml:"builders"`
	// OnlyTheseBuilders leaves out the built-in table of well-known ones.
	OnlyTheseBuilders bool `yaml:"only_these_builders"`
}

// ScopeEntry narrows an entry to some artifacts, by patterns: * stands for any
// text without a slash, ** for any text. A list that is left out means all.
type ScopeEntry struct {
	Registries []string `yaml:"registries"`
	// Packages are package URLs, with or without a version.
	Packages []string `yaml:"packages"`
}

// PublisherEntry is one publisher and everything it signs with.
type PublisherEntry struct {
	// Name appears in verdicts; it is unique in the file.
	Name       string `yaml:"name"`
	ScopeEntry `yaml:",inline"`
	// Deny turns the entry around: what these keys sign fails.
	Deny bool `yaml:"deny"`
	// From and Until bound when its signatures count (RFC 3339): the time
	// that a timestamp or log proves, or else when the artifact arrived.
	From  time.Time `yaml:"from"`
	Until time.Time `yaml:"until"`

	// Keys are files, or folders of files, with an Ed25519 public key each.
	Keys []string `yaml:"keys"`
	// Fingerprints name Ed25519 keys by the SHA-256 of the raw key. That is
	// enough for packages that carry their key (PSPF).
	Fingerprints []string `yaml:"fingerprints"`
	// Launchers are the SHA-256 of the only programs that may stand in front
	// of PSPF packages whose signature does not cover theirs.
	Launchers []string `yaml:"launchers"`
	// Minisign are files with a minisign or signify public key each.
	Minisign []string       `yaml:"minisign"`
	OpenPGP  *OpenPGPEntry  `yaml:"openpgp"`
	SSH      *SSHEntry      `yaml:"ssh"`
	X509     *X509Entry     `yaml:"x509"`
	Sigstore *SigstoreEntry `yaml:"sigstore"`
	// AttestationKeys are files with a public key each, Ed25519 or ECDSA
	// P-256, that sign attestations: DSSE envelopes, bundles without a
	// certificate, and a registry's own, as npm's.
	AttestationKeys []string `yaml:"attestation_keys"`
}

// OpenPGPEntry names OpenPGP certificates.
type OpenPGPEntry struct {
	// Keyrings are files of certificates, or folders of such files. A path NAME
	// of NAME.gpg, NAME-trusted and NAME-revoked is read by Arch Linux's
	// rule: a packager counts if three of the master keys certify it.
	Keyrings []string `yaml:"keyrings"`
	// Fingerprints, where given, are the only certificates of these that
	// count: of the primary key, hexadecimal.
	Fingerprints []string `yaml:"fingerprints"`
}

// SSHEntry names SSH keys, as ssh-keygen -Y verify does.
type SSHEntry struct {
	AllowedSigners string `yaml:"allowed_signers"` // file, ssh-keygen(1)
	Identity       string `yaml:"identity"`        // principal; any listed one if left out
	Namespace      string `yaml:"namespace"`       // "file" if left out
}

// X509Entry names certificate authorities.
type X509Entry struct {
	Roots          []string `yaml:"roots"`           // files, PEM or DER
	Intermediates  []string `yaml:"intermediates"`   // files, for signatures that bring only a leaf
	Names          []string `yaml:"names"`           // patterns of common name or SAN of the leaf; any if left out
	CRLs           []string `yaml:"crls"`            // files
	OCSP           []string `yaml:"ocsp"`            // files of DER responses
	TimestampRoots []string `yaml:"timestamp_roots"` // files: who may prove times (RFC 3161)
	// RequireRevocation refuses a certificate that no CRL or response says
	// is good. Where either is configured it is required anyway.
	RequireRevocation bool `yaml:"require_revocation"`
}

// SigstoreEntry names keyless identities.
type SigstoreEntry struct {
	TrustedRoot string          `yaml:"trusted_root"` // file: trusted_root.json of the Sigstore instance
	Identities  []IdentityEntry `yaml:"identities"`
}

// IdentityEntry is an identity as its certificate states it, by patterns.
type IdentityEntry struct {
	Issuer string `yaml:"issuer"` // OpenID Connect issuer
	SAN    string `yaml:"san"`    // subject alternative name: workflow URI or e-mail address
	// Repository, where given, is the source repository in the certificate:
	// needed with workflows that anybody may call.
	Repository string `yaml:"repository"`
}

// RequireEntry demands trusted signatures.
type RequireEntry struct {
	ScopeEntry `yaml:",inline"`
	// Signatures is by how many different publishers.
	Signatures int `yaml:"signatures"`
	// Publishers are those that count; all if left out.
	Publishers []string `yaml:"publishers"`
}

// BuilderEntry says what provenance proves. It proves nothing unless a
// trusted publisher signed it.
type BuilderEntry struct {
	Name       string `yaml:"name"`
	ScopeEntry `yaml:",inline"`
	// Publisher is the entry above that must have signed.
	Publisher string `yaml:"publisher"`
	// Builder is the builder's id as the provenance states it, a pattern.
	Builder string `yaml:"builder"`
	// Level is the SLSA build level, 1 to 3.
	Level int `yaml:"level"`
	// Sources are the repositories it may have built from, patterns.
	// BuildTypes and Parameters narrow further what the provenance may state:
	// build types, names of external parameters; left out they allow all.
	Sources    []string `yaml:"sources"`
	BuildTypes []string `yaml:"build_types"`
	Parameters []string `yaml:"parameters"`
}
