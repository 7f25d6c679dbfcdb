// Package wizard walks a person through a hybrid deployment on a terminal: answers, prerequisites,
// plan, apply, free/busy. It is one more view of the flow that the verbs are views of, and the only
// importer of the Charm libraries.
//
// One tea.Model (model.go) routes keys and messages. Each screen is a file and an entry of the list
// in screen.go: it owns what the engine runs for it, and renders into a width and a height. Lists,
// scrolling and input are shared components. What takes time runs in commands and reports through a
// queue.
package wizard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"golang.org/x/text/message"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// Person is how the engine asks and informs the person at the terminal. Both functions may be
// called from any goroutine.
type Person struct {
	// Prompt asks for a secret; it waits for the person, or for ctx.
	Prompt func(ctx context.Context, label string) (secret.Value, error)
	// Say shows a message that needs an act of the person, such as a device code.
	Say func(text string)
	// SignIn shows a device code until what it returns is called.
	SignIn func(deployment.SignIn) (over func())
}

// Options for Run.
type Options struct {
	In  io.Reader // the terminal; os.Stdin when nil
	Out io.Writer // the terminal; os.Stdout when nil
	// Path of the answers file, which is loaded when it exists and written in any case.
	// "answers.yaml" when empty.
	Path string
	// Open opens a deployment without connecting to anything.
	Open  func(ctx context.Context, a answers.Answers, p Person) (stage.Engine, error)
	Apply apply.Options
	Test  deployment.TestOptions
	// Domain is the Active Directory domain of this computer; "" when it has none. May be nil.
	Domain func() string
	// History lists the earlier runs of the deployment, newest first. May be nil.
	History func(a answers.Answers) ([]apply.Entry, error)
	// Certificates says when the certificates in files end. It asks nothing. May be nil.
	Certificates func(ctx context.Context, a answers.Answers) []deployment.End
	// Scripts writes a plan as PowerShell into a folder that does not exist yet. May be nil.
	Scripts func(ctx context.Context, e stage.Engine, p change.Plan, dir string) error
	// Browse opens a page in the browser of this computer. May be nil.
	Browse func(page string) error
	// Hint says what a person can do about an error; "" when there is nothing to say. May be nil.
	Hint func(error) string
	// Passing says that the answers do not outlive the wizard: no farewell is printed.
	Passing bool
	// NoColor draws without color; the environment variable NO_COLOR does so too.
	NoColor bool
	// Language renders texts in another language than English.
	Language *message.Printer
	// ASCII draws without line-drawing characters, for a terminal or locale that is not UTF-8.
	ASCII bool

	now func() time.Time // tests stop this clock
}

// ErrLeft says that the person left before the last stage was done.
var ErrLeft = errors.New("the wizard was left before it was done")

// Run shows the wizard until the person leaves or ctx ends. In every case the answers are saved,
// and how to go on is printed to Out. The error is nil when the last stage was done, ErrLeft when
// not, context.Canceled after Ctrl-C, or what went wrong with the terminal.
func Run(ctx context.Context, o Options) error {
	if o.In == nil {
		o.In = os.Stdin
	}
	if o.Out == nil {
		o.Out = os.Stdout
	}
	m := newModel(ctx, o)
	how := []tea.ProgramOption{tea.WithContext(ctx), tea.WithInput(o.In), tea.WithOutput(o.Out), tea.WithAltScreen(),
		tea.WithoutSignalHandler()}
	if hasMouse(os.Getenv("TERM")) || runtime.GOOS == "windows" {
		how = append(how, tea.WithMouseCellMotion())
	}
	program := tea.NewProgram(m, how...)
	_, err := program.Run()
	return m.part(ctx, err)
}

// part ends the wizard after the program has ended: by a key, by a signal, or by a terminal that
// went away.
func (m *model) part(ctx context.Context, err error) error {
	o := m.options
	// What was answered is worth more than how the program ended. Sessions end last: a server may
	// not answer.
	defer m.close()
	if f := find[*formScreen](m); f != nil {
		f.commit(m)
	}
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
