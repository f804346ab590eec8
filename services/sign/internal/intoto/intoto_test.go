package intoto

import (
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

const subjectOfA = `[{"name":"a","digest":{"sha256":"ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"}}]`

func document(subject string) string {
	return `{"_type":"https://in-toto.io/Statement/v1","subject":` + subject + `,"predicateType":"https://x.test/v1","predicate":{"b":1}}`
}

func sumOf(text string) func(crypto.Hash) ([]byte, error) {
	return func(h crypto.Hash) ([]byte, error) {
		d := h.New()
		d.Write([]byte(text))
		return d.Sum(nil), nil
	}
}

func TestParse(t *testing.T) {
	s, err := Parse([]byte(document(subjectOfA)))
	if err != nil {
		t.Fatal(err)
	}
	if s.PredicateType != "https://x.test/v1" || string(s.Predicate) != `{"b":1}` || len(s.Subjects) != 1 || s.Subjects[0].Name != "a" {
		t.Errorf("parsed %+v", s)
	}
	good := document(subjectOfA)
	for _, c := range []struct{ data, want string }{
		{strings.Replace(good, "Statement/v1", "Statement/v9", 1), "_type is"},
		{strings.Replace(good, `"https://in-toto.io/Statement/v1"`, "1", 1), "_type: want a string"},
		{strings.Replace(good, `"_type"`, `"_TYPE"`, 1), "_type is"},
		{strings.Replace(good, `"https://x.test/v1"`, `"`+strings.Repeat("x", 2049)+`"`, 1), "predicateType of 2049 bytes"},
		{document("1"), "want an array"}, {document("null"), "0 of them"}, {document(`[{"name":1}]`), "name: want a string"},
		{document(`[{"digest":1}]`), "digest: want an object"}, {document(`[{"digest":{"sha256":1}}]`), "want a string"},
		{document(`[{"digest":{"a":"` + strings.Repeat("0", 2049) + `"}}]`), "2049 bytes"},
		{document(`[{"digest":{"a":"","a":""}}]`), "duplicate"},
		{document(`[{"digest":{` + many(33) + `}}]`), "33 algorithms"},
		{strings.Repeat(" ", MaxStatement) + good, "at most"},
	} {
		if _, err := Parse([]byte(c.data)); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "in-toto statement: ") {
			t.Errorf("%.80s: %v, want %q", c.data, err, c.want)
		}
	}
}

// TestSameError: of several errors it is always the first by name.
func TestSameError(t *testing.T) {
	for range 50 {
		if _, err := Parse([]byte(document(`[{"digest":{"c":1,"b":2,"a":3}}]`))); err == nil || !strings.Contains(err.Error(), `"a": `) {
			t.Fatal(err)
		}
	}
}

func many(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`"a%d":""`, i))
	}
	return strings.Join(all, ",")
}

func TestCovers(t *testing.T) {
	for what, c := range map[string]struct {
		subject, of string
		want        bool
	}{
		"the same":           {subjectOfA, "a", true},
		"another":            {subjectOfA, "b", false},
		"no digest":          {`[{"name":"a"}]`, "a", false},
		"no known algorithm": {`[{"digest":{"md5":"0cc175b9c0f1b6a831c399e269772661"}}]`, "a", false},
		"of another length":  {`[{"digest":{"sha512":"ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"}}]`, "a", false},
		"SHA-384":            {`[{"digest":{"sha384":"54a59b9f22b0b80880d8427e548b7c23abd873486e1f035dce9cd697e85175033caa88e6d57bc35efae0b5afd3145f31"}}]`, "a", true},
	} {
		s, err := Parse([]byte(document(c.subject)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Covers(sumOf(c.of)); err != nil || got != c.want {
			t.Errorf("%s: %v, %v", what, got, err)
		}
	}
	s, err := Parse([]byte(document(subjectOfA)))
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("cannot read")
	if _, err := s.Covers(func(crypto.Hash) ([]byte, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	if got, err := s.Covers(func(crypto.Hash) ([]byte, error) { return nil, nil }); err != nil || got {
		t.Errorf("nothing known of the artifact: %v, %v", got, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(document(subjectOfA)))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse(data)
		if err != nil {
			return
		}
		covered, err := s.Covers(sumOf("a"))
		if err != nil {
			t.Fatal(err)
		}
		named := slices.ContainsFunc(s.Subjects, func(s Subject) bool {
			return slices.ContainsFunc(algorithms, func(a algorithm) bool {
				sum, _ := sumOf("a")(a.hash)
				return strings.EqualFold(s.Digest[a.name], hex.EncodeToString(sum))
			})
		})
		if covered && !named {
			t.Errorf("covered by %+v", s.Subjects)
		}
	})
}
