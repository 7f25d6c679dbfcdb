package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/broken"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/selection"
)

// DefaultTimeout is how long one attempt of a check may take when it does not say.
const DefaultTimeout = 30 * time.Second

// grace is what an attempt gets, after its context ended, to return by itself. One that does not is
// left behind.
const grace = 2 * time.Second

// Options for Run.
type Options struct {
	Parallel int      // scope instances at once; 4 when 0
	Only     []string // globs of check ids; see package selection
	Skip     []string
	Rules    []Rule
	Now      func() time.Time // the clock of acknowledgements; time.Now when nil
}

// Run runs the checks that o selects, each once per instance of its scope: instances in parallel,
// and in the order of declaration (as far as Needs allow) within one. A need that o leaves out
// counts as met. The error is one of usage (selection.ErrUnmatched) or of declaration (see
// Validate); what goes wrong in a check is its result. When ctx ends, the checks that did not run
// are skipped: ctx.Err reports that.
func Run[In any](
	ctx context.Context, checks []Check[In], scopes []Scope[In], o Options, obs observe.Observer,
) (Report, error) {
	order, err := arrange(checks)
	if err != nil {
		return Report{}, err
	}
	selected := selection.Selection{Only: o.Only, Skip: o.Skip}
	ids := make([]string, len(checks))
	for i, c := range checks {
		ids[i] = string(c.ID)
	}
	if err := selected.Validate(ids); err != nil {
		return Report{}, err
	}

	r := &runner[In]{
		byID:  map[ID][]*node[In]{},
		slots: make(chan struct{}, max(1, cmp.Or(o.Parallel, 4))),
		obs:   obs,
		rules: o.Rules,
		now:   o.Now,
	}
	if r.now == nil {
		r.now = time.Now
	}
	places := flatten(scopes)
	var declared []*node[In]
	for _, c := range checks {
		if !selected.Picks(string(c.ID)) {
			continue
		}
		for i := range places {
			if places[i].scope != c.Scope {
				continue
			}
			for _, n := range nodes(c, i, places[i]) {
				declared = append(declared, n)
				r.byID[c.ID] = append(r.byID[c.ID], n)
			}
		}
	}
	r.total = len(declared)
	r.observe(observe.Started{Stage: "check", Total: r.total})

	var wg sync.WaitGroup
	for i := range places {
		var mine []*node[In]
		for _, index := range order {
			for _, n := range r.byID[checks[index].ID] {
				if n.place == i {
					mine = append(mine, n)
				}
			}
		}
		wg.Go(func() {
			for _, n := range mine {
				r.run(ctx, n)
			}
		})
	}
	wg.Wait()

	report := Report{APIVersion: "hybridge/v1", Kind: "CheckReport", Results: make([]Result, 0, len(declared))}
	for _, n := range declared {
		report.Results = append(report.Results, n.result)
	}
	report.Summary = Count(report.Results)
	return report, nil
}

// place is one instance of a scope, or one that stands for a scope without an instance.
type place[In any] struct {
	scope ScopeID
	Instance[In]
	absent msg.Text
}

func flatten[In any](scopes []Scope[In]) []place[In] {
	var out []place[In]
	for _, s := range scopes {
		for _, instance := range s.Instances {
			out = append(out, place[In]{scope: s.ID, Instance: instance})
		}
		if len(s.Instances) == 0 {
			out = append(out, place[In]{scope: s.ID, Instance: Instance[In]{Name: string(s.ID)}, absent: s.Absent})
		}
	}
	return out
}

// nodes are a check's instances at a place: one, or one per parameter.
func nodes[In any](c Check[In], index int, p place[In]) []*node[In] {
	single := []*node[In]{{check: c, place: index, instance: p.Instance, absent: p.absent, done: make(chan struct{})}}
	if c.Each == nil || !p.absent.IsZero() {
		return single
	}
	var out []*node[In]
	for _, part := range c.Each(p.Input) {
		part.Name = p.Name + ": " + part.Name
		out = append(out, &node[In]{check: c, place: index, instance: part, done: make(chan struct{})})
	}
	if len(out) == 0 {
		single[0].absent = msg.Of("nothing to check in %s", p.Name)
		return single
	}
	return out
}

