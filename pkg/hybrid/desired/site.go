package desired

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// Site is what a script verifies at its place before its first change.
type Site struct {
	// GUID of the Exchange organization, which may be unknown for Exchange Online; id of the
	// organization in WorkMail.
	Organization string
	Tenant       string               // GUID
	Environment  string               // the cloud, as Get-MgContext names it
	Region       string               // of WorkMail
	Servers      []fact.MailboxServer // with the builds that the plan saw
	Connect      []string             // how to sign in, for the help of the script
}

// Sites looks up what the scripts of a plan verify.
func Sites(ctx context.Context, set *fact.Set, p change.Plan) (map[string]Site, error) {
	out := map[string]Site{}
	planner := &Planner{Answers: set.Answers, set: set}
	for _, c := range p.Changes {
		if _, known := out[c.Target]; known {
			continue
		}
		site, err := planner.site(ctx, c.Target)
		if err != nil {
			return nil, fmt.Errorf("%s: what its script has to make sure of: %w", c.Target, err)
		}
		out[c.Target] = site
	}
	return out, nil
}

// shownServers are the Mailbox servers with the builds that Get-ExchangeServer shows.
func shownServers(ctx context.Context, forest *fact.Side) ([]fact.MailboxServer, error) {
	mailbox, err := fact.MailboxServers.In(ctx, forest)
	if err != nil || !slices.ContainsFunc(mailbox, func(s fact.MailboxServer) bool { return s.Given }) {
		return mailbox, err
	}
	all, err := fact.Servers.In(ctx, forest)
	out := slices.Clone(mailbox)
	for i := range out {
		for _, s := range all {
			if shown, bad := s.Shown(); bad == nil && s.Name == out[i].Name {
				out[i].Build = shown
			}
		}
	}
	return out, err
}

func (p *Planner) site(ctx context.Context, place string) (site Site, err error) {
	for _, forest := range p.set.Forests {
		if PlaceForest(forest.Name()) == place {
			if site.Organization, err = p.organization(ctx, forest); err != nil {
				return Site{}, err
			}
			site.Servers, err = shownServers(ctx, forest)
			return site, err
		}
	}
	if place == PlaceWorkMail {
		organization, err := fact.WorkMailOrganization.In(ctx, p.set.WorkMail)
		if errors.Is(err, workmail.ErrNotFound) && p.Answers.WorkMail.Directory != "" {
			organization.ID, err = apply.Unmade, nil
		}
		return Site{Organization: organization.ID, Region: p.Answers.WorkMail.Region}, err
	}
	if site.Tenant, err = p.tenantID(ctx); err != nil {
		return Site{}, err
	}
	exchange, graph := p.set.Cloud.PowerShell()
	site.Environment = graph
	if place == PlaceEntra {
		connect := "Connect-MgGraph -TenantId " + site.Tenant + " -Environment " + graph
		site.Connect = []string{
			"Connect with: " + connect + " -Scopes " + strings.Join(graphScopes, ", "),
			"Without a browser: add -UseDeviceCode.",
			"As an application that has these permissions: " + connect +
				" -ClientId ID -CertificateThumbprint THUMBPRINT",
		}
		return site, nil
	}
	config, err := fact.OnlineConfig.In(ctx, p.set.Tenant)
	if err != nil {
		return Site{}, err
	}
	site.Organization = strings.ToLower(config.GUID)
	connect := "Connect-ExchangeOnline"
	if exchange != "" {
		connect += " -ExchangeEnvironmentName " + exchange
	}
	site.Connect = []string{
		"Connect with: " + connect, "A device code needs PowerShell 7: add -Device there.",
		"As an application: " + connect +
			" -AppId ID -CertificateThumbprint THUMBPRINT -Organization NAME.onmicrosoft.com",
	}
	return site, nil
}
