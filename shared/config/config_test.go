package config_test

import (
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"

	"assize.dev/shared/config"
)

type store struct {
	URL    *url.URL      `env:"URL, default=dir:///var/lib/assize" help:"where blobs are kept"`
	Secret config.Secret `env:"SECRET" help:"secret key of the store"`
}

type service struct {
	HTTP     string        `env:"ASSIZE_HTTP, default=:8080" help:"address"`
	Drain    time.Duration `env:"ASSIZE_DRAIN, default=25s" help:"how long"`
	Workers  int           `env:"ASSIZE_WORKERS, default=4" help:"how many"`
	Accepted []string      `env:"ASSIZE_ACCEPTED, default=npm,pypi" help:"which"`
	Name     string        `env:"ASSIZE_NAME, required" help:"who"`
	Alias    string        `env:"ASSIZE_ALIAS, default=$ASSIZE_HTTP" help:"same"`
	Level    slog.Level    `env:"ASSIZE_LEVEL" help:"how loud"`
	Store    store         `env:", prefix=ASSIZE_STORE_"`
	ignored  int
}

func TestLoad(t *testing.T) {
	tests := map[string]struct {
		env  map[string]string
		held service
		want func(service) bool
	}{
		"defaults": {
			env: map[string]string{"ASSIZE_NAME": "n"},
			want: func(c service) bool {
				return c.ignored == 0 && c.HTTP == ":8080" && c.Drain == 25*time.Second && c.Workers == 4 &&
					slices.Equal(c.Accepted, []string{"npm", "pypi"}) && c.Store.URL.Path == "/var/lib/assize"
			},
		},
		"set": {
			env:  map[string]string{"ASSIZE_NAME": "n", "ASSIZE_DRAIN": "3s", "ASSIZE_STORE_SECRET": "x"},
			want: func(c service) bool { return c.Drain == 3*time.Second && c.Store.Secret.Reveal() == "x" },
		},
		"empty is unset": {
			env:  map[string]string{"ASSIZE_NAME": "n", "ASSIZE_DRAIN": "", "ASSIZE_STORE_SECRET_FILE": ""},
			want: func(c service) bool { return c.Drain == 25*time.Second },
		},
		"environment wins over what is held": {
			env:  map[string]string{"ASSIZE_NAME": "n", "ASSIZE_WORKERS": "9"},
			held: service{Workers: 2},
			want: func(c service) bool { return c.Workers == 9 },
		},
		"what is held wins over the default": {
			env:  map[string]string{"ASSIZE_NAME": "n"},
			held: service{Workers: 2},
			want: func(c service) bool { return c.Workers == 2 },
		},
		"default from another variable": {
			env:  map[string]string{"ASSIZE_NAME": "n", "ASSIZE_HTTP": ":1"},
			want: func(c service) bool { return c.Alias == ":1" },
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := test.held
			if err := config.Load(t.Context(), envconfig.MapLookuper(test.env), &got); err != nil {
				t.Fatal(err)
			}
			if !test.want(got) {
				t.Errorf("loaded %+v", got)
			}
		})
	}
}

func TestLoadReadsTheProcessEnvironment(t *testing.T) {
	t.Setenv("ASSIZE_NAME", "from-process")
	var got service
	if err := config.Load(t.Context(), nil, &got); err != nil || got.Name != "from-process" {
		t.Errorf("loaded %+v, %v", got, err)
	}
}

