package bus_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/config"
)

// authority signs certificates for one test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	var der []byte
	a.key, der = a.sign(template, nil)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.file = writePEM(t, "CERTIFICATE", der)
	return a
}

// issue gives the files of a certificate for 127.0.0.1 and of its key.
func (a *authority) issue(use x509.ExtKeyUsage) (cert, key string) {
	a.t.Helper()
	k, der := a.sign(&x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{use},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, a.cert)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return writePEM(a.t, "CERTIFICATE", der), writePEM(a.t, strings.Join([]string{"PRIVATE", "KEY"}, " "), pkcs8)
}

// sign makes a key and a certificate for it; without a parent it is its own.
func (a *authority) sign(template, parent *x509.Certificate) (*ecdsa.PrivateKey, []byte) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	signer := a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, der
}

func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	return write(t, "pem", string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
}

// readyAs connects and tells why that does not do, nil if it does.
func readyAs(t *testing.T, cfg bus.Config) error {
	t.Helper()
	cfg.Wait = true
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	b, err := bus.Connect(ctx, cfg, t.Name())
	if err != nil {
		return err
	}
	defer b.Close()
	return b.Ready(ctx)
}

// refusedAs checks that a connection never becomes ready, and why.
func refusedAs(t *testing.T, what string, cfg bus.Config, reason string) {
	t.Helper()
	b, err := bus.Connect(t.Context(), cfg, t.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var told error
	for range 30 {
		if told = b.Ready(t.Context()); told == nil {
			t.Fatalf("%s: ready", what)
		}
		if strings.Contains(told.Error(), reason) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("%s is refused, but does not say %q: %v", what, reason, told)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t), newAuthority(t)
	cert, key := ca.issue(x509.ExtKeyUsageServerAuth)
	s := bustest.Server(t, func(o *bus.ServerOptions) { o.Listen, o.Cert, o.Key = "127.0.0.1:0", cert, key })
	if err := readyAs(t, bus.Config{URL: s.ClientURL(), CA: ca.file}); err != nil {
		t.Error(err)
	}
	refusedAs(t, "a server of another authority", bus.Config{URL: s.ClientURL(), CA: other.file}, "signed by unknown authority")
	refusedAs(t, "a server of no known authority", bus.Config{URL: s.ClientURL()}, "signed by unknown authority")
	if err := bustest.Connect(t, s).Ready(t.Context()); err != nil {
		t.Errorf("in-process: %v", err)
	}
	// Who asks for TLS is not talked out of it by a server without.
	plain := bustest.Server(t, func(o *bus.ServerOptions) { o.Listen = "127.0.0.1:0" })
	refusedAs(t, "a server without TLS", bus.Config{URL: plain.ClientURL(), CA: ca.file}, "secure connection not available")
}

func TestMutualTLS(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t), newAuthority(t)
	cert, key := ca.issue(x509.ExtKeyUsageServerAuth)
	s := bustest.Server(t, func(o *bus.ServerOptions) {
		o.Listen, o.Cert, o.Key, o.CA = "127.0.0.1:0", cert, key, ca.file
	})
	good := bus.Config{URL: s.ClientURL(), CA: ca.file}
	good.Cert, good.Key = ca.issue(x509.ExtKeyUsageClientAuth)
	if err := readyAs(t, good); err != nil {
		t.Error(err)
	}
	bad := good
	bad.Cert, bad.Key = "", ""
	// With TLS 1.3 the server's reason may or may not reach the client.
	refusedAs(t, "a client without a certificate", bad, "tls")
	bad.Cert, bad.Key = other.issue(x509.ExtKeyUsageClientAuth)
	refusedAs(t, "a client of another authority", bad, "tls")
	if err := bustest.Connect(t, s).Ready(t.Context()); err != nil {
		t.Errorf("in-process: %v", err)
	}
}

