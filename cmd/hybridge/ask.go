package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// interactive reports whether a person can be asked.
func (t *task) interactive() bool {
	return t.InTTY && t.ErrTTY && !t.nonInteractive && t.answersFile != answers.Stdin && t.Env("CI") == ""
}

// prompt asks for a secret, unseen.
func (t *task) prompt(ctx context.Context, label string) (secret.Value, error) {
	f, ok := t.In.(*os.File)
	if !ok {
		return secret.Value{}, secret.ErrNobodyToAsk
	}
	t.settle()
	fmt.Fprintf(t.Err, "%s: ", report.Sanitize(label))
	state, stateErr := term.GetState(int(f.Fd()))
	type answer struct {
		text []byte
		err  error
	}
	typed := make(chan answer, 1)
	go func() {
		text, err := term.ReadPassword(int(f.Fd()))
		typed <- answer{text, err}
	}()
	defer fmt.Fprintln(t.Err)
	select {
	case a := <-typed:
		return secret.NewValue(string(a.text)), a.err
	case <-ctx.Done():
		if stateErr == nil {
			_ = term.Restore(int(f.Fd()), state) // the echo was off
		}
		return secret.Value{}, context.Cause(ctx)
	}
}

// confirm asks a yes-or-no question.
func (t *task) confirm(ctx context.Context, question string) (bool, error) {
	t.settle()
	fmt.Fprint(t.Err, report.Told(question+" [y/N]", t.ErrWidth), " ")
	type answer struct {
		text string
		err  error
	}
	typed := make(chan answer, 1)
	go func() {
		// Read a byte at a time: what follows the line belongs to the next reader.
		var line []byte
		b := make([]byte, 1)
		for {
			n, err := t.In.Read(b)
			if n > 0 && b[0] != '\n' {
				line = append(line, b[0])
			}
			if err != nil || n > 0 && b[0] == '\n' || len(line) > 100 {
				typed <- answer{string(line), err}
				return
			}
		}
	}()
	select {
	case a := <-typed:
		if a.err != nil && !errors.Is(a.err, io.EOF) {
			return false, a.err
		}
		text := strings.ToLower(strings.TrimSpace(a.text))
		return text == "y" || text == "yes", nil
	case <-ctx.Done():
		fmt.Fprintln(t.Err)
		return false, context.Cause(ctx)
	}
}
