package content

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// maxManifest bounds a package.json or PSPF metadata that is read.
const maxManifest = 10 << 20

// command is one that a manifest makes an installer run.
type command struct {
	what string
	text string
	rare bool // only when the package is installed from its repository
}

// manifest reads a JSON document and notes the commands in it, what they do,
// and the files of the package they run. One that cannot be read may run
// anything.
func (f *findings) manifest(location string, content io.Reader, commands func([]byte) ([]command, error)) error {
	data, err := io.ReadAll(io.LimitReader(content, maxManifest+1))
	if err != nil {
		return err
	}
	var list []command
	if len(data) > maxManifest {
		err = fmt.Errorf("more than %d bytes", maxManifest)
	} else {
		list, err = commands(data)
	}
	if err != nil {
		f.add(&unreadScript, location, unreadScript.means+": "+err.Error())
		return nil
	}
	for _, c := range list {
		when := installScript.means
		if c.rare {
			when = "runs when the package is installed from its repository"
		}
		f.add(&installScript, location, fmt.Sprintf("%s %s %s", c.what, quoted(c.text), when))
		f.judgeScript(script{location: location, text: []byte(c.text), rare: c.rare}, c.what)
		for _, file := range filesIn(c.text) {
			at := path.Join(path.Dir(location), file)
			f.follow("the file that "+c.what+" runs", at, at+".js", at+"/index.js")
		}
	}
	return nil
}

// npmScripts lists the scripts that npm runs on installing, in its order
// (npm documentation, "scripts", "npm install"). The last one only runs
// when a package is installed from its repository.
func npmScripts(data []byte) ([]command, error) {
	var manifest struct {
		Scripts map[string]json.RawMessage `json:"scripts"`
	}
	data = bytes.TrimPrefix(data, []byte("\xEF\xBB\xBF"))
	if err := json.Unmarshal(data, &manifest); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) && kind.Field == "scripts" || json.Valid(data) {
			return nil, nil // npm ignores scripts that are no object
		}
		return nil, errors.New("package.json is not JSON")
	}
	var out []command
	for _, name := range []string{"preinstall", "install", "postinstall", "prepare"} {
		var text string
		if json.Unmarshal(manifest.Scripts[name], &text) == nil && text != "" {
			out = append(out, command{name + " script", text, name == "prepare"})
		}
	}
	return out, nil
}

// pspfCommands lists what a PSPF package runs to set itself up and to start.
func pspfCommands(data []byte) ([]command, error) {
	var metadata struct {
		Setup     []json.RawMessage `json:"setup_commands"`
		Execution struct {
			Command string `json:"command"`
		} `json:"execution"`
	}
	if err := json.Unmarshal(data, &metadata); err != nil {
		return nil, errors.New("the metadata is not JSON of the known form")
	}
	var out []command
	for _, raw := range metadata.Setup {
		out = append(out, command{what: "setup command", text: setupText(raw)})
	}
	if c := metadata.Execution.Command; c != "" {
		out = append(out, command{what: "command", text: c})
	}
	return out, nil
}

// setupText shows a setup command of any form: a string, or an object whose
// command, or the content it writes, is what runs.
func setupText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var step struct{ Type, Command, Path, Content string }
	if json.Unmarshal(raw, &step) != nil || step.Command == "" && step.Content == "" {
		return string(raw)
	}
	if step.Command == "" {
		return step.Type + " " + step.Path + ": " + step.Content
	}
	return step.Command
}

// maxFilesIn is how many words of one command are taken for files.
const maxFilesIn = 20

// filesIn lists the words of a command that can be files of the package: such
// with the extension of a script, and what is given to an interpreter.
func filesIn(command string) []string {
	var files []string
	interpreter := false
	for word := range strings.FieldsFuncSeq(command, func(c rune) bool { return strings.ContainsRune(" \t\r\n;&|()<>\"'`", c) }) {
		named := false
		switch path.Ext(word) {
		case ".js", ".cjs", ".mjs", ".ts", ".sh", ".bash", ".py", ".rb", ".pl", ".ps1", ".bat", ".cmd":
			named = true
		}
		if (named || interpreter && !strings.HasPrefix(word, "-")) && !strings.HasPrefix(word, "/") && len(word) < 300 && len(files) < maxFilesIn {
			files = append(files, path.Clean(word))
		}
		switch path.Base(word) {
		case "node", "bun", "deno", "sh", "bash", "python", "python3", "ruby", "perl", "tsx", "ts-node":
			interpreter = true
		default:
			interpreter = interpreter && strings.HasPrefix(word, "-")
		}
	}
	return files
}
