package prereq

import (
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

func planOf(target string, kinds ...string) (p change.Plan) {
	for _, k := range kinds {
		p.Changes = append(p.Changes, change.Change{Kind: k, Target: target})
	}
	return p
}

// A change depends on what its topic rests on and on the right to write there. It does not depend
// on what the plan changes itself, nor on checks that compare with the plan.
func TestBefore(t *testing.T) {
	for _, test := range []struct {
		plan       change.Plan
		with, sans []check.ID
	}{
		{planOf("online", "IntraOrganizationConnector"),
			[]check.ID{"access.online-write", "domains.accepted", "domains.coexistence", "autodiscover.answers",
				"ews.answers", "tenant.ews-switch"},
			[]check.ID{"access.onprem-write", "access.online-read", "oauth.sharing-endpoint", "certificates.auth",
				"directory.unique-addresses"}},
		{planOf("online", "OrganizationConfig"), []check.ID{"access.online-write", "oauth.application"},
			[]check.ID{"tenant.ews-switch"}},
		{planOf("entra", "KeyCredential"), []check.ID{"access.entra-write", "certificates.auth", "servers.build"},
			[]check.ID{"access.online-write", "oauth.application"}},
		{planOf("onprem/contoso", "SettingOverride"),
			[]check.ID{"access.onprem-write", "domains.authoritative", "servers.build"},
			[]check.ID{"access.online-write", "access.entra-write", "oauth.overrides"}},
		{planOf("online"), nil, []check.ID{"access.online-write", "domains.accepted"}},
	} {
		got := before(Checks(), test.plan)
		for _, id := range test.with {
			if !slices.Contains(got, id) {
				t.Errorf("%v: %s is not among %v", test.plan.Changes, id, got)
			}
		}
		for _, id := range got {
			if slices.Contains(test.sans, id) || strings.HasPrefix(string(id), "hybrid.") {
				t.Errorf("%v: %s is among %v", test.plan.Changes, id, got)
			}
		}
	}
	for _, k := range desired.Kinds() {
		if len(before(Checks(), planOf(strings.Replace(k.Places[0], "*", "contoso", 1), k.Noun))) == 0 {
			t.Errorf("nothing is checked before a change of %s", k.Noun)
		}
	}
}

// A forest that the plan leaves out is not checked again: it does not stop the others.
func TestRecheckLeavesOutForests(t *testing.T) {
	c, _ := cloud.Get("worldwide")
	set := fact.New(answers.Answers{ExchangeOnline: &answers.ExchangeOnline{Tenant: "contoso.onmicrosoft.com"},
		Forests: []answers.Forest{{Name: "contoso"}, {Name: "fabrikam"}}}, c)
	p := planOf("onprem/contoso", "AuthServer", "SettingOverride")
	p.LeftOut = []change.LeftOut{{Topic: "oauth", Place: "onprem/fabrikam", Reason: msg.Plain("not reached")}}
	r, err := Recheck(t.Context(), set, p, check.Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	scopes := map[string]bool{}
	for _, result := range r.Results {
		scopes[result.Scope] = true
	}
	if !scopes["contoso"] || scopes["fabrikam"] {
		t.Errorf("%v", scopes)
	}
}
