package apply

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
)

// Errors of Run, Rollback and History; test with errors.Is.
var (
	ErrStale    = errors.New("the live state is not what the plan was made from")
	ErrPartial  = errors.New("not everything was carried out") // the journal is kept; the causes are wrapped too
	ErrDeletes  = errors.New("the plan removes resources, which was not allowed")
	ErrLocked   = errors.New("another run is at work")
	ErrNoRun    = errors.New("no run to roll back")
	ErrState    = errors.New("the state directory cannot be used")
	ErrConflict = errors.New("changed by someone else since, left alone")
	ErrNotSeen  = errors.New("written, but not to be seen")
)

// Run carries out a plan at its places. kinds are those of the plan, by noun.
//
// Nothing is written before the state directory is locked and writable, the plan is found sound, removals are allowed and the live
// state, all of it, is what the plan was made from (ErrStale otherwise). A run of the same plan that was killed, cancelled or carried out in
// part is taken up again: what it did stays done, and a change that was under way is looked at first. The error is nil when every change is in
// effect, of class ErrPartial when some are not, and the context's when it ended; the report tells which in all three cases.
func Run(ctx context.Context, places map[string]change.Place, kinds map[string]*change.Kind, p change.Plan, o Options, obs observe.Observer) (Report, error) {
	if err := p.Validate(); err != nil {
		return Report{}, err
	}
	if err := known(places, kinds, p); err != nil {
		return Report{}, err
	}
	if err := deletes(p); err != nil && !o.AllowDelete {
		return Report{}, err
	}
	if len(p.Changes) == 0 {
		return Report{APIVersion: "hybridge/v1", Kind: "ApplyReport", Changes: []Outcome{}}, nil
	}
	state, err := openState(o.StateDir)
	if err != nil {
		return Report{}, err
	}
	defer state.close()
	prior, err := unfinished(o.StateDir, p.Hash())
	if err != nil {
		return Report{}, err
	}
	live, err := readAll(ctx, places, kinds, slices.Collect(maps.Keys(p.Live)))
	if err != nil {
		return Report{}, err
	}

	x := &execution{options: o, stage: "apply", obs: obs, live: live, keep: map[change.Ref]bool{}}
	for _, c := range p.Changes {
		x.steps = append(x.steps, &step{
			outcome: Outcome{ID: c.ID, Target: c.Target, Kind: c.Kind, Name: c.Name, Action: c.Action},
			kind:    kinds[c.Kind],
			place:   places[c.Target],
			needs:   c.Needs,
		})
		for _, ref := range slices.Concat(change.Refs(c.After), change.Refs(c.Command.Parameters)) {
			x.keep[ref] = true
		}
	}
	for i, s := range x.steps {
		s.prepare = x.forward(p.Changes[i], s.kind, nil)
	}

	if prior == nil {
		if err := stale(p.Live, live, kinds); err != nil {
			return Report{}, err
		}
		if err := genuine(p, live, kinds); err != nil {
			return Report{}, err
		}
		ids := make([]string, len(p.Changes))
		for i, c := range p.Changes {
			ids[i] = c.ID
		}
		x.journal, err = state.create(record{Action: actionApply, Version: o.Version, PlanHash: p.Hash(), Plan: &storedPlan{p}, IDs: ids}, o.fault)
		if err != nil {
			return Report{}, err
		}
	} else {
		settle, err := x.resume(ctx, kinds, p, prior)
		if err != nil {
			return Report{}, err
		}
		if x.journal, err = openJournal(prior.path, o.fault); err != nil {
			return Report{}, err
		}
		defer x.journal.close()
		for _, r := range append([]record{{Record: eventResume, Version: o.Version}}, settle...) {
			if err := x.journal.append(r); err != nil {
				return Report{}, err
			}
		}
	}
	defer x.journal.close()
	report, err := x.run(ctx)
	return report, err
}

// known refuses a plan that speaks of places or kinds that are not there.
func known(places map[string]change.Place, kinds map[string]*change.Kind, p change.Plan) error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(p.Live)) {
		target, noun := cut(key)
		if places[target] == nil {
			errs = append(errs, fmt.Errorf("%w: there is no place %q in this deployment", change.ErrPlan, target))
		}
		if kinds[noun] == nil {
			errs = append(errs, fmt.Errorf("%w: this hybridge knows no kind %q", change.ErrPlan, noun))
		}
	}
	return errors.Join(errs...)
}

