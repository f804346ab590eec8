package event

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"
	"unicode/utf8"

	"assize.dev/shared/digest"
)

// Lane keeps examinations of different urgency apart, each with its own
// consumers, so that re-evaluation never delays an upload.
type Lane string

// The lanes.
const (
	LaneNew   Lane = "new"   // an upload
	LaneAsked Lane = "asked" // a person asked again
	LaneAgain Lane = "again" // the world changed: advisories, policy, keys
)

// Lanes lists all lanes, most urgent first.
var Lanes = []Lane{LaneNew, LaneAsked, LaneAgain}

// Upload is a registry's word that something was uploaded. It is a hint:
// nothing in it is believed that the bytes themselves can tell.
type Upload struct {
	Registry string `json:"registry" jsonschema_description:"Name of the registry; the subject's last token encodes the same name."`
	// ID makes redelivered announcements one upload. Registries that have
	// no delivery id may use digest and name.
	ID         string        `json:"id" jsonschema_description:"Delivery id, unique per registry."`
	Name       string        `json:"name" jsonschema_description:"Package or file name as the registry knows it."`
	Version    string        `json:"version,omitempty"`
	Filename   string        `json:"filename,omitempty"`
	PURL       string        `json:"purl,omitempty" jsonschema_description:"Package URL the registry claims; what the bytes say wins."`
	URL        string        `json:"url" jsonschema_description:"Where to fetch the bytes: http, https, or s3://bucket/key."`
	Digest     digest.Digest `json:"digest,omitempty" jsonschema_description:"Expected SHA-256; a mismatch is refused."`
	Size       int64         `json:"size,omitempty" jsonschema_description:"Expected size in bytes."`
	MediaType  string        `json:"mediaType,omitempty"`
	Uploader   string        `json:"uploader,omitempty" jsonschema_description:"Who uploaded, in the registry's words."`
	Tags       []string      `json:"tags,omitempty" jsonschema_description:"Words by which policies may select, as in latest or production."`
	OccurredAt time.Time     `json:"occurredAt,omitzero" jsonschema_description:"When the registry took the upload (RFC 3339)."`
	Signatures []Attached    `json:"signatures,omitempty" jsonschema_description:"Signature files uploaded beside the package."`
}

// Attached is a small file that came beside an artifact.
type Attached struct {
	Name string `json:"name" jsonschema_description:"File name; its suffix tells the kind, as in package.tar.gz.sig."`
	Data []byte `json:"data" jsonschema_description:"Content, base64."`
}

// Bounds of what may travel inside an event.
const (
	MaxName       = 1024      // bytes of any name, version, file name or URL
	MaxSignatures = 24        // files beside an artifact
	MaxAttached   = 128 << 10 // bytes of all of them together
)

// EventType implements Payload.
func (*Upload) EventType() Type { return TypeUpload }

// Subject implements Payload.
func (u *Upload) Subject() string { return UploadSubject(u.Registry) }

// Identity implements Payload.
func (u *Upload) Identity() string { return "upload/" + Token(u.Registry) + "/" + Token(u.ID) }

// Validate implements Payload.
func (u *Upload) Validate() error {
	if err := errors.Join(
		required("registry", u.Registry), required("id", u.ID), required("name", u.Name),
		bounded("version", u.Version), bounded("filename", u.Filename), bounded("purl", u.PURL),
		required("url", u.URL), attachedWithin(u.Signatures), validTags(u.Tags),
	); err != nil {
		return err
	}
	if u.Size < 0 {
		return fmt.Errorf("size: %d is negative", u.Size)
	}
	loc, err := url.Parse(u.URL)
	if err != nil {
		return errors.New("url: malformed") // err quotes it, and it may hold credentials
	}
	switch loc.Scheme {
	case "http", "https", "s3":
	default:
		return fmt.Errorf("url: scheme %q: want http, https or s3", loc.Scheme)
	}
	if loc.Host == "" {
		return errors.New("url: no host")
	}
	return nil
}

