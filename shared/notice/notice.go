// Package notice tells the record what services do and what verdicts follow
// from besides evidence: starts and stops, policies, keys, settings, advisories.
package notice

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/event"
)

// Board is where a service puts its notices.
type Board struct {
	Bus     *bus.Bus
	Store   blob.Store
	Service string
	Log     *slog.Logger
}

const (
	retryEvery = 5 * time.Second
	lastWords  = 2 * time.Second // what saying goodbye may take
)

// Serve says that the service has started, with which settings, and at the end
// that it stops. It waits for the bus as long as it takes; a process that is
// killed says nothing, and its next start tells.
func (b *Board) Serve(ctx context.Context, version, settings string) {
	id := rand.Text()
	b.until(ctx, func(ctx context.Context) error {
		return b.say(ctx, event.Operation{Action: event.ServiceStarted, To: version, ID: id + "-started"})
	})
	if settings != "" {
		b.Keep(ctx, event.ConfigurationChanged, "", settings)
	}
	<-ctx.Done()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	if err := b.say(last, event.Operation{Action: event.ServiceStopped, From: version, ID: id + "-stopped"}); err != nil {
		b.Log.WarnContext(ctx, "that the service stops could not be recorded", "error", err)
	}
}

// Keep is Changed, tried until it succeeds or ctx ends.
func (b *Board) Keep(ctx context.Context, action event.Action, object, value string) {
	b.until(ctx, func(ctx context.Context) error { return b.Changed(ctx, action, object, value) })
}

func (b *Board) until(ctx context.Context, f func(context.Context) error) {
	for {
		err := f(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		b.Log.WarnContext(ctx, "a notice waits", "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryEvery):
		}
	}
}

// known is the last value that was announced, as the store keeps it.
type known struct {
	Value  string `json:"value"`
	Number int    `json:"number"` // of the change
}

// Changed says that something has a value, unless that was what it had when it
// was announced last. Of several replicas that say the same one is heard. The
// notice goes out before the value is kept: a process that is killed between
// the two leaves its notice to be said once more.
func (b *Board) Changed(ctx context.Context, action event.Action, object, value string) error {
	sum := sha256.Sum256([]byte(b.Service + "\x00" + object))
	key := fmt.Sprintf("operations/%s/%s.json", action, hex.EncodeToString(sum[:8]))
	for {
		before, old, err := b.known(ctx, key)
		if err != nil || before.Value == value {
			return err
		}
		now := known{value, before.Number + 1}
		err = b.say(ctx, event.Operation{Action: action, Object: object, From: before.Value, To: value, ID: fmt.Sprintf("%s-%x-%d", action, sum[:8], now.Number)})
		if err != nil {
			return err
		}
		text, err := json.Marshal(now)
		if err != nil {
			return err
		}
		err = b.Store.Swap(ctx, key, old, text)
		if !errors.Is(err, blob.ErrChanged) {
			return err
		}
	}
}

func (b *Board) known(ctx context.Context, key string) (k known, text []byte, err error) {
	o, err := b.Store.Open(ctx, key)
	if errors.Is(err, blob.ErrNotFound) {
		return k, nil, nil
	}
	if err != nil {
		return k, nil, err
	}
	defer o.Close()
	if text, err = io.ReadAll(io.LimitReader(o, blob.MaxReplace)); err != nil {
		return k, nil, err
	}
	if json.Unmarshal(text, &k) != nil {
		k = known{} // it is announced anew
	}
	return k, text, nil
}

func (b *Board) say(ctx context.Context, o event.Operation) error {
	o.Service, o.Time = b.Service, time.Now().UTC()
	e, err := event.New("assize/"+b.Service, o.Time, &o)
	if err != nil {
		return err
	}
	if _, err = b.Bus.Publish(ctx, e, bus.Once()); errors.Is(err, bus.ErrExists) {
		return nil
	}
	return err
}
