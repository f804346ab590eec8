package event

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Action is what a service did to itself, or what it decides by from now on.
type Action string

// The actions.
const (
	ServiceStarted       Action = "service_started"
	ServiceStopped       Action = "service_stopped"
	ConfigurationChanged Action = "configuration_changed"
	PolicyChanged        Action = "policy_changed"
	KeyRotated           Action = "key_rotated"
	AdvisoriesUpdated    Action = "advisories_updated"
)

// Actions lists them.
var Actions = []Action{ServiceStarted, ServiceStopped, ConfigurationChanged, PolicyChanged, KeyRotated, AdvisoriesUpdated}

// Operation is for the record: what became of a service, or of what verdicts
// follow from besides the evidence.
type Operation struct {
	Service string    `json:"service"`
	Action  Action    `json:"action" jsonschema:"enum=service_started,enum=service_stopped,enum=configuration_changed,enum=policy_changed,enum=key_rotated,enum=advisories_updated"`
	Object  string    `json:"object,omitempty" jsonschema_description:"What has changed, where a service has several of a kind."`
	From    string    `json:"from,omitempty" jsonschema_description:"What was before, as a digest or an id; absent if nothing was."`
	To      string    `json:"to,omitempty" jsonschema_description:"What is now."`
	ID      string    `json:"id" jsonschema_description:"Tells one occasion from another."`
	Time    time.Time `json:"time"`
}

// EventType implements Payload.
func (*Operation) EventType() Type { return TypeOperation }

// Subject implements Payload.
func (o *Operation) Subject() string { return OperationSubject(o.Service, o.ID) }

// Identity implements Payload.
func (o *Operation) Identity() string { return "operation/" + Token(o.Service) + "/" + Token(o.ID) }

// Validate implements Payload.
func (o *Operation) Validate() error {
	err := errors.Join(required("service", o.Service), required("id", o.ID), bounded("object", o.Object), bounded("from", o.From), bounded("to", o.To))
	if !slices.Contains(Actions, o.Action) {
		err = errors.Join(err, fmt.Errorf("action: %.60q is not one of %q", o.Action, Actions))
	}
	return err
}
