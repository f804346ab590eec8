package bus

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// provisionTimeout is for one stream or consumer; a cluster has to agree.
const provisionTimeout = 10 * time.Second

// ProvisionOptions shape the streams and consumers. The zero value of a
// field keeps what exists, and for what does not exist yet means the default
// given here.
type ProvisionOptions struct {
	Replicas      int           // copies of every stream; 1
	MaxBytes      int64         // of all streams together; nine tenths of the server's store
	AckWait       time.Duration // silence after which a message goes to another worker; 30 s
	AgainInFlight int           // messages of lane "again" in work at once, per kind; 4
	VerdictsAge   time.Duration // how long subscribers can look back; 30 days
	// Apply makes the changes; without it they are only reported.
	Apply bool
}

// Drift is a difference between what is and what should be.
type Drift struct {
	Object     string // "stream EVENTS", "consumer EVENTS/verdict"
	Field      string // of the configuration; "" if the object is missing
	Have, Want string
	// Applied: the difference is gone. A difference that can be removed
	// only by making the object anew never is, so that nothing is lost.
	Applied bool

	fixed bool
}

func (d Drift) String() string {
	if d.Field == "" {
		return d.Object + ": missing"
	}
	return fmt.Sprintf("%s: %s is %s, should be %s", d.Object, d.Field, d.Have, d.Want)
}

// Provision creates or updates all streams and consumers, as often as you
// like and from several processes at once. It never deletes. The error says
// what a person has to decide. Needs the rights to create and update.
func (b *Bus) Provision(ctx context.Context, opts ProvisionOptions) ([]Drift, error) {
	b.mu.Lock()
	b.desired = opts
	b.mu.Unlock()
	var drift []Drift
	var problems []error
	for _, want := range streams(b.filled(opts)) {
		found, err := b.provisionStream(ctx, want, opts)
		drift, problems = append(drift, found...), append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return drift, err // consumers would only repeat it
	}
	for _, want := range durables(b.filled(opts)) {
		found, err := b.provisionConsumer(ctx, want, opts)
		drift, problems = append(drift, found...), append(problems, err)
	}
	return drift, errors.Join(problems...)
}

// filled puts the defaults for new objects in.
func (b *Bus) filled(o ProvisionOptions) ProvisionOptions {
	if o.Replicas == 0 {
		o.Replicas = 1
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = newMaxBytes
		if b.maxStore > 0 {
			o.MaxBytes = b.maxStore / 10 * 9
		}
	}
	if o.AckWait == 0 {
		o.AckWait = ackWait
	}
	if o.AgainInFlight == 0 {
		o.AgainInFlight = againFlight
	}
	if o.VerdictsAge == 0 {
		o.VerdictsAge = verdictsAge
	}
	return o
}

// setting is one field of a configuration that we care about.
type setting struct {
	name  string
	fixed string // why it cannot be changed; "" if it can
	keep  bool   // nobody asked: leave it as it is
}

func (b *Bus) provisionStream(ctx context.Context, want jetstream.StreamConfig, opts ProvisionOptions) ([]Drift, error) {
	object := "stream " + want.Name
	ctx, cancel := context.WithTimeout(ctx, provisionTimeout)
	defer cancel()
	have, err := b.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if opts.Apply {
			err = b.createStream(ctx, want)
		} else {
			err = nil
		}
		return missing(object, opts.Apply && err == nil), b.explain("creating "+object, err)
	}
	if err != nil {
		return nil, b.explain("looking at "+object, err)
	}
	const anew = "a stream cannot change it: drain it, delete it and provision again"
	cfg := have.CachedInfo().Config
	cfg.Sources, want.Sources = plainSources(cfg.Sources), plainSources(want.Sources)
	denied := func(is, should bool) string {
		if is && !should {
			return anew
		}
		return ""
	}
	drift, change, err := compare(object, &cfg, &want, []setting{
		{name: "Retention", fixed: anew}, {name: "Storage", fixed: anew}, {name: "PersistMode", fixed: anew},
		{name: "DenyDelete", fixed: denied(cfg.DenyDelete, want.DenyDelete)},
		{name: "DenyPurge", fixed: denied(cfg.DenyPurge, want.DenyPurge)},
		{name: "Description"}, {name: "Subjects"}, {name: "Sources"},
		{name: "Discard"}, {name: "DiscardNewPerSubject"},
		{name: "MaxMsgs"}, {name: "MaxMsgsPerSubject"}, {name: "MaxMsgSize"},
		{name: "MaxAge", keep: want.Name == Verdicts && opts.VerdictsAge == 0},
		{name: "MaxBytes", keep: opts.MaxBytes == 0}, {name: "Replicas", keep: opts.Replicas == 0},
		{name: "Duplicates"}, {name: "Compression"},
		{name: "AllowDirect"}, {name: "AllowRollup"}, {name: "NoAck"},
	})
	if change && opts.Apply {
		if _, uerr := b.js.UpdateStream(ctx, cfg); uerr != nil {
			return drift, errors.Join(err, b.explain("updating "+object, uerr))
		}
		applied(drift)
	}
	return drift, err
}

