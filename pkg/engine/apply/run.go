package apply

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
)

// Errors of Run, Rollback, Preview and History; test with errors.Is.
var (
	ErrStale       = errors.New("the live state is not what the plan was made from")
	ErrPartial     = errors.New("not everything was carried out") // the journal is kept; the causes are wrapped too
	ErrNotAccepted = errors.New("not accepted")
	ErrStopped     = errors.New("stopped before the rest was begun") // what was begun is done; the next run goes on
	ErrLocked      = errors.New("another run is at work")
	ErrNoRun       = errors.New("no run to roll back")
	ErrState       = errors.New("the state directory cannot be used")
	ErrJournal     = errors.New("the journal cannot be used")
	ErrElsewhere   = errors.New("the run belongs to another organization")
	ErrConflict    = errors.New("changed since the run, not undone")
	ErrNotSeen     = errors.New("written, but not to be seen")
	ErrUncertain   = errors.New("no answer, it may be in effect")
)

// Run carries out a plan at its places. kinds are those of the plan, by noun.
//
// Run writes nothing before the state directory is locked and writable, the plan is found to be one
// that hybridge wrote (change.ErrPlan, change.ErrEdited), removals are accepted, and the live
// state, all of it, is what the plan was made from (ErrStale). It takes up a run of the same plan
// that was killed, cancelled or carried out in part: what is done stays done, and what was under
// way is looked at first. The error is nil when every change is in effect, of class ErrPartial when
// some are not, and the context's when it ended; the report names the changes in all three cases.
func Run(
	ctx context.Context, places map[string]change.Place, kinds map[string]*change.Kind, p change.Plan, o Options,
	obs observe.Observer,
) (Report, error) {
	if err := p.Validate(); err != nil {
		return Report{}, err
	}
	if o.Digest != "" && !strings.EqualFold(strings.TrimPrefix(p.Digest, "sha256:"),
		strings.TrimPrefix(o.Digest, "sha256:")) {
		return Report{}, fmt.Errorf("%w: its digest is %s, required is %s", change.ErrEdited, p.Digest, o.Digest)
	}
	if err := known(places, kinds, p); err != nil {
		return Report{}, err
	}
	if err := Unaccepted(p, kinds, o.Accept); err != nil {
		return Report{}, err
	}
	for _, c := range p.Changes {
		if err := o.emptying(kinds[c.Kind], c.Name, c.After); err != nil {
			return Report{}, err
		}
	}
	if len(p.Changes) == 0 {
		return Report{APIVersion: "hybridge/v1", Kind: "ApplyReport", Digest: p.Digest, Changes: []Outcome{}}, nil
	}
	state, err := openState(o.StateDir)
	if err != nil {
		return Report{}, err
	}
	defer state.close()
	x := &execution{options: o, stage: "apply", digest: p.Digest, obs: obs, keep: map[change.Ref]bool{}}
	prior, err := x.unfinished(p.Digest)
	if err != nil {
		return Report{}, err
	}
	ids, err := identities(ctx, o, p)
	if err != nil {
		return Report{}, err
	}
	if prior != nil {
		if err := prior.elsewhere(ids); err != nil {
			return Report{}, err
		}
	}
	if x.live, err = readAll(ctx, places, kinds, slices.Collect(maps.Keys(p.Live))); err != nil {
		return Report{}, err
	}
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

	var opening []record // of this session
	if prior == nil {
		if err := stale(p.Live, x.live, kinds); err != nil {
			return Report{}, err
		}
		if err := genuine(p, x.live, kinds); err != nil {
			return Report{}, err
		}
		head := record{
			Action: actionApply, Version: o.Version, Accepted: o.Accept, Places: ids, Plan: &storedPlan{p},
			IDs: idsOf(p.Changes),
		}
		if x.journal, err = state.create(head, o.fault); err != nil {
			return Report{}, err
		}
	} else {
		settled, err := x.resume(ctx, kinds, p, prior)
		if err != nil {
			return Report{}, err
		}
		if x.journal, err = prior.reopen(o.fault); err != nil {
			return Report{}, err
		}
		opening = append([]record{{Record: eventResume, Version: o.Version, Accepted: o.Accept}}, settled...)
	}
	defer x.journal.close()
	for _, r := range opening {
		if err := x.journal.append(r); err != nil {
			return Report{}, err
		}
	}
	return x.run(ctx)
}

func idsOf(changes []change.Change) []string {
	ids := make([]string, len(changes))
	for i, c := range changes {
		ids[i] = c.ID
	}
	return ids
}

