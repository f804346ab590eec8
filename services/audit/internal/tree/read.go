package tree

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

// Fetch reads what is under a path below a log's address, at most limit bytes.
// The error wraps fs.ErrNotExist if there is nothing.
type Fetch func(ctx context.Context, path string, limit int64) ([]byte, error)

const (
	maxTile   = Width * tlog.HashSize
	maxBundle = Width * (2 + MaxEntry)
)

// Load is the right edge of a tree with size entries. What it read is not
// verified: the caller compares Root with the checkpoint's.
func Load(ctx context.Context, fetch Fetch, size uint64) (*Tree, error) {
	t := &Tree{size: size}
	for level := 0; size>>(height*level) > 0; level++ {
		tile := make([]tlog.Hash, 0, Width)
		n := size >> (height * level)
		if width := int(n % Width); width > 0 {
			b, err := tileOf(ctx, fetch, level, n/Width, width)
			if err != nil {
				return nil, err
			}
			for i := range width {
				tile = append(tile, tlog.Hash(b[i*tlog.HashSize:]))
			}
		}
		t.levels = append(t.levels, tile)
	}
	if width := int(size % Width); width > 0 {
		entries, err := Bundle(ctx, fetch, size/Width, width)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			t.bundle = append(binary.BigEndian.AppendUint16(t.bundle, uint16(len(e))), e...)
		}
	}
	return t, nil
}

// tileOf reads the first width hashes of a tile. It may be there only full: the
// partial ones are deleted then.
func tileOf(ctx context.Context, fetch Fetch, level int, index uint64, width int) ([]byte, error) {
	b, path, err := eitherOf(ctx, fetch, tilePath(level, index, width%Width), tilePath(level, index, 0), maxTile)
	if err != nil {
		return nil, err
	}
	if len(b) < width*tlog.HashSize {
		return nil, fmt.Errorf("%s: %d bytes, want %d", path, len(b), width*tlog.HashSize)
	}
	return b[:width*tlog.HashSize], nil
}

func eitherOf(ctx context.Context, fetch Fetch, partial, full string, limit int64) (b []byte, path string, err error) {
	b, err = fetch(ctx, partial, limit)
	if partial == full || !errors.Is(err, fs.ErrNotExist) {
		return b, partial, err
	}
	if b, whole := fetch(ctx, full, limit); whole == nil {
		return b, full, nil
	}
	return nil, partial, err
}

// ErrBundle is wrapped by errors about the content of a bundle.
var ErrBundle = errors.New("malformed bundle")

// Bundle reads the first n entries, at most Width, of a bundle.
func Bundle(ctx context.Context, fetch Fetch, index uint64, n int) (entries [][]byte, err error) {
	b, path, err := eitherOf(ctx, fetch, bundlePath(index, n%Width), bundlePath(index, 0), maxBundle)
	if err != nil {
		return nil, err
	}
	for len(entries) < n {
		if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
			return nil, fmt.Errorf("%s: %w: it ends within entry %d", path, ErrBundle, index*Width+uint64(len(entries)))
		}
		end := 2 + int(binary.BigEndian.Uint16(b))
		entries, b = append(entries, b[2:end:end]), b[end:]
	}
	if len(b) > 0 && n == Width {
		return nil, fmt.Errorf("%s: %w: %d bytes follow its last entry", path, ErrBundle, len(b))
	}
	return entries, nil
}

// Entries reads all entries of a log with size entries, in order. An error is
// yielded once, last.
func Entries(ctx context.Context, fetch Fetch, size uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for at := uint64(0); at < size; at += Width {
			entries, err := Bundle(ctx, fetch, at/Width, int(min(Width, size-at)))
			if err != nil {
				yield(nil, err)
				return
			}
			for _, e := range entries {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// Hashes reads hashes of a tree from its tiles, each verified against the root.
// It keeps the tiles it has read last.
func Hashes(ctx context.Context, fetch Fetch, size uint64, root tlog.Hash) tlog.HashReader {
	return tlog.TileHashReader(tlog.Tree{N: int64(size), Hash: root}, &tileReader{ctx: ctx, fetch: fetch})
}

// tileReader is a tlog.TileReader of one call.
type tileReader struct {
	ctx   context.Context
	fetch Fetch
	mu    sync.Mutex
	kept  map[tlog.Tile][]byte // verified
}

const maxKeptTiles = 64

func (r *tileReader) Height() int { return height }

func (r *tileReader) ReadTiles(tiles []tlog.Tile) (data [][]byte, err error) {
	for _, t := range tiles {
		r.mu.Lock()
		b := r.kept[t]
		r.mu.Unlock()
		if b == nil {
			if b, err = tileOf(r.ctx, r.fetch, t.L, uint64(t.N), t.W); err != nil {
				return nil, err
			}
		}
		data = append(data, b)
	}
	return data, nil
}

func (r *tileReader) SaveTiles(tiles []tlog.Tile, data [][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept == nil || len(r.kept) > maxKeptTiles {
		r.kept = map[tlog.Tile][]byte{}
	}
	for i, t := range tiles {
		r.kept[t] = data[i]
	}
}
