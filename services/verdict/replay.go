package verdict

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"assize.dev/services/verdict/internal/policy"
	"assize.dev/shared/blob"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// Stored is a verdict as the store keeps it.
type Stored struct {
	Artifact digest.Digest
	Run      string
	Envelope []byte // signed
}

const envelopeName = "verdict.dsse.json"

// ErrNoVerdict says that there is no such verdict.
var ErrNoVerdict = errors.New("there is no such verdict")

// Find reads the verdicts about an artifact, or of one run, oldest first. A run
// is looked for among all.
func Find(ctx context.Context, store blob.Store, what string) ([]Stored, error) {
	prefix, suffix := "verdicts/sha256/", "."+envelopeName
	if d, err := digest.Parse(what); err == nil {
		prefix += d.Hex() + "/"
	} else if event.ValidRun(what) == nil {
		suffix = "/" + what + suffix
	} else {
		return nil, fmt.Errorf("%.100q: want the digest of an artifact, sha256: and 64 hexadecimal digits, or a run", what)
	}
	var found []Stored
	for info, err := range store.List(ctx, prefix, "") {
		if err != nil {
			return nil, err
		}
		if !strings.HasSuffix(info.Key, suffix) {
			continue
		}
		s, ok := storedAt(info.Key)
		if !ok {
			continue // not ours
		}
		if s.Envelope, err = object(ctx, store, info.Key, MaxRecord); err != nil {
			return nil, err
		}
		found = append(found, s)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: %w", what, ErrNoVerdict)
	}
	return found, nil
}

// All gives every verdict about artifacts whose digest in hexadecimal begins
// with prefix, in the order of artifacts and, of each, of time. An error is
// yielded once, last.
func All(ctx context.Context, store blob.Store, prefix string) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		for info, err := range store.List(ctx, "verdicts/sha256/"+prefix, "") {
			if err != nil {
				yield(Stored{}, err)
				return
			}
			s, ok := storedAt(info.Key)
			if !ok {
				continue
			}
			if s.Envelope, err = object(ctx, store, info.Key, MaxRecord); err != nil {
				yield(Stored{}, err)
				return
			}
			if !yield(s, nil) {
				return
			}
		}
	}
}

// storedAt reads the key of an envelope.
func storedAt(key string) (Stored, bool) {
	name, ok := strings.CutSuffix(strings.TrimPrefix(key, "verdicts/sha256/"), "."+envelopeName)
	hex, run, _ := strings.Cut(name, "/")
	d, err := digest.Parse("sha256:" + hex)
	return Stored{Artifact: d, Run: run}, ok && err == nil && event.ValidRun(run) == nil
}

// ErrCannotReplay says that what a verdict was decided on is not there any more,
// or not what it was.
var ErrCannotReplay = errors.New("it cannot be replayed")

// RecordOf reads the record that a verdict names, by key and digest.
func RecordOf(ctx context.Context, store blob.Store, key string, d digest.Digest) (*Record, error) {
	text, err := object(ctx, store, key, MaxRecord)
	if err == nil && digest.Of(text) != d {
		err = fmt.Errorf("its digest is %s, the verdict says %s", digest.Of(text), d)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: record %s: %w", ErrCannotReplay, key, err)
	}
	r, err := ParseRecord(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrCannotReplay, key, err)
	}
	return r, nil
}

// Replayer makes decisions again; one goroutine at a time may use it.
type Replayer struct {
	store    blob.Store
	policies map[digest.Digest]*Policy // that were compiled
}

// NewReplayer makes decisions again from what is in the store.
func NewReplayer(store blob.Store) *Replayer {
	return &Replayer{store, map[digest.Digest]*Policy{}}
}

// Replay makes the decision of a record again, by the policy it was made by,
// which the store keeps under its digest.
func (y *Replayer) Replay(ctx context.Context, key string, r *Record) (event.Decision, error) {
	p, err := y.policy(ctx, r.Policy.Digest)
	if err != nil {
		return event.Decision{}, fmt.Errorf("%w: policy %s: %w", ErrCannotReplay, r.Policy.Digest, err)
	}
	d, err := r.Decide(ctx, y.store, p)
	// A record that is written today may say more than that one did.
	d.Record.Key, d.Record.Digest, d.Record.Size = key, r.digest, r.size
	return d, err
}

func (y *Replayer) policy(ctx context.Context, d digest.Digest) (*Policy, error) {
	if p := y.policies[d]; p != nil {
		return p, nil
	}
	bundle, err := blob.GetDocument(ctx, y.store, d, 1<<30)
	if err != nil {
		return nil, err
	}
	p, err := policy.FromBundle(ctx, bundle)
	if err == nil {
		y.policies[d] = p
	}
	return p, err
}

// Decide makes a decision of a record by any policy. The list of components, if
// the policy asks for it and the record has none, is read from the store.
func (r *Record) Decide(ctx context.Context, store blob.Store, p *Policy) (event.Decision, error) {
	c, err := r.Case()
	if err != nil {
		return event.Decision{}, err
	}
	if err := AddComponents(ctx, store, p, &c); err != nil {
		return event.Decision{}, err
	}
	d, _, err := Decide(ctx, p, c)
	return d, err
}

func object(ctx context.Context, store blob.Store, key string, most int64) ([]byte, error) {
	o, err := store.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	if o.Size() > most {
		return nil, fmt.Errorf("%w: %s has %d bytes, at most %d", blob.ErrTooLarge, key, o.Size(), most)
	}
	return io.ReadAll(o)
}
