package apply

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// Creation is a resource that a run made, or may have made.
type Creation struct {
	ID, Target, Kind, Name string
	Identity               string // empty: the answer was lost, and it may not exist
	Properties             change.Properties
	Needs                  []string
	At                     time.Time
	// After is how the last run that wrote it left it; nil when the answer was lost.
	After *change.Live
	// Places are the ids of the organizations that the run changed, by place.
	Places map[string]string
}

// Creations are those of all runs under a state directory that no rollback has undone and no later
// run has removed. A journal that cannot be read contributes none: History reports its error.
func Creations(stateDir string) ([]Creation, error) {
	runs, _, err := readRuns(stateDir)
	if err != nil {
		return nil, err
	}
	sorting.Stable(runs, func(a, b *past) int { return strings.Compare(a.head.RunID, b.head.RunID) })
	var out []Creation
	for _, run := range runs {
		if run.head.Action != actionApply {
			continue
		}
		traces, undone := run.traces(), undone(runs, run.head.RunID)
		for _, c := range run.head.Plan.Changes {
			t := traces[c.ID]
			if !t.wrote() || undone[c.ID].done() {
				continue
			}
			if c.Action == change.Update || c.Action == change.Delete {
				out = followed(out, c, t)
				continue
			}
			made := Creation{ID: c.ID, Target: c.Target, Kind: c.Kind, Name: c.Name, Properties: t.begin.Want,
				Needs: c.Needs, At: t.begin.Time, Places: run.head.Places}
			switch {
			case t.end != nil && t.end.After != nil:
				made.Identity, made.At, made.After = t.end.After.Identity, t.end.Time, t.end.After.live()
			case !t.uncertain():
				continue
			}
			out = append(out, made)
		}
	}
	return out, nil
}

// followed takes a later change of what a run made into account.
func followed(out []Creation, c change.Change, t trace) []Creation {
	// The way out of hybrid knows what it takes away by other keys than the set-up.
	same := func(o Creation) bool {
		return strings.EqualFold(o.Identity, c.Identity) &&
			(o.ID == c.ID || c.Identity != "" && o.Target == c.Target && o.Kind == c.Kind)
	}
	if !t.done() {
		return out
	}
	if c.Action == change.Delete {
		return slices.DeleteFunc(out, same)
	}
	for i := range out {
		if same(out[i]) && t.end.After != nil {
			out[i].After = t.end.After.live()
		}
	}
	return out
}

// Addition is what a run put into a list of a resource.
type Addition struct {
	ID, Target, Property string
	Elements             []any
	// Places are the ids of the organizations that the run changed, by place.
	Places map[string]string
}

// Additions are those of all runs under a state directory that no rollback has undone and no later
// run has taken out. kinds are the kinds of resources by noun.
func Additions(stateDir string, kinds map[string]*change.Kind) ([]Addition, error) {
	runs, _, err := readRuns(stateDir)
	if err != nil {
		return nil, err
	}
	sorting.Stable(runs, func(a, b *past) int { return strings.Compare(a.head.RunID, b.head.RunID) })
	var out []Addition
	for _, run := range runs {
		if run.head.Action != actionApply {
			continue
		}
		traces, undone := run.traces(), undone(runs, run.head.RunID)
		for _, c := range run.head.Plan.Changes {
			t, k := traces[c.ID], kinds[c.Kind]
			if k == nil || !t.done() || undone[c.ID].done() || c.Action == change.Delete {
				continue
			}
			var wrote change.Properties // nothing where it was in effect already
			if t.wrote() {
				wrote = t.begin.Want
			}
			for _, name := range slices.Sorted(maps.Keys(wrote)) {
				p := k.Properties[name]
				if p.Write != change.Merge || slices.Contains(c.Restores, name) {
					continue
				}
				was := t.was(name, p)
				_, unknown := was.(change.Unreadable) // any element may have been there
				if added := p.Added(wrote[name], was); len(added) > 0 && !unknown {
					out = append(out, Addition{c.ID, c.Target, name, added, run.head.Places})
				}
			}
			for i := range out {
				if gone := c.Removes[out[i].Property]; out[i].ID == c.ID && len(gone) > 0 {
					p := k.Properties[out[i].Property]
					out[i].Elements = change.Elements(p.Without(out[i].Elements, change.Elements(gone)))
				}
			}
		}
	}
	return out, nil
}
