package verdict

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"assize.dev/services/verdict/internal/policy"
	"assize.dev/shared/blob"
	"assize.dev/shared/event"
)

// Bounds of the list of components that a policy sees.
const (
	maxSBOM       = 64 << 20 // bytes, as of what is scanned
	maxComponents = 100_000
	maxListed     = 16 << 20 // bytes of them in a record
	maxWord       = 1024     // bytes of each; longer ones are cut, and then match nothing
)

// AddComponents reads, for a policy that asks for them, the components of a
// case that has none yet from its SBOM. An SBOM that is missing or no CycloneDX
// is a fault of the case, as is having no store; an error means that the store
// cannot be read.
func AddComponents(ctx context.Context, store blob.Store, p *Policy, c *Case) error {
	if !p.NeedsComponents() || len(c.Components) > 0 || c.Without != "" {
		return nil
	}
	if store == nil {
		c.Without = "the record has no list of components, and there is no store to read the SBOM from"
		return nil
	}
	document := sbomOf(c)
	if document == nil {
		c.Without = "there is no SBOM"
		return nil
	}
	text, err := blob.GetDocument(ctx, store, document.Digest, maxSBOM)
	switch {
	case errors.Is(err, blob.ErrNotFound), errors.Is(err, blob.ErrCorrupt), errors.Is(err, blob.ErrTooLarge):
		c.Without = fmt.Sprintf("the SBOM cannot be had: %.200s", err)
		return nil
	case err != nil:
		return fmt.Errorf("read SBOM: %w", err)
	}
	if c.Components, err = componentsOf(text); err != nil {
		c.Without = fmt.Sprintf("the SBOM cannot be read: %.200s", err)
	}
	return nil
}

// sbomOf is the document that evidence about this artifact names, nil if there
// is none that can be relied on.
func sbomOf(c *Case) *event.Document {
	for _, piece := range c.Evidence {
		if piece.Kind != event.KindSBOM || piece.Fault != "" || piece.Evidence == nil {
			continue
		}
		documents := piece.Evidence.Documents
		if i := slices.IndexFunc(documents, func(d event.Document) bool { return d.Name == "sbom" }); i >= 0 {
			return &documents[i]
		}
	}
	return nil
}

// cdxComponent is as much of a CycloneDX component as policies ask for.
type cdxComponent struct {
	Group    string `json:"group"`
	Name     string `json:"name"`
	Version  string `json:"version"`
	PURL     string `json:"purl"`
	Licenses []struct {
		Expression string `json:"expression"`
		License    *struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"license"`
	} `json:"licenses"`
	Components []cdxComponent `json:"components"`
}

// componentsOf lists what a CycloneDX document describes (CycloneDX 1.5 to 1.7,
// "metadata.component" and "components"), nested ones after what has them.
func componentsOf(text []byte) ([]policy.Component, error) {
	var doc struct {
		BOMFormat string `json:"bomFormat"`
		Metadata  struct {
			Component *cdxComponent `json:"component"`
		} `json:"metadata"`
		Components []cdxComponent `json:"components"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	if doc.BOMFormat != "CycloneDX" {
		return nil, fmt.Errorf("its bomFormat is %.40q, not CycloneDX", doc.BOMFormat)
	}
	var l componentList
	if doc.Metadata.Component != nil {
		doc.Components = append([]cdxComponent{*doc.Metadata.Component}, doc.Components...)
	}
	if err := l.addAll(doc.Components); err != nil {
		return nil, err
	}
	if len(l.all) == 0 {
		return nil, errors.New("it describes nothing")
	}
	return l.all, nil
}

type componentList struct {
	all  []policy.Component
	size int
}

func (l *componentList) addAll(components []cdxComponent) error {
	for _, c := range components {
		if err := l.add(c); err != nil {
			return err
		}
	}
	return nil
}

func (l *componentList) add(c cdxComponent) error {
	if len(l.all) == maxComponents {
		return fmt.Errorf("it lists more than %d components", maxComponents)
	}
	if l.size > maxListed {
		return fmt.Errorf("its components' names and licences take more than %d bytes", maxListed)
	}
	one := policy.Component{PURL: clipped(maxWord, c.PURL), Name: clipped(maxWord, strings.TrimSpace(c.Group+" "+c.Name+" "+c.Version)), Licenses: []string{}}
	for _, said := range c.Licenses {
		expression, name := said.Expression, ""
		if said.License != nil && expression == "" {
			expression, name = said.License.ID, said.License.Name
		}
		switch {
		case expression != "":
			one.Licenses = append(one.Licenses, clipped(maxWord, expression))
		case name != "":
			one.Named = append(one.Named, clipped(maxWord, name))
		}
	}
	text, err := json.Marshal(one)
	if err != nil {
		return err
	}
	l.size += len(text)
	l.all = append(l.all, one)
	return l.addAll(c.Components)
}
