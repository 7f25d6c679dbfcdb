package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
)

// Rollback undoes a run, last change first: the newest run that is not undone when runID is empty
// (ErrNoRun when there is none).
//
// What is undone is computed from what is live now. A resource that the run made is removed when it
// is still as it was made, a property is set back when it still has the value that the run gave it,
// a list loses the elements that the run added, and what was removed is made again from the
// before-image. Rollback leaves alone what others changed or extended since, and what depends on
// it, and reports both (ErrConflict, within an ErrPartial). A list that would be empty stays as it
// is without the consent that its property requires, and so does what the run made of a kind with a
// consent for that (NotAccepted). A change of a Permanent kind is
// skipped with its reason. A secret that an update wrote stays: the one before is not known. A
// rollback that was killed can be run again.
func Rollback(
	ctx context.Context, places map[string]change.Place, kinds map[string]*change.Kind, runID string, o Options,
	obs observe.Observer,
) (Report, error) {
	state, err := openState(o.StateDir)
	if err != nil {
		return Report{}, err
	}
	defer state.close()
	x := &execution{options: o, stage: "rollback", obs: obs}
	run, ids, err := x.undo(ctx, places, kinds, runID)
	if err != nil {
		return Report{}, err
	}
	steps := make([]string, len(x.steps))
	for i, s := range x.steps {
		steps[i] = s.outcome.ID
	}
	head := record{
		Action: actionRollback, Of: run.head.RunID, Version: o.Version, Accepted: o.Accept, Places: ids, IDs: steps,
	}
	if x.journal, err = state.create(head, o.fault); err != nil {
		return Report{}, err
	}
	defer x.journal.close()
	return x.run(ctx)
}

// Undoable returns the id of the run that Rollback would undo, from the journals alone, or says why
// there is none.
func Undoable(stateDir, runID string) (string, error) {
	runs, unreadable, err := readRuns(stateDir)
	if err != nil {
		return "", err
	}
	run, err := toUndo(runs, unreadable, runID)
	if err != nil {
		return "", err
	}
	return run.head.RunID, nil
}

// undo picks the run to roll back and makes the steps that undo it.
func (x *execution) undo(
	ctx context.Context, places map[string]change.Place, kinds map[string]*change.Kind, runID string,
) (run *past, ids map[string]string, err error) {
	runs, unreadable, err := readRuns(x.options.StateDir)
	if err != nil {
		return nil, nil, err
	}
	if run, err = toUndo(runs, unreadable, runID); err != nil {
		return nil, nil, err
	}
	plan := run.head.Plan.Plan
	if err := known(places, kinds, plan); err != nil {
		return nil, nil, err
	}
	if ids, err = identities(ctx, x.options, plan); err != nil {
		return nil, nil, err
	}
	if err := run.elsewhere(ids); err != nil {
		return nil, nil, err
	}
	traces := run.traces()
	earlier := undone(runs, run.head.RunID) // by rollbacks in part
	for _, c := range slices.Backward(plan.Changes) {
		t := traces[c.ID]
		if t.begin == nil {
			continue
		}
		s := &step{
			outcome: Outcome{ID: c.ID, Target: c.Target, Kind: c.Kind, Name: c.Name, Action: inverse[c.Action]},
			kind:    kinds[c.Kind],
			place:   places[c.Target],
			// Made, or made again, without an answer: what does not show yet may be there.
			late: c.Action == change.Create && t.uncertain() || c.Action != change.Create && earlier[c.ID].uncertain(),
		}
		if t.begin.Before != nil && c.Action == change.Create {
			s.outcome.Action = change.Update
		}
		for _, other := range plan.Changes {
			if slices.Contains(other.Needs, c.ID) && traces[other.ID].begin != nil {
				s.needs = append(s.needs, other.ID)
			}
		}
		s.prepare = x.options.backward(c, s.kind, t)
		switch {
		case t.refused:
			s.prepare = untouched("the run was refused it; what is there now is left alone")
		case earlier[c.ID].carried: // the run is not resumed since: what was undone stays undone
			s.prepare = untouched("an earlier rollback has undone it; what is there now is the work of others")
		}
		x.steps = append(x.steps, s)
	}
	return run, ids, nil
}

