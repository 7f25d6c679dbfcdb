package wizard

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
)

func (l *lines) plan() (next string, err error) {
	s := find[*planScreen](l.model)
	*s = planScreen{}
	v, err := l.stage(s)
	p := result[change.Plan](v)
	switch {
	case err != nil && l.outcome.Check != nil: // they say what comes first
		return toResults, l.failed(err)
	case err != nil || p == nil:
		return toCheck, l.failed(err)
	}
	l.outcome.Plan, l.spent, l.basis = p, false, string(l.model.document.Bytes())
	if len(p.Changes) <= unfolded {
		l.document(*p)
	} else {
		l.tell("%s", l.planned(p.Summary))
	}
	if len(p.Changes) == 0 {
		return toTest, nil
	}
	for i, c := range p.Changes {
		l.tell("%d. %s %s", i+1, l.term(string(c.Action)), c.ID)
	}
	out, err := l.leaveOut(*p)
	if err != nil {
		return "", err
	}
	var ids []string
	for _, n := range out {
		ids = append(ids, p.Changes[n].ID)
	}
	rest, left := p.Without(ids...)
	l.outcome.Plan = &rest
	if len(left) > 0 {
		l.tell("%s: %s", l.count(len(left), "%d change left out, with those that need them",
			"%d changes left out, with those that need them"), strings.Join(left, ", "))
	}
	return toApply, nil
}

// leaveOut asks which changes of a plan are not made. A long plan is read whole on request.
func (l *lines) leaveOut(p change.Plan) ([]int, error) {
	if len(p.Changes) > unfolded {
		whole, err := l.agree(l.words("Read all that these changes write?"), false)
		if err != nil {
			return nil, err
		}
		if whole {
			l.document(p)
		}
	}
	return l.numbers(l.words("Leave out, by number (Enter: none):"), len(p.Changes))
}

// current reports whether there is a plan that is not applied. A plan of other answers is none.
func (l *lines) current() bool {
	if l.outcome.Plan != nil && l.basis != string(l.model.document.Bytes()) {
		l.tell("The answers have changed since the plan was made.")
		l.outcome.Plan = nil
	}
	return l.outcome.Plan != nil && !l.spent
}

// keep saves the plan, or writes it as scripts.
func (l *lines) keep() (next string, err error) {
	if !l.current() || len(l.outcome.Plan.Changes) == 0 {
		l.tell("There is no plan that is not applied yet: plan first.")
		return toPlan, nil
	}
	s := find[*planScreen](l.model)
	options := []string{"save the plan"}
	if l.options.Scripts != nil {
		options = append(options, "write scripts")
	}
	n, err := l.choose(append(options, "back"), len(options))
	switch {
	case err != nil:
		return "", err
	case n == len(options):
	case n == 0:
		if noted, ok := s.save(l.model)().(noted); ok {
			l.tell("%s", string(noted))
		}
	default:
		s.writes = filepath.Join(filepath.Dir(l.file.name()), "scripts")
		v, err := l.under(l.words("Writing the scripts."), s)
		s.end(l.model, v, err)
		if l.ctx.Err() != nil {
			return "", l.ctx.Err()
		}
		l.tell("%s", l.note)
	}
	return toApply, nil
}

