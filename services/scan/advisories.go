package scan

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"assize.dev/services/scan/internal/feed"
	"assize.dev/services/scan/internal/vex"
	"assize.dev/services/scan/internal/vulnerabilities"
)

// Advisories are what components are held against: advisories, what is known
// of exploitation, and VEX statements. Any number of goroutines may use them.
type Advisories struct{ knowledge vulnerabilities.Knowledge }

// ErrNoAdvisories says that a store holds none yet.
var ErrNoAdvisories = feed.ErrNone

// LoadExport takes advisories from a directory in the layout of the OSV
// export. The index that is made of it is kept below cache and made again
// only when the directory has changed.
func (a *Advisories) LoadExport(ctx context.Context, export, cache string) error {
	dir, err := IndexExport(ctx, export, cache)
	if err != nil {
		return err
	}
	return a.use(feed.At(dir))
}

// IndexExport makes the index of LoadExport, if need be, and tells the store
// that holds it.
func IndexExport(ctx context.Context, export, cache string) (dir string, err error) {
	absolute, err := filepath.Abs(export)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(absolute))
	dir = filepath.Join(cache, "export-"+hex.EncodeToString(sum[:8]))
	for {
		_, err = feed.At(dir).FromExport(ctx, absolute)
		if !errors.Is(err, feed.ErrBusy) {
			break
		}
		select { // another process builds the same
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	return dir, err
}

// LoadStore takes them from a store that UpdateAdvisories keeps. The error
// wraps ErrNoAdvisories if it holds none.
func (a *Advisories) LoadStore(dir string) error { return a.use(feed.At(dir)) }

// use makes what a store holds current.
func (a *Advisories) use(store *feed.Store) error {
	x, err := store.Open()
	if err != nil {
		return err
	}
	facts, err := store.Enrichment()
	if err != nil {
		return errors.Join(err, x.Close())
	}
	state, err := store.State()
	if err != nil {
		return errors.Join(err, x.Close())
	}
	a.knowledge.SetFacts(facts)
	a.knowledge.SetUpdated(state.Updated)
	a.knowledge.Advisories.Swap(x)
	return nil
}

// LoadVEX takes statements from files in OpenVEX, CSAF or CycloneDX, or from
// all .json files of directories.
func (a *Advisories) LoadVEX(paths ...string) error {
	statements := new(vex.Statements)
	for _, path := range paths {
		files := []string{path}
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("VEX: %w", err)
		}
		if info.IsDir() {
			if files, err = filepath.Glob(filepath.Join(path, "*.json")); err != nil {
				return fmt.Errorf("VEX: %w", err)
			}
			if len(files) == 0 {
				return fmt.Errorf("VEX: %s holds no .json file", path)
			}
		}
		for _, file := range files {
			f, err := os.Open(file)
			if err != nil {
				return fmt.Errorf("VEX: %w", err)
			}
			document, err := io.ReadAll(io.LimitReader(f, vex.MaxDocument+1))
			f.Close()
			if err == nil {
				err = statements.Add(document)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
	}
	a.knowledge.SetVEX(statements)
	return nil
}

// Judged is what the advisories say of one component.
type Judged = vulnerabilities.Judged

// Judge gives a function for each of two ways to name a component: by package
// URL, within an artifact of which the package URL may be known, and by
// ecosystem, name and version as OSV writes them. The error wraps
// ErrNoAdvisories. done is called when they are not needed any more.
func (a *Advisories) Judge(artifact string) (byPURL func(string) Judged, byName func(ecosystem, name, version string) Judged, done func(), err error) {
	known, done := a.knowledge.Acquire()
	if known == nil {
		done()
		return nil, nil, nil, ErrNoAdvisories
	}
	known.Artifact = artifact
	return known.PURL, known.Package, done, nil
}

// ComponentsOf lists the components of an SBOM, CycloneDX or SPDX 2 in JSON:
// package URLs, or names where there is none. artifact is the package URL of
// what it describes, "" if it does not say.
func ComponentsOf(sbom []byte) (artifact string, components []string, err error) {
	return vulnerabilities.ComponentsOf(sbom)
}

// UpdateOptions are those of UpdateAdvisories.
type UpdateOptions = feed.Options

// UpdateReport tells what an update did.
type UpdateReport = feed.Report

// UpdateAdvisories takes what is new from its sources into the store in a
// directory. A source that fails leaves what it gave before, and is named in
// the report.
func UpdateAdvisories(ctx context.Context, dir string, o UpdateOptions) (*UpdateReport, error) {
	return feed.At(dir).Update(ctx, o)
}

// AdvisoryStatus is what a store holds.
type AdvisoryStatus struct {
	Generation    string                      `json:"generation"`
	Built         time.Time                   `json:"built"`
	Updated       time.Time                   `json:"updated,omitzero"` // last time that all sources succeeded
	Newest        time.Time                   `json:"newest,omitzero"`  // latest change of an advisory
	Records       int                         `json:"records"`
	Withdrawn     int                         `json:"withdrawn"`
	Ecosystems    map[string]int              `json:"ecosystems"`
	Exploited     int                         `json:"exploited"` // CVEs that CISA lists
	Scored        int                         `json:"scored"`    // CVEs of which anything is known beyond advisories
	Rejected      int                         `json:"rejected"`  // records of the last update
	RejectedNames []string                    `json:"rejectedNames,omitempty"`
	Sources       map[string]feed.SourceState `json:"sources,omitempty"`
	KEV           *feed.SourceState           `json:"kev,omitempty"`
	EPSS          *feed.SourceState           `json:"epss,omitempty"`
	Bytes         int64                       `json:"bytes"` // on disk
}

// StatusOfAdvisories reads it. The error wraps ErrNoAdvisories.
func StatusOfAdvisories(dir string) (*AdvisoryStatus, error) {
	store := feed.At(dir)
	m, err := store.Manifest()
	if err != nil {
		return nil, err
	}
	state, err := store.State()
	if err != nil {
		return nil, err
	}
	facts, err := store.Enrichment()
	if err != nil {
		return nil, err
	}
	s := &AdvisoryStatus{
		Generation: m.Generation, Built: m.Built, Updated: state.Updated, Newest: m.Stats.Newest, Records: m.Stats.Records,
		Withdrawn: m.Stats.Withdrawn, Ecosystems: m.Stats.Advisories, Exploited: facts.Exploited(), Scored: facts.Len(),
		Rejected: m.Stats.Rejected, RejectedNames: m.Stats.RejectedNames, Sources: state.Sources, KEV: state.KEV, EPSS: state.EPSS,
	}
	for _, f := range m.Files {
		s.Bytes += f.Size
	}
	return s, nil
}
