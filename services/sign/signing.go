package sign

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"filippo.io/mldsa"

	"assize.dev/services/sign/internal/attest"
	"assize.dev/services/sign/internal/keyset"
	"assize.dev/services/sign/internal/signer"
)

// signing is with which keys decisions are signed at the moment. A key set in
// use is looked at before every signature: once a key was retired or revoked
// it signs nothing more, and where the key set says what signs, its successor
// goes on without a restart.
type signing struct {
	config   Config
	verifier attest.Verifier
	open     func(ctx context.Context, reference string, o signer.Options) (signer.Signer, error)
	log      *slog.Logger

	mu       sync.Mutex // guards what follows, and is held while keys are opened
	set      *keyset.Set
	setFile  os.FileInfo // as it was when set was read from it
	keys     []keyset.Key
	attestor *attest.Attestor
}

// load opens the keys. An error says which setting is wrong.
func (s *signing) load(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var set *keyset.Set
	if path := s.config.KeySet; path != "" {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("ASSIZE_KEYSET: %w", err)
		}
		history, err := keyset.Load(path)
		if err != nil {
			return fmt.Errorf("ASSIZE_KEYSET: %w", err)
		}
		set, s.setFile = history.Newest(), info
		if err := set.Fresh(time.Now()); err != nil {
			return fmt.Errorf("ASSIZE_KEYSET: %w", err)
		}
	}
	return s.useLocked(ctx, set)
}

// errTooOld says of a decision that no key will ever sign it.
var errTooOld = errors.New("the decision is older than every key that signs: examine the artifact again")

// forDecision returns what signs a decision that was taken at that time. An
// error means that it must wait, unless it is errTooOld.
func (s *signing) forDecision(ctx context.Context, at time.Time) (*attest.Attestor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set == nil {
		return s.attestor, nil
	}
	if err := s.followLocked(ctx); err != nil {
		return nil, err
	}
	if err := s.set.Fresh(time.Now()); err != nil {
		return nil, err
	}
	if s.set.Before(at) {
		return nil, fmt.Errorf("%w: it is of %s; key set %s", errTooOld, at.Format(time.RFC3339), s.set)
	}
	if err := s.set.Check(s.keys, at, s.set.Version); err != nil {
		return nil, fmt.Errorf("those who have the key set would refuse the verdict: %w", err)
	}
	return s.attestor, nil
}

// followLocked takes over a newer version of the key set.
func (s *signing) followLocked(ctx context.Context) error {
	info, err := os.Stat(s.config.KeySet)
	if err != nil {
		return fmt.Errorf("key set: %w", err)
	}
	var changed bool
	if info.IsDir() {
		if changed, err = keyset.NewDir(s.config.KeySet).Newer(s.set); err != nil {
			return fmt.Errorf("key set: %w", err)
		}
	} else {
		changed = !os.SameFile(info, s.setFile) || info.Size() != s.setFile.Size() || !info.ModTime().Equal(s.setFile.ModTime())
	}
	if !changed {
		return nil
	}
	set, err := s.set.Follow(s.config.KeySet)
	if err != nil {
		return err
	}
	if err := s.useLocked(ctx, set); err != nil {
		return err
	}
	s.setFile = info
	return nil
}

// useLocked opens the keys that sign under set, nil if there is none. On an
// error everything stays as it was.
func (s *signing) useLocked(ctx context.Context, set *keyset.Set) error {
	references := s.config.Keys
	if len(references) == 0 {
		var err error
		if references, err = s.active(set); err != nil {
			return fmt.Errorf("ASSIZE_SIGN_KEY: %w", err)
		}
	}
	var signers []signer.Signer
	var public []crypto.PublicKey
	for _, r := range references {
		one, err := s.open(ctx, r, s.config.Signer)
		if err != nil {
			return fmt.Errorf("ASSIZE_SIGN_KEY: %w", err)
		}
		signers, public = append(signers, one), append(public, one.Public())
	}
	verifier := s.verifier
	var keys []keyset.Key
	if set != nil {
		var err error
		if keys, err = set.MaySign(public); err != nil {
			return fmt.Errorf("ASSIZE_SIGN_KEY: %w", err)
		}
		verifier.Keys = set.Version
	}
	attestor, err := attest.New(verifier, signers...)
	if err != nil {
		return fmt.Errorf("ASSIZE_SIGN_KEY: %w", err)
	}
	s.set, s.keys, s.attestor = set, keys, attestor
	s.log.Info("signing keys", "keys", attestor.KeyIDs(), "key_set", verifier.Keys)
	return nil
}

// active lists where the active keys are held, classical ones first.
func (s *signing) active(set *keyset.Set) ([]string, error) {
	if set == nil {
		return nil, errors.New("no signing key is configured; make one with \"assize keygen\"")
	}
	if s.setFile != nil && !s.setFile.IsDir() {
		return nil, errors.New("not set, and ASSIZE_KEYSET is a file, which does not say where the keys are held")
	}
	active := set.Active()
	if len(active) == 0 {
		_, err := set.MaySign(nil)
		return nil, err
	}
	slices.SortStableFunc(active, func(a, b keyset.Key) int {
		switch {
		case classical(a.Public) == classical(b.Public):
			return 0
		case classical(a.Public):
			return -1
		}
		return 1
	})
	var references []string
	for _, k := range active {
		r, err := keyset.NewDir(s.config.KeySet).Reference(k.KeyID)
		if err != nil {
			return nil, err
		}
		references = append(references, r)
	}
	return references, nil
}

// classical tells keys that all clients know from those few know yet.
func classical(public crypto.PublicKey) bool {
	_, quantum := public.(*mldsa.PublicKey)
	return !quantum
}

// keyIDs are those of the keys that sign now.
func (s *signing) keyIDs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.attestor == nil {
		return nil
	}
	return s.attestor.KeyIDs()
}
