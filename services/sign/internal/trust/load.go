package trust

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"assize.dev/services/sign/internal/keys"
	"assize.dev/services/sign/internal/minisign"
	"assize.dev/services/sign/internal/openpgp"
	"assize.dev/services/sign/internal/sigstore"
	"assize.dev/services/sign/internal/slsa"
	"assize.dev/services/sign/internal/sshsig"
	"assize.dev/services/sign/internal/x509sig"
	"assize.dev/shared/config"
	"assize.dev/shared/digest"
	"assize.dev/shared/pattern"
)

// Bounds of a trust file.
const (
	maxFile       = 1 << 20 // bytes of YAML
	maxPublishers = 1000
	maxRequired   = 100 // signatures
)

// Load reads trust files, folders of keys and files with one key, and adds publishers that are described in place, whose paths are
// relative to the working directory. Nothing is trusted if anything cannot
// be read.
func Load(paths []string, extra ...PublisherEntry) (*Trust, error) {
	l := loader{trust: &Trust{mu: &sync.Mutex{}, selections: map[string]*Selection{}}}
	builtIn := true
	for _, path := range paths {
		file, dir, err := read(path)
		if err != nil {
			return nil, fmt.Errorf("loading trust: %s: %w", path, err)
		}
		builtIn = builtIn && !file.OnlyTheseBuilders
		if err := l.add(file, dir); err != nil {
			return nil, fmt.Errorf("loading trust: %s: %w", path, err)
		}
	}
	if err := l.add(&File{Publishers: extra}, ""); err != nil {
		return nil, fmt.Errorf("loading trust: %w", err)
	}
	if builtIn {
		for _, rule := range slsa.BuiltIn() {
			l.trust.builders = append(l.trust.builders, builder{rule: rule})
		}
	}
	l.trust.digest = l.digest()
	return l.trust, nil
}

// read returns a trust file and the folder that its paths are relative to.
func read(path string) (*File, string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, "", err
	}
	if info.IsDir() {
		f, err := readFolder(path)
		return f, path, err
	}
	text, err := readBounded(path, maxFile)
	if err != nil {
		return nil, "", err
	}
	yaml := filepath.Ext(path) == ".yaml" || filepath.Ext(path) == ".yml"
	if _, err := keys.ParsePublicKey(text); !yaml && err == nil {
		return &File{Publishers: []PublisherEntry{{Name: filepath.Base(path), Keys: []string{filepath.Base(path)}}}}, filepath.Dir(path), nil
	} else if !yaml && !bytes.Contains(text, []byte("publishers:")) {
		return nil, "", fmt.Errorf("neither a trust file (YAML with publishers) nor a public key: %w", err)
	}
	var f File
	if err := config.ParseYAML(text, &f); err != nil {
		return nil, "", err
	}
	return &f, filepath.Dir(path), nil
}

// loader turns entries into trust.
type loader struct {
	trust *Trust
	dir   string
	seen  strings.Builder // everything that decides, for the digest
}

func (l *loader) digest() digest.Digest { return digest.Of([]byte(l.seen.String())) }

func (l *loader) add(f *File, dir string) error {
	l.dir = dir
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	l.seen.Write(text)
	if len(l.trust.publishers)+len(f.Publishers) > maxPublishers {
		return fmt.Errorf("more than %d publishers", maxPublishers)
	}
	for i, entry := range f.Publishers {
		p, err := l.publisher(&entry)
		if err != nil {
			return fmt.Errorf("publishers[%d] %q: %w", i, entry.Name, err)
		}
		l.trust.publishers = append(l.trust.publishers, p)
	}
	for i, entry := range f.Require {
		if err := l.requirement(&entry); err != nil {
			return fmt.Errorf("require[%d]: %w", i, err)
		}
	}
	for i, entry := range f.Builders {
		if err := l.builder(&entry); err != nil {
			return fmt.Errorf("builders[%d] %q: %w", i, entry.Name, err)
		}
	}
	return nil
}

func (l *loader) known(name string) bool {
	return slices.ContainsFunc(l.trust.publishers, func(p *Publisher) bool { return p.Name == name })
}

