package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/broken"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// parting is the time that the current write has to finish after the run was cancelled. If the
// server hangs, the person who cancels waits that long, and then until the session is closed. The
// journal holds an interrupted write as begun: the next run reads its outcome.
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
	// late reports that an earlier session may have created something that is not visible yet. The
	// step then waits for what prepare does not find.
	late bool

	doubtful bool // what an earlier session wrote of it may be in effect
	begun    time.Time
	refused  bool // the place said no, and nothing of the change shows
	done     chan struct{}
	after    *change.Live
	outputs  change.Properties
}

func (s *step) key() string { return s.outcome.Target + "/" + s.outcome.Kind }

// prepared is what a step runs, and how to see that it took effect.
type prepared struct {
	commands []change.Command // empty: nothing to do, for the reason in note
	removal  bool             // the first command removes, and the second makes anew
	merged   bool             // commands were rendered anew, because others extended a list
	note     msg.Text
	conflict error        // what must be left alone; the commands do the rest
	object   *change.Live // as it is
	// before is the object before an earlier session of the run changed it.
	before *change.Live
	again  *change.Live // what is made anew, as it was
	want   change.Properties
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
	digest  string                   // of the plan
	keep    map[change.Ref]bool      // outputs that later changes refer to
	live    map[string][]change.Live // what was read before the first step, by "target/Kind"
	secrets hidden
	// doubted: a newer run cannot be read. It may be a rollback of the one that is taken up.
	doubted bool

	mu       sync.Mutex
	obs      observe.Observer
	finished int
	// doubt holds, by "target/Kind", the change whose answer was lost. Nothing else of the kind is
	// written there until its outcome is known: the next run could not distinguish the two.
	doubt map[string]string
}

func (x *execution) observe(e observe.Event) {
	if x.obs == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.obs.Observe(e)
}

// patience is how long what was written may take to show.
func (x *execution) patience(k *change.Kind) time.Duration {
	return cmp.Or(x.options.Wait, k.Patience, change.DefaultPatience)
}

func (x *execution) run(ctx context.Context) (Report, error) {
	x.byID, x.doubt = map[string]*step{}, map[string]string{}
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
		RunID: strings.TrimSuffix(base(x.journal.path), journalSuffix), Journal: x.journal.path, Digest: x.digest,
		Changes: make([]Outcome, 0, len(x.steps)),
	}
	var causes []error
	stopped := false
	for _, s := range x.steps {
		report.Changes = append(report.Changes, s.outcome)
		report.Summary.add(s.outcome.Status)
		stopped = stopped || errors.Is(s.outcome.Cause, ErrStopped)
		if s.outcome.Status == Failed {
			causes = append(causes, fmt.Errorf("%s: %w", s.outcome.ID, s.outcome.Cause))
		}
	}
	finish := "complete"
	var err error
	switch {
	case x.journal.broken != nil:
		// Something may be in effect: only this journal can go on from it, or undo it.
		if report.Summary.Done+report.Summary.Failed > 0 {
			return report, fmt.Errorf("%w: the journal cannot be written any more (make room where it is, not "+
				"elsewhere): %w",
				ErrPartial, x.journal.broken)
		}
		return report, x.journal.broken
	case ctx.Err() != nil && report.Summary.Failed+report.Summary.Pending > 0:
		finish, err = "cancelled", context.Cause(ctx)
	case stopped && report.Summary.Failed == 0:
		finish, err = "cancelled", ErrStopped
	case report.Summary.Failed+report.Summary.Pending > 0:
		finish, err = "partial", fmt.Errorf("%w: %w", ErrPartial, errors.Join(causes...))
	}
	if journalErr := x.journal.append(record{Record: eventFinish, Outcome: finish}); journalErr != nil {
		err = cmp.Or(err, journalErr)
	}
	return report, err
}

