package apply

import (
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// Creation is a resource that a run made, or may have made.
type Creation struct {
	Target, Kind, Name string
	Identity           string // empty: the answer was lost, and it may not exist
	Properties         change.Properties
	At                 time.Time
}

// Creations are those of all runs under a state directory that no rollback has undone. A journal
// that cannot be read contributes none: History reports its error.
func Creations(stateDir string) ([]Creation, error) {
	runs, _, err := readRuns(stateDir)
	if err != nil {
		return nil, err
	}
	var out []Creation
	for _, run := range runs {
		if run.head.Action != actionApply {
			continue
		}
		traces, undone := run.traces(), undoing(runs, run.head.RunID).traces()
		for _, c := range run.head.Plan.Changes {
			t := traces[c.ID]
			if c.Action != change.Create && c.Action != change.Recreate || t.begin == nil || undone[c.ID].done() {
				continue
			}
			made := Creation{Target: c.Target, Kind: c.Kind, Name: c.Name, Properties: t.begin.Want, At: t.begin.Time}
			switch {
			case t.end != nil && t.end.After != nil:
				made.Identity, made.At = t.end.After.Identity, t.end.Time
			case !t.uncertain():
				continue
			}
			out = append(out, made)
		}
	}
	return out, nil
}
