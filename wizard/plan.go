package wizard

import (
	"context"
	"fmt"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// planScreen shows the plan as a diff.
type planScreen struct{ listed }

func (*planScreen) about() about {
	return about{
		step: "Plan", does: "Compares what should be with what is. Nothing is changed.",
		help: "+ is created, ~ is changed, - is removed, -/+ is replaced: removed, then created. Within a change, - " +
			"is what goes and + what comes. What others put into a list stays. The plan holds for what is live now: " +
			"when that moves, apply refuses.",
	}
}

// enter plans, unless there is a plan that was not applied yet.
func (s *planScreen) enter(m *model) tea.Cmd {
	if m.outcome.Plan != nil && !m.spent {
		return nil
	}
	return s.again(m)
}

func (s *planScreen) again(m *model) tea.Cmd {
	if m.run != nil {
		return nil
	}
	*s = planScreen{}
	m.outcome.Plan, m.spent = nil, false
	return m.begin()
}

func (*planScreen) run(*model) work {
	return func(ctx context.Context, e stage.Engine, o observe.Observer) (any, error) { return e.Plan(ctx, o) }
}

func (s *planScreen) end(m *model, v any, err error) {
	if s.err = err; err == nil {
		m.outcome.Plan = result[change.Plan](v)
		s.changed()
	}
}

func (s *planScreen) actions(m *model) []action {
	again := on("r", "plan again", s.again)
	switch p := m.outcome.Plan; {
	case m.run != nil:
		return []action{backward(m)}
	case p == nil:
		return []action{again, backward(m)}
	case len(p.Changes) == 0:
		return []action{on("enter", "free/busy", show[*testScreen]), again, backward(m)}
	}
	return s.list.actions(forward("apply ..."), on("t", "free/busy as it is", show[*testScreen]), again, backward(m))
}

func (s *planScreen) render(m *model, width, height int) []string {
	lines := m.problemLines(s.staged, width)
	p := m.outcome.Plan
	if p == nil {
		if s.err == nil {
			lines = append([]string{m.styles.title.Render("Comparing what should be with what is")}, lines...)
		}
		return lines
	}
	lines = append([]string{m.styles.title.Render(planned(p.Summary))}, append(lines, "")...)
	if len(p.Changes) == 0 {
		return append(lines, "Everything is as it should be. There is nothing to change.")
	}
	items := s.items(width, func() []item {
		var items []item
		for _, c := range p.Changes {
			it := m.item(c.ID, width-gutter, report.Diff{Changes: []report.Change{c.Diff()}})
			it.lines = append(it.lines, "")
			items = append(items, it)
		}
		return items
	})
	return append(lines, s.list.render(m, items, width, height-len(lines))...)
}

// planned is the summary of a plan.
func planned(c change.Summary) string {
	if c.Create+c.Update+c.Replace+c.Delete == 0 {
		return fmt.Sprintf("No changes; %d unchanged", c.Unchanged)
	}
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{c.Create, "to create"}, {c.Update, "to update"}, {c.Replace, "to replace"}, {c.Delete,
		"to delete"}, {c.Unchanged, "unchanged"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	return strings.Join(parts, ", ")
}