// createStream also succeeds if somebody else was faster. Of several who
// create at once the server may refuse some, as it reserves room for each.
func (b *Bus) createStream(ctx context.Context, want jetstream.StreamConfig) error {
	_, err := b.js.CreateStream(ctx, want)
	for try := 1; err != nil && try <= 3; try++ {
		select {
		case <-time.After(backoff(try, 100*time.Millisecond, time.Second)):
		case <-ctx.Done():
			return err
		}
		if _, looked := b.js.Stream(ctx, want.Name); looked == nil {
			return nil
		}
		_, err = b.js.CreateStream(ctx, want)
	}
	return err
}

func (b *Bus) provisionConsumer(ctx context.Context, want durable, opts ProvisionOptions) ([]Drift, error) {
	object := "consumer " + want.stream + "/" + want.Durable
	ctx, cancel := context.WithTimeout(ctx, provisionTimeout)
	defer cancel()
	have, err := b.js.Consumer(ctx, want.stream, want.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) && !opts.Apply {
		err = nil
		if opts.Apply {
			_, err = b.js.CreateOrUpdateConsumer(ctx, want.stream, want.ConsumerConfig)
		}
		return missing(object, opts.Apply && err == nil), b.explain("creating "+object, err)
	}
	if err != nil {
		return nil, b.explain("looking at "+object, err)
	}
	const anew = "a consumer cannot change it: delete it and provision again; it then starts over, which handlers are made for"
	cfg := have.CachedInfo().Config
	drift, change, err := compare(object, &cfg, &want.ConsumerConfig, []setting{
		{name: "DeliverPolicy", fixed: anew}, {name: "AckPolicy", fixed: anew}, {name: "DeliverSubject", fixed: anew},
		{name: "FilterSubject"}, {name: "FilterSubjects"},
		{name: "AckWait", keep: opts.AckWait == 0}, {name: "MaxDeliver"}, {name: "BackOff"},
		{name: "MaxAckPending", keep: opts.AgainInFlight == 0 && want.MaxAckPending == againFlight},
		{name: "InactiveThreshold"}, {name: "HeadersOnly"}, {name: "RateLimit"},
	})
	if change && opts.Apply {
		if _, uerr := b.js.UpdateConsumer(ctx, want.stream, cfg); uerr != nil {
			return drift, errors.Join(err, b.explain("updating "+object, uerr))
		}
		applied(drift)
	}
	return drift, err
}

// compare lists the differences and makes those that can be made in have.
func compare(object string, have, want any, settings []setting) (drift []Drift, change bool, err error) {
	for _, s := range settings {
		h, w := reflect.ValueOf(have).Elem().FieldByName(s.name), reflect.ValueOf(want).Elem().FieldByName(s.name)
		if s.keep || reflect.DeepEqual(h.Interface(), w.Interface()) || empty(h) && empty(w) {
			continue
		}
		d := Drift{Object: object, Field: s.name, Have: shown(h), Want: shown(w), fixed: s.fixed != ""}
		drift = append(drift, d)
		if s.fixed != "" {
			err = errors.Join(err, fmt.Errorf("%s: %s", d, s.fixed))
			continue
		}
		h.Set(w)
		change = true
	}
	return drift, change, err
}

func empty(v reflect.Value) bool { return v.Kind() == reflect.Slice && v.Len() == 0 }

func shown(v reflect.Value) string {
	if sources, ok := v.Interface().([]*jetstream.StreamSource); ok {
		text := ""
		for _, s := range sources {
			text += fmt.Sprintf("[%s %s]", s.Name, s.FilterSubject)
		}
		return text
	}
	return fmt.Sprintf("%v", v.Interface())
}

// plainSources leaves out what the server fills in.
func plainSources(from []*jetstream.StreamSource) []*jetstream.StreamSource {
	var to []*jetstream.StreamSource
	for _, s := range from {
		to = append(to, &jetstream.StreamSource{Name: s.Name, FilterSubject: s.FilterSubject,
			SubjectTransforms: s.SubjectTransforms, External: s.External})
	}
	return to
}

func missing(object string, applied bool) []Drift {
	return []Drift{{Object: object, Have: "missing", Want: "present", Applied: applied}}
}

// applied marks the differences that an update took away.
func applied(drift []Drift) {
	for i := range drift {
		drift[i].Applied = !drift[i].fixed
	}
}

// explain wraps an error of the server with what was being done; a request
// that was refused never gets an answer, so the refusal is added.
func (b *Bus) explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == codeStorageExceeded {
		return fmt.Errorf("%s: %w: all streams together may take more than the server has; set ASSIZE_NATS_MAX_BYTES", doing, err)
	}
	return fmt.Errorf("%s: %w", doing, errors.Join(err, b.denial()))
}
