package wizard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// typist is what a person sees and types. A line is typed when the wizard asks for one, and shown
// as it is typed.
type typist struct {
	mu    sync.Mutex
	out   bytes.Buffer
	lines []string // still to be typed
	rest  string   // of the line that is typed
	asked chan struct{}
	done  <-chan struct{}

	// urges are what is typed as soon as a text is shown, without a question.
	urges [][2]string
	sees  func(out string) // called before each line is typed
}

const endOfInput = "\x04" // as what is typed: Ctrl-D

func newTypist(done <-chan struct{}, typed ...string) *typist {
	return &typist{lines: typed, asked: make(chan struct{}, 1), done: done}
}

func (t *typist) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out.Write(p)
	select {
	case t.asked <- struct{}{}:
	default:
	}
	return len(p), nil
}

// next is the next line, if it is time to type it; false while the person waits.
func (t *typist) next() (line string, ended, now bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rest != "" {
		return t.rest, false, true
	}
	if len(t.urges) > 0 && strings.Contains(t.out.String(), t.urges[0][0]) {
		line = t.urges[0][1] + "\n"
		t.urges = t.urges[1:]
		return line, line == endOfInput+"\n", true
	}
	if b := t.out.Bytes(); len(b) == 0 || b[len(b)-1] == '\n' {
		return "", false, false // nothing is asked
	}
	if len(t.lines) == 0 {
		return "", true, true
	}
	line = t.lines[0] + "\n"
	t.lines = t.lines[1:]
	t.out.WriteString(line)
	if t.sees != nil {
		t.sees(t.out.String())
	}
	return line, false, true
}

func (t *typist) Read(p []byte) (int, error) {
	for {
		line, ended, now := t.next()
		switch {
		case ended:
			return 0, io.EOF
		case now:
			n := copy(p, line)
			t.mu.Lock()
			t.rest = line[n:]
			t.mu.Unlock()
			return n, nil
		}
		select {
		case <-t.asked:
		case <-t.done:
			return 0, io.EOF
		}
	}
}

func (t *typist) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.out.String()
}

// typedLines runs the wizard in plain lines with what a person types, and returns what it printed.
func typedLines(t *testing.T, width int, file string, engine *fake, typed ...string) (string, error) {
	t.Helper()
	return linesOn(t, newTypist(t.Context().Done(), typed...), width, file, engine, Options{})
}

