package wizard

import (
	"fmt"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// acknowledgePane lies over the checks. It asks why a finding is accepted, who answers for it, and
// until when, and writes that into the answers.
type acknowledgePane struct {
	result check.Result
	fields [3]input // reason, owner, expires
	at     int
	fault  string
}

// accepted is for how long an acknowledgement holds, unless the person says otherwise.
const accepted = 30 * 24 * time.Hour

func newAcknowledgePane(m *model, r check.Result) *acknowledgePane {
	return &acknowledgePane{result: r, fields: [3]input{newInput(""), newInput(""),
		newInput(m.options.now().Add(accepted).UTC().Format(time.DateOnly))}}
}

func (a *acknowledgePane) typing(*model) bool { return true }

func (a *acknowledgePane) actions(*model) []action {
	return []action{on("enter", "next field, then acknowledge", a.onward),
		on("up/down", "field", nil), on("esc", "do not", func(m *model) tea.Cmd { m.over = m.over[1:]; return nil })}
}

func (a *acknowledgePane) other(_ *model, k tea.KeyMsg) tea.Cmd {
	switch k.Type {
	case tea.KeyUp, tea.KeyShiftTab:
		a.at = max(0, a.at-1)
	case tea.KeyDown, tea.KeyTab:
		a.at = min(len(a.fields)-1, a.at+1)
	default:
		a.fields[a.at].key(k)
	}
	return nil
}

// onward goes to the next field; from the last, it writes the acknowledgement and checks again.
func (a *acknowledgePane) onward(m *model) tea.Cmd {
	if a.at < len(a.fields)-1 {
		a.at++
		return nil
	}
	if err := acknowledge(m, a.result, a.fields[0].String(), a.fields[1].String(), a.fields[2].String()); err != nil {
		a.fault = clean(firstLine(err.Error()))
		return nil
	}
	m.over = m.over[1:]
	return tea.Batch(m.store(), find[*checkScreen](m).again(m))
}

// acknowledge writes into the answers that a finding is accepted. Answers that are not valid with
// it stay as they were.
func acknowledge(m *model, r check.Result, reason, owner, expires string) error {
	before := m.document.Clone()
	n := m.document.Len("checks")
	for _, part := range [][2]string{{"id", string(r.ID)}, {"scope", r.Scope}, {"reason", reason}, {"owner", owner},
		{"expires", expires}} {
		if part[1] != "" {
			m.document.Set(fmt.Sprintf("checks[%d].%s", n, part[0]), part[1])
		}
	}
	if err := m.valid(); err != nil {
		m.document = before
		return err
	}
	m.edits++
	return nil
}

// acknowledged are the questions of an acknowledgement.
var acknowledged = [...]string{"Why it is accepted for now", "Who answers for it", "The last day, as 2027-01-31"}

func (a *acknowledgePane) render(m *model, width, _ int) []string {
	lines := m.blocks(width, a.result.Block())
	lines = append(lines[:min(len(lines), 5)], "", m.styles.title.Render(m.words("Acknowledge this finding")))
	lines = append(lines, m.text(width,
		m.words("It goes into the answers. The finding counts again after the last day."))...)
	if a.fault != "" {
		lines = append(lines, m.labelled(width, "!", report.Bad, a.fault)...)
	}
	lines = append(lines, "")
	for i, label := range acknowledged {
		label = m.term(label)
		if i == a.at {
			lines = append(lines, m.styles.focus.Render("> "+label),
				"    "+a.fields[i].render(m.styles, width-4, false))
		} else {
			lines = append(lines, "  "+label, "    "+clean(a.fields[i].String()))
		}
	}
	return lines
}