func cut(key string) (target, noun string) {
	at := strings.LastIndexByte(key, '/')
	return key[:max(at, 0)], key[at+1:]
}

func deletes(p change.Plan) error {
	var names []string
	for _, c := range p.Changes {
		if c.Action == change.Delete {
			names = append(names, c.ID)
		}
	}
	if names == nil {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrDeletes, strings.Join(names, ", "))
}

// unfinished finds the run of a plan that can be taken up again: the newest of the plan, if it did not come to its end
// and nobody began to roll it back.
func unfinished(stateDir, hash string) (*past, error) {
	runs, err := readRuns(stateDir)
	if err != nil {
		return nil, err
	}
	for _, run := range slices.Backward(runs) {
		if run.head.Action != actionApply || run.head.PlanHash != hash {
			continue
		}
		if run.outcome() == "complete" || undoing(runs, run.head.RunID) != nil {
			return nil, nil
		}
		return run, nil
	}
	return nil, nil
}

// readAll reads kinds at places, by "target/Kind": places in parallel.
func readAll(ctx context.Context, places map[string]change.Place, kinds map[string]*change.Kind, keys []string) (map[string][]change.Live, error) {
	slices.Sort(keys)
	byTarget := map[string][]string{}
	for _, key := range keys {
		target, _ := cut(key)
		byTarget[target] = append(byTarget[target], key)
	}
	live := map[string][]change.Live{}
	targets := slices.Sorted(maps.Keys(byTarget))
	errs := make([]error, len(targets))
	var mu sync.Mutex
	var g errgroup.Group
	for i, target := range targets {
		g.Go(func() error {
			for _, key := range byTarget[target] {
				_, noun := cut(key)
				read, err := places[target].Read(ctx, kinds[noun])
				if err != nil {
					errs[i] = fmt.Errorf("%s: read %s: %w", target, noun, err)
					return nil
				}
				if read == nil {
					read = []change.Live{}
				}
				mu.Lock()
				live[key] = read
				mu.Unlock()
			}
			return nil
		})
	}
	_ = g.Wait()
	return live, errors.Join(errs...)
}

// stale names everything that is not as expected.
func stale(expected map[string]string, live map[string][]change.Live, kinds map[string]*change.Kind) error {
	var moved []string
	for _, key := range slices.Sorted(maps.Keys(expected)) {
		_, noun := cut(key)
		now, err := change.Fingerprint(kinds[noun], live[key])
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if now != expected[key] {
			moved = append(moved, key)
		}
	}
	return staleness(moved)
}

// genuine holds every command of a plan against what its kind renders for the change. A plan is a file that people and pipelines pass on: what it shows
// as the change, and was agreed to, must be what is run. live is what the plan was made from.
func genuine(p change.Plan, live map[string][]change.Live, kinds map[string]*change.Kind) error {
	for _, c := range p.Changes {
		k := kinds[c.Kind]
		object := byIdentity(live[c.Target+"/"+c.Kind], c.Identity)
		if c.Action != change.Create && object == nil {
			return fmt.Errorf("%w: %s touches %q, which is not there", change.ErrPlan, c.ID, c.Identity)
		}
		var want []change.Command
		var err error
		render := func(a change.Action, values change.Properties, object *change.Live) {
			if err == nil {
				var command change.Command
				command, err = k.Render(a, c.Name, values, object)
				want = append(want, command)
			}
		}
		switch c.Action {
		case change.Update:
			render(change.Update, c.After, object)
		case change.Delete:
			render(change.Delete, nil, object)
		case change.Recreate:
			render(change.Delete, nil, object)
			render(change.Create, c.After, nil)
		default:
			render(change.Create, c.After, nil)
		}
		if err != nil {
			return fmt.Errorf("%w: %s: %w", change.ErrPlan, c.ID, err)
		}
		wanted, err := json.Marshal(want)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", change.ErrPlan, c.ID, err)
		}
		given, err := json.Marshal(c.Commands())
		if err != nil {
			return fmt.Errorf("%w: %s: %w", change.ErrPlan, c.ID, err)
		}
		if !bytes.Equal(wanted, given) {
			return fmt.Errorf("%w: what it runs for %s is not what the change takes: make the plan again", change.ErrPlan, c.ID)
		}
	}
	return nil
}

func staleness(moved []string) error {
	if len(moved) == 0 {
		return nil
	}
	slices.Sort(moved)
	return fmt.Errorf("%w: %s changed", ErrStale, strings.Join(slices.Compact(moved), ", "))
}

