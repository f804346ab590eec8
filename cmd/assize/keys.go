package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"assize.dev/services/sign"
	"assize.dev/shared/config"
)

type keysCmd struct {
	Show   keysShowCmd   `cmd:"" help:"Show the versions of a key set, its keys and what became of them."`
	Init   keysInitCmd   `cmd:"" help:"Make the first version of a key set."`
	Rotate keysRotateCmd `cmd:"" help:"Let a new key sign verdicts, and retire the one that did."`
	Revoke keysRevokeCmd `cmd:"" help:"Make every verdict of a key count for nothing."`
	Roots  keysRootsCmd  `cmd:"" help:"Replace the root keys, which sign the key set."`
}

// keysFolder says which key set is meant.
type keysFolder struct {
	Keys string `help:"Directory of the key set; by default <data>/keys, that of the embedded node." placeholder:"DIR" type:"path"`
}

func (f keysFolder) open(ctx context.Context, g *globals) (sign.KeyDir, error) {
	path := f.Keys
	if path == "" {
		data, err := g.where()
		if err != nil {
			return sign.KeyDir{}, err
		}
		path = data.keys()
	}
	var options sign.SignerOptions
	if err := config.Load(ctx, nil, &options); err != nil {
		return sign.KeyDir{}, err
	}
	return sign.NewKeyDir(path, options), nil
}

// nextVersion is what every new version can be told.
type nextVersion struct {
	keysFolder
	Root    []string      `help:"Root key that signs the new version, a file or a reference as in ASSIZE_SIGN_KEY; may be repeated. By default root.key in the directory." placeholder:"KEY" sep:"none"`
	Expires time.Duration `help:"For how long the new version is good; those who verify refuse it afterwards. For ever without it." placeholder:"8760h"`
}

func (n nextVersion) change(reason string) sign.KeyChange {
	return sign.KeyChange{Roots: n.Root, Lifetime: n.Expires, Reason: reason}
}

type keysShowCmd struct {
	Keys string `help:"Directory of the key set, or the file of one version; by default <data>/keys." placeholder:"DIR|FILE" type:"path"`
}

func (keysShowCmd) Help() string {
	return `Every version is checked: that it is signed by enough root keys, its own and
those of the version before it.

Examples:
  assize keys show
  assize keys show --json --keys keys.json | jq -r '.keys[] | select(.status=="active").keyid'`
}

// shownSet is a version as --json prints it, one per line, the newest last.
type shownSet struct {
	Version   int               `json:"version"`
	SHA256    string            `json:"sha256"` // of what is signed
	Expires   *time.Time        `json:"expires,omitempty"`
	Expired   bool              `json:"expired"`
	Threshold int               `json:"threshold"`
	Roots     []string          `json:"roots"`
	SignedBy  []string          `json:"signedBy"`
	Keys      []sign.VerdictKey `json:"keys"`
}

func (c *keysShowCmd) Run(_ context.Context, g *globals) error {
	path := c.Keys
	if path == "" {
		data, err := g.where()
		if err != nil {
			return err
		}
		path = data.keys()
	}
	history, err := sign.LoadKeySet(path)
	if err != nil {
		return err
	}
	var previous *sign.KeySet
	for i, set := range history {
		shown := shownSet{
			Version: set.Version, SHA256: set.Digest().Hex(), Expired: set.Fresh(time.Now()) != nil,
			Threshold: set.Threshold, SignedBy: set.SignedBy(previous), Keys: set.Keys,
		}
		if !set.Expires.IsZero() {
			shown.Expires = &set.Expires
		}
		for _, r := range set.Roots {
			shown.Roots = append(shown.Roots, r.KeyID)
		}
		if g.JSON {
			err = json.NewEncoder(g.stdout).Encode(shown)
		} else {
			err = shown.tell(g.stdout, i == len(history)-1)
		}
		if err != nil {
			return err
		}
		previous = set
	}
	return nil
}

