package main

import (
	"bytes"
	"context"
	"testing"

	"github.com/zricethezav/gitleaks/v8/config"

	"assize.dev/services/scan"
)

// TestGitleaksRules reads the rules that gitleaks comes with and scans with
// them.
func TestGitleaksRules(t *testing.T) {
	rules, err := scan.ParseSecretRules([]byte(config.DefaultConfig))
	if err != nil {
		t.Fatal(err)
	}
	scanner, err := scan.NewSecretScanner([]byte("sixteen bytes or more"), rules)
	if err != nil {
		t.Fatal(err)
	}
	token := "adobe_secret = 'p8e-" + "0f1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d'"
	found := 0
	if err := scanner.ScanStream(context.Background(), "a.env", bytes.NewReader([]byte(token)), func(f scan.SecretFinding) {
		if f.Type == "adobe-client-secret" {
			found++
		}
	}); err != nil || found != 1 {
		t.Errorf("%d findings, %v", found, err)
	}
}
