package advisory

import (
	"fmt"
	"strings"
	"testing"

	"assize.dev/shared/event"
)

func osv(id, modified, ecosystem, name string, more ...string) string {
	return fmt.Sprintf(`{"id":%q,"modified":%q,%s"affected":[{"package":{"ecosystem":%q,"name":%q},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]}]}`,
		id, modified, strings.Join(more, ""), ecosystem, name)
}

func TestRating(t *testing.T) {
	v3 := `"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:U/C:N/I:L/A:N"}],`
	for name, test := range map[string]struct {
		record string
		want   Rating
	}{
		"v3":           {osv("A", "x", "npm", "a", v3), Rating{event.Medium, 4.3}},
		"v2":           {osv("A", "x", "npm", "a", `"severity":[{"type":"CVSS_V2","score":"AV:N/AC:L/Au:N/C:C/I:C/A:C"}],`), Rating{event.High, 10}},
		"v4":           {osv("A", "x", "npm", "a", `"severity":[{"type":"CVSS_V4","score":"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}],`), Rating{event.Critical, 9.3}},
		"the worst":    {osv("A", "x", "npm", "a", `"severity":[{"type":"CVSS_V3","score":"CVSS:3.0/AV:N/AC:L/PR:L/UI:N/S:U/C:N/I:L/A:N"},{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],`), Rating{event.Critical, 9.8}},
		"word":         {osv("A", "x", "npm", "a", `"database_specific":{"severity":"MODERATE"},`), Rating{event.Medium, 0}},
		"odd specific": {osv("A", "x", "npm", "a", `"database_specific":{"severity":7,"categories":{}},`), Rating{event.Unknown, 0}},
		"broken":       {osv("A", "x", "npm", "a", `"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:"}],"database_specific":{"severity":"LOW"},`), Rating{event.Low, 0}},
		"ubuntu":       {osv("A", "x", "Ubuntu:22.04:LTS", "a", `"severity":[{"type":"Ubuntu","score":"negligible"}],`), Rating{event.Low, 0}},
		"erratum":      {osv("ALSA-1", "x", "AlmaLinux:9", "a", `"summary":"Important: a security update",`), Rating{event.High, 0}},
		"bug fix":      {osv("ALBA-1", "x", "AlmaLinux:9", "a"), Rating{event.Info, 0}},
		"none":         {osv("A", "x", "npm", "a"), Rating{event.Unknown, 0}},
		"malware":      {osv("MAL-1", "x", "npm", "a", v3), Rating{event.Critical, 0}},
	} {
		r, err := Decode([]byte(test.record))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := r.Affected[0].Rating; got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(osv("A", "2026-01-01T00:00:00Z", "npm", "a")))
	f.Add([]byte(`{"id":"A","severity":[{"score":"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}],"affected":[{"package":{"ecosystem":"npm","name":"a"},"ranges":[{"type":"GIT"}],"database_specific":{"cvss":"CVSS:3.1/AV:N"}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Decode(data)
		if err == nil && (r.ID == "" || len([]rune(r.Summary)) > MaxSummary) {
			t.Errorf("accepted %+v", r)
		}
		_ = DecodeTracker(data, func(_ string, r *Record, _ []byte, err error) {
			if err == nil && r.ID == "" {
				t.Error("accepted a group without a name")
			}
		})
	})
}
