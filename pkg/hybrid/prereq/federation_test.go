package prereq

import (
	"errors"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// Classic federation is kept and named. It is a finding where lookups to the tenant still take it.
func TestFederation(t *testing.T) {
	coexistence := "contoso.mail.onmicrosoft.com"
	hybrid := fact.Holder{Name: "On-premises to O365", Domains: []string{coexistence}, Leads: true}
	partner := fact.Holder{Name: "A partner", Domains: []string{"partner.example"}, Leads: true}
	connector := fact.Holder{Name: "HybridIOC", Domains: []string{coexistence}, Leads: true}
	off := fact.Holder{Name: "HybridIOC", Domains: []string{coexistence}}
	for name, tt := range map[string]struct {
		trusts                    []string
		relationships, connectors []fact.Holder
		failure                   error
		want                      check.Status
		partners                  int
	}{
		"no trust": {nil, []fact.Holder{hybrid}, nil, nil, check.StatusPass, 0},
		"OAuth beside it": {[]string{"MFG"}, []fact.Holder{hybrid}, []fact.Holder{connector}, nil, check.StatusPass,
			0},
		"for a partner": {[]string{"MFG"}, []fact.Holder{hybrid, partner}, []fact.Holder{connector}, nil,
			check.StatusPass, 1},
		"lookups take it": {[]string{"MFG"}, []fact.Holder{hybrid, partner}, nil, nil, check.StatusWarn, 1},
		"another's connector": {[]string{"MFG"}, []fact.Holder{hybrid}, []fact.Holder{partner}, nil, check.StatusWarn,
			0},
		// A connector that is switched off is how administrators lead lookups back to the trust.
		"connector off": {[]string{"MFG"}, []fact.Holder{hybrid}, []fact.Holder{off}, nil, check.StatusWarn, 0},
		"both off":      {[]string{"MFG"}, []fact.Holder{off}, []fact.Holder{off}, nil, check.StatusPass, 0},
		"unknown":       {nil, nil, nil, errors.New("no answer"), check.StatusError, 0},
	} {
		t.Run(name, func(t *testing.T) {
			set := fact.New(answers.Answers{ExchangeOnline: &answers.ExchangeOnline{Tenant: "contoso.onmicrosoft.com",
				CoexistenceDomain: coexistence}, Forests: []answers.Forest{{Name: "contoso"}}}, cloud.Cloud{})
			forest := set.Forests[0]
			fact.FederationTrusts.Seed(forest, tt.trusts, tt.failure)
			fact.Relationships.Seed(forest, tt.relationships, nil)
			fact.Connectors.Seed(forest, tt.connectors, nil)
			fact.OnlineAcceptedDomains.Seed(set.Tenant, nil, nil)
			r := federationCheck.Run(t.Context(), Input{Set: set, Forest: forest})
			if r.Status != tt.want {
				t.Errorf("%s: %s", r.Status, r.Summary)
			}
			if names, _ := r.Evidence["partners"].([]string); len(names) != tt.partners {
				t.Errorf("the partners are %v", names)
			}
		})
	}
}

// A migration endpoint that Exchange Online cannot use is a finding, with its words.
func TestEndpointAnswers(t *testing.T) {
	at := func(host string) []fact.MigrationEndpoint {
		return []fact.MigrationEndpoint{{Name: "e", Type: "ExchangeRemoteMove", RemoteServer: host}}
	}
	for name, tt := range map[string]struct {
		endpoints []fact.MigrationEndpoint
		answer    fact.EndpointAnswer
		failure   error
		want      check.Status
	}{
		"none":           {nil, fact.EndpointAnswer{}, nil, check.StatusPass},
		"another host's": {at("mail.x.example"), fact.EndpointAnswer{}, nil, check.StatusPass},
		"answers":        {at("mail.contoso.example"), fact.EndpointAnswer{OK: true}, nil, check.StatusPass},
		"refused": {at("MAIL.contoso.example"), fact.EndpointAnswer{Message: "(401) Unauthorized"}, nil,
			check.StatusFail},
		"unknown": {at("mail.contoso.example"), fact.EndpointAnswer{}, errors.New("no answer"),
			check.StatusError},
	} {
		t.Run(name, func(t *testing.T) {
			set := fact.New(answers.Answers{ExchangeOnline: &answers.ExchangeOnline{}, Forests: []answers.Forest{{
				Name: "contoso", Namespace: answers.Namespace{EWS: "mail.contoso.example"}}}}, cloud.Cloud{})
			fact.MigrationEndpoints.Seed(set.Tenant, tt.endpoints, nil)
			fact.EndpointTest.Seed(set.Tenant, "e", tt.answer, tt.failure)
			for _, c := range migrationChecks {
				if c.ID != "migration.endpoint-answers" {
					continue
				}
				if r := c.Run(t.Context(), Input{Set: set, Forest: set.Forests[0]}); r.Status != tt.want {
					t.Errorf("%s: %s", r.Status, r.Summary)
				}
			}
		})
	}
}
