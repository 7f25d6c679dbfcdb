package change

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/selection"
)

// Options for Make.
type Options struct {
	Parallel int      // places read at once; all when 0
	Only     []string // globs of change ids; see package selection
	Skip     []string
	Parts    []string         // parts of the organization; empty: all
	Mentions []string         // texts of which a change must contain one; empty: none
	Observer observe.Observer // nil: not observed
	LeftOut  []LeftOut        // what could not be derived; the plan says so
	Notes    []Note           // what the plan says besides
}

// Errors of Make; test with errors.Is.
var (
	ErrUnreadable = errors.New("cannot be read")      // nothing is planned on unknown
	ErrAmbiguous  = errors.New("more than one match") // several live resources are the one desired, or the reverse
)

// Make reads what is live at the places and plans what brings it to the resources: each kind is
// read once per place, places in parallel. A failed read is not an absence: what rests on it is
// left out, and so is what needs that. When nothing at all could be read, that is an error.
//
// A change comes after what it needs and otherwise in the order of resources. Needs that are up to
// date drop out, with their own needs taking their place; removals are ordered the other way round.
// A reference to a resource that exists is replaced by its live value. What o selects takes the
// changes along that it needs, each with a Note. Changes that o skips take those that need them
// along, each with a Warning to the observer.
func Make[R Reader](ctx context.Context, places map[string]R, resources []Resource, o Options) (Plan, error) {
	return makePlan(ctx, Readers(places), resources, o)
}

func makePlan(ctx context.Context, places map[string]Reader, resources []Resource, o Options) (Plan, error) {
	m := &maker{places: places, resources: resources, index: map[string]int{}, options: o, left: map[int]LeftOut{}}
	if err := m.validate(); err != nil {
		return Plan{}, err
	}
	m.link()
	order, err := m.arrange(func(i int) []string { return m.dependencies[i] })
	if err != nil {
		return Plan{}, err
	}
	if err := m.read(ctx); err != nil {
		return Plan{}, err
	}
	plan := Plan{APIVersion: PlanVersion, Kind: "Plan", Live: map[string]string{}}
	for key, r := range m.live {
		if plan.Live[key], err = Fingerprint(r.kind, r.live); err != nil {
			return Plan{}, fmt.Errorf("%s: %w", key, err)
		}
	}
	if err := m.decide(order); err != nil {
		return Plan{}, err
	}
	if plan.LeftOut, err = m.leftOut(); err != nil {
		return Plan{}, err
	}
	if plan.Changes, err = m.sorted(); err != nil {
		return Plan{}, err
	}
	var pulled []Note
	plan.Changes, pulled = m.selected(plan.Changes)
	plan.Notes = slices.Concat(o.Notes, pulled)
	plan.Summary = Count(plan.Changes)
	for i, d := range m.decisions {
		if _, left := m.left[i]; !left && d.change == nil {
			plan.Summary.Unchanged++
		}
	}
	return plan.Sealed(), nil
}

// Count sums up changes; Unchanged stays 0.
func Count(changes []Change) (s Summary) {
	for _, c := range changes {
		switch c.Action {
		case Create:
			s.Create++
		case Update:
			s.Update++
		case Recreate:
			s.Replace++
		case Delete:
			s.Delete++
		}
	}
	return s
}

type reading struct {
	kind *Kind
	live []Live
}

// decision is what is to become of one resource.
type decision struct {
	live   *Live   // nil: it is not there
	change *Change // nil: it is up to date
}

type maker struct {
	places    map[string]Reader
	resources []Resource
	index     map[string]int
	// dependencies are the ids of the resources that each resource needs or refers to.
	dependencies [][]string
	options      Options
	live         map[string]reading // by "target/Kind"
	decisions    []decision
	left         map[int]LeftOut // what is left out, by resource
}

func (m *maker) observe(e observe.Event) {
	if m.options.Observer != nil {
		m.options.Observer.Observe(e)
	}
}

