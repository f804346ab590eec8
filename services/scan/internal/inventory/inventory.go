// Package inventory remembers which packages are in which artifacts, so that
// news about a package leads to the artifacts that have it.
package inventory

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"assize.dev/services/scan/internal/advisory"
	"assize.dev/shared/digest"
)

// Row is an artifact as its last verdict left it.
type Row struct {
	Registry string        `json:"registry"`
	Filename string        `json:"filename"`
	Digest   digest.Digest `json:"digest"` // of the bytes
	Run      string        `json:"run"`    // of the last verdict
	SBOM     digest.Digest `json:"sbom"`   // of the document with the components
	PURL     string        `json:"purl,omitempty"`
	// Basis is the state of the advisories that the findings are of.
	Basis string `json:"basis"`
	// Findings sums up what is known of each component with findings, by
	// package URL.
	Findings map[string]string `json:"findings,omitempty"`
	// Pending is a run that examines it again, "" if none does.
	Pending string `json:"pending,omitempty"`
}

// identity: one file of one registry, with these bytes.
func (r *Row) identity() []byte {
	sum := sha256.Sum256([]byte(r.Registry + "\x00" + r.Filename + "\x00" + string(r.Digest)))
	return sum[:16]
}

// Inventory is an open file. Any number of goroutines may read; changes are
// made one after another.
type Inventory struct{ db *bolt.DB }

// format is of what the buckets hold.
const format = "2"

// ErrFormat says that the inventory was written by another version. It can
// be deleted: it is made again from the feed of verdicts.
var ErrFormat = errors.New("the inventory was written by another version of Assize: delete it, and it is made again")

// ErrInUse says that another process has the inventory open.
var ErrInUse = errors.New("the inventory is in use by another process")

var metaFormat = []byte("format")

var (
	metaBucket     = []byte("meta")     // name to value
	rowBucket      = []byte("rows")     // id to Row
	identityBucket = []byte("identity") // identity to id
	pendingBucket  = []byte("pending")  // run to id
)

