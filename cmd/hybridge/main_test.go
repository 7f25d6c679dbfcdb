package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hybridge": main, "hybridge-broken": mainBroken,
		"hybridge-fleet": mainFleet})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Setup: func(e *testscript.Env) error {
		e.Setenv("HOME", e.WorkDir)
		return os.WriteFile(filepath.Join(e.WorkDir, "answers.yaml"), []byte(answersFile), 0o600)
	}, Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits}})
}

// exits is the script command "exits CODE COMMAND [ARG ...]".
func exits(ts *testscript.TestScript, _ bool, args []string) {
	code := 0
	err := ts.Exec(args[1], args[2:]...)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit %d, want %s", code, args[0])
	}
}

const answersFile = `apiVersion: hybridge/v1
kind: Answers
organization: Contoso
exchangeOnline:
  cloud: worldwide
  tenant: contoso.onmicrosoft.com
  credential: {kind: deviceCode}
forests:
  - name: contoso
    directory: {servers: [dc1.contoso.com], bind: {kind: kerberos}}
    exchange: {server: ex1.contoso.com, credential: {kind: kerberos}}
    namespace: {autodiscover: autodiscover.contoso.com, ews: mail.contoso.com, smtp: mail.contoso.com}
    domains: [contoso.com]
`

// notes guards what a scripted deployment notes: the members of a fleet share one.
var notes sync.Mutex

// scripted is a deployment whose every answer a test gives.
type scripted struct {
	drift      apply.Drift
	check      check.Report
	recheck    check.Report
	plan       change.Plan
	apply      apply.Report
	test       freebusy.Report
	err        error
	wait       bool   // until the context ends
	begun      func() // called before it waits
	called     []string
	options    deployment.Options
	applied    apply.Options
	closed     bool
	noticed    [][]report.Outcome // per call of Notify
	unnotified error
	rotation   deployment.Rotation
	rechecks   func() error // instead of the end of the context
}

func (s *scripted) opened(o deployment.Options) {
	notes.Lock()
	defer notes.Unlock()
	s.options = o
}

func (s *scripted) note(name string) {
	notes.Lock()
	defer notes.Unlock()
	s.called = append(s.called, name)
}

func (s *scripted) call(ctx context.Context, name string, obs observe.Observer) error {
	s.note(name)
	obs.Observe(observe.Progress{Stage: name, Done: 0, Total: 1, Text: "at work"})
	if s.wait {
		if s.begun != nil {
			s.begun()
		}
		<-ctx.Done()
		return ctx.Err()
	}
	return s.err
}

func (s *scripted) Check(ctx context.Context, obs observe.Observer) (check.Report, error) {
	return s.check, s.call(ctx, "check", obs)
}

func (s *scripted) CheckAgain(ctx context.Context, id check.ID, obs observe.Observer) (check.Report, error) {
	return s.check, s.call(ctx, "check "+string(id), obs)
}

func (s *scripted) Try(ctx context.Context, at deployment.Access, obs observe.Observer) ([]msg.Text, error) {
	return nil, s.call(ctx, "try "+at.Section, obs)
}

func (s *scripted) Plan(ctx context.Context, obs observe.Observer) (change.Plan, error) {
	return s.plan, s.call(ctx, "plan", obs)
}

func (s *scripted) Recheck(ctx context.Context, _ change.Plan, obs observe.Observer) (check.Report, error) {
	s.note("recheck")
	obs.Observe(observe.Started{Stage: "check"})
	if s.rechecks != nil {
		return s.recheck, s.rechecks()
	}
	return s.recheck, ctx.Err()
}

func (s *scripted) Scripts(_ context.Context, p change.Plan) ([]deployment.Script, error) {
	if len(p.Changes) == 0 {
		return nil, nil // a deployment without Edge servers
	}
	content := []byte("hybridge plan " + p.Digest)
	return []deployment.Script{
		{Name: "01-entra.ps1", Role: "entra", Content: content},
		{Name: "02-online.ps1", Role: "exchange", Content: content},
		{Name: "rollback/02-online.ps1", Role: "exchange", Rollback: true, Content: content},
		{Name: "rollback/01-entra.ps1", Role: "entra", Rollback: true, Content: content},
	}, nil
}

func (s *scripted) Runbook(_ context.Context, p change.Plan, role string) ([]byte, error) {
	return []byte(role + " hybridge plan " + p.Digest), nil
}

func (s *scripted) Rotate(ctx context.Context, r deployment.Rotation, obs observe.Observer) (change.Plan, error) {
	s.rotation = r
	return s.plan, s.call(ctx, "rotate "+r.Auth, obs)
}

