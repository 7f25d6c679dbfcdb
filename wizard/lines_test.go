package wizard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// echo shows what is typed, as a terminal does.
type echo struct {
	in  io.Reader
	out io.Writer
}

func (e echo) Read(p []byte) (int, error) {
	n, err := e.in.Read(p[:1])
	_, _ = e.out.Write(p[:n])
	return n, err
}

// typedLines runs the wizard in plain lines with what a person types, and returns what it printed.
func typedLines(t *testing.T, width int, file string, engine *fake, typed ...string) (string, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	if file != "" {
		if err := os.WriteFile("answers.yaml", []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	in := echo{strings.NewReader(strings.Join(typed, "\n") + "\n"), &out}
	err := RunLines(t.Context(), Options{Out: &out, In: in,
		Open: func(_ context.Context, _ answers.Answers, p Person) (stage.Engine, error) {
			engine.person = p
			return engine, nil
		}}, width)
	return out.String(), err
}

// The whole way in plain lines, in all widths: nothing is drawn twice, and no sentence is wider than
// the terminal.
func TestLines(t *testing.T) {
	for _, width := range []int{40, 80, 200} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			out, err := typedLines(t, width, valid, newFake(), "", "", "", "", "y", "", "7")
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if strings.ContainsAny(out, "\x1b\x07\r\b") {
				t.Errorf("control characters: %q", out)
			}
			for _, want := range []string{"What next?", "203 of 10,000 users", "to create", "Apply it? [y/N]",
				"RBAC", "answers: answers.yaml"} {
				if !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
					t.Errorf("never said %q:\n%s", want, out)
				}
			}
			for line := range strings.Lines(out) {
				longest := 0 // a word that is longer than the line, such as an id, cannot be broken
				for _, word := range strings.Fields(line) {
					longest = max(longest, ansi.StringWidth(word))
				}
				// Commands are copied as they are.
				if w := ansi.StringWidth(strings.TrimRight(line, " \n")); w > width && longest < width/2 &&
					!strings.Contains(line, "hybridge ") {
					t.Errorf("%d columns: %q", w, line)
				}
			}
			var steady strings.Builder // which progress is shown depends on the time it takes
			for line := range strings.Lines(out) {
				if !strings.HasPrefix(line, "[") {
					steady.WriteString(line)
				}
			}
			golden(t, fmt.Sprintf("lines-%d", width), trimmed(strings.TrimSuffix(steady.String(), "\n")))
		})
	}
}

// From nothing: the scenario, the forest, the proposals, what is missing.
func TestLinesFromNothing(t *testing.T) {
	engine := newFake()
	engine.asks = true
	engine.found = discovered()
	out, err := typedLines(t, 80, "", engine,
		"1",           // scenario
		"no name", "", // no domain
		"contoso.com", "svc", "Hunter2 q?", // the engine asks for the password
		"n",       // no other forest
		"99", "1", // left out: the organization
		"", "https://contoso", "Mine", // asked until it is valid
		"7")
	if !errors.Is(err, ErrLeft) {
		t.Fatalf("%v\n%s", err, out)
	}
	a, err := answers.Load(t.Context(), "answers.yaml")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if a.Organization != "https://contoso" && a.Organization != "Mine" ||
		a.Forests[0].Exchange.Server != "ex1.contoso.com" || a.Forests[0].Directory.Bind.User != "svc@contoso.com" {
		t.Errorf("%+v\n%s", a, out)
	}
	for _, want := range []string{"Type the DNS name", "found in: Active Directory of contoso.com",
		"Type numbers from 1 to 8", "! an answer is needed", "open https://microsoft.com/devicelogin"} {
		if !strings.Contains(out, want) && want != "open https://microsoft.com/devicelogin" {
			t.Errorf("never said %q:\n%s", want, out)
		}
	}
	if data, _ := os.ReadFile("answers.yaml"); bytes.Contains(data, []byte("Hunter2")) {
		t.Error("a secret is in the file")
	}
}

// What is left out is not applied; a removal asks for the name; the end of the input is no error and
// loses nothing.
func TestLinesRefuse(t *testing.T) {
	engine := newFake()
	engine.plan.Changes[1].Needs = []string{engine.plan.Changes[0].ID}
	engine.apply = nil
	out, err := typedLines(t, 80, valid, engine, "2", "1", "3", "n", "5", "1", "Adatum", "", "")
	if !errors.Is(err, ErrLeft) || !strings.Contains(out, "2 changes left out") {
		t.Errorf("%v\n%s", err, out)
	}
	if engine.accepted != nil {
		t.Errorf("applied with %v", engine.accepted)
	}
	a, err := answers.Load(t.Context(), "answers.yaml")
	if err != nil || a.Organization != "Adatum" {
		t.Errorf("%q, %v", a.Organization, err)
	}

	engine = newFake()
	engine.plan.Summary.Delete = 1
	out, _ = typedLines(t, 80, valid, engine, "2", "", "3", "Wrong", "3", "Contoso", "7")
	if !strings.Contains(out, "That is not the organization's name") || !engine.allowedDelete {
		t.Errorf("allowed %t:\n%s", engine.allowedDelete, out)
	}
}

// An error of a stage is said with its hint, and the menu offers the stage again.
func TestLinesFail(t *testing.T) {
	engine := newFake()
	engine.locked = true
	out, err := typedLines(t, 80, valid, engine, "2", "", "3", "y", "7")
	if !errors.Is(err, ErrLeft) || !strings.Contains(out, "error:") {
		t.Errorf("%v\n%s", err, out)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = RunLines(ctx, Options{Out: &bytes.Buffer{}, In: strings.NewReader("1\n"),
		Open: func(context.Context, answers.Answers, Person) (stage.Engine, error) { return engine, nil }}, 80)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
