package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"assize.dev/shared/digest"
)

// maxBundle is what the largest policy takes, in bytes.
const maxBundle = maxModules*maxModule + maxSettings

// FromBundle compiles a policy again from what Bundle wrote. It is the same
// policy, with the same digest, or an error.
func FromBundle(ctx context.Context, bundle []byte) (*Policy, error) {
	if len(bundle) > maxBundle {
		return nil, fmt.Errorf("policy bundle of %d bytes, at most %d", len(bundle), maxBundle)
	}
	var b struct {
		Modules  []module `json:"modules"`
		Settings Settings `json:"settings"`
	}
	dec := json.NewDecoder(bytes.NewReader(bundle))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&b); err != nil {
		return nil, fmt.Errorf("decode policy bundle: %w", err)
	}
	p, err := compile(ctx, b.Settings, b.Modules)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(p.bundle, bundle) {
		return nil, errors.New("policy bundle: not in the canonical form, so it is not the policy of its digest " + string(digest.Of(bundle)))
	}
	return p, nil
}
