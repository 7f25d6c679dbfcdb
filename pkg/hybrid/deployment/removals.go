package deployment

import (
	"context"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// unwanted returns what earlier runs made and the answers no longer want. Journals of another
// tenant or of another organization under the same name play no part.
func (d *Deployment) unwanted(
	ctx context.Context, facts *fact.Set, resources []change.Resource, left []change.LeftOut,
) ([]change.Resource, error) {
	made, err := d.creations(ctx, d.options.StateDir)
	if err != nil {
		return nil, err
	}
	if !d.tape.Replays() && d.options.StateDir != "" {
		if _, err := apply.History(d.options.StateDir); err != nil {
			d.warn("what these runs made is not known, so the plan leaves it where it is: " + err.Error())
		}
	}
	foreign := d.foreign(ctx, facts)
	made = slices.DeleteFunc(made, func(c apply.Creation) bool { return foreign(c.Target, c.Places) })
	return desired.Unwanted(facts, resources, left, made), nil
}

// foreign reports whether what a journal says of a place is about another tenant or organization.
func (d *Deployment) foreign(ctx context.Context, facts *fact.Set) func(target string, places map[string]string) bool {
	ids := map[string]string{}
	return func(target string, places map[string]string) bool {
		for place, was := range places {
			if _, asked := ids[place]; !asked {
				ids[place], _ = identity(ctx, facts, place) // a place that left the answers has none
			}
			if now := ids[place]; now != "" && was != apply.Unmade && !strings.EqualFold(now, was) {
				return true
			}
		}
		return ids[target] == "" // an organization that does not answer may be another
	}
}

// shrunk marks the domains that left the answers in the lists where earlier runs put them, and
// names those that others put there.
func (d *Deployment) shrunk(
	ctx context.Context, facts *fact.Set, resources []change.Resource,
) ([]change.Resource, error) {
	put, err := d.additions(ctx, d.options.StateDir)
	if err != nil {
		return nil, err
	}
	foreign := d.foreign(ctx, facts)
	put = slices.DeleteFunc(put, func(a apply.Addition) bool { return foreign(a.Target, a.Places) })
	resources, others := desired.Shrink(ctx, facts, resources, put)
	for _, text := range others {
		d.warn(text.String())
	}
	return resources, nil
}
