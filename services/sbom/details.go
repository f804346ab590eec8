package sbom

import (
	"cmp"
	"maps"
	"net/mail"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"assize.dev/shared/identify"
)

// dependencies writes who needs whom, and of whom that is known: a component
// whose metadata has no place for it has no entry, which is not the same as an
// empty one.
func (r *Result) dependencies(root string, components []cdx.Component) ([]cdx.Dependency, []cdx.Composition) {
	var out []cdx.Dependency
	whole := cdx.CompositionAggregateComplete
	if !r.Complete() {
		whole = cdx.CompositionAggregateIncomplete
	}
	compositions := []cdx.Composition{{Aggregate: whole, Assemblies: &[]cdx.BOMReference{cdx.BOMReference(root)}}}
	known := map[cdx.CompositionAggregate][]cdx.BOMReference{}
	add := func(ref string, n Needs) {
		if n.Stated || len(n.Met) > 0 {
			var on []string
			for _, i := range n.Met {
				on = append(on, components[i].BOMRef)
			}
			out = append(out, cdx.Dependency{Ref: ref, Dependencies: listOrNil(on)})
		}
		aggregate := cdx.CompositionAggregateComplete
		switch {
		case !n.Stated:
			aggregate = cdx.CompositionAggregateUnknown
		case len(n.Missing) > 0:
			aggregate = cdx.CompositionAggregateIncomplete
		}
		known[aggregate] = append(known[aggregate], cdx.BOMReference(ref))
	}
	add(root, r.Needs)
	for i := range components {
		add(components[i].BOMRef, r.Components[i].Needs)
	}
	for _, aggregate := range slices.Sorted(maps.Keys(known)) {
		refs := known[aggregate]
		compositions = append(compositions, cdx.Composition{Aggregate: aggregate, Dependencies: &refs})
	}
	return out, compositions
}

// listOrNil leaves an empty list out, as the library does when it copies.
func listOrNil[T any](list []T) *[]T {
	if len(list) == 0 {
		return nil
	}
	return &list
}

// needProperties tell what is needed and not in the artifact.
func needProperties(n Needs) (out []cdx.Property) {
	for _, m := range n.Missing {
		out = append(out, cdx.Property{Name: "assize:needs", Value: printable(m)})
	}
	return out
}

// fileProperties are those that BSI TR-03183-2 (2.1.0, 5.2.2) asks for about
// a file.
func fileProperties(name, format string) []cdx.Property {
	executable, archive, structured := "non-executable", "no archive", "unstructured"
	switch format {
	case identify.ELF, identify.PE, identify.MachO:
		executable = "executable"
	case identify.PSPF, identify.JAR, identify.WAR, identify.EAR, identify.Android:
		executable = "executable"
		archive, structured = "archive", "structured"
	case identify.Unknown, "":
	default:
		archive, structured = "archive", "structured"
	}
	return []cdx.Property{
		{Name: "bsi:component:filename", Value: printable(name)},
		{Name: "bsi:component:executable", Value: executable},
		{Name: "bsi:component:archive", Value: archive},
		{Name: "bsi:component:structured", Value: structured},
	}
}

// supplier tells names, addresses and links apart.
func supplier(said string) *cdx.OrganizationalEntity {
	if said == "" {
		return nil
	}
	if strings.HasPrefix(said, "https://") || strings.HasPrefix(said, "http://") {
		return &cdx.OrganizationalEntity{URL: &[]string{said}}
	}
	if a, err := mail.ParseAddress(said); err == nil {
		return &cdx.OrganizationalEntity{
			Name:    cmp.Or(a.Name, a.Address),
			Contact: &[]cdx.OrganizationalContact{{Name: a.Name, Email: a.Address}},
		}
	}
	return &cdx.OrganizationalEntity{Name: said}
}

// hashList is in the order of the algorithms' names.
func hashList(sums map[string]string) *[]cdx.Hash {
	var out []cdx.Hash
	for _, algorithm := range slices.Sorted(maps.Keys(sums)) {
		if sums[algorithm] != "" {
			out = append(out, cdx.Hash{Algorithm: cdx.HashAlgorithm(algorithm), Value: sums[algorithm]})
		}
	}
	return listOrNil(out)
}

// formulation lists what was installed where the artifact was built: none of
// it is in the artifact.
func (r *Result) formulation() *[]cdx.Formula {
	if len(r.BuiltWith) == 0 {
		return nil
	}
	var with []cdx.Component
	for _, p := range r.BuiltWith {
		with = append(with, cdx.Component{Type: cdx.ComponentTypeLibrary, Name: p.FullName(), Version: p.Version, PackageURL: p.PURL()})
	}
	return &[]cdx.Formula{{Components: &with}}
}
