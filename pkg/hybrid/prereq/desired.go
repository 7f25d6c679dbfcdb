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
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// Desired are the facts that the desired state is derived from. What cannot be read is an error: nothing is planned on the unknown.
func Desired(ctx context.Context, f *fact.Set) (desired.Facts, error) {
	out := desired.Facts{Now: f.Now().UTC().Truncate(24 * time.Hour)}
	var errs []error
	organization, err := fact.Tenant.In(ctx, f.Tenant)
	errs = append(errs, err)
	config, err := fact.OnlineConfig.In(ctx, f.Tenant)
	errs = append(errs, err)
	accepted, err := fact.OnlineAcceptedDomains.In(ctx, f.Tenant)
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
		appID string
		to    *desired.Resource
	}{{oauth.AppExchangeOnline, &out.Tenant.Exchange}, {oauth.AppGraph, &out.Tenant.Graph}} {
		sp, err := fact.Principal.In(ctx, f.Tenant, p.appID)
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
		df, err := desiredForest(ctx, f, forest)
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

func desiredForest(ctx context.Context, f *fact.Set, forest *fact.Side) (desired.Forest, error) {
	out := desired.Forest{Name: forest.Name()}
	organization, err := fact.Organization.In(ctx, forest)
	if err != nil {
		return out, err
	}
	out.OrganizationGUID, out.RootDomain = organization.GUID, organization.RootDomain
	if out.Servers, err = mailboxServers(ctx, forest); err != nil {
		return out, err
	}
	auth, err := fact.Auth.In(ctx, forest)
	if err != nil {
		return out, err
	}
	for _, c := range auth.Certificates() {
		out.AuthCertificates = append(out.AuthCertificates, desired.AuthCertificate{DER: c.Raw, NotAfter: c.NotAfter})
	}
	accepted, err := fact.AcceptedDomains.In(ctx, forest)
	if err != nil {
		return out, err
	}
	for _, a := range accepted {
		out.AcceptedDomains = append(out.AcceptedDomains, a.Name)
	}
	name := fact.ApplicationName(organization.GUID)
	found, err := fact.Applications.In(ctx, f.Tenant, name)
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
	out.Application = &desired.Application{ID: app.ID, AppID: app.AppID, KeyCredentials: app.KeyCredentials, RequiredResourceAccess: app.RequiredResourceAccess}
	sp, err := fact.Principal.In(ctx, f.Tenant, app.AppID)
	if err != nil && !errors.Is(err, entra.ErrNotFound) {
		return out, err
	}
	out.Application.ServicePrincipalID = sp.ID
	return out, nil
}
