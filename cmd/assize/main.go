// Command assize decides, with proof, whether packages may be trusted: it is
// the CLI, and with "assize up" all services in one process.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"reflect"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"assize.dev/shared/run"
	"assize.dev/shared/telemetry"
)

// Exit codes, the contract with scripts. When several artifacts are checked
// the worst counts: an error before a denial before a hold.
const (
	exitPass         = 0 // pass, allow, clean
	exitFail         = 1 // fail, deny, findings
	exitUndetermined = 2 // undetermined, hold
	exitError        = 3 // usage or internal error
)

type cli struct {
	globals

	Demo          demoCmd          `cmd:"" help:"See it work: judge three small packages made on the spot."`
	Check         checkCmd         `cmd:"" help:"Judge files: the whole pipeline in this process, a signed verdict for each."`
	Verify        verifyCmd        `cmd:"" help:"Verify what signed a file, and whether that is somebody you trust."`
	SLSA          slsaCmd          `cmd:"" name:"slsa" help:"Verify where a file was built from, and which SLSA build level that proves."`
	Inspect       inspectCmd       `cmd:"" help:"Show what is inside a PSPF package, and whether it is what its signer made."`
	Scan          scanCmd          `cmd:"" help:"Look up known vulnerabilities of packages, SBOMs and lists of components."`
	Advisories    advisoriesCmd    `cmd:"" help:"Fetch advisories, and show what there is."`
	SBOM          sbomCmd          `cmd:"" name:"sbom" help:"List every component and licence of a package; write and compare SBOMs."`
	Secrets       secretsCmd       `cmd:"" help:"Look for credentials in files, directories and archives."`
	Up            upCmd            `cmd:"" help:"Run every service in this process, for registries to upload to."`
	Submit        submitCmd        `cmd:"" help:"Upload files to a running Assize."`
	Watch         watchCmd         `cmd:"" help:"Follow verdicts as they are published."`
	Verdict       verdictCmd       `cmd:"" help:"Show, explain and replay verdicts."`
	Policy        policyCmd        `cmd:"" help:"Show a policy, and try one on stored evidence."`
	VerifyVerdict verifyVerdictCmd `cmd:"" help:"Check verdicts that Assize signed, offline."`
	Keygen        keygenCmd        `cmd:"" help:"Make or import a key pair."`
	Keys          keysCmd          `cmd:"" help:"Show, rotate and revoke the keys that sign verdicts."`
	Sign          signCmd          `cmd:"" help:"Sign files, as publishers do."`
	Audit         auditCmd         `cmd:"" help:"Read and verify the audit log."`
	Doctor        doctorCmd        `cmd:"" help:"Check that this machine, or an S3 endpoint, can carry Assize."`
	Provision     provisionCmd     `cmd:"" help:"Create streams and consumers on a NATS server, or show how they differ."`
	Nats          natsCmd          `cmd:"" help:"Run the NATS server that the services share, set up so that nothing acknowledged is lost."`
	Version       versionCmd       `cmd:"" help:"Print the version."`
}

type globals struct {
	Data string `help:"Directory where state lives: keys, packages, verdicts, audit log." env:"ASSIZE_DATA_DIR" placeholder:"DIR" type:"path"`
	JSON bool   `help:"Machine-readable output on stdout, one JSON object per line; logs stay on stderr."`

	stdout, stderr io.Writer
	metrics        http.Handler
}

// complain says on one line of stderr what went wrong.
func (g *globals) complain(err error) {
	fmt.Fprintln(g.stderr, "assize:", printable(strings.ReplaceAll(err.Error(), "\n", "; ")))
}

// status is an error that carries nothing but the exit code: what there was
// to say has been said.
type status int

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// worse returns the exit code that counts of two.
func worse(a, b int) int {
	rank := func(code int) int {
		switch {
		case code >= exitError:
			return 3
		case code == exitFail:
			return 2
		case code == exitUndetermined:
			return 1
		}
		return 0
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}

func main() {
	os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr))
}

func execute(args []string, stdout, stderr io.Writer) int {
	c := &cli{globals: globals{stdout: stdout, stderr: stderr}}
	code := -1
	parser, err := kong.New(c,
		kong.Name("assize"),
		kong.Description("Assize decides, with proof, whether a package may be trusted.\n\nExit codes: 0 allow or pass, 1 deny or fail, 2 hold or undetermined, 3 usage or internal error."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(n int) { code = n; panic(exitNow{}) }),
		kong.KindMapper(reflect.String, kong.MapperFunc(asTyped)),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		fmt.Fprintln(stderr, "assize:", err)
		return exitError
	}
	kctx, err := parse(parser, args)
	if code >= 0 {
		return code // --help was answered
	}
	if err != nil {
		c.complain(err)
		fmt.Fprintln(stderr, "Run assize --help, or assize <command> --help for examples.")
		return exitError
	}
	// The first signal asks to finish, the second is not caught any more.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	kctx.BindTo(ctx, (*context.Context)(nil))
	err = c.observed(ctx, kctx)
	var s status
	switch {
	case err == nil:
		return exitPass
	case errors.As(err, &s):
		return int(s)
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		err = errors.New("interrupted; nothing that was acknowledged is lost, run it again for the rest")
	}
	c.complain(err)
	return exitError
}

// observed runs the command with logs on stderr and telemetry as OTEL_* says.
// Commands that end by themselves are quiet unless something is wrong.
func (c *cli) observed(ctx context.Context, kctx *kong.Context) error {
	if stays := kctx.Command() == "up" || kctx.Command() == "nats"; !stays && os.Getenv("ASSIZE_LOG_LEVEL") == "" {
		if err := os.Setenv("ASSIZE_LOG_LEVEL", "warn"); err != nil {
			return err
		}
	}
	tel, err := telemetry.Start(ctx, "assize", run.BuildVersion())
	if err != nil {
		return err
	}
	c.metrics = tel.Metrics()
	err = kctx.Run(&c.globals)
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if lost := tel.Shutdown(flush); lost != nil {
		c.complain(fmt.Errorf("the last telemetry is lost: %w", lost))
	}
	return err
}

// asTyped keeps the bytes of an argument: kong would replace those that are
// not UTF-8, and file names need not be.
func asTyped(ctx *kong.DecodeContext, target reflect.Value) error {
	token, err := ctx.Scan.PopValue("string")
	if err != nil {
		return err
	}
	target.SetString(fmt.Sprint(token.Value))
	return nil
}

// exitNow unwinds from kong, which prints help and wants the process to end.
type exitNow struct{}

func parse(parser *kong.Kong, args []string) (ctx *kong.Context, err error) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(exitNow); !ok {
				panic(r)
			}
		}
	}()
	return parser.Parse(args)
}
