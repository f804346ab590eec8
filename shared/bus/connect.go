// Package bus is JetStream as Assize uses it: connect, provision, publish,
// consume, dead letters, trimming. Every service shares it, so that the
// promises of delivery are kept in one place: what was acknowledged is on
// the disk, everything is delivered at least once, and nothing is dropped in
// silence.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"assize.dev/shared/config"
)

// Config says where the NATS servers are and who we are to them.
type Config struct {
	URL      string        `env:"ASSIZE_NATS_URL, default=nats://127.0.0.1:4222" help:"NATS servers, separated by commas"`
	Creds    string        `env:"ASSIZE_NATS_CREDS" help:"file with NATS credentials (JWT and seed)"`
	NKey     string        `env:"ASSIZE_NATS_NKEY" help:"file with the seed of our NATS user key"`
	CA       string        `env:"ASSIZE_NATS_CA" help:"PEM file with the authority that signed the servers' certificates"`
	Cert     string        `env:"ASSIZE_NATS_CERT" help:"PEM file with our TLS client certificate"`
	Key      string        `env:"ASSIZE_NATS_KEY" help:"PEM file with the key of ASSIZE_NATS_CERT"`
	User     string        `env:"ASSIZE_NATS_USER" help:"NATS user"`
	Password config.Secret `env:"ASSIZE_NATS_PASSWORD" help:"password of ASSIZE_NATS_USER"`
	Inbox    string        `env:"ASSIZE_NATS_INBOX" help:"prefix of our reply subjects, where permissions fix one (default _INBOX)"`
	Wait     bool          `env:"ASSIZE_NATS_WAIT, default=false" help:"do not start before NATS can be reached"`
	Replicas int           `env:"ASSIZE_NATS_REPLICAS, default=0" help:"copies of every stream: 1, 3 or 5; 0 keeps what they have, 1 for new ones"`
	MaxBytes int64         `env:"ASSIZE_NATS_MAX_BYTES, default=0" help:"bytes all streams together may take; 0 keeps what they have, 9 GiB for new ones"`
}

// Bus is one connection to JetStream. It is safe for concurrent use.
type Bus struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	name     string
	log      *slog.Logger
	metrics  *metrics
	maxStore int64 // of an in-process server, else 0

	mu      sync.Mutex
	denied  error            // last permission violation on this connection
	desired ProvisionOptions // what a missing consumer is made anew from
	login   context.Context  // ends when the connection is lost and made anew
	relogin context.CancelFunc
	allowed context.Context // ends at the next permission violation
	forbid  context.CancelFunc
	refused error // why the last attempt to connect failed
}

const (
	apiTimeout = 2 * time.Second // a healthy server answers in milliseconds
	drainTime  = 2 * time.Second
)

// Connect makes a connection that then survives every outage. It returns
// after one try at each address, connected or not, unless cfg.Wait: then when
// connected or when ctx ends. The name is what operators see at the server.
func Connect(ctx context.Context, cfg Config, name string) (*Bus, error) {
	opts, err := cfg.options()
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	return connect(ctx, cfg.URL, cfg, name, cfg.Wait, opts...)
}

func (cfg Config) options() ([]nats.Option, error) {
	var opts []nats.Option
	switch {
	case (cfg.Cert == "") != (cfg.Key == ""):
		return nil, errors.New("ASSIZE_NATS_CERT and ASSIZE_NATS_KEY go together; one is missing")
	case cfg.Creds != "" && cfg.NKey != "":
		return nil, errors.New("ASSIZE_NATS_CREDS and ASSIZE_NATS_NKEY are both set; choose one")
	}
	if cfg.Creds != "" {
		opts = append(opts, nats.UserCredentials(cfg.Creds))
	}
	if cfg.NKey != "" {
		opt, err := nats.NkeyOptionFromSeed(cfg.NKey)
		if err != nil {
			return nil, fmt.Errorf("ASSIZE_NATS_NKEY: %w", err)
		}
		opts = append(opts, opt)
	}
	if cfg.CA != "" {
		opts = append(opts, nats.RootCAs(cfg.CA))
	}
	if cfg.Cert != "" {
		opts = append(opts, nats.ClientCert(cfg.Cert, cfg.Key))
	}
	if cfg.User != "" {
		opts = append(opts, nats.UserInfo(cfg.User, cfg.Password.Reveal()))
	}
	if cfg.Inbox != "" {
		opts = append(opts, nats.CustomInboxPrefix(strings.TrimSuffix(cfg.Inbox, ".")))
	}
	return opts, nil
}

