package sbom

import (
	"encoding/json"
	"hash/fnv"
	"path"
	"strings"

	"assize.dev/shared/archive"
	"assize.dev/shared/identify"
)

// image tells which files of a container image's layers are still there when
// the layers lie on one another (image-spec 1.1, "layer.md", "Whiteouts").
// The order of the layers is known only at the end of the walk, so what was
// found waits until then.
type image struct {
	layers  map[string]*layer // by the path of the blob in the artifact
	blobs   map[string][]byte // JSON documents, by path
	kept    int               // bytes of blobs
	waiting []waiting
	stacks  [][]string // layers of each image, lowest first
	unknown bool       // an image's layers could not be learned
}

// layer is what of a layer bears on those below it.
type layer struct {
	paths   map[uint64]bool // of everything in it, hashed
	removed map[string]bool // whiteouts
	opaque  map[string]bool // directories that hide what lies below
}

// waiting is something found in a layer.
type waiting struct {
	where string // location in the artifact
	tell  func()
}

const (
	maxBlobs  = 32 << 20 // bytes of JSON kept of one image
	maxStacks = 1000
)

func newImage(id identify.Identity) *image {
	if id.Format != identify.OCI && id.Format != identify.Docker {
		return nil
	}
	return &image{layers: map[string]*layer{}, blobs: map[string][]byte{}}
}

// note takes account of an entry of a layer, of whatever type.
func (m *image) note(e *archive.Entry) {
	if m == nil || len(e.Parents) != 2 {
		return
	}
	l := m.layers[e.Parents[1]]
	if l == nil {
		l = &layer{paths: map[uint64]bool{}, removed: map[string]bool{}, opaque: map[string]bool{}}
		m.layers[e.Parents[1]] = l
	}
	dir, base := path.Split(e.Path)
	dir = strings.TrimSuffix(dir, "/")
	switch name, whiteout := strings.CutPrefix(base, ".wh."); {
	case base == ".wh..wh..opq":
		l.opaque[dir] = true
	case whiteout:
		l.removed[path.Join(dir, name)] = true
	case e.Type != archive.Dir:
		l.paths[hashed(e.Path)] = true
	}
}

func hashed(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64()
}

// wants the documents that tell the order of the layers.
func (m *image) wants(e *entry) bool {
	return m != nil && e.Root && e.Content == archive.Unknown && m.kept < maxBlobs &&
		(e.Path == "index.json" || e.Path == "manifest.json" || strings.HasPrefix(e.Path, "blobs/"))
}

func (m *image) read(e *entry, src *source) error {
	data, err := src.all(identify.MaxMetadata)
	if err != nil {
		return err
	}
	if json.Valid(data) {
		m.blobs[e.Path] = data
		m.kept += len(data)
	}
	return nil
}

// wait keeps something found until it is known whether it is still there. It
// reports whether there is anything to wait for.
func (m *image) wait(where string, tell func()) bool {
	if m == nil || !strings.Contains(where, "!") {
		return false
	}
	m.waiting = append(m.waiting, waiting{where, tell})
	return true
}

// settle tells all that is visible in one of the images, or lies in no layer
// of any. It reports whether the order of the layers was known; all is told
// otherwise.
func (m *image) settle() (known bool) {
	if m == nil {
		return true
	}
	m.stacks = m.manifests()
	known = len(m.stacks) > 0 && !m.unknown
	// What a higher layer says comes later, and wins.
	for _, w := range m.inOrder() {
		if !known || m.visible(w.where) {
			w.tell()
		}
	}
	return known
}

// inOrder sorts what waits by the lowest place of its layer in any stack.
func (m *image) inOrder() []waiting {
	place := map[string]int{}
	for _, stack := range m.stacks {
		for i, l := range stack {
			if at, ok := place[l]; !ok || i < at {
				place[l] = i
			}
		}
	}
	out := make([][]waiting, 1)
	for _, w := range m.waiting {
		blob, _, _ := strings.Cut(w.where, "!")
		at := place[blob]
		for len(out) <= at {
			out = append(out, nil)
		}
		out[at] = append(out[at], w)
	}
	var flat []waiting
	for _, some := range out {
		flat = append(flat, some...)
	}
	return flat
}

func (m *image) visible(where string) bool {
	blob, rest, _ := strings.Cut(where, "!")
	name, _, _ := strings.Cut(rest, "!")
	stacked := false
	for _, stack := range m.stacks {
		for i, l := range stack {
			if l != blob {
				continue
			}
			stacked = true
			if !m.hidden(name, stack[i+1:]) {
				return true
			}
		}
	}
	return !stacked
}

// hidden tells whether one of the layers above replaces or removes a file.
func (m *image) hidden(name string, above []string) bool {
	for _, blob := range above {
		l := m.layers[blob]
		if l == nil {
			continue
		}
		if l.paths[hashed(name)] || l.removed[name] {
			return true
		}
		for dir := path.Dir(name); ; dir = path.Dir(dir) {
			if dir == "." {
				if l.opaque[""] {
					return true
				}
				break
			}
			if l.removed[dir] || l.opaque[dir] || l.paths[hashed(dir)] {
				return true
			}
		}
	}
	return false
}

// manifests finds the layers of every image in the artifact.
func (m *image) manifests() [][]string {
	var stacks [][]string
	if index, ok := m.blobs["index.json"]; ok {
		if stacks = m.ociIndex(index, 0); len(stacks) > 0 {
			return stacks
		}
		m.unknown = false // "docker save" writes both
	}
	var saved []struct{ Layers []string }
	if json.Unmarshal(m.blobs["manifest.json"], &saved) != nil {
		return nil
	}
	for _, s := range saved[:min(len(saved), maxStacks)] {
		stacks = append(stacks, s.Layers)
		m.unknown = m.unknown || len(s.Layers) == 0
	}
	return stacks
}

// ociIndex follows an image index, which may refer to others.
func (m *image) ociIndex(text []byte, depth int) [][]string {
	var index struct {
		Manifests []struct{ Digest string }
		Layers    []struct{ Digest string }
	}
	if depth > 3 || json.Unmarshal(text, &index) != nil || len(index.Layers)+len(index.Manifests) == 0 {
		m.unknown = true
		return nil
	}
	var stacks [][]string
	if len(index.Layers) > 0 {
		var stack []string
		for _, l := range index.Layers {
			stack = append(stack, blobPath(l.Digest))
		}
		stacks = append(stacks, stack)
	}
	for _, d := range index.Manifests {
		if len(stacks) < maxStacks {
			stacks = append(stacks, m.ociIndex(m.blobs[blobPath(d.Digest)], depth+1)...)
		}
	}
	return stacks
}

func blobPath(digest string) string { return "blobs/" + strings.Replace(digest, ":", "/", 1) }
