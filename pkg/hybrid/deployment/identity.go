package deployment

import (
	"context"
	"errors"
	"fmt"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// PreviewRollback returns what Rollback would undo, without a write. An empty runID means the
// newest run.
func (d *Deployment) PreviewRollback(
	ctx context.Context, runID string, o apply.Options, obs observe.Observer,
) (apply.Undo, error) {
	facts, end := d.begin(obs)
	defer end()
	o = d.applying(o, facts)
	return apply.Preview(ctx, d.places(facts, o), Kinds(), runID, o)
}

// applying completes the options that the engine needs for writes.
func (d *Deployment) applying(o apply.Options, facts *fact.Set) apply.Options {
	if o.StateDir == "" {
		o.StateDir = d.options.StateDir
	}
	if o.Version == "" {
		o.Version = d.options.Version
	}
	o.Identity = func(ctx context.Context, place string) (string, error) { return identity(ctx, facts, place) }
	o.Secret = func(ctx context.Context, ref secret.Ref, label string) (secret.Value, error) {
		return d.secret(ctx, ref, label)
	}
	return o
}

// identity returns the id behind a place: of the tenant, of the organization in WorkMail, or of a
// forest's Exchange organization.
func identity(ctx context.Context, facts *fact.Set, place string) (string, error) {
	if place == desired.PlaceOnline || place == desired.PlaceEntra {
		tenant, err := fact.Tenant.In(ctx, facts.Tenant)
		return tenant.ID, err
	}
	if place == desired.PlaceWorkMail {
		organization, err := fact.WorkMailOrganization.In(ctx, facts.WorkMail)
		if errors.Is(err, workmail.ErrNotFound) && facts.Answers.WorkMail.Directory != "" {
			return apply.Unmade, nil
		}
		return organization.ID, err
	}
	for _, forest := range facts.Forests {
		if desired.PlaceForest(forest.Name()) == place {
			organization, err := fact.Organization.In(ctx, forest)
			return organization.GUID, err
		}
	}
	return "", fmt.Errorf("%s is no place of this deployment", place)
}
