package bus

import "errors"

// What a caller may need to tell apart. A handler's error that is none of
// these is an ordinary failure: it is tried again, MaxAttempts times.
var (
	// ErrNotFound: no message where one was asked for.
	ErrNotFound = errors.New("no such message")
	// ErrExists: the fact is on the stream already, said by an earlier try
	// of ours or by somebody else. Only publishing with Once returns it.
	ErrExists = errors.New("already published")
	// ErrFull: the stream has reached its limit and takes nothing until
	// consumers have caught up and it was trimmed. It is an ErrUnavailable.
	ErrFull = errors.New("stream is full")
	// ErrUnavailable: something the work needs cannot be reached or has no
	// room. It says nothing about the message, so it never counts as an
	// attempt and never leads to a dead letter.
	ErrUnavailable = errors.New("unavailable")
	// ErrPermanent: trying again cannot help.
	ErrPermanent = errors.New("permanent failure")
)

// Unavailable marks err, a handler's, as the fault of something the handler
// needs (the object store, the registry) and not of the message: the message
// is retried for as long as it takes. Errors of Publish and Last that stem
// from an outage are so marked already.
func Unavailable(err error) error { return as(ErrUnavailable, err) }

// Permanent marks err, a handler's, as one that no retry will mend: the
// message becomes a dead letter at once. An error that is also unavailable
// is retried all the same.
func Permanent(err error) error { return as(ErrPermanent, err) }

func as(kind, err error) error {
	if err == nil || errors.Is(err, kind) {
		return err
	}
	return &kindError{kind, err}
}

// kindError adds a kind to an error without a change to its text.
type kindError struct{ kind, err error }

func (e *kindError) Error() string   { return e.err.Error() }
func (e *kindError) Unwrap() []error { return []error{e.kind, e.err} }