func connect(ctx context.Context, url string, cfg Config, name string, wait bool, opts ...nats.Option) (*Bus, error) {
	b := &Bus{name: name, log: slog.Default().With("bus", name), metrics: newMetrics(),
		desired: ProvisionOptions{Replicas: cfg.Replicas, MaxBytes: cfg.MaxBytes}}
	b.login, b.relogin = context.WithCancel(context.Background())
	b.allowed, b.forbid = context.WithCancel(context.Background())
	up := make(chan struct{}, 1)
	opts = append([]nats.Option{
		nats.Name(name),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(500*time.Millisecond, time.Second),
		// Credentials may be put right while we run: at the server, or in
		// cfg's files, of which only the key of NKey stays as it was.
		nats.IgnoreAuthErrorAbort(),
		// Nothing is sent behind the back of a caller who was told it failed.
		nats.ReconnectBufSize(-1),
		nats.PingInterval(10 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.ConnectHandler(func(*nats.Conn) { b.loggedIn(); up <- struct{}{} }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				b.log.Warn("NATS connection lost; reconnecting", "error", err)
			}
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.refused = err
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			b.loggedIn()
			b.log.Info("NATS connection is back", "server", nc.ConnectedUrlRedacted())
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrPermissionViolation) {
				b.deny(err)
			}
			b.log.Error("NATS reported an error", "error", err)
		}),
	}, opts...)
	var err error
	if b.nc, err = nats.Connect(url, opts...); err != nil {
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	if b.js, err = jetstream.New(b.nc); err != nil {
		b.nc.Close()
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	if !wait || b.nc.IsConnected() {
		return b, nil
	}
	select {
	case <-up:
		return b, nil
	case <-ctx.Done():
		err := errors.Join(b.whyNot(), ctx.Err())
		b.nc.Close()
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
}

// loggedIn wakes those who wait for a server that has forgotten them.
// Permissions may have changed with the login.
func (b *Bus) loggedIn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.denied, b.refused = nil, nil
	b.relogin()
	b.login, b.relogin = context.WithCancel(context.Background())
}

// session is ctx, but ends also when the connection is made anew: what was
// asked of the old one will not be answered.
func (b *Bus) session(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	stop := context.AfterFunc(b.login, cancel)
	return ctx, func() { stop(); cancel() }
}

func (b *Bus) deny(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.denied = err
	b.forbid()
	b.allowed, b.forbid = context.WithCancel(context.Background())
}

// undenied is a session that also ends when the server refuses us anything,
// which is all the answer that a refused request gets.
func (b *Bus) undenied(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := b.session(ctx)
	ctx, cancel := context.WithCancel(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	stop := context.AfterFunc(b.allowed, cancel)
	return ctx, func() { stop(); cancel(); end() }
}

func (b *Bus) denial() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.denied
}

// whyNot is the reason for not being connected, nil if it is unknown.
func (b *Bus) whyNot() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refused != nil {
		return b.refused
	}
	return b.nc.LastError()
}

// Ready tells why the bus cannot be relied on: not connected, JetStream does
// not answer within two seconds, or the server has refused us something since
// we last logged in. The last matters because a refused request is otherwise
// just never answered. Needs the right to publish to $JS.API.INFO.
func (b *Bus) Ready(ctx context.Context) error {
	if err := b.denial(); err != nil {
		return fmt.Errorf("NATS permissions: %w", err)
	}
	if !b.nc.IsConnected() {
		if err := b.whyNot(); err != nil {
			return fmt.Errorf("NATS is %s: %w", strings.ToLower(b.nc.Status().String()), err)
		}
		return fmt.Errorf("NATS is %s", strings.ToLower(b.nc.Status().String()))
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	if _, err := b.js.AccountInfo(ctx); err != nil {
		return fmt.Errorf("JetStream does not answer: %w", errors.Join(err, b.denial()))
	}
	return nil
}

// JetStream is the connection itself, for what this package does not offer.
func (b *Bus) JetStream() jetstream.JetStream { return b.js }

// Close sends what is still to be sent and disconnects. End every Consume
// and Follow first.
func (b *Bus) Close() {
	if b.nc.IsConnected() {
		if err := b.nc.FlushTimeout(drainTime); err != nil {
			b.log.Warn("closing the NATS connection: last messages may not have been sent", "error", err)
		}
	}
	b.nc.Close()
}