func (s *scripted) Collect(ctx context.Context, obs observe.Observer) (deployment.Snapshot, error) {
	return deployment.Snapshot{APIVersion: "hybridge/v1", Kind: "Snapshot", TakenAt: time.Unix(1, 0).UTC()},
		s.call(ctx, "collect", obs)
}

func (s *scripted) Drift(ctx context.Context, obs observe.Observer) (apply.Drift, error) {
	return s.drift, s.call(ctx, "drift", obs)
}

func (s *scripted) Apply(ctx context.Context, _ change.Plan, o apply.Options, obs observe.Observer) (apply.Report,
	error) {
	s.applied = o
	return s.apply, s.call(ctx, "apply", obs)
}

func (s *scripted) Rollback(ctx context.Context, run string, o apply.Options, obs observe.Observer) (apply.Report,
	error) {
	s.applied = o
	return s.apply, s.call(ctx, "rollback "+run, obs)
}

func (s *scripted) Discover(context.Context, observe.Observer) (deployment.Found, error) {
	return deployment.Found{}, nil
}

func (s *scripted) PreviewRollback(
	ctx context.Context, run string, _ apply.Options, obs observe.Observer,
) (apply.Undo, error) {
	previewed := run
	if run == "" {
		previewed = "newest"
	}
	return apply.Undo{APIVersion: "hybridge/v1", Kind: "RollbackPlan", RunID: previewed, Changes: s.plan.Changes,
			Summary: s.plan.Summary},
		s.call(ctx, strings.TrimSpace("preview "+run), obs)
}

func (s *scripted) Test(ctx context.Context, o deployment.TestOptions, obs observe.Observer) (freebusy.Report, error) {
	return s.test, s.call(ctx, strings.TrimSpace("test "+o.From+" "+o.To), obs)
}

func (s *scripted) Notify(ctx context.Context, _ report.About, seen []report.Outcome) error {
	notes.Lock()
	defer notes.Unlock()
	if ctx.Err() != nil {
		return ctx.Err() // no message leaves
	}
	s.noticed = append(s.noticed, seen)
	return s.unnotified
}

func (s *scripted) Validate(ctx context.Context, o deployment.ValidateOptions, obs observe.Observer) (
	deployment.Validation, error) {
	err := s.call(ctx, strings.Join(strings.Fields("validate "+o.Subject+" "+o.From+" "+o.To+" "+o.User+o.Domain), " "),
		obs)
	v := deployment.Validation{APIVersion: "hybridge/v1", Kind: "ValidateReport", Subject: o.Subject,
		Summary: s.test.Summary, Matrix: s.test.Matrix, Verdict: deployment.Verdict{Status: deployment.OK,
			Text: msg.Plain("it works")}}
	for _, a := range v.Matrix {
		v.Verdict.Status = a.Status
	}
	if o.Subject == "" {
		v.Checks = &s.check
	}
	if v.Matrix == nil {
		v.Matrix = []freebusy.Answer{}
	}
	return v, err
}

func (s *scripted) Close(context.Context) error {
	notes.Lock()
	defer notes.Unlock()
	s.closed = true
	return nil
}

var thingKind = &change.Kind{
	Noun: "Thing", Properties: map[string]change.Property{"Key": {Write: change.Key}},
	Command: func(a change.Action, _ string, _ change.Properties, _ *change.Live) (change.Command, error) {
		return change.Command{Name: map[change.Action]string{change.Create: "New-Thing",
			change.Delete: "Remove-Thing"}[a]}, nil
	},
}