// untouched prepares a step that leaves everything as it is.
func untouched(why string) func([]change.Live) (prepared, error) {
	return func([]change.Live) (prepared, error) { return prepared{note: msg.Of("not undone: %s", why)}, nil }
}

// toUndo picks the run to roll back.
func toUndo(runs []*past, unreadable []unreadable, runID string) (*past, error) {
	for _, u := range unreadable {
		if u.id == runID {
			return nil, u.err
		}
	}
	for _, run := range slices.Backward(runs) {
		switch {
		case runID != "" && run.head.RunID != runID:
			continue
		case run.head.Action != actionApply:
			if runID != "" {
				return nil, fmt.Errorf("%w: %s is itself a rollback", ErrNoRun, runID)
			}
			continue
		}
		if by := undoing(runs, run.head.RunID); by != nil && by.outcome() == "complete" {
			if runID != "" {
				return nil, fmt.Errorf("%w: %s was rolled back by %s", ErrNoRun, runID, by.head.RunID)
			}
			continue
		}
		written := false
		for _, t := range run.traces() {
			written = written || t.wrote()
		}
		switch {
		case !written && runID != "":
			return nil, fmt.Errorf("%w: %s changed nothing", ErrNoRun, runID)
		case !written:
			continue
		case runID == "":
			// Newer runs are undone first. Which one is the newest is not known here.
			for _, u := range unreadable {
				if u.id > run.head.RunID {
					return nil, fmt.Errorf("%w; to undo an older run all the same, name it: %s", u.err, run.head.RunID)
				}
			}
		}
		return run, nil
	}
	if runID != "" {
		return nil, fmt.Errorf("%w: there is no run %s", ErrNoRun, runID)
	}
	if len(unreadable) > 0 {
		return nil, fmt.Errorf("%w, but some cannot be read: %w", ErrNoRun, unreadable[len(unreadable)-1].err)
	}
	return nil, ErrNoRun
}

var inverse = map[change.Action]change.Action{
	change.Create: change.Delete, change.Update: change.Update,
	change.Delete: change.Create, change.Recreate: change.Recreate,
}

// backward prepares the undoing of a change.
func (o Options) backward(c change.Change, k *change.Kind, t trace) func([]change.Live) (prepared, error) {
	before, want := t.begin.Before.live(), t.begin.Want
	var after *change.Live
	if t.end != nil {
		after = t.end.After.live()
	}
	return func(live []change.Live) (prepared, error) {
		if k.Permanent != "" {
			return prepared{note: msg.Of("not undone: %s", msg.Text{Format: k.Permanent})}, nil
		}
		switch c.Action {
		case change.Create:
			if before != nil { // it was half there, and went with the object that it is an aspect of
				if byIdentity(live, before.Identity) == nil {
					return prepared{note: noteGone}, nil
				}
				p, err := o.setBack(c, k, before.Identity, t, live)
				// Only an aspect can be made where something is: it goes with its object.
				aspect := t.end != nil && t.end.Status == Done
				if t.first != nil && t.first.Before == nil && !aspect {
					what := fmt.Sprintf("%s %q stays: the run may have made it", c.Kind, before.Name)
					p.conflict = errors.Join(p.conflict, conflict(what))
				}
				return p, err
			}
			p, err := unmake(c, k, want, after, live)
			if k.Undo != nil && len(p.commands) > 0 && !slices.Contains(o.Accept, k.Undo.ID) {
				what := fmt.Sprintf("%s %q stays (--accept %s: %s)", c.Kind, p.object.Name, k.Undo.ID, k.Undo.Title)
				return prepared{object: p.object, conflict: &NotAccepted{k.Undo.ID, what}}, err
			}
			return p, err
		case change.Update:
			p, err := o.setBack(c, k, c.Identity, t, live)
			if errors.Is(err, change.ErrOneWay) {
				return prepared{note: msg.Of("not undone: %s", err.Error())}, nil
			}
			return p, err
		case change.Delete:
			return remake(c, k, before, live)
		default:
			return replaceBack(c, k, want, before, after, live)
		}
	}
}

