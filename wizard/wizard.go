// Package wizard walks a person through a hybrid deployment on a terminal: answers, prerequisites, plan, apply, free/busy. It is one more
// view of the flow that the verbs are views of, and the only importer of the Charm libraries.
//
// One tea.Model (model.go) owns the routing of keys and messages; the screens (a file each) are plain values that render into a
// width and a height and hold no terminal. What takes time runs in commands and reports through a queue.
package wizard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// Person is whoever sits at the terminal, for what the engine has to ask or say on the way. Both may be called from any goroutine.
type Person struct {
	// Prompt asks for a secret; it waits for the person, or for ctx.
	Prompt func(ctx context.Context, label string) (secret.Value, error)
	// Say shows a message that needs an act of the person, such as a device code.
	Say func(text string)
}

// Options for Run.
type Options struct {
	In  io.Reader // the terminal; os.Stdin when nil
	Out io.Writer // the terminal; os.Stdout when nil
	// Path of the answers file: loaded when it exists, saved to in any case. "answers.yaml" when empty.
	Path string
	// Open opens a deployment; nothing may be connected to yet.
	Open  func(ctx context.Context, a answers.Answers, p Person) (stage.Engine, error)
	Apply apply.Options
	Test  deployment.TestOptions
	// Hint says what a person can do about an error; "" when there is nothing to say. Nobody is told anything when it is nil.
	Hint func(error) string
	// Passing tells that the answers do not outlive the wizard: there is nothing to say on how to go on.
	Passing bool
	// NoColor draws without color; the environment variable NO_COLOR does so too.
	NoColor bool
	// ASCII draws without line-drawing characters, for a terminal or locale that is not UTF-8.
	ASCII bool

	now func() time.Time // of the clock that counts seconds; tests hold it still
}

// ErrLeft says that the person left before the last stage was done.
var ErrLeft = errors.New("the wizard was left before it was done")

// Run shows the wizard until the person leaves or ctx ends. However that comes, the answers are saved, and Out tells how to go on. The error
// is nil when the last stage was reached and left in peace, ErrLeft when not, context.Canceled after Ctrl-C, or what went wrong with the
// terminal.
func Run(ctx context.Context, o Options) error {
	if o.In == nil {
		o.In = os.Stdin
	}
	if o.Out == nil {
		o.Out = os.Stdout
	}
	m := newModel(ctx, o)
	program := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(o.In), tea.WithOutput(o.Out), tea.WithAltScreen(), tea.WithoutSignalHandler())
	_, err := program.Run()
	m.close()
	// What was answered is worth more than how the program ended.
	saved := m.save()
	if !o.Passing {
		for _, line := range m.farewell(saved) {
			_, _ = fmt.Fprintln(o.Out, line)
		}
	}
	switch {
	case saved != nil:
		return saved
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("draw the wizard: %w", err)
	case m.interrupted:
		return context.Canceled
	case !m.finished():
		return ErrLeft
	}
	return nil
}
