package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
)

// TestNext: a person sees the next command, to be copied; a machine does not.
func TestNext(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "it's here")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file, plan := filepath.Join(dir, "mine.yaml"), onePlan(t)
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	f := " -f '" + strings.ReplaceAll(file, "'", `'\''`) + "'"
	saved := filepath.Join(t.TempDir(), "p.json")
	fail := check.Result{ID: "a.b", Status: check.StatusFail, Severity: check.Fail}
	applied := apply.Report{Kind: "ApplyReport", RunID: "r1", Summary: apply.Summary{Done: 1},
		Changes: []apply.Outcome{{ID: "x", Status: apply.Done}}}
	pending := apply.Report{Kind: "ApplyReport", RunID: "r1", Summary: apply.Summary{Done: 1, Pending: 1},
		Changes: []apply.Outcome{{ID: "x", Status: apply.Pending}}}
	removing := plan
	removing.Changes = slices.Clone(plan.Changes)
	removing.Changes[0].Action = change.Delete
	state := t.TempDir()
	for _, test := range []struct {
		name string
		s    scripted
		args []string
		want string // "": no advice
	}{
		{"ready", scripted{check: checked()}, []string{"check"}, "next: hybridge plan" + f},
		{"not ready", scripted{check: checked(fail)}, []string{"check"},
			"next: fix that, then look again with: hybridge check --only a.b" + f},
		{"planned", scripted{plan: plan}, []string{"plan"}, "hybridge apply plan.json" + f},
		{"narrowed", scripted{plan: plan},
			[]string{"plan", "--forest", "contoso", "--domain", "contoso.com", "--only", "online/*"},
			"next: hybridge plan --out plan.json --only 'online/*' --forest contoso --domain contoso.com" + f + " saves it"},
		{"removes", scripted{plan: removing}, []string{"plan"}, "hybridge apply plan.json --accept removals" + f},
		{"saved", scripted{plan: plan}, []string{"plan", "--out", saved},
			"wrote " + saved + "\nnext: hybridge apply " + saved + f},
		{"as scripts", scripted{plan: plan}, []string{"plan", "--scripts", filepath.Join(t.TempDir(), "scripts")}, ""},
		{"nothing to do", scripted{}, []string{"plan"}, "next: hybridge test" + f},
		{"applied", scripted{plan: plan, apply: applied}, []string{"apply", "--yes"},
			"hybridge test --until-ok 20m" + f + "\n      to undo it: hybridge rollback r1" + f},
		{"in part", scripted{plan: plan, apply: pending}, []string{"apply", "--yes"}, ""},
		{"elsewhere", scripted{}, []string{"plan", "--state-dir", state},
			"next: hybridge test" + f + " --state-dir " + state},
		{"failing", scripted{test: tested(freebusy.Failed)}, []string{"test"}, "next: hybridge plan" + f},
		{"nobody to ask about", scripted{}, []string{"test"}, "next: name pairs of mailboxes under tests.pairs"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := execute(t, &test.s, "", append(test.args, "-f", file)...); !strings.Contains(got.errout,
				test.want) || strings.Contains(got.out, "next:") || test.want == "" &&
				strings.Contains(got.errout, "next:") {
				t.Errorf("%q does not say %q", got.errout, test.want)
			}
			if got := execute(t, &test.s, "",
				append(test.args, "-f", file, "-o", "json")...); strings.Contains(got.errout+got.out, "next:") {
				t.Errorf("a machine is told: %q", got.errout)
			}
		})
	}
}

