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
	if d.options.StateDir == "" {
		return nil, nil
	}
	made, err := apply.Creations(d.options.StateDir)
	if err != nil {
		return nil, err
	}
	ids := map[string]string{}
	foreign := func(c apply.Creation) bool {
		for place, was := range c.Places {
			if _, asked := ids[place]; !asked {
				ids[place], _ = identity(ctx, facts, place) // a place that left the answers has none
			}
			if now := ids[place]; now != "" && !strings.EqualFold(now, was) {
				return true
			}
		}
		return ids[c.Target] == "" // an organization that does not answer may be another
	}
	return desired.Unwanted(facts, resources, left, slices.DeleteFunc(made, foreign)), nil
}
