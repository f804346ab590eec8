// Package ingest takes artifacts in: it receives or fetches the bytes,
// hashes them while they stream, tells from them what they are, stores them
// and announces them for examination.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/config"
	"assize.dev/shared/event"
	"assize.dev/shared/identify"
)

// Config of the service.
type Config struct {
	Token         config.Secret `env:"ASSIZE_INGEST_TOKEN" help:"bearer token that PUT requires; without one only this machine may PUT"`
	MaxSize       int64         `env:"ASSIZE_MAX_ARTIFACT, default=5368709120" help:"largest artifact taken, in bytes"`
	MaxPuts       int           `env:"ASSIZE_MAX_PUTS, default=64" help:"artifacts received by PUT at a time; whoever comes on top is told to come back"`
	FetchHosts    []string      `env:"ASSIZE_FETCH_HOSTS" help:"hosts that uploads may be fetched from over http(s), comma-separated, with port if it is not the scheme's, *.example.org for subdomains; none by default"`
	FetchSiblings []string      `env:"ASSIZE_FETCH_SIBLINGS" help:"suffixes of the signatures to ask these hosts for beside every upload, comma-separated, as in .asc,.sigstore.json; each is a request; none by default"`
	FetchBuckets  []string      `env:"ASSIZE_FETCH_BUCKETS" help:"buckets of the object store's server that uploads, and the signatures beside them, may be fetched from, comma-separated; none by default"`
	Workers       int           `env:"ASSIZE_WORKERS, default=4" help:"uploads fetched at a time"`
}

// defaultPuts is MaxPuts where none is given.
const defaultPuts = 64

// fetchAttempts is how often an upload is asked for: registries announce
// what they do not show yet, and with the bus's pauses eight attempts give
// them about half a minute.
const fetchAttempts = 8

// Service takes artifacts in.
type Service struct {
	config  Config
	bus     *bus.Bus
	store   blob.Store
	fetch   *fetcher
	pace    pace
	slots   chan struct{} // one for each PUT at work
	backoff func(attempt int) time.Duration
	log     *slog.Logger
}

// New checks the configuration and makes the service. s3 says how to reach
// the server of s3:// uploads; its bucket is ignored.
func New(c Config, s3 blob.S3Config, b *bus.Bus, store blob.Store, log *slog.Logger) (*Service, error) {
	if c.MaxSize <= 0 {
		return nil, fmt.Errorf("ASSIZE_MAX_ARTIFACT: %d bytes would take no artifact at all", c.MaxSize)
	}
	if c.MaxPuts <= 0 {
		c.MaxPuts = defaultPuts
	}
	f, err := newFetcher(c, s3)
	if err != nil {
		return nil, err
	}
	return &Service{config: c, bus: b, store: store, fetch: f, pace: usualPace,
		slots: make(chan struct{}, c.MaxPuts), log: log}, nil
}

// Run fetches announced uploads until ctx ends. PUTs are served by Handler.
func (s *Service) Run(ctx context.Context) error {
	defer s.fetch.close()
	return s.bus.Consume(ctx, bus.Consumer{
		Service: "ingest", Stream: bus.Uploads, Durable: bus.DurableIngest,
		Workers: max(1, s.config.Workers), MaxAttempts: fetchAttempts, Backoff: s.backoff, Handle: s.upload,
	})
}

// upload fetches what a registry announced. What cannot be had becomes a
// dead letter: without bytes there is nothing to judge.
func (s *Service) upload(ctx context.Context, m *bus.Message) error {
	u, ok := m.Payload.(*event.Upload)
	if !ok {
		return bus.Permanent(fmt.Errorf("%w: %s on %s, want an upload", event.ErrInvalid, m.Event.Type, m.Subject))
	}
	if err := s.takeUpload(ctx, m, u); err != nil {
		return fmt.Errorf("upload %s of %s: %w", u.ID, u.Registry, err)
	}
	return nil
}