// Artifact is the order to examine stored bytes: the first fact of a run.
type Artifact struct {
	Run       string        `json:"run" jsonschema_description:"UUIDv7 of this examination."`
	Lane      Lane          `json:"lane" jsonschema:"enum=new,enum=asked,enum=again"`
	Registry  string        `json:"registry"`
	Name      string        `json:"name"`
	Version   string        `json:"version,omitempty"`
	Filename  string        `json:"filename" jsonschema_description:"Base name; signatures beside the file are matched by it."`
	Digest    digest.Digest `json:"digest" jsonschema_description:"SHA-256 of the bytes; they are stored as blobs/sha256/<hex>."`
	SHA512    string        `json:"sha512" jsonschema_description:"SHA-512 of the bytes, lower-case hexadecimal."`
	Size      int64         `json:"size"`
	MediaType string        `json:"mediaType,omitempty"`
	Format    string        `json:"format" jsonschema_description:"What the bytes are (for example pspf, deb, npm, wheel, elf, unknown), told from the bytes."`
	PURL      string        `json:"purl,omitempty" jsonschema_description:"Package URL told from the bytes; absent where they do not say."`
	Announced string        `json:"announced,omitempty" jsonschema_description:"Package URL that the registry announced. Restrictions that name a package look at both, for the bytes may name none."`
	Source    string        `json:"source,omitempty" jsonschema_description:"Where the bytes came from, without credentials."`
	Uploader  string        `json:"uploader,omitempty"`
	Tags      []string      `json:"tags,omitempty" jsonschema_description:"Words that the registry gave the upload; policies may select by them."`
	Received  time.Time     `json:"received"`
	// Signatures came beside the artifact; sign reads them.
	Signatures []Attached `json:"signatures,omitempty"`
	// Supersedes is the run whose verdict this examination may replace.
	Supersedes string `json:"supersedes,omitempty" jsonschema_description:"Run whose verdict this examination may replace."`
	// Reuse spares the analysers what cannot have changed: evidence of these
	// kinds is taken from the record of the superseded run.
	Reuse []Kind `json:"reuse,omitempty" jsonschema_description:"Kinds of evidence that are not gathered again but taken from the record of the superseded run."`
	// Policy for which it is examined again; empty: any.
	Policy digest.Digest `json:"policy,omitempty" jsonschema_description:"Digest of the policy by which it is to be judged, if there is still a service that has it."`
	// Manual is what a person decided about this upload.
	Manual *Manual `json:"manual,omitempty"`
	Cause  string  `json:"cause,omitempty" jsonschema_description:"Why it is examined again, for a person: new advisories, another policy, a request."`
}

// Reuses tells whether evidence of a kind comes from the superseded run.
func (a *Artifact) Reuses(k Kind) bool { return slices.Contains(a.Reuse, k) }

// EventType implements Payload.
func (*Artifact) EventType() Type { return TypeArtifact }

// Subject implements Payload.
func (a *Artifact) Subject() string { return ArtifactSubject(a.Lane, a.Registry, a.Run) }

// Identity implements Payload.
func (a *Artifact) Identity() string { return a.Run + "/artifact" }

// Validate implements Payload.
func (a *Artifact) Validate() error {
	return errors.Join(
		ValidRun(a.Run), validLane(a.Lane), a.validReuse(), required("registry", a.Registry), required("name", a.Name),
		bounded("version", a.Version), required("filename", a.Filename), required("digest", string(a.Digest)),
		required("sha512", a.SHA512), required("format", a.Format), bounded("purl", a.PURL), bounded("announced", a.Announced),
		attachedWithin(a.Signatures), validTags(a.Tags), a.Manual.validate(),
	)
}

// MaxTags is how many tags an upload may have, of MaxTag bytes each.
const (
	MaxTags = 32
	MaxTag  = 128
)

func validTags(tags []string) error {
	if len(tags) > MaxTags {
		return fmt.Errorf("tags: %d, at most %d", len(tags), MaxTags)
	}
	for _, t := range tags {
		if t == "" || len(t) > MaxTag || !utf8.ValidString(t) {
			return fmt.Errorf("tags: %.40q: want 1 to %d bytes of UTF-8", t, MaxTag)
		}
	}
	return nil
}

func (a *Artifact) validReuse() error {
	if a.Supersedes != "" {
		if err := ValidRun(a.Supersedes); err != nil {
			return fmt.Errorf("supersedes: %w", err)
		}
	}
	switch {
	case len(a.Reuse) > maxReuse:
		return fmt.Errorf("reuse: %d kinds, at most %d", len(a.Reuse), maxReuse)
	case len(a.Reuse) > 0 && a.Supersedes == "":
		return errors.New("reuse: there is no superseded run to take evidence from")
	case len(a.Reuse) > 0 && a.Lane == LaneNew:
		return errors.New("reuse: an upload is examined whole")
	}
	return bounded("cause", a.Cause)
}

const maxReuse = 32

// PackageType is the purl type of the artifact, "generic" where the bytes do
// not name a package.
func (a *Artifact) PackageType() string { return PackageType(a.PURL) }
