// Command store is the S3-compatible server of the compose and test set-ups:
// versitygw over a directory, made durable. Where an object store exists
// already, Assize uses that instead.
//
//	store [serve]      serve S3
//	store healthcheck  exit 0 if the server on this machine answers
//
// It is configured by the environment:
//
//	ASSIZE_STORE_LISTEN                address, default 127.0.0.1:9000
//	ASSIZE_STORE_DATA                  directory, required
//	ASSIZE_STORE_BUCKETS               created on start, separated by commas
//	ASSIZE_STORE_TLS_CERT, …_TLS_KEY   PEM files; without them, plain HTTP
//	ASSIZE_S3_ACCESS_KEY, ASSIZE_S3_SECRET_KEY   of the only account; or
//	ASSIZE_S3_…_FILE                   the file that holds one of them
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/versity/versitygw/embedgw"
)

const healthPath = "/-healthy" // no bucket name starts with a hyphen

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		slog.Error("store ends", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	config := configFromEnv()
	switch command := strings.Join(args, " "); command {
	case "", "serve":
		return serve(ctx, config)
	case "healthcheck":
		return healthcheck(ctx, config)
	default:
		return fmt.Errorf("unknown command %q: want serve or healthcheck", command)
	}
}

func serve(ctx context.Context, c config) error {
	access, err := fromEnvOrFile("ASSIZE_S3_ACCESS_KEY")
	if err != nil {
		return err
	}
	secret, err := fromEnvOrFile("ASSIZE_S3_SECRET_KEY")
	if err != nil {
		return err
	}
	// Everything relative is resolved first: opening the backend changes the
	// working directory of the process.
	backend, err := open(&c)
	if err != nil {
		return err
	}
	for _, bucket := range c.buckets {
		if err := backend.ensureBucket(ctx, bucket, access); err != nil {
			return fmt.Errorf("creating bucket %q: %w", bucket, err)
		}
	}
	slog.Info("store serves", "address", c.listen, "data", c.data, "tls", c.cert != "", "metadata", backend.metadata)
	return embedgw.RunVersityGW(ctx, backend, &embedgw.Config{
		RootUserAccess:    access,
		RootUserSecret:    secret,
		Ports:             []string{c.listen},
		CertFile:          c.cert,
		KeyFile:           c.key,
		MaxConnections:    4096,
		MaxRequests:       1024,
		MultipartMaxParts: 10000,
		HealthPath:        healthPath,
		KeepAlive:         true,
		DisableACLs:       true,
		Quiet:             true,
	})
}

// healthcheck asks the server it shares a container with. The certificate is
// for the name others use, so it is not verified here; nothing is sent.
func healthcheck(ctx context.Context, c config) error {
	host, port, err := net.SplitHostPort(c.listen)
	if err != nil {
		return fmt.Errorf("reading ASSIZE_STORE_LISTEN: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	scheme := "http://"
	if c.cert != "" {
		scheme = "https://"
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+net.JoinHostPort(host, port)+healthPath, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusOK {
		return errors.Join(fmt.Errorf("server answered %s", answer.Status), err)
	}
	return nil
}
