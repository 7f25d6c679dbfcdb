package apply

import (
	"context"
	"errors"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// View shows what became of each change of a run, and where its journal is.
func (r Report) View() report.View {
	v := report.View{Name: "apply", Title: msg.Of("Apply")}
	if len(r.Changes) == 0 && r.RunID == "" {
		v.Blocks = []report.Block{report.Paragraph{Text: msg.Of("Nothing to do.")}}
		return v
	}
	for _, o := range r.Changes {
		v.Blocks = append(v.Blocks, o.Block())
	}
	s := r.Summary
	v.Summary = report.Summary{
		Lead: msg.Of("Run %s:", r.RunID),
		Counts: []report.Count{
			{Text: msg.Of("%d done", s.Done)}, {Text: msg.Of("%d failed", s.Failed)},
			{Text: msg.Of("%d skipped", s.Skipped)}, {Text: msg.Of("%d pending", s.Pending)},
		},
	}
	if r.Journal != "" {
		v.Summary.Notes = append(v.Summary.Notes, report.Command{Label: msg.Of("journal"), Lines: []string{r.Journal}})
	}
	if r.Digest != "" {
		v.Summary.Notes = append(v.Summary.Notes, report.Command{Label: msg.Of("digest"), Lines: []string{r.Digest}})
	}
	return v
}

var shownAs = map[Status]report.Status{
	Done: report.Done, Failed: report.Fail, Skipped: report.Skip, Pending: report.Pending,
}

// Block shows what became of one change.
func (o Outcome) Block() report.Finding {
	f := report.Finding{
		Status: shownAs[o.Status], Action: msg.Key(string(o.Action)), ID: o.ID, Group: o.Target, Class: o.Kind,
		Summary: msg.Plain(o.Error), Took: time.Duration(o.DurationMS) * time.Millisecond,
	}
	ended := errors.Is(o.Cause, context.Canceled) || errors.Is(o.Cause, context.DeadlineExceeded)
	f.Interrupted = ended && o.Status == Pending
	if f.Summary.IsZero() {
		f.Summary = o.Note
	}
	return f
}

// Runs is the document of the history of a state directory.
type Runs struct {
	// The version of the format: hybridge/v1.
	APIVersion string `json:"apiVersion"`
	// Always History.
	Kind string `json:"kind"`
	// The directory of the journals.
	StateDir string `json:"stateDir"`
	// The runs, newest first.
	Runs []Entry `json:"runs"`
}

// View lists the runs.
func (r Runs) View() report.View {
	v := report.View{Name: "history", Title: msg.Of("History")}
	if len(r.Runs) == 0 {
		v.Blocks = []report.Block{report.Paragraph{Text: msg.Of("No run yet.")}}
		return v
	}
	t := report.Table{Columns: []msg.Text{
		msg.Of("run"), msg.Of("action"), msg.Of("outcome"),
		msg.Of("done"), msg.Of("failed"), msg.Of("skipped"), msg.Of("pending"), msg.Of("rolled back by"),
	}}
	for _, run := range r.Runs {
		action := msg.Key(run.Action)
		if run.Of != "" {
			action = msg.Of("%s of %s", action, run.Of)
		}
		if run.Scripts != "" {
			action = msg.Of("%s by scripts", action)
		}
		undone := msg.Plain("-")
		if run.UndoneBy != "" {
			undone = msg.Plain(run.UndoneBy)
		}
		s := run.Summary
		t.Rows = append(t.Rows, []msg.Text{
			msg.Plain(run.RunID), action, msg.Key(run.Outcome),
			msg.Of("%d", s.Done), msg.Of("%d", s.Failed), msg.Of("%d", s.Skipped), msg.Of("%d", s.Pending), undone,
		})
	}
	v.Blocks = []report.Block{t}
	for _, run := range r.Runs {
		if run.Error != "" {
			v.Blocks = append(v.Blocks, report.Paragraph{Label: msg.Plain(run.RunID), Text: msg.Plain(run.Error),
				Tone: report.Caution})
		}
	}
	return v
}

// View shows what a rollback would do as a diff, and what it would leave as findings.
func (u Undo) View() report.View {
	v := report.View{Name: "rollback", Title: msg.Of("Rollback")}
	v.Blocks = append(v.Blocks, report.Paragraph{Text: msg.Of("To undo run %s:", u.RunID)})
	if len(u.Changes) == 0 {
		v.Blocks = append(v.Blocks, report.Paragraph{Text: msg.Of("Nothing to change.")})
	} else {
		diff := report.Diff{Intro: msg.Of("Changes, in this order:")}
		for _, c := range u.Changes {
			diff.Changes = append(diff.Changes, c.Diff())
		}
		v.Blocks = append(v.Blocks, diff)
	}
	for i, o := range u.Left {
		if i == 0 {
			v.Blocks = append(v.Blocks, report.Paragraph{Text: msg.Of("Left as it is:")})
		}
		v.Blocks = append(v.Blocks, o.Block())
	}
	s := u.Summary
	v.Summary = report.Summary{Lead: msg.Of("Rollback:"), Counts: []report.Count{{Text: msg.Of(
		"%d to create, %d to change, %d to replace, %d to remove; %d left as it is",
		s.Create, s.Update, s.Replace, s.Delete, len(u.Left),
	)}}}
	return v
}