// attests tells whether a publisher signs attestations.
func (l *loader) attests(name string) bool {
	return slices.ContainsFunc(l.trust.publishers, func(p *Publisher) bool { return p.Name == name && p.Sigstore != nil })
}

func (l *loader) publisher(entry *PublisherEntry) (*Publisher, error) {
	switch {
	case strings.TrimSpace(entry.Name) == "":
		return nil, errors.New("name: give the publisher one, verdicts will show it")
	case l.known(entry.Name):
		return nil, errors.New("name: another publisher has it")
	case !entry.Until.IsZero() && !entry.From.Before(entry.Until):
		return nil, errors.New("until: not after from, so its signatures would never count")
	}
	scope, err := newScope(entry.Registries, entry.Packages)
	if err != nil {
		return nil, err
	}
	p := &Publisher{
		Name: entry.Name, Deny: entry.Deny, scope: scope, from: entry.From, until: entry.Until,
		signers: map[string]bool{}, fingerprints: map[string]bool{},
	}
	for _, load := range []struct {
		key string
		run func(*PublisherEntry, *Publisher) error
	}{
		{"keys", l.ed25519}, {"fingerprints", l.fingerprints}, {"launchers", l.launchers},
		{"minisign", l.minisign}, {"openpgp", l.openpgp}, {"ssh", l.ssh}, {"x509", l.x509},
		{"sigstore", l.sigstore}, {"attestation_keys", l.attestationKeys},
	} {
		if err := load.run(entry, p); err != nil {
			return nil, fmt.Errorf("%s: %w", load.key, err)
		}
	}
	if len(p.signers) == 0 && p.openpgp == nil && p.SSH == nil && p.X509 == nil && p.Sigstore == nil {
		return nil, errors.New("signs with nothing: give keys, fingerprints, openpgp, ssh, minisign, x509, sigstore or attestation_keys")
	}
	return p, nil
}

func (l *loader) ed25519(entry *PublisherEntry, p *Publisher) error {
	for _, path := range entry.Keys {
		found, err := l.publicKeys(path)
		if err != nil {
			return err
		}
		for _, k := range found {
			if _, ok := k.Key.(ed25519.PublicKey); !ok {
				return fmt.Errorf("%s: key %q is not Ed25519, as publishers' keys are; a key that signs attestations goes under attestation_keys", path, k.Name)
			}
			p.knowKey(k)
		}
	}
	return nil
}

// publicKeys reads a file or a folder of keys, of which there must be some.
func (l *loader) publicKeys(path string) ([]keys.PublicKey, error) {
	found, err := keys.LoadPublicKeys(l.path(path))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: no *%s files in it", path, strings.Join(keys.Extensions, ", *"))
	}
	for _, k := range found {
		fmt.Fprintln(&l.seen, "key", k.Fingerprint())
	}
	return found, nil
}

func (l *loader) fingerprints(entry *PublisherEntry, p *Publisher) error {
	for _, text := range entry.Fingerprints {
		f, err := keys.ParseFingerprint(text)
		if err != nil {
			return err
		}
		if _, err := hex.DecodeString(f); err != nil {
			return fmt.Errorf("%s: packages name their keys by the SHA-256 of the raw key: want its 64 hexadecimal digits", f)
		}
		p.knowFingerprint(f)
	}
	return nil
}

func (l *loader) launchers(entry *PublisherEntry, p *Publisher) error {
	for _, text := range entry.Launchers {
		d, err := digest.Parse("sha256:" + strings.TrimPrefix(strings.ToLower(text), "sha256:"))
		if err != nil {
			return err
		}
		p.launchers = append(p.launchers, d.Hex())
	}
	return nil
}

func (l *loader) minisign(entry *PublisherEntry, p *Publisher) error {
	for _, path := range entry.Minisign {
		k, err := parsed(l, path, minisign.ParsePublicKey)
		if err != nil {
			return err
		}
		p.minisign = append(p.minisign, k)
		p.know(KindMinisign, k.Signer())
		p.know(KindSignify, k.Signer())
		p.fingerprints[keys.PublicKey{Key: k.Key()}.Fingerprint()] = true
	}
	return nil
}

