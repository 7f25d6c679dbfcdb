package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/notify"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// reporting are the verbs whose findings are reported to the receivers of the answers file.
var reporting = []string{"check", "test", "validate", "plan", "run"}

// notice keeps what a document says for the receivers of the answers file.
func (t *task) notice(d report.Document) {
	t.seen = append(t.seen, report.OutcomesOf(d.View())...)
	if p, ok := d.(change.Plan); ok && t.drift {
		o := report.Outcome{ID: "plan", Place: "plan", Status: report.Pass}
		if n := len(p.Changes); n > 0 {
			o.Status, o.Summary = report.Warn, msg.Plural(n, "%d change is pending", "%d changes are pending")
		}
		t.seen = append(t.seen, o)
	}
}

// notify reports to the receivers of the answers file how the run ended, and what it saw since it
// was called last. A message that is not delivered is a warning: the run has its own result.
func (t *task) notify(ctx context.Context, c *cobra.Command, err error) {
	if t.deployed == nil || !slices.Contains(reporting, t.verb) {
		return
	}
	f := explain(ctx, c, err)
	if f.Code == exitCancelled || f.Code == exitUsage {
		return
	}
	ended := report.Outcome{ID: notify.RunID, Place: t.verb, Status: report.Pass}
	if f.Message != "" {
		ended.Status, ended.Summary = report.Error, msg.Plain(f.Message)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		ctx = context.WithoutCancel(ctx) // that the time was over is what is to be said
	}
	seen := append(t.seen, ended)
	t.seen = nil
	if err := t.deployed.Notify(ctx, t.about, seen); err != nil {
		t.obs.Observe(observe.Warning{Text: report.Sanitize(err.Error())})
	}
}
