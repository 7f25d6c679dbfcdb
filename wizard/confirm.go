package wizard

import (
	"fmt"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// confirmScreen asks before anything is changed: for a key, or, when something is removed, for the
// organization's name.
type confirmScreen struct {
	page
	input  input
	scroll scroll
}

func (*confirmScreen) about() about {
	return about{
		step: "Apply", once: true, does: "Makes the changes of the plan. Each is written to the journal first.",
		help: "Every change is written to the journal before it is made, with what was there before. hybridge " +
			"apply goes on with a run that was cut off, and hybridge rollback undoes it.",
	}
}

func (s *confirmScreen) enter(*model) tea.Cmd {
	*s = confirmScreen{}
	return nil
}

// severe reports whether the plan removes something.
func severe(p *change.Plan) bool { return p != nil && p.Summary.Delete+p.Summary.Replace > 0 }

func (s *confirmScreen) typing(m *model) bool { return severe(m.outcome.Plan) }

func (s *confirmScreen) actions(m *model) []action {
	back := on("n", "back to the plan", (*model).back, "n", "esc")
	agree := on("y", "apply", (*model).next)
	if severe(m.outcome.Plan) {
		back, agree = on("esc", "back to the plan", (*model).back), on("enter", "apply", s.agree)
	}
	return []action{agree, back, on("up/down", "scroll", nil)}
}

// agree takes the organization's name, typed after what is removed was shown, as consent to remove
// it.
func (s *confirmScreen) agree(m *model) tea.Cmd {
	if strings.TrimSpace(s.input.String()) != m.answers.Organization {
		m.note = "That is not the organization's name."
		return nil
	}
	m.options.Apply.Accept = []string{apply.AcceptRemovals}
	return m.next()
}

func (s *confirmScreen) other(m *model, k tea.KeyMsg) tea.Cmd {
	switch {
	case !severe(m.outcome.Plan):
		s.scroll.key(k)
	case k.Type == tea.KeyUp, k.Type == tea.KeyDown, k.Type == tea.KeyPgUp, k.Type == tea.KeyPgDown:
		s.scroll.key(k)
	default:
		s.input.key(k)
	}
	return nil
}

func (s *confirmScreen) render(m *model, width, height int) []string {
	p := m.outcome.Plan
	if p == nil {
		return nil
	}
	// The question stands on top, so that it stays in view.
	head := []string{m.styles.title.Render("Apply this plan?") + "  " + planned(p.Summary), ""}
	if severe(p) {
		head = append(head, m.text(width, "Something is removed. Type the organization's name, "+
			""+clean(m.answers.Organization)+", to go on:")...)
		head = append(head, "> "+s.input.render(m.styles, width-2, false))
	} else {
		head = append(head, "y applies it, n goes back. Nothing of it has been changed so far.")
	}
	head = append(head, "")
	var lines []string
	for _, c := range p.Changes {
		if c.Action == change.Delete || c.Action == change.Recreate {
			lines = append(lines,
				m.blocks(width, report.Diff{Changes: []report.Change{{Action: report.Action(c.Action), ID: c.ID,
					Name: c.Name}}})...)
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
			for _, line := range m.labelled(width-2, "risk", report.Plain, c.Kind+": "+c.Risk) {
				lines = append(lines, "  "+line)
			}
		}
	}
	return append(head, m.window(&s.scroll, lines, height-len(head))...)
}
