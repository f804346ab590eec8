package sbom

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"assize.dev/shared/archive"
	"assize.dev/shared/identify"
	"assize.dev/shared/isolate"
)

// children do the cataloguing: what is read was made by strangers.
var children = isolate.Register("sbom", childLimits, catalogueInChild)

// childLimits leave a walk the time to end by itself and say how far it came.
var childLimits = isolate.Limits{CPU: archive.DefaultLimits.Time + 5*time.Minute}

// order is what a child is asked about a file.
type order struct {
	Filename string
	PURL     string // taken where the bytes name no package
	Subject  Subject
	Format   Format // of the document wanted; "" wants the result
	Limits   archive.Limits
	Beside   []Beside
}

// finding is what a child answers.
type finding struct {
	Result   *Result // without components where a document was wanted
	Count    int     // of components
	Subject  Subject
	Document []byte
}

// catalogueIn has a file catalogued by one of the children. A *isolate.Stopped
// or *isolate.Failed is about the file's content; other errors may pass.
func catalogueIn(ctx context.Context, pool *isolate.Pool, file *os.File, o order) (*finding, error) {
	request, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	answer, err := pool.Do(ctx, file, request)
	if err != nil {
		return nil, fmt.Errorf("catalogue %s: %w", o.Filename, err)
	}
	var f finding
	if err := json.Unmarshal(answer, &f); err != nil {
		return nil, fmt.Errorf("catalogue %s: the child's answer: %w", o.Filename, err)
	}
	return &f, nil
}

// catalogueInChild is the work of a child.
func catalogueInChild(ctx context.Context, file *os.File, request []byte) ([]byte, error) {
	var o order
	if err := json.Unmarshal(request, &o); err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	id, err := identify.Identify(ctx, file, info.Size(), o.Filename)
	if err != nil {
		return nil, err
	}
	id.PURL = cmp.Or(id.PURL, o.PURL)
	result, err := Catalogue(ctx, file, info.Size(), o.Filename, id, o.Limits, o.Beside...)
	if err != nil {
		return nil, err
	}
	f := &finding{Result: result, Count: len(result.Components), Subject: o.Subject}
	if f.Subject.Digest == "" {
		if err := f.Subject.hash(file, info.Size()); err != nil {
			return nil, err
		}
	}
	if o.Format != "" {
		if f.Document, err = result.Document(o.Format, f.Subject); err != nil {
			return nil, err
		}
		result.Components = nil
	}
	return json.Marshal(f)
}
