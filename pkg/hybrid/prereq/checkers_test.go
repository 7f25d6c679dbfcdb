package prereq

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// asCheckers is what FreeBusyChecker looks at in a healthy deployment.
func asCheckers(f *fact.Set) {
	fact.OnlineDefaultSharing.Seed(f.Tenant, []string{"*:calendarsharingfreebusysimple"}, nil)
	for _, forest := range f.Forests {
		fact.RolesOf.SeedAll(forest, func(string) ([]string, error) { return append(otherRoles, lookupRole), nil })
		fact.DefaultSharing.Seed(forest, []string{"*:calendarsharingfreebusysimple"}, nil)
	}
}

func TestWhatFreeBusyCheckerLooksAt(t *testing.T) {
	const exchange = "00000002-0000-0ff1-ce00-000000000000"
	const account = "contoso.com/Users/Exchange Online-ApplicationAccount"
	linked := []fact.PartnerApplication{{Name: "Exchange Online", ApplicationIdentifier: exchange, Account: account}}
	all := append([]string{lookupRole}, otherRoles...)
	simple := []string{"*:calendarsharingfreebusysimple"}
	for name, tt := range map[string]struct {
		partners     []fact.PartnerApplication
		roles        []string
		here, there  []string
		failure      error
		roleWant     check.Status
		sharingWant  check.Status
		says, advice string
	}{
		"fine":               {linked, all, simple, simple, nil, check.StatusPass, check.StatusPass, "", ""},
		"no account yet":     {nil, nil, nil, nil, nil, check.StatusPass, check.StatusPass, "", ""},
		"without all roles":  {linked, nil, simple, simple, nil, check.StatusFail, check.StatusPass, "tokens of the tenant", "-Role 'UserApplication' -User '" + account + "'"},
		"without one":        {linked, all[:len(all)-1], simple, simple, nil, check.StatusWarn, check.StatusPass, all[len(all)-1], "New-ManagementRoleAssignment"},
		"policies differ":    {linked, all, simple, nil, nil, check.StatusPass, check.StatusWarn, "", ""},
		"what is not known":  {linked, nil, nil, nil, errors.New("no answer"), check.StatusError, check.StatusError, "", ""},
		"of another program": {[]fact.PartnerApplication{{Name: "x", ApplicationIdentifier: "x", Account: "y"}}, nil, simple, simple, nil, check.StatusPass, check.StatusPass, "", ""},
	} {
		set := fact.New(answers.Answers{ExchangeOnline: &answers.ExchangeOnline{Tenant: "contoso.onmicrosoft.com"},
			Forests: []answers.Forest{{Name: "contoso"}}}, cloud.Cloud{})
		forest := set.Forests[0]
		fact.PartnerApplications.Seed(forest, tt.partners, nil)
		fact.RolesOf.Seed(forest, account, tt.roles, tt.failure)
		fact.DefaultSharing.Seed(forest, tt.here, tt.failure)
		fact.OnlineDefaultSharing.Seed(set.Tenant, tt.there, nil)
		for i, want := range []check.Status{tt.roleWant, tt.sharingWant} {
			r := checkerChecks[i].Run(t.Context(), Input{Set: set, Forest: forest})
			if r.Status != want || i == 0 && !strings.Contains(r.Summary.String(), tt.says) ||
				i == 0 && tt.advice != "" && !slices.ContainsFunc(r.Remedy.Commands, func(c string) bool {
					return strings.Contains(c, tt.advice)
				}) {
				t.Errorf("%s: %s: %s (%s) %v", name, checkerChecks[i].ID, r.Status, r.Summary, r.Remedy.Commands)
			}
		}
	}
}