func (l *loader) openpgp(entry *PublisherEntry, p *Publisher) error {
	if entry.OpenPGP == nil {
		return nil
	}
	if len(entry.OpenPGP.Keyrings) == 0 {
		return errors.New("keyrings: name the files or folders with certificates")
	}
	var paths []string
	for _, path := range entry.OpenPGP.Keyrings {
		paths = append(paths, l.path(path))
	}
	ring, err := openpgp.LoadKeyring(paths...)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, f := range entry.OpenPGP.Fingerprints {
		f = strings.ToUpper(strings.ReplaceAll(strings.TrimPrefix(f, "0x"), " ", ""))
		if !slices.Contains(ring.Fingerprints(), f) {
			return fmt.Errorf("fingerprints: no certificate %s in the keyrings", f)
		}
		wanted[f] = true
	}
	for _, f := range ring.Fingerprints() {
		if len(wanted) == 0 || wanted[f] {
			p.know(KindOpenPGP, f)
		}
	}
	fmt.Fprintln(&l.seen, "openpgp", ring.Digest())
	p.openpgp = ring
	return nil
}

func (l *loader) ssh(entry *PublisherEntry, p *Publisher) error {
	if entry.SSH == nil {
		return nil
	}
	allowed, err := parsed(l, entry.SSH.AllowedSigners, sshsig.ParseAllowedSigners)
	if err != nil {
		return err
	}
	p.SSH = &SSH{allowed, entry.SSH.Identity, entry.SSH.Namespace}
	for _, f := range allowed.Keys() {
		p.fingerprints[f] = true
	}
	if p.SSH.Namespace == "" {
		p.SSH.Namespace = "file"
	}
	return nil
}

func (l *loader) x509(entry *PublisherEntry, p *Publisher) error {
	e := entry.X509
	if e == nil {
		return nil
	}
	if len(e.Roots) == 0 {
		return errors.New("roots: name the authorities: the system's never count")
	}
	a := &x509sig.Anchors{Names: e.Names, RequireRevocation: e.RequireRevocation}
	for _, list := range []struct {
		paths []string
		into  *[]*x509.Certificate
	}{{e.Roots, &a.Roots}, {e.Intermediates, &a.Intermediates}, {e.TimestampRoots, &a.TimestampRoots}} {
		for _, path := range list.paths {
			found, err := parsed(l, path, x509sig.ParseCertificates)
			if err != nil {
				return err
			}
			*list.into = append(*list.into, found...)
		}
	}
	for _, path := range e.CRLs {
		crl, err := parsed(l, path, x509sig.ParseCRL)
		if err != nil {
			return err
		}
		a.CRLs = append(a.CRLs, crl)
	}
	for _, path := range e.OCSP {
		response, err := parsed(l, path, x509sig.ParseOCSP)
		if err != nil {
			return err
		}
		a.OCSP = append(a.OCSP, response)
	}
	for _, name := range e.Names { // may hold spaces, as no other pattern does
		if strings.Trim(name, "*") == "" || len(name) > pattern.MaxLength {
			return fmt.Errorf("names: %.80q: want 1 to %d bytes that say who", name, pattern.MaxLength)
		}
	}
	p.X509 = a
	return nil
}

// maxParsed is how many bytes a file of certificates or revocations has; its
// parser may allow fewer.
const maxParsed = 16 << 20

