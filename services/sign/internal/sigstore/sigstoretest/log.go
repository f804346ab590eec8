package sigstoretest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/digitorus/timestamp"
	ct "github.com/google/certificate-transparency-go"
	"github.com/google/certificate-transparency-go/tls"
	cttls "github.com/google/certificate-transparency-go/x509util"
)

// Hosts of the logs; the first line of a checkpoint begins with one.
const (
	rekor1Host = "rekor.example.test"
	rekor2Host = "log2026.rekor.example.test"
)

// entry puts a signature into a log, as the second of two entries, and gives
// what a bundle holds of that.
func (f *Fake) entry(o Options, leaf *x509.Certificate, sig, sum, statement []byte) map[string]any {
	kind, version, spec := body(o, leaf, sig, sum, statement)
	entry := map[string]any{"apiVersion": version, "kind": kind, "spec": spec}
	if o.EditEntry != nil {
		o.EditEntry(entry)
	}
	text := canonical(entry)

	key, host, origin := f.rekor1, rekor1Host, rekor1Host+" - 1193050959916656506"
	if o.Rekor2 {
		key, host, origin = f.rekor2, rekor2Host, rekor2Host
	}
	first, second := hashLeaf([]byte("another entry")), hashLeaf(text)
	rootHash := sha256.Sum256(append(append([]byte{1}, first...), second...))
	e := map[string]any{
		"logIndex":          "1",
		"logId":             map[string]any{"keyId": logID(key)},
		"kindVersion":       map[string]any{"kind": kind, "version": version},
		"canonicalizedBody": text,
	}
	if !o.NoProof {
		e["inclusionProof"] = map[string]any{
			"logIndex": "1", "treeSize": "2", "rootHash": rootHash[:], "hashes": []any{first},
			"checkpoint": map[string]any{"envelope": checkpoint(key, host, origin, rootHash[:])},
		}
	}
	if o.Rekor2 {
		return e
	}
	e["integratedTime"] = fmt.Sprint(o.SignedAt.Unix())
	if !o.NoPromise {
		e["inclusionPromise"] = map[string]any{"signedEntryTimestamp": sign(key, canonical(map[string]any{
			"body": text, "integratedTime": o.SignedAt.Unix(), "logID": hex.EncodeToString(logID(key)), "logIndex": 1,
		}))}
	}
	return e
}

// hashLeaf is that of RFC 6962, section 2.1.
func hashLeaf(data []byte) []byte {
	sum := sha256.Sum256(append([]byte{0}, data...))
	return sum[:]
}

func logID(key *ecdsa.PrivateKey) []byte {
	id := sha256.Sum256(spki(key))
	return id[:]
}

// checkpoint is a signed note: https://c2sp.org/tlog-checkpoint.
func checkpoint(key *ecdsa.PrivateKey, host, origin string, rootHash []byte) string {
	text := fmt.Sprintf("%s\n2\n%s\n", origin, base64.StdEncoding.EncodeToString(rootHash))
	sig := append(logID(key)[:4:4], sign(key, []byte(text))...)
	return fmt.Sprintf("%s\n— %s %s\n", text, host, base64.StdEncoding.EncodeToString(sig))
}

// timestamp is an RFC 3161 response over a signature.
func (f *Fake) timestamp(sig []byte, at time.Time) []byte {
	sum := sha256.Sum256(sig)
	t := timestamp.Timestamp{
		HashAlgorithm: crypto.SHA256, HashedMessage: sum[:], Time: at,
		Policy: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2}, SerialNumber: nil,
	}
	return must(t.CreateResponseWithOpts(f.tsa.certificate, f.tsa.key, crypto.SHA256))
}

// sct is the extension by which the certificate transparency log promises to
// list a certificate: RFC 6962, section 3.3.
func (f *Fake) sct(leaf *x509.Certificate, at time.Time) pkix.Extension {
	promise := ct.SignedCertificateTimestamp{SCTVersion: ct.V1, Timestamp: uint64(at.UnixMilli())}
	copy(promise.LogID.KeyID[:], logID(f.ctlog))
	message := must(ct.SerializeSCTSignatureInput(promise, ct.LogEntry{Leaf: ct.MerkleTreeLeaf{
		TimestampedEntry: &ct.TimestampedEntry{
			Timestamp: promise.Timestamp, EntryType: ct.PrecertLogEntryType,
			PrecertEntry: &ct.PreCert{
				IssuerKeyHash:  sha256.Sum256(f.intermediate.certificate.RawSubjectPublicKeyInfo),
				TBSCertificate: leaf.RawTBSCertificate,
			},
		},
	}}))
	promise.Signature = ct.DigitallySigned{
		Algorithm: tls.SignatureAndHashAlgorithm{Hash: tls.SHA256, Signature: tls.ECDSA}, Signature: sign(f.ctlog, message),
	}
	list := must(cttls.MarshalSCTsIntoSCTList([]*ct.SignedCertificateTimestamp{&promise}))
	return pkix.Extension{
		Id:    asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2},
		Value: must(asn1.Marshal(must(tls.Marshal(*list)))),
	}
}

// Trust is what a trusted root may have besides the certificate authority and
// the logs.
type Trust struct {
	NoTSA bool
	CT    bool // demand certificate transparency
	// LogsUntil ends the trust in the transparency logs.
	LogsUntil time.Time
}

// TrustedRoot is the trusted_root.json of the instance.
func (f *Fake) TrustedRoot(t Trust) []byte {
	until := notAfter
	if !t.LogsUntil.IsZero() {
		until = t.LogsUntil
	}
	span := func(end time.Time) map[string]any {
		return map[string]any{"start": notBefore.Format(time.RFC3339), "end": end.Format(time.RFC3339)}
	}
	log := func(key *ecdsa.PrivateKey, host string) map[string]any {
		return map[string]any{
			"baseUrl": "https://" + host, "hashAlgorithm": "SHA2_256",
			"publicKey": map[string]any{"rawBytes": spki(key), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": span(until)},
			"logId":     map[string]any{"keyId": logID(key)},
		}
	}
	chain := func(uri string, certificates ...*x509.Certificate) map[string]any {
		var all []any
		for _, c := range certificates {
			all = append(all, map[string]any{"rawBytes": c.Raw})
		}
		return map[string]any{
			"subject": map[string]any{"organization": "example.test", "commonName": "root"}, "uri": uri,
			"certChain": map[string]any{"certificates": all}, "validFor": span(notAfter),
		}
	}
	document := map[string]any{
		"mediaType":              "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
		"tlogs":                  []any{log(f.rekor1, rekor1Host), log(f.rekor2, rekor2Host)},
		"certificateAuthorities": []any{chain("https://fulcio.example.test", f.intermediate.certificate, f.root.certificate)},
	}
	if !t.NoTSA {
		document["timestampAuthorities"] = []any{chain("https://tsa.example.test", f.tsa.certificate, f.tsaIntermediate.certificate, f.root.certificate)}
	}
	if t.CT {
		document["ctlogs"] = []any{log(f.ctlog, "ct.example.test")}
	}
	return canonical(document)
}
