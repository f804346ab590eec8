// Package intoto reads in-toto statements, versions 0.1 and 1: who says what
// (the predicate) about which files (the subjects). See
// https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md.
package intoto

import (
	"bytes"
	"crypto"
	_ "crypto/sha256" // the digests that Covers compares
	_ "crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"assize.dev/services/sign/internal/strictjson"
)

// PayloadType is what DSSE envelopes call a statement.
const PayloadType = "application/vnd.in-toto+json"

// Types of statement. They differ in nothing that is read here.
const (
	typeV01 = "https://in-toto.io/Statement/v0.1"
	typeV1  = "https://in-toto.io/Statement/v1"
)

// Bounds: the first is ours, the others are those of Sigstore clients.
const (
	MaxStatement = 1 << 20
	maxSubjects  = 1024
	maxDigests   = 32
	maxText      = 2048 // a predicate type, a digest
)

// Statement is a parsed statement.
type Statement struct {
	PredicateType string
	Subjects      []Subject
	Predicate     json.RawMessage // nil if there is none
}

// Subject is a file that the statement is about.
type Subject struct {
	Name   string
	Digest map[string]string // algorithm, as in-toto names it, to hexadecimal
}

// Parse reads a statement. Its errors say what is malformed.
func Parse(data []byte) (*Statement, error) {
	s, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("in-toto statement: %w", err)
	}
	return s, nil
}

func parse(data []byte) (*Statement, error) {
	if len(data) > MaxStatement {
		return nil, fmt.Errorf("%d bytes, at most %d", len(data), MaxStatement)
	}
	document, err := strictjson.Document(data)
	if err != nil {
		return nil, err
	}
	members, err := strictjson.Object(document)
	if err != nil {
		return nil, err
	}
	switch t, err := strictjson.Text(members["_type"]); {
	case err != nil:
		return nil, fmt.Errorf("_type: %w", err)
	case t != typeV01 && t != typeV1:
		return nil, fmt.Errorf("_type is %.80q, want %s", t, typeV1)
	}
	s := &Statement{}
	switch s.PredicateType, err = strictjson.Text(members["predicateType"]); {
	case err != nil:
		return nil, fmt.Errorf("predicateType: %w", err)
	case s.PredicateType == "" || len(s.PredicateType) > maxText:
		return nil, fmt.Errorf("predicateType of %d bytes, want 1 to %d", len(s.PredicateType), maxText)
	}
	if s.Subjects, err = subjects(members["subject"]); err != nil {
		return nil, fmt.Errorf("subject: %w", err)
	}
	if p := members["predicate"]; !strictjson.Absent(p) {
		s.Predicate = p
	}
	return s, nil
}

func subjects(value json.RawMessage) ([]Subject, error) {
	elements, err := strictjson.Array(value)
	if err != nil {
		return nil, err
	}
	if len(elements) == 0 || len(elements) > maxSubjects {
		return nil, fmt.Errorf("%d of them, want 1 to %d", len(elements), maxSubjects)
	}
	all := make([]Subject, len(elements))
	for i, e := range elements {
		members, err := strictjson.Object(e)
		if err != nil {
			return nil, err
		}
		if all[i].Name, err = strictjson.Text(members["name"]); err != nil {
			return nil, fmt.Errorf("name: %w", err)
		}
		if all[i].Digest, err = Digests(members["digest"]); err != nil {
			return nil, fmt.Errorf("digest: %w", err)
		}
	}
	return all, nil
}

// Digests reads a digest set; nothing is an empty one.
func Digests(value json.RawMessage) (map[string]string, error) {
	if strictjson.Absent(value) {
		return nil, nil
	}
	members, err := strictjson.Object(value)
	if err != nil {
		return nil, err
	}
	if len(members) > maxDigests {
		return nil, fmt.Errorf("%d algorithms, at most %d", len(members), maxDigests)
	}
	set := make(map[string]string, len(members))
	for _, algorithm := range slices.Sorted(maps.Keys(members)) { // the same error each time
		if set[algorithm], err = strictjson.Text(members[algorithm]); err != nil {
			return nil, fmt.Errorf("%.80q: %w", algorithm, err)
		}
		if len(set[algorithm]) > maxText {
			return nil, fmt.Errorf("%.80q: %d bytes, at most %d", algorithm, len(set[algorithm]), maxText)
		}
	}
	return set, nil
}

type algorithm struct {
	name string
	hash crypto.Hash
}

// algorithms are those that identify a file's bytes beyond doubt.
var algorithms = []algorithm{{"sha256", crypto.SHA256}, {"sha384", crypto.SHA384}, {"sha512", crypto.SHA512}}

// Covers tells whether a subject is the artifact whose digests sum gives: it
// must have a SHA-256, SHA-384 or SHA-512, and each of these must be the
// artifact's. A digest that sum does not know, nil, is not compared; one at
// least must be. Errors are those of sum.
func (s *Statement) Covers(sum func(crypto.Hash) ([]byte, error)) (bool, error) {
	for _, subject := range s.Subjects {
		same, err := subject.is(sum)
		if err != nil || same {
			return same, err
		}
	}
	return false, nil
}

func (s Subject) is(sum func(crypto.Hash) ([]byte, error)) (bool, error) {
	compared := false
	for _, a := range algorithms {
		text, ok := s.Digest[a.name]
		if !ok {
			continue
		}
		want, err := hex.DecodeString(text)
		if err != nil || len(want) != a.hash.Size() {
			return false, nil
		}
		got, err := sum(a.hash)
		if err != nil {
			return false, err
		}
		if got == nil {
			continue
		}
		if !bytes.Equal(got, want) {
			return false, nil
		}
		compared = true
	}
	return compared, nil
}
