package inventory

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"assize.dev/services/scan/internal/advisory"
	"assize.dev/services/scan/internal/match"
)

// Packages and components have numbers, so that their names are stored once.
// What an artifact has is first kept by artifact, which costs no more than the
// row does; when enough has come together it is turned round, into one value
// for each package. Written at once and in order of the keys, that takes a
// hundredth of the pages that single keys would: packages come in no order.
//
// A question is then one look into each epoch, and one walk through what is
// recent.
var (
	nameBucket      = []byte("names")      // package to number
	componentBucket = []byte("components") // package URL to numbers of package and component
	urlBucket       = []byte("urls")       // number of component to package URL
	recentBucket    = []byte("recent")     // id to pairs of package and component; its sequence counts the pairs
	epochBucket     = []byte("epochs")     // epoch, package: to pairs of id, as a step, and component; its sequence counts the epochs
)

// epochPairs is how many pairs make an epoch.
var epochPairs uint64 = 1 << 20

// full is how far a page is filled where keys come in order.
const full = 0.95

type pair struct{ pkg, component uint64 }

// add notes components of an artifact, besides those it has.
func add(tx *bolt.Tx, id []byte, purls []string) error {
	recent := tx.Bucket(recentBucket)
	recent.FillPercent = full
	value := slices.Clone(recent.Get(id))
	count := recent.Sequence()
	for _, purl := range purls {
		p, ok, err := numbers(tx, purl)
		if err != nil {
			return err
		}
		if ok {
			value = binary.AppendUvarint(binary.AppendUvarint(value, p.pkg), p.component)
			count++
		}
	}
	if len(value) == 0 {
		return nil
	}
	if err := errors.Join(recent.Put(id, value), recent.SetSequence(count)); err != nil {
		return err
	}
	if count < epochPairs {
		return nil
	}
	return pack(tx)
}

// numbers of a component, which it gets if it has none; not ok if advisories
// are never about packages of its kind.
func numbers(tx *bolt.Tx, purl string) (p pair, ok bool, err error) {
	components := tx.Bucket(componentBucket)
	if value := components.Get([]byte(purl)); value != nil {
		all, err := uvarints(value)
		if err != nil || len(all) != 2 {
			return p, false, fmt.Errorf("component %.200q: %w", purl, errValue)
		}
		return pair{all[0], all[1]}, true, nil
	}
	key := keyOf(purl)
	if key == "" || len(purl) > bolt.MaxKeySize {
		return p, false, nil
	}
	if p.pkg, err = packageNumber(tx, key); err != nil {
		return p, false, err
	}
	urls := tx.Bucket(urlBucket)
	urls.FillPercent = full
	if p.component, err = urls.NextSequence(); err != nil {
		return p, false, err
	}
	value := binary.AppendUvarint(binary.AppendUvarint(nil, p.pkg), p.component)
	return p, true, errors.Join(
		components.Put([]byte(purl), value),
		urls.Put(binary.BigEndian.AppendUint64(nil, p.component), []byte(purl)))
}

func packageNumber(tx *bolt.Tx, key string) (uint64, error) {
	names := tx.Bucket(nameBucket)
	if value := names.Get([]byte(key)); value != nil {
		return number(value)
	}
	n, err := names.NextSequence()
	if err != nil {
		return 0, err
	}
	return n, names.Put([]byte(key), binary.AppendUvarint(nil, n))
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

// pack makes an epoch of what is recent.
func pack(tx *bolt.Tx) error {
	type posting struct {
		pair
		id uint64
	}
	recent := tx.Bucket(recentBucket)
	all := make([]posting, 0, recent.Sequence())
	err := eachRecent(recent, func(id uint64, p pair) { all = append(all, posting{p, id}) })
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b posting) int {
		return cmp.Or(cmp.Compare(a.pkg, b.pkg), cmp.Compare(a.id, b.id), cmp.Compare(a.component, b.component))
	})
	epochs := tx.Bucket(epochBucket)
	epochs.FillPercent = full
	epoch, err := epochs.NextSequence()
	if err != nil {
		return err
	}
	var value []byte
	last := uint64(0)
	for i, p := range all {
		value = binary.AppendUvarint(binary.AppendUvarint(value, p.id-last), p.component)
		last = p.id
		if i == len(all)-1 || all[i+1].pkg != p.pkg {
			if err := epochs.Put(epochKey(epoch, p.pkg), value); err != nil {
				return err
			}
			value, last = nil, 0 // bolt keeps the value until the transaction ends
		}
	}
	if err := tx.DeleteBucket(recentBucket); err != nil {
		return err
	}
	_, err = tx.CreateBucket(recentBucket)
	return err
}

func epochKey(epoch, pkg uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, epoch), pkg)
}

func eachRecent(recent *bolt.Bucket, each func(id uint64, p pair)) error {
	return recent.ForEach(func(k, value []byte) error {
		all, err := uvarints(value)
		if err != nil || len(all)%2 != 0 || len(k) != 8 {
			return fmt.Errorf("components of row %x: %w", k, errValue)
		}
		id := binary.BigEndian.Uint64(k)
		for i := 0; i < len(all); i += 2 {
			each(id, pair{all[i], all[i+1]})
		}
		return nil
	})
}

// having are the components of the packages, named by their keys, by the id of
// the row that has them.
func having(tx *bolt.Tx, keys []string) (map[uint64][]string, error) {
	wanted := map[uint64]bool{}
	found := map[uint64][]uint64{}
	epochs := tx.Bucket(epochBucket)
	for _, key := range keys {
		value := tx.Bucket(nameBucket).Get([]byte(key))
		if value == nil {
			continue
		}
		pkg, err := number(value)
		if err != nil {
			return nil, err
		}
		wanted[pkg] = true
		for epoch := uint64(1); epoch <= epochs.Sequence(); epoch++ {
			all, err := uvarints(epochs.Get(epochKey(epoch, pkg)))
			if err != nil || len(all)%2 != 0 {
				return nil, fmt.Errorf("package %d of epoch %d: %w", pkg, epoch, errValue)
			}
			id := uint64(0)
			for i := 0; i < len(all); i += 2 {
				id += all[i]
				found[id] = append(found[id], all[i+1])
			}
		}
	}
	if len(wanted) > 0 {
		err := eachRecent(tx.Bucket(recentBucket), func(id uint64, p pair) {
			if wanted[p.pkg] {
				found[id] = append(found[id], p.component)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	urls := tx.Bucket(urlBucket)
	out := make(map[uint64][]string, len(found))
	for id, components := range found {
		slices.Sort(components)
		for _, n := range slices.Compact(components) {
			url := urls.Get(binary.BigEndian.AppendUint64(nil, n))
			if url == nil {
				return nil, fmt.Errorf("component %d has no package URL", n)
			}
			out[id] = append(out[id], string(url))
		}
	}
	return out, nil
}

var errValue = errors.New("the value is not one that was written")

func number(value []byte) (uint64, error) {
	all, err := uvarints(value)
	if err != nil || len(all) != 1 {
		return 0, errValue
	}
	return all[0], nil
}

func uvarints(value []byte) (all []uint64, err error) {
	for len(value) > 0 {
		n, size := binary.Uvarint(value)
		if size <= 0 {
			return nil, errValue
		}
		all, value = append(all, n), value[size:]
	}
	return all, nil
}