// onePlan is a plan of one creation, made by the engine itself.
func onePlan(t *testing.T) change.Plan {
	t.Helper()
	k := thingKind
	p, err := change.Make(t.Context(), map[string]change.Place{"online": nothing{}}, []change.Resource{
		{Kind: k, Target: "online", Key: "a", Name: "a", Properties: change.Properties{"Key": "a"}},
	}, change.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ranOnce returns the state directory of one run, which failed.
func ranOnce(t *testing.T) string {
	t.Helper()
	state := t.TempDir()
	_, err := apply.Run(t.Context(), map[string]change.Place{"online": nothing{}},
		map[string]*change.Kind{"Thing": thingKind}, onePlan(t), apply.Options{StateDir: state, Wait: 1}, nil)
	if !errors.Is(err, apply.ErrPartial) {
		t.Fatal(err)
	}
	return state
}

type nothing struct{}

func (nothing) Read(context.Context, *change.Kind) ([]change.Live, error) { return nil, nil }
func (nothing) Run(context.Context, change.Command) (change.Properties, error) {
	return nil, errors.ErrUnsupported
}

func checked(results ...check.Result) check.Report {
	return check.Report{APIVersion: "hybridge/v1", Kind: "CheckReport", Summary: check.Count(results), Results: results}
}

func tested(status freebusy.Status) freebusy.Report {
	r := freebusy.Report{APIVersion: "hybridge/v1", Kind: "TestReport",
		Matrix: []freebusy.Answer{{From: "a@x", To: "b@y", Direction: "x -> y", Probe: "ews", Status: status}}}
	switch status {
	case freebusy.OK:
		r.Summary.OK = 1
	case freebusy.Failed:
		r.Summary.Failed = 1
	case freebusy.Unknown:
		r.Summary.Unknown = 1
	case freebusy.Pending:
		r.Summary.Pending = 1
	}
	return r
}

type result struct {
	code        int
	out, errout string
}

func execute(t *testing.T, s *scripted, stdin string, args ...string) result {
	t.Helper()
	return executeIn(t.Context(), t, s, stdin, args...)
}

// executeOn is execute on a terminal, with an answers file.
func executeOn(ctx context.Context, t *testing.T, s *scripted, args ...string) result {
	t.Helper()
	file := filepath.Join(t.TempDir(), "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errout bytes.Buffer
	home := t.TempDir()
	io := streams{In: strings.NewReader(""), Out: &out, Err: &errout, OutTTY: true, Width: 100, Height: 30,
		Env: func(name string) string {
			return map[string]string{"HOME": home, "LocalAppData": home, "TERM": "xterm", "WT_SESSION": "1"}[name]
		}}
	code := runIn(ctx, append(args, "-f", file), io, func(answers.Answers, deployment.Options) (deployed, error) {
		return s, nil
	})
	return result{code, out.String(), errout.String()}
}

func executeIn(ctx context.Context, t *testing.T, s *scripted, stdin string, args ...string) result {
	t.Helper()
	var out, errout bytes.Buffer
	home := t.TempDir()
	io := streams{In: strings.NewReader(stdin), Out: &out, Err: &errout, Env: func(name string) string {
		return map[string]string{"HOME": home, "LocalAppData": home}[name]
	}}
	code := runIn(ctx, args, io, func(_ answers.Answers, o deployment.Options) (deployed, error) {
		s.opened(o)
		return s, nil
	})
	return result{code, out.String(), errout.String()}
}

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	plan := onePlan(t)
	planFile := filepath.Join(dir, "plan.json")
	if err := os.WriteFile(planFile, plan.Encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	pass := check.Result{ID: "a.b", Status: check.StatusPass, Severity: check.Fail}
	fail := check.Result{ID: "a.c", Status: check.StatusFail, Summary: msg.Plain("broken"), Severity: check.Fail}
	blind := check.Result{ID: "a.d", Status: check.StatusError, Summary: msg.Plain("unknown"), Severity: check.Fail}
	minor := check.Result{ID: "a.e", Status: check.StatusError, Summary: msg.Plain("unknown"), Severity: check.Warn}
	right := check.Result{ID: "access.online-write", Category: "access", Status: check.StatusWarn, Severity: check.Warn}
	denied := blind
	denied.Cause = fmt.Errorf("sign in: %w", link.ErrAccess)
	refused := tested(freebusy.Unknown)
	refused.Matrix[0].Cause = denied.Cause
	done := apply.Report{Kind: "ApplyReport", RunID: "r", Summary: apply.Summary{Done: 1},
		Changes: []apply.Outcome{{ID: "online/Thing/a", Status: apply.Done}}}

	tests := []struct {
		name string
		s    scripted
		args []string
		code int
		want []string // in what is said aside
	}{
		{"check", scripted{check: checked(pass)}, []string{"check"}, 0, nil},
		{"check fails", scripted{check: checked(pass, fail, minor)}, []string{"check"}, 3, nil},
		{"check fails and is blind", scripted{check: checked(pass, fail, blind)}, []string{"check"}, 9, nil},
		{"check blind", scripted{check: checked(pass, blind)}, []string{"check"}, 9, nil},
		{"check blind in what only warns", scripted{check: checked(pass, minor)}, []string{"check"}, 0, nil},
		{"check denied", scripted{check: checked(fail, denied)}, []string{"check"}, 4,
			[]string{"hint: check the user name"}},
		{"check in an unknown format", scripted{}, []string{"check", "-o", "yaml"}, 2,
			[]string{"--output yaml", strings.Join(report.Names(measured|report.Events),
				", ")}},
		{"plan", scripted{plan: plan}, []string{"plan"}, 0, nil},
		{"plan, pending", scripted{plan: plan}, []string{"plan", "--detailed-exitcode"}, 5, nil},
		{"plan, nothing pending", scripted{}, []string{"plan", "--detailed-exitcode"}, 0, nil},
		{"plan on the unknown", scripted{err: fmt.Errorf("x: %w", change.ErrUnreadable)}, []string{"plan"}, 9,
			[]string{"error: x: cannot be read", "hint: "}},
		{"unreachable", scripted{err: fmt.Errorf("x: %w", link.ErrUnreachable)}, []string{"plan"}, 9,
			[]string{"network.connectTo"}},
		{"untrusted", scripted{err: fmt.Errorf("x: %w", link.ErrUntrusted)}, []string{"plan"}, 9,
			[]string{"network.caFile"}},
		{"throttled", scripted{err: fmt.Errorf("x: %w", exchange.ErrThrottled)}, []string{"plan"}, 9,
			[]string{"within 15 minutes"}},
		{"access", scripted{err: fmt.Errorf("x: %w", link.ErrAccess)}, []string{"plan"}, 4, nil},
		{"nobody to ask for a secret", scripted{err: secret.ErrNobodyToAsk}, []string{"plan"}, 2, nil},
		{"anything else", scripted{err: errors.New("b\x1b[2Jang")}, []string{"plan"}, 1,
			[]string{`error: b\u001b[2Jang`}},
		{"apply, nobody to ask", scripted{plan: plan}, []string{"apply"}, 2, []string{"--yes"}},
		{"apply", scripted{plan: plan, apply: done}, []string{"apply", "--yes"}, 0, nil},
		{"apply a file", scripted{apply: done}, []string{"apply", planFile, "--yes"}, 0, nil},
		{"apply no plan", scripted{}, []string{"apply", file, "--yes"}, 2, []string{"not a usable plan"}},
		{"apply what is not there", scripted{}, []string{"apply", planFile + "x", "--yes"}, 2,
			[]string{"plan.jsonx", "make one with: hybridge plan --out"}},
		{"answers as an argument", scripted{}, []string{"check", "answers.yaml"}, 2,
			[]string{`hybridge check does not take "answers.yaml"; the answers file is named with -f`}},
		{"one argument too many", scripted{}, []string{"apply", planFile, "answers.yaml"}, 2,
			[]string{`does not take "answers.yaml"`}},
		{"plan to nowhere", scripted{plan: plan}, []string{"plan", "--out", filepath.Join(dir, "nowhere", "p.json")}, 2,
			[]string{"--out: write " + filepath.Join(dir, "nowhere", "p.json") + ": no such"}},
		{"init with -f", scripted{}, []string{"init"}, 2, []string{"--output-file"}},
		{"apply a file in part", scripted{}, []string{"apply", planFile, "--yes", "--only", "x"}, 2,
			[]string{"--only"}},
		{"a time for messages, and none is sent", scripted{test: tested(freebusy.OK)}, []string{"test", "--wait", "1m"}, 2,
			[]string{"--wait goes with --message"}},
		{"a time for messages", scripted{test: tested(freebusy.OK)}, []string{"test", "--message", "--wait", "1m"}, 0, nil},
		{"apply a file but for a part", scripted{}, []string{"apply", planFile, "--yes", "--skip", "x"}, 2,
			[]string{"make a new plan"}},
		{"cut off before the last change", scripted{err: context.Canceled, apply: apply.Report{Kind: "ApplyReport",
			Summary: apply.Summary{Done: 1, Pending: 1}}}, []string{"apply", planFile, "--yes"}, 130,
			[]string{"goes on with the rest"}},
		{"apply, a check failed", scripted{plan: plan, recheck: checked(fail)}, []string{"apply", "--yes"}, 3,
			[]string{"not accepted: 1 check that the plan depends on failed or could not look\n  a.c (): broken",
				"--accept failed-checks"}},
		{"apply, a check could not look", scripted{plan: plan, recheck: checked(blind, fail)},
			[]string{"apply", "--yes"},
			9, []string{"2 checks that"}},
		{"apply, a sign-in refused", scripted{plan: plan, recheck: checked(denied)}, []string{"apply", "--yes"}, 4,
			nil},
		{"apply, no right to write", scripted{plan: plan, recheck: checked(right)}, []string{"apply", "--yes"}, 4,
			[]string{"access.online-write"}},
		{"apply, what only warns", scripted{plan: plan, apply: done, recheck: checked(minor, pass)},
			[]string{"apply", "--yes"}, 0, nil},
		{"apply, a failed check accepted", scripted{plan: plan, apply: done, recheck: checked(fail)},
			[]string{"apply", "--yes", "--accept", "failed-checks"}, 0, nil},
		{"unattended, a check failed meanwhile", scripted{check: checked(pass), plan: plan, recheck: checked(fail)},
			[]string{"--non-interactive", "--yes"}, 3, []string{"--accept failed-checks"}},
		{"unattended, failed checks accepted", scripted{check: checked(fail), plan: plan, recheck: checked(fail),
			apply: done, test: tested(freebusy.OK)},
			[]string{"--non-interactive", "--yes", "--accept", "failed-checks"}, 3, nil},
		{"apply, stale", scripted{plan: plan, err: fmt.Errorf("%w: online/Thing changed", apply.ErrStale)},
			[]string{"apply", planFile, "--yes"}, 7, []string{"online/Thing changed", "hint: nothing was written"}},
		{"apply, partial", scripted{plan: plan, apply: done,
			err: fmt.Errorf("%w: %w", apply.ErrPartial, link.ErrAccess)}, []string{"apply", planFile, "--yes"}, 6,
			[]string{"the same apply resumes"}},
		{"apply, removals", scripted{plan: plan, err: &apply.NotAccepted{ID: "removals"}},
			[]string{"apply", planFile, "--yes"}, 2,
			[]string{"--accept removals"}},
		{"rollback, nobody to ask", scripted{}, []string{"rollback", "--state-dir", ranOnce(t)}, 2, []string{"--yes"}},
		{"rollback of no run", scripted{}, []string{"rollback", "r0", "--state-dir", ranOnce(t)}, 2,
			[]string{"there is no run r0", "hybridge history"}},
		{"rollback", scripted{apply: done}, []string{"rollback", "--yes"}, 0, nil},
		{"rollback stopped", scripted{err: fmt.Errorf("%w: %w", apply.ErrPartial, link.ErrUnreachable)},
			[]string{"rollback", "--yes"}, 6, []string{"the same rollback resumes"}},
		{"rollback nothing", scripted{err: apply.ErrNoRun}, []string{"rollback", "--yes"}, 2,
			[]string{"hybridge history"}},
		{"test", scripted{test: tested(freebusy.OK)}, []string{"test"}, 0, nil},
		{"test fails", scripted{test: tested(freebusy.Failed)}, []string{"test"}, 3, nil},
		{"a message waits", scripted{test: tested(freebusy.Pending)}, []string{"test"}, 9, nil},
		{"test cannot ask", scripted{test: tested(freebusy.Unknown)}, []string{"test"}, 9, nil},
		{"test is not let in", scripted{test: refused}, []string{"test"}, 4, nil},
		{"unattended, blind in one thing", scripted{check: checked(pass, blind), test: tested(freebusy.OK)},
			[]string{"--non-interactive", "--yes"}, 9, nil},
		{"validate", scripted{test: tested(freebusy.OK)},
			[]string{"validate", "freebusy", "--from", "a@x.example", "--to", "b@y.example"}, 0, nil},
		{"test nobody", scripted{err: fmt.Errorf("x: %w", deployment.ErrNoPairs)}, []string{"test"}, 2,
			[]string{"tests.pairs"}},
		{"test no address", scripted{}, []string{"test", "--from", "anna"}, 2, []string{`"anna" is not an address`}},
		{"validate no address", scripted{}, []string{"validate", "freebusy", "--from", "a@x.example", "--to", "bob"}, 2,
			[]string{`"bob" is not an address`}},
		{"validate all", scripted{test: tested(freebusy.OK)}, []string{"validate"}, 0, nil},
		{"validate fails", scripted{test: tested(freebusy.Failed)}, []string{"validate", "oauth"}, 3, nil},
		{"validate cannot see", scripted{test: tested(freebusy.Unknown)}, []string{"validate", "oauth"}, 9, nil},
		{"validate is not let in", scripted{test: refused}, []string{"validate", "oauth"}, 4, nil},
		{"validate is early", scripted{test: tested(freebusy.Pending)}, []string{"validate", "oauth"}, 9, nil},
		{"validate nothing", scripted{}, []string{"validate", "everything"}, 2, []string{"freebusy, user"}},
		{"validate too much", scripted{}, []string{"validate", "oauth", "a@x.example"}, 2, []string{"no argument"}},
		{"validate who", scripted{}, []string{"validate", "user"}, 2, []string{"ADDRESS"}},
		{"validate a domain for addresses", scripted{}, []string{"validate", "oauth", "--from", "a@x.example"}, 2,
			[]string{"freebusy alone"}},
		{"validate whom", scripted{}, []string{"validate", "freebusy"}, 2, []string{"two addresses are needed"}},
		{"time limit", scripted{wait: true}, []string{"check", "--timeout", "10ms"}, 8,
			[]string{"time limit reached", "--timeout"}},
		{"no such flag", scripted{}, []string{"check", "--nope"}, 2, []string{"--nope"}},
		{"no such command", scripted{}, []string{"chekc"}, 2, []string{`did you mean "check"?`}},
		{"no such command with a flag of its own", scripted{}, []string{"lab", "stert", "--dir", "x"}, 2,
			[]string{`hybridge lab has no command "stert"; did you mean "start"?`}},
		{"unattended", scripted{check: checked(pass), plan: plan, apply: done, test: tested(freebusy.OK)},
			[]string{"--non-interactive", "--yes"}, 0, nil},
		{"unattended, not agreed to", scripted{check: checked(pass), plan: plan}, []string{"--non-interactive"}, 2,
			[]string{"--yes"}},
		{"unattended, not ready", scripted{check: checked(fail), plan: plan}, []string{"--non-interactive", "--yes"}, 3,
			[]string{"prerequisites"}},
		{"unattended, no access", scripted{check: checked(fail, denied), plan: plan},
			[]string{"--non-interactive", "--yes"}, 4, []string{"prerequisites"}},
		{"unattended, still failing", scripted{check: checked(pass), test: tested(freebusy.Failed)},
			[]string{"--non-interactive", "--yes"}, 3, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := execute(t, &test.s, "", append([]string{"-f", file}, test.args...)...)
			if got.code != test.code {
				t.Errorf("exit %d, want %d\n%s", got.code, test.code, got.errout)
			}
			for _, want := range test.want {
				if !strings.Contains(got.errout, want) {
					t.Errorf("%q does not say %q", got.errout, want)
				}
			}
			if strings.Contains(got.out+got.errout, "\x1b") {
				t.Errorf("an escape byte: %q", got.out+got.errout)
			}
			if len(test.s.called) > 0 && !test.s.closed {
				t.Error("the deployment was left open")
			}
			if strings.Contains(got.out, "at work") {
				t.Error("progress is among the data")
			}
		})
	}
}

// TestPlain: commands without a deployment follow the output flags, too.
func TestPlain(t *testing.T) {
	for _, test := range []struct {
		args []string
		code int
		want string // in the file, or in what is said aside
	}{
		{[]string{"init"}, 0, "kind: Answers"},
		{[]string{"init", "-o", "json"}, 2, "--output json: this command writes text"},
		{[]string{"schema"}, 0, `"$schema"`},
		{[]string{"schema", "-o", "junit"}, 2, "--output junit"},
		{[]string{"version"}, 0, "hybridge "},
		{[]string{"version", "-o", "json"}, 0, `"kind": "Version"`},
	} {
		file := filepath.Join(t.TempDir(), "out")
		got := execute(t, &scripted{}, "", append(test.args, "--output-file", file)...)
		data, _ := os.ReadFile(file) // none after a refusal
		if got.code != test.code || got.out != "" || !strings.Contains(string(data)+got.errout, test.want) ||
			test.code != 0 && data != nil {
			t.Errorf("%v: %+v, file %q", test.args, got, data)
		}
	}
}

func TestCancelled(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := &scripted{wait: true, begun: cancel}
	if got := executeIn(ctx, t, s, "", "plan", "-f", file); got.code != 130 || got.errout == "" || !s.closed {
		t.Errorf("%+v, closed %v", got, s.closed)
	}
}

// What goes to standard output is the data and nothing else, in every format; a file takes its
// place whole.
func TestFormats(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	plan := onePlan(t)
	fresh := func() *scripted {
		return &scripted{
			check: checked(check.Result{ID: "a.b", Status: check.StatusPass}), plan: plan, test: tested(freebusy.OK),
			apply: apply.Report{APIVersion: "hybridge/v1", Kind: "ApplyReport",
				Changes: []apply.Outcome{{ID: "online/Thing/a", Status: apply.Done}}},
		}
	}
	for _, test := range []struct {
		args []string
		kind string
	}{
		{[]string{"check"}, "CheckReport"}, {[]string{"plan"}, "Plan"}, {[]string{"apply", "--yes"}, "ApplyReport"},
		{[]string{"test"}, "TestReport"},
		{[]string{"validate", "freebusy", "--from", "a@x.example", "--to", "b@y.example"}, "ValidateReport"},
		{[]string{"rollback", "--yes"}, "ApplyReport"},
		{[]string{"--non-interactive", "--yes"}, "RunReport"},
	} {
		got := execute(t, fresh(), "", append(test.args, "-f", file, "-o", "json")...)
		var document struct{ APIVersion, Kind string }
		version := "hybridge/v1"
		if test.kind == "Plan" {
			version = change.PlanVersion
		}
		if err := json.Unmarshal([]byte(got.out), &document); err != nil || document.APIVersion != version ||
			document.Kind != test.kind {
			t.Errorf("%v: %v: %+v\n%s", test.args, err, document, got.out)
		}
		if !strings.Contains(got.errout, "at work") {
			t.Errorf("%v: no progress aside", test.args)
		}
		lines := strings.Split(strings.TrimSpace(execute(t, fresh(), "",
			append(test.args, "-f", file, "-o", "jsonl")...).out), "\n")
		if len(lines) < 3 || !strings.Contains(lines[0], `"event":"version"`) ||
			!strings.Contains(lines[len(lines)-2], `"event":"report"`) ||
			!strings.Contains(lines[len(lines)-1], `"exitCode":0`) {
			t.Errorf("%v: %q", test.args, lines)
		}
	}

	out := filepath.Join(dir, "out.json")
	if got := execute(t, fresh(), "", "check", "-f", file, "-o", "json", "--output-file", out); got.code != 0 ||
		got.out != "" {
		t.Errorf("%+v", got)
	}
	if data, err := os.ReadFile(out); err != nil || !json.Valid(data) {
		t.Errorf("%v: %s", err, data)
	}
	saved := filepath.Join(dir, "plan.json")
	if got := execute(t, fresh(), "", "plan", "-f", file, "--out", saved); got.code != 0 {
		t.Errorf("%+v", got)
	}
	if data, err := os.ReadFile(saved); err != nil || !bytes.Equal(data, plan.Encode()) {
		t.Errorf("%v: %s", err, data)
	}
	// From standard input, the answers and the plan.
	if got := execute(t, fresh(), string(plan.Encode()), "apply", "-", "--yes", "-f", file); got.code != 0 {
		t.Errorf("%+v", got)
	}
}

func TestValidateBothWays(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, addresses := range [][]string{
		{"--from", "a@x.example", "--to", "b@y.example"},
		{"a@x.example", "b@y.example"},
		{"Anna <a@x.example>", "\"B, Ben\" <SMTP:b@Y.example> "},
		{"mailto:a@x.example", "B, Ben <b@y.example>"},
	} {
		s := &scripted{test: tested(freebusy.OK)}
		args := append([]string{"validate", "freebusy", "-f", file, "--both-directions"}, addresses...)
		got := execute(t, s, "", args...)
		if diff := cmp.Diff([]string{"validate freebusy a@x.example b@y.example"},
			s.called); diff != "" {
			t.Errorf("%v: %s\n%s", addresses, got.errout, diff)
		}
	}
	for _, wrong := range [][]string{
		{"a@x.example"}, {"Anna", "b@y.example"}, {"a@x.example", "b@y.example", "--from", "c@z.example"},
		{"a@x.example", "b@y.example", "c@z.example"}, {"<>", "b@y.example"},
	} {
		s := &scripted{}
		got := execute(t, s, "", append([]string{"validate", "freebusy", "-f", file}, wrong...)...)
		if got.code != exitUsage || s.called != nil {
			t.Errorf("%v: exit %d, called %v", wrong, got.code, s.called)
		}
	}
}

// Two deployments do not share journals.
func TestStateDir(t *testing.T) {
	dirs := map[string]bool{}
	file := filepath.Join(t.TempDir(), "answers.yaml")
	for _, text := range []string{answersFile,
		strings.ReplaceAll(answersFile, "contoso.onmicrosoft.com", "fabrikam.onmicrosoft.com")} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s := &scripted{}
		execute(t, s, "", "plan", "-f", file)
		dirs[filepath.Base(s.options.StateDir)] = true
		if !strings.HasPrefix(filepath.Base(s.options.StateDir), "contoso-") {
			t.Errorf("state in %s", s.options.StateDir)
		}
		own := t.TempDir()
		execute(t, s, "", "plan", "-f", file, "--state-dir", own)
		if s.options.StateDir != own {
			t.Errorf("state in %s", s.options.StateDir)
		}
	}
	elsewhere := filepath.Join(t.TempDir(), "answers.yaml") // of another organization with one name
	if err := os.WriteFile(elsewhere, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &scripted{}
	execute(t, s, "", "plan", "-f", elsewhere)
	dirs[filepath.Base(s.options.StateDir)] = true
	if len(dirs) != 3 {
		t.Errorf("shared: %v", dirs)
	}
}

func TestStyle(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("goes by other variables")
	}
	for _, test := range []struct {
		name         string
		env          map[string]string
		tty, noColor bool
		color, ascii bool
	}{
		{"terminal", map[string]string{"LANG": "en_US.UTF-8"}, true, false, true, false},
		{"pipe", map[string]string{"LANG": "en_US.UTF-8"}, false, false, false, false},
		{"--no-color", map[string]string{"LANG": "C.utf8"}, true, true, false, false},
		{"NO_COLOR", map[string]string{"LANG": "C.UTF-8", "NO_COLOR": "1"}, true, false, false, false},
		{"HYBRIDGE_NO_COLOR", map[string]string{"LANG": "C.UTF-8", "HYBRIDGE_NO_COLOR": "1"}, true, false, false,
			false},
		{"dumb", map[string]string{"LANG": "C.UTF-8", "TERM": "dumb"}, true, false, false, false},
		{"forced", map[string]string{"LANG": "C.UTF-8", "CLICOLOR_FORCE": "1"}, false, false, true, false},
		{"forced by 0", map[string]string{"LANG": "C.UTF-8", "CLICOLOR_FORCE": "0"}, false, false, false, false},
		{"forced and refused", map[string]string{"LANG": "C.UTF-8", "CLICOLOR_FORCE": "1"}, true, true, false, false},
		{"Latin 1", map[string]string{"LANG": "de_DE.ISO-8859-1"}, true, false, true, true},
		{"LC_ALL outranks LANG", map[string]string{"LANG": "C.UTF-8", "LC_ALL": "C"}, true, false, true, true},
	} {
		s := streams{Env: func(name string) string { return test.env[name] }}
		if got := s.style(test.tty, test.noColor); got.Color != test.color || got.ASCII != test.ascii {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}

func TestLogRedacts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	g := &globals{output: "text", logFile: file}
	a := app{streams{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}, Env: func(string) string { return "" }}, g, nil,
		&tasks{}}
	task, err := a.start(report.Documents)
	if err != nil {
		t.Fatal(err)
	}
	task.log.Info("sign in", "user", "anna", "Password", "hunter2", "client_secret", "hunter2", "token", "hunter2",
		"value", secret.NewValue("hunter2"))
	err = task.end(report.Failure{})
	data, readErr := os.ReadFile(file)
	if err != nil || readErr != nil || bytes.Contains(data, []byte("hunter2")) ||
		!bytes.Contains(data, []byte("anna")) || !bytes.Contains(data, []byte("msg=begin version=")) ||
		!bytes.Contains(data, []byte("msg=end")) {
		t.Errorf("%v, %v: %s", err, readErr, data)
	}
}

func TestExitCodesAreListed(t *testing.T) {
	listed := map[int]bool{}
	for _, c := range exitCodes {
		listed[c.code] = true
	}
	for _, c := range classes {
		if !listed[c.code] {
			t.Errorf("exit code %d of %v is not in the table", c.code, c.class)
		}
	}
	got := execute(t, &scripted{}, "", "help", "exit-codes")
	for code := range listed {
		if !strings.Contains(got.out, fmt.Sprintf("%d ", code)) {
			t.Errorf("help exit-codes does not list %d:\n%s", code, got.out)
		}
	}
}

// The wizard reads keys where answers on standard input would come from.
func TestWizardWithAnswersFromAPipe(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var errout bytes.Buffer
	home := t.TempDir()
	at := streams{In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: &errout, InTTY: true, OutTTY: true,
		ErrTTY: true, Env: func(name string) string {
			return map[string]string{"HOME": home, "LocalAppData": home, "TERM": "xterm"}[name]
		}}
	code := runIn(ctx, []string{"wizard", "-f", "-"}, at,
		func(answers.Answers, deployment.Options) (deployed, error) { return &scripted{}, nil })
	if code != exitUsage || !strings.Contains(errout.String(), "reads keys from standard input") {
		t.Errorf("exit %d: %s", code, errout.String())
	}
}
