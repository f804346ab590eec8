package config_test

import (
	"testing"

	"assize.dev/shared/config"
)

func TestDigest(t *testing.T) {
	type settings struct {
		Name   string        `env:"ASSIZE_TEST_DIGEST_NAME"`
		Secret config.Secret `env:"ASSIZE_TEST_DIGEST_SECRET"`
	}
	digest := func() string {
		t.Helper()
		d, err := config.Digest(&settings{})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	none := digest()
	t.Setenv("ASSIZE_TEST_DIGEST_NAME", "a")
	a := digest()
	t.Setenv("ASSIZE_TEST_DIGEST_NAME", "b")
	b := digest()
	t.Setenv("ASSIZE_TEST_DIGEST_SECRET", "one")
	one := digest()
	t.Setenv("ASSIZE_TEST_DIGEST_SECRET", "two")
	if none == a || a == b || b == one {
		t.Error("what has changed is not told")
	}
	if two := digest(); one != two {
		t.Error("the digest depends on what a secret is")
	}
}
