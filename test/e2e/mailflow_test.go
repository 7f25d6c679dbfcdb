package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// withFeatures writes the features into the lab's answers.
func (e *estate) withFeatures(t *testing.T, features string) {
	t.Helper()
	file := filepath.Join(e.dir, "answers.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for _, line := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(line, "features:") {
			kept = append(kept, line)
		}
	}
	kept = append(kept, "features: ["+features+"]", "")
	if err := os.WriteFile(file, []byte(strings.Join(kept, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Each feature converges and is undone. Mail flow alone needs no application.
func TestFeaturesConverge(t *testing.T) {
	e := startLab(t)
	for _, features := range []string{
		"secureMail", "secureMail, centralizedTransport", "moveMailbox", "owaRedirection", "onlineArchive, secureMail",
		"photos, mailTips, messageTracking, moveMailbox",
	} {
		t.Run(features, func(t *testing.T) {
			e.withFeatures(t, features)
			e.must(t, 0, "check")
			before := e.plan(t)
			if len(before.Changes) == 0 {
				t.Fatal("the first plan is empty")
			}
			for _, c := range before.Changes {
				if strings.HasPrefix(features, "secureMail") && strings.HasPrefix(c.Target, "entra") {
					t.Errorf("%s is planned for mail flow alone", c.ID)
				}
			}
			e.must(t, 0, "apply", "--yes")
			if after := e.plan(t); len(after.Changes) != 0 {
				t.Errorf("after apply the plan still has %v", after.Changes)
			}
			e.must(t, 0, "check")
			e.must(t, 0, "rollback", "--yes")
			if d := cmp.Diff(before, e.plan(t)); d != "" {
				t.Errorf("rollback did not restore what was there before:\n%s", d)
			}
		})
	}
}

// A feature that leaves the answers is removed with consent, and stays without it.
func TestFeatureLeaves(t *testing.T) {
	e := startLab(t)
	e.withFeatures(t, "secureMail, owaRedirection")
	e.must(t, 0, "apply", "--yes")
	e.withFeatures(t, "owaRedirection")
	removal := e.plan(t)
	if removal.Summary.Delete == 0 || removal.Summary.Create+removal.Summary.Update+removal.Summary.Replace != 0 {
		t.Fatalf("planned: %+v", removal.Summary)
	}
	if r := e.run(t, "apply", "--yes"); r.code != 2 || !strings.Contains(r.stderr, "removals") {
		t.Errorf("without consent: exit %d\n%s", r.code, tail(r.stderr))
	}
	e.must(t, 0, "apply", "--yes", "--accept", "removals")
	if after := e.plan(t); len(after.Changes) != 0 {
		t.Errorf("after the removal the plan still has %v", after.Changes)
	}
	e.must(t, 0, "rollback", "--yes", "--accept", "removals")
	if d := cmp.Diff(removal.Changes, e.plan(t).Changes); d != "" {
		t.Errorf("rollback did not restore what was removed:\n%s", d)
	}
}
