package checkpoint

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Policy says whose signatures make a checkpoint count: one of the log's keys,
// and a quorum of witnesses (c2sp.org/tlog-policy). In the file:
//
//	log <vkey>
//	witness <name> <vkey> [<url>]
//	group <name> <any|all|number> <witness or group>...
//	quorum <name|none>
type Policy struct {
	logs      []note.Verifier
	witnesses []*Witness
	quorum    *component // nil is none
}

// Witness is one that may cosign.
type Witness struct {
	Name string
	URL  string // where it is asked; "" if it is not
	key  *witnessKey
}

// component is a witness, or a group of which a number must be satisfied.
type component struct {
	witness *Witness
	of      []*component
	want    int
}

const maxPolicy = 1 << 20

// ParsePolicy reads a policy's file.
func ParsePolicy(text []byte) (*Policy, error) {
	if len(text) > maxPolicy {
		return nil, fmt.Errorf("%w policy: %d bytes, at most %d", ErrMalformed, len(text), maxPolicy)
	}
	p := &Policy{}
	components := map[string]*component{}
	quorum := ""
	for i, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if err := p.line(fields, components, &quorum); err != nil {
			return nil, fmt.Errorf("policy: line %d: %w", i+1, err)
		}
	}
	if len(p.logs) == 0 {
		return nil, errors.New("policy: it names no log: want a line \"log <key>\"")
	}
	switch quorum {
	case "":
		return nil, errors.New("policy: it has no quorum: want a line \"quorum <name>\", or \"quorum none\"")
	case "none":
	default:
		if p.quorum = components[quorum]; p.quorum == nil {
			return nil, fmt.Errorf("policy: quorum %.100q: there is no such witness or group", quorum)
		}
	}
	return p, nil
}

func (p *Policy) line(fields []string, components map[string]*component, quorum *string) error {
	switch keyword := fields[0]; {
	case keyword == "log" && len(fields) >= 2:
		v, err := note.NewVerifier(fields[1])
		if err != nil {
			return fmt.Errorf("key %.100q: %w", fields[1], err)
		}
		p.logs = append(p.logs, v)
		return nil
	case keyword == "witness" && (len(fields) == 3 || len(fields) == 4):
		w := &Witness{Name: fields[1]}
		var err error
		if w.key, err = newWitnessKey(fields[2]); err != nil {
			return err
		}
		if len(fields) == 4 {
			u, err := url.Parse(fields[3])
			if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
				return fmt.Errorf("address of witness %.100q: want http or https", w.Name)
			}
			w.URL = strings.TrimSuffix(fields[3], "/")
		}
		p.witnesses = append(p.witnesses, w)
		return define(components, w.Name, &component{witness: w})
	case keyword == "group" && len(fields) >= 4:
		g := &component{}
		for _, name := range fields[3:] {
			member := components[name]
			if member == nil {
				return fmt.Errorf("group %.100q: %.100q is no witness or group above", fields[1], name)
			}
			if slices.Contains(g.of, member) {
				return fmt.Errorf("group %.100q: %.100q is named twice", fields[1], name)
			}
			g.of = append(g.of, member)
		}
		switch n, err := strconv.Atoi(fields[2]); {
		case fields[2] == "any":
			g.want = 1
		case fields[2] == "all":
			g.want = len(g.of)
		case err != nil || n < 1 || n > len(g.of):
			return fmt.Errorf("group %.100q: %.40q of %d: want any, all, or a number up to that", fields[1], fields[2], len(g.of))
		default:
			g.want = n
		}
		return define(components, fields[1], g)
	case keyword == "quorum" && len(fields) == 2:
		if *quorum != "" {
			return errors.New("a second quorum")
		}
		*quorum = fields[1]
		return nil
	}
	return fmt.Errorf("%w: %.100q", ErrMalformed, strings.Join(fields, " "))
}

func define(components map[string]*component, name string, c *component) error {
	if components[name] != nil || name == "none" {
		return fmt.Errorf("name %.100q: it is taken", name)
	}
	components[name] = c
	return nil
}

