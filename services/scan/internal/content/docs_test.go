package content

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of rules into docs/content.md")

// TestDocs: the table in docs/content.md is that of the rules.
func TestDocs(t *testing.T) {
	const file, mark = "../../../../docs/content.md", "| rule | severity |"
	var table strings.Builder
	table.WriteString(mark + " what it says of an entry | what to do |\n|---|---|---|---|\n")
	for _, r := range rules {
		severity := string(r.severity)
		if r.system != "" {
			severity += ", " + string(r.system) + " in system packages"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", r.id, severity, r.means, r.advice)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, _, found := strings.Cut(string(text), mark)
	if !found {
		t.Fatalf("%s has no table", file)
	}
	want := before + table.String()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(text) != want {
		t.Errorf("%s is not that of the rules: go test ./services/scan/internal/content -run TestDocs -update", file)
	}
}
