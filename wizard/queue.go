package wizard

import (
	"context"
	"sync"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
)

// queue brings messages from working goroutines to the program. Putting never blocks: the engine
// does not wait for a slow terminal, or for one that is gone.
type queue struct {
	mu       sync.Mutex
	messages []tea.Msg
	signIns  int // so far
	wake     chan struct{}
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

func (q *queue) put(m tea.Msg) {
	q.mu.Lock()
	q.messages = append(q.messages, m)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// batch is what was put since the last one, in order.
type batch []tea.Msg

// next is the command that waits for messages. The model asks for it again after every batch.
func (q *queue) next(ctx context.Context) tea.Cmd {
	return func() tea.Msg {
		select {
		case <-q.wake:
		case <-ctx.Done():
			return nil
		}
		return q.take()
	}
}

// take returns what was put since it was called last.
func (q *queue) take() batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	messages := q.messages
	q.messages = nil
	return messages
}

// happened is an event of one run of the engine.
type happened struct {
	run   int
	event observe.Event
}