// node is one check in one instance of its scope.
type node[In any] struct {
	check    Check[In]
	place    int
	instance Instance[In]
	absent   msg.Text // why there is nothing to look at
	done     chan struct{}
	result   Result
	// blocked: it did not run for a reason that holds for its dependents too (unlike
	// NotApplicable).
	blocked bool
}

type runner[In any] struct {
	byID  map[ID][]*node[In]
	slots chan struct{}
	total int
	rules []Rule
	now   func() time.Time

	mu       sync.Mutex
	finished int
	obs      observe.Observer
}

func (r *runner[In]) observe(e observe.Event) {
	if r.obs == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.obs.Observe(e)
}

func (r *runner[In]) run(ctx context.Context, n *node[In]) {
	defer close(n.done)
	begun := time.Now()
	var result Result
	switch reason := r.obstacle(n); {
	case !n.absent.IsZero():
		result = Result{Status: StatusSkip, Summary: n.absent}
	case !reason.IsZero():
		result, n.blocked = Result{Status: StatusSkip, Summary: reason}, true
	default:
		result, begun, n.blocked = r.perform(ctx, n)
	}

	result.ID, result.Category = n.check.ID, n.check.ID.Category()
	result.Title, result.Scope = n.check.Title, n.instance.Name
	severity, acknowledgement := ruled(r.rules, n.check.ID, n.instance.Name)
	result.Severity = cmp.Or(severity, n.check.Severity, Fail)
	if result.Status == StatusFail && result.Severity == Warn {
		result.Status = StatusWarn
	}
	if acknowledgement != nil {
		result.acknowledge(*acknowledgement, r.now())
	}
	switch result.Status {
	case StatusFail, StatusWarn, StatusError, StatusAcknowledged:
		result.Remedy.Docs = "hybridge help " + string(n.check.ID) // works where there is the binary alone
	}
	if result.Attempts > 0 {
		result.DurationMS = time.Since(begun).Milliseconds()
	}
	n.result = result

	r.mu.Lock()
	defer r.mu.Unlock()
	r.finished++
	if r.obs != nil {
		r.obs.Observe(result)
	}
}

// perform runs a check when a slot is free. The check's duration does not include the wait.
func (r *runner[In]) perform(ctx context.Context, n *node[In]) (result Result, begun time.Time, blocked bool) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
	}
	begun = time.Now()
	if ctx.Err() != nil {
		return Result{Status: StatusSkip, Summary: ended(ctx), Cause: context.Cause(ctx)}, begun, true
	}
	result = r.attempts(ctx, n.check, n.instance)
	if ctx.Err() != nil && result.Status == StatusError {
		return Result{Status: StatusSkip, Summary: ended(ctx), Cause: context.Cause(ctx)}, begun, true
	}
	return result, begun, false
}

// obstacle waits for what n needs and says why n cannot run, or nothing.
func (r *runner[In]) obstacle(n *node[In]) msg.Text {
	for _, id := range n.check.Needs {
		for _, need := range r.byID[id] {
			if need.check.Scope == n.check.Scope && need.place != n.place {
				continue // another forest's
			}
			<-need.done
			var where msg.Text
			if need.place != n.place {
				where = msg.Of(" for %s", need.result.Scope)
			}
			switch {
			case need.blocked:
				return msg.Of("needs %s, which was skipped%s", id, where)
			case need.result.failed():
				return msg.Of("needs %s, which failed%s", id, where)
			case need.result.Status == StatusError:
				return msg.Of("needs %s, which could not be checked%s", id, where)
			}
		}
	}
	return msg.Text{}
}

func ended(ctx context.Context) msg.Text {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return msg.Of("time limit reached")
	}
	return msg.Of("cancelled")
}

