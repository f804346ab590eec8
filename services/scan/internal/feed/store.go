// Package feed keeps the advisories of an installation: it takes them from
// where they are published and keeps generations of the index, of which one
// is current.
package feed

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"assize.dev/services/scan/internal/enrich"
	"assize.dev/services/scan/internal/index"
)

// Store is a directory with generations:
//
//	CURRENT            name of the current generation's folder
//	g-<generation>…/   an index; see package index
//	enrichment.txt     what is known beyond advisories
//	state.json         State
//
// What is current is replaced by renaming, so a process that is killed leaves
// the old or the new. One process at a time writes; any number read.
type Store struct{ dir string }

// ErrNone says that the store holds no advisories yet.
var ErrNone = errors.New("no advisories yet")

// At is the store in a directory, which need not exist.
func At(dir string) *Store { return &Store{dir} }

// State says when and from where the advisories came.
type State struct {
	Updated time.Time              `json:"updated,omitzero"` // last update of all sources that succeeded
	Sources map[string]SourceState `json:"sources,omitempty"`
	KEV     *SourceState           `json:"kev,omitempty"`
	EPSS    *SourceState           `json:"epss,omitempty"`
}

// SourceState is how far a source was read: of a mirror, one for each
// ecosystem.
type SourceState struct {
	Updated time.Time `json:"updated,omitzero"` // last success
	Until   time.Time `json:"until,omitzero"`   // newest change that was seen
	Tag     string    `json:"tag,omitempty"`    // the server's word for the version, or of a directory a digest
	Error   string    `json:"error,omitempty"`  // of the last try, "" if it succeeded
}

// Open opens the current generation. ErrNone if there is none.
func (s *Store) Open() (*index.Index, error) {
	dir, err := s.current()
	if err != nil {
		return nil, err
	}
	return index.Open(dir)
}

func (s *Store) current() (string, error) {
	name, err := os.ReadFile(filepath.Join(s.dir, "CURRENT"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", ErrNone
	}
	if err != nil {
		return "", fmt.Errorf("advisories: %w", err)
	}
	folder := strings.TrimSpace(string(name))
	if !strings.HasPrefix(folder, "g-") || folder != filepath.Base(folder) {
		return "", fmt.Errorf("advisories: %s/CURRENT names %.60q, which is no generation", s.dir, folder)
	}
	return filepath.Join(s.dir, folder), nil
}

// Manifest of the current generation.
func (s *Store) Manifest() (*index.Manifest, error) {
	dir, err := s.current()
	if err != nil {
		return nil, err
	}
	return index.ReadManifest(dir)
}

// State reads the state; the zero State if there is none.
func (s *Store) State() (*State, error) {
	state := &State{}
	text, err := os.ReadFile(filepath.Join(s.dir, "state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return state, nil
	}
	if err == nil {
		err = json.Unmarshal(text, state)
	}
	if err != nil {
		return nil, fmt.Errorf("advisories: state: %w", err)
	}
	return state, nil
}

func (s *Store) saveState(state *State) error {
	text, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return err
	}
	return s.replace("state.json", append(text, '\n'))
}

// replace writes a file of the store, whole or not at all.
func (s *Store) replace(name string, text []byte) error {
	f, err := os.CreateTemp(s.dir, ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Chmod(f.Name(), 0o644); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(s.dir, name)); err != nil {
		return err
	}
	d, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// adopt makes a new generation current: make writes it, given the folder
// that it is to become. Older ones are removed; who has them open keeps them.
func (s *Store) adopt(make func(dir string) error) (*index.Manifest, error) {
	work := filepath.Join(s.dir, fmt.Sprintf("g-new-%d", os.Getpid()))
	if err := os.RemoveAll(work); err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	if err := make(work); err != nil {
		return nil, err
	}
	m, err := index.ReadManifest(work)
	if err != nil {
		return nil, err
	}
	folder := "g-" + m.Generation[:32]
	if err := os.Rename(work, filepath.Join(s.dir, folder)); errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTEMPTY) {
		// The same generation, made before: the new one may be in another
		// form, or whole where that is damaged.
		folder += fmt.Sprintf("-%d", time.Now().UnixNano())
		err = os.Rename(work, filepath.Join(s.dir, folder))
		if err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	if err := s.replace("CURRENT", []byte(folder+"\n")); err != nil {
		return nil, err
	}
	return m, s.clean(folder)
}

// clean removes what is not current any more, and what killed processes left.
func (s *Store) clean(current string) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		old := strings.HasPrefix(e.Name(), "g-") && e.Name() != current
		for _, prefix := range []string{".index-", ".new-", ".fetch-"} {
			old = old || strings.HasPrefix(e.Name(), prefix)
		}
		if old {
			err = errors.Join(err, os.RemoveAll(filepath.Join(s.dir, e.Name())))
		}
	}
	return err
}