// known refuses a plan that names unknown places or kinds.
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

// emptying returns a NotAccepted when values would empty a list and the consent for it is missing.
func (o Options) emptying(k *change.Kind, name string, values change.Properties) error {
	for _, property := range slices.Sorted(maps.Keys(values)) {
		c := k.Properties[property].WhenEmpty
		if c != nil && len(change.Elements(values[property])) == 0 && !slices.Contains(o.Accept, c.ID) {
			what := fmt.Sprintf("%s of %q would be empty (--accept %s: %s)", property, name, c.ID, c.Title)
			return &NotAccepted{c.ID, what}
		}
	}
	return nil
}

// identities asks which organizations the places of a plan's changes are.
func identities(ctx context.Context, o Options, p change.Plan) (map[string]string, error) {
	ids := map[string]string{}
	for _, c := range p.Changes {
		if _, asked := ids[c.Target]; asked {
			continue
		}
		if o.Identity == nil {
			ids[c.Target] = ""
			continue
		}
		id, err := o.Identity(ctx, c.Target)
		if err != nil {
			return nil, fmt.Errorf("which organization %s is: %w", c.Target, err)
		}
		ids[c.Target] = id
	}
	return ids, nil
}

// unfinished finds the run of a plan that can be taken up again: the newest of the plan, if it did
// not end and no rollback of it was begun. A journal that cannot be read does not block the plan,
// since the live state must be what the plan was made from, or what the run made of it. It is
// reported as a warning.
func (x *execution) unfinished(digest string) (*past, error) {
	runs, faults, err := readRuns(x.options.StateDir)
	if err != nil {
		return nil, err
	}
	for _, u := range faults {
		if !u.complete {
			x.observe(observe.Warning{Text: u.err.Error()})
		}
	}
	for _, run := range slices.Backward(runs) {
		if run.head.Action != actionApply || run.head.Plan.Digest != digest {
			continue
		}
		x.doubted = slices.ContainsFunc(faults, func(u unreadable) bool { return u.id > run.head.RunID })
		if run.outcome() == "complete" || undoing(runs, run.head.RunID) != nil {
			return nil, nil
		}
		return run, nil
	}
	return nil, nil
}

