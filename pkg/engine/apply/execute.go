package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
)

// parting is how long the write that is under way gets to finish after the run was cancelled. Whoever cancels waits that long at a server that hangs, and
// then for its session to be ended. A write that is cut short is one the journal knows as begun: the next run looks what became of it.
const parting = 4 * time.Second

// step is one change to carry out or to undo.
type step struct {
	outcome Outcome // ID to Action are given; the rest is what became of it
	kind    *change.Kind
	place   change.Place
	needs   []string
	// prepare decides, from the live resources of the kind at the place, what is to be run now.
	prepare func(live []change.Live) (prepared, error)
	settled bool // by an earlier session of the run: outcome holds

	done    chan struct{}
	after   *change.Live
	outputs change.Properties
}

// prepared is what a step runs, and how to tell that it took effect.
type prepared struct {
	commands []change.Command // empty: nothing to do, for the reason in note
	removal  bool             // the first command removes, and the second makes anew
	note     string
	conflict error        // what must be left alone; the commands do the rest
	object   *change.Live // as it is
	before   *change.Live // as it was, when an earlier session of the run changed it already
	want     change.Properties
	// effect finds the resource in effect (nil when it is to be gone), or says what is missing.
	effect func(live []change.Live) (*change.Live, string)
}

// execution runs steps: places in parallel, the steps of one in order.
type execution struct {
	steps   []*step
	byID    map[string]*step
	journal *journal
	options Options
	stage   string
	keep    map[change.Ref]bool // outputs that later changes refer to

	mu       sync.Mutex
	obs      observe.Observer
	finished int
	live     map[string][]change.Live // what was last read, by "target/Kind"
}

func (x *execution) observe(e observe.Event) {
	if x.obs == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.obs.Observe(e)
}

func (x *execution) run(ctx context.Context) (Report, error) {
	x.byID = map[string]*step{}
	var targets []string
	for _, s := range x.steps {
		s.done = make(chan struct{})
		x.byID[s.outcome.ID] = s
		if !slices.Contains(targets, s.outcome.Target) {
			targets = append(targets, s.outcome.Target)
		}
	}
	x.observe(observe.Started{Stage: x.stage, Total: len(x.steps)})
	var wg sync.WaitGroup
	for _, target := range targets {
		wg.Go(func() {
			for _, s := range x.steps {
				if s.outcome.Target == target {
					x.carry(ctx, s)
				}
			}
		})
	}
	wg.Wait()

	report := Report{
		APIVersion: "hybridge/v1", Kind: "ApplyReport",
		RunID: strings.TrimSuffix(filepath.Base(x.journal.path), ".jsonl"), Journal: x.journal.path,
		Changes: make([]Outcome, 0, len(x.steps)),
	}
	var causes []error
	for _, s := range x.steps {
		report.Changes = append(report.Changes, s.outcome)
		report.Summary.add(s.outcome.Status)
		if s.outcome.Status == Failed {
			causes = append(causes, fmt.Errorf("%s: %w", s.outcome.ID, s.outcome.Cause))
		}
	}
	finish := "complete"
	var err error
	switch {
	case x.journal.broken != nil:
		if report.Summary.Done+report.Summary.Failed > 0 { // something may be in effect: only this journal can go on from it, or undo it
			return report, fmt.Errorf("%w: the journal cannot be written any more (make room where it is, not elsewhere): %w", ErrPartial, x.journal.broken)
		}
		return report, x.journal.broken
	case ctx.Err() != nil && report.Summary.Failed+report.Summary.Pending > 0:
		finish, err = "cancelled", context.Cause(ctx)
	case report.Summary.Failed+report.Summary.Pending > 0:
		finish, err = "partial", fmt.Errorf("%w: %w", ErrPartial, errors.Join(causes...))
	}
	if journalErr := x.journal.append(record{Record: eventFinish, Outcome: finish}); journalErr != nil {
		err = cmp.Or(err, journalErr)
	}
	return report, err
}