func TestLoadReportsEveryProblemByVariable(t *testing.T) {
	var cfg service
	err := config.Load(t.Context(), envconfig.MapLookuper(map[string]string{
		"ASSIZE_DRAIN":     "banana",
		"ASSIZE_WORKERS":   "many",
		"ASSIZE_LEVEL":     "loud",
		"ASSIZE_STORE_URL": "http://%zz",
	}), &cfg)
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	slices.Sort(lines)
	wants := []string{
		`ASSIZE_DRAIN: time: invalid duration "banana"`,
		`ASSIZE_LEVEL: "loud": invalid syntax`,
		`ASSIZE_NAME: is required and not set`,
		`ASSIZE_STORE_URL: parse "http://%zz": invalid URL escape "%zz"`,
		`ASSIZE_WORKERS: strconv.ParseInt: parsing "many": invalid syntax`,
	}
	if !slices.Equal(lines, wants) {
		t.Errorf("problems:\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(wants, "\n"))
	}
	if !errors.Is(err, strconv.ErrSyntax) {
		t.Error("the cause is not wrapped")
	}
}

func TestLoadRefusesWhatItCannotFill(t *testing.T) {
	type cyclic struct {
		Next *cyclic
	}
	var number int
	for name, cfg := range map[string]any{
		"nil": nil, "not a struct": &number, "not a pointer": service{Name: "n"}, "cycle": &cyclic{},
		"unknown option": &struct {
			A string `env:"A, defautl=x"`
		}{},
	} {
		if err := config.Load(t.Context(), envconfig.MapLookuper(map[string]string{"ASSIZE_NAME": "n"}), cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestSecretFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good", "\n word one \n")
	empty := write("empty", " \n")
	huge := write("huge", strings.Repeat("a", 1<<20+1))

	tests := map[string]struct {
		env     map[string]string
		want    string
		problem string
	}{
		"file":    {env: map[string]string{"K_FILE": good}, want: "word one"},
		"value":   {env: map[string]string{"K": "direct"}, want: "direct"},
		"both":    {env: map[string]string{"K": "direct", "K_FILE": good}, problem: "K: is set, and so is K_FILE; set one of them"},
		"empty":   {env: map[string]string{"K_FILE": empty}, problem: "K_FILE: reading a secret: " + empty + " is empty"},
		"huge":    {env: map[string]string{"K_FILE": huge}, problem: "K_FILE: reading a secret: " + huge + " is larger than 1048576 bytes"},
		"absent":  {env: map[string]string{"K_FILE": dir + "/no"}, problem: "K_FILE: reading a secret: open " + dir + "/no: no such file or directory"},
		"neither": {env: map[string]string{}, problem: "K: is required and not set"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var cfg struct {
				K config.Secret `env:"K, required"`
			}
			err := config.Load(t.Context(), envconfig.MapLookuper(test.env), &cfg)
			switch {
			case test.problem == "" && err != nil:
				t.Fatal(err)
			case test.problem != "" && (err == nil || err.Error() != test.problem):
				t.Fatalf("error %v, want %s", err, test.problem)
			}
			if test.problem == "" && cfg.K.Reveal() != test.want {
				t.Errorf("got %q, want %q", cfg.K.Reveal(), test.want)
			}
		})
	}
}

func TestSecretMapIsNotQuotedInErrors(t *testing.T) {
	hidden := strings.Repeat("hide", 3)
	var cfg struct {
		Tokens map[string]config.Secret `env:"TOKENS"`
	}
	err := config.Load(t.Context(), envconfig.MapLookuper(map[string]string{"TOKENS": hidden}), &cfg)
	if err == nil || err.Error() != "TOKENS: the value is malformed" {
		t.Errorf("error %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("25s", "4", "a,b", "dir:///x")
	f.Add("", "", "", "")
	f.Add("-1ns", "0x1g", "\\,", "%zz")
	f.Fuzz(func(t *testing.T, drain, workers, accepted, store string) {
		var cfg service
		err := config.Load(t.Context(), envconfig.MapLookuper(map[string]string{
			"ASSIZE_NAME": "n", "ASSIZE_DRAIN": drain, "ASSIZE_WORKERS": workers,
			"ASSIZE_ACCEPTED": accepted, "ASSIZE_STORE_URL": store,
		}), &cfg)
		if _, bad := time.ParseDuration(drain); drain != "" && bad != nil && err == nil {
			t.Errorf("duration %q was accepted as %s", drain, cfg.Drain)
		}
	})
}
