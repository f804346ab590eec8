package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sethvargo/go-envconfig"

	"assize.dev/shared/config"
	"assize.dev/shared/telemetry"
)

// Config is what Main reads for itself.
type Config struct {
	HTTP  string        `env:"ASSIZE_HTTP, default=:8080" help:"address of the HTTP endpoints: /healthz, /readyz, /metrics and the service's own"`
	Drain time.Duration `env:"ASSIZE_DRAIN, default=25s" help:"how long stopping may take before what is left is abandoned"`
}

// Exit codes of Main.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// Main is the whole of a service's main function; it does not return. The
// only argument, if any, is one of
//
//	env          print every variable with its default and meaning
//	healthcheck  ask the service running on ASSIZE_HTTP for /healthz
//	version      print the version
//	help         print this list
//
// Without one it fills configs, pointers to structs, from the environment,
// starts telemetry, calls start to build the parts, and serves them until
// SIGTERM or SIGINT. A second signal exits at once. The exit code is 0 after
// an orderly stop, 1 after any failure, 2 for arguments it does not know.
//
// The context given to start ends at the first signal; when start returns
// parts, their Close releases what it opened.
func Main(name string, configs []any, start func(ctx context.Context) ([]Part, error)) {
	p := program{name: name, configs: configs, start: start, stdout: os.Stdout, stderr: os.Stderr}
	os.Exit(p.run(os.Args[1:]))
}

type program struct {
	name           string
	configs        []any
	start          func(ctx context.Context) ([]Part, error)
	env            envconfig.Lookuper // nil is the process environment
	stdout, stderr io.Writer
}

func (p program) run(args []string) int {
	if len(args) == 0 {
		ctx, stop := untilSignal(context.Background())
		defer stop()
		return p.serve(ctx)
	}
	if len(args) > 1 {
		return p.misused("one argument at most")
	}
	switch args[0] {
	case "env":
		return p.exit(p.printVariables())
	case "healthcheck":
		return p.exit(p.checkHealth())
	case "version", "-version", "--version":
		return p.exit(printTo(p.stdout, "%s %s\n", p.name, BuildVersion()))
	case "help", "-h", "-help", "--help":
		return p.exit(printTo(p.stdout, usage, p.name))
	}
	return p.misused(fmt.Sprintf("unknown argument %q", args[0]))
}

const usage = `usage: %s [env | healthcheck | version | help]

Without an argument the service runs until SIGTERM or SIGINT.

  env          print every environment variable it reads
  healthcheck  exit 0 if the service on ASSIZE_HTTP is alive, else 1
  version      print the version
  help         print this text
`

func (p program) misused(why string) int {
	_ = printTo(p.stderr, "%s: %s\n"+usage, p.name, why, p.name)
	return exitUsage
}

func (p program) exit(err error) int {
	if err == nil {
		return exitOK
	}
	_ = printTo(p.stderr, "%s: %v\n", p.name, err)
	return exitFailed
}

func printTo(w io.Writer, format string, args ...any) error {
	_, err := fmt.Fprintf(w, format, args...)
	return err
}

func (p program) printVariables() error {
	if err := config.Table(p.stdout, append([]any{Config{}, telemetry.Config{}}, p.configs...)...); err != nil {
		return err
	}
	return printTo(p.stdout, "\nTracing, metrics and logs are exported as the OTEL_* variables of the OpenTelemetry\n"+
		"specification say, and not at all when none names an exporter or an endpoint.\n")
}

func (p program) load(ctx context.Context, cfgs ...any) error {
	if err := config.Load(ctx, p.env, cfgs...); err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	return nil
}

// serve prints what goes wrong before there is a logger, and logs the rest.
func (p program) serve(ctx context.Context) int {
	var cfg Config
	if err := p.load(ctx, append([]any{&cfg, new(telemetry.Config)}, p.configs...)...); err != nil {
		return p.exit(err)
	}
	if d, err := config.Digest(append([]any{&cfg, new(telemetry.Config)}, p.configs...)...); err == nil {
		settings.Store(d)
	}
	if cfg.Drain <= 0 {
		return p.exit(fmt.Errorf("reading the configuration: ASSIZE_DRAIN: %s is not a positive duration", cfg.Drain))
	}
	tel, err := telemetry.Start(ctx, p.name, BuildVersion())
	if err != nil {
		return p.exit(err)
	}
	defer func() {
		flush, done := context.WithTimeout(context.WithoutCancel(ctx), flushWithin)
		defer done()
		// What could not be flushed is lost, but the service did its work.
		if err := tel.Shutdown(flush); err != nil {
			slog.Warn("the last telemetry is lost", "error", err)
		}
	}()
	if err := p.serveParts(ctx, Options{Name: p.name, HTTP: cfg.HTTP, Drain: cfg.Drain, Metrics: tel.Metrics()}); err != nil {
		slog.ErrorContext(ctx, "stopped", "service", p.name, "error", err)
		return exitFailed
	}
	slog.InfoContext(ctx, "stopped", "service", p.name)
	return exitOK
}

// settings of the process, once Main has read them.
var settings atomic.Value

// Settings is the digest of the settings that Main has read, "" before; see
// config.Digest.
func Settings() string {
	s, _ := settings.Load().(string)
	return s
}

func (p program) serveParts(ctx context.Context, opts Options) error {
	parts, err := p.start(ctx)
	switch {
	case err == nil:
		return Serve(ctx, opts, parts...)
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return nil // asked to stop before it was up
	}
	return fmt.Errorf("starting: %w", err)
}

// flushWithin is spent after draining, so both together stay below the 30 s
// that Kubernetes allows.
const flushWithin = 3 * time.Second

// untilSignal ends the context at the first SIGTERM or SIGINT and the process
// at the second. The function it returns gives the signals back.
func untilSignal(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case first := <-signals:
			cancel(fmt.Errorf("received %s", first))
		case <-stop:
			return
		}
		select {
		case second := <-signals:
			slog.Error("exiting at once, draining is not finished", "why", "received "+second.String()+" again")
			os.Exit(exitFailed)
		case <-stop:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(stop)
		<-stopped
		cancel(nil)
	}
}
