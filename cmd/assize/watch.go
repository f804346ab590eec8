package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"assize.dev/services/sign"
	"assize.dev/shared/bus"
	"assize.dev/shared/config"
	"assize.dev/shared/event"
)

type watchCmd struct {
	NATS     string `help:"NATS server; other settings come from the ASSIZE_NATS_ variables." env:"ASSIZE_NATS_URL" default:"nats://127.0.0.1:4222" placeholder:"URL"`
	Decision string `help:"Only this decision: allow, deny or hold." enum:"allow,deny,hold,*" default:"*"`
	Registry string `help:"Only this registry." default:"*"`
	Type     string `help:"Only this package type, as in package URLs." default:"*"`
	All      bool   `help:"Begin with the oldest verdict the feed still has."`
	Key      string `help:"Public key (PEM); a verdict it did not sign, or that differs from what it signed, ends the watch." placeholder:"FILE" type:"existingfile" xor:"trust"`
	Keys     string `help:"Key set, a directory or the file of its newest version; a verdict that does not count by it, or that differs from what is signed, ends the watch." placeholder:"DIR|FILE" type:"path" xor:"trust"`
}

func (watchCmd) Help() string {
	return `With --keys the watch goes on through rotations and revocations: before each
verdict it steps to the newest version of the key set that is there. Of the
version it begins with it asks nothing: get that over a channel you trust. A
file must not skip a version between two verdicts; a directory has them all.

Examples:
  assize watch
  assize watch --decision deny --registry npm-prod
  assize watch --keys /etc/assize/keys.json
  assize watch --json --all --key assize.pub | jq -r .sha256`
}

func (c *watchCmd) Run(ctx context.Context, g *globals) error {
	var cfg bus.Config
	if err := config.Load(ctx, nil, &cfg); err != nil {
		return err
	}
	cfg.URL, cfg.Wait = c.NATS, true
	verify, err := c.verifier()
	if err != nil {
		return err
	}
	unheard := time.AfterFunc(2*time.Second, func() {
		g.complain(errors.New("the NATS server does not answer; waiting for it (--nats or ASSIZE_NATS_URL says where it is)"))
	})
	b, err := bus.Connect(ctx, cfg, "assize watch")
	unheard.Stop()
	if err == nil {
		defer b.Close()
		err = c.follow(ctx, g, b, verify)
	}
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		return nil // interrupted, as one ends a watch
	}
	return err
}

func (c *watchCmd) follow(ctx context.Context, g *globals, b *bus.Bus, verify verdictVerifier) error {
	from := uint64(1)
	if !c.All {
		_, last, err := b.Sequences(ctx, bus.Verdicts)
		if err != nil {
			return err
		}
		from = last + 1
	}
	filter := event.VerdictFilter(c.Decision, c.Registry, c.Type)
	p := g.printer()
	return b.Follow(ctx, bus.Verdicts, from, []string{filter}, func(m *bus.Message) error {
		var v event.Verdict
		if m.Event == nil {
			return fmt.Errorf("message %d of %s is not an event", m.Sequence, m.Stream)
		}
		if err := event.Decode(m.Event, &v); err != nil {
			return err
		}
		if verify != nil {
			if err := signedWords(verify, &v); err != nil {
				return fmt.Errorf("verdict of run %s: %w", v.Run, err)
			}
		}
		return p.print(resultOf(v.Name, &v, func(key string) string { return key }))
	})
}

// verifier is by the one key or the key set that was named, nil if none was.
func (c *watchCmd) verifier() (verdictVerifier, error) {
	switch {
	case c.Key != "":
		return verifierByKey(c.Key)
	case c.Keys != "":
		f, err := followKeySet(c.Keys)
		if err != nil {
			return nil, err
		}
		return f.verify, nil
	}
	return nil, nil
}

// followedSet is a key set that others make new versions of meanwhile.
type followedSet struct {
	path string
	set  *sign.KeySet
	seen []os.FileInfo // of path, before set was read from it
}

func followKeySet(path string) (*followedSet, error) {
	seen, err := keySetState(path)
	if err != nil {
		return nil, err
	}
	history, err := sign.LoadKeySet(path)
	if err != nil {
		return nil, err
	}
	return &followedSet{path, history.Newest(), seen}, nil
}

// verify verifies by the newest version. A set that is no successor of the one
// before it is an error, and so is one that cannot be read.
func (f *followedSet) verify(envelope []byte) (*sign.Verified, error) {
	now, err := keySetState(f.path)
	if err != nil {
		return nil, err
	}
	if !slices.EqualFunc(now, f.seen, sameState) {
		set, err := f.set.Follow(f.path)
		if err != nil {
			return nil, err
		}
		f.set, f.seen = set, now
	}
	return sign.VerifyVerdict(f.set, envelope, time.Now())
}

// keySetState tells one state of a key set from the next without reading it: by
// the file, or by the directory, which changes with each file that it gets,
// and its keys.json, which others may write over.
func keySetState(path string) ([]os.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	state := []os.FileInfo{info}
	if info.IsDir() {
		newest, err := os.Stat(filepath.Join(path, "keys.json"))
		switch {
		case err == nil:
			state = append(state, newest)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("key set: %w", err)
		}
	}
	return state, nil
}

func sameState(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// signedWords verifies the verdict and that the event around it says the
// same, and leaves in v only what is signed and the documents.
func signedWords(verify verdictVerifier, v *event.Verdict) error {
	statement, err := verify(v.Envelope)
	if err != nil {
		return err
	}
	signed, err := statement.Verdict()
	if err != nil {
		return err
	}
	switch {
	case !statement.About(v.Artifact):
		return errors.New("what is signed is about another artifact")
	case signed.Run != v.Run || signed.Registry != v.Registry:
		return fmt.Errorf("what is signed is run %.80q of registry %.80q", signed.Run, signed.Registry)
	case signed.Decision != v.Decision || signed.Grade != v.Grade:
		return fmt.Errorf("what is signed is %.80q, grade %.80q; the event says %s, grade %s", signed.Decision, signed.Grade, v.Decision, v.Grade)
	}
	v.Reasons, v.Name, v.Version = signed.Reasons, signed.Artifact.Name, signed.Artifact.Version
	v.PURL, v.Format = signed.Artifact.PURL, signed.Artifact.Format
	return nil
}
