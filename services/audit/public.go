package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"assize.dev/services/audit/internal/checkpoint"
	"assize.dev/services/audit/internal/tree"
	"assize.dev/shared/blob"
	"assize.dev/shared/digest"
)

// Policy says by whose signatures a checkpoint counts (c2sp.org/tlog-policy).
type Policy = checkpoint.Policy

// Proof shows that an entry is in the log (c2sp.org/tlog-proof).
type Proof = checkpoint.Proof

// Fetch reads what is published, by its path below the log's address.
type Fetch = tree.Fetch

// ParsePolicy reads a policy's file.
func ParsePolicy(text []byte) (*Policy, error) { return checkpoint.ParsePolicy(text) }

// KeyPolicy trusts what one of the log's keys (vkeys) has signed.
func KeyPolicy(vkeys ...string) (*Policy, error) { return checkpoint.KeyPolicy(vkeys...) }

// ParseProof reads a proof.
func ParseProof(b []byte) (*Proof, error) { return checkpoint.ParseProof(b) }

// NewKey makes the key of a log. Its name, the origin of the log's checkpoints,
// should be one that no other log has, such as an address without its scheme.
func NewKey(origin string) (secret, vkey string, err error) {
	if origin == "" || strings.ContainsAny(origin, "+ \t\n") || len(origin) > 200 {
		return "", "", fmt.Errorf("name of the log %.100q: want 1 to 200 bytes without spaces and plus signs", origin)
	}
	secret, vkey, err = note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return "", "", fmt.Errorf("name of the log %.100q: %w", origin, err)
	}
	return secret, vkey, nil
}

// Published reads what is published in a store.
func Published(store blob.Store) Fetch {
	return func(ctx context.Context, path string, limit int64) ([]byte, error) {
		return fetch(ctx, store, path, limit)
	}
}

// PublishedIn reads a copy of what is published, from a directory with the
// checkpoint and the folder tile. The caller closes it.
func PublishedIn(dir string) (f Fetch, closer io.Closer, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context, path string, limit int64) ([]byte, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		file, err := root.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		if info, err := file.Stat(); err == nil && info.Size() <= limit { // in one piece
			b := make([]byte, info.Size())
			n, err := io.ReadFull(file, b)
			if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
				err = nil
			}
			return b[:n], err
		}
		return within(path, file, limit)
	}, root, nil
}

func within(name string, r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%w: %s: more than %d bytes", ErrDamaged, name, limit)
	}
	return b, err
}

const (
	httpTimeout = 30 * time.Second // of one object
	httpTries   = 4
)

// PublishedAt reads a log over HTTP. What comes is verified, so that plain http
// is no danger to it.
func PublishedAt(address string) (Fetch, error) {
	base, err := url.Parse(address)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("address of the log %.100q: want http or https", address)
	}
	client := &http.Client{Timeout: httpTimeout}
	return func(ctx context.Context, path string, limit int64) (b []byte, err error) {
		for try := 1; ; try++ {
			var again bool
			b, again, err = get(ctx, client, base.JoinPath(path).String(), limit)
			if err == nil || !again || try == httpTries || ctx.Err() != nil {
				return b, err
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(try) * 200 * time.Millisecond):
			}
		}
	}, nil
}

func get(ctx context.Context, client *http.Client, address string, limit int64) (b []byte, again bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, false, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, true, err
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusNotFound || response.StatusCode == http.StatusGone:
		return nil, false, fmt.Errorf("%s: %w", address, fs.ErrNotExist)
	case response.StatusCode != http.StatusOK:
		return nil, response.StatusCode >= 500, fmt.Errorf("%s: the server answers %s", address, response.Status)
	}
	b, err = within(address, response.Body, limit)
	return b, !errors.Is(err, ErrDamaged), err
}

// Prove proves the entry with an index by the present checkpoint.
func Prove(ctx context.Context, fetch Fetch, index uint64) (*Proof, error) {
	signed, c, err := present(ctx, fetch)
	if err != nil {
		return nil, err
	}
	if index >= c.Size {
		return nil, fmt.Errorf("entry %d: %d entries are published: %w", index, c.Size, fs.ErrNotExist)
	}
	first := index / tree.Width * tree.Width
	entries, err := tree.Bundle(ctx, fetch, index/tree.Width, int(min(tree.Width, c.Size-first)))
	if err != nil {
		return nil, err
	}
	path, err := tlog.ProveRecord(int64(c.Size), int64(index), tree.Hashes(ctx, fetch, c.Size, c.Root))
	if err != nil {
		return nil, fmt.Errorf("prove entry %d: %w", index, err)
	}
	return &Proof{Index: index, Entry: entries[index-first], Path: path, Checkpoint: signed}, nil
}

// ProveConsistency proves that the log with to entries continues the one with
// from; to 0 is the present size, which is returned.
func ProveConsistency(ctx context.Context, fetch Fetch, from, to uint64) (path []tlog.Hash, size uint64, err error) {
	_, c, err := present(ctx, fetch)
	if err != nil {
		return nil, 0, err
	}
	if to == 0 {
		to = c.Size
	}
	if from == 0 || from > to || to > c.Size {
		return nil, 0, fmt.Errorf("from %d to %d of %d entries: %w", from, to, c.Size, fs.ErrNotExist)
	}
	path, err = tlog.ProveTree(int64(to), int64(from), tree.Hashes(ctx, fetch, c.Size, c.Root))
	return path, to, err
}

// present is the checkpoint.
func present(ctx context.Context, fetch Fetch) ([]byte, *checkpoint.Checkpoint, error) {
	signed, err := fetch(ctx, "checkpoint", checkpoint.MaxSigned)
	if err != nil {
		return nil, nil, err
	}
	c, err := checkpoint.Unverified(signed)
	return signed, c, err
}

// ProofOf is the proof of the newest verdict about an artifact. The error wraps
// fs.ErrNotExist if none is published yet.
func ProofOf(ctx context.Context, store blob.Store, artifact digest.Digest) (*Proof, error) {
	newest := "" // runs are in the order of time
	for info, err := range store.List(ctx, blob.VerdictKey(artifact, "", "")[:len("verdicts/sha256/")+len(artifact.Hex())+1], "") {
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(info.Key, "."+ProofName) {
			newest = info.Key
		}
	}
	if newest == "" {
		return nil, fmt.Errorf("no verdict about %s is published yet: %w", artifact, fs.ErrNotExist)
	}
	o, err := store.Open(ctx, newest)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	b, err := within(newest, o, checkpoint.MaxProof)
	if err != nil {
		return nil, err
	}
	return checkpoint.ParseProof(b)
}
