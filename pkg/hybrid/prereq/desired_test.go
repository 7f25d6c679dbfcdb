package prereq

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
)

// deployed is healthy with what a plan needs beyond the checks: the principals, and the application of contoso.
func deployed(t *testing.T) *Facts {
	f, _ := healthy(t)
	f.Tenant.ExchangePrincipal = Known(entra.ServicePrincipal{ID: "exo", AppRoles: []entra.AppRole{
		{ID: "r1", Value: "full_access_as_app", IsEnabled: true}, {ID: "r2", Value: "EWS.Old", IsEnabled: false},
	}})
	f.Tenant.GraphPrincipal = Failing[entra.ServicePrincipal](entra.ErrNotFound)
	f.Tenant.Applications = NewKeyed(func(_ context.Context, name string) ([]map[string]any, error) {
		if name == desired.ApplicationName("contoso-guid") {
			return []map[string]any{{"id": "o1", "appId": "a1"}}, nil
		}
		return nil, nil
	})
	f.Tenant.Principal = NewKeyed(func(_ context.Context, appID string) (entra.ServicePrincipal, error) {
		return entra.ServicePrincipal{ID: "sp-of-" + appID}, nil
	})
	return f
}

func TestDesired(t *testing.T) {
	got, err := deployed(t).Desired(t.Context())
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
	for name, disorder := range map[string]func(*Facts){
		"organization":      func(f *Facts) { f.Tenant.Organization = Failing[entra.Organization](broken) },
		"accepted domains":  func(f *Facts) { f.Tenant.AcceptedDomains = Failing[[]AcceptedDomain](broken) },
		"principal":         func(f *Facts) { f.Tenant.ExchangePrincipal = Failing[entra.ServicePrincipal](broken) },
		"servers":           func(f *Facts) { f.Forests[1].Servers = Failing[[]Server](broken) },
		"auth certificates": func(f *Facts) { f.Forests[0].Auth = Failing[Auth](broken) },
		"both": func(f *Facts) {
			f.Forests[0].Auth, f.Forests[1].Organization = Failing[Auth](broken), Failing[Organization](broken)
		},
		"the application's principal": func(f *Facts) {
			f.Tenant.Principal = NewKeyed(func(context.Context, string) (entra.ServicePrincipal, error) { return entra.ServicePrincipal{}, broken })
		},
	} {
		f := deployed(t)
		disorder(f)
		if _, err := f.Desired(t.Context()); !errors.Is(err, broken) || err.Error() != broken.Error() {
			t.Errorf("%s: %v", name, err)
		}
	}
	f := deployed(t)
	f.Tenant.Applications = NewKeyed(func(context.Context, string) ([]map[string]any, error) { return make([]map[string]any, 2), nil })
	if _, err := f.Desired(t.Context()); !errors.Is(err, change.ErrAmbiguous) {
		t.Errorf("two applications of one name: %v", err)
	}
}
