// Package apply carries out a plan: it writes the journal ahead of every change, works at the
// places in parallel and in the plan's order within one, reads back after each write, resumes after
// a kill, and rolls back what was done.
package apply

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

// Options for Run, Rollback and Preview.
type Options struct {
	StateDir string // journals and the lock live here
	// Wait is how long a read-back may take to show what was written. At 0, the kind's patience
	// counts.
	Wait    time.Duration
	Accept  []string // ids of change.Consents
	Digest  string   // when set, the digest that the plan must have; Run only
	Version string   // of hybridge, for the journal

	// Identity gives the stable id of what a place stands for: the tenant's id, the GUID of an
	// Exchange organization. The journal keeps it, and is used nowhere else. Nil: not known.
	Identity func(ctx context.Context, place string) (string, error)
	// Secret reads a secret when a command that needs it is about to run; label says for what.
	// Nil: no plan that refers to secrets can be carried out.
	Secret func(ctx context.Context, ref secret.Ref, label string) (secret.Value, error)
	// Proceed is asked before each change that is about to begin; it may wait. An error leaves that
	// change and the rest of its place out of this run: ErrStopped, or the context's. Nil: all
	// proceed.
	Proceed func(ctx context.Context) error

	// fault is called in tests at every point where a process can die. An error stands for its
	// death.
	fault func(point string) error
}

// The consents that every plan may need. A property can declare one of its own
// (change.Property.WhenEmpty).
const (
	AcceptRemovals     = "removals"
	AcceptFailedChecks = "failed-checks"
)

// Consents lists what Options.Accept takes for plans of these kinds.
func Consents(kinds map[string]*change.Kind) []change.Consent {
	all := []change.Consent{
		{ID: AcceptRemovals, Title: "carry out a plan that removes resources"},
		{ID: AcceptFailedChecks, Title: "go on although checks failed or could not look"},
	}
	for _, noun := range slices.Sorted(maps.Keys(kinds)) {
		for _, action := range slices.Sorted(maps.Keys(kinds[noun].Consents)) {
			if c := kinds[noun].Consents[action]; !slices.Contains(all, c) {
				all = append(all, c)
			}
		}
		if c := kinds[noun].Undo; c != nil && !slices.Contains(all, *c) {
			all = append(all, *c)
		}
		for _, name := range slices.Sorted(maps.Keys(kinds[noun].Properties)) {
			c := kinds[noun].Properties[name].WhenEmpty
			if c != nil && !slices.Contains(all, *c) {
				all = append(all, *c)
			}
		}
	}
	return all
}

// Needed lists the consents that the changes of a plan need, and what needs each.
func Needed(p change.Plan, kinds map[string]*change.Kind) (ids []string, what map[string][]string) {
	what = map[string][]string{}
	for _, c := range p.Changes {
		id := ""
		if c.Action == change.Delete {
			id = AcceptRemovals
		}
		if k := kinds[c.Kind]; k != nil {
			if own, declared := k.Consents[c.Action]; declared {
				id = own.ID
			}
		}
		if id != "" {
			what[id] = append(what[id], c.ID)
		}
		for _, property := range slices.Sorted(maps.Keys(c.Removes)) {
			what[AcceptRemovals] = append(what[AcceptRemovals],
				fmt.Sprintf("%s of %s of %s", strings.Join(c.Removes[property], ", "), property, c.ID))
		}
	}
	return slices.Sorted(maps.Keys(what)), what
}

// Unaccepted returns a NotAccepted when changes of a plan need a consent that is not given.
func Unaccepted(p change.Plan, kinds map[string]*change.Kind, accept []string) error {
	needed, what := Needed(p, kinds)
	lacking := slices.DeleteFunc(needed, func(id string) bool { return slices.Contains(accept, id) })
	if len(lacking) == 0 {
		return nil
	}
	var parts []string
	for _, id := range lacking {
		does := "the plan removes "
		if id != AcceptRemovals {
			does = "the plan needs the consent " + id + titleOf(id, kinds) + " for "
		}
		parts = append(parts, does+strings.Join(what[id], ", "))
	}
	return &NotAccepted{strings.Join(lacking, ","), strings.Join(parts, "; ")}
}

// titleOf says in brackets what a consent is about.
func titleOf(id string, kinds map[string]*change.Kind) string {
	for _, c := range Consents(kinds) {
		if c.ID == id {
			return " (" + c.At(time.Now()) + ")"
		}
	}
	return ""
}

// NotAccepted is an ErrNotAccepted: what needs the consent ID, which Options.Accept lacks.
type NotAccepted struct{ ID, What string }

func (e *NotAccepted) Error() string        { return fmt.Sprintf("%s: %s", ErrNotAccepted, e.What) }
func (e *NotAccepted) Is(target error) bool { return target == ErrNotAccepted }

// Hint says how to consent.
func (e *NotAccepted) Hint() string {
	return "review the plan, then accept it with --accept " + e.ID
}

// Unmade is the identity of what a place stands for while it does not exist: the run makes it.
const Unmade = "not made yet"

// Status of one change of a run.
type Status string

// The statuses. Skipped: it was in effect already. Pending: not begun when the run ended.
const (
	Done    Status = "done"
	Failed  Status = "failed"
	Skipped Status = "skipped"
	Pending Status = "pending"
)

// Outcome is what became of one change. It is an observe.Event.
type Outcome struct {
	ID     string        `json:"id"`
	Target string        `json:"target"`
	Kind   string        `json:"kind"`
	Name   string        `json:"name"`
	Action change.Action `json:"action"`
	Status Status        `json:"status"`
	Error  string        `json:"error,omitempty"`
	// Uncertain tells that a failed change may be in effect: its answer was lost. The next run
	// looks.
	Uncertain  bool     `json:"uncertain,omitempty"`
	Note       msg.Text `json:"note,omitzero"` // why it was skipped
	DurationMS int64    `json:"durationMs"`
	Cause      error    `json:"-"`
}

// Event makes an Outcome an observe.Event.
func (Outcome) Event() string { return "change" }

// Summary counts a run.
type Summary struct {
	Done    int `json:"done"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
	Pending int `json:"pending"`
}

func (s *Summary) add(status Status) {
	switch status {
	case Done:
		s.Done++
	case Failed:
		s.Failed++
	case Skipped:
		s.Skipped++
	case Pending:
		s.Pending++
	}
}

// Report is the outcome of a run.
type Report struct {
	APIVersion string    `json:"apiVersion"` // hybridge/v1
	Kind       string    `json:"kind"`       // ApplyReport
	RunID      string    `json:"runId"`
	Journal    string    `json:"journal"`          // path; empty in a demo, which deletes it
	Digest     string    `json:"digest,omitempty"` // of the plan; empty for a rollback
	Summary    Summary   `json:"summary"`
	Changes    []Outcome `json:"changes"`
}