// A client survives the restart of a server with TLS, and what it publishes
// meanwhile arrives.
func TestReconnectWithTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	cert, key := ca.issue(x509.ExtKeyUsageServerAuth)
	p := bustest.NewProcess(t, "ASSIZE_NATS_SERVER_CERT="+cert, "ASSIZE_NATS_SERVER_KEY="+key)
	b, err := bus.Connect(t.Context(), bus.Config{URL: p.URL(), CA: ca.file, Wait: true}, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	bustest.Provision(t, b)
	handled := make(chan string, 10)
	consume(t, b, bus.Consumer{Service: "ingest", Durable: bus.DurableIngest,
		Handle: func(_ context.Context, m *bus.Message) error { handled <- m.Event.ID; return nil }})
	publish(t, b, upload("1"))
	first := <-handled
	p.Kill()
	done := make(chan error, 1)
	go func() {
		_, err := b.Publish(t.Context(), say(t, upload("2")))
		done <- err
	}()
	p.Start()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	second := <-handled
	for second == first { // its acknowledgement may have died with the server
		second = <-handled
	}
	bustest.Eventually(t, "ready again", func() bool { return b.Ready(t.Context()) == nil })
}

// newUser is a user key: the file of its seed, and its public key.
func newUser(t *testing.T) (file, public string) {
	t.Helper()
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	return write(t, "seed", string(seedOf(t, user))), publicOf(t, user)
}

func seedOf(t *testing.T, pair nkeys.KeyPair) []byte {
	t.Helper()
	seed, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	return seed
}

func publicOf(t *testing.T, pair nkeys.KeyPair) string {
	t.Helper()
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return public
}

func TestNKey(t *testing.T) {
	t.Parallel()
	seed, public := newUser(t)
	stranger, _ := newUser(t)
	s := bustest.Server(t, func(o *bus.ServerOptions) { o.Listen, o.NKeys = "127.0.0.1:0", []string{public} })
	if err := readyAs(t, bus.Config{URL: s.ClientURL(), NKey: seed}); err != nil {
		t.Error(err)
	}
	refusedAs(t, "another key", bus.Config{URL: s.ClientURL(), NKey: stranger}, "Authorization Violation")
	refusedAs(t, "no key", bus.Config{URL: s.ClientURL()}, "Authorization Violation")
	if err := bustest.Connect(t, s).Ready(t.Context()); err != nil {
		t.Errorf("in-process: %v", err)
	}
	if bad, err := bus.StartServer(bus.ServerOptions{Dir: t.TempDir(), MaxStore: bustest.MaxStore, Listen: "127.0.0.1:0",
		NKeys: []string{public[:len(public)-1]}, Log: slog.New(slog.DiscardHandler)}); err == nil {
		bad.Shutdown()
		t.Error("a server took half a key for a user")
	}
}

