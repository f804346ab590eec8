package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

const composeDir = "../deploy/compose"

// composeKeys is what the schema of docker-compose 1.29.2 knows of what the
// file may want to say; it knows more. Whatever came later, such as name or
// include, makes it refuse the file.
var composeKeys = map[string][]string{
	"file": {"services", "networks", "volumes", "secrets", "configs"},
	"service": {
		"cap_add", "cap_drop", "command", "configs", "container_name", "cpus", "depends_on", "deploy", "dns",
		"entrypoint", "env_file", "environment", "expose", "extends", "extra_hosts", "group_add", "healthcheck",
		"hostname", "image", "init", "labels", "logging", "mem_limit", "network_mode", "networks", "pids_limit",
		"ports", "profiles", "pull_policy", "read_only", "restart", "scale", "secrets", "security_opt", "shm_size",
		"stop_grace_period", "stop_signal", "sysctls", "tmpfs", "ulimits", "user", "volumes", "working_dir",
	},
	"healthcheck": {"disable", "interval", "retries", "start_period", "test", "timeout"},
	"depends_on":  {"condition"},
	"secret":      {"external", "file", "name"},
	"network":     {"driver", "driver_opts", "external", "internal", "ipam", "labels", "name"},
	"volume":      {"driver", "driver_opts", "external", "labels", "name"},
}

// composeFile is as much of the file as the tests look at. Nodes stay
// generic so that their keys can be looked at.
type composeFile struct {
	top      map[string]any
	services map[string]map[string]any
}

func readComposeFile(t *testing.T) composeFile {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(composeDir, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	// What is not chosen has its default.
	text = regexp.MustCompile(`\$\{[A-Z0-9_]+:-([^}]*)\}`).ReplaceAll(text, []byte("$1"))
	if i := strings.Index(string(text), "${"); i >= 0 {
		t.Fatalf("a variable without a default: %.40q", text[i:])
	}
	c := composeFile{services: map[string]map[string]any{}}
	if err := yaml.Unmarshal(text, &c.top); err != nil {
		t.Fatal(err)
	}
	for name, s := range section(c.top, "services") {
		c.services[name], _ = s.(map[string]any)
	}
	if len(c.services) == 0 {
		t.Fatal("no services")
	}
	return c
}

func section(node map[string]any, name string) map[string]any {
	m, _ := node[name].(map[string]any)
	return m
}

func words(node map[string]any, name string) (list []string) {
	items, _ := node[name].([]any)
	for _, item := range items {
		list = append(list, fmt.Sprint(item))
	}
	return list
}

func TestComposeFileSuitsOldCompose(t *testing.T) {
	c := readComposeFile(t)
	check := func(where, kind string, node map[string]any) {
		for key := range node {
			if !slices.Contains(composeKeys[kind], key) && !(kind == "file" && strings.HasPrefix(key, "x-")) {
				t.Errorf("%s: docker-compose 1.29.2 does not know %q", where, key)
			}
		}
	}
	check("compose.yaml", "file", c.top)
	for kind, name := range map[string]string{"secret": "secrets", "network": "networks", "volume": "volumes"} {
		for key := range section(c.top, name) {
			check(name+" "+key, kind, section(section(c.top, name), key))
		}
	}
	for name, s := range c.services {
		check(name, "service", s)
		check(name, "healthcheck", section(s, "healthcheck"))
		for other := range section(s, "depends_on") {
			if c.services[other] == nil {
				t.Errorf("%s depends on %s, which is not there", name, other)
			}
			check(name+" on "+other, "depends_on", section(section(s, "depends_on"), other))
		}
	}
}

func TestComposeFileSuitsWhatItStarts(t *testing.T) {
	c := readComposeFile(t)
	known, made := knownSettings(t), madeSecrets(t)
	declared := section(c.top, "secrets")
	for name := range declared {
		file := fmt.Sprint(section(declared, name)["file"])
		if file != "./secrets/"+name || !slices.Contains(made, name) {
			t.Errorf("secret %s is file %s; secrets.sh makes %v", name, file, made)
		}
	}
	ran := map[string]bool{}
	for name, s := range c.services {
		image, has := imageOf(known, fmt.Sprint(s["image"]))
		if has == nil {
			t.Errorf("%s: image %v is not one that images.sh builds", name, s["image"])
			continue
		}
		ran[image] = true
		mounted := map[string]bool{}
		for _, secret := range words(s, "secrets") {
			if declared[secret] == nil {
				t.Errorf("%s: secret %s is not declared", name, secret)
			}
			mounted["/run/secrets/"+secret] = true
		}
		for variable, value := range section(s, "environment") {
			if strings.HasPrefix(variable, "ASSIZE_") && !has[variable] {
				t.Errorf("%s: assize/%s does not know %s", name, image, variable)
			}
			if path := fmt.Sprint(value); strings.HasPrefix(path, "/run/secrets/") && !mounted[path] {
				t.Errorf("%s: %s is %s, which is not mounted", name, variable, path)
			}
		}
		for path := range mounted {
			if !slices.Contains(slices.Collect(maps.Values(section(s, "environment"))), any(path)) {
				t.Errorf("%s: %s is mounted and not used", name, path)
			}
		}
		lasts := s["restart"] != nil
		if test := words(section(s, "healthcheck"), "test"); lasts && (len(test) < 2 || test[0] != "CMD" || test[1] != "/bin/main") {
			t.Errorf("%s: health check %q; there is only /bin/main to run", name, test)
		}
		for _, port := range words(s, "ports") {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s: port %s is open to the network", name, port)
			}
		}
	}
	for image := range known {
		if !ran[image] {
			t.Errorf("no service runs assize/%s", image)
		}
	}
}

// Each Compose that is installed has the last word.
func TestComposeAcceptsTheFile(t *testing.T) {
	programs := installedComposes()
	if len(programs) == 0 {
		t.Skip("neither docker-compose nor the plugin of docker is installed")
	}
	for _, program := range programs {
		cmd := exec.Command(program[0], append(program[1:], "config", "-q")...)
		cmd.Dir = composeDir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v config: %v\n%s", program, err, out)
		}
	}
}

// installedComposes are the commands of Compose on this machine, the one
// that up.sh takes first.
func installedComposes() (programs [][]string) {
	for _, program := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		if exec.Command(program[0], append(program[1:], "version")...).Run() == nil {
			programs = append(programs, program)
		}
	}
	return programs
}
