package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// next says on standard error how to go on. It is silent in other formats than text: a machine
// reads those.
func (t *task) next(format string, args ...any) {
	if t.text() && !t.recalled {
		t.tell(t.told(), fmt.Sprintf("next: "+format, args...))
	}
}

// told is where next and note write: below the output also where a pager shows it.
func (t *task) told() io.Writer {
	if t.paged {
		return &t.after
	}
	return t.Err
}

// note says on standard error what was done beside the report.
func (t *task) note(format string, args ...any) {
	if t.text() {
		t.tell(t.told(), fmt.Sprintf(format, args...))
	}
}

// command is a command line for the same deployment, to be copied.
func (t *task) command(words ...string) string {
	line := append([]string{"hybridge"}, words...)
	if t.answersFile != defaultAnswers && t.answersFile != "" {
		line = append(line, "-f", t.answersFile)
	}
	if t.stateDir != "" && t.stateDir != t.Env("HYBRIDGE_STATE_DIR") {
		line = append(line, "--state-dir", t.stateDir)
	}
	for i, word := range line {
		line[i] = report.ShellWord(word)
	}
	return strings.Join(line, " ")
}

func (t *task) afterCheck(checks check.Report) {
	var again, hints []string
	for _, result := range checks.Results {
		unseen := result.Status == check.StatusError
		if id := string(result.ID); (result.Status == check.StatusFail || unseen) && !slices.Contains(again, id) {
			again = append(again, id)
		}
		// The cause of a check that could not look has its own hint.
		_, hint := classify(context.Background(), result.Cause)
		if unseen && hint != "" && !slices.Contains(hints, hint) {
			hints = append(hints, hint)
			t.note("hint: %s", hint)
		}
	}
	switch {
	case len(again) == 0:
		t.next("%s", t.command("plan"))
	case len(again) <= 3:
		t.next("fix that, then look again with: %s", t.command("check", "--only", strings.Join(again, ",")))
	default:
		t.next("fix these, then look again with: %s", t.command("check"))
	}
}

func (t *task) afterPlan(plan change.Plan, o planOptions) {
	switch {
	case t.leaving && len(plan.Changes)+len(plan.LeftOut) == 0:
		t.next("nothing: all stages are done; keep the state leaving in the answers file")
	case t.leaving && len(plan.Changes) == 0:
		t.next("when what is left out can be done: %s", t.command("plan"))
	case len(plan.Changes) == 0:
		t.next("%s", t.command("test"))
	case o.scripts != "" && o.out == "": // the scripts make the changes; where they are stands above
	case o.out != "":
		t.next("%s", t.command(consenting(plan, "apply", o.out)...))
	default:
		t.next("%s saves it; then: %s", t.command(o.again(t, "plan", "--out", "plan.json")...),
			t.command(consenting(plan, "apply", "plan.json")...))
	}
}

// again are the words that make the same plan.
func (o planOptions) again(t *task, words ...string) []string {
	for _, flag := range []struct {
		name   string
		values []string
	}{
		{"--only", t.only}, {"--skip", t.skip}, {"--forest", o.forests}, {"--domain", o.domains},
		{"--restore-hcw", o.restore},
	} {
		for _, value := range flag.values {
			words = append(words, flag.name, value)
		}
	}
	return words
}

// consenting adds the consents that a plan requires: without them, apply refuses it.
func consenting(plan change.Plan, words ...string) []string {
	if ids, _ := apply.Needed(plan, deployment.Kinds()); len(ids) > 0 {
		words = append(words, "--accept", strings.Join(ids, ","))
	}
	return words
}

func (t *task) afterApply(applied apply.Report) {
	if s := applied.Summary; s.Failed+s.Pending > 0 || len(applied.Changes) == 0 {
		return // the error's hint says it
	}
	if t.leaving {
		t.next("look at mail and calendars, then plan the next stage: %s\n      to undo it: %s",
			t.command("plan"), t.command("rollback", applied.RunID))
		return
	}
	t.next("changes take minutes to show; ask with: %s\n      to undo it: %s",
		t.command("test", "--until-ok", "20m"), t.command("rollback", applied.RunID))
}

func (t *task) afterTest(tested deployment.TestReport) {
	switch {
	case len(tested.Matrix) == 0:
		t.next("name pairs of mailboxes under tests.pairs in %s", t.answersFile)
	case tested.Summary.Failed > 0 && tested.Matrix[0].Probe == deployment.MessageProbe:
		t.next("with the feature secureMail, %s says what is missing; after an apply, send again with: %s",
			t.command("plan"), t.command("test", "--message"))
	case tested.Summary.Failed > 0:
		t.next("%s says what is missing; right after an apply, ask again with: %s",
			t.command("plan"), t.command("test", "--until-ok", "20m"))
	case tested.Summary.Pending > 0:
		t.next("a server holds messages and retries; send again later with: %s", t.command("test", "--message"))
	case tested.Summary.Unknown > 0:
		t.next("%s says what cannot be reached", t.command("check"))
	}
}

// staleHint says why a plan does not fit any more, when the journals know.
func (t *task) staleHint(plan change.Plan, err error) error {
	if !errors.Is(err, apply.ErrStale) || errors.Is(err, apply.ErrPartial) { // in part: something was written
		return err
	}
	runs, _ := apply.History(t.state) // what can be read
	for _, run := range runs {
		if run.Action != "apply" || run.Digest != plan.Digest || run.Outcome != "complete" {
			continue
		}
		hint := fmt.Sprintf("run %s carried out this very plan on %s; nothing of it is left to do. Test it with: %s",
			run.RunID, run.Started.Local().Format(time.DateTime), t.command("test"))
		if run.UndoneBy != "" {
			hint = fmt.Sprintf("run %s carried out this very plan, and run %s rolled it back; make a new one with: %s",
				run.RunID, run.UndoneBy, t.command("plan", "--out", "plan.json"))
		}
		return &exitError{code: exitStale, err: err, hint: hint}
	}
	return err
}

// afterInit says what a fresh answers file needs.
func (t *task) afterInit(path string) {
	if path == "" && t.OutTTY {
		t.tell(t.Err, "next: write it to a file: hybridge init --output-file "+defaultAnswers)
		return
	}
	if path == "" {
		path = defaultAnswers
	}
	command := "hybridge check"
	if path != defaultAnswers {
		command += " -f " + report.ShellWord(path)
	}
	t.tell(t.Err, "next: replace each <...>, in an editor or in the wizard; then: "+command)
}
