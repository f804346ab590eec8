package sbom

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"time"

	"assize.dev/shared/archive"
	"assize.dev/shared/digest"
)

// CatalogueFile catalogues a file outside of the pipeline, in a child process.
// at is the time that its documents carry; the same bytes, name and time make
// the same documents. An error that is a *isolate.Stopped or *isolate.Failed
// says that nothing can be told of the file.
func CatalogueFile(ctx context.Context, file *os.File, name string, at time.Time, limits archive.Limits, beside ...Beside) (*Result, Subject, error) {
	f, err := catalogueIn(ctx, children, file, order{Filename: name, Subject: Subject{Filename: name, Received: at}, Limits: limits, Beside: beside})
	if err != nil {
		return nil, Subject{}, err
	}
	return f.Result, f.Subject, nil
}

// hash fills in the digests of what r holds.
func (s *Subject) hash(r io.ReaderAt, size int64) error {
	short, long := sha256.New(), sha512.New()
	if _, err := io.Copy(io.MultiWriter(short, long), io.NewSectionReader(r, 0, size)); err != nil {
		return fmt.Errorf("read %s: %w", s.Filename, err)
	}
	s.Digest, s.SHA512 = digest.FromSum(short.Sum(nil)), hex.EncodeToString(long.Sum(nil))
	return nil
}
