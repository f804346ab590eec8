package blob_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sethvargo/go-envconfig"

	"assize.dev/shared/blob"
	"assize.dev/shared/config"
)

func TestOpenChoosesTheDirectory(t *testing.T) {
	folder := t.TempDir()
	for _, store := range []string{"dir:" + folder, folder, filepath.Join(folder, "a:b")} {
		opened, err := blob.Open(t.Context(), blob.Config{Store: store})
		if err != nil {
			t.Errorf("%s: %v", store, err)
			continue
		}
		if err := opened.(*blob.Dir).Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	password := rand.Text()
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte(" \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	account := blob.S3Config{Endpoint: "127.0.0.1:1", AccessKey: "someone", SecretKey: config.Secret(password)}
	for name, c := range map[string]struct {
		store  string
		change func(*blob.S3Config)
		want   string
	}{
		"nothing":            {"", nil, "ASSIZE_STORE is not set"},
		"unknown kind":       {"gs://bucket", nil, "unknown kind"},
		"empty directory":    {"dir:", nil, "no directory"},
		"credentials in URL": {"s3://someone:" + password + "@bucket", nil, "end up in logs"},
		"broken URL":         {"s3://someone:" + password + "@bucket/%zz", nil, "malformed"},
		"unknown parameter":  {"s3://bucket?endpiont=x", nil, `"endpiont"`},
		"repeated parameter": {"s3://bucket?region=a&region=b", nil, "2 times"},
		"odd tls":            {"s3://bucket?tls=maybe", nil, "maybe"},
		"odd prefix":         {"s3://bucket/a/../b", nil, ".."},
		"no bucket":          {"s3://", nil, "ucket"},
		"no access key":      {"s3://bucket", func(c *blob.S3Config) { c.AccessKey = "" }, "ASSIZE_S3_ACCESS_KEY"},
		"no secret":          {"s3://bucket", func(c *blob.S3Config) { c.SecretKey = "" }, "ASSIZE_S3_SECRET_KEY"},
		"no certificate":     {"s3://bucket", func(c *blob.S3Config) { c.CAFile = empty }, "no certificate"},
		"nobody answers":     {"s3://bucket", nil, "127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			opened := blob.Config{Store: c.store, S3: account}
			if c.change != nil {
				c.change(&opened.S3)
			}
			store, err := blob.Open(t.Context(), opened)
			if err == nil || store != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v; want an error with %q", store, err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), password) {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

func TestConfigFromEnvironment(t *testing.T) {
	password := rand.Text()
	var c blob.Config
	err := envconfig.ProcessWith(t.Context(), &envconfig.Config{Target: &c, Lookuper: envconfig.MapLookuper(map[string]string{
		"ASSIZE_STORE":         "s3://bucket/prefix",
		"ASSIZE_S3_ENDPOINT":   "store:9000",
		"ASSIZE_S3_SECRET_KEY": password,
	})})
	if err != nil {
		t.Fatal(err)
	}
	if !c.S3.TLS || c.S3.EnsureBucket || c.S3.Region != "us-east-1" || c.S3.Endpoint != "store:9000" || c.S3.SecretKey.Reveal() != password {
		t.Errorf("got %+v", c)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("configured", "config", c, "secret", c.S3.SecretKey)
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, said := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), fmt.Sprintf("%q", c.S3.SecretKey), log.String(), string(asJSON)} {
		if strings.Contains(said, password) {
			t.Errorf("tells the secret: %s", said)
		}
	}
}
