package prereq

import (
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

func TestSharingCheck(t *testing.T) {
	for epr, want := range map[string]check.Status{
		"": check.StatusPass, "https://mail.contoso.com/EWS/Exchange.asmx": check.StatusPass,
		"https://1.his.msappproxy.net/ews/exchange.asmx": check.StatusPass,
		"https://old.contoso.com/EWS/Exchange.asmx":      check.StatusFail,
	} {
		set, _ := healthy(t)
		for _, q := range []*fact.Query[[]fact.Holder]{fact.OnlineRelationships, fact.OnlineConnectors} {
			fact.OnlineRelationships.Seed(set.Tenant, nil, nil)
			fact.OnlineConnectors.Seed(set.Tenant, nil, nil)
			q.Seed(set.Tenant, []fact.Holder{
				{Name: "ours", Domains: []string{"Contoso.com"}, TargetSharingEpr: epr},
				{Name: "a partner's", Domains: []string{"partner.example"},
					TargetSharingEpr: "https://mail.partner.example/EWS/Exchange.asmx"},
			}, nil)
			if r := sharingCheck.Run(t.Context(), Input{Set: set, Forest: set.Forests[0]}); r.Status != want {
				t.Errorf("%q: %s %s", epr, r.Status, r.Summary)
			}
		}
	}
}
