package deployment

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// exiting is a lab whose hybrid is set up, with the deployments that keep it and that leave it.
func exiting(t *testing.T) (l *lab.Lab, keep, leave *Deployment) {
	t.Helper()
	l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Users: 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	with := func(hybrid *answers.Hybrid, state string) *Deployment {
		a, err := answers.Load(t.Context(), l.Answers())
		if err != nil {
			t.Fatal(err)
		}
		a.Hybrid = hybrid
		d, err := Open(a, Options{Dir: filepath.Dir(l.Answers()), StateDir: state, Version: "test"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close(context.WithoutCancel(t.Context())) })
		return d
	}
	state := t.TempDir()
	first := with(nil, state)
	if _, err := first.Apply(t.Context(), planOf(t, first), apply.Options{}, &events{}); err != nil {
		t.Fatal(err)
	}
	// Without the journals, a plan does not wait for what was made minutes ago and is gone.
	return l, with(nil, t.TempDir()), with(&answers.Hybrid{State: answers.Leaving}, state)
}

// waits are the reasons for which a plan of the way out has nothing to change.
func waits(p change.Plan) (out []string) {
	for _, l := range p.LeftOut {
		if l.Waits {
			out = append(out, l.Reason.String())
		}
	}
	return out
}

// alters are the kinds that a plan changes, with what it does.
func alters(p change.Plan) (out []string) {
	for _, c := range p.Changes {
		out = append(out, string(c.Action)+" "+c.Kind)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestLeaveHybrid leads two forests out of hybrid, stage by stage: each stage waits for what takes
// over, is interrupted and resumed, and in the end every stage is rolled back.
func TestLeaveHybrid(t *testing.T) {
	l, keep, leave := exiting(t)
	// Within minutes of its creation, hybridge waits for an object that does not show.
	accept := apply.Options{Wait: 3 * time.Second, Accept: []string{apply.AcceptRemovals, "attribute-authority"}}

	waitsFor := func(text string) {
		t.Helper()
		p := planOf(t, leave)
		found := waits(p)
		if len(p.Changes) > 0 || len(found) == 0 || !strings.Contains(found[0], text) {
			t.Fatalf("%d changes, waits %q; want one for %q", len(p.Changes), found, text)
		}
	}
	waitsFor("to be moved to Exchange Online first")
	l.MoveEveryone()

	var runs []string
	run := func(want ...string) {
		t.Helper()
		p := planOf(t, leave)
		if diff := cmp.Diff(want, alters(p)); diff != "" {
			t.Fatalf("(-want +got):\n%s%q", diff, waits(p))
		}
		if _, err := leave.Scripts(t.Context(), p); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		_, _ = leave.Apply(ctx, p, accept, &interrupted{1, cancel}) // cut off, unless it has one change
		cancel()
		done, err := leave.Apply(t.Context(), p, accept, &events{})
		if err != nil {
			for _, c := range done.Changes {
				t.Logf("%s %s: %s", c.Status, c.ID, c.Error)
			}
			t.Fatal(err)
		}
		runs = append(runs, done.RunID)
	}
	run("create CloudManagedMailbox")
	waitsFor("DNS: publish contoso.example. 3600 IN MX 0 contoso-example.mail.protection.outlook.com.")
	if err := l.LeadToCloud(); err != nil {
		t.Fatal(err)
	}
	run("delete InboundConnector", "delete OnPremisesOrganization", "delete OutboundConnector", "delete SendConnector",
		"update ReceiveConnector")
	run("delete AvailabilityAddressSpace", "delete IntraOrganizationConnector", "delete OrganizationRelationship")
	run("delete AppRoleAssignment", "delete AuthServer", "delete KeyCredential", "delete SettingOverride",
		"update AuthServerApplication", "update PartnerApplication", "update ServicePrincipal", "update ServicePrincipalName")
	run("update ClientAccessService")
	run("delete HybridConfiguration")

	last := planOf(t, leave)
	said := ""
	for _, n := range last.Notes {
		said += n.Text.String()
	}
	if len(last.Changes)+len(last.LeftOut) > 0 || !strings.Contains(said, "Do not uninstall it") {
		t.Errorf("the end: %d changes, left out %v, notes %s", len(last.Changes), last.LeftOut, said)
	}
	r, err := leave.Check(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range r.Results {
		if strings.HasPrefix(string(result.ID), "leaving.") && result.Status != check.StatusPass {
			t.Errorf("%s %s: %s", result.Status, result.ID, result.Summary)
		}
	}

	for _, id := range slices.Backward(runs) {
		if done, err := leave.Rollback(t.Context(), id, accept, &events{}); err != nil {
			for _, c := range done.Changes {
				t.Logf("%s %s: %s", c.Status, c.ID, c.Error)
			}
			t.Fatal(err)
		}
	}
	for _, c := range planOf(t, keep).Changes {
		t.Errorf("after the rollback: %s %s %v -> %v", c.Action, c.ID, c.Before, c.After)
	}
}

// An organization that has left hybrid gives no finding: every stage passes, and what judged the hybrid
// does not apply.
func TestLabThatHasLeftHybrid(t *testing.T) {
	l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Users: 20, Left: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a, err := answers.Load(t.Context(), l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(a, Options{Dir: filepath.Dir(l.Answers()), StateDir: t.TempDir(), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(context.WithoutCancel(t.Context())) })
	r, err := d.Check(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	passed := 0
	for _, result := range r.Results {
		switch {
		case strings.HasPrefix(string(result.ID), "leaving.") && result.Status == check.StatusPass:
			passed++
		case result.Status != check.StatusPass && result.Status != check.StatusSkip || len(result.MissingRights) > 0:
			t.Errorf("%s %s (%s): %s", result.Status, result.ID, result.Scope, result.Summary)
		}
	}
	if passed != 16 {
		t.Errorf("%d stages passed", passed)
	}
	if p := planOf(t, d); len(p.Changes)+len(p.LeftOut) > 0 {
		t.Errorf("planned: %v, left out %v", alters(p), waits(p))
	}
}
