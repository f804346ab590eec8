package sign

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"assize.dev/services/sign/internal/dsse"
	"assize.dev/services/sign/internal/keys"
	"assize.dev/services/sign/internal/keyset"
	"assize.dev/services/sign/internal/signer"
)

// Key sets, see package keyset.
type (
	KeySet        = keyset.Set
	KeyHistory    = keyset.History
	VerdictKey    = keyset.Key
	Signer        = signer.Signer
	SignerOptions = signer.Options
)

// What a key of a set is.
const (
	KeyActive  = keyset.Active
	KeyRetired = keyset.Retired
	KeyRevoked = keyset.Revoked
)

// LoadKeySet reads the file of one version, or all versions of a directory.
var LoadKeySet = keyset.Load

// OpenSigner opens a private key by its reference.
var OpenSigner = signer.Open

// A change of a key directory is made under its lock: of two at once the
// second begins where the first ended.

// KeyChange says how the next version of a key set comes about.
type KeyChange struct {
	Roots    []string // references of the root keys that sign; root.key without
	Lifetime time.Duration
	Reason   string
}

// Init makes the first version: verdict keys and root keys by reference.
func (d KeyDir) Init(ctx context.Context, verdictKeys []string, threshold int, c KeyChange) (*KeySet, error) {
	if err := os.MkdirAll(d.dir.Path("."), 0o700); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	unlock, err := d.dir.Lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return d.begin(ctx, verdictKeys, threshold, c)
}

// begin is Init in a directory that is locked.
func (d KeyDir) begin(ctx context.Context, verdictKeys []string, threshold int, c KeyChange) (*KeySet, error) {
	if history, err := d.dir.Load(); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fmt.Errorf("there is a key set already, version %d", history.Newest().Version)
		}
		return nil, err
	}
	roots, err := d.roots(ctx, c)
	if err != nil {
		return nil, err
	}
	signing, err := d.open(ctx, verdictKeys)
	if err != nil {
		return nil, err
	}
	draft, err := keyset.First(publicOf(roots), threshold, publicOf(signing), d.change(c))
	if err != nil {
		return nil, err
	}
	return d.add(ctx, draft, roots, verdictKeys, signing)
}

// Rotate makes the keys with these references sign from now on; without any
// it makes a new one. With hybrid it makes an ML-DSA-65 key beside it, and so
// it does after keys that signed together: fewer signatures than before would
// be a step back that nobody asked for.
func (d KeyDir) Rotate(ctx context.Context, references []string, hybrid bool, c KeyChange) (*KeySet, error) {
	unlock, err := d.dir.Lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	set, roots, err := d.newest(ctx, c)
	if err != nil {
		return nil, err
	}
	var generated []string
	generate := func(kind func() (*PrivateKey, error)) error {
		file, err := d.generate(kind)
		if err == nil {
			generated = append(generated, file)
		}
		return err
	}
	if len(references) == 0 {
		last := set.Keys[len(set.Keys)-1]
		hybrid = hybrid || last.VerdictThreshold > 1
		err = generate(keys.GenerateKey)
	}
	if err == nil && hybrid {
		err = generate(keys.GenerateMLDSA)
	}
	if err == nil {
		set, err = d.rotateTo(ctx, set, roots, append(slices.Clone(references), generated...), c)
	}
	if errors.Is(err, errNotAdded) {
		for _, file := range generated { // keys that nobody will ever know
			err = errors.Join(err, os.Remove(file), os.Remove(publicName(file)))
		}
	}
	return set, err
}

func (d KeyDir) rotateTo(ctx context.Context, set *KeySet, roots []Signer, references []string, c KeyChange) (*KeySet, error) {
	signing, err := d.open(ctx, references)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotAdded, err)
	}
	draft, err := set.Rotate(publicOf(signing), d.change(c))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotAdded, err)
	}
	return d.add(ctx, draft, roots, references, signing)
}

