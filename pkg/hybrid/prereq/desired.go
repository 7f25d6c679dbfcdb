package prereq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
)

// Desired are the facts that the desired state is derived from. What cannot be read is an error: nothing is planned on the unknown.
func (f *Facts) Desired(ctx context.Context) (desired.Facts, error) {
	out := desired.Facts{Now: f.Now().UTC().Truncate(24 * time.Hour)}
	var errs []error
	organization, err := f.Tenant.Organization.Get(ctx)
	errs = append(errs, err)
	config, err := f.Tenant.Config.Get(ctx)
	errs = append(errs, err)
	accepted, err := f.Tenant.AcceptedDomains.Get(ctx)
	errs = append(errs, err)
	out.Tenant = desired.Tenant{ID: strings.ToLower(organization.ID), OrganizationGUID: config.GUID}
	for _, v := range organization.VerifiedDomains {
		out.Tenant.VerifiedDomains = append(out.Tenant.VerifiedDomains, v.Name)
	}
	for _, a := range accepted {
		if a.Coexistence {
			out.Tenant.CoexistenceDomain = a.Name
		}
	}
	for _, p := range []struct {
		fact *Fact[entra.ServicePrincipal]
		to   *desired.Resource
	}{{f.Tenant.ExchangePrincipal, &out.Tenant.Exchange}, {f.Tenant.GraphPrincipal, &out.Tenant.Graph}} {
		sp, err := p.fact.Get(ctx)
		if errors.Is(err, entra.ErrNotFound) {
			continue // only one of the two is needed; the derivation says when it is missing
		}
		errs = append(errs, err)
		*p.to = desired.Resource{ID: sp.ID, Roles: map[string]string{}}
		for _, role := range sp.AppRoles {
			if role.IsEnabled {
				p.to.Roles[role.Value] = role.ID
			}
		}
	}
	for _, forest := range f.Forests {
		df, err := f.desiredForest(ctx, forest)
		errs = append(errs, err)
		out.Forests = append(out.Forests, df)
	}
	return out, errors.Join(unique(errs)...)
}

// unique drops repetitions: one connection that fails is the reason of several facts.
func unique(errs []error) []error {
	var out []error
	seen := map[string]bool{}
	for _, err := range errs {
		if err != nil && !seen[err.Error()] {
			seen[err.Error()] = true
			out = append(out, err)
		}
	}
	return out
}

func (f *Facts) desiredForest(ctx context.Context, forest *Forest) (desired.Forest, error) {
	out := desired.Forest{Name: forest.Name()}
	organization, err := forest.Organization.Get(ctx)
	if err != nil {
		return out, err
	}
	out.OrganizationGUID, out.RootDomain = organization.GUID, organization.RootDomain
	if out.Servers, err = mailboxServers(ctx, forest); err != nil {
		return out, err
	}
	auth, err := forest.Auth.Get(ctx)
	if err != nil {
		return out, err
	}
	out.AuthCertificates = authCertificates(auth)
	accepted, err := forest.AcceptedDomains.Get(ctx)
	if err != nil {
		return out, err
	}
	for _, a := range accepted {
		out.AcceptedDomains = append(out.AcceptedDomains, a.Name)
	}
	name := desired.ApplicationName(organization.GUID)
	found, err := f.Tenant.Applications.Get(ctx, name)
	if err != nil {
		return out, err
	}
	switch len(found) {
	case 0:
		return out, nil
	case 1:
	default:
		return out, fmt.Errorf("tenant: %w: %d applications are called %s; remove all but the one that Exchange uses", change.ErrAmbiguous, len(found), name)
	}
	app := found[0]
	id, _ := app["id"].(string)
	appID, _ := app["appId"].(string)
	out.Application = &desired.Application{ID: id, AppID: appID, KeyCredentials: desired.KeyCredentials(app), RequiredResourceAccess: desired.RequiredResourceAccess(app)}
	sp, err := f.Tenant.Principal.Get(ctx, appID)
	if err != nil && !errors.Is(err, entra.ErrNotFound) {
		return out, err
	}
	out.Application.ServicePrincipalID = sp.ID
	return out, nil
}