// Credentials are a JWT of the user, signed by the account, whose own JWT the
// operator signed; the server knows only the operator and the accounts.
func TestCredentials(t *testing.T) {
	t.Parallel()
	operator, account := newPair(t, nkeys.CreateOperator), newPair(t, nkeys.CreateAccount)
	system, rogue := newPair(t, nkeys.CreateAccount), newPair(t, nkeys.CreateAccount)
	oc := jwt.NewOperatorClaims(publicOf(t, operator))
	oc.SystemAccount = publicOf(t, system)
	ac := jwt.NewAccountClaims(publicOf(t, account))
	ac.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit}
	sc := jwt.NewAccountClaims(publicOf(t, system))
	file := write(t, "nats.conf", fmt.Sprintf("operator: %q\nsystem_account: %q\nresolver: MEMORY\nresolver_preload: { %s: %q, %s: %q }\n",
		encode(t, oc, operator), publicOf(t, system),
		publicOf(t, account), encode(t, ac, operator), publicOf(t, system), encode(t, sc, operator)))
	s := bustest.Server(t, func(o *bus.ServerOptions) { o.Listen, o.ConfigFile = "127.0.0.1:0", file })

	credentials := func(issuer nkeys.KeyPair, expires time.Time) string {
		t.Helper()
		user := newPair(t, nkeys.CreateUser)
		uc := jwt.NewUserClaims(publicOf(t, user))
		uc.Expires = expires.Unix()
		text, err := jwt.FormatUserConfig(encode(t, uc, issuer), seedOf(t, user))
		if err != nil {
			t.Fatal(err)
		}
		return write(t, "creds", string(text))
	}
	later := time.Now().Add(time.Hour)
	b, err := bus.Connect(t.Context(), bus.Config{URL: s.ClientURL(), Creds: credentials(account, later), Wait: true}, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	bustest.Provision(t, b)
	publish(t, b, upload("1"))
	if err := b.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	refusedAs(t, "a user of a rogue account", bus.Config{URL: s.ClientURL(), Creds: credentials(rogue, later)}, "Authorization Violation")
	refusedAs(t, "expired credentials", bus.Config{URL: s.ClientURL(), Creds: credentials(account, time.Now().Add(-time.Hour))}, "")
	refusedAs(t, "no credentials", bus.Config{URL: s.ClientURL()}, "Authorization Violation")
	refusedAs(t, "a user without JetStream", bus.Config{URL: s.ClientURL(), Creds: credentials(system, later)}, "JetStream")

	// A file that is put right is good without a restart.
	creds := credentials(rogue, later)
	waiting, err := bus.Connect(t.Context(), bus.Config{URL: s.ClientURL(), Creds: creds}, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	if err := waiting.Ready(t.Context()); err == nil {
		t.Error("ready with rogue credentials")
	}
	if err := os.Rename(credentials(account, later), creds); err != nil {
		t.Fatal(err)
	}
	bustest.Eventually(t, "ready", func() bool { return waiting.Ready(t.Context()) == nil })
}

func newPair(t *testing.T, create func() (nkeys.KeyPair, error)) nkeys.KeyPair {
	t.Helper()
	pair, err := create()
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func encode(t *testing.T, claims jwt.Claims, signer nkeys.KeyPair) string {
	t.Helper()
	text, err := claims.Encode(signer)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Wrong credentials are told by Ready, and are good without a restart of the
// client once the server was put right.
func TestReadyRecoversWhenTheServerIsPutRight(t *testing.T) {
	t.Parallel()
	token := rand.Text()
	dir, listen := t.TempDir(), bustest.FreeAddress(t)
	serve := func(o bus.ServerOptions) *bus.Server {
		t.Helper()
		o.Dir, o.Listen, o.MaxStore, o.Log = dir, listen, bustest.MaxStore, slog.New(slog.DiscardHandler)
		s, err := bus.StartServer(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Shutdown)
		return s
	}
	connect := func(cfg bus.Config) *bus.Bus {
		t.Helper()
		cfg.URL = "nats://" + listen
		b, err := bus.Connect(t.Context(), cfg, "test")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		return b
	}
	seed, public := newUser(t)
	_, another := newUser(t)
	s := serve(bus.ServerOptions{Token: config.Secret(rand.Text()), NKeys: []string{another}})
	withToken := connect(bus.Config{User: "assize", Password: config.Secret(token)})
	withKey := connect(bus.Config{NKey: seed})
	for what, b := range map[string]*bus.Bus{"token": withToken, "key": withKey} {
		bustest.Eventually(t, what+" refused", func() bool {
			err := b.Ready(t.Context())
			if err == nil {
				t.Fatalf("%s: ready", what)
			}
			if strings.Contains(err.Error(), token) {
				t.Fatalf("the reason gives the password away: %v", err)
			}
			return strings.Contains(err.Error(), "Authorization Violation")
		})
	}
	s.Shutdown()
	serve(bus.ServerOptions{Token: config.Secret(token), NKeys: []string{public}})
	for what, b := range map[string]*bus.Bus{"token": withToken, "key": withKey} {
		bustest.Eventually(t, what+" ready", func() bool { return b.Ready(t.Context()) == nil })
	}
}
