package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
)

// next tells on standard error how to go on. Who reads another format than text is no person, and is not told.
func (r *session) next(format string, args ...any) {
	if r.format == "text" {
		fmt.Fprintf(r.Err, "next: "+format+"\n", args...)
	}
}

// note tells on standard error what was done beside the report.
func (r *session) note(format string, args ...any) {
	if r.format == "text" {
		fmt.Fprintf(r.Err, format+"\n", args...)
	}
}

// command is a command line for the same deployment, to be copied.
func (r *session) command(words ...string) string {
	line := append([]string{"hybridge"}, words...)
	if r.answersFile != defaultAnswers && r.answersFile != "" {
		line = append(line, "-f", r.answersFile)
	}
	if r.stateDir != "" && r.stateDir != r.Env("HYBRIDGE_STATE_DIR") {
		line = append(line, "--state-dir", r.stateDir)
	}
	for i, word := range line {
		line[i] = report.ShellWord(word)
	}
	return strings.Join(line, " ")
}

func (r *session) afterCheck(checks check.Report) {
	var again, hints []string
	for _, result := range checks.Results {
		if id := string(result.ID); (result.Status == check.StatusFail || result.Status == check.StatusError) && !slices.Contains(again, id) {
			again = append(again, id)
		}
		// What stood in the way has no remedy of the check's.
		if _, hint := classify(context.Background(), result.Cause); result.Status == check.StatusError && hint != "" && !slices.Contains(hints, hint) {
			hints = append(hints, hint)
			r.note("hint: %s", hint)
		}
	}
	switch {
	case len(again) == 0:
		r.next("%s", r.command("plan"))
	case len(again) <= 3:
		r.next("mend that, then look again with: %s", r.command("check", "--only", strings.Join(again, ",")))
	default:
		r.next("mend these, then look again with: %s", r.command("check"))
	}
}

func (r *session) afterPlan(plan change.Plan, o planOptions) {
	switch {
	case len(plan.Changes) == 0:
		r.next("%s", r.command("test"))
	case o.out != "":
		r.next("%s", r.command("apply", o.out))
	default:
		r.next("%s saves it; then: %s", r.command("plan", "--out", "plan.json"), r.command("apply", "plan.json"))
	}
}

func (r *session) afterApply(applied apply.Report) {
	if s := applied.Summary; s.Failed+s.Pending > 0 || len(applied.Changes) == 0 {
		return // the error's hint says it
	}
	r.next("changes take minutes to show; ask with: %s\n      to undo it: %s", r.command("test", "--until-ok", "20m"), r.command("rollback", applied.RunID))
}

func (r *session) afterTest(tested freebusy.Report) {
	switch {
	case len(tested.Matrix) == 0:
		r.next("name people to ask about under tests.pairs in %s", r.answersFile)
	case tested.Summary.Failed > 0:
		r.next("%s says what is missing; right after an apply, ask again with: %s", r.command("plan"), r.command("test", "--until-ok", "20m"))
	case tested.Summary.Unknown > 0:
		r.next("%s says what cannot be reached", r.command("check"))
	}
}

// staleHint says why a plan does not fit any more, when the journals know.
func (r *session) staleHint(plan change.Plan, err error) error {
	if !errors.Is(err, apply.ErrStale) {
		return err
	}
	runs, _ := apply.History(r.state) // what can be read
	for _, run := range runs {
		if run.Action != "apply" || run.PlanHash != plan.Hash() || run.Outcome != "complete" {
			continue
		}
		hint := fmt.Sprintf("run %s carried out this very plan on %s; nothing of it is left to do. See whether it works with: %s",
			run.RunID, run.Started.Local().Format(time.DateTime), r.command("test"))
		if run.UndoneBy != "" {
			hint = fmt.Sprintf("run %s carried out this very plan, and run %s rolled it back; make a new one with: %s",
				run.RunID, run.UndoneBy, r.command("plan", "--out", "plan.json"))
		}
		return &exitError{code: exitStale, err: err, hint: hint}
	}
	return err
}

// afterInit says what a fresh answers file needs.
func (a app) afterInit(path string) {
	if path == "" && a.OutTTY {
		fmt.Fprintf(a.Err, "next: write it to a file: hybridge init --output-file %s\n", defaultAnswers)
		return
	}
	if path == "" {
		path = defaultAnswers
	}
	command := "hybridge check"
	if path != defaultAnswers {
		command += " -f " + report.ShellWord(path)
	}
	fmt.Fprintf(a.Err, "next: fill in what stands there as <...>, in an editor or in the wizard; then: %s\n", command)
}