// parsed reads a file that an entry names.
func parsed[T any](l *loader, path string, parse func([]byte) (T, error)) (T, error) {
	var none T
	data, err := l.file(path, maxParsed)
	if err != nil {
		return none, err
	}
	v, err := parse(data)
	if err != nil {
		return none, fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}

func (l *loader) sigstore(entry *PublisherEntry, p *Publisher) error {
	s := entry.Sigstore
	if s == nil {
		return nil
	}
	if s.TrustedRoot == "" || len(s.Identities) == 0 {
		return errors.New("want trusted_root and identities: anybody can get a certificate from a public instance")
	}
	root, err := parsed(l, s.TrustedRoot, sigstore.ParseRoot)
	if err != nil {
		return err
	}
	anchors := l.anchors(p)
	anchors.Root = root
	for _, id := range s.Identities {
		anchors.Identities = append(anchors.Identities, sigstore.Identity{Issuer: id.Issuer, SAN: id.SAN, SourceRepository: id.Repository})
	}
	return anchors.Check()
}

func (l *loader) attestationKeys(entry *PublisherEntry, p *Publisher) error {
	for _, path := range entry.AttestationKeys {
		found, err := l.publicKeys(path)
		if err != nil {
			return err
		}
		for _, k := range found {
			l.anchors(p).Keys = append(l.anchors(p).Keys, k.Key)
			p.fingerprints[k.Fingerprint()] = true
		}
	}
	if p.Sigstore == nil {
		return nil
	}
	return p.Sigstore.Check()
}

// anchors are those of a publisher's attestations.
func (l *loader) anchors(p *Publisher) *sigstore.Anchors {
	if p.Sigstore == nil {
		p.Sigstore = &sigstore.Anchors{}
	}
	return p.Sigstore
}

func (l *loader) requirement(entry *RequireEntry) error {
	scope, err := newScope(entry.Registries, entry.Packages)
	if err != nil {
		return err
	}
	if entry.Signatures < 1 || entry.Signatures > maxRequired {
		return fmt.Errorf("signatures: %d: want 1 to %d", entry.Signatures, maxRequired)
	}
	for _, name := range entry.Publishers {
		if !l.known(name) {
			return fmt.Errorf("publishers: there is no %q", name)
		}
	}
	able := len(entry.Publishers)
	if able == 0 {
		able = len(l.trust.publishers)
	}
	if able < entry.Signatures {
		return fmt.Errorf("signatures: %d publishers cannot give %d", able, entry.Signatures)
	}
	l.trust.requirements = append(l.trust.requirements, requirement{scope, entry.Signatures, entry.Publishers})
	return nil
}

func (l *loader) builder(entry *BuilderEntry) error {
	scope, err := newScope(entry.Registries, entry.Packages)
	if err != nil {
		return err
	}
	switch {
	case entry.Builder == "":
		return errors.New("builder: name the id of the builder")
	case entry.Publisher == "":
		return errors.New("publisher: say whose signature proves that it was this builder")
	case !l.known(entry.Publisher):
		return fmt.Errorf("publisher: there is no %q", entry.Publisher)
	case len(entry.Sources) == 0:
		return errors.New("sources: name the repositories it may build from: a builder builds for anybody who asks")
	case !l.attests(entry.Publisher):
		return fmt.Errorf("publisher: %q signs no attestations: give it sigstore or attestation_keys", entry.Publisher)
	}
	if err := errors.Join(listed("build_types", entry.BuildTypes), listed("parameters", entry.Parameters)); err != nil {
		return err
	}
	for _, rule := range l.rules(entry) {
		if err := rule.Check(); err != nil {
			return err
		}
		l.trust.builders = append(l.trust.builders, builder{scope, entry.Publisher, rule})
	}
	return nil
}

// rules say the same of each identity and key of the builder's publisher.
func (l *loader) rules(entry *BuilderEntry) (rules []slsa.Rule) {
	rule := slsa.Rule{
		Name: entry.Name, Builder: entry.Builder, Level: entry.Level,
		Sources: entry.Sources, BuildTypes: entry.BuildTypes, Parameters: entry.Parameters,
	}
	i := slices.IndexFunc(l.trust.publishers, func(p *Publisher) bool { return p.Name == entry.Publisher })
	anchors := l.trust.publishers[i].Sigstore
	for _, id := range anchors.Identities {
		rule := rule
		rule.Issuer, rule.SAN = id.Issuer, id.SAN
		rules = append(rules, rule)
	}
	for _, key := range anchors.Keys {
		rule.KeyIDs = append(rule.KeyIDs, keys.PublicKey{Key: key}.KeyID())
	}
	if len(rule.KeyIDs) > 0 {
		rules = append(rules, rule)
	}
	return rules
}

func (l *loader) path(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(l.dir, path)
}

// file reads a file that an entry names.
func (l *loader) file(path string, limit int64) ([]byte, error) {
	if path == "" {
		return nil, errors.New("a file must be named")
	}
	data, err := readBounded(l.path(path), limit)
	if err == nil {
		fmt.Fprintln(&l.seen, "file", digest.Of(data))
	}
	return data, err
}
