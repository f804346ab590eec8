package ingest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// source is the CloudEvents source of what ingest says.
const source = "assize/ingest"

// orderOf reads from a PUT all that the bytes do not tell.
func orderOf(r *http.Request) (*event.Artifact, error) {
	a := &event.Artifact{
		Run: event.NewRun(), Lane: event.LaneNew, Registry: r.PathValue("registry"), Name: r.PathValue("name"),
		Version: r.PathValue("version"), MediaType: r.Header.Get("Content-Type"), Received: time.Now().UTC(),
	}
	if len(a.MediaType) > event.MaxName || !utf8.ValidString(a.MediaType) {
		return nil, badRequest("Content-Type: want at most %d bytes of UTF-8", event.MaxName)
	}
	given := r.Header.Get("Assize-Filename")
	if given != "" && !isFilename(baseName(given)) {
		return nil, badRequest("Assize-Filename: %.80q is not the name of a file", given)
	}
	a.Filename = filename(given, a.Name)
	for _, h := range r.Header.Values("Assize-Signature") {
		name, encoded, ok := strings.Cut(h, "=")
		data, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil {
			return nil, badRequest("Assize-Signature: want <file name>=<base64>")
		}
		if name, err = url.PathUnescape(name); err != nil {
			return nil, badRequest("Assize-Signature: the file name is not percent-encoded")
		}
		a.Signatures = append(a.Signatures, event.Attached{Name: name, Data: data})
	}
	a.Tags = r.Header.Values("Assize-Tag")
	return a, checkOrder(a)
}

// checkOrder finds, before a byte is read, what would keep the order from
// being published once the bytes are here. The error is event.ErrInvalid.
func checkOrder(a *event.Artifact) error {
	filled := *a
	filled.Digest, filled.SHA512, filled.Format = digest.Of(nil), strings.Repeat("0", 128), "unknown"
	_, err := event.New(source, a.Received, &filled)
	return err
}

// filename is the base name the artifact goes by, the first candidate that
// has one; signatures beside it are matched by this name.
func filename(candidates ...string) string {
	for _, candidate := range candidates {
		if base := baseName(candidate); isFilename(base) {
			return base
		}
	}
	return "artifact"
}

func baseName(name string) string { return path.Base(strings.ReplaceAll(name, `\`, "/")) }

func isFilename(base string) bool {
	switch base {
	case "", ".", "..", "/":
		return false
	}
	return len(base) <= event.MaxName && utf8.ValidString(base) && !strings.ContainsRune(base, 0)
}

func badRequest(format string, args ...any) error {
	return refusal{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}
