package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The arrows of the architecture: cmd and tests may use services, services
// may use shared, and nothing points the other way or sideways.
func TestArrows(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Deps", "work")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for dec := json.NewDecoder(out); ; {
		var p struct {
			ImportPath string
			Deps       []string
		}
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		from, ours := strings.CutPrefix(p.ImportPath, "assize.dev/")
		if !ours {
			continue
		}
		seen++
		for _, dep := range p.Deps {
			if why := forbidden(from, dep); why != "" {
				t.Errorf("%s depends on %s: %s", p.ImportPath, dep, why)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if seen < 20 {
		t.Errorf("only %d packages seen", seen)
	}
}

func forbidden(from, dep string) string {
	if strings.HasPrefix(from, "services/audit") && strings.HasPrefix(dep, "github.com/open-policy-agent/") {
		return "audit must stay small: no policy engine"
	}
	to, ours := strings.CutPrefix(dep, "assize.dev/")
	if !ours {
		return ""
	}
	switch {
	case strings.HasPrefix(from, "shared/") && !strings.HasPrefix(to, "shared/"):
		return "shared knows nobody"
	case strings.HasPrefix(from, "services/") && !strings.HasPrefix(to, "shared/") && service(to) != service(from):
		return "services talk through events only"
	}
	return ""
}

func service(path string) string {
	parts := strings.SplitN(path, "/", 3)
	if len(parts) < 2 || parts[0] != "services" {
		return ""
	}
	return parts[1]
}
