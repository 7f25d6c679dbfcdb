package deployment

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// verbs are the verbs of one deployment, each of which must succeed.
type verbs struct {
	*testing.T
	d *Deployment
}

func (v verbs) plan() (change.Plan, []string) {
	v.Helper()
	var heard events
	p, err := v.d.Plan(v.Context(), &heard)
	if err != nil {
		v.Fatal(err)
	}
	return p, heard.warnings()
}

func (v verbs) apply(p change.Plan, accept ...string) {
	v.Helper()
	r, err := v.d.Apply(v.Context(), p, apply.Options{Wait: 3e9, Accept: accept}, &events{})
	if err != nil || r.Summary.Done != len(p.Changes) {
		v.Fatalf("%+v, %v", r.Summary, err)
	}
}

// actions counts a plan by action and kind: "delete SendConnector".
func actions(p change.Plan) map[string]int {
	out := map[string]int{}
	for _, c := range p.Changes {
		out[string(c.Action)+" "+c.Kind]++
	}
	return out
}

// A feature that leaves the answers is removed with consent. Rollback brings it back.
func TestFeatureLeaves(t *testing.T) {
	d := open(t)
	v := verbs{t, d}
	first, _ := v.plan()
	v.apply(first)
	d.answers.Features = slices.DeleteFunc(answers.DefaultFeatures(),
		func(f answers.Feature) bool { return f == answers.SecureMail })

	removal, _ := v.plan()
	want := map[string]int{"delete SendConnector": 2, "delete InboundConnector": 2, "delete OutboundConnector": 2,
		"delete OnPremisesOrganization": 2}
	if diff := cmp.Diff(want, actions(removal)); diff != "" {
		t.Fatalf("planned (-want +got):\n%s", diff)
	}
	at := map[string]int{}
	for i, c := range removal.Changes {
		at[c.Kind] = max(at[c.Kind], i)
	}
	if at["OnPremisesOrganization"] > at["InboundConnector"] {
		t.Error("the connectors are removed before the record that refers to them")
	}
	if _, err := d.Apply(t.Context(), removal, apply.Options{Wait: 3e9}, &events{}); !errors.Is(err,
		apply.ErrNotAccepted) {
		t.Fatalf("without consent: %v", err)
	}
	v.apply(removal, apply.AcceptRemovals)
	if again, _ := v.plan(); len(again.Changes) > 0 {
		t.Fatalf("after the removal: %v", actions(again))
	}
	if _, err := d.Rollback(t.Context(), "", apply.Options{Wait: 3e9, Accept: []string{apply.AcceptRemovals}},
		&events{}); err != nil {
		t.Fatal(err)
	}
	if again, _ := v.plan(); cmp.Diff(want, actions(again)) != "" {
		t.Fatalf("after the rollback: %v", actions(again))
	}
}

// A forest that leaves the answers takes its objects in the tenant along. What others have changed
// since, and what they made, stays.
func TestForestLeaves(t *testing.T) {
	d := open(t)
	v := verbs{t, d}
	first, _ := v.plan()
	v.apply(first)
	run := func(cmdlet string, parameters map[string]any) {
		t.Helper()
		session, err := d.session(d.tenant.online)(t.Context())
		if err == nil {
			_, err = session.Run(context.WithoutCancel(t.Context()),
				exchange.Command{Name: cmdlet, Parameters: parameters})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	guid := ""
	for _, c := range first.Changes {
		if c.Kind == "OutboundConnector" &&
			strings.Contains(strings.Join(texts(c.After["RecipientDomains"]), ""), "fabrikam") {
			guid = c.ID[strings.LastIndex(c.ID, "/")+1:]
		}
	}
	run("Set-OutboundConnector", map[string]any{"Identity": "Outbound to " + guid, "Comment": "kept for the archive",
		"RecipientDomains": []string{"fabrikam.example", "archive.fabrikam.example"}})
	run("New-OutboundConnector", map[string]any{"Name": "Outbound to 99999999-0000-0000-0000-000000000009",
		"ConnectorType": "OnPremises", "SmartHosts": []string{"mail.other.example"}, "UseMXRecord": false,
		"RecipientDomains": []string{"other.example"}, "TlsSettings": "EncryptionOnly"})

	d.answers.Forests, d.forests = d.answers.Forests[:1], d.forests[:1]
	removal, warnings := v.plan()
	got := actions(removal)
	for _, kind := range []string{"InboundConnector", "OnPremisesOrganization", "OrganizationRelationship",
		"IntraOrganizationConnector", "Application", "ServicePrincipal"} {
		if got["delete "+kind] != 1 {
			t.Errorf("%s: %d removals, want fabrikam's", kind, got["delete "+kind])
		}
	}
	if got["delete OutboundConnector"] != 0 {
		t.Error("a connector that was changed since, or that others made, is removed")
	}
	for _, c := range removal.Changes {
		if !strings.Contains(c.ID, guid) {
			t.Errorf("%s %s is none of fabrikam's", c.Action, c.ID)
		}
	}
	if !slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, "Outbound to "+guid) }) {
		t.Errorf("what stays is not named: %q", warnings)
	}
	v.apply(removal, apply.AcceptRemovals)
	if again, _ := v.plan(); len(again.Changes) > 0 {
		t.Errorf("after the removal: %v", actions(again))
	}
}

func texts(v any) []string {
	list, _ := v.([]string)
	return list
}
