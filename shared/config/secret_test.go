package config_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"assize.dev/shared/config"
)

func TestSecretIsNeverShown(t *testing.T) {
	hidden := strings.Repeat("hide", 3)
	secret := config.Secret(hidden)
	holder := struct {
		Name   string
		Token  config.Secret
		List   []config.Secret
		ByName map[string]config.Secret
		Ptr    *config.Secret
	}{"holder", secret, []config.Secret{secret}, map[string]config.Secret{"a": secret}, &secret}

	shown := make(map[string]string)
	for _, value := range []any{secret, &secret, holder, &holder} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10.3s"} {
			shown[fmt.Sprintf("%T %s", value, verb)] = fmt.Sprintf(verb, value)
		}
		asJSON, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		shown[fmt.Sprintf("%T JSON", value)] = string(asJSON)

		for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
			"slog JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
			"slog text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		} {
			var buf bytes.Buffer
			slog.New(handler(&buf)).Info("m", "value", value, slog.Group("g", "value", value))
			shown[fmt.Sprintf("%T %s", value, name)] = buf.String()
		}
	}
	asXML, err := xml.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	shown["XML"] = string(asXML)
	shown["error"] = fmt.Errorf("with %v: %w", secret, fmt.Errorf("%s", secret)).Error()

	hexed := fmt.Sprintf("%x", hidden)
	for how, text := range shown {
		if strings.Contains(text, hidden) || strings.Contains(strings.ToLower(text), hexed) {
			t.Errorf("%s shows the value: %s", how, text)
		}
	}
	if got := secret.Reveal(); got != hidden {
		t.Errorf("Reveal() = %q", got)
	}
	if got := fmt.Sprintf("%v|%#v|%s", secret, secret, config.Secret("")); got != `[redacted]|config.Secret("[redacted]")|` {
		t.Errorf("placeholders: %s", got)
	}
}
