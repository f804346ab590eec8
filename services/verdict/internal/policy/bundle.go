package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// maxBundle is what the largest policy takes, in bytes.
const maxBundle = maxModules*maxModule + maxSettings

// FromBundle compiles a policy again from what Bundle wrote, also what an
// earlier version wrote, which knew fewer settings: rules see the settings that
// are in it. The digest of the policy is that of the bundle.
func FromBundle(ctx context.Context, bundle []byte) (*Policy, error) {
	if len(bundle) > maxBundle {
		return nil, fmt.Errorf("policy bundle of %d bytes, at most %d", len(bundle), maxBundle)
	}
	var b struct {
		Modules  []module        `json:"modules"`
		Settings json.RawMessage `json:"settings"`
	}
	dec := json.NewDecoder(bytes.NewReader(bundle))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&b); err != nil {
		return nil, fmt.Errorf("decode policy bundle: %w", err)
	}
	settings := DefaultSettings()
	var data any
	if err := errors.Join(json.Unmarshal(b.Settings, &settings), json.Unmarshal(b.Settings, &data), settings.Validate()); err != nil {
		return nil, fmt.Errorf("settings of the policy bundle: %w", err)
	}
	return prepare(ctx, settings, data, b.Modules, bundle)
}