// On the way out, the next step is another plan, and no free/busy is left to test.
func TestNextOnTheWayOut(t *testing.T) {
	file, plan := filepath.Join(t.TempDir(), "answers.yaml"), onePlan(t)
	if err := os.WriteFile(file, []byte(answersFile+"hybrid: {state: leaving}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	applied := apply.Report{Kind: "ApplyReport", RunID: "r1", Summary: apply.Summary{Done: 1},
		Changes: []apply.Outcome{{ID: "x", Status: apply.Done}}}
	waiting := change.Plan{LeftOut: []change.LeftOut{{Topic: "hybrid-exit", Waits: true}}}
	for want, c := range map[string]struct {
		s    scripted
		args []string
	}{
		"then plan the next stage: hybridge plan -f ": {scripted{plan: plan, apply: applied}, []string{"apply", "--yes"}},
		"next: nothing: all stages are done":          {scripted{}, []string{"plan"}},
		"when what is left out can be done":           {scripted{plan: waiting}, []string{"plan"}},
	} {
		got := execute(t, &c.s, "", append(c.args, "-f", file)...)
		if !strings.Contains(got.errout, want) || strings.Contains(got.errout, "hybridge test") {
			t.Errorf("%q does not say %q", got.errout, want)
		}
	}
}

// TestStaleBecauseDone: the plan that a finished run carried out is stale, and the error says why.
func TestStaleBecauseDone(t *testing.T) {
	state := t.TempDir()
	file, plan := filepath.Join(t.TempDir(), "answers.yaml"), onePlan(t)
	planFile := filepath.Join(filepath.Dir(file), "plan.json")
	for path, data := range map[string]string{file: answersFile, planFile: string(plan.Encode())} {
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	places, kinds := map[string]change.Place{"online": &oneThing{}}, map[string]*change.Kind{"Thing": thingKind}
	done, err := apply.Run(t.Context(), places, kinds, plan, apply.Options{StateDir: state}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{err: fmt.Errorf("%w: online/Thing changed", apply.ErrStale)}
	args := []string{"apply", planFile, "-f", file, "--yes", "--state-dir", state}
	got := execute(t, s, "", args...)
	if got.code != exitStale || !strings.Contains(got.errout,
		"hint: run "+done.RunID+" carried out this very plan on 20") {
		t.Errorf("exit %d: %s", got.code, got.errout)
	}
	undone, err := apply.Rollback(t.Context(), places, kinds, "", apply.Options{StateDir: state}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := execute(t, s, "", args...); got.code != exitStale ||
		!strings.Contains(got.errout, "run "+undone.RunID+" rolled it back") {
		t.Errorf("exit %d: %s", got.code, got.errout)
	}
	// A run of it since that others came between wrote something.
	s.err = fmt.Errorf("%w: %w", apply.ErrPartial, s.err)
	if got := execute(t, s, "", args...); got.code != exitPartial || !strings.Contains(got.errout, "resumes") {
		t.Errorf("exit %d: %s", got.code, got.errout)
	}
}

// oneThing is a place that holds a Thing or none.
type oneThing struct{ live []change.Live }

func (p *oneThing) Read(context.Context, *change.Kind) ([]change.Live, error) { return p.live, nil }
func (p *oneThing) Run(_ context.Context, c change.Command) (change.Properties, error) {
	p.live = nil
	if c.Name == "New-Thing" {
		p.live = []change.Live{{Identity: "1", Name: "a", Properties: change.Properties{"Key": "a"}}}
	}
	return nil, nil
}

// --watch asks again and again, until it is cancelled.
func TestWatch(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := &watched{scripted: scripted{test: tested(freebusy.Failed)}, cancel: cancel}
	var out, errout bytes.Buffer
	io := streams{In: strings.NewReader(""), Out: &out, Err: &errout, Env: func(string) string { return "" }}
	code := runIn(ctx, []string{"test", "-f", file, "--watch=1ms", "--state-dir", t.TempDir()}, io,
		func(answers.Answers, deployment.Options) (deployed, error) { return s, nil })
	if code != exitCancelled || len(s.called) != 3 {
		t.Errorf("exit %d after %d rounds: %s", code, len(s.called), errout.String())
	}
}

// watched is cancelled while it answers for the third time.
type watched struct {
	scripted
	cancel func()
}

func (w *watched) Test(ctx context.Context, o deployment.TestOptions, obs observe.Observer) (freebusy.Report, error) {
	if len(w.called) == 2 {
		w.cancel()
	}
	return w.scripted.Test(ctx, o, obs)
}

// A command that is shown names the state directory, unless the environment does so in the next run too.
func TestCommandNamesTheStateDir(t *testing.T) {
	for named, want := range map[string]string{"": "hybridge test", "/set": "hybridge test",
		"/other": "hybridge test --state-dir /other"} {
		tk := &task{streams: streams{Env: func(name string) string {
			return map[string]string{"HYBRIDGE_STATE_DIR": "/set"}[name]
		}}}
		tk.stateDir = named
		if got := tk.command("test"); got != want {
			t.Errorf("%q: %s", named, got)
		}
	}
}