// made finds what a creation brought about, and says what of it is not as it was made.
func made(k *change.Kind, want change.Properties, after *change.Live, live []change.Live) (*change.Live, string) {
	var object *change.Live
	if after != nil {
		object = byIdentity(live, after.Identity)
	} else {
		for i := range live {
			if k.Matches(want, live[i]) {
				object = &live[i]
				break
			}
		}
	}
	switch {
	case object == nil:
		return nil, ""
	case after == nil:
		return object, lacking(k, want, object)
	case change.Extended(after, object):
		return object, fmt.Sprintf("%q was extended since: it has more than this run gave it", object.Name)
	default:
		return object, k.Differing(after, object)
	}
}

var (
	noteGone   = msg.Of("not there any more")
	noteBefore = msg.Of("as it was before")
)

func conflict(what string) error { return fmt.Errorf("%w: %s", ErrConflict, what) }

// unmake removes what was created.
func unmake(
	c change.Change, k *change.Kind, want change.Properties, after *change.Live, live []change.Live,
) (prepared, error) {
	object, moved := made(k, want, after, live)
	switch {
	case object == nil:
		return prepared{note: noteGone}, nil
	case moved != "":
		return prepared{object: object, conflict: conflict(moved)}, nil
	}
	command, err := k.Render(change.Delete, object.Name, nil, object)
	return prepared{
		commands: []change.Command{command},
		object:   object,
		effect: func(live []change.Live) (*change.Live, string) {
			if byIdentity(live, object.Identity) != nil {
				return nil, fmt.Sprintf("%s %q is still there", k.Noun, object.Name)
			}
			return nil, ""
		},
	}, err
}

// setBack restores the old values of the properties that the run wrote, where they still have the
// values of the run.
func (o Options) setBack(
	c change.Change, k *change.Kind, identity string, t trace, live []change.Live,
) (prepared, error) {
	want, object := t.begin.Want, byIdentity(live, identity)
	if object == nil {
		return prepared{conflict: conflict(fmt.Sprintf("%s %q is not there any more", c.Kind, c.Name))}, nil
	}
	set, secrets := change.Properties{}, change.Properties{}
	removed := map[string][]any{}
	var moved []string
	var refused error
	for _, name := range slices.Sorted(maps.Keys(want)) {
		property, now := k.Properties[name], object.Properties[name]
		if property.Write == change.CreateOnly || property.Write == change.Key {
			continue
		}
		if len(change.Secrets(want[name])) > 0 {
			secrets[name] = want[name]
			continue
		}
		was := t.was(name, property)
		if u, unreadable := now.(change.Unreadable); unreadable {
			moved = append(moved, fmt.Sprintf("%s cannot be read: %s", name, u.Reason))
			continue
		}
		if _, unknown := was.(change.Unreadable); unknown {
			moved = append(moved, "what "+name+" was before is not known")
			continue
		}
		switch {
		case property.Write == change.Merge:
			added := property.Added(want[name], was)
			rest := property.Without(now, added)
			lost := property.Added(c.Removes[name], rest) // comes back
			if rest = property.Merged(lost, rest); len(lost) > 0 {
				set[name] = rest
			} else if len(change.Elements(rest)) < len(change.Elements(now)) {
				if err := o.emptying(k, object.Name, change.Properties{name: rest}); err != nil {
					refused = err
					continue
				}
				set[name], removed[name] = rest, added
			}
		case property.Same(was, now):
		case property.InEffect(want[name], now):
			set[name] = was
		default:
			moved = append(moved, fmt.Sprintf("%s was set to %s, is %s", name, change.Text(want[name]),
				change.Text(now)))
		}
	}
	p := prepared{object: object, want: set, note: noteBefore, conflict: refused}
	if moved != nil {
		changed := conflict(fmt.Sprintf("%s %q: %s", c.Kind, object.Name, strings.Join(moved, "; ")))
		p.conflict = errors.Join(changed, refused)
	}
	if len(set) == 0 {
		return p, nil
	}
	maps.Copy(set, secrets) // go along with an update: see change.SecretRef
	command, err := k.Render(change.Update, object.Name, set, object)
	p.commands = []change.Command{command}
	p.effect = func(live []change.Live) (*change.Live, string) {
		l := byIdentity(live, object.Identity)
		if l == nil {
			return nil, fmt.Sprintf("%s %q is not there", k.Noun, object.Name)
		}
		for name, value := range set {
			if secrets[name] != nil {
				continue
			}
			property, now := k.Properties[name], l.Properties[name]
			if gone := removed[name]; gone != nil {
				if len(change.Elements(property.Without(now, gone))) < len(change.Elements(now)) {
					return nil, fmt.Sprintf("%s of %q is %s, not %s", name, l.Name, change.Text(now),
						change.Text(value))
				}
				continue
			}
			if !property.Same(value, now) {
				return nil, fmt.Sprintf("%s of %q is %s, not %s", name, l.Name, change.Text(now), change.Text(value))
			}
		}
		return l, ""
	}
	return p, err
}

