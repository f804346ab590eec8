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
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// Bounds of the list of components that a policy sees.
const (
	maxSBOM       = 128 << 20 // bytes
	maxComponents = 100_000
	maxListed     = 16 << 20 // bytes of names and licences
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
	text, err := object(ctx, store, document.Key, maxSBOM)
	switch {
	case errors.Is(err, blob.ErrNotFound), errors.Is(err, blob.ErrKey), errors.Is(err, blob.ErrCorrupt), errors.Is(err, errTooLarge):
		c.Without = fmt.Sprintf("the SBOM cannot be had: %.200s", err)
		return nil
	case err != nil:
		return fmt.Errorf("read SBOM: %w", err)
	case digest.Of(text) != document.Digest:
		c.Without = "the SBOM is not the one that the evidence names"
		return nil
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
		l.add(*doc.Metadata.Component)
	}
	for _, c := range doc.Components {
		l.add(c)
	}
	switch {
	case len(l.all) == 0:
		return nil, errors.New("it describes nothing")
	case len(l.all) > maxComponents:
		return nil, fmt.Errorf("it lists more than %d components", maxComponents)
	case l.size > maxListed:
		return nil, fmt.Errorf("its components' names and licences take more than %d bytes", maxListed)
	}
	return l.all, nil
}

type componentList struct {
	all  []policy.Component
	size int
}

func (l *componentList) add(c cdxComponent) {
	if len(l.all) > maxComponents || l.size > maxListed {
		return
	}
	one := policy.Component{PURL: cut(c.PURL), Name: cut(strings.TrimSpace(c.Group + " " + c.Name + " " + c.Version)), Licenses: []string{}}
	for _, said := range c.Licenses {
		name := said.Expression
		if name == "" && said.License != nil {
			name = said.License.ID
			if name == "" {
				name = said.License.Name
			}
		}
		if name = cut(name); name != "" && !slices.Contains(one.Licenses, name) {
			one.Licenses = append(one.Licenses, name)
			l.size += len(name)
		}
	}
	l.size += len(one.PURL) + len(one.Name)
	l.all = append(l.all, one)
	for _, nested := range c.Components {
		l.add(nested)
	}
}

func cut(s string) string {
	if len(s) <= maxWord {
		return s
	}
	return strings.ToValidUTF8(s[:maxWord], "") + "…"
}
