package wizard

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// The terminal goes away on every screen, and with everything that lies over one: what was typed is
// in the file, nothing is applied, and the farewell says how to go on. That signals end the program
// so is the matter of TestWizardHangup in test/e2e.
func TestHangupOnEveryScreen(t *testing.T) {
	overs := map[string]func(m *model) pane{
		"":       nil,
		"help":   func(*model) pane { return &helpPane{} },
		"secret": func(*model) pane { return &secretPane{asked: asked{"password", make(chan reply, 1)}} },
		"sign-in": func(*model) pane {
			return &signInPane{signsIn: signsIn{SignIn: deployment.SignIn{DeviceCode: entra.DeviceCode{}}}}
		},
		"acknowledge": func(m *model) pane { return newAcknowledgePane(m, newFake().checks[1]) },
		"conflict":    func(*model) pane { return &conflictPane{} },
	}
	for i := range screens() {
		for name, over := range overs {
			for _, runs := range []bool{false, true} {
				engine := newFake()
				plan, tested, checked := engine.plan, engine.tested(), engine.checked()
				b := sit(t, 80, 24, valid, engine)
				b.until("These are the answers")
				m := b.m
				m.way = screens()
				m.screen = m.way[i]
				m.outcome = stage.Outcome{Plan: &plan, Test: &tested, Check: &checked}
				if f, ok := m.screen.(*formScreen); ok {
					f.enter(m)
				}
				m.document.Set("organization", "Hung up")
				m.edits++
				if over != nil {
					m.over = []pane{over(m)}
				}
				_ = m.View()
				cancelled := false
				m.parting = 20 * time.Millisecond
				if runs {
					m.runs++
					m.run = &running{number: m.runs, screen: m.screen, cancel: func() { cancelled = true }}
					m.queue.put(finished{run: m.runs})
				}
				var out bytes.Buffer
				m.options.Out = &out
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				err := m.part(ctx, nil)
				data, _ := os.ReadFile("answers.yaml")
				if !errors.Is(err, context.Canceled) || !strings.Contains(string(data), "organization: Hung up") ||
					!strings.Contains(out.String(), "hybridge ") || cancelled != runs {
					t.Errorf("%T, %q over it, runs %t: %v, cancelled %t, said %q\n%s", m.screen, name, runs, err, cancelled,
						out.String(), data)
				}
				if engine.undone != "" || engine.accepted != nil {
					t.Errorf("%T: applied %v, undone %q", m.screen, engine.accepted, engine.undone)
				}
			}
		}
	}
}
