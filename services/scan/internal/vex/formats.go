package vex

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"assize.dev/shared/event"
)

// text is a JSON string, or an object.
type text struct {
	value  string
	object map[string]json.RawMessage
}

func (t *text) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &t.value)
	}
	return json.Unmarshal(data, &t.object)
}

func (t *text) get(member string) string {
	var s string
	_ = json.Unmarshal(t.object[member], &s) // absent or another shape: no text
	return s
}

// parseOpenVEX reads OpenVEX 0.0.1 to 0.2.0, in which vulnerabilities and
// products are texts or objects.
func parseOpenVEX(document []byte) ([]Statement, error) {
	var doc struct {
		ID         string `json:"@id"`
		Author     string `json:"author"`
		Timestamp  string `json:"timestamp"`
		Statements []struct {
			Vulnerability text   `json:"vulnerability"`
			Timestamp     string `json:"timestamp"`
			Products      []text `json:"products"`
			Subcomponents []text `json:"subcomponents"`
			Status        string `json:"status"`
			Justification string `json:"justification"`
			Impact        string `json:"impact_statement"`
			Action        string `json:"action_statement"`
		} `json:"statements"`
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		return nil, fmt.Errorf("OpenVEX: %w", err)
	}
	var out []Statement
	for _, s := range doc.Statements {
		one := Statement{Time: when(s.Timestamp, doc.Timestamp), VEX: event.VEX{
			Status: s.Status, Justification: s.Justification, Statement: firstOf(s.Impact, s.Action), Author: doc.Author, Source: doc.ID,
		}}
		one.IDs = idsOf(s.Vulnerability)
		for _, p := range s.Products {
			product := Product{PURL: purlOf(p)}
			var inner []text
			if err := json.Unmarshal(p.object["subcomponents"], &inner); err != nil && p.object["subcomponents"] != nil {
				return nil, fmt.Errorf("OpenVEX: subcomponents: %w", err)
			}
			named := append(inner, s.Subcomponents...)
			for _, c := range named {
				if purl := purlOf(c); purl != "" {
					product.Parts = append(product.Parts, purl)
				}
			}
			// Parts that are named otherwise must not become "all of it".
			if product.PURL != "" && (len(product.Parts) > 0 || len(named) == 0) {
				one.Products = append(one.Products, product)
			}
		}
		if len(one.Products) > 0 {
			out = append(out, one)
		}
	}
	return some(out, "OpenVEX")
}

func idsOf(v text) []string {
	ids := []string{}
	for _, id := range []string{v.value, v.get("name"), lastSegment(v.get("@id"))} {
		if id != "" {
			ids = append(ids, id)
		}
	}
	var aliases []string
	_ = json.Unmarshal(v.object["aliases"], &aliases) // absent or another shape: none
	return append(ids, aliases...)
}

// lastSegment: ids are often addresses of pages that end in the name.
func lastSegment(id string) string {
	return id[strings.LastIndexByte(id, '/')+1:]
}

func purlOf(p text) string {
	var identifiers struct {
		PURL string `json:"purl"`
	}
	_ = json.Unmarshal(p.object["identifiers"], &identifiers) // absent: the id may be one
	for _, s := range []string{identifiers.PURL, p.value, p.get("@id")} {
		if strings.HasPrefix(s, "pkg:") {
			return s
		}
	}
	return ""
}

// parseCycloneDX reads the vulnerabilities of a CycloneDX document that have
// an analysis.
func parseCycloneDX(document []byte) ([]Statement, error) {
	type component struct {
		Ref        string `json:"bom-ref"`
		PURL       string `json:"purl"`
		Components []json.RawMessage
	}
	var doc struct {
		Serial   string `json:"serialNumber"`
		Metadata struct {
			Timestamp string          `json:"timestamp"`
			Component json.RawMessage `json:"component"`
			Supplier  struct {
				Name string `json:"name"`
			} `json:"supplier"`
		} `json:"metadata"`
		Components      []json.RawMessage `json:"components"`
		Vulnerabilities []struct {
			ID         string `json:"id"`
			References []struct {
				ID string `json:"id"`
			} `json:"references"`
			Analysis *struct {
				State         string `json:"state"`
				Justification string `json:"justification"`
				Detail        string `json:"detail"`
				LastUpdated   string `json:"lastUpdated"`
			} `json:"analysis"`
			Affects []struct {
				Ref string `json:"ref"`
			} `json:"affects"`
		} `json:"vulnerabilities"`
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		return nil, fmt.Errorf("CycloneDX: %w", err)
	}
	purls := map[string]string{}
	pending := append([]json.RawMessage{}, doc.Components...)
	if doc.Metadata.Component != nil {
		pending = append(pending, doc.Metadata.Component)
	}
	for i := 0; i < len(pending) && i < maxStatements; i++ {
		var c component
		if err := json.Unmarshal(pending[i], &c); err != nil {
			return nil, fmt.Errorf("CycloneDX: component: %w", err)
		}
		if c.Ref != "" && c.PURL != "" {
			purls[c.Ref] = c.PURL
		}
		pending = append(pending, c.Components...)
	}
	var out []Statement
	for _, v := range doc.Vulnerabilities {
		if v.Analysis == nil || v.Analysis.State == "" {
			continue
		}
		one := Statement{IDs: []string{v.ID}, Time: when(v.Analysis.LastUpdated, doc.Metadata.Timestamp), VEX: event.VEX{
			Status: v.Analysis.State, Justification: v.Analysis.Justification, Statement: v.Analysis.Detail,
			Author: doc.Metadata.Supplier.Name, Source: doc.Serial,
		}}
		switch v.Analysis.State {
		case "exploitable":
			one.Status = event.VEXAffected
		case "in_triage":
			one.Status = event.VEXUnderInvestigation
		case "resolved", "resolved_with_pedigree":
			one.Status = event.VEXFixed
		case "false_positive":
			one.Status = event.VEXNotAffected
			one.Justification = firstOf(one.Justification, "false_positive")
		}
		for _, r := range v.References {
			one.IDs = append(one.IDs, r.ID)
		}
		for _, a := range v.Affects {
			ref := a.Ref
			if i := strings.LastIndexByte(ref, '#'); strings.HasPrefix(ref, "urn:cdx:") && i >= 0 {
				ref = ref[i+1:] // a BOM-Link
			}
			purl := firstOf(purls[ref], ref)
			if strings.HasPrefix(purl, "pkg:") {
				one.Products = append(one.Products, Product{PURL: purl})
			}
		}
		if len(one.Products) > 0 {
			out = append(out, one)
		}
	}
	return some(out, "CycloneDX")
}

