package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/event"
)

const (
	// siblingsAtOnce is how many signatures of one upload are asked for at a
	// time.
	siblingsAtOnce = 4

	// maxSiblingName is how long a signature's file name may be, in bytes: as
	// long as on common file systems. Stores that keep objects as files
	// refuse a longer one instead of saying that there is no such object.
	maxSiblingName = 255
)

// siblings are the signatures that lie beside the artifact at the upload's
// URL as files of their own, except those whose names were announced: what
// the registry said itself counts. They are attached under the artifact's
// file name and the suffix, whatever the URL's file name is.
//
// A file too large to travel is attached without its bytes, so that the
// verdict shows that it was not read. Too many, together with the announced
// ones, is as permanent a mistake as announcing too many.
func (s *Service) siblings(ctx context.Context, u *event.Upload, order *event.Artifact) ([]event.Attached, error) {
	places, err := s.fetch.beside(u, order.Filename)
	if err != nil {
		return nil, err
	}
	room := event.MaxAttached
	for _, a := range u.Signatures {
		room -= len(a.Data)
	}
	files := make([]*event.Attached, len(places))
	asking, askingCtx := errgroup.WithContext(ctx)
	asking.SetLimit(siblingsAtOnce)
	for i, p := range places {
		asking.Go(func() error {
			data, err := s.readSibling(askingCtx, p.url, room)
			switch {
			case absent(err):
				return nil
			case err != nil:
				return fmt.Errorf("the signature beside it: %w", err)
			}
			files[i] = &event.Attached{Name: p.name, Data: data}
			return nil
		})
	}
	if err := asking.Wait(); err != nil {
		return nil, err
	}
	var found []event.Attached
	for _, f := range files {
		if f == nil {
			continue
		}
		if len(f.Data) > room {
			f.Data = []byte{}
			s.log.WarnContext(ctx, "a signature beside the artifact is too large and goes without its bytes",
				"name", f.Name, "limit", event.MaxAttached, "run", order.Run)
		}
		room -= len(f.Data)
		found = append(found, *f)
	}
	if n := len(u.Signatures); n+len(found) > event.MaxSignatures {
		return nil, bus.Permanent(fmt.Errorf("%d signatures are announced and %d others lie beside %s: at most %d together",
			n, len(found), order.Source, event.MaxSignatures))
	}
	return found, nil
}

// readSibling returns what is at the URL, cut off after room bytes and one.
func (s *Service) readSibling(ctx context.Context, raw string, room int) (data []byte, err error) {
	err = s.get(ctx, raw, func(_ context.Context, body *sent, _ int64) error {
		data, err = io.ReadAll(io.LimitReader(body, int64(room)+1))
		return err
	})
	return data, err
}

// absent tells that there is no such file from what may be otherwise on
// another day. Who gave us the artifact and refuses the file beside it hides
// so that there is none.
func absent(err error) bool {
	if errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrKey) {
		return true
	}
	var answer *statusError
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.code {
	case http.StatusProxyAuthRequired, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false // about us, not about the file
	}
	return answer.code >= 400 && answer.code < 500
}

// place is where a signature may lie and what it is called.
type place struct{ name, url string }

// beside lists where signatures are looked for. Buckets are always asked for
// all of them. A host is asked for what the operator configured, unless the
// URL has a query: that is presigned, and so good for one object only.
func (f *fetcher) beside(u *event.Upload, filename string) ([]place, error) {
	loc, err := url.Parse(u.URL)
	if err != nil {
		return nil, bus.Permanent(withoutURL(err))
	}
	suffixes := f.siblings
	if loc.Scheme == "s3" {
		suffixes = event.SignatureSuffixes
	} else if loc.RawQuery != "" {
		return nil, nil
	}
	base := loc.Path[strings.LastIndexByte(loc.Path, '/')+1:]
	if base == "" {
		return nil, nil // a folder has no file beside it
	}
	announced := map[string]bool{}
	for _, a := range u.Signatures {
		announced[path.Base(a.Name)] = true
	}
	var places []place
	for _, suffix := range suffixes {
		if name := filename + suffix; !announced[name] && max(len(base), len(filename))+len(suffix) <= maxSiblingName {
			places = append(places, place{name, withSuffix(*loc, suffix)})
		}
	}
	return places, nil
}

// withSuffix is the URL of the object whose name has suffix as well. Which
// bytes of the path are escaped stays as it is.
func withSuffix(u url.URL, suffix string) string {
	u.RawPath = u.EscapedPath() + suffix
	u.Path += suffix
	u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = "", false, "", ""
	return u.String()
}

// siblingSuffixes are the suffixes configured, in the order of
// event.SignatureSuffixes. Others are refused: nothing would read such files.
func siblingSuffixes(configured []string) ([]string, error) {
	wanted := map[string]bool{}
	for _, suffix := range configured {
		suffix = strings.TrimSpace(suffix)
		if !slices.Contains(event.SignatureSuffixes, suffix) {
			return nil, fmt.Errorf("ASSIZE_FETCH_SIBLINGS: %q: want any of %s", suffix, strings.Join(event.SignatureSuffixes, ","))
		}
		wanted[suffix] = true
	}
	return slices.DeleteFunc(slices.Clone(event.SignatureSuffixes), func(s string) bool { return !wanted[s] }), nil
}
