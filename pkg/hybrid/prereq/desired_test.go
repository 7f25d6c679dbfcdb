package prereq

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// deployed is healthy with what a plan needs beyond the checks: the principals, and the application of contoso.
func deployed(t *testing.T) *fact.Set {
	f, _ := healthy(t)
	fact.Principal.SeedAll(f.Tenant, func(appID string) (entra.ServicePrincipal, error) {
		return entra.ServicePrincipal{ID: "sp-of-" + appID}, nil
	})
	fact.Principal.Seed(f.Tenant, oauth.AppExchangeOnline, entra.ServicePrincipal{ID: "exo", AppRoles: []entra.AppRole{
		{ID: "r1", Value: "full_access_as_app", IsEnabled: true}, {ID: "r2", Value: "EWS.Old", IsEnabled: false},
	}}, nil)
	fact.Principal.Seed(f.Tenant, oauth.AppGraph, entra.ServicePrincipal{}, entra.ErrNotFound)
	fact.Applications.SeedAll(f.Tenant, func(string) ([]fact.Application, error) { return nil, nil })
	fact.Applications.Seed(f.Tenant, fact.ApplicationName("contoso-guid"), []fact.Application{{ID: "o1", AppID: "a1"}}, nil)
	return f
}

func TestDesired(t *testing.T) {
	got, err := Desired(t.Context(), deployed(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(desired.Resource{ID: "exo", Roles: map[string]string{"full_access_as_app": "r1"}}, got.Tenant.Exchange); diff != "" {
		t.Errorf("a permission that is switched off cannot be given: %s", diff)
	}
	contoso, fabrikam := got.Forests[0], got.Forests[1]
	if contoso.Application == nil || contoso.Application.ServicePrincipalID != "sp-of-a1" || fabrikam.Application != nil {
		t.Errorf("applications %+v, %+v", contoso.Application, fabrikam.Application)
	}
	if len(contoso.Servers) != 1 || len(contoso.AuthCertificates) != 1 || got.Tenant.CoexistenceDomain != "contoso.mail.onmicrosoft.com" {
		t.Errorf("%+v", got)
	}
}

// What cannot be read is no fact, and is told once, however many facts it is the reason of.
func TestDesiredUnknown(t *testing.T) {
	broken := errors.New("nobody answers")
	for name, disorder := range map[string]func(*fact.Set){
		"organization":     func(f *fact.Set) { failing(fact.Tenant, f.Tenant)(broken) },
		"accepted domains": func(f *fact.Set) { failing(fact.OnlineAcceptedDomains, f.Tenant)(broken) },
		"principal": func(f *fact.Set) {
			fact.Principal.Seed(f.Tenant, oauth.AppExchangeOnline, entra.ServicePrincipal{}, broken)
		},
		"servers":           func(f *fact.Set) { failing(fact.Servers, f.Forests[1])(broken) },
		"auth certificates": func(f *fact.Set) { failing(fact.Auth, f.Forests[0])(broken) },
		"both": func(f *fact.Set) {
			failing(fact.Auth, f.Forests[0])(broken)
			failing(fact.Organization, f.Forests[1])(broken)
		},
		"the application's principal": func(f *fact.Set) { fact.Principal.Seed(f.Tenant, "a1", entra.ServicePrincipal{}, broken) },
	} {
		f := deployed(t)
		disorder(f)
		if _, err := Desired(t.Context(), f); !errors.Is(err, broken) || err.Error() != broken.Error() {
			t.Errorf("%s: %v", name, err)
		}
	}
	f := deployed(t)
	fact.Applications.Seed(f.Tenant, fact.ApplicationName("contoso-guid"), make([]fact.Application, 2), nil)
	if _, err := Desired(t.Context(), f); !errors.Is(err, change.ErrAmbiguous) {
		t.Errorf("two applications of one name: %v", err)
	}
}
