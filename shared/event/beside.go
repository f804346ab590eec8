package event

// SignatureSuffixes are what a package's file name is followed by in the
// names of the files that tell who made it: signatures, and the certificates
// and timestamps that go with them. Ingest looks for these beside an uploaded
// artifact, the CLI beside a local file; where not all of them have room in
// an event, the earlier ones go first. They are fewer than MaxSignatures, so
// that everything that lies beside a file fits.
//
// A file that lies beside an artifact and cannot travel with it, because the
// files together exceed MaxAttached, is attached without Data: what verifies
// it sees that there is one, and that it is no signature.
var SignatureSuffixes = []string{
	".sig",                 // the usual name, whatever the kind
	".asc",                 // OpenPGP, armored
	".gpg",                 // OpenPGP, binary
	".ed25519",             // raw Ed25519
	".minisig",             // minisign
	".signify",             // OpenBSD's signify
	".sshsig",              // OpenSSH
	".p7s",                 // CMS
	".p7m",                 // the same
	".sigstore.json",       // Sigstore bundle
	".sigstore",            // the same, as older clients name it
	".intoto.jsonl",        // in-toto attestations, a DSSE envelope per line
	".dsse.json",           // one such envelope
	".provenance",          // PEP 740: all attestations of a file, as an index serves them
	".publish.attestation", // PEP 740: one attestation, as publishers name it
	".crt",                 // certificate of who made .sig; .pem alone is as often a public key
	".chain.pem",           // the same, with those that issued it
	".tsr",                 // RFC 3161 timestamp of .sig
	".ocsp",                // OCSP response about the certificate
}
