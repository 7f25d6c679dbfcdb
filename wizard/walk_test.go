package wizard

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/exp/teatest"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// TestWalk is the one test that goes the whole way, in the real program: from no answers to the
// matrix, back to a new plan, and out.
func TestWalk(t *testing.T) {
	engine := newFake()
	m := wizardOn(t, valid, engine)
	program := teatest.NewTestModel(t, m, teatest.WithInitialTermSize(80, 24))
	t.Cleanup(func() { _ = program.Quit() })
	press := func(keys string) {
		for _, k := range keysOf(t, keys) {
			program.Send(k)
		}
	}
	until := func(text string) {
		t.Helper()
		teatest.WaitFor(t, program.Output(), func(out []byte) bool { return bytes.Contains(out, []byte(text)) },
			teatest.WithDuration(20*time.Second))
	}
	for _, p := range onTheWay(t) {
		until(p.until)
		press(p.keys)
	}
	engine.plan.Summary = change.Summary{Create: 7} // a plan that was applied is not offered again
	press("<esc>")
	until("7 to create")
	program.Send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{'q'}})
	program.WaitFinished(t, teatest.WithFinalTimeout(10*time.Second))
	out, err := io.ReadAll(program.FinalOutput(t))
	if err != nil || !m.finished() || m.outcome.Apply == nil {
		t.Errorf("finished %t, %v, %d bytes", m.finished(), errors.Join(err), len(out))
	}
	if text := strings.Join(m.farewell(nil), "\n"); !strings.Contains(text, "hybridge apply -f answers.yaml") {
		t.Errorf("farewell: %s", text)
	}
}
