package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

// TestRotate: a rotation asks, applies, and says when nothing is to be done or something waits.
func TestRotate(t *testing.T) {
	t.Setenv("P", "hunter2")
	dir := t.TempDir()
	file := filepath.Join(dir, "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	waits := change.Plan{LeftOut: []change.LeftOut{{Topic: "transport-certificate",
		Reason: msg.Of("publish the record first"), Waits: true}}}
	unknown := change.Plan{LeftOut: []change.LeftOut{{Topic: "auth-certificate", Reason: msg.Of("no answer")}}}
	both := onePlan(t)
	both.LeftOut = waits.LeftOut
	two := onePlan(t)
	two.Digest = "sha256:another"
	pfx := []string{"rotate", "transport-certificate", "--pfx", "new.pfx", "--password", "env:P"}
	for _, test := range []struct {
		name   string
		plan   change.Plan
		args   []string
		code   int
		want   string
		called string
	}{
		{"nothing to do", change.Plan{}, pfx, exitFine, "nothing to do", "rotate"},
		{"staged already", change.Plan{}, []string{"rotate", "auth-certificate", "stage"}, exitFine,
			"nothing to do: the next auth certificate is staged\nnext: 12 hours later: hybridge rotate auth-certificate " +
				"publish", "rotate stage"},
		{"staged", onePlan(t), []string{"rotate", "auth-certificate", "stage", "--forest", "contoso", "--yes"}, exitFine,
			"hybridge rotate auth-certificate publish --forest contoso", "rotate stage,recheck,apply"},
		{"published", onePlan(t), []string{"rotate", "auth-certificate", "publish", "--yes"}, exitFine,
			"hybridge rotate auth-certificate clean", "rotate publish,recheck,apply"},
		{"nothing staged", change.Plan{Notes: []change.Note{{Topic: "auth-certificate", Text: msg.Of("not staged")}}},
			[]string{"rotate", "auth-certificate", "publish"}, exitFine, "not staged", "rotate publish"},
		{"waits", waits, pfx, exitPending, "publish the record first", "rotate"},
		{"unknown", unknown, []string{"rotate", "auth-certificate", "stage"}, exitInconclusive, "no answer",
			"rotate stage"},
		{"only shown", onePlan(t), append(pfx, "--dry-run"), exitFine, "online/Thing/a", "rotate"},
		{"saved", onePlan(t), append(pfx, "--out", filepath.Join(dir, "plan.json")), exitFine, "hybridge apply", "rotate"},
		{"as scripts", onePlan(t), append(pfx, "--scripts", filepath.Join(dir, "by hand")), exitFine, "02-online.ps1",
			"rotate"},
		{"scripts of another plan", two, append(pfx, "--scripts", filepath.Join(dir, "by hand")), exitUsage,
			"scripts of another plan", "rotate"},
		{"scripts of another plan removed", two, append(pfx, "--force", "--scripts", filepath.Join(dir, "by hand")),
			exitFine, "removed ", "rotate"},
		{"not confirmed", onePlan(t), pfx, exitUsage, "--yes", "rotate,recheck"},
		{"applied", onePlan(t), append(pfx, "--yes"), exitFine, "hybridge test", "rotate,recheck,apply"},
		{"applied, and the rest waits", both, append(pfx, "--yes"), exitPending, "publish the record first",
			"rotate,recheck,apply"},
		{"no file", change.Plan{}, []string{"rotate", "transport-certificate"}, exitUsage, "--pfx", ""},
		{"a password in the clear", change.Plan{}, []string{"rotate", "transport-certificate", "--pfx", "x",
			"--password", "hunter2"}, exitUsage, "by reference", ""},
		{"no such stage", change.Plan{}, []string{"rotate", "auth-certificate", "begin"}, exitUsage, "publish", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &scripted{plan: test.plan}
			got := execute(t, s, "", append(slices.Clone(test.args), "-f", file, "--state-dir", dir)...)
			if got.code != test.code || !strings.Contains(got.out+got.errout, test.want) ||
				strings.Contains(got.out+got.errout, "hunter2") {
				t.Errorf("exit %d, want %d\n%s%s", got.code, test.code, got.out, got.errout)
			}
			if strings.Contains(got.out+got.errout, "Nothing to change") && (len(test.plan.Changes) > 0) {
				t.Errorf("what waits is said of a plan with changes:\n%s%s", got.out, got.errout)
			}
			var called []string
			for _, c := range s.called {
				called = append(called, strings.TrimSpace(c))
			}
			if have := strings.Join(called, ","); have != test.called {
				t.Errorf("called %s, want %s", have, test.called)
			}
			if test.called != "" && s.rotation.PFX != "" && !filepath.IsAbs(s.rotation.PFX) {
				t.Errorf("the plan would name %s, relative to where it was made", s.rotation.PFX)
			}
		})
	}
}

// A password that is not where --password says is a wrong command line, before anything is read.
func TestRotateWithoutThePassword(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{
		"file:gone":             "--password: read " + filepath.Join(dir, "gone"),
		"env:HYBRIDGE_NO_SUCH_": "--password: environment variable HYBRIDGE_NO_SUCH_ is not set",
	} {
		s := &scripted{}
		got := execute(t, s, "", "rotate", "transport-certificate", "--forest", "contoso", "--pfx", "new.pfx",
			"--password", ref, "-f", file)
		if got.code != exitUsage || !strings.Contains(got.errout, want) {
			t.Errorf("%s: exit %d, %s", ref, got.code, got.errout)
		}
	}
}

// No service is an empty text, and what is not known outranks what waits, in either order.
func TestRotateServicesAndCode(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	for services, want := range map[string]string{"": "", "SMTP,IMAP": "SMTP IMAP", ",SMTP,": "SMTP"} {
		s := &scripted{}
		execute(t, s, "", "rotate", "transport-certificate", "--pfx", "x", "--services", services, "-f", file)
		if got := strings.Join(s.rotation.Services, " "); got != want || len(s.rotation.Services) != len(strings.Fields(want)) {
			t.Errorf("%q: %q", services, s.rotation.Services)
		}
	}
	waits, unknown := change.LeftOut{Waits: true}, change.LeftOut{}
	for want, all := range map[int][][]change.LeftOut{exitFine: {nil}, exitPending: {{waits}, {waits, waits}},
		exitInconclusive: {{unknown}, {waits, unknown}, {unknown, waits}}} {
		for _, left := range all {
			if got := rotationCode(change.Plan{LeftOut: left}); got != want {
				t.Errorf("%v: exit %d, want %d", left, got, want)
			}
		}
	}
}
