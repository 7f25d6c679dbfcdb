package wizard

import (
	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// past is what earlier runs of the deployment left.
type past struct {
	runs []apply.Entry // newest first
	err  error         // why not all of them could be read
}

// recall is the command that reads the journals.
func (m *model) recall() tea.Cmd {
	read, a := m.options.History, m.answers
	if read == nil {
		return nil
	}
	return func() tea.Msg {
		runs, err := read(a)
		return past{runs, err}
	}
}

// unfinished is the newest run, when it did not make all its changes; nil when it did.
func (p past) unfinished() *apply.Entry {
	if len(p.runs) == 0 {
		return nil
	}
	e := p.runs[0]
	if e.Outcome == "complete" || e.Outcome == "unreadable" || e.UndoneBy != "" ||
		e.Summary.Failed+e.Summary.Pending == 0 && e.Outcome != "unfinished" {
		return nil
	}
	return &e
}

// notice says that the newest run did not end, and what to do about it.
func (p past) notice(m *model, width int) []string {
	c := commands{m.file.name()}
	var lines []string
	if p.err != nil {
		lines = append(lines, m.labelled(width, "!", report.Bad, clean(p.err.Error()))...)
	}
	e := p.unfinished()
	if e == nil {
		return lines
	}
	made := e.Summary.Done + e.Summary.Skipped
	text := m.words("The %s of %s is not complete: %d of %d changes are made", m.term(e.Action),
		e.Started.Local().Format("2006-01-02 15:04"), made, made+e.Summary.Failed+e.Summary.Pending)
	if e.Summary.Failed > 0 {
		text += m.words(", %d failed", e.Summary.Failed)
	}
	text += m.words(". The journal has them all.")
	if e.Action == "rollback" {
		text += m.words(" Continue the rollback with: %s", c.line("rollback"))
	} else {
		text += m.words(" Go on here: the next plan has the rest. Or undo what is made with: %s",
			c.line("rollback "+e.RunID))
	}
	return append(lines, m.labelled(width, "!", report.Caution, text)...)
}