// attempts runs a check until it passes, is not applicable, or its retries are used up.
func (r *runner[In]) attempts(ctx context.Context, c Check[In], instance Instance[In]) Result {
	until := time.Now().Add(c.Retry.For)
	for n := 1; ; n++ {
		r.mu.Lock()
		done := r.finished
		r.mu.Unlock()
		r.observe(observe.Progress{Stage: "check", Done: done, Total: r.total,
			Text: c.Title + " (" + instance.Name + ")"})
		result := attempt(ctx, c, instance.Input)
		result.Attempts = n
		if result.Status == StatusPass || result.Status == StatusSkip || ctx.Err() != nil {
			return result
		}
		if c.Retry.For <= 0 || time.Now().Add(c.Retry.Every).After(until) {
			return result
		}
		r.observe(observe.Waiting{Stage: "check", ID: string(c.ID), What: result.Summary.String(), Until: until})
		select {
		case <-time.After(c.Retry.Every):
		case <-ctx.Done():
			return result
		}
	}
}

// attempt runs a check once. A panic is an error of that check alone, and so is a check that
// ignores its time limit.
func attempt[In any](ctx context.Context, c Check[In], in In) Result {
	limit := cmp.Or(c.Timeout, DefaultTimeout)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	results := make(chan Result, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				results <- Unknown(&broken.Error{What: "check " + string(c.ID), Value: p, Stack: debug.Stack()})
			}
		}()
		if missing := missing(ctx, c, in); len(missing) > 0 {
			r := NotApplicable("a right to read is missing: %s", msg.Join(missing, ", "))
			r.MissingRights = missing
			results <- r
			return
		}
		results <- c.Run(ctx, in)
	}()
	overdue := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		time.Sleep(grace)
		close(overdue)
	})
	defer stop()
	select {
	case result := <-results:
		if result.Status == "" {
			return Unknown(fmt.Errorf("check %s returned no result; this is a bug in hybridge", c.ID))
		}
		return result
	case <-overdue:
		return Unknown(fmt.Errorf("no result within %s: %w", limit, context.Cause(ctx)))
	}
}

// missing are the rights that the account lacks for what a check reads, each once.
func missing[In any](ctx context.Context, c Check[In], in In) []msg.Text {
	var out []msg.Text
	seen := map[string]bool{}
	for _, read := range c.Reads {
		for _, right := range read.Missing(ctx, in) {
			if s := right.String(); !seen[s] {
				seen[s] = true
				out = append(out, right)
			}
		}
	}
	return out
}

// Validate says what is wrong with a set of declarations: an id twice or without a category, a
// need that is not declared, a cycle.
func Validate[In any](checks []Check[In]) error {
	_, err := arrange(checks)
	return err
}

// arrange orders the checks so that every one comes after its needs, and otherwise as declared.
// Every scope instance keeps to this one order, so that instances that wait for each other always
// end.
func arrange[In any](checks []Check[In]) ([]int, error) {
	var errs []error
	index := map[ID]int{}
	for i, c := range checks {
		if _, twice := index[c.ID]; twice {
			errs = append(errs, fmt.Errorf("check %s is declared twice", c.ID))
		}
		if !strings.Contains(string(c.ID), ".") {
			errs = append(errs, fmt.Errorf("check %q has no category: its id must be category.topic", c.ID))
		}
		if c.Run == nil {
			errs = append(errs, fmt.Errorf("check %s has no Run", c.ID))
		}
		if c.Scope == "" {
			errs = append(errs, fmt.Errorf("check %s has no scope", c.ID))
		}
		index[c.ID] = i
	}
	for _, c := range checks {
		for _, need := range c.Needs {
			if _, known := index[need]; !known {
				errs = append(errs, fmt.Errorf("check %s needs %s, which is not declared", c.ID, need))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}

	const (
		unseen = iota
		open
		closed
	)
	state := make([]int, len(checks))
	order := make([]int, 0, len(checks))
	var path []string
	var visit func(int) error
	visit = func(i int) error {
		path = append(path, string(checks[i].ID))
		defer func() { path = path[:len(path)-1] }()
		switch state[i] {
		case closed:
			return nil
		case open:
			return fmt.Errorf("checks need each other: %s", strings.Join(path, " > "))
		}
		state[i] = open
		for _, need := range checks[i].Needs {
			if err := visit(index[need]); err != nil {
				return err
			}
		}
		state[i] = closed
		order = append(order, i)
		return nil
	}
	for i := range checks {
		if err := visit(i); err != nil {
			return nil, err
		}
	}
	return order, nil
}