// KeyPolicy trusts whatever one of the keys has signed, without witnesses.
func KeyPolicy(vkeys ...string) (*Policy, error) {
	p := &Policy{}
	for _, vkey := range vkeys {
		v, err := note.NewVerifier(strings.TrimSpace(vkey))
		if err != nil {
			return nil, fmt.Errorf("key of the log %.100q: %w", vkey, err)
		}
		p.logs = append(p.logs, v)
	}
	if len(p.logs) == 0 {
		return nil, errors.New("key of the log: there is none")
	}
	return p, nil
}

// LogOnly asks for nothing but the log's own signature; nil stays nil.
func (p *Policy) LogOnly() *Policy {
	if p == nil {
		return nil
	}
	return &Policy{logs: p.logs}
}

// Knows reports whether the policy has a key of the log of this name.
func (p *Policy) Knows(origin string) bool {
	return slices.ContainsFunc(p.logs, func(v note.Verifier) bool { return v.Name() == origin })
}

// Witnesses are those that the policy names.
func (p *Policy) Witnesses() []*Witness { return p.witnesses }

// Cosigned is a witness's word.
type Cosigned struct {
	Witness string    `json:"witness"`
	Time    time.Time `json:"time"`
}

// Signed is a checkpoint whose signatures a policy accepts.
type Signed struct {
	Checkpoint
	Cosigned []Cosigned
}

// ErrUntrusted says that a checkpoint lacks signatures that a policy asks for.
var ErrUntrusted = errors.New("the checkpoint is not to be trusted")

// Open verifies a signed checkpoint. What was signed by keys that the policy
// does not know is passed over.
func (p *Policy) Open(signed []byte) (*Signed, error) {
	if len(signed) > MaxSigned {
		return nil, fmt.Errorf("%w checkpoint: %d bytes, at most %d", ErrMalformed, len(signed), MaxSigned)
	}
	verifiers := slices.Clone(p.logs)
	for _, w := range p.witnesses {
		verifiers = append(verifiers, w.key)
	}
	n, err := note.Open(signed, note.VerifierList(verifiers...))
	var unverified *note.UnverifiedNoteError
	if errors.As(err, &unverified) {
		return nil, fmt.Errorf("%w: none of its signatures is by a key that is known here", ErrUntrusted)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	for _, s := range n.Sigs {
		// note.Open passes over bits that mean nothing.
		if _, err := unbase64(s.Base64); err != nil {
			return nil, fmt.Errorf("%w: signature of %.100q: %w", ErrUntrusted, s.Name, err)
		}
	}
	c, err := Parse(n.Text)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(p.logs, func(v note.Verifier) bool {
		return v.Name() == c.Origin && slices.ContainsFunc(n.Sigs, func(s note.Signature) bool { return s.Name == v.Name() && s.Hash == v.KeyHash() })
	}) {
		return nil, fmt.Errorf("%w: the log %.100q has not signed it with a key that is known here", ErrUntrusted, c.Origin)
	}
	out := &Signed{Checkpoint: *c}
	by := map[*Witness]bool{}
	for _, w := range p.witnesses {
		for _, s := range n.Sigs {
			if s.Name != w.key.name || s.Hash != w.key.hash || by[w] {
				continue
			}
			at, err := signedAt(s)
			if err != nil {
				return nil, err
			}
			by[w] = true
			out.Cosigned = append(out.Cosigned, Cosigned{w.Name, at})
		}
	}
	if p.quorum != nil && !p.quorum.satisfied(by) {
		return nil, fmt.Errorf("%w: %d of %d witnesses have cosigned it, fewer than the policy's quorum", ErrUntrusted, len(by), len(p.witnesses))
	}
	return out, nil
}

func (c *component) satisfied(by map[*Witness]bool) bool {
	if c.witness != nil {
		return by[c.witness]
	}
	n := 0
	for _, member := range c.of {
		if member.satisfied(by) {
			n++
		}
	}
	return n >= c.want
}
