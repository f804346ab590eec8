package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/config"
)

// settings are the names of the variables a program reads.
type settings map[string]bool

var settingName = regexp.MustCompile(`\bASSIZE_[A-Z0-9_]+\b`)

// knownSettings is what each image's program reads: as the services
// themselves list it, and as the sources of the other two say.
func knownSettings(t *testing.T) map[string]settings {
	t.Helper()
	bin := binaries(t)
	known := map[string]settings{"assize": {}, "store": {}}
	for _, name := range serviceNames {
		table, err := exec.Command(filepath.Join(bin, name), "env").Output()
		if err != nil {
			t.Fatalf("%s env: %v", name, err)
		}
		known[name] = settings{}
		known[name].add(string(table))
	}
	var table strings.Builder
	if err := config.Table(&table, bus.Config{}, blob.Config{}); err != nil {
		t.Fatal(err)
	}
	known["assize"].add(table.String())
	known["assize"].addSources(t, filepath.Join("..", "cmd", "assize"))
	known["store"].addSources(t, filepath.Join("..", "deploy", "store"))
	return known
}

func (s settings) add(text string) {
	for _, name := range settingName.FindAllString(text, -1) {
		s[name] = true
	}
}

// addSources adds what the Go files of a folder name in string literals; a
// variable read by fromEnvOrFile or into a config.Secret may also be a file.
func (s settings) addSources(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no Go files in %s (%v)", dir, err)
	}
	literal := regexp.MustCompile(`(Secret .env:|fromEnvOrFile\()?"(ASSIZE_[A-Z0-9_]+)"`)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range literal.FindAllStringSubmatch(string(text), -1) {
			s[m[2]] = true
			if m[1] != "" {
				s[m[2]+"_FILE"] = true
			}
		}
	}
}

// madeSecrets are the files that secrets.sh makes.
func madeSecrets(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	makeSecrets(t, dir)
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name())
	}
	return names
}

// makeSecrets runs secrets.sh with the CLI as built for the tests.
func makeSecrets(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.Command(filepath.Join("..", "deploy", "compose", "secrets.sh"))
	cmd.Env = append(os.Environ(), "ASSIZE_SECRETS_DIR="+dir,
		"PATH="+binaries(t)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("secrets.sh: %v\n%s", err, out)
	}
}

// imageOf is which of our images a reference names, and what it knows; nil if
// it is none of ours.
func imageOf(known map[string]settings, reference string) (name string, has settings) {
	name, tag, _ := strings.Cut(reference, ":")
	name, ours := strings.CutPrefix(name, "assize/")
	if !ours || tag != "dev" {
		return "", nil
	}
	return name, known[name]
}
