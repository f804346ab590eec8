package sbom

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

	"assize.dev/shared/archive"
	"assize.dev/shared/identify"
	. "assize.dev/shared/identify/identifytest"
)

func node(dir, name, version string) File {
	return File{dir + "node_modules/" + name + "/package.json", fmt.Sprintf(`{"name":%q,"version":%q}`, name, version)}
}

func status(packages ...string) File {
	var text strings.Builder
	for _, p := range packages {
		fmt.Fprintf(&text, "Package: %s\nStatus: install ok installed\nVersion: 1-1\nArchitecture: all\n\n", p)
	}
	return File{"var/lib/dpkg/status", text.String()}
}

// layers are those of the images in the tests, lowest first.
func layers() [][]byte {
	return [][]byte{
		TarGz(status("libc", "curl"), File{"etc/os-release", "ID=debian\nVERSION_ID=11\n"}, node("", "removed", "1.0.0"), node("", "kept", "1.0.0"),
			node("opt/app/", "hidden", "1.0.0"), node("srv/", "gone", "1.0.0"), node("", "upgraded", "1.0.0")),
		Tar(status("libc"), File{"etc/os-release", "ID=debian\nVERSION_ID=12\n"}, File{"node_modules/.wh.removed", ""}, File{"opt/app/.wh..wh..opq", ""},
			node("opt/app/", "fresh", "1.0.0"), File{".wh.srv", ""}, node("", "upgraded", "2.0.0")),
	}
}

func blobName(data []byte) string { return fmt.Sprintf("blobs/sha256/%x", sha256.Sum256(data)) }

func descriptor(data []byte) string {
	return fmt.Sprintf(`{"mediaType":"x","digest":"sha256:%x","size":%d}`, sha256.Sum256(data), len(data))
}

// oci is an image layout whose blobs come in an order that tells nothing.
func oci(layers [][]byte) []byte {
	var refs []string
	files := []File{{"oci-layout", `{"imageLayoutVersion":"1.0.0"}`}}
	for _, l := range layers {
		refs = append(refs, descriptor(l))
		files = append(files, File{blobName(l), string(l)})
	}
	manifest := []byte(`{"schemaVersion":2,"config":{},"layers":[` + strings.Join(refs, ",") + `]}`)
	slices.Reverse(files[1:])
	files = append(files, File{blobName(manifest), string(manifest)}, File{"index.json", `{"schemaVersion":2,"manifests":[` + descriptor(manifest) + `]}`})
	return Tar(files...)
}

// docker is the same as "docker save" writes it.
func docker(layers [][]byte) []byte {
	var names []string
	var files []File
	for i, l := range layers {
		names = append(names, fmt.Sprintf(`"%d/layer.tar"`, i))
		files = append(files, File{fmt.Sprintf("%d/layer.tar", i), string(l)})
	}
	slices.Reverse(files)
	return Tar(append(files, File{"manifest.json", `[{"Config":"c.json","RepoTags":["a:1"],"Layers":[` + strings.Join(names, ",") + `]}]`})...)
}

func TestImageLayers(t *testing.T) {
	want := []string{"pkg:deb/debian/libc@1-1?arch=all&distro=debian-12", "pkg:npm/fresh@1.0.0", "pkg:npm/kept@1.0.0", "pkg:npm/upgraded@2.0.0"}
	for name, data := range map[string][]byte{"oci": oci(layers()), "docker": docker(layers())} {
		r := catalogueImage(t, data)
		var got []string
		for _, c := range r.Components {
			got = append(got, c.PURL)
		}
		if !slices.Equal(got, want) || !r.Complete() {
			t.Errorf("%s: %q, %s\nwant %q", name, got, r.Reason(), want)
		}
	}
}

// Where the layers' order is not told, everything is listed and the list says
// that it is not to be relied on.
func TestImageWithoutManifest(t *testing.T) {
	data := bytes.Replace(docker(layers()), []byte(`"Layers"`), []byte(`"Slayer"`), 1)
	r := catalogueImage(t, data)
	if r.Complete() || !strings.Contains(r.Reason(), "how its layers lie") || len(r.Components) != 9 {
		t.Errorf("%d components, %q", len(r.Components), r.Reason())
	}
}

func catalogueImage(t *testing.T, data []byte) *Result {
	t.Helper()
	id, err := identify.Identify(t.Context(), bytes.NewReader(data), int64(len(data)), "image.tar")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Catalogue(t.Context(), bytes.NewReader(data), int64(len(data)), "image.tar", id, archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
