package deployment

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// A journal of one organization undoes and finishes nothing in another one, although both have the
// same names: the state directory was copied, or the answers file leads elsewhere now.
func TestJournalOfAnotherOrganization(t *testing.T) {
	state := t.TempDir()
	estate := func(name string) *Deployment {
		t.Helper()
		l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Users: 20, Estate: name})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		a, err := answers.Load(t.Context(), l.Answers())
		if err != nil {
			t.Fatal(err)
		}
		d, err := Open(a, Options{Dir: filepath.Dir(l.Answers()), StateDir: state, Version: "test"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close(context.WithoutCancel(t.Context())) })
		return d
	}
	ours, theirs := estate(""), estate("theirs")
	p, err := ours.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ours.Apply(t.Context(), p, apply.Options{}, &events{}); err != nil {
		t.Fatal(err)
	}
	before, err := theirs.Plan(t.Context(), &events{})
	if err != nil || len(before.Changes) == 0 {
		t.Fatalf("%d changes, %v", len(before.Changes), err)
	}
	consent := apply.Options{Accept: []string{apply.AcceptRemovals}}
	_, preview := theirs.PreviewRollback(t.Context(), "", consent, &events{})
	_, rollback := theirs.Rollback(t.Context(), "", consent, &events{})
	for verb, err := range map[string]error{"preview": preview, "rollback": rollback} {
		if !errors.Is(err, apply.ErrElsewhere) || !strings.Contains(err.Error(), "here it is") {
			t.Errorf("%s: %v", verb, err)
		}
	}
	after, err := theirs.Plan(t.Context(), &events{})
	if err != nil || after.Digest != before.Digest {
		t.Errorf("the other organization has changed: %v", err)
	}
	// The plan of one organization is stale in the other one.
	if _, err := theirs.Apply(t.Context(), p, apply.Options{}, &events{}); err == nil {
		t.Error("a plan of another organization was applied")
	}
	if after, err := theirs.Plan(t.Context(), &events{}); err != nil || after.Digest != before.Digest {
		t.Errorf("the other organization has changed: %v", err)
	}
	// otherwise the refusals prove nothing
	if _, err := ours.Rollback(t.Context(), "", consent, &events{}); err != nil {
		t.Error(err)
	}
}