// resume brings the steps to where an earlier session of the run left them. It returns what the journal has to be told: the changes
// that were under way and turn out to be in effect.
func (x *execution) resume(ctx context.Context, kinds map[string]*change.Kind, p change.Plan, prior *past) ([]record, error) {
	traces := prior.traces()
	expected := maps.Clone(p.Live)
	written := map[string]bool{}            // places that this run wrote to
	open := map[string]int{}                // changes still to be made, by "target/Kind"
	touched := map[string]bool{}            // by this run
	uncertain := map[string]change.Change{} // the change whose effect is not known, at most one a kind and place
	for _, r := range prior.records {
		s := x.find(r.Change)
		if s == nil {
			continue
		}
		written[s.outcome.Target] = true
		if (r.Record == eventBegin || r.Record == eventEnd) && r.Live != "" {
			expected[s.outcome.Target+"/"+s.outcome.Kind] = r.Live
		}
	}
	for i, c := range p.Changes {
		s, t, key := x.steps[i], traces[c.ID], c.Target+"/"+c.Kind
		switch {
		case t.done():
			s.settled, touched[key] = true, true
			s.outcome.Status, s.outcome.Note, s.outcome.DurationMS = t.end.Status, t.end.Note, t.end.DurationMS
			s.after, s.outputs = t.end.After.live(), t.end.Outputs
		default:
			open[key]++
			if t.uncertain() {
				uncertain[key] = c
			}
		}
	}

	var moved []string
	var settle []record
	for _, key := range slices.Sorted(maps.Keys(expected)) {
		_, noun := cut(key)
		kind := kinds[noun]
		if open[key] == 0 && touched[key] {
			continue // nothing is written there any more
		}
		now, err := change.Fingerprint(kind, x.live[key])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		c, doubtful := uncertain[key]
		if !doubtful {
			// A write of one kind can show in another, so at a place that this run wrote to it is enough that each
			// change still to be made meets what the plan says it touches.
			target, _ := cut(key)
			if now != expected[key] && !(written[target] && x.fits(p, traces, key)) {
				moved = append(moved, key)
			}
			continue
		}
		r, err := x.settle(ctx, c, traces[c.ID], expected[key])
		if errors.Is(err, ErrStale) {
			moved = append(moved, key)
			continue
		}
		if err != nil {
			return nil, err
		}
		if r != nil {
			settle = append(settle, *r)
		}
	}
	return settle, staleness(moved)
}

// fits tells whether the changes that a run has still to make of a kind at a place find what the plan was made from.
func (x *execution) fits(p change.Plan, traces map[string]trace, key string) bool {
	for i, c := range p.Changes {
		if c.Target+"/"+c.Kind == key && !traces[c.ID].done() && fits(c, x.steps[i].kind, x.live[key]) != "" {
			return false
		}
	}
	return true
}

// fits says in what the resource that a change touches is not as the plan has it.
func fits(c change.Change, k *change.Kind, live []change.Live) string {
	if c.Action == change.Create {
		return "" // the place itself makes nothing twice
	}
	object := byIdentity(live, c.Identity)
	if object == nil {
		return fmt.Sprintf("%s %q is not there any more", c.Kind, c.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Before)) {
		property, declared := k.Properties[name]
		if declared && !property.Same(c.Before[name], object.Properties[name]) {
			return fmt.Sprintf("%s of %q was %s, is %s", name, c.Name, change.Text(c.Before[name]), change.Text(object.Properties[name]))
		}
	}
	return ""
}

func (x *execution) find(id string) *step {
	for _, s := range x.steps {
		if s.outcome.ID == id {
			return s
		}
	}
	return nil
}

// settle finds out what became of a change that was under way: in effect (the record says so), not in effect (nil: it is
// run again, from where it was), or neither (ErrStale). expected is the fingerprint from before it.
func (x *execution) settle(ctx context.Context, c change.Change, t trace, expected string) (*record, error) {
	s := x.find(c.ID)
	// What a slow system was told may not show yet: give it the time it is known to need.
	for until := time.Now().Add(s.kind.Patience); ; {
		live := x.live[c.Target+"/"+c.Kind]
		now, err := change.Fingerprint(s.kind, live)
		if err != nil {
			return nil, err
		}
		object, missing := inEffect(s.kind, c, t.begin.Want, live)
		others, err := change.Fingerprint(s.kind, without(live, object))
		if err != nil {
			return nil, err
		}
		switch {
		case missing == "" && others == t.begin.Others:
			s.settled, s.after, s.outcome.Status = true, object, Done
			if s.outputs, err = x.kept(c.ID, nil, object); err != nil {
				return nil, err
			}
			return &record{Record: eventEnd, Change: c.ID, Status: Done, After: imageOf(s.kind, object), Live: now, Outputs: s.outputs}, nil
		case c.Action == change.Recreate && byIdentity(live, c.Identity) == nil && now == t.begin.Others:
			s.prepare = x.forward(c, s.kind, t.begin.Before.live()) // only its first half was done
			return nil, nil
		case now != expected:
			return nil, ErrStale
		case !time.Now().Before(until):
			return nil, nil
		}
		x.observe(observe.Waiting{Stage: x.stage, ID: c.ID, What: missing, Until: until})
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if _, err := x.read(ctx, s); err != nil {
			return nil, err
		}
	}
}

