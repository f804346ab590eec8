package config_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"assize.dev/shared/config"
)

func TestTable(t *testing.T) {
	type other struct {
		HTTP  string        `env:"ASSIZE_HTTP, default=:8080" help:"address"`
		Drain time.Duration `env:"ASSIZE_DRAIN, default=1m" help:"differs from the other"`
		Key   config.Secret `env:"ASSIZE_KEY, default=built-in"`
		Inner *store        `env:", noinit, prefix=ASSIZE_OTHER_"`
	}
	// A value that is held must not show, least of all a secret.
	held := service{Store: store{Secret: config.Secret("held")}}

	const want = `VARIABLE             DEFAULT                MEANING
ASSIZE_HTTP          :8080                  address
ASSIZE_DRAIN         25s                    how long
ASSIZE_WORKERS       4                      how many
ASSIZE_ACCEPTED      npm,pypi               which
ASSIZE_NAME          (required)             who
ASSIZE_ALIAS         $ASSIZE_HTTP           same
ASSIZE_LEVEL         -                      how loud
ASSIZE_STORE_URL     dir:///var/lib/assize  where blobs are kept
ASSIZE_STORE_SECRET  -                      secret key of the store (may be given as a file named by ASSIZE_STORE_SECRET_FILE)
ASSIZE_DRAIN         1m                     differs from the other
ASSIZE_KEY           [redacted]             may be given as a file named by ASSIZE_KEY_FILE
ASSIZE_OTHER_URL     dir:///var/lib/assize  where blobs are kept
ASSIZE_OTHER_SECRET  -                      secret key of the store (may be given as a file named by ASSIZE_OTHER_SECRET_FILE)
`
	var got bytes.Buffer
	if err := config.Table(&got, &held, other{}, (*other)(nil)); err != nil {
		t.Fatal(err)
	}
	if got.String() != want {
		t.Errorf("table:\n%s\nwant:\n%s", got.String(), want)
	}
}

func TestTableReportsFailures(t *testing.T) {
	if err := config.Table(new(bytes.Buffer), "not a struct"); err == nil {
		t.Error("a string was accepted as configuration")
	}
	if err := config.Table(fullDisk{}, service{}); !errors.Is(err, errFull) {
		t.Errorf("error %v", err)
	}
}

var errFull = errors.New("disk full")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }
