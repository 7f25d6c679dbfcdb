package wizard

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/exp/teatest"
	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// update tells whether golden files are to be rewritten (-update, a flag that teatest brings).
func update() bool { return flag.Lookup("update").Value.String() == "true" }

const valid = `apiVersion: hybridge/v1
kind: Answers
organization: Contoso
exchangeOnline: {cloud: worldwide, tenant: contoso.onmicrosoft.com, credential: {kind: deviceCode}}
forests:
  - name: contoso
    directory: {servers: [dc1.contoso.com], bind: {kind: kerberos}}
    exchange: {server: ex1.contoso.com, credential: {kind: password, user: svc@contoso.com, password: prompt}} # the service account
    namespace: {autodiscover: autodiscover.contoso.com, ews: mail.contoso.com, smtp: mail.contoso.com}
    domains: [contoso.com]
  - name: fabrikam
    directory: {domain: fabrikam.example, bind: {kind: kerberos}}
    exchange: {server: ex1.fabrikam.example, credential: {kind: kerberos}}
    namespace: {autodiscover: autodiscover.fabrikam.example, ews: mail.fabrikam.example, smtp: mail.fabrikam.example}
    domains: [fabrikam.example]
tests: {pairs: [{from: anna@contoso.com, to: bob@contoso.com}]}
`

// fake is an engine that knows its results beforehand.
type fake struct {
	checks []check.Result
	plan   change.Plan
	apply  []apply.Outcome
	cells  []freebusy.Answer
	prompt func(ctx context.Context) error // asked for during Check
	stuck  stage.ID                        // this stage waits for its context, or, with deaf, for ever
	deaf   bool
	locked bool // Apply is refused

	content bool // a stage that is cut off gives what it has, without an error
	closed  int

	allowedDelete bool // of the last Apply
}

func (f *fake) wait(ctx context.Context, id stage.ID) error {
	if f.stuck != id {
		return nil
	}
	if f.deaf {
		select {}
	}
	<-ctx.Done()
	if f.content {
		return nil
	}
	return ctx.Err()
}

func (f *fake) Check(ctx context.Context, obs observe.Observer) (check.Report, error) {
	obs.Observe(observe.Started{Stage: "check", Total: len(f.checks)})
	if f.prompt != nil {
		if err := f.prompt(ctx); err != nil {
			return check.Report{}, err
		}
	}
	r := check.Report{Results: f.checks}
	for i, c := range f.checks {
		obs.Observe(observe.Progress{Stage: "check", Done: i, Total: len(f.checks), Text: c.Title})
		obs.Observe(c)
		switch c.Status {
		case check.StatusPass:
			r.Summary.Pass++
		case check.StatusFail:
			r.Summary.Fail++
		case check.StatusError:
			r.Summary.Error++
		case check.StatusWarn:
			r.Summary.Warn++
		case check.StatusSkip:
			r.Summary.Skip++
		}
	}
	return r, f.wait(ctx, stage.Check)
}

func (f *fake) Plan(ctx context.Context, obs observe.Observer) (change.Plan, error) {
	obs.Observe(observe.Started{Stage: "plan"})
	obs.Observe(observe.Warning{Text: "fabrikam has no Edge\x1b[31m server"})
	return f.plan, f.wait(ctx, stage.Plan)
}

func (f *fake) Apply(ctx context.Context, p change.Plan, o apply.Options, obs observe.Observer) (apply.Report, error) {
	f.allowedDelete = o.AllowDelete
	if f.locked {
		return apply.Report{}, apply.ErrLocked
	}
	obs.Observe(observe.Started{Stage: "apply", Total: len(p.Changes)})
	r := apply.Report{RunID: "r1", Journal: "state/journal-r1.jsonl", Changes: f.apply}
	for i, o := range f.apply {
		obs.Observe(observe.Progress{Stage: "apply", Done: i, Total: len(f.apply), Text: o.Name})
		obs.Observe(o)
		switch o.Status {
		case apply.Done:
			r.Summary.Done++
		case apply.Failed:
			r.Summary.Failed++
		case apply.Pending:
			r.Summary.Pending++
		case apply.Skipped:
			r.Summary.Skipped++
		}
	}
	return r, f.wait(ctx, stage.Apply)
}

func (f *fake) Test(ctx context.Context, _ deployment.TestOptions, obs observe.Observer) (freebusy.Report, error) {
	r := freebusy.Report{Matrix: f.cells}
	for _, a := range f.cells {
		obs.Observe(a)
		switch a.Status {
		case freebusy.OK:
			r.Summary.OK++
		case freebusy.Failed:
			r.Summary.Failed++
		default:
			r.Summary.Unknown++
		}
	}
	return r, f.wait(ctx, stage.Test)
}

func (f *fake) Close(context.Context) error { f.closed++; return nil }

func newFake() *fake {
	f := &fake{
		checks: []check.Result{
			{ID: "directory.reachable", Title: "Directory answers", Scope: "contoso", Status: check.StatusPass, Summary: msg.Plain("dc1.contoso.com answers")},
			{ID: "directory.upn-matches-primary", Title: "User principal names equal primary SMTP addresses", Scope: "fabrikam", Status: check.StatusFail,
				Summary: msg.Plain("203 of 10,000 users sign in with a name that is not their primary SMTP address, first: r.neri@fabrikam.example (primary ricarda.neri@fabrikam.example)"),
				Detail:  msg.Plain("Cross-premises lookups and sign-in go by the address; these users will see no free/busy."),
				Remedy:  check.Remedy{Text: msg.Plain("correct userPrincipalName or the primary address"), Commands: []string{"hybridge check --only directory.upn-matches-primary"}, Docs: "hybridge help directory.upn-matches-primary"}},
			{ID: "certificates.transport", Title: "Transport certificate", Scope: "contoso", Status: check.StatusWarn, Summary: msg.Plain("expires in 20 days \x1b[2J\x07and says so")},
			{ID: "exchange.rights", Title: "Cmdlet rights", Scope: "fabrikam", Status: check.StatusError, Summary: msg.Plain("fabrikam: connect to ex1.fabrikam.example: server not reachable"), Cause: errBlocked},
			{ID: "exchange.version", Title: "Exchange version", Scope: "fabrikam", Status: check.StatusError, Summary: msg.Plain("connect to ex1.fabrikam.example: server not reachable"), Cause: errBlocked},
			{ID: "dns.tenant-txt", Title: "DNS TXT", Scope: "organization", Status: check.StatusSkip, Summary: msg.Plain("needs dns.resolver")},
		},
		plan: change.Plan{
			Summary: change.Summary{Create: 1, Update: 1, Unchanged: 4},
			Changes: []change.Change{
				{ID: "onprem/contoso/IntraOrganizationConnector/x", Target: "onprem/contoso", Kind: "IntraOrganizationConnector", Name: "HybridIOC - contoso", Action: change.Create,
					Reason: msg.Plain("lookups from contoso to the cloud go through it"), Risk: "an enabled connector has no fallback to the organization relationship",
					After: change.Properties{"Enabled": true, "TargetAddressDomains": []string{"contoso.mail.onmicrosoft.com"}, "DiscoveryEndpoint": "https://autodiscover-s.outlook.com/autodiscover/autodiscover.svc"}},
				{ID: "online/OrganizationRelationship/y", Target: "online", Kind: "OrganizationRelationship", Name: "O365 to On-premises", Action: change.Update,
					Reason: msg.Plain("MailTips are asked for"),
					Before: change.Properties{"MailTipsAccessEnabled": false, "DomainNames": []string{"contoso.com"}},
					After:  change.Properties{"MailTipsAccessEnabled": true, "DomainNames": []string{"contoso.com", "fabrikam.example"}}},
			},
		},
		cells: []freebusy.Answer{
			{From: "anna@contoso.com", To: "bob@contoso.com", Direction: "contoso -> online", Probe: "ews", Status: freebusy.OK, LatencyMS: 120},
			{From: "bob@contoso.com", To: "anna@contoso.com", Direction: "online -> contoso", Probe: "graph", Status: freebusy.OK, LatencyMS: 340},
			{From: "gina@fabrikam.example", To: "bob@contoso.com", Direction: "fabrikam -> online", Probe: "ews", Status: freebusy.Failed, LatencyMS: 90,
				Route: []string{"intra-organization connector HybridIOC - fabrikam", "autodiscover https://autodiscover-s.outlook.com/autodiscover/autodiscover.svc"},
				Error: "The caller has not assigned any of the RBAC roles\x1b]0;gotcha\x07", Diagnosis: []freebusy.Diagnosis{{ID: "oauth.partner-application-disabled", Confidence: 0.8}}},
			{From: "bob@contoso.com", To: "gina@fabrikam.example", Direction: "online -> fabrikam", Probe: "graph", Status: freebusy.Unknown, LatencyMS: 30000, Error: "graph.microsoft.com: time limit"},
		},
	}
	for i, c := range f.plan.Changes {
		o := apply.Outcome{ID: c.ID, Target: c.Target, Kind: c.Kind, Name: c.Name, Action: c.Action, Status: apply.Done}
		if i == 1 {
			o.Status, o.Error = apply.Failed, "online: Set-OrganizationRelationship: access refused: the role Organization Sharing is missing"
		}
		f.apply = append(f.apply, o)
	}
	return f
}

var errBlocked = errors.New("server not reachable")

// sit starts the wizard in a window. A file of the given text lies at the path; with "", none.
func sit(t *testing.T, width, height int, file string, engine *fake) (*teatest.TestModel, *model) {
	t.Helper()
	t.Chdir(t.TempDir())
	path := "answers.yaml" // short, and of one length wherever the tests run
	if file != "" {
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	still := time.Unix(0, 0)
	m := newModel(ctx, Options{Out: io.Discard, Path: path, NoColor: true, now: func() time.Time { return still },
		Hint: func(err error) string {
			if errors.Is(err, errBlocked) {
				return "check name, port and firewall"
			}
			return ""
		},
		Open: func(_ context.Context, _ answers.Answers, p Person) (stage.Engine, error) {
			if engine.prompt == nil && strings.Contains(t.Name(), "Prompt") {
				engine.prompt = func(ctx context.Context) error {
					p.Say("open https://microsoft.com/devicelogin and enter \x1b[1mABC123")
					v, err := p.Prompt(ctx, "password of svc@contoso.com")
					if err == nil && v.Reveal() != "Hunter2 q?" {
						err = fmt.Errorf("wrong password of length %d", len(v.Reveal()))
					}
					return err
				}
			}
			return engine, nil
		}})
	tm := teatest.NewTestModel(t, m, teatest.WithInitialTermSize(width, height))
	t.Cleanup(func() { cancel(); _ = tm.Quit(); tm.WaitFinished(t, teatest.WithFinalTimeout(10*time.Second)) })
	return tm, m
}

// step presses keys and waits until the window shows a text. Keys are names in <>, the rest is typed.
type step struct{ keys, until string }

var named = map[string]tea.KeyMsg{
	"enter": {Type: tea.KeyEnter}, "esc": {Type: tea.KeyEsc}, "up": {Type: tea.KeyUp}, "down": {Type: tea.KeyDown}, "left": {Type: tea.KeyLeft}, "right": {Type: tea.KeyRight},
	"pgdown": {Type: tea.KeyPgDown}, "pgup": {Type: tea.KeyPgUp}, "ctrl+s": {Type: tea.KeyCtrlS}, "ctrl+c": {Type: tea.KeyCtrlC}, "ctrl+n": {Type: tea.KeyCtrlN}, "ctrl+d": {Type: tea.KeyCtrlD},
	"ctrl+u": {Type: tea.KeyCtrlU}, "space": {Type: tea.KeySpace, Runes: []rune{' '}}, "f1": {Type: tea.KeyF1}, "backspace": {Type: tea.KeyBackspace}, "end": {Type: tea.KeyEnd},
}

func press(t *testing.T, tm *teatest.TestModel, keys string) {
	t.Helper()
	for keys != "" {
		if end := strings.IndexByte(keys, '>'); keys[0] == '<' && end > 0 {
			k, ok := named[keys[1:end]]
			if !ok {
				t.Fatalf("no key %s", keys[:end+1])
			}
			tm.Send(k)
			keys = keys[end+1:]
			continue
		}
		r, size := utf8.DecodeRuneInString(keys)
		tm.Send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}})
		keys = keys[size:]
	}
}

func walk(t *testing.T, tm *teatest.TestModel, steps []step) {
	t.Helper()
	for _, s := range steps {
		press(t, tm, s.keys)
		teatest.WaitFor(t, tm.Output(), func(out []byte) bool { return bytes.Contains(out, []byte(s.until)) }, teatest.WithDuration(20*time.Second))
	}
}

// window ends the program as it stands and returns what it showed.
func window(t *testing.T, tm *teatest.TestModel) string {
	t.Helper()
	if err := tm.Quit(); err != nil {
		t.Fatal(err)
	}
	return tm.FinalModel(t, teatest.WithFinalTimeout(10*time.Second)).View()
}

// path to the checks, and on.
var (
	toStart   = []step{{"", "These are the answers"}}
	toCheck   = append(toStart, step{"<enter>", "1 pass, 1 warn, 1 fail, 1 skip, 2 error"})
	toPlan    = append(toCheck, step{"<enter>", "1 to create, 1 to update, 4 in order"})
	toConfirm = append(toPlan, step{"<enter>", "Apply this plan?"})
	toApply   = append(toConfirm, step{"y", "1 done, 0 skipped, 1 failed, 0 pending"})
	toTest    = append(toApply, step{"t", "2 ok, 1 failed, 1 unknown"})
)

// TestWindows holds what every screen looks like, in three sizes of the window, to golden files.
func TestWindows(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {100, 30}, {140, 45}} {
		for _, test := range []struct {
			name, file string
			steps      []step
		}{
			{"scenarios", "", []step{{"", "Which organization"}}},
			{"form", "", []step{{"", "Which organization"}, {"<down><enter>", "Organization"}, {"Contoso<pgdown><down>https://contoso<down>", "is a URL"}}},
			{"form-forest", valid, append(toStart, step{"e", "ctrl+s"}, step{"<pgdown><pgdown><pgdown><pgdown><down><down><down><down>plain", "! that is not"})},
			{"form-faults", strings.Replace(valid, "tenant: contoso.onmicrosoft.com", "tenant: contoso.partner.onmschina.cn", 1), []step{{"", "1 answer missing or wrong"}}},
			{"answers", valid, toStart},
			{"check", valid, toCheck},
			{"check-problems", valid, append(toCheck, step{"p<end>", "exchange.rights"})},
			{"plan", valid, toPlan},
			{"confirm", valid, toConfirm},
			{"apply", valid, toApply},
			{"test", valid, toTest},
			{"help", valid, append(toCheck, step{"?", "PASS and FAIL are findings"})},
		} {
			t.Run(fmt.Sprintf("%s-%dx%d", test.name, size[0], size[1]), func(t *testing.T) {
				testdata := filepath.Join(wd(t), "testdata", t.Name()+".golden")
				tm, _ := sit(t, size[0], size[1], test.file, newFake())
				walk(t, tm, test.steps)
				got := trimmed(window(t, tm))
				for i, line := range strings.Split(strings.TrimSuffix(got, "\n"), "\n") {
					if w := ansi.StringWidth(line); w > size[0] || i >= size[1] {
						t.Errorf("line %d is %d wide in a window of %dx%d", i+1, w, size[0], size[1])
					}
				}
				if strings.ContainsFunc(got, func(r rune) bool { return r != '\n' && (r < ' ' || r == 0x7f) }) {
					t.Errorf("control characters, without color: %q", got)
				}
				golden(t, testdata, got)
			})
		}
	}
}

// trimmed is a window without the blanks at the ends of its lines, which editors take away.
func trimmed(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

func wd(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if update() {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), got); diff != "" {
		t.Errorf("the window changed; go test ./wizard -update accepts it (-want +got):\n%s", diff)
	}
}

func TestTooSmall(t *testing.T) {
	tm, _ := sit(t, 60, 20, valid, newFake())
	walk(t, tm, []step{{"", "needs a window of 80 by 24"}})
	tm.Send(tea.WindowSizeMsg{Width: 80, Height: 24})
	walk(t, tm, []step{{"", "These are the answers"}})
	for h := range 6 {
		for w := range 6 {
			tm.Send(tea.WindowSizeMsg{Width: w, Height: h}) // must not panic
		}
	}
	tm.Send(tea.WindowSizeMsg{Width: 100, Height: 30})
	walk(t, tm, []step{{"<enter>", "1 pass"}})
}

// TestPrompt: a secret that the engine asks for is typed unseen, keys that mean something elsewhere included.
func TestPrompt(t *testing.T) {
	tm, _ := sit(t, 80, 24, valid, newFake())
	walk(t, tm, append(toStart, step{"<enter>", "password of svc@contoso.com"}))
	var shown bytes.Buffer
	press(t, tm, "Hunter2 q?")
	teatest.WaitFor(t, io.TeeReader(tm.Output(), &shown), func(out []byte) bool { return bytes.Contains(out, []byte("**********")) })
	press(t, tm, "<enter>")
	teatest.WaitFor(t, io.TeeReader(tm.Output(), &shown), func(out []byte) bool { return bytes.Contains(out, []byte("1 pass")) })
	if strings.Contains(shown.String(), "Hunter") {
		t.Error("the secret is drawn")
	}
}

func TestPromptRefused(t *testing.T) {
	tm, _ := sit(t, 80, 24, valid, newFake())
	walk(t, tm, append(toStart, step{"<enter>", "password of svc@contoso.com"}, step{"<esc>", "error: it was not given"}))
}

// TestForm fills in a form from nothing and expects a valid file, whose secrets are references.
func TestForm(t *testing.T) {
	tm, m := sit(t, 100, 30, "", newFake())
	walk(t, tm, []step{
		{"", "Which organization"},
		{"<enter>", "ctrl+s"},
		{"<ctrl+s>", "missing or wrong; this is the first"},
		{"Contoso<pgdown><down>contoso.onmicrosoft.com", "contoso.onmicrosoft.com"},
		{"<pgdown>contoso<down>contoso.com, bücher.example<down>autodiscover.contoso.com<down>mail.contoso.com<down>mail.contoso.com", "SMTP host"},
		{"<pgdown>dc1.contoso.com<down><down><down><right><right>", "< password >"},
		{"<down>svc@contoso.com<down>Hunter2", "! that is not a reference"},
		{"<ctrl+u>keyring:hybridge/contoso<pgdown>ex1.contoso.com", "ex1.contoso.com"},
		{"<ctrl+s>", "These are the answers"},
		{"e<pgdown><pgup>", "The organization's name, for reports"},
	})
	press(t, tm, "<ctrl+c>")
	tm.WaitFinished(t, teatest.WithFinalTimeout(10*time.Second))
	if err := m.save(); err != nil {
		t.Fatal(err)
	}
	a, err := answers.Load(t.Context(), m.path)
	if err != nil {
		t.Fatal(err)
	}
	if a.Forests[0].Domains[1] != "xn--bcher-kva.example" || a.Forests[0].Directory.Bind.Password != "keyring:hybridge/contoso" || a.Forests[0].Certificate != nil {
		t.Errorf("got %+v", a.Forests[0])
	}
	data, _ := os.ReadFile(m.path)
	if bytes.Contains(data, []byte("Hunter2")) || !bytes.Contains(data, []byte("# The organization's name")) {
		t.Errorf("a secret is in the file, or its comments are not:\n%s", data)
	}
}

// TestWrongTurn: a scenario can be chosen again as long as nothing is answered, and what is typed where there is nothing to type changes nothing.
func TestWrongTurn(t *testing.T) {
	tm, m := sit(t, 80, 24, "", newFake())
	walk(t, tm, []step{
		{"", "Which organization"},
		{"<down><enter>", "forest 2"},
		{"<esc>", "Which organization"},
		{"<up><enter>", "ctrl+s"},
		{"Contoso", "Contoso"},
		{"<esc>", "Not all answers"},
		{"<pgdown>", "< worldwide >"},
		{"hl.example", "nothing to type"},
		{"<right>", "< gcc-high >"},
		{"<pgup><down>hl", "nothing to type"},
	})
	press(t, tm, "<ctrl+c>")
	tm.WaitFinished(t, teatest.WithFinalTimeout(10*time.Second))
	if m.interrupted || m.document.Len("forests") != 1 || m.document.Text("exchangeOnline.cloud") != "gcc-high" {
		t.Errorf("interrupted %v, %d forests, cloud %s", m.interrupted, m.document.Len("forests"), m.document.Text("exchangeOnline.cloud"))
	}
}

// TestForests adds a forest and takes one away.
func TestForests(t *testing.T) {
	tm, m := sit(t, 100, 30, valid, newFake())
	walk(t, tm, append(toStart, step{"e<pgdown><pgdown><ctrl+n>", "forest 3"}, step{"adatum", "adatum"}, step{"<esc>", "Not all answers"}, step{"<ctrl+d>", "ctrl+d again removes forest 3"}, step{"x", "adatumx"}, step{"<ctrl+d>", "ctrl+d again"}, step{"<ctrl+d>", "Forest 3 is removed"}))
	press(t, tm, "<ctrl+c>")
	tm.WaitFinished(t, teatest.WithFinalTimeout(10*time.Second))
	if err := m.save(); err != nil {
		t.Fatal(err)
	}
	a, err := answers.Load(t.Context(), m.path)
	if err != nil || len(a.Forests) != 2 {
		t.Errorf("got %d forests, %v", len(a.Forests), err)
	}
	if data, _ := os.ReadFile(m.path); !bytes.Contains(data, []byte("# the service account")) {
		t.Errorf("comments are lost:\n%s", data)
	}
}

// TestBack: going back loses nothing, and changed answers are checked anew with a new engine.
func TestBack(t *testing.T) {
	engine := newFake()
	tm, m := sit(t, 100, 30, valid, engine)
	walk(t, tm, append(toPlan, step{"<esc>", "1 pass"}, step{"<esc>", "These are the answers"}, step{"<enter>", "1 pass"}, step{"<esc>", "These are the answers"},
		step{"e<ctrl+u>Fabrikam<ctrl+s>", "Fabrikam"}, step{"<enter>", "1 pass"}))
	window(t, tm)
	if m.runs != 3 || engine.closed != 1 {
		t.Errorf("%d runs, want check, plan and check; engine closed %d times, want 1", m.runs, engine.closed)
	}
}

// TestInterrupt: Ctrl-C ends the call that is under way and leaves; a second one does not wait.
func TestInterrupt(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		engine := newFake()
		engine.stuck, engine.deaf = stage.Check, deaf
		tm, m := sit(t, 80, 24, valid, engine)
		walk(t, tm, append(toStart, step{"<enter>", "exchange.rights"}))
		press(t, tm, "<ctrl+c>")
		if deaf {
			walk(t, tm, []step{{"", "Ctrl-C again leaves at once"}})
			press(t, tm, "<ctrl+c>")
		}
		tm.WaitFinished(t, teatest.WithFinalTimeout(10*time.Second))
		if !m.interrupted || m.finished() {
			t.Error("not interrupted")
		}
		if lines := m.farewell(nil); !strings.Contains(strings.Join(lines, "\n"), "go on with: hybridge wizard -f ") {
			t.Errorf("farewell: %q", lines)
		}
	}
}

// TestPlanAfterApply: a plan that was applied is not offered again; who goes back sees a new one.
func TestPlanAfterApply(t *testing.T) {
	engine := newFake()
	tm, m := sit(t, 80, 24, valid, engine)
	walk(t, tm, toTest)
	engine.plan.Summary = change.Summary{Create: 7}
	walk(t, tm, []step{{"<esc>", "7 to create"}, {"<enter>", "Apply this plan?"}, {"y", "1 done"}})
	window(t, tm)
	if m.outcome.Apply == nil {
		t.Error("not applied")
	}
}

// TestStoppedCheck: what was cut off is no finding, also when the engine gives a report of it.
func TestStoppedCheck(t *testing.T) {
	engine := newFake()
	engine.stuck, engine.content = stage.Check, true
	tm, _ := sit(t, 80, 24, valid, engine)
	walk(t, tm, append(toStart, step{"<enter>", "exchange.rights"}, step{"<esc>", "These are the answers"}))
	walk(t, tm, []step{{"<enter>", "exchange.rights"}})
	if shown := window(t, tm); strings.Contains(shown, "1 pass, 1 warn") {
		t.Errorf("shown as a finding:\n%s", shown)
	}
}

// TestStop: esc ends what runs and goes back, once it has ended.
func TestStop(t *testing.T) {
	engine := newFake()
	engine.stuck = stage.Plan
	tm, _ := sit(t, 80, 24, valid, engine)
	walk(t, tm, append(toCheck, step{"<enter>", "Comparing"}, step{"<esc>", "1 pass"}))
}

// TestApplyInterrupted: the journal and both ways on are told.
func TestApplyInterrupted(t *testing.T) {
	engine := newFake()
	engine.stuck = stage.Apply
	tm, m := sit(t, 80, 24, valid, engine)
	walk(t, tm, append(toConfirm, step{"y", "FAILED"}))
	press(t, tm, "<ctrl+c>")
	tm.WaitFinished(t, teatest.WithFinalTimeout(10*time.Second))
	text := strings.Join(m.farewell(nil), "\n")
	m.path = "my answers.yaml" // a command that is to be copied has it quoted
	text += "\n" + strings.Join(m.farewell(nil), "\n")
	for _, want := range []string{"journal: state/journal-r1.jsonl", "hybridge apply -f", "hybridge rollback -f answers.yaml", "hybridge rollback -f " + report.ShellWord(m.path)} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}

// TestApplyRefused: an apply that was refused before it began is no run; what an earlier one did is not forgotten.
func TestApplyRefused(t *testing.T) {
	engine := newFake()
	engine.locked = true
	tm, m := sit(t, 80, 24, valid, engine)
	walk(t, tm, append(toConfirm, step{"y", "Nothing was changed"}))
	if shown := window(t, tm); !strings.Contains(shown, "error: another run is at work") || strings.Contains(shown, "0 done") {
		t.Errorf("shown:\n%s", shown)
	}
	text := strings.Join(m.farewell(nil), "\n")
	if !strings.Contains(text, "go on with: hybridge wizard") || strings.Contains(text, "rollback") {
		t.Errorf("farewell: %s", text)
	}
}

// TestFarewell: whoever leaves after an apply is told how to see whether it works, and how to undo it.
func TestFarewell(t *testing.T) {
	engine := newFake()
	engine.apply = engine.apply[:1] // nothing fails
	tm, m := sit(t, 80, 24, valid, engine)
	walk(t, tm, append(toConfirm, step{"y", "1 done, 0 skipped, 0 failed, 0 pending"}))
	window(t, tm)
	text := strings.Join(m.farewell(nil), "\n")
	for _, want := range []string{"see whether it works with: hybridge test -f answers.yaml", "undo what is made with: hybridge rollback r1 -f answers.yaml"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}

// TestSevere: a plan that removes something is not applied by one key; who types the name has allowed it. What is asked stays in view in the smallest
// window, whatever there is to say.
func TestSevere(t *testing.T) {
	engine := newFake()
	engine.plan.Summary.Delete = 1
	for i := range 30 {
		c := engine.plan.Changes[0]
		c.ID, c.Kind, c.Action = fmt.Sprint("online/K/", i), fmt.Sprint("Kind", i), change.Delete
		engine.plan.Changes = append(engine.plan.Changes, c)
	}
	tm, _ := sit(t, 80, 24, valid, engine)
	walk(t, tm, append(toCheck, step{"<enter>", "1 to delete"}, step{"<enter>", "Type the organization's name"}, step{"y<enter>", "not the organization's name"},
		step{"<backspace>Contoso", "> Contoso"}, step{"<pgdown>", "lines 1"}, step{"<enter>", "1 done"}))
	if !engine.allowedDelete {
		t.Error("the removals were agreed to and yet not allowed")
	}
}

// TestReplacementIsSevere: what is removed to be made anew is gone for a while, and for good when the second half fails.
func TestReplacementIsSevere(t *testing.T) {
	for _, test := range []struct {
		summary change.Summary
		want    bool
	}{
		{change.Summary{Create: 1, Update: 1}, false},
		{change.Summary{Delete: 1}, true},
		{change.Summary{Replace: 1}, true},
	} {
		m := &model{plan: &planScreen{plan: &change.Plan{Summary: test.summary}}}
		if got := (&confirmScreen{}).severe(m); got != test.want {
			t.Errorf("%+v: %v", test.summary, got)
		}
	}
}

// TestBrokenFile: a file that is no YAML is left alone.
func TestBrokenFile(t *testing.T) {
	tm, m := sit(t, 80, 24, "organization: [\x1b", newFake())
	walk(t, tm, []step{{"", "That file is left alone"}, {"<enter>", "ctrl+s"}})
	press(t, tm, "X<ctrl+c>")
	tm.WaitFinished(t, teatest.WithFinalTimeout(10*time.Second))
	if err := m.save(); err != nil || !strings.HasSuffix(m.path, "answers.yaml.new.yaml") {
		t.Errorf("saved to %s: %v", m.path, err)
	}
	if next := free("answers.yaml"); next != "answers.yaml.new2.yaml" {
		t.Errorf("what was answered would be overwritten: %s", next)
	}
	if data, _ := os.ReadFile(strings.TrimSuffix(m.path, ".new.yaml")); string(data) != "organization: [\x1b" {
		t.Errorf("it was overwritten: %q", data)
	}
}

// TestOpenFails: what the engine says on opening is shown, without its control characters.
func TestOpenFails(t *testing.T) {
	tm, m := sit(t, 80, 24, valid, newFake())
	m.options.Open = func(context.Context, answers.Answers, Person) (stage.Engine, error) {
		return nil, errors.New("contoso: no such \x1b[31mkeytab")
	}
	walk(t, tm, append(toStart, step{"<enter>", "error: contoso: no such keytab"}))
}

// An engine that could not be opened is opened anew: whatever came along with the error is none.
func TestOpenedAnew(t *testing.T) {
	opened := 0
	m := newModel(t.Context(), Options{Out: io.Discard, NoColor: true, Open: func(context.Context, answers.Answers, Person) (stage.Engine, error) {
		opened++
		return (*fake)(nil), errors.New("no such keytab")
	}})
	d, err := answers.NewDocument("a", []byte(valid))
	if err != nil {
		t.Fatal(err)
	}
	m.document = d
	for range 2 {
		m.begin(stage.Check)().(tea.BatchMsg)[0]()
		for _, msg := range m.queue.next(t.Context())().(batch) {
			m.Update(msg)
		}
	}
	if opened != 2 || m.engine != nil || m.run != nil {
		t.Errorf("opened %d times, engine %v", opened, m.engine)
	}
}

// What an engine says to a person may come from a server.
func TestSaidIsCleaned(t *testing.T) {
	m := newModel(t.Context(), Options{Out: io.Discard, NoColor: true})
	m.Update(said("open https://login\x1b[2J.example \x07now"))
	if text := strings.Join(m.saidLines(80), "\n"); strings.ContainsAny(text, "\x1b\x07") || !strings.Contains(text, "now") {
		t.Errorf("%q", text)
	}
}

// TestASCII: where the locale is not UTF-8, no screen draws anything else than ASCII.
func TestASCII(t *testing.T) {
	m := newModel(t.Context(), Options{Out: io.Discard, ASCII: true, Open: func(context.Context, answers.Answers, Person) (stage.Engine, error) { return newFake(), nil }})
	plan := newFake().plan
	plan.Changes[0].Action = change.Recreate
	d, err := answers.New("answers.yaml", "multi-forest")
	if err != nil {
		t.Fatal(err)
	}
	m.document, m.plan.plan, m.check.results, m.test.answers = d, &plan, newFake().checks, newFake().cells
	m.form.open(m)
	for _, s := range []screen{m.start, m.form, m.check, m.plan, m.confirm, m.apply, m.test} {
		for m.helping = range map[bool]bool{false: true, true: true} {
			m.screen = s
			for _, r := range m.View() {
				if r > 0x7e {
					t.Errorf("%T: %q", s, r)
				}
			}
		}
	}
}

func TestColor(t *testing.T) {
	m := newModel(t.Context(), Options{Out: io.Discard})
	if strings.Contains(m.styles.bad.Render("x"), "\x1b") {
		t.Error("what is no terminal gets no color")
	}
	t.Setenv("NO_COLOR", "1")
	t.Setenv("CLICOLOR_FORCE", "1")
	if s := newStyles(os.Stdout, false); strings.Contains(s.bad.Render("x"), "\x1b[") {
		t.Errorf("NO_COLOR is not obeyed: %q", s.bad.Render("x"))
	}
}

// Commands run side by side: what was begun earlier may come later, and does not count any more.
func TestLateComers(t *testing.T) {
	t.Run("an older state of the answers", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "answers.yaml")
		document := func(organization string) *answers.Document {
			d, err := answers.NewDocument(path, []byte("organization: "+organization+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		s := &saver{}
		for _, step := range []struct {
			edits      int
			name, want string
		}{{2, "Second", "Second"}, {1, "First", "Second"}, {2, "Again", "Second"}, {3, "Third", "Third"}} {
			if err := s.save(document(step.name), step.edits, path); err != nil {
				t.Fatal(err)
			}
			if data, err := os.ReadFile(path); err != nil || !strings.Contains(string(data), step.want) {
				t.Errorf("after %s: %v: %s", step.name, err, data)
			}
		}
	})
	t.Run("the end and the events of an earlier run", func(t *testing.T) {
		m := newModel(t.Context(), Options{Out: io.Discard, NoColor: true})
		ended := false
		m.run = &running{number: 2, stage: stage.Check, cancel: func() { ended = true }}
		m.Update(finished{run: 1, stage: stage.Check})
		m.Update(happened{1, observe.Waiting{What: "the first run"}})
		if m.run == nil || ended || m.run.waiting != "" {
			t.Errorf("run %+v, ended %t", m.run, ended)
		}
		m.Update(happened{2, observe.Waiting{What: "the second run"}})
		if m.run.waiting != "the second run" {
			t.Errorf("waiting for %q", m.run.waiting)
		}
		m.Update(finished{run: 2, stage: stage.Check})
		if m.run != nil || !ended {
			t.Errorf("run %+v, ended %t", m.run, ended)
		}
	})
}

// After an apply the plan is spent: what is live is no longer what it was made from.
func TestSpentPlan(t *testing.T) {
	tm, m := sit(t, 100, 30, valid, newFake())
	walk(t, tm, append(toConfirm, step{"y", "FAILED"}, step{"<esc>", "apply ..."}))
	window(t, tm)
	if m.runs != 4 {
		t.Errorf("%d runs, want check, plan, apply and plan", m.runs)
	}
}

// What servers say of a change does not drive the terminal.
func TestApplyErrorsAreCleaned(t *testing.T) {
	engine := newFake()
	engine.apply[1].Error = "refused \x1b]0;gotcha\x07\x1b[2Jby policy"
	tm, m := sit(t, 100, 30, valid, engine)
	walk(t, tm, append(toConfirm, step{"y", "FAILED"}))
	window(t, tm)
	if text := m.View(); strings.ContainsAny(text, "\x1b\x07") || !strings.Contains(text, "by policy") {
		t.Errorf("%q", text)
	}
}

// From the question whether to apply there are ways back, and nothing is applied by taking one.
func TestConfirmBack(t *testing.T) {
	m := newModel(t.Context(), Options{Out: io.Discard, NoColor: true})
	for _, key := range []tea.KeyMsg{named["esc"], {Type: tea.KeyRunes, Runes: []rune{'n'}}, named["enter"]} {
		m.plan.plan, m.screen = &newFake().plan, m.confirm
		if cmd := m.key(key); cmd != nil || m.run != nil || (m.screen == screen(m.plan)) != (key.Type != tea.KeyEnter) {
			t.Errorf("%s: run %v, at %s", key, m.run, m.screen.stage())
		}
	}
}

// Letters are text while text is typed.
func TestLettersOfKeys(t *testing.T) {
	m := newModel(t.Context(), Options{Out: io.Discard, NoColor: true})
	d, err := answers.NewDocument("a", []byte(valid))
	if err != nil {
		t.Fatal(err)
	}
	m.document = d
	m.form.open(m)
	m.screen = m.form
	for _, letter := range "q?" {
		if cmd := m.key(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{letter}}); cmd != nil || m.helping {
			t.Errorf("%q is a key", letter)
		}
	}
	m.screen = m.start
	if cmd := m.key(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{'q'}}); cmd == nil {
		t.Error("q does not leave")
	}
}

// An apply is whole when nothing failed and nothing is left to do.
func TestWhole(t *testing.T) {
	for _, test := range []struct {
		report *apply.Report
		err    error
		want   bool
	}{
		{nil, nil, false},
		{&apply.Report{Summary: apply.Summary{Done: 2, Skipped: 1}}, nil, true},
		{&apply.Report{Summary: apply.Summary{Done: 1, Failed: 1}}, nil, false},
		{&apply.Report{Summary: apply.Summary{Done: 1, Pending: 1}}, nil, false},
		{&apply.Report{Summary: apply.Summary{Done: 1}}, errors.New("x"), false},
	} {
		if got := (&applyScreen{report: test.report, err: test.err}).whole(); got != test.want {
			t.Errorf("%+v, %v: %t", test.report, test.err, got)
		}
	}
}

// TestInputView: of a long line the part before the cursor is in view, as wide as there is room, whatever it is made of.
func TestInputView(t *testing.T) {
	for text, want := range map[string]string{
		"":                                " ",
		"short":                           "short ",
		strings.Repeat("a", 4096) + "end": "aaaaend ",
		strings.Repeat("株", 4096) + "x":   "株株株x ",
	} {
		in := newInput(text)
		if got := ansi.Strip(in.render(styles{}, 10, false)); got != want {
			t.Errorf("%.20q: %q, want %q", text, got, want)
		}
	}
	in := newInput("0123456789abcdef")
	in.cursor = 2
	if got := ansi.Strip(in.render(styles{}, 10, false)); got != "012345678…" {
		t.Errorf("cursor at 2: %q", got)
	}
}
