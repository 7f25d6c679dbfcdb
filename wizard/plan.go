package wizard

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// planScreen shows the plan as a diff.
type planScreen struct {
	plan     *change.Plan
	warnings []string
	err      error
	view     view
}

func (*planScreen) stage() stage.ID { return stage.Plan }

func (s *planScreen) help() string {
	return "+ is made, ~ is changed, - is removed, ± is removed and made anew. Within a change, - is what is there now and + what will be. " +
		"What others put into a list stays. The plan holds for what is live now: when that moves, apply refuses."
}

func (s *planScreen) keys(m *model) []hint {
	switch {
	case m.run != nil:
		return []hint{{"esc", "stop and go back"}}
	case s.plan == nil:
		return []hint{{"r", "plan again"}, {"esc", "back"}}
	case len(s.plan.Changes) == 0:
		return []hint{{"enter", "free/busy"}, {"r", "plan again"}, {"esc", "back"}}
	}
	return []hint{{"enter", "apply ..."}, {"up/down", "scroll"}, {"t", "free/busy as it is"}, {"r", "plan again"}, {"esc", "back"}}
}

func (s *planScreen) begin(m *model) tea.Cmd {
	m.screen = s
	if s.plan != nil && m.outcome.Plan == s.plan {
		return nil
	}
	return s.again(m)
}

func (s *planScreen) again(m *model) tea.Cmd {
	if m.run != nil {
		return nil
	}
	*s = planScreen{}
	m.outcome.Plan = nil
	return m.begin(stage.Plan)
}

func (s *planScreen) observe(e observe.Event) {
	if w, ok := e.(observe.Warning); ok {
		s.warnings = append(s.warnings, clean(w.Text))
	}
}

func (s *planScreen) end(m *model, msg finished) {
	if s.err = msg.err; s.err == nil {
		s.plan, m.outcome.Plan = msg.outcome.Plan, msg.outcome.Plan
	}
}

func (s *planScreen) key(m *model, k tea.KeyMsg) tea.Cmd {
	switch name := k.String(); name {
	case "enter":
		switch {
		case m.run != nil || s.plan == nil:
		case len(s.plan.Changes) == 0:
			return m.test.begin(m)
		default:
			m.confirm.input, m.confirm.view = newInput(""), view{}
			m.screen = m.confirm
		}
	case "t":
		if m.run == nil && s.plan != nil {
			return m.test.begin(m)
		}
	case "r":
		return s.again(m)
	case "esc":
		return m.back(m.check)
	default:
		s.view.key(name)
	}
	return nil
}

func (s *planScreen) render(m *model, width, height int) []string {
	lines := m.problemLines(s.err, s.warnings, width)
	if s.plan == nil {
		if s.err == nil {
			lines = append([]string{m.styles.title.Render("Comparing what should be with what is")}, lines...)
		}
		return lines
	}
	lines = append([]string{m.styles.title.Render(planned(s.plan.Summary))}, append(lines, "")...)
	if len(s.plan.Changes) == 0 {
		return append(lines, "Everything is as it should be. Nothing is to be changed.")
	}
	var list []string
	target := ""
	for _, c := range s.plan.Changes {
		if c.Target != target {
			target = c.Target
			list = append(list, m.styles.title.Render(clean(target)))
		}
		list = append(list, m.change(c, width)...)
		list = append(list, "")
	}
	return append(lines, m.window(&s.view, list, height-len(lines))...)
}

func planned(c change.Summary) string {
	if c.Create+c.Update+c.Replace+c.Delete == 0 {
		return fmt.Sprintf("No changes; %d in order", c.Unchanged)
	}
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{c.Create, "to create"}, {c.Update, "to update"}, {c.Replace, "to replace"}, {c.Delete, "to delete"}, {c.Unchanged, "in order"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	return strings.Join(parts, ", ")
}

var signs = map[change.Action]string{change.Create: "+", change.Update: "~", change.Delete: "-", change.Recreate: "±"}

// change draws one change as a diff of its properties.
func (m *model) change(c change.Change, width int) []string {
	head := fmt.Sprintf("%s %s %s %q", signs[c.Action], c.Action, clean(c.Kind), clean(c.Name))
	switch c.Action {
	case change.Create:
		head = m.styles.good.Render(head)
	case change.Update:
		head = m.styles.warn.Render(head)
	default:
		head = m.styles.bad.Render(head)
	}
	lines := []string{"  " + head}
	put := func(text, indent string) {
		for _, line := range wrap(clean(text), width-6, indent) {
			lines = append(lines, "      "+line)
		}
	}
	if !c.Reason.IsZero() {
		put("why: "+c.Reason.String(), "     ")
	}
	if c.Risk != "" {
		put("risk: "+c.Risk, "      ")
	}
	names := slices.Sorted(maps.Keys(c.Before))
	for name := range c.After {
		if _, both := c.Before[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		before, had := c.Before[name]
		after, has := c.After[name]
		if had && (has || c.Action == change.Delete || c.Action == change.Recreate) && !(c.Action == change.Recreate && has && change.Equal(after, before)) {
			lines = append(lines, m.property("-", name, before, width, m.styles.bad.Render)...)
		}
		if has {
			lines = append(lines, m.property("+", name, after, width, m.styles.good.Render)...)
		}
	}
	return lines
}

func (m *model) property(sign, name string, value any, width int, style func(...string) string) []string {
	lines := wrap(sign+" "+clean(name)+": "+clean(change.Shown(value).String()), width-6, "    ")
	const most = 6
	if len(lines) > most {
		lines = append(lines[:most], "    …")
	}
	for i := range lines {
		lines[i] = "      " + style(lines[i])
	}
	return lines
}
