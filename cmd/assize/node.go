package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"syscall"

	"assize.dev/services/audit"
	"assize.dev/services/ingest"
	"assize.dev/services/sbom"
	"assize.dev/services/scan"
	"assize.dev/services/sign"
	"assize.dev/services/verdict"
	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/config"
	"assize.dev/shared/notice"
	"assize.dev/shared/run"
)

// node is Assize in one process: every service, an embedded NATS server and
// a directory for a store.
type node struct {
	data   dataDir
	server *bus.Server
	bus    *bus.Bus
	store  blob.Store

	ingest *ingest.Service
	audit  *audit.Service
	parts  []run.Part
}

// pipelineFlags are what the embedded services can be told.
type pipelineFlags struct {
	Advisories string `help:"Advisories to match against: a directory in the layout of the OSV export (<ecosystem>/all.zip). Without it those count that assize advisories update has fetched." env:"ASSIZE_ADVISORIES" placeholder:"DIR" type:"path"`
	Policy     string `help:"Policy: a YAML file with settings, or a Rego module." env:"ASSIZE_POLICY" placeholder:"FILE" type:"path"`
	Trust      string `help:"Directory with the public keys that are trusted; by default <data>/trusted." env:"ASSIZE_TRUSTED_KEYS" placeholder:"DIR" type:"path"`
	Workers    int    `help:"Artifacts examined at a time." default:"2" env:"ASSIZE_WORKERS"`

	stays bool // long enough to judge again what new advisories change
}

// startNode opens the state and makes the services; nothing runs yet.
func startNode(ctx context.Context, data dataDir, f pipelineFlags, listen string, log *slog.Logger) (_ *node, err error) {
	n := &node{data: data}
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	// First, because its lock keeps other processes out of the directory.
	if n.server, err = bus.StartServer(bus.ServerOptions{Dir: data.nats(), Listen: listen}); err != nil {
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
			err = fmt.Errorf("%w: give a directory that can be written with --data DIR", err)
		}
		return nil, err
	}
	if err := sign.NewKeyDir(data.keys(), sign.SignerOptions{}).Ensure(ctx); err != nil {
		return nil, err
	}
	if n.bus, err = n.server.Connect(ctx, "assize"); err != nil {
		return nil, err
	}
	if _, err = n.bus.Provision(ctx, bus.ProvisionOptions{Apply: true}); err != nil {
		return nil, err
	}
	if n.store, err = blob.OpenDir(data.store()); err != nil {
		return nil, err
	}
	return n, n.makeServices(ctx, f, log)
}

func (n *node) makeServices(ctx context.Context, f pipelineFlags, log *slog.Logger) error {
	key, err := n.data.secret("fingerprint.key")
	if err != nil {
		return err
	}
	trusted := f.Trust
	if trusted == "" {
		trusted = n.data.trusted()
		if err := os.MkdirAll(trusted, 0o700); err != nil {
			return err
		}
	}
	// What the environment says holds for embedded services too; flags and
	// the data directory go before it.
	var (
		ingestConfig  ingest.Config
		signConfig    sign.Config
		sbomConfig    sbom.Config
		scanConfig    scan.Config
		verdictConfig verdict.Config
		auditConfig   audit.Config
	)
	for _, c := range []any{&ingestConfig, &signConfig, &sbomConfig, &scanConfig, &verdictConfig, &auditConfig} {
		if err := config.Load(ctx, nil, c); err != nil {
			return err
		}
	}
	signConfig.Keys, signConfig.KeySet, signConfig.TrustedKeys = nil, n.data.keys(), trusted
	scanConfig.Advisories, scanConfig.IndexDir, scanConfig.SecretsKey = f.Advisories, n.data.advisories(), config.Secret(key)
	if f.stays {
		scanConfig.Inventory = n.data.inventory()
	}
	verdictConfig.Policy = f.Policy
	verdictConfig.Again = verdictConfig.Again && f.stays
	if auditConfig.Keys == "" {
		if auditConfig.Keys, err = n.data.logKey(); err != nil {
			return err
		}
	}
	for _, workers := range []*int{&ingestConfig.Workers, &signConfig.Workers, &sbomConfig.Workers, &scanConfig.Workers, &verdictConfig.Workers} {
		*workers = max(1, f.Workers)
	}

	if n.ingest, err = ingest.New(ingestConfig, blob.S3Config{}, n.bus, n.store, log); err != nil {
		return err
	}
	signer, err := sign.New(signConfig, run.BuildVersion(), n.bus, n.store, log)
	if err != nil {
		return err
	}
	cataloguer, err := sbom.New(sbomConfig, n.bus, n.store, log)
	if err != nil {
		return err
	}
	scanner, err := scan.New(scanConfig, n.bus, n.store, log)
	if err != nil {
		return err
	}
	judge, err := verdict.New(ctx, verdictConfig, n.bus, n.store, log)
	if err != nil {
		return err
	}
	if n.audit, err = audit.New(auditConfig, n.bus, n.store, log); err != nil {
		return err
	}
	n.parts = []run.Part{
		{Name: "ingest", Run: n.ingest.Run, Ready: n.bus.Ready, Pattern: ingest.Pattern, Handler: n.ingest.Handler()},
		{Name: "sign", Run: signer.Run},
		{Name: "sbom", Run: cataloguer.Run},
		{Name: "scan", Run: scanner.Run, Ready: scanner.Ready},
		{Name: "verdict", Run: judge.Run},
	}
	n.parts = append(n.parts, n.audit.Parts()...)
	if f.stays {
		board := notice.Board{Bus: n.bus, Store: n.store, Service: "assize", Log: log}
		n.parts = append(n.parts, run.Part{Name: "notice", Run: func(ctx context.Context) error {
			board.Serve(ctx, run.BuildVersion(), "")
			return nil
		}})
	}
	return nil
}

func (n *node) close() {
	if n.bus != nil {
		n.bus.Close()
	}
	if n.server != nil {
		n.server.Shutdown()
	}
}
