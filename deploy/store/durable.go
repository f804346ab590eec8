package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/pkg/xattr"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
)

// durable answers a write only once it would survive a power failure;
// versitygw itself syncs nothing.
type durable struct {
	*posix.Posix
	root     string // absolute; the directories in it are the buckets
	sidecar  string // absolute, where metadata is kept; "" is extended attributes
	metadata string // the same in a word, for the log
}

// open prepares <data>/buckets and makes the paths in c absolute. Metadata
// goes to extended attributes, or to <data>/metadata where the file system of
// a container has none. The choice of the first start holds for ever.
func open(c *config) (*durable, error) {
	if c.data == "" {
		return nil, errors.New("ASSIZE_STORE_DATA is not set")
	}
	for _, p := range []*string{&c.data, &c.cert, &c.key} {
		if *p == "" {
			continue
		}
		absolute, err := filepath.Abs(*p)
		if err != nil {
			return nil, err
		}
		*p = absolute
	}
	d := &durable{root: filepath.Join(c.data, "buckets"), metadata: "xattr"}
	sidecar := filepath.Join(c.data, "metadata")
	if err := os.MkdirAll(d.root, 0o700); err != nil {
		return nil, err
	}
	buckets, err := os.ReadDir(d.root)
	if err != nil {
		return nil, err
	}
	_, err = os.Stat(sidecar)
	if probe := xattr.Set(d.root, "user.assize-probe", []byte("1")); err == nil || len(buckets) == 0 && probe != nil {
		d.sidecar, d.metadata = sidecar, "sidecar"
		if err := os.MkdirAll(sidecar, 0o700); err != nil {
			return nil, err
		}
	} else if probe != nil {
		return nil, fmt.Errorf("extended attributes, which hold this store's metadata, cannot be written: %w", probe)
	}
	if err := syncAll(d.root, c.data, filepath.Dir(c.data)); err != nil {
		return nil, err
	}
	d.Posix, err = openPosix(d.root, d.sidecar)
	return d, err
}

func openPosix(root, sidecar string) (*posix.Posix, error) {
	options := posix.PosixOpts{SideCarDir: sidecar, ValidateBucketNames: true}
	options.SetNewDirPerm(0o700)
	options.SetNewFilePerm(0o600)
	if sidecar == "" {
		return posix.New(root, meta.XattrMeta{}, options)
	}
	store, err := meta.NewSideCar(sidecar)
	if err != nil {
		return nil, err
	}
	return posix.New(root, store, options)
}

// ensureBucket creates a bucket that belongs to the account owner.
func (d *durable) ensureBucket(ctx context.Context, bucket, owner string) error {
	acl, err := json.Marshal(auth.ACL{Owner: owner})
	if err != nil {
		return err
	}
	//lint:ignore SA1029 this is the key versitygw looks for
	ctx = context.WithValue(ctx, "bucket-owner", auth.Account{Access: owner})
	err = d.Posix.CreateBucket(ctx, &s3.CreateBucketInput{
		Bucket:                    &bucket,
		ObjectOwnership:           types.ObjectOwnershipBucketOwnerEnforced,
		CreateBucketConfiguration: &types.CreateBucketConfiguration{},
	}, acl)
	if err != nil && !isRefusal(err, "BucketAlreadyOwnedByYou") {
		return err
	}
	return d.sync(bucket, "")
}

// CreateBucket is the S3 call.
func (d *durable) CreateBucket(ctx context.Context, in *s3.CreateBucketInput, acl []byte) error {
	if err := d.Posix.CreateBucket(ctx, in, acl); err != nil {
		return err
	}
	return d.sync(*in.Bucket, "")
}

// PutObject is the S3 call. That a condition failed is also only said once the
// object that made it fail is safe: its writer may still be at it.
func (d *durable) PutObject(ctx context.Context, in s3response.PutObjectInput) (s3response.PutObjectOutput, error) {
	out, err := d.Posix.PutObject(ctx, in)
	if err != nil && !isRefusal(err, "PreconditionFailed") {
		return out, err
	}
	if failed := d.sync(*in.Bucket, *in.Key); failed != nil && !errors.Is(failed, fs.ErrNotExist) {
		return out, failed
	}
	return out, err
}

// CompleteMultipartUpload is the S3 call.
func (d *durable) CompleteMultipartUpload(ctx context.Context, in *s3.CompleteMultipartUploadInput) (s3response.CompleteMultipartUploadResult, string, error) {
	out, version, err := d.Posix.CompleteMultipartUpload(ctx, in)
	if err == nil {
		err = d.sync(*in.Bucket, *in.Key)
	}
	return out, version, err
}

// DeleteObject is the S3 call.
func (d *durable) DeleteObject(ctx context.Context, in *s3.DeleteObjectInput) (*s3.DeleteObjectOutput, error) {
	out, err := d.Posix.DeleteObject(ctx, in)
	if err != nil {
		return out, err
	}
	// Directories left empty are removed with the object, up to one that stays.
	for dir := filepath.Dir(filepath.Join(d.root, *in.Bucket, *in.Key)); ; dir = filepath.Dir(dir) {
		if err := syncAll(dir); !errors.Is(err, fs.ErrNotExist) {
			return out, err
		}
	}
}

// sync brings an object ("" is the bucket itself), its metadata and every
// directory down to it to the disk.
func (d *durable) sync(bucket, object string) error {
	paths := upTo(d.root, filepath.Join(d.root, bucket, object))
	if d.sidecar != "" {
		attributes := filepath.Join(d.sidecar, bucket, object, "meta")
		files, err := os.ReadDir(attributes)
		if err != nil {
			return err
		}
		for _, file := range files {
			paths = append(paths, filepath.Join(attributes, file.Name()))
		}
		paths = append(paths, upTo(d.sidecar, attributes)...)
	}
	return syncAll(paths...)
}

// upTo is path and every directory above it, ending with root.
func upTo(root, path string) []string {
	paths := []string{path}
	for len(path) > len(root) {
		path = filepath.Dir(path)
		paths = append(paths, path)
	}
	return paths
}

func syncAll(paths ...string) error {
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// isRefusal tells whether err is the S3 error with the given code.
func isRefusal(err error, code string) bool {
	var refusal s3err.S3Error
	return errors.As(err, &refusal) && refusal.BaseError().Code == code
}
