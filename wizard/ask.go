package wizard

import (
	"context"
	"errors"
	"sync"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// said is a message of the engine for the person.
type said string

// asked is a question of the engine for a secret. The engine waits for the reply.
type asked struct {
	label string
	reply chan<- reply
}

type reply struct {
	value secret.Value
	err   error
}

var errNotGiven = errors.New("it was not given")

// prompt asks for a secret and waits for it.
func (q *queue) prompt(ctx context.Context, label string) (secret.Value, error) {
	answer := make(chan reply, 1)
	q.put(asked{label, answer})
	select {
	case r := <-answer:
		return r.value, r.err
	case <-ctx.Done():
		return secret.Value{}, ctx.Err()
	}
}

// remembered are the secrets that were typed. The next engine, which is opened when answers change,
// gets them without a question. One that asks twice had the first refused.
type remembered struct{ secrets sync.Map }

// prompt is Person.Prompt for one engine.
func (r *remembered) prompt(q *queue) func(context.Context, string) (secret.Value, error) {
	var asked sync.Map
	return func(ctx context.Context, label string) (secret.Value, error) {
		_, again := asked.LoadOrStore(label, true)
		if v, ok := r.secrets.Load(label); ok && !again {
			return v.(secret.Value), nil
		}
		v, err := q.prompt(ctx, label)
		if err == nil {
			r.secrets.Store(label, v)
		}
		return v, err
	}
}

// secretPane lies over the screen until the secret is given or refused. It never draws what is
// typed.
type secretPane struct {
	asked
	input input
}

func (q *secretPane) typing(*model) bool { return true }

func (q *secretPane) actions(m *model) []action {
	list := []action{
		on("enter", "give it", func(m *model) tea.Cmd { return q.answer(m, secret.NewValue(q.input.String()), nil) }),
	}
	if keys, _ := m.prompted(q.label); len(keys) > 0 {
		list = append(list, on("ctrl+k", "give it, and store it in the keyring", q.keep))
	}
	return append(list,
		on("esc", "do not", func(m *model) tea.Cmd { return q.answer(m, secret.Value{}, errNotGiven) }))
}

func (q *secretPane) answer(m *model, v secret.Value, err error) tea.Cmd {
	q.reply <- reply{v, err}
	m.over = m.over[1:]
	return nil
}

func (q *secretPane) other(_ *model, k tea.KeyMsg) tea.Cmd {
	q.input.key(k)
	return nil
}

func (q *secretPane) render(m *model, width, _ int) []string {
	lines := m.text(width, m.words("hybridge needs the %s.", clean(q.label)))
	lines = append(lines, "", "> "+q.input.render(m.styles, width-2, true), "")
	if keys, _ := m.prompted(q.label); len(keys) > 0 {
		return append(lines, m.text(width, m.words("It is used until you leave, and is not stored. "+
			"ctrl+k stores it in the keyring of this computer, and writes the reference to it into the answers."))...)
	}
	return append(lines, m.words("It is used for this run and is not stored."))
}

// helpPane explains the screen and all its keys.
type helpPane struct {
	page
	scroll scroll
}

func (h *helpPane) actions(*model) []action {
	return []action{on("any key", "back", nil), on("up/down", "scroll", nil)}
}

func (h *helpPane) other(m *model, k tea.KeyMsg) tea.Cmd {
	if !h.scroll.overflows() || !h.scroll.key(k) {
		m.over = m.over[1:]
	}
	return nil
}

func (h *helpPane) render(m *model, width, height int) []string {
	s := m.screen.about()
	lines := append([]string{m.styles.title.Render(m.term(s.step)), ""}, m.text(width, m.term(s.does))...)
	lines = append(lines, "")
	lines = append(lines, m.text(width, m.term(s.help))...)
	lines = append(lines, "")
	for _, a := range append(m.screen.actions(m), always(m)...) {
		lines = append(lines, m.describe(a, width)...)
	}
	lines = append(lines, m.describe(on("mouse",
		"the wheel scrolls, a click selects; with Shift, the terminal selects text", nil), width)...)
	lines = append(lines, m.describe(on("Ctrl-C", "end the current call and leave; twice: leave immediately", nil),
		width)...)
	return m.window(&h.scroll, lines, height)
}
