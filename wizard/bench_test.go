package wizard

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// This file is what the tests of all screens use. A test of one screen opens it with open; only
// walk_test.go goes the whole way.

// update reports whether golden files are to be rewritten (-update, a flag that teatest brings).
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
	asks   bool     // for a password, during Check
	stuck  stage.ID // this stage waits for its context, or, with deaf, for ever
	deaf   bool
	// signsIn is the code that Check shows; the person has signed in when signed is closed.
	signsIn *deployment.SignIn
	signed  chan struct{}

	locked bool            // Apply is refused
	begins <-chan struct{} // when not nil, each change of Apply waits for it before it asks to begin

	person  Person // of the last opening
	content bool   // a stage that is cut off gives what it has, without an error
	closed  int

	objections []check.Result // of the checks before Apply
	found      deployment.Found
	undone     string // the run that was rolled back

	asksInApply bool   // for a password
	given       string // that password

	tried         []deployment.Access
	answers       map[string][]msg.Text // of Try, by section
	refuses       map[string]error
	asked         deployment.TestOptions // of the last Test
	allowedDelete bool                   // of the last Apply
	accepted      []string
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

// Try says what each access gives.
func (f *fake) Try(ctx context.Context, at deployment.Access, obs observe.Observer) ([]msg.Text, error) {
	obs.Observe(observe.Started{Stage: "access"})
	f.tried = append(f.tried, at)
	if err := f.wait(ctx, "access"); err != nil {
		return nil, err
	}
	return f.answers[at.Section], f.refuses[at.Section]
}

// Discover asks for the password of an account, as a directory does.
func (f *fake) Discover(ctx context.Context, obs observe.Observer) (deployment.Found, error) {
	obs.Observe(observe.Started{Stage: "discover", Total: 2})
	if f.asks {
		if _, err := f.person.Prompt(ctx, "password of svc@contoso.com"); err != nil {
			return deployment.Found{}, err
		}
	}
	return f.found, f.wait(ctx, "discover")
}

func (f *fake) Check(ctx context.Context, obs observe.Observer) (check.Report, error) {
	obs.Observe(observe.Started{Stage: "check", Total: len(f.checks)})
	if f.signsIn != nil {
		if err := f.signIn(ctx); err != nil {
			return check.Report{}, err
		}
	}
	if f.asks {
		f.person.Say("open https://microsoft.com/devicelogin and enter \x1b[1mABC123")
		v, err := f.person.Prompt(ctx, "password of svc@contoso.com")
		if err == nil && v.Reveal() != "Hunter2 q?" {
			err = fmt.Errorf("wrong password of length %d", len(v.Reveal()))
		}
		if err != nil {
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

// checked, applied and tested are the reports of a stage that was not cut off.
func (f *fake) checked() check.Report {
	r, _ := f.Check(context.Background(), observe.Func(func(observe.Event) {}))
	return r
}

func (f *fake) applied() apply.Report {
	r, _ := f.Apply(context.Background(), f.plan, apply.Options{}, observe.Func(func(observe.Event) {}))
	return r
}

func (f *fake) tested() freebusy.Report {
	r, _ := f.Test(context.Background(), deployment.TestOptions{}, observe.Func(func(observe.Event) {}))
	return r
}

func (f *fake) Plan(ctx context.Context, obs observe.Observer) (change.Plan, error) {
	obs.Observe(observe.Started{Stage: "plan"})
	obs.Observe(observe.Warning{Text: "fabrikam has no Edge\x1b[31m server"})
	return f.plan, f.wait(ctx, stage.Plan)
}

func (f *fake) signIn(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := *f.signsIn
	s.GiveUp = func() { cancel(errGivenUp) }
	defer f.person.SignIn(s)()
	select {
	case <-f.signed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

var errGivenUp = errors.New("the sign-in was given up")

// CheckAgain gives the results of one check, after again has changed them.
func (f *fake) CheckAgain(ctx context.Context, id check.ID, obs observe.Observer) (check.Report, error) {
	obs.Observe(observe.Started{Stage: "check", Total: 1})
	var r check.Report
	for _, c := range f.checks {
		if c.ID == id {
			obs.Observe(c)
			r.Results = append(r.Results, c)
		}
	}
	return r, f.wait(ctx, "again")
}

func (f *fake) Recheck(ctx context.Context, _ change.Plan, obs observe.Observer) (check.Report, error) {
	obs.Observe(observe.Started{Stage: "check", Total: len(f.objections)})
	for _, r := range f.objections {
		obs.Observe(r)
	}
	return check.Report{Results: f.objections}, f.wait(ctx, "recheck")
}

func (f *fake) Apply(ctx context.Context, p change.Plan, o apply.Options, obs observe.Observer) (apply.Report, error) {
	f.allowedDelete = slices.Contains(o.Accept, apply.AcceptRemovals)
	f.accepted = o.Accept
	if f.locked {
		return apply.Report{}, apply.ErrLocked
	}
	obs.Observe(observe.Started{Stage: "apply", Total: len(p.Changes)})
	if f.asksInApply {
		v, err := f.person.Prompt(ctx, "password of svc@contoso.com")
		if err != nil {
			return apply.Report{}, err
		}
		f.given = v.Reveal()
	}
	r := apply.Report{RunID: "r1", Journal: "state/journal-r1.jsonl"}
	proceed := o.Proceed
	var stopped error
	for i, o := range f.apply {
		if f.begins != nil {
			<-f.begins
		}
		if proceed != nil && stopped == nil {
			stopped = proceed(ctx)
		}
		if stopped != nil {
			o.Status, o.Error = apply.Pending, stopped.Error()
		}
		r.Changes = append(r.Changes, o)
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
	if stopped != nil {
		return r, stopped
	}
	return r, f.wait(ctx, stage.Apply)
}

func (f *fake) Test(ctx context.Context, o deployment.TestOptions, obs observe.Observer) (freebusy.Report, error) {
	f.asked = o
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

func (f *fake) PreviewRollback(_ context.Context, run string, _ apply.Options, _ observe.Observer) (apply.Undo, error) {
	return apply.Undo{RunID: run, Changes: f.plan.Changes, Summary: f.plan.Summary}, nil
}

func (f *fake) Rollback(ctx context.Context, run string, o apply.Options, obs observe.Observer) (apply.Report, error) {
	f.undone = run
	return f.Apply(ctx, f.plan, o, obs)
}

func (f *fake) Close(context.Context) error { f.closed++; return nil }

func newFake() *fake {
	f := &fake{
		checks: []check.Result{
			{ID: "directory.reachable", Title: "Directory answers", Scope: "contoso", Status: check.StatusPass,
				Summary: msg.Plain("dc1.contoso.com answers")},
			{ID: "directory.upn-matches-primary", Title: "User principal names equal primary SMTP addresses",
				Scope: "fabrikam", Status: check.StatusFail,
				Summary: msg.Plain("203 of 10,000 users sign in with a name that is not their primary SMTP " +
					"address, first: r.neri@fabrikam.example (primary ricarda.neri@fabrikam.example)"),
				Detail: msg.Plain("Cross-premises lookups and sign-in go by the address; these users will see no " +
					"free/busy."),
				Remedy: check.Remedy{Text: msg.Plain("correct userPrincipalName or the primary address"),
					Commands: []string{"hybridge check --only directory.upn-matches-primary"}, Docs: "hybridge " +
						"help directory.upn-matches-primary"}},
			{ID: "certificates.transport", Title: "Transport certificate", Scope: "contoso", Status: check.StatusWarn,
				Summary: msg.Plain("expires in 20 days \x1b[2J\x07and says so")},
			{ID: "exchange.rights", Title: "Cmdlet rights", Scope: "fabrikam", Status: check.StatusError,
				Summary: msg.Plain("fabrikam: connect to ex1.fabrikam.example: server not " +
					"reachable"), Cause: errBlocked},
			{ID: "exchange.version", Title: "Exchange version", Scope: "fabrikam", Status: check.StatusError,
				Summary: msg.Plain("connect to ex1.fabrikam.example: server not reachable"), Cause: errBlocked},
			{ID: "dns.tenant-txt", Title: "DNS TXT", Scope: "organization", Status: check.StatusSkip,
				Summary: msg.Plain("needs dns.resolver")},
		},
		plan: change.Plan{
			Summary: change.Summary{Create: 1, Update: 1, Unchanged: 4},
			Changes: []change.Change{
				{ID: "onprem/contoso/IntraOrganizationConnector/x", Target: "onprem/contoso",
					Kind: "IntraOrganizationConnector", Name: "HybridIOC - contoso", Action: change.Create,
					Reason: msg.Plain("lookups from contoso to the cloud go through it"), Risk: "an enabled " +
						"connector has no fallback to the organization relationship",
					After: change.Properties{"Enabled": true,
						"TargetAddressDomains": []string{"contoso.mail.onmicrosoft.com"},
						"DiscoveryEndpoint":    "https://autodiscover-s.outlook.com/autodiscover/autodiscover.svc"}},
				{ID: "online/OrganizationRelationship/y", Target: "online", Kind: "OrganizationRelationship",
					Name: "O365 to On-premises", Action: change.Update,
					Reason: msg.Plain("MailTips are asked for"),
					Before: change.Properties{"MailTipsAccessEnabled": false, "DomainNames": []string{"contoso.com"}},
					After: change.Properties{"MailTipsAccessEnabled": true,
						"DomainNames": []string{"contoso.com", "fabrikam.example"}}},
			},
		},
		cells: []freebusy.Answer{
			{From: "anna@contoso.com", To: "bob@contoso.com", Direction: "contoso -> online", Probe: "ews",
				Status: freebusy.OK, LatencyMS: 120},
			{From: "bob@contoso.com", To: "anna@contoso.com", Direction: "online -> contoso", Probe: "graph",
				Status: freebusy.OK, LatencyMS: 340},
			{From: "gina@fabrikam.example", To: "bob@contoso.com", Direction: "fabrikam -> online", Probe: "ews",
				Status: freebusy.Failed, LatencyMS: 90,
				Route: []string{"intra-organization connector HybridIOC - fabrikam",
					"autodiscover https://autodiscover-s.outlook.com/autodiscover/autodiscover.svc"},
				Error: "The caller has not assigned any of the RBAC " +
					"roles\x1b]0;gotcha\x07", Diagnosis: []freebusy.Diagnosis{{ID: "oauth.partner-application-disabled",
					Confidence: 0.8}}},
			{From: "bob@contoso.com", To: "gina@fabrikam.example", Direction: "online -> fabrikam", Probe: "graph",
				Status: freebusy.Unknown, LatencyMS: 30000, Error: "graph.microsoft.com: time limit"},
		},
	}
	for i, c := range f.plan.Changes {
		o := apply.Outcome{ID: c.ID, Target: c.Target, Kind: c.Kind, Name: c.Name, Action: c.Action, Status: apply.Done}
		if i == 1 {
			o.Status, o.Error = apply.Failed, "online: Set-OrganizationRelationship: access refused: the role "+
				"Organization Sharing is missing"
		}
		f.apply = append(f.apply, o)
	}
	return f
}

var errBlocked = errors.New("server not reachable")

// passes says how a walk passes each screen: what it shows when it is done, and the keys that lead
// on. The test of a screen adds its own.
var passes = map[string]step{}

// pass adds a screen to the walk. A screen that a walk with answers does not meet shows "".
func pass[S screen](shows, keys string) bool {
	var s S
	passes[fmt.Sprintf("%T", s)] = step{keys: keys, until: shows}
	return true
}

// onTheWay are the passes of all screens, in their sequence.
func onTheWay(t *testing.T) []step {
	t.Helper()
	var way []step
	for _, s := range screens() {
		p, known := passes[fmt.Sprintf("%T", s)]
		if !known {
			t.Fatalf("the test of %T does not say how a walk passes it", s)
		}
		if p.until != "" {
			way = append(way, p)
		}
	}
	return way
}

// neighbours are the screens that the tests of single screens count on, so that another screen on
// the way changes none of them.
func neighbours() []screen {
	return []screen{
		&scenarioScreen{}, &formScreen{}, &reviewScreen{}, &checkScreen{}, &planScreen{}, &confirmScreen{},
		&applyScreen{}, &testScreen{},
	}
}

// bench is a wizard whose messages the test hands over one by one.
type bench struct {
	*testing.T
	m        *model
	messages chan tea.Msg
	commands sync.WaitGroup // that run
	quit     bool
	end      func() // lets the commands that run come to their end
}

// seated is the bench that sits in the working directory; there is only one.
var seated *bench

// wizardOn makes a wizard on a file of the given text; with "", there is none.
func wizardOn(t *testing.T, file string, engine *fake) *model {
	t.Helper()
	t.Chdir(t.TempDir())
	path := "answers.yaml" // short, and of one length wherever the tests run
	if file != "" {
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return newModel(ctx, Options{
		Out: io.Discard, Path: path, NoColor: true, now: func() time.Time { return time.Unix(0, 0) },
		Hint: func(err error) string {
			if errors.Is(err, errBlocked) {
				return "check name, port and firewall"
			}
			return ""
		},
		Open: func(_ context.Context, _ answers.Answers, p Person) (stage.Engine, error) {
			engine.person = p
			return engine, nil
		},
	})
}

// sit starts the wizard in a window.
func sit(t *testing.T, width, height int, file string, engine *fake) *bench {
	t.Helper()
	if seated != nil {
		seated.end() // a late command would write into the next bench's directory
	}
	b := &bench{T: t, m: wizardOn(t, file, engine), messages: make(chan tea.Msg, 100)}
	seated = b
	b.m.way = neighbours()
	b.m.screen = b.m.way[0]
	ctx, cancel := context.WithCancel(b.m.ctx)
	b.m.ctx = ctx
	b.end = sync.OnceFunc(func() {
		cancel()
		if engine.deaf {
			return
		}
		done := make(chan struct{})
		go func() { b.commands.Wait(); close(done) }()
		for {
			select {
			case <-b.messages:
			case <-done:
				return
			}
		}
	})
	t.Cleanup(b.end)
	b.run(b.m.Init())
	b.send(tea.WindowSizeMsg{Width: width, Height: height})
	return b
}

// given is what a screen is opened with.
type given struct {
	engine  *fake  // newFake when nil
	file    string // valid when ""
	outcome stage.Outcome
	result  any // of the screen's run, when it is over
	err     error
	events  []observe.Event
}

// open opens one screen with data, in a window of 80x24.
func open[S screen](t *testing.T, g given) (*bench, S) {
	t.Helper()
	if g.engine == nil {
		g.engine = newFake()
	}
	if g.file == "" {
		g.file = valid
	}
	b := sit(t, 80, 24, g.file, g.engine)
	b.until("These are the answers")
	m := b.m
	var none S
	if screen(find[S](m)) == screen(none) { // it is none of the neighbours
		m.way = screens()
	}
	s := find[S](m)
	m.outcome, m.opened, m.screen = g.outcome, string(m.document.Bytes()), s
	switch {
	case g.result != nil || g.err != nil || len(g.events) > 0:
		for _, e := range g.events {
			s.observe(e)
		}
		s.end(m, g.result, g.err)
	default:
		b.run(s.enter(m))
	}
	return b, s
}

// run runs a command as the program would.
func (b *bench) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	b.commands.Go(func() {
		switch msg := cmd().(type) {
		case nil:
		case tea.BatchMsg:
			for _, each := range msg {
				b.run(each)
			}
		default:
			b.messages <- msg
		}
	})
}

func (b *bench) send(msg tea.Msg) {
	if _, ok := msg.(tea.QuitMsg); ok {
		b.quit = true
		return
	}
	_, cmd := b.m.Update(msg)
	b.run(cmd)
}

// until hands over messages until something holds.
func (b *bench) wait(what string, holds func() bool) {
	b.Helper()
	limit := time.After(20 * time.Second)
	for !holds() {
		select {
		case msg := <-b.messages:
			b.send(msg)
		case <-limit:
			b.Fatalf("%s, it shows:\n%s", what, b.m.View())
		}
	}
}

func (b *bench) until(text string) {
	b.Helper()
	b.wait(fmt.Sprintf("never showed %q", text), func() bool { return strings.Contains(b.m.View(), text) })
}

// left waits until the program ends.
func (b *bench) left() {
	b.Helper()
	b.wait("did not leave", func() bool { return b.quit })
}

// step presses keys and waits until the window shows a text. Keys are names in <>, the rest is
// typed.
type step struct{ keys, until string }

func (b *bench) walk(steps ...step) {
	b.Helper()
	for _, s := range steps {
		b.press(s.keys)
		b.until(s.until)
	}
}

var named = map[string]tea.KeyMsg{
	"enter": {Type: tea.KeyEnter}, "esc": {Type: tea.KeyEsc}, "up": {Type: tea.KeyUp}, "down": {Type: tea.KeyDown},
	"left": {Type: tea.KeyLeft}, "right": {Type: tea.KeyRight},
	"pgdown": {Type: tea.KeyPgDown}, "pgup": {Type: tea.KeyPgUp}, "ctrl+s": {Type: tea.KeyCtrlS},
	"ctrl+c": {Type: tea.KeyCtrlC}, "ctrl+n": {Type: tea.KeyCtrlN}, "ctrl+d": {Type: tea.KeyCtrlD}, "ctrl+t": {Type: tea.KeyCtrlT}, "ctrl+k": {Type: tea.KeyCtrlK}, "tab": {Type: tea.KeyTab},
	"ctrl+u": {Type: tea.KeyCtrlU}, "space": {Type: tea.KeySpace,
		Runes: []rune{' '}}, "f1": {Type: tea.KeyF1}, "backspace": {Type: tea.KeyBackspace},
	"home": {Type: tea.KeyHome}, "end": {Type: tea.KeyEnd},
}

// keysOf takes a text of keys apart.
func keysOf(t *testing.T, keys string) []tea.KeyMsg {
	t.Helper()
	var list []tea.KeyMsg
	for keys != "" {
		if end := strings.IndexByte(keys, '>'); keys[0] == '<' && end > 0 {
			k, ok := named[keys[1:end]]
			if !ok {
				t.Fatalf("no key %s", keys[:end+1])
			}
			list = append(list, k)
			keys = keys[end+1:]
			continue
		}
		r, size := utf8.DecodeRuneInString(keys)
		list = append(list, tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}})
		keys = keys[size:]
	}
	return list
}

func (b *bench) press(keys string) {
	b.Helper()
	for _, k := range keysOf(b.T, keys) {
		b.send(k)
	}
}
