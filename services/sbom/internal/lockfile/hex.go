package lockfile

import (
	"strings"

	"assize.dev/shared/identify"
	purl "github.com/package-url/packageurl-go"
)

// readMix reads mix.lock (Mix docs, "mix deps.get", and the Hex client's
// documentation of its lock): a map of
//
//	"a": {:hex, :a, "1.0.0", "<inner>", [:mix], [{:b, "~> 1.0", [hex: :b, optional: false]}], "hexpm", "<outer>"}
//
// of which the outer checksum is that of the file of the registry. What comes
// from a repository starts with :git.
func readMix(c *collection, data []byte) error {
	r := &termReader{data: string(data)}
	if r.blanks(); r.pos == len(r.data) {
		return nil
	}
	file, err := r.read(0)
	if err != nil {
		return err
	}
	for _, member := range file.list {
		lock := member.at(1)
		if lock.at(0).text != "hex" {
			continue
		}
		p := hexPackage(lock.at(1).text, lock.at(2).text)
		switch repository := lock.at(6).text; {
		case repository == "" || repository == "hexpm":
		case strings.HasPrefix(repository, "hexpm:"):
			p.Namespace = strings.ToLower(strings.TrimPrefix(repository, "hexpm:"))
		default:
			continue // by a name that only the developer's machine knows
		}
		p.Hashes = hexHash("sha256", lock.at(7).text)
		for _, need := range lock.at(5).list {
			p.DependsOn = append(p.DependsOn, need.at(0).text)
		}
		if err := c.add(p, member.at(0).text); err != nil {
			return err
		}
	}
	return nil
}

// readRebar reads rebar.lock (rebar3 docs, "Dependencies", "Lock files"): terms
//
//	{"1.2.0", [{<<"a">>, {pkg, <<"a">>, <<"1.0.0">>}, 0}]}.
//	[{pkg_hash, [...]}, {pkg_hash_ext, [{<<"a">>, <<"<outer>">>}]}].
//
// or, as rebar3 wrote it first, the list alone. The number is how deep a
// package lies among the dependencies, not whose it is.
func readRebar(c *collection, data []byte) error {
	r := &termReader{data: string(data)}
	var file []term
	for {
		if r.blanks(); r.pos == len(r.data) {
			break
		}
		t, err := r.read(0)
		if err != nil {
			return err
		}
		if !r.take(".") {
			return r.fail("a term does not end with a full stop")
		}
		file = append(file, t)
	}
	if len(file) == 0 {
		return nil
	}
	packages := file[0].list
	if version := file[0].at(0); version.text != "" {
		packages = file[0].at(1).list
	}
	sums := make(map[string]string)
	if len(file) > 1 {
		for _, kind := range file[1].list {
			if kind.at(0).text == "pkg_hash_ext" {
				for _, sum := range kind.at(1).list {
					sums[sum.at(0).text] = sum.at(1).text
				}
			}
		}
	}
	for _, entry := range packages {
		source := entry.at(1)
		if source.at(0).text != "pkg" {
			continue
		}
		p := hexPackage(source.at(1).text, source.at(2).text)
		p.Hashes = hexHash("sha256", sums[entry.at(0).text])
		if err := c.add(p); err != nil {
			return err
		}
	}
	return nil
}

// hexPackage names a package; the purl type has names in lower case.
func hexPackage(name, version string) Package {
	return Package{Package: identify.Package{Type: purl.TypeHex, Name: strings.ToLower(name), Version: version}}
}
