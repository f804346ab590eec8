package bus

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"assize.dev/shared/config"
)

// DefaultMaxStore bounds what an embedded server may write, in bytes.
const DefaultMaxStore = 10 << 30

const (
	serverStart = 30 * time.Second // a large store takes long to open
	insideUser  = "assize-inside"  // who in-process connections are
)

// ServerOptions say how a server runs. Whatever they say, every stored
// message is on the disk before it is acknowledged.
type ServerOptions struct {
	// Dir is the store; one server at a time may have it open.
	Dir string `env:"ASSIZE_NATS_DIR" help:"directory of the NATS server's store"`
	// Listen is the host and port for other processes; port 0 picks one.
	// Empty: only in-process connections.
	Listen string `env:"ASSIZE_NATS_LISTEN" help:"host and port at which the NATS server takes connections from other processes"`
	// MaxStore bounds the streams' bytes. 0 is DefaultMaxStore, or three
	// quarters of what the disk has to give where that is less, with a
	// warning in the log. An explicit value the disk cannot hold is refused.
	MaxStore int64 `env:"ASSIZE_NATS_MAX_STORE, default=0" help:"bytes the NATS server's store may take; 0 is 10 GiB, or less on a small disk"`
	// Token is the password of whoever connects to Listen (as user
	// "assize"); NKeys are public user keys that may connect as well. With
	// neither, Listen must be a loopback address or ConfigFile must say who
	// may connect.
	Token config.Secret `env:"ASSIZE_NATS_TOKEN" help:"password of user assize at the NATS server"`
	NKeys []string      `env:"ASSIZE_NATS_NKEYS" help:"public user keys that may connect to the NATS server, separated by commas"`
	// Cert, Key and CA are PEM files for TLS on Listen; with CA, clients
	// must show a certificate it signed.
	Cert string `env:"ASSIZE_NATS_SERVER_CERT" help:"PEM file with the NATS server's certificate"`
	Key  string `env:"ASSIZE_NATS_SERVER_KEY" help:"PEM file with the key of ASSIZE_NATS_SERVER_CERT"`
	CA   string `env:"ASSIZE_NATS_SERVER_CA" help:"PEM file with the authority that must have signed the clients' certificates"`
	// ConfigFile is a NATS configuration, for accounts, permissions and
	// clusters. Where it disagrees with what is promised here, it loses.
	// It alone says who may connect, so it excludes Token and NKeys, and
	// in-process connections are not offered. Listen must be given.
	ConfigFile string `env:"ASSIZE_NATS_SERVER_CONFIG" help:"NATS configuration file with accounts, permissions and cluster"`

	Log *slog.Logger `env:", noinit"` // nil: slog.Default()
}

// Server is a NATS server inside this process.
type Server struct {
	ns       *server.Server
	lock     *os.File
	maxStore int64
	inside   string // password of in-process connections, "" without
	stop     sync.Once
}

// StartServer opens the store in opts.Dir and serves it until Shutdown.
func StartServer(opts ServerOptions) (*Server, error) {
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	if opts.Dir == "" {
		return nil, errors.New("starting NATS: no directory for the store was given")
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("starting NATS: %w", err)
	}
	lock, err := lockDir(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("starting NATS: %w", err)
	}
	s := &Server{lock: lock}
	if err := s.start(opts); err != nil {
		s.Shutdown()
		return nil, fmt.Errorf("starting NATS in %s: %w", opts.Dir, err)
	}
	return s, nil
}

// RunServer serves until ctx ends: the whole of a NATS container.
func RunServer(ctx context.Context, opts ServerOptions) error {
	s, err := StartServer(opts)
	if err != nil {
		return err
	}
	defer s.Shutdown()
	log := opts.Log
	if log == nil {
		log = slog.Default()
	}
	log.InfoContext(ctx, "NATS server is ready", "url", s.ClientURL(), "dir", opts.Dir, "maxStore", s.maxStore)
	<-ctx.Done()
	return nil
}

func (s *Server) start(opts ServerOptions) (err error) {
	if s.maxStore, err = storeLimit(opts); err != nil {
		return err
	}
	so, err := s.serverOptions(opts)
	if err != nil {
		return err
	}
	if s.ns, err = server.NewServer(so); err != nil {
		return err
	}
	s.ns.SetLoggerV2(serverLog{opts.Log}, false, false, false)
	s.ns.Start()
	if !s.ns.ReadyForConnections(serverStart) {
		return fmt.Errorf("not ready after %s", serverStart)
	}
	if !s.ns.JetStreamEnabled() {
		return errors.New("JetStream did not start; the log says why")
	}
	return nil
}

