package deployment

import (
	"maps"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
)

// following are the changes of earlier runs that the systems may still be following, by the
// journals and the waits that Microsoft documents.
func (d *Deployment) following() []freebusy.Following {
	if d.options.StateDir == "" {
		return nil
	}
	now := d.now()
	var out []freebusy.Following
	for _, c := range apply.CarriedSince(d.options.StateDir, now.Add(-freebusy.Longest)) {
		wait := freebusy.Takes(c.Change.Kind, slices.Collect(maps.Keys(c.Change.After)))
		until := c.At.Add(wait)
		if wait == 0 || !until.After(now) {
			continue
		}
		premise := strings.TrimPrefix(c.Change.Target, desired.PlaceForest(""))
		if premise == desired.PlaceEntra {
			premise = ""
		}
		out = append(out, freebusy.Following{Premise: premise, Kind: c.Change.Kind, Name: c.Change.Name, At: c.At,
			Until: until})
	}
	return out
}
