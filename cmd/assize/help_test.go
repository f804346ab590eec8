package main

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// Every example in the help of a command is a call that parses.
func TestExamplesParse(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"assize.pub", "corporate.pem"} { // must exist to parse
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var all cli
	parser, err := kong.New(&all, kong.KindMapper(reflect.String, kong.MapperFunc(asTyped)))
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	err = kong.Visit(parser.Model, func(n kong.Visitable, next kong.Next) error {
		node, ok := n.(*kong.Node)
		if app, is := n.(*kong.Application); is {
			node, ok = app.Node, true
		}
		if !ok {
			return next(nil)
		}
		for _, line := range strings.Split(strings.ReplaceAll(node.Detail, "\\\n", " "), "\n") {
			args := exampleArgs(line)
			if args == nil {
				continue
			}
			examples++
			var c cli
			fresh, err := kong.New(&c, kong.KindMapper(reflect.String, kong.MapperFunc(asTyped)))
			if err != nil {
				return err
			}
			if _, err := fresh.Parse(args); err != nil {
				t.Errorf("help of %s: %s: %v", node.Path(), strings.TrimSpace(line), err)
			}
		}
		return next(nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	if examples < 20 {
		t.Errorf("found %d examples, want at least 20", examples)
	}
}

// exampleArgs are the arguments of the assize in an indented line, nil if
// none is called there.
func exampleArgs(line string) []string {
	if !strings.HasPrefix(line, "  ") {
		return nil
	}
	for _, command := range strings.Split(line, "|") {
		command, _, _ = strings.Cut(command, " #")
		words := strings.Fields(command)
		for len(words) > 0 && strings.Contains(words[0], "=") { // environment
			words = words[1:]
		}
		if len(words) > 0 && words[0] == "assize" {
			return words[1:]
		}
	}
	return nil
}

// Every command says in its help how it is called.
func TestHelpOfEveryCommand(t *testing.T) {
	for _, command := range []string{"demo", "check", "verify", "slsa", "inspect", "secrets", "up", "submit", "watch", "verify-verdict", "keygen", "keys show", "keys init", "keys rotate", "keys revoke", "keys roots", "sign", "audit log", "audit verify", "audit prove", "audit export", "audit head", "audit keygen", "verdict show", "verdict explain", "verdict replay", "verdict ask", "verdict decide", "policy show", "policy test", "policy eval", "policy diff", "doctor", "doctor s3", "provision", "nats"} {
		var stdout, stderr bytes.Buffer
		if code := execute(append(strings.Fields(command), "--help"), &stdout, &stderr); code != exitPass || stderr.Len() > 0 {
			t.Errorf("%s --help: exit %d, stderr %s", command, code, stderr.String())
		}
		if first, _, _ := strings.Cut(command, " "); !strings.Contains(stdout.String(), "  assize "+command) && first != "doctor" && command != "nats" {
			t.Errorf("%s --help has no example", command)
		}
	}
}