// Open opens the inventory in a directory, or makes one.
func Open(dir string) (*Inventory, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open inventory: %w", err)
	}
	db, err := bolt.Open(filepath.Join(dir, "inventory.db"), 0o600, &bolt.Options{Timeout: 100 * time.Millisecond, FreelistType: bolt.FreelistMapType})
	if errors.Is(err, bolterrors.ErrTimeout) {
		err = ErrInUse
	}
	if err != nil {
		return nil, fmt.Errorf("open inventory: %w", err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{metaBucket, rowBucket, identityBucket, pendingBucket, nameBucket, componentBucket, urlBucket, recentBucket, epochBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		meta := tx.Bucket(metaBucket)
		switch first, _ := meta.Cursor().First(); {
		case first == nil:
			return meta.Put(metaFormat, []byte(format))
		case string(meta.Get(metaFormat)) != format:
			return ErrFormat
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open inventory: %w", err), db.Close())
	}
	return &Inventory{db}, nil
}

// Close closes the file.
func (v *Inventory) Close() error { return v.db.Close() }

// Meta reads a value that was set with a change, "" if none was.
func (v *Inventory) Meta(name string) (value string, err error) {
	err = v.db.View(func(tx *bolt.Tx) error {
		value = string(tx.Bucket(metaBucket).Get([]byte(name)))
		return nil
	})
	return value, err
}

// Change is one transaction: when Apply returns, all of it is durable.
type Change struct {
	Rows []Put
	Meta map[string]string
}

// Put is a row to store, with the package URLs of its components. Without
// components those that are known stay.
type Put struct {
	Row        Row
	Components []string
}

// Apply makes a change.
func (v *Inventory) Apply(c Change) error {
	err := v.db.Update(func(tx *bolt.Tx) error {
		for i := range c.Rows {
			if err := put(tx, &c.Rows[i]); err != nil {
				return err
			}
		}
		for name, value := range c.Meta {
			if err := tx.Bucket(metaBucket).Put([]byte(name), []byte(value)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("change inventory: %w", err)
	}
	return nil
}

func put(tx *bolt.Tx, p *Put) error {
	identity := p.Row.identity()
	id := tx.Bucket(identityBucket).Get(identity)
	if id == nil {
		next, err := tx.Bucket(rowBucket).NextSequence()
		if err != nil {
			return err
		}
		id = binary.BigEndian.AppendUint64(nil, next)
		if err := tx.Bucket(identityBucket).Put(identity, id); err != nil {
			return err
		}
	}
	old, err := rowAt(tx, id)
	if err != nil {
		return err
	}
	if old != nil && old.Pending != "" && old.Pending != p.Row.Pending {
		if err := tx.Bucket(pendingBucket).Delete([]byte(old.Pending)); err != nil {
			return err
		}
	}
	if p.Row.Pending != "" {
		if err := tx.Bucket(pendingBucket).Put([]byte(p.Row.Pending), id); err != nil {
			return err
		}
	}
	// Components of other bytes are another row; those of the same bytes
	// change only with the SBOM, and then what is new is added.
	if old == nil || old.SBOM != p.Row.SBOM {
		if err := add(tx, id, p.Components); err != nil {
			return err
		}
	}
	text, err := json.Marshal(p.Row)
	if err != nil {
		return err
	}
	rows := tx.Bucket(rowBucket)
	rows.FillPercent = full
	return rows.Put(id, text)
}

func rowAt(tx *bolt.Tx, id []byte) (*Row, error) {
	text := tx.Bucket(rowBucket).Get(id)
	if text == nil {
		return nil, nil
	}
	var r Row
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("row %x: %w", id, err)
	}
	return &r, nil
}

// Candidate is an artifact and those of its components that are asked about.
type Candidate struct {
	Row        Row
	Components []string
}

// With gives every artifact that has one of the packages, which are named by
// ecosystem and name. It collects them first, so that what each does may
// change the inventory.
func (v *Inventory) With(packages [][2]string, each func(Candidate) error) error {
	keys := make([]string, len(packages))
	for i, p := range packages {
		keys[i] = advisory.Key(p[0], p[1])
	}
	var components map[uint64][]string
	err := v.db.View(func(tx *bolt.Tx) (err error) {
		components, err = having(tx, keys)
		return err
	})
	if err != nil {
		return fmt.Errorf("read inventory: %w", err)
	}
	for _, id := range slices.Sorted(maps.Keys(components)) {
		row, err := v.row(binary.BigEndian.AppendUint64(nil, id))
		if err != nil {
			return err
		}
		if row == nil {
			continue
		}
		if err := each(Candidate{*row, components[id]}); err != nil {
			return err
		}
	}
	return nil
}

// Row is the present state of a row, nil if there is none.
func (v *Inventory) Row(of *Row) (row *Row, err error) {
	err = v.db.View(func(tx *bolt.Tx) error {
		if id := tx.Bucket(identityBucket).Get(of.identity()); id != nil {
			row, err = rowAt(tx, id)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read inventory: %w", err)
	}
	return row, nil
}

func (v *Inventory) row(id []byte) (row *Row, err error) {
	err = v.db.View(func(tx *bolt.Tx) error {
		row, err = rowAt(tx, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read inventory: %w", err)
	}
	return row, nil
}

// All gives every row, some at a time, so that each may change the inventory.
func (v *Inventory) All(each func(Row) error) error {
	const some = 1000
	var last []byte
	for {
		var rows []Row
		err := v.db.View(func(tx *bolt.Tx) error {
			cursor := tx.Bucket(rowBucket).Cursor()
			k, text := cursor.First()
			if last != nil {
				if k, text = cursor.Seek(last); k != nil && string(k) == string(last) {
					k, text = cursor.Next()
				}
			}
			for ; k != nil && len(rows) < some; k, text = cursor.Next() {
				var r Row
				if err := json.Unmarshal(text, &r); err != nil {
					return fmt.Errorf("row %x: %w", k, err)
				}
				rows, last = append(rows, r), append([]byte(nil), k...)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("read inventory: %w", err)
		}
		if len(rows) == 0 {
			return nil
		}
		for _, r := range rows {
			if err := each(r); err != nil {
				return err
			}
		}
	}
}

// Pending is how many artifacts are being examined again.
func (v *Inventory) Pending() (n int, err error) {
	err = v.db.View(func(tx *bolt.Tx) error {
		n = tx.Bucket(pendingBucket).Stats().KeyN
		return nil
	})
	return n, err
}

// Len is how many artifacts there are.
func (v *Inventory) Len() (n int, err error) {
	err = v.db.View(func(tx *bolt.Tx) error {
		n = tx.Bucket(rowBucket).Stats().KeyN
		return nil
	})
	return n, err
}