func (s *shownSet) tell(w io.Writer, newest bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "version %d  %s\n", s.Version, s.SHA256)
	switch {
	case s.Expired:
		fmt.Fprintf(&b, "  expired   %s\n", s.Expires.Format(time.RFC3339))
	case s.Expires != nil:
		fmt.Fprintf(&b, "  expires   %s\n", s.Expires.Format(time.RFC3339))
	}
	fmt.Fprintf(&b, "  signed by %s\n", strings.Join(s.SignedBy, ", "))
	if newest { // the others are history, and say nothing that it does not
		fmt.Fprintf(&b, "  roots     %s, %d must sign\n", strings.Join(s.Roots, ", "), s.Threshold)
		for _, k := range s.Keys {
			fmt.Fprintf(&b, "  %-8s  %s%s\n", k.Status, k.KeyID, keyStory(k))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// keyStory is what is to be said of a key in words.
func keyStory(k sign.VerdictKey) string {
	var b strings.Builder
	if k.VerdictThreshold > 1 {
		fmt.Fprintf(&b, ", one of %d that sign together since version %d", k.VerdictThreshold, k.Since)
	}
	if !k.From.IsZero() {
		fmt.Fprintf(&b, ", from %s", k.From.Format(time.RFC3339))
	}
	if !k.To.IsZero() {
		fmt.Fprintf(&b, ", to %s", k.To.Format(time.RFC3339))
	}
	if !k.Revoked.IsZero() {
		fmt.Fprintf(&b, ", revoked %s", k.Revoked.Format(time.RFC3339))
	}
	if k.Reason != "" {
		fmt.Fprintf(&b, ": %s", printable(k.Reason))
	}
	return b.String()
}

type keysInitCmd struct {
	nextVersion
	Key       []string `help:"Key that signs verdicts, a file or a reference as in ASSIZE_SIGN_KEY; may be repeated, the classical key first, and then every verdict needs all of them." placeholder:"KEY" sep:"none"`
	Threshold int      `help:"How many of the root keys must sign each version." default:"1"`
}

func (keysInitCmd) Help() string {
	return `The embedded node does this by itself at its first start: it makes assize.key,
which signs verdicts, and root.key, which signs the key set, and so without any
argument does this command.

Whoever has the root key can make any key sign verdicts. It is needed only to
change the set: move keys/root.key to a place that is not on this machine, and
bring it with --root when a key is rotated or revoked.

Examples:
  assize keys init
  assize keys init --keys /etc/assize/keys --key vault://transit/verdicts --root /media/safe/root.key
  assize keys init --keys set --key a.key --root r1.key --root r2.key --root r3.key --threshold 2`
}

func (c *keysInitCmd) Run(ctx context.Context, g *globals) error {
	dir, err := c.open(ctx, g)
	if err != nil {
		return err
	}
	if len(c.Key) == 0 {
		if len(c.Root) > 0 || c.Expires > 0 || c.Threshold != 1 {
			return fmt.Errorf("--root, --threshold and --expires go with --key")
		}
		if err := dir.Ensure(ctx); err != nil {
			return err
		}
		return g.tellVersion(dir, nil)
	}
	set, err := dir.Init(ctx, c.Key, c.Threshold, c.change(""))
	if err != nil {
		return err
	}
	return g.tellVersion(dir, set)
}

type keysRotateCmd struct {
	nextVersion
	New    []string `help:"Key that signs from now on, a file or a reference as in ASSIZE_SIGN_KEY; may be repeated, the classical key first. A new key is made without it." placeholder:"KEY" sep:"none"`
	Hybrid bool     `help:"Make an ML-DSA-65 key beside it: verdicts from now on need both signatures, so that they outlast quantum computers."`
	Reason string   `help:"Why, for those who look at the key set." placeholder:"TEXT"`
}

func (keysRotateCmd) Help() string {
	return `Verdicts of the old key hold, up to now. A running node goes on with the new
key by itself; services that name their key in ASSIZE_SIGN_KEY sign nothing
more until they are started with the new one, and lose nothing.

Examples:
  assize keys rotate
  assize keys rotate --hybrid --root /media/safe/root.key --reason yearly
  assize keys rotate --new vault://transit/verdicts-2027`
}

func (c *keysRotateCmd) Run(ctx context.Context, g *globals) error {
	dir, err := c.open(ctx, g)
	if err != nil {
		return err
	}
	set, err := dir.Rotate(ctx, c.New, c.Hybrid, c.change(c.Reason))
	if err != nil {
		return err
	}
	return g.tellVersion(dir, set)
}

type keysRevokeCmd struct {
	nextVersion
	KeyID  string `arg:"" name:"keyid" help:"Key id, as \"assize keys show\" prints it."`
	Reason string `help:"Why, for those who find that its verdicts do not count." required:"" placeholder:"TEXT"`
}

func (keysRevokeCmd) Help() string {
	return `For a key that others may have: no verdict of it counts any more, however old.
Examine again what it gave verdicts on. After the key that signs is revoked
nothing is signed until "assize keys rotate".

Example:
  assize keys revoke SHA256:eFWWYcTniIM3T4NinfOzhdOsusFS9qVMgoF1eN7PztU --reason stolen`
}

func (c *keysRevokeCmd) Run(ctx context.Context, g *globals) error {
	dir, err := c.open(ctx, g)
	if err != nil {
		return err
	}
	set, err := dir.Revoke(ctx, c.KeyID, c.change(c.Reason))
	if err != nil {
		return err
	}
	return g.tellVersion(dir, set)
}

type keysRootsCmd struct {
	nextVersion
	New       []string `help:"Root key from now on, a file or a reference; may be repeated. All of them sign." placeholder:"KEY" sep:"none" required:""`
	Threshold int      `help:"How many of them must sign each later version." default:"1"`
}

func (keysRootsCmd) Help() string {
	return `The old root keys (--root) must sign too, as many as the set says: that is how
those who have the old version know the new one.

Example:
  assize keys roots --root root.key --new r1.key --new r2.key --new r3.key --threshold 2`
}

func (c *keysRootsCmd) Run(ctx context.Context, g *globals) error {
	dir, err := c.open(ctx, g)
	if err != nil {
		return err
	}
	set, err := dir.Reroot(ctx, c.New, c.Threshold, c.change(""))
	if err != nil {
		return err
	}
	return g.tellVersion(dir, set)
}

// tellVersion says what the newest version of a key set means for those who
// keep the keys; nil is the one in the directory.
func (g *globals) tellVersion(dir sign.KeyDir, set *sign.KeySet) error {
	if set == nil {
		history, err := dir.Load()
		if err != nil {
			return err
		}
		set = history.Newest()
	}
	type held struct {
		KeyID  string `json:"keyId"`
		Status string `json:"status"`
		Held   string `json:"held,omitempty"` // private half
	}
	told := struct {
		Version int    `json:"version"`
		File    string `json:"file"`
		Keys    []held `json:"keys"`
	}{set.Version, dir.Newest(), []held{}}
	active := false
	for _, k := range set.Keys {
		at, err := dir.HeldAt(k.KeyID)
		if err != nil {
			at = "" // elsewhere, as ASSIZE_SIGN_KEY says
		} else if _, err := os.Stat(at); !strings.Contains(at, "://") && err != nil {
			at = "" // destroyed, as it should be once it signs no more
		}
		active = active || k.Status == sign.KeyActive
		told.Keys = append(told.Keys, held{k.KeyID, string(k.Status), at})
	}
	if g.JSON {
		return json.NewEncoder(g.stdout).Encode(told)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "key set version %d, to hand out: %s\n", told.Version, told.File)
	for _, k := range told.Keys {
		fmt.Fprintf(&b, "  %-8s  %s", k.Status, k.KeyID)
		if k.Held != "" {
			fmt.Fprintf(&b, "  held at %s", printable(k.Held))
			if k.Status != string(sign.KeyActive) {
				b.WriteString(", of no more use: destroy it")
			}
		}
		b.WriteString("\n")
	}
	if !active {
		b.WriteString("No key is active and nothing is signed: assize keys rotate makes a new one.\n")
	}
	_, err := io.WriteString(g.stdout, b.String())
	return err
}