// readAll reads kinds at places, by "target/Kind": places in parallel.
func readAll(
	ctx context.Context, places map[string]change.Place, kinds map[string]*change.Kind, keys []string,
) (map[string][]change.Live, error) {
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
	var wg sync.WaitGroup
	for i, target := range targets {
		wg.Go(func() {
			for _, key := range byTarget[target] {
				_, noun := cut(key)
				read, err := places[target].Read(ctx, kinds[noun])
				if err != nil {
					errs[i] = fmt.Errorf("%s: read %s: %w", target, noun, err)
					return
				}
				if read == nil {
					read = []change.Live{}
				}
				mu.Lock()
				live[key] = read
				mu.Unlock()
			}
		})
	}
	wg.Wait()
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

// genuine compares every change of a plan with what is live and with what its kind makes of it.
// People and pipelines pass plans on as files. What the plan shows, and a person agreed to, must be
// what runs. live is what the plan was made from.
func genuine(p change.Plan, live map[string][]change.Live, kinds map[string]*change.Kind) error {
	for _, c := range p.Changes {
		if err := genuineChange(c, kinds[c.Kind], live[c.Target+"/"+c.Kind]); err != nil {
			return fmt.Errorf("%w: %s: %w (edited, or of another version of hybridge)", change.ErrEdited, c.ID, err)
		}
	}
	return nil
}

func genuineChange(c change.Change, k *change.Kind, live []change.Live) error {
	if c.Risk != k.Risk {
		return fmt.Errorf("its risk is not that of the kind %s", c.Kind)
	}
	object := byIdentity(live, c.Identity)
	if c.Action != change.Create {
		switch {
		case object == nil:
			return fmt.Errorf("it touches %q, which is not there", c.Identity)
		case object.Name != c.Name:
			return fmt.Errorf("it touches %q and says that it touches %q", object.Name, c.Name)
		}
		if moved := fits(c, k, live); moved != "" {
			return errors.New(moved)
		}
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
	if len(c.Removes) > 0 && c.Action != change.Update {
		return errors.New("it takes elements out of the lists of a resource that it does not update")
	}
	switch c.Action {
	case change.Update:
		for name, property := range k.Properties {
			gone := property.Added(c.Before[name], c.After[name])
			if property.Write == change.Merge && len(property.Added(gone, c.Removes[name])) > 0 {
				return fmt.Errorf("it takes %s out of %s", change.Text(gone), name)
			}
		}
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
		return err
	}
	wanted, err := json.Marshal(want)
	if err != nil {
		return err
	}
	given, err := json.Marshal(c.Commands())
	if err != nil {
		return err
	}
	if !bytes.Equal(wanted, given) {
		return errors.New("what it runs is not what the change takes")
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

// resume brings the steps to where an earlier session of the run left them. It returns what the
// journal lacks: the changes that were under way and turn out to be in effect.
func (x *execution) resume(
	ctx context.Context, kinds map[string]*change.Kind, p change.Plan, prior *past,
) ([]record, error) {
	traces := prior.traces()
	expected := maps.Clone(p.Live)
	written := map[string]bool{} // places that this run wrote to
	open := map[string]int{}     // changes still to be made, by "target/Kind"
	touched := map[string]bool{} // by this run
	// Holds the change whose effect is unknown: at most one per kind and place, see
	// execution.doubt.
	uncertain := map[string]change.Change{}
	for _, r := range prior.records {
		s := x.find(r.Change)
		if s == nil {
			continue
		}
		written[s.outcome.Target] = true
		if (r.Record == eventBegin || r.Record == eventEnd) && r.Live != "" {
			expected[s.key()] = r.Live
		}
	}
	var moved []string
	for i, c := range p.Changes {
		s, t := x.steps[i], traces[c.ID]
		key := s.key()
		switch {
		case t.done():
			if x.doubted && !x.stands(c, t) {
				moved = append(moved, key)
			}
			s.settled, touched[key] = true, true
			s.outcome.Status, s.outcome.Note, s.outcome.DurationMS = t.end.Status, t.end.Note, t.end.DurationMS
			s.after, s.outputs = t.end.After.live(), t.end.Outputs
		default:
			if t.removed {
				s.prepare = x.forward(c, s.kind, t.begin.Before.live())
			}
			open[key]++
			if t.uncertain() {
				uncertain[key], s.doubtful = c, true
			}
		}
	}

	var settled []record
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
			// A write of one kind can show in another, so at a place that this run wrote to it is
			// enough that each change still to be made meets what the plan says it touches.
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
			settled = append(settled, *r)
		}
	}
	return settled, staleness(moved)
}

// stands reports whether a change that a run wrote is still in effect.
func (x *execution) stands(c change.Change, t trace) bool {
	if t.begin == nil {
		return true
	}
	s := x.find(c.ID)
	_, missing := inEffect(s.kind, c, t.begin.Want, x.live[s.key()])
	return missing == ""
}

// fits reports whether the remaining changes of a kind at a place find the state that the plan was
// made from, or are in effect by now: one that could not be seen in time, or that others made.
func (x *execution) fits(p change.Plan, traces map[string]trace, key string) bool {
	for i, c := range p.Changes {
		t, live := traces[c.ID], x.live[key]
		if c.Target+"/"+c.Kind != key || t.done() || t.removed && byIdentity(live, c.Identity) == nil {
			continue
		}
		want := c.After
		if t.begin != nil {
			want = t.begin.Want
		}
		if k := x.steps[i].kind; fits(c, k, live) != "" {
			if _, missing := inEffect(k, c, want, live); missing != "" {
				return false
			}
		}
	}
	return true
}

// fits names the difference between the resource that a change touches and the plan.
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
			return fmt.Sprintf("%s of %q was %s, is %s", name, c.Name, change.Text(c.Before[name]),
				change.Text(object.Properties[name]))
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

// settle finds the outcome of a change that was under way: in effect (the record says so), not in
// effect (nil: it is run again, from where it was), or neither (ErrStale). expected is the
// fingerprint from before it.
//
// A system that answers from a replica may not show yet what it made. settle therefore waits for
// what would be created twice, for the patience of its kind. Everything else is written again.
func (x *execution) settle(ctx context.Context, c change.Change, t trace, expected string) (*record, error) {
	s := x.find(c.ID)
	until := time.Now()
	if c.Action == change.Create || t.removed {
		until = until.Add(x.patience(s.kind))
	}
	live := x.live[s.key()]
	for pause := 200 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		now, err := change.Fingerprint(s.kind, live)
		if err != nil {
			return nil, err
		}
		object, missing := inEffect(s.kind, c, t.begin.Want, live)
		likely := object
		if likely == nil {
			likely = candidate(s.kind, c, t.begin.Want, live)
		}
		others, err := change.Fingerprint(s.kind, without(live, likely))
		if err != nil {
			return nil, err
		}
		halved := c.Action == change.Recreate && byIdentity(live, c.Identity) == nil && now == t.begin.Others
		late := !time.Now().Before(until)
		switch {
		case missing == "" && others == t.begin.Others:
			s.settled, s.after, s.outcome.Status = true, object, Done
			if s.outputs, err = x.kept(c.ID, nil, object); err != nil {
				return nil, err
			}
			return &record{
				Record: eventEnd, Change: c.ID, Status: Done, After: x.imageOf(s.kind, object), Live: now,
				Outputs: s.outputs,
			}, nil
		case halved && late:
			s.prepare = x.forward(c, s.kind, t.begin.Before.live()) // only its first half was done
			return nil, nil
		case now != expected && !halved && (late || others != t.begin.Others):
			return nil, ErrStale
		case late:
			return nil, nil
		}
		x.observe(observe.Waiting{Stage: x.stage, ID: c.ID, What: x.secrets.text(missing), Until: until})
		if err := pauseFor(ctx, min(pause, time.Until(until))); err != nil {
			return nil, err
		}
		if live, err = x.read(ctx, s); err != nil {
			return nil, err
		}
	}
}

// candidate is the live resource that a creation made in part, or that is visible in part.
func candidate(k *change.Kind, c change.Change, want change.Properties, live []change.Live) *change.Live {
	if c.Action == change.Update || c.Action == change.Delete {
		return byIdentity(live, c.Identity)
	}
	for i := range live {
		if k.Matches(want, live[i]) {
			return &live[i]
		}
	}
	return nil
}

// forward prepares a change of the plan. removed is what a replacement has removed of which only
// the removal was done. It is gone, unless others have made it again.
func (x *execution) forward(
	c change.Change, k *change.Kind, removed *change.Live,
) func([]change.Live) (prepared, error) {
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
		if c.Action != change.Create {
			p.object = byIdentity(live, c.Identity)
		} else {
			// An aspect of an object that a change before this one made may be half there.
			p.object = candidate(k, c, p.want, live)
		}
		p.removal = c.Action == change.Recreate
		half := removed != nil && p.object == nil
		if half {
			p.commands, p.removal, p.before = p.commands[1:], false, removed
		}
		if c.Action == change.Update && p.object != nil {
			if err := p.merge(c, k); err != nil {
				return p, err
			}
			// Others may have taken out since what would have stayed.
			if err := x.options.emptying(k, c.Name, p.want); err != nil {
				return p, err
			}
		}
		p.effect = func(live []change.Live) (*change.Live, string) { return inEffect(k, c, p.want, live) }
		if object, missing := p.effect(live); missing == "" {
			// Another administrator, or an earlier change, did it already.
			p.commands, p.object, p.note = nil, object, msg.Of("in effect already")
			return p, nil
		}
		if !half {
			if moved := fits(c, k, live); moved != "" && !p.merged {
				return p, fmt.Errorf("%w: %s", ErrStale, moved)
			}
		}
		return p, nil
	}
}