func (l *lines) apply() (next string, err error) {
	if !l.current() {
		l.tell("There is no plan that is not applied yet: plan first.")
		return toPlan, nil
	}
	s := find[*confirmScreen](l.model)
	*s = confirmScreen{}
	v, err := l.under(l.words("Checking again what the changes depend on."), s)
	if err != nil {
		return toApply, l.failed(err)
	}
	s.checks = result[check.Report](v)
	if !l.current() { // by another program
		return toPlan, nil
	}
	p := l.outcome.Plan
	l.tell("Apply this plan? %s", l.planned(p.Summary))
	if objections := s.objections(); len(objections) > 0 {
		l.tell("%s", l.objected(len(objections)))
		l.tellResults(objections, 0, len(objections), false)
	}
	for _, text := range l.weighed(p, l.width) {
		l.wrapped(text)
	}
	if severe(p) {
		name, err := l.ask(l.words("Something is removed. Type the organization's name, %s, to go on:",
			clean(l.answers.Organization)), false)
		if err != nil {
			return "", err
		}
		if name != l.answers.Organization {
			l.tell("That is not the organization's name. Nothing was changed.")
			return toApply, nil
		}
	} else if yes, err := l.agree(l.words("Apply it?"), false); err != nil || !yes {
		return toApply, err
	}
	l.options.Apply.Accept = s.consents(p)
	a := find[*applyScreen](l.model)
	*a = applyScreen{gate: &gate{}}
	l.tell("While it runs: p and Enter pause before the next change, s and Enter stop after the changes that were " +
		"begun. Ctrl-C ends the current change and leaves.")
	v, err = l.stage(a)
	a.end(l.model, v, err)
	if a.report != nil {
		l.applied(*a.report, errors.Is(err, apply.ErrStopped))
	}
	switch {
	case errors.Is(err, apply.ErrStopped):
		l.tell("You stopped it; the next plan has the rest.")
		return toPlan, nil
	case !a.whole():
		return toPlan, l.failed(err)
	}
	return toTest, nil
}

// applied reads what became of the changes. Of many, those that are made were read as they were
// made, and those that a stop left out are in the next plan.
func (l *lines) applied(r apply.Report, stopped bool) {
	if len(r.Changes) > unfolded {
		r.Changes = slices.DeleteFunc(slices.Clone(r.Changes), func(o apply.Outcome) bool {
			return o.Status == apply.Done || o.Status == apply.Skipped || stopped && o.Status == apply.Pending
		})
	}
	l.document(r)
}

// steer takes a line that was typed while changes are made.
func (l *lines) steer(s *applyScreen, text string) {
	switch strings.ToLower(text) {
	case "p":
		s.gate.turn()
		switch paused, stopped := s.gate.state(); {
		case stopped:
			l.tell("Stopping: what was begun is done first")
		case paused:
			l.tell("Paused: nothing more begins until p. What was begun goes on to its end.")
		default:
			l.tell("Going on.")
		}
	case "s":
		s.gate.stop()
		l.tell("Stopping: what was begun is done first")
	default: // it is for the next question
		l.early = append(l.early, text)
	}
}

// remember reads what earlier runs left.
func (l *lines) remember() {
	l.past = past{}
	if read := l.recall(); read != nil {
		l.past, _ = read().(past)
	}
}

// history lists the earlier runs, and undoes one.
func (l *lines) history() (next string, err error) {
	l.remember()
	if l.past.err != nil {
		l.tell("! %s", l.past.err.Error())
	}
	if len(l.past.runs) == 0 {
		l.tell("Nothing was applied yet.")
		return toCheck, nil
	}
	for i, e := range l.past.runs {
		l.tell("%d. %s: %s", i+1, e.Started.Local().Format(time.DateTime), ran(l.model, e))
	}
	l.tell("Which one is to be undone? What that would do is shown first.")
	n, err := l.number(len(l.past.runs))
	if err != nil || n < 0 {
		return toCheck, err
	}
	s := find[*historyScreen](l.model)
	*s = historyScreen{looked: l.past.runs[n].RunID}
	v, err := l.under(l.words("Looking at what undoing run %s would do", s.looked), s)
	s.end(l.model, v, err)
	if err != nil || s.undo == nil {
		return toCheck, l.failed(err)
	}
	l.document(*s.undo)
	if yes, err := l.agree(l.words("Undo it?"), false); err != nil || !yes {
		return toCheck, err
	}
	s.agreed = true
	v, err = l.under(l.words("Undoing run %s", s.looked), s)
	s.end(l.model, v, err)
	if s.report != nil {
		l.document(*s.report)
	}
	return toCheck, l.failed(err)
}
