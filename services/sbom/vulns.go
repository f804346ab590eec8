package sbom

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"assize.dev/shared/event"
)

// vulnerabilities writes the findings about components, one entry for each
// advisory and what VEX says of it, with all the components it is about.
func (r *Result) vulnerabilities(refs map[string]string) *[]cdx.Vulnerability {
	if len(r.Vulnerabilities) == 0 {
		return nil
	}
	type key struct {
		id  string
		vex event.VEX
	}
	var out []cdx.Vulnerability
	at := map[key]int{}
	for _, f := range sortedFindings(r.Vulnerabilities) {
		k := key{id: f.ID}
		if f.VEX != nil {
			k.vex = *f.VEX
		}
		ref := refs[f.Component]
		if ref == "" {
			continue
		}
		i, known := at[k]
		if !known {
			i = len(out)
			at[k] = i
			out = append(out, vulnerability(f))
		}
		*out[i].Affects = append(*out[i].Affects, cdx.Affects{Ref: ref})
	}
	return &out
}

func sortedFindings(all []event.Finding) []event.Finding {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b event.Finding) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Component, b.Component))
	})
	return all
}

func vulnerability(f event.Finding) cdx.Vulnerability {
	v := cdx.Vulnerability{
		ID: printable(f.ID), Description: printable(f.Message), Affects: &[]cdx.Affects{},
		Ratings: &[]cdx.VulnerabilityRating{{Severity: severity(f.Severity), Method: cdx.ScoringMethodOther}},
	}
	if f.Score > 0 {
		(*v.Ratings)[0].Score = &f.Score
	}
	if !f.Published.IsZero() {
		v.Published = f.Published.UTC().Format(time.RFC3339)
	}
	if len(f.Fixed) > 0 {
		v.Recommendation = printable("not affected: " + strings.Join(f.Fixed, ", "))
	}
	if len(f.Aliases) > 0 {
		var same []cdx.VulnerabilityReference
		for _, alias := range f.Aliases {
			same = append(same, cdx.VulnerabilityReference{ID: printable(alias), Source: &cdx.Source{Name: "alias"}})
		}
		v.References = &same
	}
	var more []cdx.Property
	if f.Class == event.ClassMalware {
		more = append(more, cdx.Property{Name: "assize:class", Value: string(f.Class)})
	}
	if f.KEV != "" {
		more = append(more, cdx.Property{Name: "assize:kev", Value: f.KEV})
	}
	if f.EPSS > 0 {
		more = append(more, cdx.Property{Name: "assize:epss", Value: fmt.Sprint(f.EPSS)})
	}
	if more != nil {
		v.Properties = &more
	}
	if f.VEX != nil {
		v.Analysis = &cdx.VulnerabilityAnalysis{
			State: vexStates[f.VEX.Status], Justification: vexJustifications[f.VEX.Justification],
			Detail: printable(strings.Join(nonEmpty(f.VEX.Statement, f.VEX.Author, f.VEX.Source), "; ")),
		}
	}
	return v
}

func nonEmpty(all ...string) []string {
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}

func severity(s event.Severity) cdx.Severity {
	if s == "" {
		return cdx.SeverityUnknown
	}
	return cdx.Severity(s)
}

// What OpenVEX says, in CycloneDX's words.
var (
	vexStates = map[string]cdx.ImpactAnalysisState{
		event.VEXNotAffected: cdx.IASNotAffected, event.VEXAffected: cdx.IASExploitable,
		event.VEXFixed: cdx.IASResolved, event.VEXUnderInvestigation: cdx.IASInTriage,
	}
	vexJustifications = map[string]cdx.ImpactAnalysisJustification{
		"component_not_present":                             cdx.IAJCodeNotPresent,
		"vulnerable_code_not_present":                       cdx.IAJCodeNotPresent,
		"vulnerable_code_not_in_execute_path":               cdx.IAJCodeNotReachable,
		"vulnerable_code_cannot_be_controlled_by_adversary": cdx.IAJRequiresEnvironment,
		"inline_mitigations_already_exist":                  cdx.IAJProtectedByMitigatingControl,
	}
)

// spdxVulnerabilities: SPDX 2.3 has no place for them but annotations.
func (r *Result) spdxVulnerabilities(elements map[string]common.ElementID, created string) (out []*spdx.Annotation) {
	for _, f := range sortedFindings(r.Vulnerabilities) {
		element, ok := elements[f.Component]
		if !ok {
			continue
		}
		says := fmt.Sprintf("vulnerability %s, %s: %s", f.ID, severity(f.Severity), f.Message)
		if f.VEX != nil {
			says += "; VEX: " + strings.Join(nonEmpty(f.VEX.Status, f.VEX.Justification, f.VEX.Author), ", ")
		}
		out = append(out, &spdx.Annotation{
			Annotator: common.Annotator{AnnotatorType: "Tool", Annotator: "assize-sbom-" + version}, AnnotationDate: created,
			AnnotationType: "OTHER", AnnotationSPDXIdentifier: common.MakeDocElementID("", string(element)), AnnotationComment: printable(says),
		})
	}
	return out
}
