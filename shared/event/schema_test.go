package event

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"
	validator "github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "rewrite schema/*.json from the Go types")

// payloads maps the name of a schema to a zero value of its type.
var payloads = map[string]Payload{
	"upload": &Upload{}, "artifact": &Artifact{}, "evidence": &Evidence{},
	"decision": &Decision{}, "verdict": &Verdict{}, "deadletter": &DeadLetter{}, "operation": &Operation{},
}

func generate(t *testing.T, name string, p Payload) []byte {
	t.Helper()
	r := &jsonschema.Reflector{AllowAdditionalProperties: true, Anonymous: true, ExpandedStruct: true}
	r.Mapper = func(typ reflect.Type) *jsonschema.Schema {
		switch typ.String() {
		case "digest.Digest":
			return &jsonschema.Schema{Type: "string", Pattern: "^(sha256:[0-9a-f]{64})?$"}
		case "json.RawMessage":
			return &jsonschema.Schema{Type: "object"}
		}
		return nil
	}
	s := r.Reflect(p)
	s.ID = jsonschema.ID("https://assize.dev/schema/" + name + ".json")
	s.Title = string(p.EventType())
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(out, '\n')
}

// The committed schemas are what the Go types say.
func TestSchemasMatchTypes(t *testing.T) {
	for name, p := range payloads {
		path := filepath.Join("schema", name+".json")
		want := generate(t, name, p)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the Go type says: run go test ./shared/event -update", path)
		}
	}
}

func compile(t *testing.T, name string) *validator.Schema {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("schema", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := validator.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := validator.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(name, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What New produces satisfies the schema, and what lacks a required field
// satisfies neither.
func TestSamplesSatisfySchemas(t *testing.T) {
	for name, p := range samples() {
		s := compile(t, name)
		e, err := New("test", sampleTime, p)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		v, err := validator.UnmarshalJSON(bytes.NewReader(e.Data))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, field := range requiredFields(t, name) {
			m := map[string]any{}
			if err := json.Unmarshal(e.Data, &m); err != nil {
				t.Fatal(err)
			}
			delete(m, field)
			if s.Validate(m) == nil {
				t.Errorf("%s without %s satisfies its schema", name, field)
			}
		}
	}
}

func requiredFields(t *testing.T, name string) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("schema", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var s struct{ Required []string }
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Required) == 0 {
		t.Errorf("%s: schema requires nothing", name)
	}
	return s.Required
}

// asyncAPI is the part of the document that the Go code must agree with.
type asyncAPI struct {
	AsyncAPI string `yaml:"asyncapi"`
	Channels map[string]struct {
		Address    string
		Parameters map[string]any
		Messages   map[string]struct {
			Ref string `yaml:"$ref"`
		}
	}
	Operations map[string]struct {
		Action  string
		Channel struct {
			Ref string `yaml:"$ref"`
		}
	}
	Components struct {
		Messages map[string]struct {
			Name        string
			ContentType string `yaml:"contentType"`
			Payload     struct {
				Schema struct {
					Ref string `yaml:"$ref"`
				}
			}
		}
	}
}

// The AsyncAPI document lists exactly the payloads there are, with the
// subjects and types the Go code uses and the schemas beside it.
func TestAsyncAPIAgrees(t *testing.T) {
	raw, err := os.ReadFile("schema/asyncapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc asyncAPI
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.AsyncAPI, "3.") {
		t.Errorf("asyncapi: %q, want 3.x", doc.AsyncAPI)
	}
	if len(doc.Channels) != len(payloads) || len(doc.Components.Messages) != len(payloads) {
		t.Errorf("%d channels and %d messages for %d payloads", len(doc.Channels), len(doc.Components.Messages), len(payloads))
	}
	for name, sample := range samples() {
		ch, ok := doc.Channels[name]
		if !ok {
			t.Errorf("no channel %s", name)
			continue
		}
		if got, want := strings.Count(ch.Address, "."), strings.Count(sample.Subject(), "."); got != want {
			t.Errorf("%s: address %s has other tokens than %s", name, ch.Address, sample.Subject())
		}
		for i, token := range strings.Split(ch.Address, ".") {
			isParameter := strings.HasPrefix(token, "{")
			if isParameter {
				if _, ok := ch.Parameters[strings.Trim(token, "{}")]; !ok {
					t.Errorf("%s: parameter %s is not described", name, token)
				}
			} else if got := strings.Split(sample.Subject(), ".")[i]; got != token {
				t.Errorf("%s: address %s, but the code publishes on %s", name, ch.Address, sample.Subject())
			}
		}
		if ch.Messages[name].Ref != "#/components/messages/"+name {
			t.Errorf("%s: channel refers to %q", name, ch.Messages[name].Ref)
		}
		msg := doc.Components.Messages[name]
		if msg.Name != string(sample.EventType()) || msg.ContentType != "application/json" || msg.Payload.Schema.Ref != "./"+name+".json" {
			t.Errorf("%s: message %+v", name, msg)
		}
	}
	for name, op := range doc.Operations {
		if _, ok := doc.Channels[strings.TrimPrefix(op.Channel.Ref, "#/channels/")]; !ok {
			t.Errorf("operation %s refers to %q", name, op.Channel.Ref)
		}
	}
}
