package apply

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// Undo says what a rollback would do, by what is live now. Nothing was written.
type Undo struct {
	APIVersion string          `json:"apiVersion"` // hybridge/v1
	Kind       string          `json:"kind"`       // RollbackPlan
	RunID      string          `json:"runId"`      // of the run that it would undo
	Started    time.Time       `json:"started"`
	Summary    change.Summary  `json:"summary"`
	Changes    []change.Change `json:"changes"` // in the order in which they would be made
	// Left lists what the run did and what stays, with the reason in Note or Error.
	Left []Outcome `json:"left"`
}

// Preview returns what Rollback would do, and writes nothing.
//
// Each step is computed from what is live now and from what the steps before it set back.
func Preview(
	ctx context.Context, places map[string]change.Place, kinds map[string]*change.Kind, runID string, o Options,
) (Undo, error) {
	x := &execution{options: o}
	run, _, err := x.undo(ctx, places, kinds, runID)
	if err != nil {
		return Undo{}, err
	}
	var keys []string
	for _, s := range x.steps {
		if !slices.Contains(keys, s.key()) {
			keys = append(keys, s.key())
		}
	}
	live, err := readAll(ctx, places, kinds, keys)
	if err != nil {
		return Undo{}, err
	}
	u := Undo{
		APIVersion: "hybridge/v1", Kind: "RollbackPlan", RunID: run.head.RunID, Started: run.head.Time,
		Changes: []change.Change{}, Left: []Outcome{},
	}
	left := map[string]bool{} // failed, or waiting for what failed
	for _, s := range x.steps {
		leave := func(status Status, text string) {
			s.outcome.Status, s.outcome.Error = status, text
			left[s.outcome.ID] = true
			u.Left = append(u.Left, s.outcome)
		}
		if at := slices.IndexFunc(s.needs, func(id string) bool { return left[id] }); at >= 0 {
			leave(Pending, fmt.Sprintf("needs %s, which is left alone", s.needs[at]))
			continue
		}
		p, err := s.prepare(live[s.key()])
		if err != nil {
			leave(Failed, err.Error())
			continue
		}
		if len(p.commands) > 0 {
			u.Changes = append(u.Changes, s.change(p))
			x.foresee(live, s, p)
		}
		switch {
		case p.conflict != nil:
			leave(Failed, p.conflict.Error())
		case len(p.commands) == 0:
			s.outcome.Status, s.outcome.Note = Skipped, p.note
			u.Left = append(u.Left, s.outcome)
		}
	}
	u.Summary = change.Count(u.Changes)
	return u, nil
}

// foresee writes into the live resources what a step sets back. Several kinds can be aspects of one
// object: they are read in the same way, and share properties.
func (x *execution) foresee(live map[string][]change.Live, done *step, p prepared) {
	if p.again != nil {
		x.foreseeAgain(live, done, p)
		return
	}
	if p.object == nil || p.removal || done.outcome.Action == change.Delete && !done.kind.Aspect {
		return
	}
	set := p.want
	if done.outcome.Action == change.Delete {
		set = change.Properties{}
		for name, property := range done.kind.Properties {
			if property.Sent() {
				set[name] = property.Unset
			}
		}
	}
	for _, other := range x.steps {
		if other.outcome.Target != done.outcome.Target || other.kind == done.kind ||
			!slices.Equal(other.kind.Reads, done.kind.Reads) {
			continue
		}
		if l := byIdentity(live[other.key()], p.object.Identity); l != nil {
			l.Properties = maps.Clone(l.Properties)
			for name, value := range set {
				if _, declared := other.kind.Properties[name]; declared {
					l.Properties[name] = value
				}
			}
		}
	}
}

// foreseeAgain writes what a step makes again into what the steps for its aspects see. An object
// keeps its identity where that is its name.
func (x *execution) foreseeAgain(live map[string][]change.Live, done *step, p prepared) {
	if p.again.Identity != p.again.Name {
		return
	}
	for _, other := range x.steps {
		key := other.key()
		if other.outcome.Target != done.outcome.Target || other.kind == done.kind || !other.kind.Aspect ||
			!slices.Equal(other.kind.Reads, done.kind.Reads) || byIdentity(live[key], p.again.Identity) != nil {
			continue
		}
		object := change.Live{Identity: p.again.Identity, Name: p.again.Name, Properties: change.Properties{}}
		for name, property := range other.kind.Properties {
			value, made := p.want[name]
			if !made {
				value = property.Unset
			}
			object.Properties[name] = value
		}
		live[key] = append(live[key], object)
	}
}

// change shows what a step of a rollback does as a change of a plan.
func (s *step) change(p prepared) change.Change {
	c := change.Change{
		ID: s.outcome.ID, Target: s.outcome.Target, Kind: s.outcome.Kind, Name: s.outcome.Name,
		Action: s.outcome.Action,
		Risk:   s.kind.Risk, Command: p.commands[len(p.commands)-1], After: p.want,
	}
	if p.removal {
		c.Removal = &p.commands[0]
	} else if c.Action == change.Recreate { // only a half of it was done
		c.Action = change.Create
		if p.want == nil {
			c.Action = change.Delete
		}
	}
	if p.object == nil {
		return c
	}
	c.Identity, c.Name, c.Before = p.object.Identity, p.object.Name, change.Properties{}
	for name := range s.kind.Properties {
		if _, set := p.want[name]; set || c.Action != change.Update {
			c.Before[name] = p.object.Properties[name]
		}
	}
	maps.DeleteFunc(c.Before, func(_ string, v any) bool {
		_, unreadable := v.(change.Unreadable)
		return unreadable || v == nil && c.Action != change.Update
	})
	return c
}