func (m *maker) validate() error {
	var errs []error
	kinds := map[string]*Kind{}
	ids := make([]string, len(m.resources))
	for i := range m.resources {
		r := &m.resources[i]
		ids[i] = r.ID()
		if _, twice := m.index[ids[i]]; twice {
			errs = append(errs, fmt.Errorf("%s is wanted twice", ids[i]))
		}
		m.index[ids[i]] = i
		if _, known := m.places[r.Target]; !known {
			errs = append(errs, fmt.Errorf("%s: there is no place %q", ids[i], r.Target))
		}
		if other, seen := kinds[r.Kind.Noun]; seen && other != r.Kind {
			errs = append(errs, fmt.Errorf("two kinds are called %s", r.Kind.Noun))
		}
		kinds[r.Kind.Noun] = r.Kind
		for name := range r.Properties {
			if _, declared := r.Kind.Properties[name]; !declared {
				errs = append(errs, fmt.Errorf("%s: kind %s declares no property %s", ids[i], r.Kind.Noun, name))
			}
		}
	}
	for i := range m.resources {
		for _, ref := range Refs(m.resources[i].Properties) {
			if _, known := m.index[ref.Change]; !known {
				errs = append(errs, fmt.Errorf("%s refers to %s, which is not planned", ids[i], ref))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if len(m.options.LeftOut) > 0 {
		return nil // what is selected may be what could not be derived
	}
	return m.selection().Validate(ids)
}

func (m *maker) selection() selection.Selection {
	return selection.Selection{Only: m.options.Only, Skip: m.options.Skip}
}

// link finds the ids of the known resources that each resource needs or refers to.
func (m *maker) link() {
	m.dependencies = make([][]string, len(m.resources))
	for i, r := range m.resources {
		add := func(id string) {
			if _, known := m.index[id]; known && !slices.Contains(m.dependencies[i], id) {
				m.dependencies[i] = append(m.dependencies[i], id)
			}
		}
		for _, id := range r.Needs {
			add(id)
		}
		for _, ref := range Refs(r.Properties) {
			add(ref.Change)
		}
	}
}

// arrange is a stable topological order of the resources: of those that are ready, the first in the
// order of declaration comes next.
func (m *maker) arrange(needs func(int) []string) ([]int, error) {
	waits := make([]int, len(m.resources)) // for so many needs
	neededBy := make([][]int, len(m.resources))
	var ready ascending
	for i := range m.resources {
		for _, id := range needs(i) {
			j := m.index[id]
			neededBy[j] = append(neededBy[j], i)
			waits[i]++
		}
		if waits[i] == 0 {
			ready = append(ready, i) // in order, which is a heap
		}
	}
	order := make([]int, 0, len(m.resources))
	placed := make([]bool, len(m.resources))
	for len(ready) > 0 {
		next := heap.Pop(&ready).(int)
		placed[next] = true
		order = append(order, next)
		for _, i := range neededBy[next] {
			if waits[i]--; waits[i] == 0 {
				heap.Push(&ready, i)
			}
		}
	}
	if len(order) < len(m.resources) {
		return nil, fmt.Errorf("resources need each other: %s", m.cycle(placed, needs))
	}
	return order, nil
}

// ascending is a heap of resources.
type ascending []int

func (a ascending) Len() int           { return len(a) }
func (a ascending) Less(i, j int) bool { return a[i] < a[j] }
func (a ascending) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *ascending) Push(i any)        { *a = append(*a, i.(int)) }
func (a *ascending) Pop() any {
	last := len(*a) - 1
	i := (*a)[last]
	*a = (*a)[:last]
	return i
}

// cycle walks unmet needs until a resource comes again.
func (m *maker) cycle(placed []bool, needs func(int) []string) string {
	var path []string
	for at := slices.Index(placed, false); ; {
		id := m.resources[at].ID()
		if from := slices.Index(path, id); from >= 0 {
			return strings.Join(append(path[from:], id), " > ")
		}
		path = append(path, id)
		for _, need := range needs(at) {
			if !placed[m.index[need]] {
				at = m.index[need]
				break
			}
		}
	}
}

func (m *maker) read(ctx context.Context) error {
	type request struct {
		target string
		kinds  []*Kind
	}
	var requests []*request
	total := 0
	for i := range m.resources {
		r := &m.resources[i]
		at := slices.IndexFunc(requests, func(q *request) bool { return q.target == r.Target })
		if at < 0 {
			at = len(requests)
			requests = append(requests, &request{target: r.Target})
		}
		if !slices.Contains(requests[at].kinds, r.Kind) {
			requests[at].kinds = append(requests[at].kinds, r.Kind)
			total++
		}
	}
	m.observe(observe.Started{Stage: "plan", Total: total})

	m.live = map[string]reading{}
	var mu sync.Mutex
	unread := map[string]error{}
	var g errgroup.Group
	g.SetLimit(max(1, cmp.Or(m.options.Parallel, len(requests))))
	for _, q := range requests {
		g.Go(func() error {
			for _, kind := range q.kinds {
				mu.Lock()
				m.observe(observe.Progress{Stage: "plan", Done: len(m.live), Total: total,
					Text: "reading " + kind.Noun + " at " + q.target})
				mu.Unlock()
				live, err := m.places[q.target].Read(ctx, kind)
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				mu.Lock()
				if err != nil {
					unread[q.target+"/"+kind.Noun] = fmt.Errorf("%s: read %s: %w", q.target, kind.Noun, err)
				} else {
					m.live[q.target+"/"+kind.Noun] = reading{kind, live}
				}
				mu.Unlock()
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, r := range m.resources {
		if err := unread[r.Target+"/"+r.Kind.Noun]; err != nil {
			m.leave(i, msg.Plain(err.Error()), err)
		}
	}
	return nil
}

// leave leaves a resource out of the plan.
func (m *maker) leave(i int, reason msg.Text, err error) {
	r := m.resources[i]
	m.left[i] = LeftOut{Topic: r.Topic, Place: r.Target, Resources: []string{r.ID()}, Reason: reason, Err: err,
		Part: r.Part}
}

// spread leaves out resources that need a left-out one, and removals of resources that a left-out
// one needs.
func (m *maker) spread() {
	for again := true; again; {
		again = false
		need := func(i, j int) { // i is left out when j is
			_, left := m.left[i]
			if _, other := m.left[j]; other && !left {
				m.leave(i, msg.Of("it needs %s, which is left out", m.resources[j].ID()), nil)
				again = true
			}
		}
		for i := range m.resources {
			for _, id := range m.dependencies[i] {
				j := m.index[id]
				need(i, j)
				if m.resources[j].Absent {
					need(j, i)
				}
			}
		}
	}
}

// leftOut says what the plan lacks. It is an error when nothing is left of the plan.
func (m *maker) leftOut() ([]LeftOut, error) {
	var out []LeftOut
	var errs []error
	for _, l := range slices.Concat(m.options.LeftOut, sortedValues(m.left)) {
		if len(m.options.Parts) > 0 && !slices.Contains(m.options.Parts, l.Part) {
			continue // what rests on it is left out itself
		}
		l.Resources = slices.DeleteFunc(slices.Clone(l.Resources),
			func(id string) bool { return !m.selection().Picks(id) })
		if l.Resources == nil || len(l.Resources) > 0 {
			same := func(o LeftOut) bool {
				return o.Topic == l.Topic && o.Place == l.Place && o.Reason.String() == l.Reason.String()
			}
			if at := slices.IndexFunc(out, same); at >= 0 {
				out[at].Resources = append(out[at].Resources, l.Resources...)
			} else {
				out = append(out, l)
			}
		}
		if l.Err != nil && !slices.ContainsFunc(errs, func(err error) bool { return err.Error() == l.Err.Error() }) {
			errs = append(errs, l.Err)
		}
	}
	if len(errs) > 0 && len(m.left) == len(m.resources) {
		return nil, errors.Join(errs...)
	}
	return out, nil
}

func sortedValues(m map[int]LeftOut) []LeftOut {
	var out []LeftOut
	for _, i := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[i])
	}
	return out
}

// decide compares each resource with its live counterpart. The slice order lists a resource after
// what it refers to.
func (m *maker) decide(order []int) error {
	m.decisions = make([]decision, len(m.resources))
	m.spread()
	claimed := map[*Live]string{}
	var errs []error
	faulty := map[string]bool{}
	for _, i := range order {
		r := &m.resources[i]
		if _, left := m.left[i]; left {
			continue
		}
		// Each fault is reported once: what depends on it would only repeat it.
		if slices.ContainsFunc(Refs(r.Properties), func(ref Ref) bool { return faulty[ref.Change] }) {
			faulty[r.ID()] = true
			continue
		}
		d, err := m.compare(r)
		if err == nil && r.Was != nil && d.live != nil && claimed[d.live] != "" {
			continue // it is wanted under another id
		}
		if err == nil && d.live != nil {
			if other, taken := claimed[d.live]; taken {
				err = fmt.Errorf("%w: %q is what %s is too", ErrAmbiguous, d.live.Name, other)
			}
			claimed[d.live] = r.ID()
		}
		if errors.Is(err, ErrUnreadable) {
			m.leave(i, msg.Plain(err.Error()), fmt.Errorf("%s: %w", r.ID(), err))
			m.spread()
			continue
		}
		if err != nil {
			faulty[r.ID()] = true
			errs = append(errs, fmt.Errorf("%s: %w", r.ID(), err))
		}
		m.decisions[i] = d
	}
	for i := range m.left {
		m.decisions[i] = decision{}
	}
	return errors.Join(errs...)
}

func (m *maker) compare(r *Resource) (decision, error) {
	want, err := normalProperties(r.Properties)
	if err != nil {
		return decision{}, err
	}
	resolved, err := Resolve(want, m.existing)
	if err != nil {
		return decision{}, err
	}
	want, _ = resolved.(Properties)

	d := decision{}
	readings := m.live[r.Target+"/"+r.Kind.Noun].live
	var matches []int
	for i, l := range readings {
		if r.Was != nil && l.Identity == r.Was.Identity || r.Was == nil && r.Kind.Matches(want, l) {
			matches = append(matches, i)
		}
	}
	if len(matches) > 1 {
		names := make([]string, len(matches))
		for i, at := range matches {
			names[i] = fmt.Sprintf("%q", readings[at].Name)
		}
		return d, fmt.Errorf("%w: %d live resources are this one (%s); remove all but one", ErrAmbiguous, len(matches),
			strings.Join(names, ", "))
	}
	if len(matches) == 1 {
		d.live = &readings[matches[0]]
	} else if l, name := unrecognizable(r.Kind, readings); l != nil && r.Was == nil {
		return d, fmt.Errorf("property %s of %q, which may be this one, %w: %s", name, l.Name, ErrUnreadable,
			l.Properties[name].(Unreadable).Reason)
	}

	c := &Change{ID: r.ID(), Target: r.Target, Kind: r.Kind.Noun, Name: r.Name, Reason: r.Reason, Risk: r.Kind.Risk}
	switch {
	case r.Absent && d.live == nil:
		return d, nil
	case r.Was != nil && m.changedSince(r, d.live):
		return decision{}, nil
	case r.Absent:
		c.Action, c.Name, c.Identity = Delete, d.live.Name, d.live.Identity
		if c.Before, err = image(d.live.Properties); err != nil {
			return d, err
		}
		c.Command, err = r.Kind.Render(Delete, d.live.Name, nil, d.live)
	case d.live == nil:
		c.Action, c.After = Create, want
		c.Command, err = r.Kind.Render(Create, r.Name, want, nil)
	default:
		before, after, diffErr := difference(r.Kind, want, d.live)
		if diffErr == nil && !r.Kind.Recreates {
			c.Removes, diffErr = r.remove(d.live, before, after)
		}
		if diffErr != nil || len(after) == 0 {
			return d, diffErr
		}
		c.Name, c.Identity = d.live.Name, d.live.Identity
		if !r.Kind.Recreates {
			c.Action, c.Before, c.After = Update, before, after
			for _, name := range r.Restores {
				if _, written := after[name]; written {
					c.Restores = append(c.Restores, name)
				}
			}
			c.Command, err = r.Kind.Render(Update, d.live.Name, after, d.live)
			break
		}
		err = c.replace(r.Kind, want, d.live)
	}
	if err != nil {
		return d, err
	}
	d.change = c
	return d, nil
}

// unrecognizable finds a live resource of which a Key property cannot be read.
func unrecognizable(k *Kind, live []Live) (l *Live, property string) {
	for i := range live {
		for _, name := range slices.Sorted(maps.Keys(k.Properties)) {
			if _, unreadable := live[i].Properties[name].(Unreadable); unreadable && k.Properties[name].Write == Key {
				return &live[i], name
			}
		}
	}
	return nil, ""
}

// changedSince reports whether a resource that a run made has been changed by others, and says so.
// Such a resource stays.
func (m *maker) changedSince(r *Resource, live *Live) bool {
	changed := r.Kind.Differing(r.Was, live)
	if changed == "" && Extended(r.Was, live) {
		changed = "it has more than hybridge gave it"
	}
	if changed != "" {
		m.observe(observe.Warning{Text: fmt.Sprintf("%s %q is no longer wanted, and stays: it was changed since "+
			"hybridge made it (%s)", r.Target+" "+r.Kind.Noun, live.Name, changed)})
	}
	return changed != ""
}

// replace makes the change a removal and a creation. What is not wanted otherwise comes back as it
// was.
func (c *Change) replace(k *Kind, want Properties, live *Live) (err error) {
	c.Action = Recreate
	if c.Before, err = image(live.Properties); err != nil {
		return err
	}
	c.After = Properties{}
	for _, name := range slices.Sorted(maps.Keys(k.Properties)) {
		u, unreadable := live.Properties[name].(Unreadable)
		if _, wanted := want[name]; unreadable && !wanted && !k.Properties[name].Derived {
			return fmt.Errorf("property %s of %q %w, and would not come back: %s", name, live.Name, ErrUnreadable,
				u.Reason)
		}
		if value, present := c.Before[name]; present && value != nil {
			c.After[name] = value
		}
	}
	for name, value := range want {
		if p := k.Properties[name]; p.Write == Merge {
			value = p.Merged(value, c.Before[name])
		}
		c.After[name] = value
	}
	removal, err := k.Render(Delete, live.Name, nil, live)
	if err != nil {
		return err
	}
	c.Removal = &removal
	c.Command, err = k.Render(Create, live.Name, c.After, nil)
	return err
}

// existing looks up a reference. One to a resource that is there already is resolved; one to what
// is still to be made stays.
func (m *maker) existing(ref Ref) (any, error) {
	d := m.decisions[m.index[ref.Change]]
	if d.change != nil && d.change.Action != Update {
		if d.change.Action == Delete {
			return nil, fmt.Errorf("refers to %s, which is to be removed", ref)
		}
		return ref, nil
	}
	if d.live == nil {
		return nil, fmt.Errorf("refers to %s, which is to be absent", ref)
	}
	if d.change != nil {
		if value, written := d.change.After[ref.Property]; written {
			return value, nil
		}
	}
	return LiveValue(*d.live, ref.Property)
}

// LiveValue is what a reference to a property of a live resource stands for. "Identity" and "Name"
// are always there.
func LiveValue(l Live, property string) (any, error) {
	value, present := l.Properties[property]
	switch {
	case present:
	case property == "Identity":
		value = l.Identity
	case property == "Name":
		value = l.Name
	default:
		return nil, fmt.Errorf("%q has no property %s", l.Name, property)
	}
	if u, unreadable := value.(Unreadable); unreadable {
		return nil, fmt.Errorf("property %s of %q %w: %s", property, l.Name, ErrUnreadable, u.Reason)
	}
	return normal(value)
}

// Matches reports whether a live resource is the wanted one: by Match, or, for a kind without, by
// its Key properties.
func (k *Kind) Matches(want Properties, l Live) bool {
	if k.Match != nil {
		return k.Match(want, l)
	}
	for name, p := range k.Properties {
		if p.Write == Key && (want[name] == nil || !p.compare()(want[name], l.Properties[name])) {
			return false
		}
	}
	return true
}

// Render asks the kind for a command, and checks that a plan can hold it.
func (k *Kind) Render(a Action, name string, want Properties, live *Live) (Command, error) {
	c, err := k.Command(a, name, maps.Clone(want), live)
	if err != nil {
		return Command{}, fmt.Errorf("%s: %w", a, err)
	}
	if c.Parameters != nil {
		parameters, err := normal(c.Parameters)
		if err != nil {
			return Command{}, fmt.Errorf("%s: command %s: %w", a, c.Name, err)
		}
		c.Parameters = parameters.(map[string]any)
	}
	return c, nil
}

// image returns the live properties that could be read.
func image(live Properties) (Properties, error) {
	kept := Properties{}
	for name, value := range live {
		if _, unreadable := value.(Unreadable); unreadable {
			continue
		}
		v, err := normal(value)
		if err != nil {
			return nil, fmt.Errorf("property %s: %w", name, err)
		}
		kept[name] = v
	}
	return kept, nil
}

// difference is what must be written to a live resource, and what stands there now.
func difference(k *Kind, want Properties, live *Live) (before, after Properties, err error) {
	before, after = Properties{}, Properties{}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(want)) {
		p := k.Properties[name]
		if p.Write == CreateOnly || p.Write == Key || len(Secrets(want[name])) > 0 {
			continue
		}
		value := live.Properties[name]
		if u, unreadable := value.(Unreadable); unreadable {
			errs = append(errs, fmt.Errorf("property %s of %q %w: %s", name, live.Name, ErrUnreadable, u.Reason))
			continue
		}
		value, err := normal(value)
		if err != nil {
			errs = append(errs, fmt.Errorf("property %s: %w", name, err))
			continue
		}
		if p.InEffect(want[name], value) {
			continue
		}
		before[name], after[name] = value, want[name]
		if p.Write == Merge {
			after[name] = p.Merged(want[name], value)
		}
	}
	if len(after) > 0 { // a secret goes along: see SecretRef
		for name, value := range want {
			if mode := k.Properties[name].Write; mode != CreateOnly && mode != Key && len(Secrets(value)) > 0 {
				after[name] = value
			}
		}
	}
	return before, after, errors.Join(errs...)
}

// remove takes what is no longer wanted out of the lists of a live resource.
func (r *Resource) remove(live *Live, before, after Properties) (map[string][]string, error) {
	var out map[string][]string
	for _, name := range slices.Sorted(maps.Keys(r.Without)) {
		p := r.Kind.Properties[name]
		if u, unreadable := live.Properties[name].(Unreadable); unreadable {
			return nil, fmt.Errorf("property %s of %q %w: %s", name, live.Name, ErrUnreadable, u.Reason)
		}
		value, err := normal(live.Properties[name])
		if err != nil {
			return nil, fmt.Errorf("property %s: %w", name, err)
		}
		var there []string
		for _, e := range r.Without[name] {
			if len(p.Added([]string{e}, value)) == 0 {
				there = append(there, e)
			}
		}
		if len(there) == 0 || p.Write != Merge {
			continue
		}
		if out == nil {
			out = map[string][]string{}
		}
		out[name] = there
		if _, changed := after[name]; !changed {
			before[name], after[name] = value, value
		}
		after[name] = p.Without(after[name], texts(there))
	}
	return out, nil
}

func texts(list []string) []any {
	out := make([]any, len(list))
	for i, e := range list {
		out[i] = e
	}
	return out
}

// Left returns the elements that a change takes out of lists and that are still there, as a text;
// empty when none is.
func (c Change) Left(k *Kind, live *Live) string {
	for _, name := range slices.Sorted(maps.Keys(c.Removes)) {
		for _, e := range c.Removes[name] {
			if len(k.Properties[name].Added([]string{e}, live.Properties[name])) == 0 {
				return fmt.Sprintf("%s of %q still has %s", name, live.Name, e)
			}
		}
	}
	return ""
}

// needs are the ids of the changes that the change of resource i must come after: through what is
// up to date already, and the other way round between removals.
func (m *maker) needs(i int) []string {
	var ids []string
	removal := func(j int) bool { return m.decisions[j].change.Action == Delete }
	seen := map[int]bool{i: true}
	var add func(int)
	add = func(at int) {
		for _, id := range m.dependencies[at] {
			j := m.index[id]
			if seen[j] {
				continue
			}
			seen[j] = true
			switch {
			case m.decisions[j].change == nil:
				add(j)
			case !removal(i) || !removal(j):
				ids = append(ids, id)
			}
		}
	}
	add(i)
	// A value taken over from another change may itself be a reference.
	for _, ref := range Refs(m.decisions[i].change.After) {
		ids = append(ids, ref.Change)
	}
	if removal(i) {
		for j := range m.resources {
			if j != i && m.decisions[j].change != nil && removal(j) &&
				slices.Contains(m.dependencies[j], m.resources[i].ID()) {
				ids = append(ids, m.resources[j].ID())
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (m *maker) sorted() ([]Change, error) {
	needs := make([][]string, len(m.resources))
	for i, d := range m.decisions {
		if d.change != nil {
			needs[i] = m.needs(i)
		}
	}
	order, err := m.arrange(func(i int) []string { return needs[i] })
	if err != nil {
		return nil, err
	}
	changes := make([]Change, 0, len(order))
	for _, i := range order {
		if c := m.decisions[i].change; c != nil {
			c.Needs = needs[i]
			changes = append(changes, *c)
		}
	}
	return changes, nil
}

// selected are the changes that the options select, with those that they need. The notes name what
// is in the plan for the sake of others.
func (m *maker) selected(changes []Change) (kept []Change, notes []Note) {
	s := m.selection()
	wanted, because := map[string]bool{}, map[string]string{}
	for _, c := range slices.Backward(changes) {
		if m.picks(c) {
			wanted[c.ID] = true
			delete(because, c.ID)
		}
		for _, id := range c.Needs {
			if wanted[c.ID] && !wanted[id] {
				wanted[id], because[id] = true, c.ID
			}
		}
	}
	out := map[string]bool{}
	kept = make([]Change, 0, len(changes))
	for _, c := range changes {
		if !wanted[c.ID] || !(selection.Selection{Skip: s.Skip}).Picks(c.ID) {
			out[c.ID] = true
			continue
		}
		if at := slices.IndexFunc(c.Needs, func(id string) bool { return out[id] }); at >= 0 {
			out[c.ID] = true
			m.observe(observe.Warning{Text: fmt.Sprintf("%s is left out: it needs %s, which is not selected", c.ID,
				c.Needs[at])})
			continue
		}
		kept = append(kept, c)
		if other := because[c.ID]; other != "" {
			notes = append(notes, Note{Topic: "selection", Place: c.Target,
				Text: msg.Of("%s is not selected, and is in the plan because %s needs it", c.ID, other)})
		}
	}
	return kept, notes
}

// picks reports whether the options select a change, whatever else needs it.
func (m *maker) picks(c Change) bool {
	r := m.resources[m.index[c.ID]]
	if len(m.options.Parts) > 0 && !slices.Contains(m.options.Parts, r.Part) {
		return false
	}
	if len(m.options.Mentions) > 0 && !slices.ContainsFunc(m.options.Mentions, func(name string) bool {
		return mentions(name, c.ID, c.Name, c.Before, c.After, c.Removes, r.Properties)
	}) {
		return false
	}
	return selection.Selection{Only: m.options.Only}.Picks(c.ID)
}

// mentions reports whether a name, as a domain, is in one of these values: by itself, with a
// wildcard, in an address or behind a prefix, and not as a part of a longer name.
func mentions(name string, values ...any) bool {
	name = strings.ToLower(name)
	in := func(text string) bool {
		text = strings.ToLower(text)
		for from := 0; ; {
			at := strings.Index(text[from:], name)
			if at < 0 {
				return false
			}
			at += from
			before, after := text[:at], text[at+len(name):]
			begins := before == "" || strings.HasSuffix(before, "*.") ||
				strings.ContainsAny(before[len(before)-1:], "@:;,/ (")
			if begins && (after == "" || strings.ContainsAny(after[:1], ";,:/ )")) {
				return true
			}
			from = at + 1
		}
	}
	var holds func(v any) bool
	holds = func(v any) bool {
		switch v := v.(type) {
		case string:
			return in(v)
		case []string:
			return slices.ContainsFunc(v, in)
		case []any:
			return slices.ContainsFunc(v, holds)
		case map[string]any:
			return slices.ContainsFunc(slices.Collect(maps.Values(v)), holds)
		case Properties:
			return holds(map[string]any(v))
		case map[string][]string:
			return slices.ContainsFunc(slices.Concat(slices.Collect(maps.Values(v))...), in)
		}
		return false
	}
	return slices.ContainsFunc(values, holds)
}