// merge adds to shared lists what the plan adds, and nothing else. What others added or removed
// since the plan was made stays. Other differences are left to fits.
func (p *prepared) merge(c change.Change, k *change.Kind) error {
	want := maps.Clone(p.want)
	for _, name := range slices.Sorted(maps.Keys(c.Before)) {
		property, declared := k.Properties[name]
		now := p.object.Properties[name]
		if !declared || property.Same(c.Before[name], now) {
			continue
		}
		if _, unreadable := now.(change.Unreadable); unreadable || property.Write != change.Merge {
			p.merged = false
			return nil
		}
		want[name] = property.Without(property.Merged(property.Added(p.want[name], c.Before[name]), now),
			change.Elements(c.Removes[name]))
		p.merged = true
	}
	if !p.merged {
		return nil
	}
	p.want = want
	command, err := k.Render(change.Update, c.Name, want, p.object)
	if err != nil {
		return err
	}
	p.commands = []change.Command{command}
	return nil
}

// lookup returns an output of another change.
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

// inEffect finds the resource that a change was to bring about among the live ones, or says what is
// missing. For a removal, the resource found is nil.
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
		return l, cmp.Or(lacking(k, want, l), c.Left(k, l))
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
		if len(change.Secrets(want[name])) > 0 {
			continue // never compared
		}
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