// carry sees to one step and tells the observer what became of it.
func (x *execution) carry(ctx context.Context, s *step) {
	defer close(s.done)
	if !s.settled {
		for _, need := range s.needs {
			if other := x.byID[need]; other != nil {
				<-other.done
				if status := other.outcome.Status; status != Done && status != Skipped && s.outcome.Error == "" {
					s.outcome.Status = Pending
					s.outcome.Error = fmt.Sprintf("needs %s, which %s", need, map[Status]string{Failed: "failed", Pending: "was not carried out"}[status])
				}
			}
		}
		switch {
		case s.outcome.Error != "":
		case ctx.Err() != nil:
			s.outcome.Status, s.outcome.Error, s.outcome.Cause = Pending, "cancelled", context.Cause(ctx)
		default:
			begun := time.Now()
			x.mu.Lock()
			done := x.finished
			x.mu.Unlock()
			x.observe(observe.Progress{Stage: x.stage, Done: done, Total: len(x.steps), Text: fmt.Sprintf("%s %s", s.outcome.Action, s.outcome.ID)})
			x.write(ctx, s)
			s.outcome.DurationMS = time.Since(begun).Milliseconds()
		}
	}
	x.mu.Lock()
	x.finished++
	x.mu.Unlock()
	x.observe(s.outcome)
}

func (s *step) fail(err error) {
	s.outcome.Status, s.outcome.Error, s.outcome.Cause = Failed, err.Error(), err
}

// write prepares, journals, runs and reads back one step.
func (x *execution) write(ctx context.Context, s *step) {
	live, err := x.current(ctx, s)
	if err != nil {
		s.fail(err)
		return
	}
	p, err := s.prepare(live)
	if err != nil {
		s.fail(err)
		x.end(s, live, nil)
		return
	}
	if len(p.commands) == 0 {
		s.outcome.Status, s.outcome.Note, s.after = Skipped, p.note, p.object
		if p.conflict != nil {
			s.fail(p.conflict)
		}
		x.end(s, live, nil)
		return
	}

	others, err := change.Fingerprint(s.kind, without(live, p.object))
	if err != nil {
		s.fail(err)
		return
	}
	now, err := change.Fingerprint(s.kind, live)
	if err != nil {
		s.fail(err)
		return
	}
	begin := record{
		Record: eventBegin, Change: s.outcome.ID, Before: imageOf(s.kind, cmp.Or(p.before, p.object)), Want: p.want, Others: others, Live: now,
	}
	if err := x.journal.append(begin); err != nil {
		s.outcome.Status, s.outcome.Error, s.outcome.Cause = Pending, err.Error(), err
		return
	}

	work, release := outlive(ctx, parting)
	defer release()
	var outputs change.Properties
	var failure error
	for i, command := range p.commands {
		if err := x.fault("before run " + s.outcome.ID); err != nil {
			s.fail(err)
			return
		}
		outputs, failure = s.place.Run(work, command)
		if err := x.fault("after run " + s.outcome.ID); err != nil {
			s.fail(err)
			return
		}
		if failure != nil {
			failure = fmt.Errorf("%s: %s: %w", s.outcome.Target, command.Name, failure)
			break
		}
		if i == 0 && p.removal {
			if err := x.journal.append(record{Record: eventRemoved, Change: s.outcome.ID}); err != nil {
				s.fail(err)
				return
			}
		}
	}

	patience := cmp.Or(x.options.Wait, s.kind.Patience, change.DefaultPatience)
	if failure != nil {
		patience = 0 // only to learn what it did all the same
	}
	x.forget(s.outcome.Target)
	live, after, missing, err := x.await(ctx, work, s, p, patience)
	switch {
	case failure == nil && err != nil:
		s.fail(fmt.Errorf("read back: %w", err))
		x.end(s, nil, nil)
		return
	case failure == nil && missing != "" && ctx.Err() != nil:
		// Neither done nor failed: the journal keeps it as begun, and the next run looks again.
		s.fail(fmt.Errorf("written, then cancelled before it could be seen: %s", missing))
		return
	case failure == nil && missing != "":
		s.fail(fmt.Errorf("%w within %s: %s", ErrNotSeen, patience, missing))
		x.end(s, live, nil)
		return
	case failure != nil && (err != nil || missing != ""):
		s.fail(failure)
		if err != nil {
			live = nil
		}
		x.end(s, live, nil)
		return
	case failure != nil:
		x.observe(observe.Warning{Text: fmt.Sprintf("%s reported an error, but is in effect: %v", s.outcome.ID, failure)})
	}

	s.after = after
	s.outcome.Status = Done
	if s.outputs, err = x.kept(s.outcome.ID, outputs, after); err != nil {
		s.fail(err)
		x.end(s, live, nil)
		return
	}
	if p.conflict != nil {
		s.fail(p.conflict)
	}
	x.end(s, live, after)
}

