package report

import (
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

// About says which run a document is of.
type About struct {
	// The deployment: the organization of the answers file; in a fleet, the path of the file.
	Deployment string `json:"deployment"`
	// The command: check, test, validate, plan, or run for all stages.
	Verb string `json:"verb"`
	// When the run began, in UTC.
	Time time.Time `json:"time"`
	// The version of hybridge.
	Hybridge string `json:"hybridge"`
}

// Outcome is what a View says about one thing that was looked at: a finding, or a lookup.
type Outcome struct {
	ID     string   // the id of the check; of a lookup, how it was asked: "freebusy.ews"
	Place  string   // the scope; of a lookup, its question
	Title  msg.Text // what was looked at; of a lookup, nothing
	Status Status
	// Summary is one sentence; of a lookup that failed, the error.
	Summary msg.Text
	Took    time.Duration
	Details []Block
	Lookup  *Lookup // nil for a finding
}

// OutcomesOf lists those of a View and of its sections, in their order. What an apply did is none: it
// does not say how the deployment is.
func OutcomesOf(v View) []Outcome {
	var out []Outcome
	for _, b := range v.Blocks {
		switch b := b.(type) {
		case Section:
			out = append(out, OutcomesOf(b.View)...)
		case Finding:
			if b.Action.IsZero() {
				out = append(out, Outcome{ID: b.ID, Place: b.Place, Title: b.Title, Status: b.Status,
					Summary: b.Summary, Took: b.Took, Details: b.Details})
			}
		case Matrix:
			for _, l := range b.Lookups {
				out = append(out, Outcome{ID: "freebusy." + l.Probe, Place: l.Question().String(),
					Status: l.Status, Summary: l.Error, Took: l.Took, Details: l.Details, Lookup: &l})
			}
		}
	}
	return out
}

// Weight says how much a status counts against a deployment: 0 for what is well or was not looked
// at, 1 acknowledged, 2 a warning, 3 what could not be seen, 4 a failure.
func (s Status) Weight() int {
	switch s {
	case Acknowledged:
		return 1
	case Warn, Pending:
		return 2
	case Error, Unknown:
		return 3
	case Fail:
		return 4
	}
	return 0
}

// Word is the word of a status, as a finding shows it.
func (s Status) Word() msg.Text { return s.look().word }