// forward prepares a change of the plan. removed is what a replacement, of which only the removal was done, has removed.
func (x *execution) forward(c change.Change, k *change.Kind, removed *change.Live) func([]change.Live) (prepared, error) {
	return func(live []change.Live) (prepared, error) {
		var p prepared
		after, err := change.Resolve(c.After, x.lookup)
		if err != nil {
			return p, err
		}
		p.want, _ = after.(change.Properties)
		for _, command := range c.Commands() {
			if command.Parameters != nil {
				parameters, err := change.Resolve(command.Parameters, x.lookup)
				if err != nil {
					return p, err
				}
				command.Parameters = parameters.(map[string]any)
			}
			p.commands = append(p.commands, command)
		}
		p.removal = c.Action == change.Recreate
		if removed != nil {
			p.commands, p.removal, p.before = p.commands[1:], false, removed
		}
		if c.Action != change.Create {
			p.object = byIdentity(live, c.Identity)
		} else if at := slices.IndexFunc(live, func(l change.Live) bool { return k.Matches(p.want, l) }); at >= 0 {
			// An aspect of an object that a change before this one made may be half there.
			p.object = &live[at]
		}
		p.effect = func(live []change.Live) (*change.Live, string) { return inEffect(k, c, p.want, live) }
		if object, missing := p.effect(live); missing == "" {
			// Someone, or a change before this one, saw to it.
			p.commands, p.object, p.note = nil, object, "in effect already"
			return p, nil
		}
		if removed == nil {
			if moved := fits(c, k, live); moved != "" {
				return p, fmt.Errorf("%w: %s", ErrStale, moved)
			}
		}
		return p, nil
	}
}

// lookup gives what another change brought forth.
func (x *execution) lookup(ref change.Ref) (any, error) {
	s := x.find(ref.Change)
	if s == nil {
		return nil, fmt.Errorf("refers to %s, which is no change of this plan", ref)
	}
	if value, ok := s.outputs[ref.Property]; ok {
		return value, nil
	}
	if s.after == nil {
		return nil, fmt.Errorf("refers to %s, which is not known", ref)
	}
	return change.LiveValue(*s.after, ref.Property)
}

// inEffect finds the resource that a change was to bring about among the live ones, or says what is missing. For a removal, the
// resource found is nil.
func inEffect(k *change.Kind, c change.Change, want change.Properties, live []change.Live) (*change.Live, string) {
	switch c.Action {
	case change.Delete:
		if byIdentity(live, c.Identity) != nil {
			return nil, fmt.Sprintf("%s %q is still there", c.Kind, c.Name)
		}
		return nil, ""
	case change.Update:
		l := byIdentity(live, c.Identity)
		if l == nil {
			return nil, fmt.Sprintf("%s %q is not there", c.Kind, c.Name)
		}
		return l, lacking(k, want, l)
	default:
		missing := fmt.Sprintf("%s %q is not there", c.Kind, c.Name)
		for i := range live {
			if !k.Matches(want, live[i]) {
				continue
			}
			if missing = lacking(k, want, &live[i]); missing == "" {
				return &live[i], ""
			}
		}
		return nil, missing
	}
}

// lacking names the first property that is not as wanted.
func lacking(k *change.Kind, want change.Properties, l *change.Live) string {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		value := l.Properties[name]
		if u, unreadable := value.(change.Unreadable); unreadable {
			return fmt.Sprintf("%s of %q cannot be read: %s", name, l.Name, u.Reason)
		}
		if !k.Properties[name].InEffect(want[name], value) {
			return fmt.Sprintf("%s of %q is %s, not %s", name, l.Name, change.Text(value), change.Text(want[name]))
		}
	}
	return ""
}
