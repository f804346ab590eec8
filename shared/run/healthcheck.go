package run

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// checkHealth lets a container image without a shell or curl check itself.
func (p program) checkHealth() error {
	ctx, done := context.WithTimeout(context.Background(), 3*time.Second)
	defer done()
	var cfg Config
	if err := p.load(ctx, &cfg); err != nil {
		return err
	}
	address, err := dialAddress(cfg.HTTP)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/healthz", nil)
	if err != nil {
		return fmt.Errorf("ASSIZE_HTTP: %q: %w", cfg.HTTP, err)
	}
	// A transport of its own: no proxy stands between a process and itself.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("asking for health: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("asking %s for health: %s", address, answer.Status)
	}
	return nil
}

// dialAddress is where to reach what listens on the given address: every
// interface includes the loopback.
func dialAddress(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("ASSIZE_HTTP: %q is not an address: %w", listen, err)
	}
	if port == "" || port == "0" {
		return "", fmt.Errorf("ASSIZE_HTTP: %q has no fixed port", listen)
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip == netip.IPv4Unspecified() {
		host = "127.0.0.1"
	} else if err == nil && ip == netip.IPv6Unspecified() {
		host = "::1"
	}
	return net.JoinHostPort(host, port), nil
}
