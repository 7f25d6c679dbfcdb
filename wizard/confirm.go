package wizard

import (
	"context"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// confirmScreen asks before anything is changed: for a key, or, when something is removed, for the
// organization's name.
type confirmScreen struct {
	staged
	input  input
	scroll scroll
	checks *check.Report // what the changes depend on; nil until it was looked at
}

func (*confirmScreen) about() about {
	return about{
		step: "Apply", once: true, does: "Makes the changes of the plan. Each is written to the journal first.",
		help: "Every change is written to the journal before it is made, with what was there before. hybridge " +
			"apply goes on with a run that was cut off, and hybridge rollback undoes it.",
	}
}

func (s *confirmScreen) enter(m *model) tea.Cmd {
	*s = confirmScreen{}
	return m.begin()
}

// run looks again at what the changes depend on.
func (*confirmScreen) run(m *model) work {
	if m.outcome.Plan == nil {
		return nil
	}
	plan := *m.outcome.Plan
	return func(ctx context.Context, e stage.Engine, o observe.Observer) (any, error) {
		return e.Recheck(ctx, plan, o)
	}
}

func (s *confirmScreen) end(_ *model, v any, err error) {
	if s.err = err; err == nil {
		s.checks = result[check.Report](v)
	}
}

// objections are the checks that speak against the plan.
func (s *confirmScreen) objections() []check.Result {
	if s.checks == nil {
		return nil
	}
	return deployment.Objections(*s.checks)
}

// objected says how many checks speak against the plan.
func (m *model) objected(n int) string {
	return m.count(n, "%d check that the changes depend on failed or could not look:",
		"%d checks that the changes depend on failed or could not look:")
}

// severe reports whether the plan removes something, or needs a consent of its own.
func severe(p *change.Plan) bool {
	if p == nil {
		return false
	}
	needed, _ := apply.Needed(*p, deployment.Kinds())
	return p.Summary.Delete+p.Summary.Replace+len(needed) > 0
}

func (s *confirmScreen) typing(m *model) bool { return s.checks != nil && severe(m.outcome.Plan) }

func (s *confirmScreen) actions(m *model) []action {
	back := on("n", "back to the plan", (*model).back, "n", "esc")
	does := "apply"
	if len(s.objections()) > 0 {
		does = "apply all the same"
	}
	agree := on("y", does, func(m *model) tea.Cmd { return s.goOn(m) })
	switch {
	case m.run != nil:
		return []action{backward(m)}
	case s.checks == nil:
		return []action{on("r", "check again", s.enter), back}
	}
	if severe(m.outcome.Plan) {
		back, agree = on("esc", "back to the plan", (*model).back), on("enter", does, s.agree)
	}
	return []action{agree, back, on("up/down", "scroll", nil)}
}

// agree takes the organization's name, typed after what is removed was shown, as consent to remove
// it, and to what else the plan requires a consent for.
func (s *confirmScreen) agree(m *model) tea.Cmd {
	if strings.TrimSpace(s.input.String()) != m.answers.Organization {
		m.note = m.words("That is not the organization's name.")
		return nil
	}
	return s.goOn(m)
}

// consents are what agreeing to a plan on this screen consents to. For what needs a consent, the
// screen asks for the organization's name.
func (s *confirmScreen) consents(p *change.Plan) []string {
	var accepted []string
	if severe(p) {
		accepted, _ = apply.Needed(*p, deployment.Kinds())
		accepted = append(accepted, apply.AcceptRemovals)
	}
	if len(s.objections()) > 0 {
		accepted = append(accepted, apply.AcceptFailedChecks)
	}
	return accepted
}

func (s *confirmScreen) goOn(m *model) tea.Cmd {
	m.options.Apply.Accept = s.consents(m.outcome.Plan)
	return m.next()
}

func (s *confirmScreen) other(m *model, k tea.KeyMsg) tea.Cmd {
	switch {
	case !s.typing(m):
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
	head := []string{m.styles.title.Render(m.words("Apply this plan?")) + "  " + m.planned(p.Summary), ""}
	head = append(head, m.problemLines(s.staged, width)...)
	switch {
	case m.run != nil:
		head = append(head, m.words("Checking again what the changes depend on."))
	case s.checks == nil:
		head = append(head, m.words("What the changes depend on could not be checked. r checks again, n goes back."))
	case severe(p):
		head = append(head, m.text(width, m.words("Something is removed. Type the organization's name, %s, to go on:",
			clean(m.answers.Organization)))...)
		head = append(head, "> "+s.input.render(m.styles, width-2, false))
	default:
		head = append(head, m.words("y applies it, n goes back. Nothing of it has been changed so far."))
	}
	head = append(head, "")
	var lines []string
	if objections := s.objections(); len(objections) > 0 {
		lines = append(lines, m.text(width, m.objected(len(objections)))...)
		for _, r := range objections {
			lines = append(lines, m.blocks(width, r.Block())...)
		}
		lines = append(lines, "")
	}
	lines = append(lines, m.weighed(p, width)...)
	return append(head, m.window(&s.scroll, lines, height-len(head))...)
}

// weighed says what a plan removes, how many changes it makes where, and what is risky about them.
func (m *model) weighed(p *change.Plan, width int) []string {
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
		lines = append(lines, "  "+m.words("%s at %s", m.count(counts[target], "%d change", "%d changes"),
			clean(target)))
	}
	lines = append(lines, "")
	seen := map[string]bool{}
	for _, c := range p.Changes {
		if c.Risk != "" && !seen[c.Risk] {
			seen[c.Risk] = true
			for _, line := range m.labelled(width-2, m.words("risk"), report.Plain, c.Kind+": "+m.term(c.Risk)) {
				lines = append(lines, "  "+line)
			}
		}
	}
	return lines
}
