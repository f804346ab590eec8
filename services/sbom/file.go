package sbom

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"assize.dev/shared/archive"
	"assize.dev/shared/digest"
	"assize.dev/shared/identify"
)

// CatalogueFile catalogues a file outside of the pipeline. at is the time that its
// documents carry; the same bytes, name and time make the same documents.
func CatalogueFile(ctx context.Context, r io.ReaderAt, size int64, name string, at time.Time, limits archive.Limits) (*Result, Subject, error) {
	id, err := identify.Identify(ctx, r, size, name)
	if err != nil {
		return nil, Subject{}, err
	}
	result, err := Catalogue(ctx, r, size, name, id, limits)
	if err != nil {
		return nil, Subject{}, err
	}
	short, long := sha256.New(), sha512.New()
	if _, err := io.Copy(io.MultiWriter(short, long), io.NewSectionReader(r, 0, size)); err != nil {
		return nil, Subject{}, fmt.Errorf("read %s: %w", name, err)
	}
	return result, Subject{
		Filename: name, Digest: digest.Digest("sha256:" + hex.EncodeToString(short.Sum(nil))),
		SHA512: hex.EncodeToString(long.Sum(nil)), Received: at,
	}, nil
}
