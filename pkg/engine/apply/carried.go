package apply

import (
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// Carried is a change that a run has carried out.
type Carried struct {
	Run    string
	Change change.Change
	At     time.Time
}

// CarriedSince lists the changes that runs have carried out since a time, as far as their journals
// can be read.
func CarriedSince(stateDir string, since time.Time) []Carried {
	runs, _, err := readRuns(stateDir)
	if err != nil {
		return nil
	}
	var out []Carried
	for _, run := range runs {
		if run.head.Plan == nil {
			continue
		}
		traces := run.traces()
		for _, c := range run.head.Plan.Changes {
			if t := traces[c.ID]; t.begin != nil && t.end != nil && t.end.Status == Done && t.end.Time.After(since) {
				out = append(out, Carried{run.head.RunID, c, t.end.Time})
			}
		}
	}
	return out
}
