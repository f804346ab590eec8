package lockfile

import (
	"strings"

	"assize.dev/shared/identify"
	purl "github.com/package-url/packageurl-go"
	"go.yaml.in/yaml/v3"
)

// readPods reads Podfile.lock (CocoaPods guides, "Using CocoaPods", and the file
// that it writes). Parts of a pod, "Name/Part", count as the pod. Pods of
// EXTERNAL SOURCES come from folders and repositories. SPEC CHECKSUMS are of
// descriptions, not of what is published, and left out.
func readPods(c *collection, data []byte) error {
	return readYAML(data, func(root *yaml.Node) error { return addPods(c, root) })
}

func addPods(c *collection, root *yaml.Node) error {
	external := make(map[string]bool)
	for name := range mapping(at(root, "EXTERNAL SOURCES")) {
		external[podName(name)] = true
	}
	repositories := make(map[string]string)
	for url, pods := range mapping(at(root, "SPEC REPOS")) {
		if strings.TrimSuffix(strings.ToLower(url), ".git") == "https://github.com/cocoapods/specs" {
			continue
		}
		for _, name := range sequence(pods) {
			repositories[podName(name.Value)] = url
		}
	}
	for _, entry := range sequence(at(root, "PODS")) {
		spec, needs := entry.Value, []*yaml.Node(nil)
		for key, list := range mapping(entry) {
			spec, needs = key, sequence(list)
		}
		_, version, _ := strings.Cut(spec, " (")
		version, ok := strings.CutSuffix(version, ")")
		name := podName(spec)
		if !ok || external[name] {
			continue
		}
		p := Package{Package: identify.Package{Type: purl.TypeCocoapods, Name: name, Version: version}}
		p.fromRegistry(repositories[name], "cdn.cocoapods.org")
		for _, need := range needs {
			p.DependsOn = append(p.DependsOn, podName(need.Value))
		}
		if err := c.add(p, name); err != nil {
			return err
		}
	}
	return nil
}

// podName is the name of the pod in "Name/Part (version)".
func podName(s string) string {
	s, _, _ = strings.Cut(s, " (")
	s, _, _ = strings.Cut(s, "/")
	return s
}
