package identify

import (
	"errors"
	"io"
	"regexp"
	"strings"

	purl "github.com/package-url/packageurl-go"

	"assize.dev/shared/archive"
)

// identifyRPM reads name, epoch, version and release from the header.
func identifyRPM(r io.ReaderAt, size int64) Identity {
	p, err := ReadRPM(io.NewSectionReader(r, 0, size))
	if err != nil {
		return Identity{Format: RPM, Reason: "header: " + err.Error()}
	}
	return identityOf(RPM, p)
}

// rpmVendors maps words of the Vendor tag to purl namespaces.
var rpmVendors = []struct{ word, namespace string }{
	{"fedora", "fedora"}, {"red hat", "redhat"}, {"almalinux", "almalinux"}, {"rocky", "rocky"}, {"centos", "centos"},
	{"opensuse", "opensuse"}, {"suse", "suse"}, {"oracle", "oracle"}, {"amazon", "amzn"}, {"mageia", "mageia"},
}

// rpmSystems are the purl namespaces of systems whose os-release ID is another.
var rpmSystems = map[string]string{
	"rhel": "redhat", "ol": "oracle", "sles": "suse", "sled": "suse", "sle-micro": "suse",
	"opensuse-leap": "opensuse", "opensuse-tumbleweed": "opensuse", "opensuse-microos": "opensuse",
}

// RPMNamespace is the purl namespace of packages that a system installed; id
// is that of OSRelease.
func RPMNamespace(id string) string {
	if known := rpmSystems[id]; known != "" {
		return known
	}
	return id
}

// rpmRelease is the distribution tag in a release, such as 3.el9_2 or 1.fc40.
var rpmRelease = regexp.MustCompile(`\.(el|fc|amzn)(\d+)`)

// ReadRPM reads the package's own description from an RPM's header.
func ReadRPM(r io.Reader) (Package, error) {
	h, err := archive.ReadRPMHeader(r)
	if err != nil {
		return Package{}, err
	}
	return rpmPackage(h)
}

// ParseRPMHeader reads the description of an installed package, as rpm's
// database keeps it. ErrNoPackage says that it is a key, which rpm keeps there
// as well.
func ParseRPMHeader(data []byte) (Package, error) {
	h, err := archive.ParseRPMHeader(data)
	if err != nil {
		return Package{}, err
	}
	if h.Name == "gpg-pubkey" {
		return Package{}, ErrNoPackage
	}
	return rpmPackage(h)
}

func rpmPackage(h archive.RPMHeader) (Package, error) {
	if h.Name == "" || h.Version == "" {
		return Package{}, errors.New("no name and version tag")
	}
	p := Package{
		Type: purl.TypeRPM, Name: h.Name, Version: h.Version, Supplier: h.Vendor, Description: h.Summary,
	}
	if h.Release != "" {
		p.Version += "-" + h.Release
	}
	if h.License != "" {
		p.Licenses = []string{h.License}
	}
	p.Requires, p.Provides, p.NeedsStated = listed(h.Requires), provided(h.Provides), true
	vendor := strings.ToLower(h.Vendor)
	for _, v := range rpmVendors {
		if strings.Contains(vendor, v.word) {
			p.Namespace = v.namespace
			break
		}
	}
	if m := rpmRelease.FindStringSubmatch("." + h.Release); m != nil && p.Namespace != "" {
		p = p.withQualifier("distro", p.Namespace+"-"+m[2])
	}
	if epoch := strings.TrimSpace(h.Epoch); epoch != "" && epoch != "0" {
		p = p.withQualifier("epoch", epoch)
	}
	return p.withQualifier("arch", h.Arch), nil
}
