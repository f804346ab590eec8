package sigstore_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"assize.dev/services/sign/internal/sigstore"
	"assize.dev/services/sign/internal/sigstore/sigstoretest"
)

func TestBlob(t *testing.T) {
	other := sigstoretest.New("other")
	for _, c := range []struct {
		name string
		by   *sigstoretest.Fake
		opts options
		data []byte
		want string
	}{
		{name: "log version 1", want: "valid"},
		{name: "log version 2", opts: options{Rekor2: true}, want: "valid"},
		{name: "bundle 0.1", opts: options{Version: "0.1"}, want: "valid"},
		{name: "bundle 0.1, the log's promise alone", opts: options{Version: "0.1", NoProof: true}, want: "valid"},
		{name: "bundle 0.2", opts: options{Version: "0.2"}, want: "valid"},
		{name: "log and timestamp", opts: options{Timestamp: true}, want: "valid"},
		{name: "log proof and timestamp", opts: options{NoPromise: true, Timestamp: true}, want: "valid"},
		{name: "log of many trees", opts: options{NoPromise: true, Timestamp: true, Edit: set("1000", entry("logIndex")...)}, want: "valid"},
		{name: "certificate in a log nobody asked about", opts: options{SCT: true}, want: "valid"},
		{name: "a timestamp that is not needed is broken", opts: options{Timestamp: true, Edit: flip(stamp...)}, want: "valid"},
		{name: "no claims of a build", opts: options{Repository: "-", Ref: "-", Commit: "-", Runner: "-"}, want: "valid"},

		{name: "no log", opts: options{NoLog: true}, want: "invalid: not enough verified log entries"},
		{name: "no log, but a timestamp", opts: options{NoLog: true, Timestamp: true}, want: "invalid: not enough verified log entries"},
		{name: "no time in log version 1", opts: options{NoPromise: true}, want: "invalid: threshold not met"},
		{name: "no time in log version 2", opts: options{Rekor2: true, NoTimestamp: true}, want: "invalid: threshold not met"},
		{name: "bundle 0.1 without promise", opts: options{Version: "0.1", NoPromise: true}, want: "invalid: inclusion promises missing"},
		{name: "bundle 0.2 without proof", opts: options{Version: "0.2", NoProof: true}, want: "invalid: inclusion proof missing"},
		{name: "bundle 0.3 without proof", opts: options{NoProof: true}, want: "invalid: inclusion proof missing"},
		{name: "bundle 0.4", opts: options{Edit: set("application/vnd.dev.sigstore.bundle.v0.4+json", "mediaType")}, want: "invalid: not yet supported"},
		{name: "bundle 0.3 with a chain", opts: options{Version: "0.2", Edit: set("application/vnd.dev.sigstore.bundle.v0.3+json", "mediaType")}, want: "invalid: cannot be X.509 certificate chain"},
		{name: "unknown media type", opts: options{Edit: set("application/json", "mediaType")}, want: "invalid: unsupported media type"},
		{name: "unknown member", opts: options{Edit: set(1, "somethingNew")}, want: "invalid: unknown field"},
		{name: "no certificate", opts: options{Edit: set(object{}, "verificationMaterial")}, want: "invalid: missing verification material"},
		{name: "certificate not one", opts: options{Edit: set(object{"rawBytes": "AAAA"}, "verificationMaterial", "certificate")}, want: "invalid: x509"},
		{name: "no content", opts: options{Edit: func(b object) { delete(b, "messageSignature") }}, want: "invalid: missing bundle content"},

		{name: "artifact of another signature", data: []byte("another artifact"), want: "invalid: another file"},
		{name: "digest changed to the artifact's", data: []byte("another artifact"), opts: options{
			Edit: func(b object) {
				sum := sha256.Sum256(artifact)
				at(b, "messageSignature", "messageDigest").(object)["digest"] = base64.StdEncoding.EncodeToString(sum[:])
			},
		}, want: "invalid: does not match artifact"},
		{name: "digest of another algorithm", opts: options{Edit: func(b object) {
			sum := sha512.Sum512(artifact)
			at(b, "messageSignature").(object)["messageDigest"] = object{"algorithm": "SHA2_512", "digest": sum[:]}
		}}, want: "invalid: algorithm mismatch"},
		{name: "digest of an unknown algorithm", opts: options{Edit: set("SHA3_256", "messageSignature", "messageDigest", "algorithm")}, want: "invalid: message digest is SHA3_256"},
		{name: "no digest", opts: options{Edit: func(b object) { delete(b["messageSignature"].(object), "messageDigest") }}, want: "invalid: message digest is"},
		{name: "signature", opts: options{Edit: flip("messageSignature", "signature")}, want: "invalid: log signature does not match"},
		{name: "signature, version 2", opts: options{Rekor2: true, Edit: flip("messageSignature", "signature")}, want: "invalid: log entry"},
		{name: "no signature", opts: options{Edit: set("", "messageSignature", "signature")}, want: "invalid: log signature does not match"},
		{name: "certificate", opts: options{Edit: flip("verificationMaterial", "certificate", "rawBytes")}, want: "invalid: "},
		{name: "log entry", opts: options{Edit: flip(entry("canonicalizedBody")...)}, want: "invalid: "},
		{name: "log entry, version 2", opts: options{Rekor2: true, Edit: flip(entry("canonicalizedBody")...)}, want: "invalid: "},
		{name: "log promise", opts: options{Edit: flip(entry("inclusionPromise", "signedEntryTimestamp")...)}, want: "invalid: not enough verified log entries"},
		{name: "log proof", opts: options{Edit: set([]any{base64.StdEncoding.EncodeToString(make([]byte, 32))}, entry("inclusionProof", "hashes")...)}, want: "invalid: "},
		{name: "log proof, version 2", opts: options{Rekor2: true, Edit: set([]any{base64.StdEncoding.EncodeToString(make([]byte, 32))}, entry("inclusionProof", "hashes")...)}, want: "invalid: "},
		{name: "log root", opts: options{Edit: flip(entry("inclusionProof", "rootHash")...)}, want: "invalid: "},
		{name: "checkpoint", opts: options{Edit: func(b object) {
			in := at(b, entry("inclusionProof", "checkpoint")...).(object)
			in["envelope"] = strings.Replace(in["envelope"].(string), "\n2\n", "\n3\n", 1)
		}}, want: "invalid: "},
		{name: "checkpoint of another log", opts: options{Rekor2: true, Edit: func(b object) {
			in := at(b, entry("inclusionProof", "checkpoint")...).(object)
			in["envelope"] = strings.ReplaceAll(in["envelope"].(string), "log2026", "log2027")
		}}, want: "invalid: "},
		{name: "no checkpoint", opts: options{Edit: func(b object) { delete(at(b, entry("inclusionProof")...).(object), "checkpoint") }}, want: "invalid: checkpoint"},
		{name: "time of the log", opts: options{Edit: set("1780315261", entry("integratedTime")...)}, want: "invalid: not enough verified log entries"},
		{name: "place in the log", opts: options{Edit: set("0", entry("logIndex")...)}, want: "invalid: not enough verified log entries"},
		{name: "unknown log", opts: options{Edit: flip(entry("logId", "keyId")...)}, want: "invalid: not enough verified log entries"},
		{name: "log entry twice", opts: options{Edit: func(b object) {
			m := b["verificationMaterial"].(object)
			m["tlogEntries"] = []any{at(m, "tlogEntries", 0), at(m, "tlogEntries", 0)}
		}}, want: "invalid: duplicate tlog entries"},
		{name: "too many log entries", opts: options{Edit: func(b object) {
			m := b["verificationMaterial"].(object)
			for len(m["tlogEntries"].([]any)) < 40 {
				m["tlogEntries"] = append(m["tlogEntries"].([]any), at(m, "tlogEntries", 0))
			}
		}}, want: "invalid: too many tlog entries"},
		{name: "timestamp", opts: options{Rekor2: true, Edit: flip(stamp...)}, want: "invalid: threshold not met"},
		{name: "timestamp of another signature", opts: options{Rekor2: true, Edit: func(b object) {
			var another object
			if err := json.Unmarshal(fake.SignBlob(options{Rekor2: true}, []byte("x")), &another); err != nil {
				panic(err)
			}
			set(at(another, stamp...), stamp...)(b)
		}}, want: "invalid: threshold not met"},
		{name: "the log has another signature", opts: options{Rekor2: true, EditEntry: func(e object) {
			at(e, "spec", "hashedRekordV002", "signature").(object)["content"] = []byte("another signature")
		}}, want: "invalid: log entry"},

		{name: "certificate expired before signing", opts: options{EditCertificate: func(c *x509.Certificate) {
			c.NotAfter = sigstoretest.SignedAt.Add(-time.Second)
		}}, want: "invalid: integrated time outside certificate validity"},
		{name: "certificate expired before signing, version 2", opts: options{Rekor2: true, EditCertificate: func(c *x509.Certificate) {
			c.NotAfter = sigstoretest.SignedAt.Add(-time.Second)
		}}, want: "invalid: leaf certificate verification failed"},
		{name: "certificate not yet valid at signing", opts: options{EditCertificate: func(c *x509.Certificate) {
			c.NotBefore = sigstoretest.SignedAt.Add(time.Second)
		}}, want: "invalid: integrated time outside certificate validity"},
		{name: "certificate for another use", opts: options{EditCertificate: func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}}, want: "invalid: leaf certificate verification failed"},
		{name: "certificate with an unknown critical extension", opts: options{EditCertificate: func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}})
		}}, want: "invalid: leaf certificate verification failed"},
		{name: "certificate for two", opts: options{EditCertificate: func(c *x509.Certificate) {
			c.EmailAddresses = []string{"a@example.test"}
		}}, want: "invalid: names 2 identities"},
		{name: "certificate for nobody", opts: options{EditCertificate: func(c *x509.Certificate) { c.URIs = nil }}, want: "invalid: no Subject Alternative Name"},
		{name: "certificate without issuer of the identity", opts: options{Issuer: "-"}, want: "invalid: does not say who identified"},
		{name: "signed in the future", opts: options{SignedAt: now.Add(10 * time.Minute)}, want: "invalid: in the future"},
		{name: "signed in the future, version 2", opts: options{Rekor2: true, SignedAt: now.Add(10 * time.Minute)}, want: "invalid: in the future"},
		{name: "clocks differ", opts: options{SignedAt: now.Add(4 * time.Minute)}, want: "valid"},

		{name: "another root", by: other, want: "stranger: not from an authority of the trusted root"},
		{name: "another root, version 2", by: other, opts: options{Rekor2: true}, want: "stranger: not from an authority of the trusted root"},
		{name: "another root, no log", by: other, opts: options{NoLog: true}, want: "stranger: not from an authority of the trusted root"},
		{name: "another root, artifact changed", by: other, data: []byte("another artifact"), want: "invalid: another file"},
		{name: "another root, signature changed", by: other, opts: options{NoLog: true, Edit: flip("messageSignature", "signature")}, want: "invalid: verify"},
		{name: "another workflow", opts: options{SAN: strings.Replace(sigstoretest.SAN, "example", "evil", 1)}, want: "stranger: not one of the trusted identities"},
		{name: "another branch", opts: options{SAN: strings.Replace(sigstoretest.SAN, "v1.0.0", "v1.0.1", 1)}, want: "stranger: not one of the trusted identities"},
		{name: "longer than the identity", opts: options{SAN: sigstoretest.SAN + "0"}, want: "stranger: not one of the trusted identities"},
		{name: "another issuer", opts: options{Issuer: sigstoretest.Issuer + ".evil.test"}, want: "stranger: not one of the trusted identities"},
		{name: "an e-mail address", opts: options{SAN: "dev@example.test"}, want: "stranger: not one of the trusted identities"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.by == nil {
				c.by = fake
			}
			if c.data == nil {
				c.data = artifact
			}
			all := verify(t, c.by.SignBlob(c.opts, c.data), anchors(t), now)
			if len(all) != 1 {
				t.Fatalf("%d results", len(all))
			}
			r := all[0]
			wants(t, r, c.want)
			if r.Kind != sigstore.KindBundle {
				t.Errorf("kind %s", r.Kind)
			}
			san, issuer := c.opts.SAN, c.opts.Issuer
			if san == "" {
				san = sigstoretest.SAN
			}
			if issuer == "" {
				issuer = sigstoretest.Issuer
			}
			if (r.Valid || r.Stranger) && r.Signer != san+" ("+issuer+")" {
				t.Errorf("signer %q", r.Signer)
			}
			if r.Valid && (!r.TimeProven || r.Statement != nil || r.Certificate == nil) {
				t.Errorf("got %+v", r)
			}
		})
	}
}
