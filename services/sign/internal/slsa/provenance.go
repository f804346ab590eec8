package slsa

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"assize.dev/services/sign/internal/intoto"
	"assize.dev/services/sign/internal/strictjson"
	"assize.dev/shared/pattern"
)

// Predicate types of provenance.
const (
	PredicateV02 = "https://slsa.dev/provenance/v0.2"
	PredicateV1  = "https://slsa.dev/provenance/v1"
)

// Document is what a provenance statement claims. Nothing of it is proven by
// being in here.
type Document struct {
	Statement *intoto.Statement
	Builder   string // builder.id
	BuildType string
	// Source is the repository that was built, as normalSource writes it, and
	// SourceDigest its commit; empty if the document does not say.
	Source, SourceDigest string
	// Parameters are the names of what the caller of the builder chose:
	// externalParameters, in v0.2 invocation.parameters; sorted.
	Parameters []string
}

// Parse reads an in-toto statement with SLSA provenance v0.2 or v1.
func Parse(statement []byte) (*Document, error) {
	s, err := intoto.Parse(statement)
	if err != nil {
		return nil, err
	}
	d := &Document{Statement: s}
	read := d.readV1
	switch s.PredicateType {
	case PredicateV1:
	case PredicateV02:
		read = d.readV02
	default:
		return nil, fmt.Errorf("predicate type is %.80q, want %s or %s", s.PredicateType, PredicateV1, PredicateV02)
	}
	if err := read(s.Predicate); err != nil {
		return nil, fmt.Errorf("provenance: %w", err)
	}
	for _, claim := range []struct{ what, text string }{
		{"builder id", d.Builder}, {"build type", d.BuildType}, {"source", d.Source}, {"source digest", d.SourceDigest},
	} {
		if len(claim.text) > pattern.MaxLength {
			return nil, fmt.Errorf("provenance: %s of %d bytes, at most %d", claim.what, len(claim.text), pattern.MaxLength)
		}
	}
	return d, nil
}

// members follows a path of names into a value. What is not there, or null,
// has no members.
func members(value json.RawMessage, path ...string) (map[string]json.RawMessage, error) {
	for i := 0; ; i++ {
		if strictjson.Absent(value) {
			return nil, nil
		}
		object, err := strictjson.Object(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", strings.Join(append([]string{"predicate"}, path[:i]...), "."), err)
		}
		if i == len(path) {
			return object, nil
		}
		value = object[path[i]]
	}
}

// text is a string below the members at a path.
func text(value json.RawMessage, path ...string) (string, error) {
	last := len(path) - 1
	object, err := members(value, path[:last]...)
	if err != nil {
		return "", err
	}
	s, err := strictjson.Text(object[path[last]])
	if err != nil {
		return "", fmt.Errorf("predicate.%s: %w", strings.Join(path, "."), err)
	}
	return s, nil
}

func (d *Document) readV02(predicate json.RawMessage) error {
	var err error
	if d.Builder, err = text(predicate, "builder", "id"); err != nil {
		return err
	}
	if d.BuildType, err = text(predicate, "buildType"); err != nil {
		return err
	}
	if d.Parameters, err = parameters(predicate, "invocation", "parameters"); err != nil {
		return err
	}
	invocation, err := members(predicate, "invocation")
	if err != nil {
		return err
	}
	uri, digests, err := resource(invocation["configSource"])
	if err != nil {
		return fmt.Errorf("predicate.invocation.configSource: %w", err)
	}
	if uri != "" {
		d.Source, d.SourceDigest = normalSource(uri), commit(digests)
		return nil
	}
	top, err := members(predicate)
	if err != nil {
		return err
	}
	return d.readDependencies("predicate.materials", top["materials"])
}

func (d *Document) readV1(predicate json.RawMessage) error {
	var err error
	if d.Builder, err = text(predicate, "runDetails", "builder", "id"); err != nil {
		return err
	}
	if d.BuildType, err = text(predicate, "buildDefinition", "buildType"); err != nil {
		return err
	}
	if d.Parameters, err = parameters(predicate, "buildDefinition", "externalParameters"); err != nil {
		return err
	}
	definition, err := members(predicate, "buildDefinition")
	if err != nil {
		return err
	}
	external, err := members(definition["externalParameters"])
	if err != nil {
		return err
	}
	// Builders for GitHub Actions name the source in one of two places; what
	// "workflow" and "source" are in other build types is not known, so that
	// they may be anything but contradictory.
	if w, err := strictjson.Object(external["workflow"]); err == nil {
		if repository, err := strictjson.Text(w["repository"]); err == nil {
			d.Source = normalSource(repository)
		}
	}
	if d.Source == "" {
		if uri, digests, err := resource(external["source"]); err == nil {
			d.Source, d.SourceDigest = normalSource(uri), commit(digests)
		}
	}
	return d.readDependencies("predicate.buildDefinition.resolvedDependencies", definition["resolvedDependencies"])
}

// parameters is the names of an object's members.
func parameters(predicate json.RawMessage, path ...string) ([]string, error) {
	object, err := members(predicate, path...)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(object)), nil
}

// maxDependencies bounds how much of a list is looked at; the source is at
// its start.
const maxDependencies = 1024

// readDependencies completes the source from what the build fetched: the
// first that is in git, or the one that was named already.
func (d *Document) readDependencies(where string, value json.RawMessage) error {
	elements, err := strictjson.Array(value)
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	for _, e := range elements[:min(len(elements), maxDependencies)] {
		uri, digests, err := resource(e)
		if err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		source := normalSource(uri)
		if d.Source == "" && strings.HasPrefix(uri, "git+") {
			d.Source = source
		}
		if d.Source != "" && d.Source == source {
			if d.SourceDigest == "" {
				d.SourceDigest = commit(digests)
			}
			return nil
		}
	}
	return nil
}

// resource reads the two members of a resource descriptor that matter here;
// a bare string is its URI.
func resource(value json.RawMessage) (uri string, digests map[string]string, err error) {
	if strictjson.Absent(value) {
		return "", nil, nil
	}
	if uri, err := strictjson.Text(value); err == nil {
		return uri, nil, nil
	}
	object, err := strictjson.Object(value)
	if err != nil {
		return "", nil, err
	}
	if uri, err = strictjson.Text(object["uri"]); err != nil {
		return "", nil, fmt.Errorf("uri: %w", err)
	}
	if digests, err = intoto.Digests(object["digest"]); err != nil {
		return "", nil, fmt.Errorf("digest: %w", err)
	}
	return uri, digests, nil
}

// commit is the git commit of a digest set. SHA-1 is what v0.2 calls it.
func commit(digests map[string]string) string {
	for _, algorithm := range []string{"gitCommit", "sha1"} {
		if c := digests[algorithm]; c != "" {
			return c
		}
	}
	return ""
}

// normalSource writes a repository the way certificates do: an https URL, no
// "git+" before it, no ref or ".git" behind. A repository's name is kept as
// it is written: names that only look alike are not the same.
func normalSource(uri string) string {
	uri = strings.TrimPrefix(uri, "git+")
	if scheme, rest, ok := strings.Cut(uri, "://"); ok {
		host, path, _ := strings.Cut(rest, "/") // of user@host nothing is cut
		if ref := strings.IndexAny(path, "@#?"); ref >= 0 {
			uri = scheme + "://" + host + "/" + path[:ref]
		}
	}
	return strings.TrimSuffix(strings.TrimSuffix(uri, "/"), ".git")
}