// kept is what the plan refers to of a command's outputs and of the resource it brought about.
func (x *execution) kept(id string, outputs change.Properties, after *change.Live) (change.Properties, error) {
	var kept change.Properties
	for ref := range x.keep {
		if ref.Change != id {
			continue
		}
		value, given := outputs[ref.Property]
		if given {
			var err error
			if value, err = change.Normal(value); err != nil {
				return nil, fmt.Errorf("output %s: %w", ref.Property, err)
			}
		} else if after == nil {
			continue
		} else {
			var err error
			if value, err = change.LiveValue(*after, ref.Property); err != nil {
				continue // told by the change that refers to it
			}
		}
		if kept == nil {
			kept = change.Properties{}
		}
		kept[ref.Property] = value
	}
	return kept, nil
}

// end journals what became of a step. Nil live: not known.
func (x *execution) end(s *step, live []change.Live, after *change.Live) {
	r := record{
		Record: eventEnd, Change: s.outcome.ID, Status: s.outcome.Status, Error: s.outcome.Error, Note: s.outcome.Note,
		After: imageOf(s.kind, after), Outputs: s.outputs, DurationMS: s.outcome.DurationMS,
	}
	if live != nil {
		fingerprint, err := change.Fingerprint(s.kind, live)
		if err == nil {
			r.Live = fingerprint
		}
	}
	if err := x.journal.append(r); err != nil && s.outcome.Status != Failed {
		s.fail(fmt.Errorf("carried out, but not recorded: %w", err))
	}
}

// current is what is live of the step's kind: as read last, or now when something was written at the place since.
func (x *execution) current(ctx context.Context, s *step) ([]change.Live, error) {
	key := s.outcome.Target + "/" + s.outcome.Kind
	x.mu.Lock()
	live, known := x.live[key]
	x.mu.Unlock()
	if known {
		return live, nil
	}
	return x.read(ctx, s)
}

// forget drops what was read at a place: a write of one kind can show in another, when both are aspects of one object.
func (x *execution) forget(target string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for key := range x.live {
		if of, _ := cut(key); of == target {
			delete(x.live, key)
		}
	}
}

func (x *execution) read(ctx context.Context, s *step) ([]change.Live, error) {
	live, err := s.place.Read(ctx, s.kind)
	if err != nil {
		return nil, fmt.Errorf("%s: read %s: %w", s.outcome.Target, s.kind.Noun, err)
	}
	if live == nil {
		live = []change.Live{}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.live[s.outcome.Target+"/"+s.outcome.Kind] = live
	return live, nil
}

// await reads until the step is in effect, at most for patience. A cancelled run reads once more and no longer.
func (x *execution) await(ctx, work context.Context, s *step, p prepared, patience time.Duration) (live []change.Live, after *change.Live, missing string, err error) {
	until := time.Now().Add(patience)
	for pause := 200 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		if live, err = x.read(work, s); err != nil {
			return nil, nil, "", err
		}
		if after, missing = p.effect(live); missing == "" {
			return live, after, "", nil
		}
		if ctx.Err() != nil || !time.Now().Add(pause).Before(until) {
			return live, nil, missing, nil
		}
		x.observe(observe.Waiting{Stage: x.stage, ID: s.outcome.ID, What: missing, Until: until})
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

func (x *execution) fault(point string) error {
	if x.options.fault == nil {
		return nil
	}
	return x.options.fault(point)
}

// outlive is a context that goes on for a while after its parent was cancelled.
func outlive(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(d, cancel) })
	return work, func() { stop(); cancel() }
}

// without leaves the object out, by identity.
func without(live []change.Live, object *change.Live) []change.Live {
	if object == nil {
		return live
	}
	return slices.DeleteFunc(slices.Clone(live), func(l change.Live) bool { return l.Identity == object.Identity })
}

// byIdentity finds a live resource; identities differ in case at most by accident.
func byIdentity(live []change.Live, identity string) *change.Live {
	for i := range live {
		if strings.EqualFold(live[i].Identity, identity) {
			return &live[i]
		}
	}
	return nil
}