// restorable is what of a before-image a resource can be made from.
func restorable(k *change.Kind, before *change.Live) change.Properties {
	want := change.Properties{}
	for name := range k.Properties {
		switch value := before.Properties[name].(type) {
		case nil, change.Unreadable:
		default:
			want[name] = value
		}
	}
	return want
}

// remake makes again what was removed.
func remake(c change.Change, k *change.Kind, before *change.Live, live []change.Live) (prepared, error) {
	if before == nil {
		return prepared{note: msg.Of("there was nothing")}, nil
	}
	want := restorable(k, before)
	for i := range live {
		if !k.Matches(want, live[i]) {
			continue
		}
		if moved := k.Differing(before, &live[i]); moved != "" {
			return prepared{object: &live[i], conflict: conflict("there is another one by now: " + moved)}, nil
		}
		return prepared{object: &live[i], note: msg.Of("there again already")}, nil
	}
	p, err := create(k, c.Kind, before.Name, want)
	p.again, p.conflict = before, notRestored(k, before)
	return p, err
}

// notRestored says what of a before-image does not come back: what was there and could not be read.
func notRestored(k *change.Kind, before *change.Live) error {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(k.Properties)) {
		if _, unknown := before.Properties[name].(change.Unreadable); unknown {
			names = append(names, name)
		}
	}
	if names == nil {
		return nil
	}
	return conflict(fmt.Sprintf("%q is made again without %s: what was there could not be read", before.Name,
		strings.Join(names, ", ")))
}

func create(k *change.Kind, noun, name string, want change.Properties) (prepared, error) {
	command, err := k.Render(change.Create, name, want, nil)
	again := change.Change{Kind: noun, Name: name, Action: change.Create}
	return prepared{
		commands: []change.Command{command},
		want:     want,
		effect:   func(live []change.Live) (*change.Live, string) { return inEffect(k, again, want, live) },
	}, err
}

// replaceBack undoes a replacement, also one that ended after the removal.
func replaceBack(
	c change.Change, k *change.Kind, want change.Properties, before, after *change.Live, live []change.Live,
) (prepared, error) {
	if before == nil {
		return unmake(c, k, want, after, live)
	}
	old := restorable(k, before)
	for i := range live {
		if k.Matches(old, live[i]) && k.Differing(before, &live[i]) == "" {
			return prepared{object: &live[i], note: noteBefore}, nil
		}
	}
	object, moved := made(k, want, after, live)
	if moved != "" {
		return prepared{object: object, conflict: conflict(moved)}, nil
	}
	for name, value := range want { // what was removed had a secret too, which only the reference can give
		if len(change.Secrets(value)) > 0 {
			old[name] = value
		}
	}
	p, err := create(k, c.Kind, before.Name, old)
	p.effect = func(live []change.Live) (*change.Live, string) {
		missing := fmt.Sprintf("%s %q is not there", k.Noun, before.Name)
		for i := range live {
			if !k.Matches(old, live[i]) {
				continue
			}
			if missing = k.Differing(before, &live[i]); missing == "" {
				return &live[i], ""
			}
		}
		return nil, missing
	}
	p.conflict = notRestored(k, before)
	if err != nil || object == nil {
		return p, err
	}
	removal, err := k.Render(change.Delete, object.Name, nil, object)
	p.commands, p.object, p.removal = append([]change.Command{removal}, p.commands...), object, true
	return p, err
}