func linesOn(t *testing.T, on *typist, width int, file string, engine *fake, o Options) (string, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	if file != "" {
		if err := os.WriteFile("answers.yaml", []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o.Out, o.In = on, on
	if o.Open == nil {
		o.Open = func(_ context.Context, _ answers.Answers, p Person) (stage.Engine, error) {
			engine.person = p
			return engine, nil
		}
	}
	err := RunLines(t.Context(), o, width)
	return on.String(), err
}

// leaves is the last entry of the menu.
const leaves = "11"

// The whole way in plain lines, in all widths: nothing is drawn twice, and no sentence is wider
// than the terminal.
func TestLines(t *testing.T) {
	for _, width := range []int{40, 80, 200} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			out, err := typedLines(t, width, valid, newFake(), "", "", "", "", "y", "4", leaves)
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
		leaves)
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

// What is left out is not applied; a removal asks for the name; the end of the input is no error
// and loses nothing.
func TestLinesRefuse(t *testing.T) {
	engine := newFake()
	engine.plan.Changes[1].Needs = []string{engine.plan.Changes[0].ID}
	engine.apply = nil
	out, err := typedLines(t, 80, valid, engine, "2", "1", "3", "n", "7", "1", "Adatum", "", "")
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
	out, _ = typedLines(t, 80, valid, engine, "2", "", "3", "Wrong", "3", "Contoso", leaves)
	if !strings.Contains(out, "That is not the organization's name") || !engine.allowedDelete {
		t.Errorf("allowed %t:\n%s", engine.allowedDelete, out)
	}
}

// An error of a stage is said with its hint, and the menu offers the stage again.
func TestLinesFail(t *testing.T) {
	engine := newFake()
	engine.locked = true
	out, err := typedLines(t, 80, valid, engine, "2", "", "3", "y", leaves)
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

// wideFake finds many things: the worst of them come last.
func wideFake() *fake {
	engine := newFake()
	for i := range 40 {
		status := check.StatusPass
		if i%4 == 0 {
			status = check.StatusWarn
		}
		engine.checks = append(engine.checks, check.Result{ID: check.ID(fmt.Sprintf("many.number-%d", i)),
			Title: "One of many", Scope: "contoso", Status: status, Summary: msg.Plain(fmt.Sprintf("number %d", i))})
	}
	return engine
}

// Of many findings, the worst are read, then how many there are. The others are a choice away.
func TestLinesCutFindings(t *testing.T) {
	out, err := typedLines(t, 80, valid, wideFake(), "1", "5", "1", "7", "5", "2", "y", "n", "3", "number-3", "4", "1",
		"7", leaves)
	if !errors.Is(err, ErrLeft) {
		t.Fatalf("%v\n%s", err, out)
	}
	first, rest, _ := strings.Cut(out, "What next? Enter")
	for _, want := range []string{"1. FAIL  directory.upn-matches-primary", "10. WARN",
		"4 more problems are not read here",
		"31 passed, 11 with a warning"} {
		if !strings.Contains(first, want) {
			t.Errorf("the checks never said %q:\n%s", want, first)
		}
	}
	for _, unwanted := range []string{"11. ", "PASS", "SKIP"} {
		if strings.Contains(first, unwanted) {
			t.Errorf("the checks said %q:\n%s", unwanted, first)
		}
	}
	for _, want := range []string{"14. WARN", "20 of 46 are read. Go on? [Y/n]", "40. PASS", "40 of 46 are read",
		"11 results found.", "hybridge help directory.upn-matches-primary"} {
		if !strings.Contains(rest, want) {
			t.Errorf("the findings never said %q:\n%s", want, rest)
		}
	}
	if strings.Contains(rest, "46. SKIP") {
		t.Errorf("read on after a no:\n%s", rest)
	}
}

// One check is run again by its number. What it finds takes the place of what it found.
func TestLinesCheckOneAgain(t *testing.T) {
	engine := newFake()
	on := newTypist(t.Context().Done(), "1", "5", "5", "1", "7", leaves)
	on.sees = func(out string) {
		if strings.Contains(out, "look at the results") && strings.Contains(out, "check one again") {
			engine.checks[1].Status, engine.checks[1].Summary = check.StatusPass, msg.Plain("all names are alike")
		}
	}
	out, err := linesOn(t, on, 80, valid, engine, Options{})
	if !errors.Is(err, ErrLeft) {
		t.Fatalf("%v\n%s", err, out)
	}
	_, again, _ := strings.Cut(out, "Checking directory.upn-matches-primary again.")
	for _, want := range []string{"PASS  directory.upn-matches-primary  fabrikam\n        all names are alike\n",
		"2 passed"} {
		if !strings.Contains(again, want) {
			t.Errorf("never said %q:\n%s", want, again)
		}
	}
}

// A finding is acknowledged in the answers, and the checks run again.
func TestLinesAcknowledge(t *testing.T) {
	engine := newFake()
	out, err := typedLines(t, 80, valid, engine, "1", "5", "6", "1", "Moves in March", "Ada", "2027", // no date
		"6", "1", "Moves in March", "Ada", "2027-01-31", "6", "2", "6", "4", "", "7", leaves)
	if !errors.Is(err, ErrLeft) {
		t.Fatalf("%v\n%s", err, out)
	}
	a, err := answers.Load(t.Context(), "answers.yaml")
	if err != nil || len(a.Checks) != 1 || a.Checks[0].Reason != "Moves in March" || a.Checks[0].Owner != "Ada" {
		t.Errorf("%v, %+v\n%s", err, a.Checks, out)
	}
	if n := strings.Count(out, "Reads every system"); n != 2 ||
		!strings.Contains(out, "Only a failed check or a warning") {
		t.Errorf("checked %d times:\n%s", n, out)
	}
}

// The access of a page is tested when its questions are answered, and from the menu. What fails is
// said with what to do, and the questions are asked again.
func TestLinesTestAccess(t *testing.T) {
	engine := newFake()
	engine.refuses = map[string]error{"directory": errBlocked}
	engine.answers = map[string][]msg.Text{"exchange": {msg.Of("%s answers", "ex1\x1b[2J")}}
	o := Options{Hint: func(error) string { return "check name, port and firewall" }}
	on := newTypist(t.Context().Done(), "7", "4", "dc2.contoso.com", "", "", "", "", "n", // does not work, and stays
		"8", "3", // Exchange
		"8", "2", "y", "", "", "", "", "", // not tested again
		leaves)
	out, err := linesOn(t, on, 80, valid, engine, o)
	if !errors.Is(err, ErrLeft) {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"Test what is entered here? [Y/n]", "Testing: forest 1: Active Directory",
		"server not reachable", "check name, port and firewall", "Change these answers? [Y/n]", "ok: ex1 answers",
		"Test what is entered here? [y/N]"} {
		if !strings.Contains(out, want) {
			t.Errorf("never said %q:\n%s", want, out)
		}
	}
	want := []deployment.Access{{Section: "directory"}, {Section: "exchange"}, {Section: "directory"}}
	if !slices.Equal(engine.tried, want) {
		t.Errorf("tried %v, want %v:\n%s", engine.tried, want, out)
	}
}

// A forest is added, with the questions that it needs, and another one is removed after a question.
func TestLinesForests(t *testing.T) {
	out, err := typedLines(t, 80, valid, newFake(), "7", "16", "adatum", "adatum.example",
		"autodiscover.adatum.example", "mail.adatum.example", "mail.adatum.example", "dc1.adatum.example", "n",
		"ex1.adatum.example", "n", "7", "23", "1", "n", "7", "23", "1", "y", leaves)
	if !errors.Is(err, ErrLeft) {
		t.Fatalf("%v\n%s", err, out)
	}
	a, err := answers.Load(t.Context(), "answers.yaml")
	if err != nil || len(a.Forests) != 2 || a.Forests[0].Name != "fabrikam" || a.Forests[1].Name != "adatum" {
		t.Errorf("%v, %+v\n%s", err, a.Forests, out)
	}
}

// A test that asks the person something, such as a sign-in with a browser, is not what Enter does.
func TestLinesTestAccessAsks(t *testing.T) {
	engine := newFake()
	out, _ := typedLines(t, 80, strings.Replace(valid, "tenant: contoso.onmicrosoft.com, ", "", 1), engine,
		"contoso.onmicrosoft.com", "", leaves)
	if !strings.Contains(out, "Test what is entered here? [y/N]") || len(engine.tried) > 0 {
		t.Errorf("tried %v:\n%s", engine.tried, out)
	}
}

// While changes are made, p pauses and goes on, and s stops. What else is typed then is for the
// next question.
func TestLinesPause(t *testing.T) {
	engine := newFake()
	begins := make(chan struct{})
	engine.begins = begins
	on := newTypist(t.Context().Done(), "2", "", "3", "y", leaves)
	on.urges = [][2]string{{"While it runs", "p"}, {"Paused", "p"}, {"Going on", "P"},
		{"Paused: nothing more begins until p. What was begun goes on to its end.\nGoing on.\nPaused", "s"}}
	go func() {
		for !strings.Contains(on.String(), "Stopping: what was begun is done first") {
			time.Sleep(time.Millisecond)
		}
		close(begins)
	}()
	out, err := linesOn(t, on, 80, valid, engine, Options{})
	if !errors.Is(err, ErrLeft) {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"You stopped it; the next plan has the rest.",
		"0 done, 0 failed, 0 skipped, 2 pending",
		"Enter: plan."} {
		if !strings.Contains(out, want) {
			t.Errorf("never said %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "error:") {
		t.Errorf("stopping is no error:\n%s", out)
	}
}

// Changes that are made are not cut off by the end of the input.
func TestLinesApplyWithoutInput(t *testing.T) {
	engine := newFake()
	out, err := typedLines(t, 80, valid, engine, "2", "", "3", "y")
	if !errors.Is(err, ErrLeft) || !strings.Contains(out, "Run r1: 1 done, 1 failed") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A secret that is asked for while changes are made is never read as a line that is shown.
func TestLinesSecretWhileApplying(t *testing.T) {
	engine := newFake()
	engine.asksInApply = true
	on := newTypist(t.Context().Done(), "2", "", "3", "y", "", "Hunter2 q?", leaves)
	out, err := linesOn(t, on, 80, valid, engine, Options{})
	if !errors.Is(err, ErrLeft) || !strings.Contains(out, "Press Enter first; what you type then is not shown.") ||
		engine.given != "Hunter2 q?" {
		t.Errorf("%v, given %q\n%s", err, engine.given, out)
	}
}

// A plan with many changes is read on request; its numbers are there all the same.
func TestLinesLongPlan(t *testing.T) {
	engine := newFake()
	for i := range 20 {
		c := engine.plan.Changes[0]
		c.ID = fmt.Sprintf("onprem/contoso/IntraOrganizationConnector/%d", i)
		engine.plan.Changes = append(engine.plan.Changes, c)
	}
	for _, c := range engine.plan.Changes[2:] {
		engine.apply = append(engine.apply, apply.Outcome{ID: c.ID, Action: c.Action, Status: apply.Done})
	}
	out, _ := typedLines(t, 80, valid, engine, "2", "n", "", "2", "y", "", "6", "1", "3", "y", leaves)
	before, after, _ := strings.Cut(out, "[y/N] y")
	if strings.Contains(before, "DiscoveryEndpoint") || !strings.Contains(before, "22. create") ||
		!strings.Contains(after, "DiscoveryEndpoint") ||
		!strings.Contains(after, "The plan is saved: hybridge apply plan.json -f answers.yaml") {
		t.Errorf("%s", out)
	}
	if _, err := os.Stat("plan.json"); err != nil {
		t.Error(err)
	}
	// What is risky is read before a person agrees. Of the changes that were made, the failed are
	// read.
	_, confirm, _ := strings.Cut(after, "Apply this plan?")
	if !strings.Contains(confirm, "risk  IntraOrganizationConnector: an enabled") ||
		strings.Contains(confirm, "DONE") || !strings.Contains(confirm, "FAIL  update") ||
		!strings.Contains(confirm, "Run r1: 21 done, 1 failed") {
		t.Errorf("%s", confirm)
	}
}

// A run is undone after a look at what that would do.
func TestLinesUndo(t *testing.T) {
	engine := newFake()
	o := Options{History: func(answers.Answers) ([]apply.Entry, error) {
		return []apply.Entry{{RunID: "r2", Action: "apply", Outcome: "complete", Summary: apply.Summary{Done: 2}},
			{RunID: "r1", Action: "apply", Outcome: "complete", Summary: apply.Summary{Done: 1}}}, nil
	}}
	on := newTypist(t.Context().Done(), "10", "", "10", "2", "n", "10", "2", "y", leaves)
	out, err := linesOn(t, on, 80, valid, engine, o)
	if !errors.Is(err, ErrLeft) || engine.undone != "r1" {
		t.Errorf("%v, undone %q\n%s", err, engine.undone, out)
	}
	if n := strings.Count(out, "Looking at what undoing run r1 would do"); n != 2 {
		t.Errorf("looked %d times:\n%s", n, out)
	}
	out, _ = typedLines(t, 80, valid, newFake(), "10", leaves)
	if !strings.Contains(out, "Nothing was applied yet.") {
		t.Errorf("%s", out)
	}
}

// What another program wrote into the answers is decided, and the stage goes on with it.
func TestLinesConflict(t *testing.T) {
	engine := newFake()
	on := newTypist(t.Context().Done(), "7", "1", "Adatum", "", "", "1", "n", leaves)
	on.sees = func(out string) {
		if strings.HasSuffix(out, "Adatum\n") {
			_ = os.WriteFile("answers.yaml",
				[]byte(strings.Replace(valid, "organization: Contoso", "organization: Fabrikam", 1)), 0o600)
		}
	}
	out, err := linesOn(t, on, 80, valid, engine, Options{})
	a, loaded := answers.Load(t.Context(), "answers.yaml")
	if !errors.Is(err, ErrLeft) || loaded != nil || a.Organization != "Fabrikam" {
		t.Errorf("%v, %v, %q\n%s", err, loaded, a.Organization, out)
	}
	if !strings.Contains(out, "was changed by another program") || !strings.Contains(out, "Checks: 1 passed") {
		t.Errorf("it was not checked:\n%s", out)
	}
}

// Ctrl-C while changes are made: the current one is done, and what is left is said.
func TestLinesInterrupted(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("answers.yaml", []byte(valid), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	engine := newFake()
	begins := make(chan struct{})
	engine.begins = begins
	on := newTypist(t.Context().Done(), "2", "", "3", "y")
	go func() {
		for !strings.Contains(on.String(), "Each is written to the journal first") {
			time.Sleep(time.Millisecond)
		}
		begins <- struct{}{}
		cancel()
		for !strings.Contains(on.String(), "Ending the current call") {
			time.Sleep(time.Millisecond)
		}
		close(begins)
	}()
	err := RunLines(ctx, Options{In: on, Out: on,
		Open: func(_ context.Context, _ answers.Answers, p Person) (stage.Engine,
			error) {
			engine.person = p
			return engine, nil
		}}, 80)
	out := on.String()
	if !errors.Is(err, context.Canceled) || engine.closed != 1 {
		t.Errorf("%v, closed %d times\n%s", err, engine.closed, out)
	}
	for _, want := range []string{"Run r1: 1 done, 1 failed", "not all changes are made; go on with: hybridge apply"} {
		if !strings.Contains(out, want) {
			t.Errorf("never said %q:\n%s", want, out)
		}
	}
}

// A stage that does not end is left after a while, and not forgotten.
func TestLinesInterruptedWithASilentServer(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("answers.yaml", []byte(valid), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	engine := newFake()
	engine.stuck, engine.deaf = stage.Apply, true
	on := newTypist(t.Context().Done(), "2", "", "3", "y")
	go func() {
		for !strings.Contains(on.String(), "[2/2] apply") {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	o := Options{In: on, Out: on, Open: func(context.Context, answers.Answers, Person) (stage.Engine, error) {
		return engine, nil
	}}
	l := &lines{model: newModel(ctx, o), ctx: ctx, width: 80, out: on}
	l.parting = 50 * time.Millisecond
	if err := l.walk(); !errors.Is(err, context.Canceled) || !l.unfinished() {
		t.Errorf("%v, unfinished %t\n%s", err, l.unfinished(), on)
	}
}

// A stop that was typed before a secret is asked for is no mere Enter.
func TestLinesStopBeforeASecret(t *testing.T) {
	engine := newFake()
	engine.asksInApply = true
	on := newTypist(t.Context().Done(), "2", "", "3", "y", "s", "Hunter2 q?", leaves)
	out, err := linesOn(t, on, 80, valid, engine, Options{})
	if !errors.Is(err, ErrLeft) || engine.given != "Hunter2 q?" ||
		!strings.Contains(out, "You stopped it; the next plan has the rest.") {
		t.Errorf("%v, given %q\n%s", err, engine.given, out)
	}
}

// What another program decides is what the next stage runs with.
func TestLinesRunWithTheAnswersOfTheFile(t *testing.T) {
	other := strings.Replace(valid, "organization: Contoso", "organization: Fabrikam", 1)
	invalid := strings.Replace(valid, "organization: Contoso", "organization: ''", 1)
	for name, c := range map[string]struct {
		after, file, want string
		typed             []string
	}{
		"theirs are taken": {"Adatum\n", other, "Fabrikam", []string{"7", "1", "Adatum", "", "", "1", "n", leaves}},
		"theirs lack one": {"What next? Enter: plan. ? reads all choices.\nNumber [2]: 1\n", invalid, "Adatum",
			[]string{"1", "1", "Adatum", "1", leaves}},
	} {
		t.Run(name, func(t *testing.T) {
			engine := newFake()
			engine.checks = engine.checks[:1]
			on := newTypist(t.Context().Done(), c.typed...)
			on.sees = func(out string) {
				if strings.HasSuffix(out, c.after) {
					_ = os.WriteFile("answers.yaml", []byte(c.file), 0o600)
					on.sees = nil
				}
			}
			var with []string
			out, err := linesOn(t, on, 80, valid, engine, Options{
				Open: func(_ context.Context, a answers.Answers, p Person) (stage.Engine, error) {
					engine.person = p
					with = append(with, a.Organization)
					return engine, nil
				}})
			if !errors.Is(err, ErrLeft) || len(with) == 0 || with[len(with)-1] != c.want {
				t.Errorf("%v, opened with %q\n%s", err, with, out)
			}
		})
	}
}

// A search finds what the width of the terminal breaks or cuts.
func TestLinesSearchAcrossLines(t *testing.T) {
	engine := newFake()
	engine.checks[0].Summary = msg.Plain("dc1.contoso.com answers " + strings.Repeat("and again ", 20) + "at last")
	out, err := typedLines(t, 40, valid, engine, "1", "5", "3", "sign in with a name that is not their primary SMTP",
		"3", "again at last", "7", leaves)
	if !errors.Is(err, ErrLeft) || strings.Count(out, "1 result found.") != 2 {
		t.Errorf("%v\n%s", err, out)
	}
}

// A pause does not outlive the input: without it, nothing could go on.
func TestLinesPausedAtTheEndOfTheInput(t *testing.T) {
	engine := newFake()
	begins := make(chan struct{})
	engine.begins = begins
	on := newTypist(t.Context().Done(), "2", "", "3", "y")
	on.urges = [][2]string{{"While it runs", "p"}, {"Paused: nothing more begins", endOfInput}}
	go func() {
		for !strings.Contains(on.String(), "Paused: nothing more begins") {
			time.Sleep(time.Millisecond)
		}
		close(begins)
	}()
	out, err := linesOn(t, on, 80, valid, engine, Options{})
	if !errors.Is(err, ErrLeft) || !strings.Contains(out, "You stopped it; the next plan has the rest.") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A plan of other answers is neither applied nor saved.
func TestLinesPlanOfOtherAnswers(t *testing.T) {
	engine := newFake()
	engine.apply = nil
	out, err := typedLines(t, 80, valid, engine, "2", "", "7", "1", "Adatum", "", "", "3", "6", "2", "", "6", "1", "11")
	if !errors.Is(err, ErrLeft) || strings.Contains(out, "Apply it?") ||
		strings.Count(out, "plan first") != 2 || strings.Count(out, "The plan is saved") != 1 {
		t.Errorf("%v\n%s", err, out)
	}
}

// Of many changes that are all made, none is read again. A run is never said to have had nothing to
// do.
func TestLinesLongPlanWholeOrStopped(t *testing.T) {
	for _, stops := range []bool{false, true} {
		engine := newFake()
		engine.apply = nil
		for i := range 20 {
			c := engine.plan.Changes[0]
			c.ID = fmt.Sprintf("onprem/contoso/IntraOrganizationConnector/%d", i)
			engine.plan.Changes = append(engine.plan.Changes, c)
			engine.apply = append(engine.apply, apply.Outcome{ID: c.ID, Action: c.Action, Status: apply.Done})
		}
		begins := make(chan struct{})
		engine.begins = begins
		want := "Run r1: 20 done"
		on := newTypist(t.Context().Done(), "2", "n", "", "3", "y", leaves)
		if stops {
			want = "Run r1: 0 done, 0 failed, 0 skipped, 20 pending"
			on.urges = [][2]string{{"While it runs", "s"}}
		}
		go func() {
			for stops && !strings.Contains(on.String(), "Stopping:") {
				time.Sleep(time.Millisecond)
			}
			close(begins)
		}()
		out, _ := linesOn(t, on, 80, valid, engine, Options{})
		if strings.Contains(out, "Nothing to do") || !strings.Contains(out, want) {
			t.Errorf("stops %t:\n%s", stops, out)
		}
	}
}
