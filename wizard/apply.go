package wizard

import (
	"fmt"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// confirmScreen asks before anything is changed: for a key, or, when something is removed, for the organization's name.
type confirmScreen struct {
	input input
	view  view
}

func (*confirmScreen) stage() stage.ID { return stage.Apply }

func (s *confirmScreen) help() string {
	return "Every change is written to a journal ahead of time, with what was there before: a run that is cut off goes on with hybridge apply, and hybridge rollback undoes it."
}

// severe tells whether the plan removes something.
func (s *confirmScreen) severe(m *model) bool {
	return m.plan.plan != nil && m.plan.plan.Summary.Delete+m.plan.plan.Summary.Replace > 0
}

func (s *confirmScreen) keys(m *model) []hint {
	if s.severe(m) {
		return []hint{{"enter", "apply"}, {"esc", "back to the plan"}, {"up/down", "scroll"}}
	}
	return []hint{{"y", "apply"}, {"n", "back to the plan"}, {"up/down", "scroll"}}
}

func (s *confirmScreen) key(m *model, k tea.KeyMsg) tea.Cmd {
	name := k.String()
	if name == "esc" || !s.severe(m) && name == "n" {
		m.screen = m.plan
		return nil
	}
	if !s.severe(m) {
		if name == "y" {
			return m.apply.begin(m)
		}
		s.view.key(name)
		return nil
	}
	switch name {
	case "up", "down", "pgup", "pgdown":
		s.view.key(name)
		return nil
	case "enter":
	default:
		s.input.key(k)
		return nil
	}
	if strings.TrimSpace(s.input.String()) != m.answers.Organization {
		m.note = "That is not the organization's name."
		return nil
	}
	// Who types the name after having seen what is removed has allowed it.
	m.options.Apply.AllowDelete = true
	return m.apply.begin(m)
}

func (s *confirmScreen) render(m *model, width, height int) []string {
	p := m.plan.plan
	// What is asked stands on top: however much there is to say, it stays in view.
	head := []string{m.styles.title.Render("Apply this plan?") + "  " + planned(p.Summary), ""}
	if s.severe(m) {
		head = append(head, wrap("Something is removed. Type the organization's name, "+clean(m.answers.Organization)+", to go on:", width, "")...)
		head = append(head, "> "+s.input.render(m.styles, width-2, false))
	} else {
		head = append(head, "y applies it, n goes back. Nothing of it has been changed so far.")
	}
	head = append(head, "")
	var lines []string
	for _, c := range p.Changes {
		if c.Action == change.Delete || c.Action == change.Recreate {
			lines = append(lines, m.styles.bad.Render(fmt.Sprintf("  %s %s %s %q", signs[c.Action], clean(c.Target), clean(c.Kind), clean(c.Name))))
		}
	}
	counts := map[string]int{}
	var order []string
	for _, c := range p.Changes {
		if counts[c.Target] == 0 {
			order = append(order, c.Target)
		}
		counts[c.Target]++
	}
	for _, target := range order {
		lines = append(lines, fmt.Sprintf("  %s at %s", counted(counts[target], "change"), clean(target)))
	}
	lines = append(lines, "")
	seen := map[string]bool{}
	for _, c := range p.Changes {
		if c.Risk != "" && !seen[c.Risk] {
			seen[c.Risk] = true
			lines = append(lines, wrap("  risk: "+clean(c.Kind)+": "+clean(c.Risk), width, "        ")...)
		}
	}
	return append(head, m.window(&s.view, lines, height-len(head))...)
}

// applyScreen shows the changes as they are made.
type applyScreen struct {
	outcomes map[string]apply.Outcome
	warnings []string
	report   *apply.Report
	err      error
	view     view
	follow   bool
}

func (*applyScreen) stage() stage.ID { return stage.Apply }

func (s *applyScreen) help() string {
	return "DONE is made and read back. SKIPPED was in effect already. FAILED says why; what needs it stays PENDING. hybridge apply goes on where this ended, hybridge rollback undoes it."
}

func (s *applyScreen) keys(m *model) []hint {
	switch {
	case m.run != nil:
		return []hint{{"up/down", "scroll"}, {"ctrl+c", "end the current change and leave"}}
	case s.whole():
		return []hint{{"enter", "free/busy"}, {"up/down", "scroll"}}
	}
	return []hint{{"r", "plan again"}, {"t", "free/busy as it is"}, {"up/down", "scroll"}, {"esc", "back to the plan"}}
}

func (s *applyScreen) whole() bool {
	return s.err == nil && s.report != nil && s.report.Summary.Failed+s.report.Summary.Pending == 0
}

func (s *applyScreen) begin(m *model) tea.Cmd {
	if m.run != nil {
		return nil
	}
	*s = applyScreen{outcomes: map[string]apply.Outcome{}, follow: true}
	m.screen = s
	return m.begin(stage.Apply)
}

func (s *applyScreen) observe(e observe.Event) {
	switch e := e.(type) {
	case apply.Outcome:
		s.outcomes[e.ID] = e
	case observe.Warning:
		s.warnings = append(s.warnings, clean(e.Text))
	}
}

func (s *applyScreen) end(m *model, msg finished) {
	s.err = msg.err
	if r := msg.outcome.Apply; r != nil && (r.RunID != "" || msg.err == nil) { // else it was refused before it began
		s.report, m.outcome.Apply = r, r
		for _, o := range s.report.Changes {
			s.outcomes[o.ID] = o
		}
	}
	m.outcome.Plan = nil // it is spent; a look back plans anew
}

func (s *applyScreen) key(m *model, k tea.KeyMsg) tea.Cmd {
	name := k.String()
	if m.run == nil {
		switch {
		case name == "enter" && s.whole() || name == "t":
			return m.test.begin(m)
		case name == "r" || name == "esc":
			return m.plan.begin(m)
		}
	}
	if s.view.key(name) {
		s.follow = false
	}
	return nil
}

func (s *applyScreen) render(m *model, width, height int) []string {
	p := m.plan.plan
	if p == nil {
		return nil
	}
	settled := 0
	for _, o := range s.outcomes {
		if o.Status != apply.Pending {
			settled++
		}
	}
	title := "Applying"
	switch {
	case s.report == nil && s.err != nil:
		title = "Nothing was changed"
	case s.report != nil:
		c := s.report.Summary
		title = fmt.Sprintf("%d done, %d skipped, %d failed, %d pending", c.Done, c.Skipped, c.Failed, c.Pending)
	}
	lines := []string{m.styles.title.Render(title), bar(settled, len(p.Changes), width)}
	lines = append(lines, m.problemLines(s.err, s.warnings, width)...)
	if s.report != nil && s.report.Journal != "" {
		lines = append(lines, wrap("journal: "+clean(s.report.Journal), width, "  ")...)
	}
	lines = append(lines, "")
	var list []string
	at, failed := 0, -1 // what is kept in view: the newest, or the first that failed
	for _, c := range p.Changes {
		o, known := s.outcomes[c.ID]
		word, style := "", m.styles.faint
		if known {
			word = strings.ToUpper(string(o.Status))
			if failed < 0 && o.Status != apply.Pending {
				at = len(list)
			}
			switch o.Status {
			case apply.Done:
				style = m.styles.good
			case apply.Failed:
				style = m.styles.bad
				if failed < 0 {
					failed, at = len(list), len(list)
				}
			}
		}
		list = append(list, fmt.Sprintf("%s %s %s %s %q", style.Render(fmt.Sprintf("%-8s", word)), signs[c.Action], clean(c.Target), clean(c.Kind), clean(c.Name)))
		if o.Error != "" {
			for _, line := range wrap(clean(o.Error), width-9, "") {
				list = append(list, "         "+m.styles.bad.Render(line))
			}
		}
	}
	if s.follow {
		last := at + 1
		if failed >= 0 {
			last += 3 // with the reason
		}
		s.view.keep(at, min(last, len(list)-1), height-len(lines))
	}
	return append(lines, m.window(&s.view, list, height-len(lines))...)
}

// bar draws progress; the numbers say the same.
func bar(done, total, width int) string {
	label := fmt.Sprintf(" %d of %d", done, total)
	cells := max(10, min(50, width-len(label)-2))
	filled := 0
	if total > 0 {
		filled = cells * done / total
	}
	return "[" + strings.Repeat("#", filled) + strings.Repeat(".", cells-filled) + "]" + label
}
