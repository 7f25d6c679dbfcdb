package wizard

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// busy are screens on which much happens: n results of checks that run, and n changes that are made.
func busy(n int) map[string]func(t testing.TB) (*model, []observe.Event) {
	engine := newFake()
	return map[string]func(t testing.TB) (*model, []observe.Event){
		"check": func(t testing.TB) (*model, []observe.Event) {
			m := drawnOn(t)
			m.screen = find[*checkScreen](m)
			var events []observe.Event
			for i := range n {
				r := engine.checks[i%len(engine.checks)]
				r.Scope = fmt.Sprint(i)
				events = append(events, observe.Progress{Stage: "check", Done: i, Total: n, Text: r.Title}, r)
			}
			return m, events
		},
		"apply": func(t testing.TB) (*model, []observe.Event) {
			m := drawnOn(t)
			s := find[*applyScreen](m)
			m.screen, s.gate = s, &gate{}
			s.list.follow = true
			plan := change.Plan{}
			var events []observe.Event
			for i := range n {
				c := engine.plan.Changes[i%len(engine.plan.Changes)]
				c.ID = fmt.Sprint(c.ID, i)
				plan.Changes = append(plan.Changes, c)
				events = append(events, observe.Progress{Stage: "apply", Done: i, Total: n, Text: c.ID},
					apply.Outcome{ID: c.ID, Target: c.Target, Kind: c.Kind, Name: c.Name, Action: c.Action, Status: apply.Done,
						DurationMS: 10})
			}
			m.outcome = stage.Outcome{Plan: &plan}
			return m, events
		},
	}
}

// drawnOn is a model in whose front something runs.
func drawnOn(t testing.TB) *model {
	t.Helper()
	m := newModel(t.Context(), Options{NoColor: true, Out: nowhere{}})
	m.width, m.height = 120, 40
	return m
}

type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

// runs puts a run behind the screen in front.
func (m *model) runsNow() {
	m.run = &running{number: 1, screen: m.screen, cancel: func() {}, started: m.options.now()}
}

// BenchmarkFrame is the time from a key, or from what happens, to the window, while 130 checks and
// an apply of 300 changes run.
func BenchmarkFrame(b *testing.B) {
	for name, n := range map[string]int{"check": 130, "apply": 300} {
		b.Run(name, func(b *testing.B) {
			m, events := busy(n)[name](b)
			m.runsNow()
			down := tea.KeyMsg{Type: tea.KeyDown}
			i := 0
			for b.Loop() {
				m.Update(happened{1, events[i%len(events)]})
				m.Update(down)
				_ = m.View()
				i++
			}
		})
	}
}

// What happens draws one item anew, and not the list: the work of a frame does not grow with what
// has happened before. Counted are allocations.
func TestFramesAreBounded(t *testing.T) {
	for name, open := range busy(130) {
		m, events := open(t)
		m.runsNow()
		per := func(n int, work func(i int)) float64 {
			i := 0
			return testing.AllocsPerRun(n, func() { work(i); i++ })
		}
		for _, e := range events {
			m.Update(happened{1, e})
		}
		_ = m.View()
		still := per(20, func(int) { _ = m.View() })
		small, few := busy(13)[name](t)
		small.runsNow()
		for _, e := range few {
			small.Update(happened{1, e})
		}
		_ = small.View()
		before := per(20, func(int) { _ = small.View() })
		if still > before*1.2+20 {
			t.Errorf("%s: a frame in which nothing happens makes %.0f allocations with 13 items, %.0f with 130", name, before,
				still)
		}
		again := per(20, func(i int) { m.Update(happened{1, events[2*i+1]}); _ = m.View() })
		fewer := per(5, func(i int) { small.Update(happened{1, few[2*i+1]}); _ = small.View() })
		t.Logf("%s: %.0f allocations per frame; after an event %.0f with 13 items, %.0f with 130", name, still, fewer, again)
		if again > 3*fewer {
			t.Errorf("%s: an event costs %.0f allocations with 13 items, %.0f with 130", name, fewer, again)
		}
	}
}

