package wizard

import (
	"context"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// screens are the screens, in order. The list is the only place that knows them all: the
// breadcrumb, next and back follow from it.
func screens() []screen {
	return []screen{
		&scenarioScreen{},
		&discoverScreen{},
		&formScreen{},
		&reviewScreen{},
		&checkScreen{},
		&planScreen{},
		&confirmScreen{},
		&applyScreen{},
		&testScreen{},
		&historyScreen{},
	}
}

// A screen shows one part of the way and owns its stage: what the engine runs for it, what it makes
// of the events, and what it makes of the result. A screen embeds page and implements what differs.
type screen interface {
	pane
	about() about
	// enter is called each time the screen is brought to the front.
	enter(m *model) tea.Cmd
	// run returns what the engine runs for the screen; model.begin starts it.
	run(m *model) work
	// observe takes an event of the run.
	observe(e observe.Event)
	// end takes the result of the run. The result is nil when no engine could be opened.
	end(m *model, result any, err error)
	// farewell is printed after the program has ended: the paths and the next commands. Only the
	// last screen with a text is printed.
	farewell(m *model, commands commands) []string
}

// A pane draws a part of the window and takes its keys.
type pane interface {
	render(m *model, width, height int) []string
	// actions are the keys that hold now, the most important first.
	actions(m *model) []action
	// other takes a key that no action has: typed text, scrolling.
	other(m *model, k tea.KeyMsg) tea.Cmd
	// typing reports whether letters are text and not keys.
	typing(m *model) bool
}

// about describes a screen.
type about struct {
	// step is its entry in the breadcrumb. Neighbours with the same step share one entry.
	step string
	// does says what the step does and what it touches, help how to read the screen.
	does, help string
	// once marks a screen that back skips.
	once bool
	// draft marks a screen that runs with answers that are not complete.
	draft bool
}

// work runs beside the screen, so it reads no screen and no model.
type work func(ctx context.Context, e stage.Engine, o observe.Observer) (any, error)

// result is the result of a run as the type that the screen's work returns; nil when there is none.
func result[T any](v any) *T {
	if r, ok := v.(T); ok {
		return &r
	}
	return nil
}

// page is a screen that runs nothing and takes no keys.
type page struct{}

func (page) run(*model) work                    { return nil }
func (page) observe(observe.Event)              {}
func (page) end(*model, any, error)             {}
func (page) farewell(*model, commands) []string { return nil }
func (page) actions(*model) []action            { return nil }
func (page) other(*model, tea.KeyMsg) tea.Cmd   { return nil }
func (page) typing(*model) bool                 { return false }
func (page) render(*model, int, int) []string   { return nil }

// staged is a page with a stage of the engine: it keeps what goes wrong with the stage as a whole.
type staged struct {
	page
	warnings []string
	err      error
}

func (s *staged) observe(e observe.Event) {
	if w, ok := e.(observe.Warning); ok {
		s.warnings = append(s.warnings, clean(w.Text))
	}
}

// An action is a key with what it does. The key line, the help and the dispatch use the same list.
type action struct {
	key.Binding
	// do is nil when the action only describes a key that the pane's method other handles.
	do func(m *model) tea.Cmd
}

// on makes an action; label is how the key is called on the screen.
func on(label, does string, do func(m *model) tea.Cmd, keys ...string) action {
	if len(keys) == 0 {
		keys = []string{label}
	}
	return action{key.NewBinding(key.WithKeys(keys...), key.WithHelp(label, does)), do}
}

// forward and backward are the actions of most screens.
func forward(does string) action { return on("enter", does, (*model).next) }

func backward(m *model) action {
	if m.run != nil {
		return on("esc", "stop and go back", (*model).back)
	}
	return on("esc", "back", (*model).back)
}

// find returns the screen of a type.
func find[S screen](m *model) S {
	for _, s := range m.way {
		if found, ok := s.(S); ok {
			return found
		}
	}
	var none S
	return none
}

// show brings the screen of a type to the front.
func show[S screen](m *model) tea.Cmd { return m.front(find[S](m)) }

// front brings a screen to the front.
func (m *model) front(s screen) tea.Cmd {
	m.screen = s
	return s.enter(m)
}

// next goes to the following screen.
func (m *model) next() tea.Cmd {
	if i := m.position(m.screen) + 1; m.run == nil && i < len(m.way) {
		return m.front(m.way[i])
	}
	return nil
}

// onward is next from a screen that a person may leave while it runs something. That is stopped
// first.
func (m *model) onward() tea.Cmd {
	if i := m.position(m.screen) + 1; i < len(m.way) {
		return m.leaveFor(m.way[i])
	}
	return nil
}

// leaveFor brings a screen to the front as soon as nothing runs.
func (m *model) leaveFor(s screen) tea.Cmd {
	if m.run == nil {
		return m.front(s)
	}
	m.run.cancel()
	m.over, m.returning = nil, s
	return nil
}

// back goes to the nearest earlier screen that is not marked once. What runs is stopped first.
func (m *model) back() tea.Cmd {
	for i := m.position(m.screen) - 1; i >= 0; i-- {
		if m.way[i].about().once {
			continue
		}
		return m.leaveFor(m.way[i])
	}
	return nil
}

func (m *model) position(s screen) int {
	for i := range m.way {
		if m.way[i] == s {
			return i
		}
	}
	return -1
}