func (s *Service) takeUpload(ctx context.Context, m *bus.Message, u *event.Upload) error {
	order := &event.Artifact{
		Run: uploadRun(u, m), Lane: event.LaneNew, Registry: u.Registry, Name: u.Name, Version: u.Version,
		Filename: filename(u.Filename, urlPath(u.URL), u.Name), MediaType: u.MediaType, PURL: u.PURL,
		Source: withoutSecrets(u.URL), Uploader: u.Uploader, Tags: u.Tags, Received: m.Time.UTC(), Signatures: u.Signatures,
	}
	if err := checkOrder(order); err != nil {
		return bus.Permanent(err)
	}
	spooled, err := s.download(ctx, u)
	if errors.Is(err, blob.ErrTooLarge) {
		return bus.Permanent(fmt.Errorf("%w: the limit is %d (ASSIZE_MAX_ARTIFACT)", err, s.config.MaxSize))
	}
	if err != nil {
		return err
	}
	defer spooled.Close()
	if u.Digest != "" && u.Digest != spooled.Digest {
		return bus.Permanent(fmt.Errorf("%s holds %s, but %s was announced", order.Source, spooled.Digest, u.Digest))
	}
	if u.Size != 0 && u.Size != spooled.Size() {
		return bus.Permanent(fmt.Errorf("%s holds %d bytes, but %d were announced", order.Source, spooled.Size(), u.Size))
	}
	beside, err := s.siblings(ctx, u, order)
	if err != nil {
		return err
	}
	order.Signatures = append(slices.Clip(order.Signatures), beside...)
	_, err = s.announce(ctx, spooled, order)
	return err
}

// Receive takes the bytes of an artifact whose order says where they come
// from and what they are called; it tells the rest, stores them and orders
// their examination. The order's Run, Lane, Registry, Name, Filename and
// Received are the caller's. Before it returns nil, nothing is ordered;
// doing it twice with the same run is doing it once.
func (s *Service) Receive(ctx context.Context, body io.Reader, order *event.Artifact) (*event.Artifact, error) {
	if err := checkOrder(order); err != nil {
		return nil, err
	}
	spooled, err := blob.Spool(ctx, "", body, s.config.MaxSize)
	if err != nil {
		return nil, fmt.Errorf("receive %s: %w", order.Filename, err)
	}
	defer spooled.Close()
	return s.announce(ctx, spooled, order)
}

// announce stores the bytes, completes the order with what they say, and
// publishes it. If the run is ordered already, the answer is that order.
func (s *Service) announce(ctx context.Context, bytes *blob.Spooled, a *event.Artifact) (*event.Artifact, error) {
	a.Digest, a.SHA512, a.Size = bytes.Digest, bytes.SHA512, bytes.Size()
	id, err := identify.Identify(ctx, bytes, bytes.Size(), a.Filename)
	if err != nil {
		return nil, fmt.Errorf("identify %s: %w", a.Filename, err)
	}
	a.Format = id.Format
	if id.PURL != a.PURL && a.PURL != "" {
		s.log.WarnContext(ctx, "the bytes do not confirm the package URL they were announced with",
			"announced", a.PURL, "told", id.PURL, "run", a.Run)
	}
	a.Announced, a.PURL = a.PURL, id.PURL
	if a.Version == "" {
		a.Version = id.Version
	}
	if a.MediaType == "" {
		a.MediaType = id.MediaType
	}
	if _, err := blob.PutBlob(ctx, s.store, bytes); errors.Is(err, blob.ErrTooLarge) {
		return nil, bus.Permanent(fmt.Errorf("store %s: %w", a.Digest, err))
	} else if err != nil {
		return nil, bus.Unavailable(fmt.Errorf("store %s: %w", a.Digest, err))
	}
	e, err := event.New(source, time.Now(), a)
	if err != nil {
		return nil, bus.Permanent(err)
	}
	_, err = s.bus.Publish(ctx, e, bus.Once())
	if errors.Is(err, bus.ErrExists) {
		return s.announced(ctx, a)
	}
	if err != nil {
		return nil, err
	}
	s.log.InfoContext(ctx, "artifact", "run", a.Run, "registry", a.Registry, "name", a.Name,
		"digest", a.Digest, "size", a.Size, "format", a.Format, "purl", a.PURL)
	return a, nil
}

// announced is the order that the stream has for the run of a. Other bytes
// under the same run are refused aloud: the run is about those that came
// first.
func (s *Service) announced(ctx context.Context, a *event.Artifact) (*event.Artifact, error) {
	m, err := s.bus.Last(ctx, a.Subject())
	if errors.Is(err, bus.ErrNotFound) {
		return a, nil // decided, and trimmed since
	}
	if err != nil {
		return nil, err
	}
	if m.Invalid != nil {
		return nil, bus.Permanent(m.Invalid)
	}
	var earlier event.Artifact
	if err := event.Decode(m.Event, &earlier); err != nil {
		return nil, bus.Permanent(err)
	}
	if earlier.Digest != a.Digest {
		return nil, bus.Permanent(fmt.Errorf("run %s is about %s, which came first; now the bytes are %s", a.Run, earlier.Digest, a.Digest))
	}
	return &earlier, nil
}
