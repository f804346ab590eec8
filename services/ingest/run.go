package ingest

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"assize.dev/shared/bus"
	"assize.dev/shared/event"
)

// uploadRun derives the run of an announced upload from what stays the same
// when the announcement is delivered or published again, so that one upload
// is examined once. It is a UUIDv7 (RFC 9562 section 5.7) whose random bits
// are a hash of registry and delivery id. Its time is the registry's; where
// none is given, the event's own, and failing that the stream's, which is
// not the same when a registry publishes again after the stream forgot.
func uploadRun(u *event.Upload, m *bus.Message) string {
	at := u.OccurredAt
	if at.IsZero() && m.Event != nil {
		at = m.Event.Time
	}
	if at.IsZero() {
		at = m.Time
	}
	return derivedRun(at, u.Registry, u.ID)
}

func derivedRun(at time.Time, parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	var id uuid.UUID
	copy(id[:], h.Sum(nil))
	ms := uint64(max(0, at.UnixMilli()))
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	id[6] = id[6]&0x0F | 0x70 // version 7
	id[8] = id[8]&0x3F | 0x80 // variant of RFC 9562
	return id.String()
}
