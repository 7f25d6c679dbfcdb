package wizard

import (
	"context"
	"errors"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// said is a message for the person, from the engine.
type said string

// asked is a question for a secret, from the engine, which waits for the reply.
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

// question lies over the screen until the secret is given or refused. What is typed is never drawn.
type question struct {
	asked
	input input
}

func (q *question) key(m *model, k tea.KeyMsg) tea.Cmd {
	switch k.String() {
	case "enter":
		q.answer(m, secret.NewValue(q.input.String()), nil)
	case "esc":
		q.answer(m, secret.Value{}, errNotGiven)
	default:
		q.input.key(k)
	}
	return nil
}

func (q *question) answer(m *model, v secret.Value, err error) {
	q.reply <- reply{v, err}
	m.asks = m.asks[1:]
}

func (q *question) render(m *model, width, _ int) []string {
	lines := wrap("hybridge needs the "+clean(q.label)+".", width, "")
	return append(lines, "", "> "+q.input.render(m.styles, width-2, true), "", "It is used for this run and kept nowhere.")
}