// serverOptions is every setting that a promise of this package rests on.
func (s *Server) serverOptions(opts ServerOptions) (*server.Options, error) {
	so := &server.Options{}
	if opts.ConfigFile != "" {
		var err error
		if so, err = server.ProcessConfigFile(opts.ConfigFile); err != nil {
			return nil, err
		}
	}
	so.JetStream, so.StoreDir, so.JetStreamMaxStore = true, filepath.Join(opts.Dir, "nats"), s.maxStore
	so.SyncAlways = true // the default would fsync every two minutes
	so.NoSigs = true     // signals belong to whoever runs us
	so.HTTPPort, so.HTTPSPort = 0, 0
	if opts.Listen == "" {
		so.DontListen = true
	} else {
		host, port, err := splitListen(opts.Listen)
		if err != nil {
			return nil, err
		}
		so.Host, so.Port = host, port
	}
	if opts.Cert != "" || opts.Key != "" || opts.CA != "" {
		conf, err := server.GenTLSConfig(&server.TLSConfigOpts{
			CertFile: opts.Cert, KeyFile: opts.Key, CaFile: opts.CA, Verify: opts.CA != ""})
		if err != nil {
			return nil, err
		}
		so.TLS, so.TLSConfig, so.TLSVerify = true, conf, opts.CA != ""
	}
	if opts.ConfigFile != "" {
		return so, configured(opts, so)
	}
	s.inside = rand.Text()
	so.Users = []*server.User{{Username: insideUser, Password: s.inside}}
	if opts.Token != "" {
		so.Users = append(so.Users, &server.User{Username: "assize", Password: opts.Token.Reveal()})
	}
	for _, key := range opts.NKeys {
		if !nkeys.IsValidPublicUserKey(key) { // the server would not mind, and let nobody in
			return nil, fmt.Errorf("%q is no public user key", key)
		}
		so.Nkeys = append(so.Nkeys, &server.NkeyUser{Nkey: key})
	}
	if opts.Listen != "" && opts.Token == "" && len(opts.NKeys) == 0 {
		if !loopback(so.Host) {
			return nil, fmt.Errorf("listening on %s without a token, keys or a configuration file would let anyone in", opts.Listen)
		}
		so.Users = append(so.Users, &server.User{Username: "anyone"})
		so.NoAuthUser = "anyone"
	}
	return so, nil
}

// configured checks what came from a configuration file.
func configured(opts ServerOptions, so *server.Options) error {
	anyone := so.Username == "" && so.Authorization == "" && so.AuthCallout == nil &&
		len(so.Users)+len(so.Nkeys)+len(so.TrustedOperators)+len(so.TrustedKeys) == 0 &&
		(so.TLSConfig == nil || so.TLSConfig.ClientAuth != tls.RequireAndVerifyClientCert)
	switch {
	case opts.Token != "" || len(opts.NKeys) > 0:
		return fmt.Errorf("%s says who may connect: put the token and keys there", opts.ConfigFile)
	case opts.Listen == "":
		return fmt.Errorf("nobody could connect: %s asks for an address to listen at", opts.ConfigFile)
	case anyone && !loopback(so.Host):
		return fmt.Errorf("listening on %s would let anyone in: %s names no users", opts.Listen, opts.ConfigFile)
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func splitListen(listen string) (string, int, error) {
	host, text, err := net.SplitHostPort(listen)
	if err != nil {
		return "", 0, fmt.Errorf("listen address: %w", err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("listen address %q: port: %w", listen, err)
	}
	if port == 0 {
		return host, server.RANDOM_PORT, nil
	}
	return host, int(port), nil
}

// storeLimit weighs what is asked for against what the disk has: free space
// plus what the store already takes.
func storeLimit(opts ServerOptions) (int64, error) {
	room, err := freeBytes(opts.Dir)
	if err != nil {
		return 0, fmt.Errorf("free space: %w", err)
	}
	err = filepath.WalkDir(opts.Dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				room += info.Size()
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("size of the store: %w", err)
	}
	switch {
	case opts.MaxStore < 0:
		return 0, fmt.Errorf("a store of %d bytes makes no sense", opts.MaxStore)
	case opts.MaxStore > room:
		return 0, fmt.Errorf("a store of %d bytes does not fit: the disk has %d for it", opts.MaxStore, room)
	case opts.MaxStore > 0:
		return opts.MaxStore, nil
	case room/4*3 < DefaultMaxStore:
		opts.Log.Warn("little disk space: the event store is kept small", "dir", opts.Dir, "bytes", room/4*3, "usual", int64(DefaultMaxStore))
		return room / 4 * 3, nil
	}
	return DefaultMaxStore, nil
}

// ClientURL is where other processes connect; empty if none can.
func (s *Server) ClientURL() string {
	if s.ns.Addr() == nil {
		return ""
	}
	return s.ns.ClientURL()
}

// Connect opens an in-process connection with all rights.
func (s *Server) Connect(ctx context.Context, name string) (*Bus, error) {
	if s.inside == "" {
		return nil, errors.New("connecting in-process: this server's users come from a configuration file; connect to its address")
	}
	b, err := connect(ctx, "", Config{}, name, true,
		nats.InProcessServer(s.ns), nats.UserInfo(insideUser, s.inside))
	if err != nil {
		return nil, err
	}
	b.maxStore = s.maxStore
	return b, nil
}

// Shutdown stops the server and frees the store. It waits until all is on
// the disk.
func (s *Server) Shutdown() {
	s.stop.Do(func() {
		if s.ns != nil {
			s.ns.Shutdown()
			s.ns.WaitForShutdown()
		}
		_ = s.lock.Close() // also drops the lock
	})
}

// serverLog gives the server's own words to slog; its notices are of
// interest only to who debugs it.
type serverLog struct{ log *slog.Logger }

func (l serverLog) say(level slog.Level, format string, v []any) {
	l.log.Log(context.Background(), level, "nats-server: "+fmt.Sprintf(format, v...))
}

func (l serverLog) Noticef(format string, v ...any) { l.say(slog.LevelDebug, format, v) }
func (l serverLog) Warnf(format string, v ...any) {
	if strings.HasPrefix(format, "Plaintext passwords detected") {
		return // the server means configuration files; ours are in memory
	}
	l.say(slog.LevelWarn, format, v)
}
func (l serverLog) Fatalf(format string, v ...any) { l.say(slog.LevelError, format, v) }
func (l serverLog) Errorf(format string, v ...any) { l.say(slog.LevelError, format, v) }
func (l serverLog) Debugf(string, ...any)          {}
func (l serverLog) Tracef(string, ...any)          {}