// carry runs one step and reports its outcome to the observer.
func (x *execution) carry(ctx context.Context, s *step) {
	defer close(s.done)
	if !s.settled {
		for _, need := range s.needs {
			if other := x.byID[need]; other != nil {
				<-other.done
				if status := other.outcome.Status; status != Done && status != Skipped && s.outcome.Error == "" {
					s.outcome.Status = Pending
					s.outcome.Error = fmt.Sprintf("needs %s, which %s", need, standing[status])
				}
			}
		}
		x.mu.Lock()
		done, doubt := x.finished, x.doubt[s.key()]
		x.mu.Unlock()
		switch {
		case s.outcome.Error != "":
		case ctx.Err() != nil:
			s.outcome.Status, s.outcome.Error, s.outcome.Cause = Pending, "cancelled", context.Cause(ctx)
		case doubt != "":
			s.outcome.Status = Pending
			s.outcome.Error = fmt.Sprintf("waits until it is known what became of %s; the next run looks", doubt)
		case !x.proceeds(ctx, s):
		default:
			s.begun = time.Now()
			text := fmt.Sprintf("%s %s", s.outcome.Action, s.outcome.ID)
			x.observe(observe.Progress{Stage: x.stage, Done: done, Total: len(x.steps), Text: text})
			if err := x.attempt(ctx, s); err != nil {
				x.fail(s, err)
				s.outcome.Uncertain = true
				x.end(s, nil, nil)
			}
			s.outcome.DurationMS = time.Since(s.begun).Milliseconds()
		}
	}
	x.mu.Lock()
	x.finished++
	if s.outcome.Uncertain || s.doubtful && s.outcome.Status == Pending {
		x.doubt[s.key()] = s.outcome.ID
	}
	x.mu.Unlock()
	x.observe(s.outcome)
}

// proceeds asks whether a step may begin. When it may not, the outcome says why.
func (x *execution) proceeds(ctx context.Context, s *step) bool {
	if x.options.Proceed == nil {
		return true
	}
	err := x.options.Proceed(ctx)
	switch {
	case err == nil && ctx.Err() == nil:
		return true
	case ctx.Err() != nil:
		s.outcome.Error, err = "cancelled", context.Cause(ctx)
	default:
		s.outcome.Error = err.Error()
	}
	s.outcome.Status, s.outcome.Cause = Pending, err
	return false
}

// standing describes the outcome of a step that another one needs.
var standing = map[Status]string{Failed: "failed", Pending: "was not carried out"}

func (x *execution) fail(s *step, err error) {
	err = x.secrets.error(err)
	s.outcome.Status, s.outcome.Error, s.outcome.Cause = Failed, err.Error(), err
}

// attempt writes one step. A panic is an error of the step alone: the journal says where to go on.
func (x *execution) attempt(ctx context.Context, s *step) (err error) {
	defer broken.Into(&err, string(s.outcome.Action)+" "+s.outcome.ID)
	x.write(ctx, s)
	return nil
}

