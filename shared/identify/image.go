package identify

import (
	"encoding/json"
	"strings"

	purl "github.com/package-url/packageurl-go"
)

// parseImage reads index.json of an OCI image layout (image-spec 1.1,
// "image-layout.md") or manifest.json of a "docker save" archive. ok is false
// where the file is neither.
func parseImage(name string, data []byte) (id Identity, ok bool) {
	if name == "index.json" {
		var index struct {
			SchemaVersion int `json:"schemaVersion"`
			Manifests     []struct {
				Digest      string            `json:"digest"`
				Annotations map[string]string `json:"annotations"`
			} `json:"manifests"`
		}
		if json.Unmarshal(data, &index) != nil || index.SchemaVersion != 2 || len(index.Manifests) == 0 {
			return Identity{}, false
		}
		first := index.Manifests[0]
		reference := first.Annotations["io.containerd.image.name"]
		if reference == "" { // the reference name is often only a tag
			if n := first.Annotations["org.opencontainers.image.ref.name"]; strings.ContainsAny(n, "/:") {
				reference = n
			}
		}
		return imageIdentity(OCI, reference, first.Digest), true
	}
	var manifests []struct {
		Config   string   `json:"Config"`
		RepoTags []string `json:"RepoTags"`
		Layers   []string `json:"Layers"`
	}
	if json.Unmarshal(data, &manifests) != nil || len(manifests) == 0 || manifests[0].Config == "" {
		return Identity{}, false
	}
	reference := ""
	if len(manifests[0].RepoTags) > 0 {
		reference = manifests[0].RepoTags[0]
	}
	return imageIdentity(Docker, reference, ""), true
}

// imageIdentity names an image by its reference. The purl type "oci" needs a
// digest, "docker" takes a tag.
func imageIdentity(format, reference, digest string) Identity {
	repository, tag := reference, ""
	if i := strings.LastIndexByte(reference, ':'); i > strings.LastIndexByte(reference, '/') {
		repository, tag = reference[:i], reference[i+1:]
	}
	repository, _, _ = strings.Cut(repository, "@")
	if repository == "" {
		return Identity{Format: format, Version: clean(digest, maxName)}
	}
	name := repository[strings.LastIndexByte(repository, '/')+1:]
	p := Package{Type: purl.TypeOCI, Name: strings.ToLower(name), Version: digest}
	p = p.withQualifier("repository_url", repository).withQualifier("tag", tag)
	if digest == "" {
		p = Package{Type: purl.TypeDocker, Namespace: strings.TrimSuffix(strings.TrimSuffix(repository, name), "/"), Name: name, Version: tag}
	}
	return identityOf(format, p)
}
