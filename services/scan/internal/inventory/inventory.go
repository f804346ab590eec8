// Package inventory remembers which packages are in which artifacts, so that
// news about a package leads to the artifacts that have it.
package inventory

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"assize.dev/services/scan/internal/advisory"
	"assize.dev/services/scan/internal/match"
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

// ErrInUse says that another process has the inventory open.
var ErrInUse = errors.New("the inventory is in use by another process")

var (
	metaBucket     = []byte("meta")     // name to value
	rowBucket      = []byte("rows")     // id to Row
	identityBucket = []byte("identity") // identity to id
	packageBucket  = []byte("packages") // package, NUL, id, package URL: to nothing
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
		for _, name := range [][]byte{metaBucket, rowBucket, identityBucket, packageBucket, pendingBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
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
	// change only with the cataloguer, and then what is new is added.
	for _, purl := range p.Components {
		if key := keyOf(purl); key != "" {
			if err := tx.Bucket(packageBucket).Put(slices.Concat([]byte(key+"\x00"), id, []byte(purl)), nil); err != nil {
				return err
			}
		}
	}
	text, err := json.Marshal(p.Row)
	if err != nil {
		return err
	}
	return tx.Bucket(rowBucket).Put(id, text)
}

// keyOf is the package of a package URL as advisories name it, "" if there
// are none about its kind.
func keyOf(purl string) string {
	p, err := match.Resolve(purl)
	if p.Ecosystem == "" || err != nil && !errors.Is(err, match.ErrRelease) {
		return ""
	}
	return advisory.Key(p.Ecosystem, p.Name)
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
	components := map[string][]string{} // by id
	var order []string
	err := v.db.View(func(tx *bolt.Tx) error {
		cursor := tx.Bucket(packageBucket).Cursor()
		for _, p := range packages {
			prefix := advisory.Key(p[0], p[1]) + "\x00"
			for k, _ := cursor.Seek([]byte(prefix)); k != nil && strings.HasPrefix(string(k), prefix); k, _ = cursor.Next() {
				if len(k) <= len(prefix)+8 {
					return fmt.Errorf("the key %q is not one", k)
				}
				id, purl := string(k[len(prefix):len(prefix)+8]), string(k[len(prefix)+8:])
				if components[id] == nil {
					order = append(order, id)
				}
				components[id] = append(components[id], purl)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read inventory: %w", err)
	}
	for _, id := range order {
		row, err := v.row([]byte(id))
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