// write prepares, journals, runs and reads back one step. What is live is read right before: others
// may have written since the plan was made or the last step was done.
func (x *execution) write(ctx context.Context, s *step) {
	live, p, err := x.ready(ctx, s)
	switch {
	case err != nil && live == nil && ctx.Err() != nil: // nothing was begun
		s.outcome.Status, s.outcome.Error, s.outcome.Cause = Pending, "cancelled", context.Cause(ctx)
		return
	case err != nil:
		x.fail(s, err)
		s.outcome.Uncertain = s.doubtful && live == nil
		x.end(s, live, nil)
		return
	}
	if len(p.commands) == 0 {
		s.outcome.Status, s.outcome.Note, s.after = Skipped, p.note, p.object
		if p.conflict != nil {
			x.fail(s, p.conflict)
		}
		x.end(s, live, nil)
		return
	}
	commands, err := x.reveal(ctx, s, p.commands)
	if err != nil {
		x.fail(s, err)
		x.end(s, live, nil)
		return
	}

	others, err := change.Fingerprint(s.kind, without(live, p.object))
	if err != nil {
		x.fail(s, err)
		x.end(s, live, nil)
		return
	}
	now, err := change.Fingerprint(s.kind, live)
	if err != nil {
		x.fail(s, err)
		x.end(s, live, nil)
		return
	}
	begin := record{
		Record: eventBegin, Change: s.outcome.ID, Before: x.imageOf(s.kind, cmp.Or(p.before, p.object)), Want: p.want,
		Others: others, Live: now,
	}
	if err := x.journal.append(begin); err != nil {
		s.outcome.Status, s.outcome.Error, s.outcome.Cause = Pending, err.Error(), err
		return
	}

	work, release := outlive(ctx, parting)
	defer release()
	creates := s.outcome.Action == change.Create || s.outcome.Action == change.Recreate
	outputs, failure, broken := x.send(work, s, p, commands)
	patience := x.patience(s.kind)
	lost := failure != nil && !refused(failure)
	if failure != nil && !(lost && creates) {
		patience = 0 // only to learn what it did all the same
	}
	if broken != nil {
		x.fail(s, broken)
		return
	}
	live, after, missing, err := x.await(ctx, work, s, p, patience)
	if err == nil && missing != "" && ctx.Err() == nil && lost && s.outcome.Action == change.Create &&
		deferred(failure) && patience >= cmp.Or(s.kind.Patience, change.DefaultPatience) {
		// The server put the request off, and nothing shows for as long as the kind may take: it
		// was not carried out.
		if outputs, failure, broken = x.send(work, s, p, commands); broken != nil {
			x.fail(s, broken)
			return
		}
		lost = failure != nil && !refused(failure)
		live, after, missing, err = x.await(ctx, work, s, p, patience)
	}
	switch {
	case failure == nil && err != nil:
		x.fail(s, fmt.Errorf("read back: %w", err))
		s.outcome.Uncertain = true
		x.end(s, nil, nil)
		return
	case failure == nil && missing != "" && ctx.Err() != nil:
		// Neither done nor failed: the journal keeps it as begun, and the next run looks again.
		x.fail(s, fmt.Errorf("written, then cancelled before it could be seen: %s", missing))
		s.outcome.Uncertain = true
		return
	case failure == nil && missing != "":
		x.fail(s, fmt.Errorf("%w within %s: %s", ErrNotSeen, patience, missing))
		s.outcome.Uncertain = creates
		x.end(s, live, nil)
		return
	case failure != nil && (err != nil || missing != ""):
		if lost {
			failure = fmt.Errorf("%w (the next run looks first): %w", ErrUncertain, failure)
		}
		x.fail(s, failure)
		s.outcome.Uncertain = lost || err != nil
		s.refused = !s.outcome.Uncertain
		if err != nil {
			live = nil
		}
		x.end(s, live, nil)
		return
	case failure != nil:
		text := fmt.Sprintf("%s reported an error, but is in effect: %v", s.outcome.ID, failure)
		x.observe(observe.Warning{Text: x.secrets.text(text)})
	}

	s.after = after
	s.outcome.Status = Done
	s.outputs, err = x.kept(s.outcome.ID, x.secrets.properties(outputs), after)
	if err = cmp.Or(err, p.conflict); err != nil {
		x.fail(s, err)
	}
	x.end(s, live, after)
}

// send runs the commands of a step. After an error of the second kind, the step ends at once.
func (x *execution) send(
	work context.Context, s *step, p prepared, commands []change.Command,
) (outputs change.Properties, failure, broken error) {
	for i, command := range commands {
		if err := x.fault("before run " + s.outcome.ID); err != nil {
			return nil, nil, err
		}
		outputs, failure = s.place.Run(work, command)
		if err := x.fault("after run " + s.outcome.ID); err != nil {
			return nil, nil, err
		}
		if failure != nil {
			return outputs, fmt.Errorf("%s: %s: %w", s.outcome.Target, command.Name, failure), nil
		}
		if i == 0 && p.removal {
			if err := x.journal.append(record{Record: eventRemoved, Change: s.outcome.ID}); err != nil {
				return nil, nil, err
			}
		}
	}
	return outputs, nil, nil
}

