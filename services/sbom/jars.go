package sbom

import (
	"maps"
	"path"
	"slices"

	"assize.dev/shared/archive"
	"assize.dev/shared/identify"
)

// jars gathers what the entries of each jar, war and ear say of it, by the
// container's location. A jar can be named only when all of it was seen.
type jars map[string]*jarContents

type jarContents struct {
	identify.Jar
	at *entry // a stand-in for the jar itself
}

// wants takes account of every entry of a zip and reports whether its content
// is needed.
func (j jars) wants(e *entry) bool {
	if e.Format != archive.Zip {
		return false
	}
	jar := j[e.Container]
	if jar == nil {
		jar = &jarContents{at: &entry{Path: e.Container, Name: e.Name, Root: e.Root, Artifact: e.Artifact}}
		if e.Container == "" {
			jar.at.Path = e.Name
		}
		j[e.Container] = jar
	}
	jar.Note(e.Path)
	return jar.WantsContent(e.Path)
}

func (j jars) read(e *entry, src *source) error {
	data, err := src.all(identify.MaxMetadata)
	if err != nil {
		return err
	}
	if err := j[e.Container].Add(e.Path, data); err != nil {
		// A broken pom.xml takes nothing away where pom.properties is beside
		// it, and the manifest names the jar where neither can be read.
		return &misplaced{err}
	}
	return nil
}

// each tells the packages of every jar in a fixed order. A jar inside the
// artifact that does not say what it is goes by its file name.
func (j jars) each(found func(*entry, identify.Package)) {
	for _, location := range slices.Sorted(maps.Keys(j)) {
		jar := j[location]
		if jar.Format() == "" {
			continue
		}
		self, merged := jar.Packages(jar.at.Name)
		if self.Name == "" && !jar.at.Root {
			self.Type, self.Name = "maven", path.Base(jar.at.Name)
		}
		if !jar.at.Root || self.PURL() != "" {
			at := *jar.at
			at.Jar = jar.Format()
			found(&at, self)
		}
		for _, p := range merged {
			found(jar.at, p)
		}
	}
}
