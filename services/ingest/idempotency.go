package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// remembered is what is kept about an Idempotency-Key.
type remembered struct {
	Run      string        `json:"run"`
	Digest   digest.Digest `json:"digest"`
	Order    digest.Digest `json:"order"` // of all else the client said
	Received time.Time     `json:"received"`
}

// rememberRun binds the key to a run before anything is announced: whoever
// stores it first, even if it dies right after, has chosen the run, and every
// repetition of the PUT continues with it.
func (s *Service) rememberRun(ctx context.Context, key string, a *event.Artifact, d digest.Digest) error {
	order, err := orderDigest(a)
	if err != nil {
		return err
	}
	mine := remembered{Run: a.Run, Digest: d, Order: order, Received: a.Received}
	text, err := json.Marshal(mine)
	if err != nil {
		return fmt.Errorf("remember run %s: %w", a.Run, err)
	}
	object := keyObject(a, key)
	err = s.store.Create(ctx, object, strings.NewReader(string(text)), int64(len(text)))
	if err == nil {
		return nil
	}
	if !errors.Is(err, blob.ErrExists) {
		return bus.Unavailable(err)
	}
	earlier, err := s.recall(ctx, object)
	if err != nil {
		return bus.Unavailable(err)
	}
	if earlier.Digest != d {
		return refusal{http.StatusConflict, fmt.Sprintf("Idempotency-Key was used for %s, not for %s: use a new one", earlier.Digest, d)}
	}
	if earlier.Order != order {
		return refusal{http.StatusConflict, "Idempotency-Key was used for the same bytes with another media type, file name or signatures: use a new one"}
	}
	a.Run, a.Received = earlier.Run, earlier.Received
	return nil
}

// keyObject is where a key is remembered: a key counts per name it is used
// for.
func keyObject(a *event.Artifact, key string) string {
	sum := sha256.Sum256([]byte(event.Token(a.Registry) + "/" + event.Token(a.Name) + "/" + event.Token(a.Version) + "/" + event.Token(key)))
	return "idempotency/" + hex.EncodeToString(sum[:]) + ".json"
}

// orderDigest is of what has to be the same when a PUT is repeated.
func orderDigest(a *event.Artifact) (digest.Digest, error) {
	same := *a
	same.Run, same.Received = "", time.Time{}
	text, err := json.Marshal(same)
	if err != nil {
		return "", fmt.Errorf("digest the order: %w", err)
	}
	return digest.Of(text), nil
}

// maxRemembered is far above what is written, in bytes.
const maxRemembered = 4096

func (s *Service) recall(ctx context.Context, object string) (*remembered, error) {
	o, err := s.store.Open(ctx, object)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	var m remembered
	if err = json.NewDecoder(io.LimitReader(o, maxRemembered)).Decode(&m); err == nil {
		err = event.ValidRun(m.Run)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", object, err)
	}
	return &m, nil
}