// ready reads what is live and prepares the step. If the step may have been carried out already, it
// waits for what is not visible yet.
func (x *execution) ready(ctx context.Context, s *step) ([]change.Live, prepared, error) {
	until := time.Now().Add(x.patience(s.kind))
	for pause := 200 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		live, err := x.read(ctx, s)
		if err != nil {
			return nil, prepared{}, err
		}
		p, err := s.prepare(live)
		if err != nil || !s.late || p.object != nil || !time.Now().Before(until) {
			return live, p, err
		}
		what := fmt.Sprintf("%s %q does not show", s.outcome.Kind, s.outcome.Name)
		x.observe(observe.Waiting{Stage: x.stage, ID: s.outcome.ID, What: what, Until: until})
		if err := pauseFor(ctx, min(pause, time.Until(until))); err != nil {
			return nil, prepared{}, err
		}
	}
}

// refused reports whether a place rejected the command, so that nothing was written. After any
// other error the command may have run and only its answer was lost.
func refused(err error) bool {
	return answered(err) || errors.Is(err, link.ErrAccess) || errors.Is(err, link.ErrUntrusted)
}

// deferred reports whether a server answered that it could not carry out the command now (503,
// 504).
func deferred(err error) bool {
	var d interface{ Deferred() bool }
	return errors.As(err, &d) && d.Deferred()
}

func pauseFor(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
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
				continue // the change that refers to it reports this
			}
		}
		if x.secrets.within(value) {
			continue
		}
		if kept == nil {
			kept = change.Properties{}
		}
		kept[ref.Property] = value
	}
	return kept, nil
}

// end journals the outcome of a step. Nil live: not known.
func (x *execution) end(s *step, live []change.Live, after *change.Live) {
	r := record{
		Record: eventEnd, Change: s.outcome.ID, Status: s.outcome.Status, Uncertain: s.outcome.Uncertain,
		Refused: s.refused, Error: s.outcome.Error, Note: s.outcome.Note, After: x.imageOf(s.kind, after),
		Outputs: s.outputs, DurationMS: time.Since(s.begun).Milliseconds(),
	}
	if live != nil {
		fingerprint, err := change.Fingerprint(s.kind, live)
		if err == nil {
			r.Live = fingerprint
		}
	}
	if err := x.journal.append(r); err != nil && s.outcome.Status != Failed {
		x.fail(s, fmt.Errorf("carried out, but not recorded: %w", err))
	}
}

func (x *execution) read(ctx context.Context, s *step) ([]change.Live, error) {
	live, err := s.place.Read(change.About(ctx, s.outcome.Name), s.kind)
	if err != nil {
		return nil, fmt.Errorf("%s: read %s: %w", s.outcome.Target, s.kind.Noun, err)
	}
	if live == nil {
		live = []change.Live{}
	}
	return live, nil
}

// await reads until the step is in effect, at most for patience. A cancelled run reads once more.
func (x *execution) await(
	ctx, work context.Context, s *step, p prepared, patience time.Duration,
) (live []change.Live, after *change.Live, missing string, err error) {
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
		x.observe(observe.Waiting{Stage: x.stage, ID: s.outcome.ID, What: x.secrets.text(missing), Until: until})
		_ = pauseFor(ctx, pause) // cancelled: read once more
	}
}

func (x *execution) fault(point string) error {
	if x.options.fault == nil {
		return nil
	}
	return x.options.fault(point)
}

// outlive returns a context that ends the duration d after its parent was cancelled.
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

// byIdentity finds a live resource. It ignores case, which places do not keep reliably.
func byIdentity(live []change.Live, identity string) *change.Live {
	for i := range live {
		if strings.EqualFold(live[i].Identity, identity) {
			return &live[i]
		}
	}
	return nil
}