// No key, message or drawing reads or writes: what takes time is a command. Counted are the system
// calls of the thread, on all screens with data.
func TestUpdateDoesNoIO(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the kernel of Linux counts the calls of a thread")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	calls := func() string {
		data, err := os.ReadFile("/proc/thread-self/io")
		if err != nil {
			t.Skipf("the calls of a thread are not counted here: %v", err)
		}
		var lines []string
		for line := range strings.Lines(string(data)) {
			if strings.HasPrefix(line, "syscr") || strings.HasPrefix(line, "syscw") {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
		return strings.Join(lines, ", ")
	}
	engine := newFake()
	plan, tested, checked := engine.plan, engine.tested(), engine.checked()
	b := sit(t, 80, 24, valid, engine)
	b.until("These are the answers")
	m := b.m
	m.way = screens()
	m.outcome = stage.Outcome{Plan: &plan, Test: &tested, Check: &checked}
	document := m.document
	counts := func(work func()) (int, int) {
		number := func(text string) (r, w int) {
			_, _ = fmt.Sscanf(text, "syscr: %d, syscw: %d", &r, &w)
			return r, w
		}
		r0, w0 := number(calls())
		r1, w1 := number(calls())
		work()
		r2, w2 := number(calls())
		return (r2 - r1) - (r1 - r0), (w2 - w1) - (w1 - w0)
	}
	if r, _ := counts(func() { _, _ = os.ReadFile("answers.yaml") }); r == 0 {
		t.Fatal("a read is not counted")
	}
	for _, s := range m.way {
		for _, keys := range []string{"<down>", "<up>", "x", "p", "f", "<space>", "<esc>", "/", "a", "<enter>", "<tab>",
			"<pgdown>", "<ctrl+t>", "<ctrl+s>", "s", "w", "c", "?", "q"} {
			read, written := 1, 1
			for try := 0; try < 5 && read+written > 0; try++ { // the runtime wakes threads by writes of its own
				m.screen, m.over, m.run, m.leaving, m.document = s, nil, nil, false, document.Clone()
				if f, ok := s.(*formScreen); ok {
					f.enter(m)
				}
				read, written = counts(func() {
					for _, k := range keysOf(t, keys) {
						m.Update(k) // what it gives to run is not run
					}
					_ = m.View()
				})
			}
			if read+written > 0 {
				t.Errorf("%T, %s: %d reads, %d writes", s, keys, read, written)
			}
		}
	}
	m.run = nil
}

// What calls the operating system stands in commands, in the work of a run, and in functions that
// only these call.
func TestIOStandsInCommands(t *testing.T) {
	beside := []string{"load", "save", "write", "before", "free", "completions", "newStyles", "Run", "RunLines", "ask",
		"read", "say", "wrapped", "watch", "Write", "isDirectory"}
	systems := map[string][]string{"os": {"Getenv", "IsExist", "IsNotExist", "Stdin", "Stdout", "File", "O_WRONLY", "O_CREATE",
		"O_EXCL"}, "exec": nil, "net": nil, "http": nil, "ioutil": nil, "io": {"Reader", "Writer", "EOF", "Discard"}}
	files, err := filepath.Glob(filepath.Join(here, "*.go"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	seen := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil || slices.Contains(beside, f.Name.Name) {
				continue
			}
			ast.Inspect(f.Body, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncLit: // func() tea.Msg and the work of a run: both run beside Update
					if results := n.Type.Results; results != nil {
						first := fmt.Sprint(results.List[0].Type)
						command := first == "&{tea Msg}" || first == "any" || first == "saved"
						if command {
							seen++
						}
						return !command
					}
				case *ast.SelectorExpr:
					system, ok := n.X.(*ast.Ident)
					if !ok || system.Obj != nil {
						return true
					}
					if harmless, is := systems[system.Name]; is {
						if !slices.Contains(harmless, n.Sel.Name) {
							t.Errorf("%s: %s.%s in %s, which Update calls", set.Position(n.Pos()), system.Name, n.Sel.Name,
								f.Name.Name)
						}
					}
				}
				return true
			})
		}
	}
	if seen < 10 {
		t.Errorf("%d commands: is this test looking?", seen)
	}
}