// lock keeps other processes from writing. The error says that one does.
func (s *Store) lock() (release func(), err error) {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, fmt.Errorf("advisories: %w", err)
	}
	return lockFile(filepath.Join(s.dir, "LOCK"))
}

// ErrBusy says that another process updates the store.
var ErrBusy = errors.New("another process is updating the advisories: try again when it is done")

// FromExport makes the store hold a directory in the layout of the OSV
// export, unless it does already. It reports whether it had to be built.
func (s *Store) FromExport(ctx context.Context, export string) (built bool, err error) {
	tag, err := signature(export)
	if err != nil {
		return false, fmt.Errorf("advisories: %w", err)
	}
	if s.holds(export, tag) {
		return false, nil
	}
	release, err := s.lock()
	if err != nil {
		return false, err
	}
	defer release()
	if s.holds(export, tag) {
		return false, nil // built while we waited
	}
	if _, err := s.adopt(func(dir string) error { return index.WriteExport(ctx, dir, export) }); err != nil {
		return false, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	return true, s.saveState(&State{Updated: now, Sources: map[string]SourceState{export: {Updated: now, Tag: tag}}})
}

func (s *Store) holds(export, tag string) bool {
	state, err := s.State()
	if err != nil || len(state.Sources) != 1 || state.Sources[export].Tag != tag {
		return false
	}
	x, err := s.Open()
	if err != nil {
		return false // none, damaged, or of another version: build anew
	}
	return x.Close() == nil
}

// signature is a digest of the names, sizes and times of an export's files:
// what tells, without reading it, that it is another.
func signature(export string) (string, error) {
	root, err := filepath.EvalSymlinks(export)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	top, err := os.ReadDir(root)
	if err != nil {
		return "", err
	}
	note := func(path string) error {
		info, err := os.Stat(path) // ecosystems are often linked in
		if err == nil {
			relative, _ := filepath.Rel(root, path) // both are absolute or neither is
			fmt.Fprintf(h, "%s %d %d\n", relative, info.Size(), info.ModTime().UnixNano())
		}
		return err
	}
	for _, e := range top {
		path := filepath.Join(root, e.Name())
		if err := note(path); err != nil {
			return "", err
		}
		inner, err := os.ReadDir(path)
		if err != nil {
			continue // a file
		}
		for _, f := range inner {
			if err := note(filepath.Join(path, f.Name())); err != nil {
				return "", err
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Enrichment reads what is known beyond advisories; none is the zero Table.
func (s *Store) Enrichment() (*enrich.Table, error) {
	f, err := os.Open(filepath.Join(s.dir, "enrichment.txt"))
	if errors.Is(err, fs.ErrNotExist) {
		return new(enrich.Table), nil
	}
	if err != nil {
		return nil, fmt.Errorf("enrichment: %w", err)
	}
	defer f.Close()
	var facts []enrich.Fact
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) != 5 {
			return nil, fmt.Errorf("enrichment: line %d is not one", len(facts)+1)
		}
		one := enrich.Fact{CVE: fields[0], KEV: fields[1], Ransomware: fields[2] == "true"}
		var errA, errB error
		one.EPSS, errA = strconv.ParseFloat(fields[3], 64)
		one.Percentile, errB = strconv.ParseFloat(fields[4], 64)
		if err := errors.Join(errA, errB); err != nil {
			return nil, fmt.Errorf("enrichment: line %d: %w", len(facts)+1, err)
		}
		facts = append(facts, one)
	}
	return enrich.Merge(facts, facts), nil
}

func (s *Store) saveEnrichment(t *enrich.Table) error {
	var text strings.Builder
	for f := range t.All() {
		fmt.Fprintf(&text, "%s\t%s\t%v\t%g\t%g\n", f.CVE, f.KEV, f.Ransomware, f.EPSS, f.Percentile)
	}
	return s.replace("enrichment.txt", []byte(text.String()))
}