// Revoke makes every verdict of a key count for nothing.
func (d KeyDir) Revoke(ctx context.Context, keyID string, c KeyChange) (*KeySet, error) {
	unlock, err := d.dir.Lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	set, roots, err := d.newest(ctx, c)
	if err != nil {
		return nil, err
	}
	draft, err := set.Revoke(keyID, d.change(c))
	if err != nil {
		return nil, err
	}
	return d.add(ctx, draft, roots, nil, nil)
}

// Reroot makes other keys the roots. Those of c.Roots sign, which must be
// enough of the old ones, and so do all new ones.
func (d KeyDir) Reroot(ctx context.Context, references []string, threshold int, c KeyChange) (*KeySet, error) {
	unlock, err := d.dir.Lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	set, old, err := d.newest(ctx, c)
	if err != nil {
		return nil, err
	}
	roots, err := d.open(ctx, references)
	if err != nil {
		return nil, err
	}
	draft, err := set.Reroot(publicOf(roots), threshold, d.change(c))
	if err != nil {
		return nil, err
	}
	return d.add(ctx, draft, distinct(old, roots), nil, nil)
}

// newest is the set to go on from and the roots that sign.
func (d KeyDir) newest(ctx context.Context, c KeyChange) (*KeySet, []Signer, error) {
	history, err := d.dir.Load()
	if err != nil {
		return nil, nil, err
	}
	set := history.Newest()
	if !set.Expires.IsZero() && c.Lifetime == 0 {
		return nil, nil, fmt.Errorf("key set version %d has an end: say for how long the next one is good", set.Version)
	}
	roots, err := d.roots(ctx, c)
	return set, roots, err
}

// errNotAdded says that nothing was kept of a new version. After other errors
// it may have been, as after a kill.
var errNotAdded = errors.New("the key set is as it was")

// add signs the draft and keeps it. Where the new keys are held, and their
// public halves, is written before the version that makes them active.
func (d KeyDir) add(ctx context.Context, draft *keyset.Draft, roots []Signer, references []string, signing []Signer) (*KeySet, error) {
	set, data, err := keyset.Seal(ctx, draft, roots...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotAdded, err)
	}
	held := make(map[string]string)
	for i, s := range signing {
		id, err := dsse.KeyID(s.Public())
		if err != nil {
			return nil, err
		}
		if held[id], err = d.reference(references[i]); err != nil {
			return nil, err
		}
		if err := d.writePublic(id, s.Public()); err != nil {
			return nil, err
		}
	}
	if len(held) > 0 {
		if err := d.dir.Refer(held); err != nil {
			return nil, err
		}
	}
	return set, d.dir.Add(set, data)
}

func (d KeyDir) roots(ctx context.Context, c KeyChange) ([]Signer, error) {
	references := c.Roots
	if len(references) == 0 {
		references = []string{d.dir.Path(rootKey)}
	}
	roots, err := d.open(ctx, references)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the root key, which signs key sets, is not there: bring it and name it: %w", err)
	}
	return roots, err
}

func (d KeyDir) open(ctx context.Context, references []string) ([]Signer, error) {
	var all []Signer
	for _, r := range references {
		s, err := signer.Open(ctx, r, d.Options)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func (d KeyDir) change(c KeyChange) keyset.Change {
	change := keyset.Change{Now: d.now(), Reason: c.Reason}
	if c.Lifetime > 0 {
		change.Expires = change.Now.Add(c.Lifetime).Truncate(time.Second)
	}
	return change
}

func publicOf(signers []Signer) []crypto.PublicKey {
	var all []crypto.PublicKey
	for _, s := range signers {
		all = append(all, s.Public())
	}
	return all
}

// distinct joins two lists of signers, each key once.
func distinct(a, b []Signer) []Signer {
	var all []Signer
	seen := make(map[string]bool)
	for _, s := range append(a, b...) {
		if id, err := dsse.KeyID(s.Public()); err == nil && !seen[id] {
			seen[id] = true
			all = append(all, s)
		}
	}
	return all
}