// csafBranch is a node of a product tree.
type csafBranch struct {
	Branches []csafBranch `json:"branches"`
	Product  *csafProduct `json:"product"`
}

type csafProduct struct {
	ID     string `json:"product_id"`
	Helper struct {
		PURL string `json:"purl"`
	} `json:"product_identification_helper"`
}

// parseCSAF reads a CSAF 2.0 document of the VEX profile (section 4.5).
func parseCSAF(document []byte) ([]Statement, error) {
	var doc struct {
		Document struct {
			Publisher struct {
				Name string `json:"name"`
			} `json:"publisher"`
			Tracking struct {
				ID      string `json:"id"`
				Current string `json:"current_release_date"`
			} `json:"tracking"`
		} `json:"document"`
		Tree struct {
			csafBranch
			Names         []csafProduct `json:"full_product_names"`
			Relationships []struct {
				Of   string      `json:"product_reference"`
				In   string      `json:"relates_to_product_reference"`
				Name csafProduct `json:"full_product_name"`
			} `json:"relationships"`
		} `json:"product_tree"`
		Vulnerabilities []struct {
			CVE string `json:"cve"`
			IDs []struct {
				Text string `json:"text"`
			} `json:"ids"`
			Status map[string][]string `json:"product_status"`
			Flags  []struct {
				Label    string   `json:"label"`
				Products []string `json:"product_ids"`
			} `json:"flags"`
			Threats []struct {
				Category string   `json:"category"`
				Details  string   `json:"details"`
				Products []string `json:"product_ids"`
			} `json:"threats"`
		} `json:"vulnerabilities"`
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		return nil, fmt.Errorf("CSAF: %w", err)
	}
	products := map[string]Product{}
	note := func(p *csafProduct) {
		if p != nil && p.Helper.PURL != "" {
			products[p.ID] = Product{PURL: p.Helper.PURL}
		}
	}
	pending := []csafBranch{doc.Tree.csafBranch}
	for len(pending) > 0 {
		b := pending[len(pending)-1]
		pending = append(pending[:len(pending)-1], b.Branches...)
		note(b.Product)
	}
	for i := range doc.Tree.Names {
		note(&doc.Tree.Names[i])
	}
	for _, r := range doc.Tree.Relationships {
		of, in := products[r.Of].PURL, products[r.In].PURL
		switch {
		case of != "" && in != "":
			products[r.Name.ID] = Product{PURL: in, Parts: []string{of}}
		case of != "":
			products[r.Name.ID] = Product{PURL: of}
		}
		note(&r.Name)
	}
	var out []Statement
	for _, v := range doc.Vulnerabilities {
		ids := []string{}
		if v.CVE != "" {
			ids = append(ids, v.CVE)
		}
		for _, id := range v.IDs {
			ids = append(ids, id.Text)
		}
		for _, s := range csafStatuses {
			for _, id := range v.Status[s.name] {
				product, known := products[id]
				if !known {
					continue
				}
				one := Statement{IDs: ids, Products: []Product{product}, Time: when(doc.Document.Tracking.Current), VEX: event.VEX{
					Status: s.status, Author: doc.Document.Publisher.Name, Source: doc.Document.Tracking.ID,
				}}
				for _, f := range v.Flags {
					if contains(f.Products, id) {
						one.Justification = f.Label
					}
				}
				for _, t := range v.Threats {
					if t.Category == "impact" && contains(t.Products, id) {
						one.Statement = t.Details
					}
				}
				out = append(out, one)
			}
		}
	}
	return some(out, "CSAF")
}

var csafStatuses = []struct{ name, status string }{
	{"known_not_affected", event.VEXNotAffected}, {"known_affected", event.VEXAffected}, {"first_affected", event.VEXAffected},
	{"last_affected", event.VEXAffected}, {"fixed", event.VEXFixed}, {"first_fixed", event.VEXFixed}, {"under_investigation", event.VEXUnderInvestigation},
}

// contains: a list that is left out means all products.
func contains(products []string, id string) bool {
	for _, p := range products {
		if p == id {
			return true
		}
	}
	return len(products) == 0
}

// some refuses a document without a statement about packages: who gives one
// expects it to count.
func some(all []Statement, format string) ([]Statement, error) {
	if len(all) == 0 {
		return nil, errors.New(format + ": no statement about a product that is named by package URL")
	}
	return all, nil
}

func firstOf(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}

// when is the first of some times that can be read.
func when(all ...string) time.Time {
	for _, s := range all {
		if t, err := time.Parse(time.RFC3339, s); err == nil {
			return t
		}
	}
	return time.Time{}
}
