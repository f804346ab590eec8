package sigstore_test

import (
	"testing"

	"assize.dev/services/sign/internal/sigstore"
	"assize.dev/services/sign/internal/sigstore/sigstoretest"
)

var trustAll = sigstoretest.Trust{CT: true}

// FuzzVerify looks for panics, and for anything that is valid and was never
// signed.
func FuzzVerify(f *testing.F) {
	a := documentAnchors(f)
	signed := map[string]bool{"": true}
	for _, data := range documents(f) {
		f.Add(data)
		for _, r := range verify(f, data, a, now) {
			signed[string(r.Statement)] = true
		}
	}
	f.Add(sigstoretest.New("other").SignBlob(options{}, artifact))
	f.Add(blobBundle(f, "", "SHA2_256", nil, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, r := range verify(t, data, a, now) {
			if r.Valid && !signed[string(r.Statement)] {
				t.Errorf("never signed: %+v", r)
			}
		}
	})
}

// FuzzParseRoot uses whatever it accepts.
func FuzzParseRoot(f *testing.F) {
	f.Add(fake.TrustedRoot(sigstoretest.Trust{}))
	f.Add(fake.TrustedRoot(trustAll))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","tlogs":[{}],"certificateAuthorities":[{"certChain":{"certificates":[{}]}}]}`))
	bundle := fake.SignBlob(options{Rekor2: true}, artifact)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := sigstore.ParseRoot(data)
		if err != nil {
			return
		}
		verify(t, bundle, &sigstore.Anchors{Root: r}, now)
	})
}
