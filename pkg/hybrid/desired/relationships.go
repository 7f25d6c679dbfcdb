package desired

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

var relationships = &Topic{
	ID:        "relationships",
	Title:     "Organization relationships",
	Features:  allowances,
	PerForest: true,
	Kinds:     []*Kind{organizationRelationship},
	Reads: fact.List(fact.Tenant, fact.OnlineConfig, fact.OnlineAcceptedDomains, fact.Organization, fact.Relationships,
		fact.OnlineRelationships, fact.ClientDirectories, fact.Servers),
	Derive: func(ctx context.Context, p *Planner) error {
		domains, err := p.domains()
		if err != nil {
			return err
		}
		coexistence, err := p.coexistence(ctx)
		if err != nil {
			return err
		}
		cloud, err := p.cloud(ctx)
		if err != nil {
			return err
		}
		name, err := p.tenantName(ctx)
		if err != nil {
			return err
		}
		guid, err := p.organization(ctx, p.Forest)
		if err != nil {
			return err
		}
		forest, features := p.Forest.Name(), p.Answers.Features

		onprem, online := change.Properties{}, change.Properties{}
		for feature, properties := range allowed {
			if wants(features, feature) {
				maps.Copy(onprem, properties)
				if !onlyOnPremises[feature] {
					maps.Copy(online, properties)
				}
			}
		}
		if wants(features, answers.OWARedirection) {
			onprem["TargetOwaURL"] = cloud.OWA
			online["TargetOwaURL"] = owaAt(p.Forest.Answers.Namespace.EWS)
		}
		if hybridApplication.wanted(features) {
			onprem["TargetSharingEpr"] = cloud.EWS
		}
		here, err := fact.Relationships.In(ctx, p.Forest)
		if err != nil {
			return err
		}
		for _, part := range share(coexistence, "On-premises to O365 - "+name, []string{coexistence}, here) {
			properties := with(onprem, change.Properties{"DomainNames": part.domains, "Enabled": true})
			if oldOWA(part.TargetOwaURL, p.Answers.ExchangeOnline.Tenant, p.Forest.Answers.Domains) {
				delete(properties, "TargetOwaURL")
			}
			p.Add(organizationRelationship, p.at(), part.key, part.name,
				msg.Of("it says what %s and the tenant may ask of each other", forest), properties,
				All(p.at(), authServer, partnerApplication)...)
		}
		if len(online) == 0 {
			return nil
		}
		there, err := fact.OnlineRelationships.In(ctx, p.set.Tenant)
		if err != nil {
			return err
		}
		for _, part := range share(guid, "O365 to On-premises - "+guid, domains, there) {
			properties := with(online, p.sharing(part.Holder),
				change.Properties{"DomainNames": part.domains, "Enabled": true})
			if wants(features, answers.OWARedirection) {
				if address := p.owaAddress(ctx, part.TargetOwaURL); address != "" {
					properties["TargetOwaURL"] = address
				} else {
					delete(properties, "TargetOwaURL")
				}
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			p.Add(organizationRelationship, PlaceOnline, part.key, part.name,
				msg.Of("it says what the tenant and %s may ask of each other", forest), properties)
		}
		return nil
	},
}

// owaAt is the address of Outlook on the web at a host.
func owaAt(host string) string { return "https://" + host + "/owa" }

// owaAddress returns the address of Outlook on the web of the forest to which the tenant leads
// people: one that the forest publishes. It is empty when the present address stays: it is one of
// these, is at the host of EWS, or which ones are published is not known.
func (p *Planner) owaAddress(ctx context.Context, live string) string {
	ews := p.Forest.Answers.Namespace.EWS
	directories, err := fact.ClientDirectories.In(ctx, p.Forest)
	servers, unread := fact.Servers.In(ctx, p.Forest)
	if err != nil || unread != nil {
		if live != "" {
			return ""
		}
		return owaAt(ews)
	}
	hosts := []string{strings.ToLower(ews)}
	for _, d := range directories {
		u, err := url.Parse(d.ExternalURL)
		if err == nil && d.Noun == fact.OWADirectory && !Unfit(p.set, p.Forest, servers, d.ExternalURL) {
			hosts = append(hosts, strings.ToLower(u.Hostname()))
		}
	}
	u, err := url.Parse(live)
	if err == nil && strings.EqualFold(u.Scheme, "https") && slices.Contains(hosts, strings.ToLower(u.Hostname())) {
		return ""
	}
	published := hosts[1:]
	if len(published) == 0 || slices.Contains(published, hosts[0]) {
		return owaAt(ews)
	}
	return owaAt(slices.Min(published))
}

// oldOWA reports whether an address of Outlook on the web is one that older wizards wrote. Such an
// address works.
func oldOWA(address, tenant string, domains []string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	last := strings.ToLower(u.Path[strings.LastIndex(u.Path, "/")+1:])
	return (strings.EqualFold(u.Host, "outlook.com") || strings.EqualFold(u.Host, "www.outlook.com")) &&
		(strings.EqualFold(last, tenant) || slices.Contains(lower(domains), last))
}

// allowed are the properties of organization relationships that features need. A feature that was
// not chosen is left as it is, never switched off.
var allowed = map[answers.Feature]change.Properties{
	answers.FreeBusy:        {"FreeBusyAccessEnabled": true, "FreeBusyAccessLevel": "LimitedDetails"},
	answers.MailTips:        {"MailTipsAccessEnabled": true, "MailTipsAccessLevel": "All"},
	answers.MessageTracking: {"DeliveryReportEnabled": true},
	answers.MoveMailbox:     {"MailboxMoveEnabled": true},
	answers.OnlineArchive:   {"ArchiveAccessEnabled": true},
	answers.Photos:          {"PhotosEnabled": true},
}

// onlyOnPremises are the features that control what the tenant may do on-premises, and nothing in
// the tenant.
var onlyOnPremises = map[answers.Feature]bool{answers.MoveMailbox: true, answers.OnlineArchive: true}

var organizationRelationship = Exchange.Declare(Kind{
	Noun:  "OrganizationRelationship",
	Title: "Organization relationship",
	Why: "Says what the other side may ask for (free/busy, MailTips, photos, mailbox moves) and where to ask. " +
		"On-premises it also carries the Exchange Online EWS address that lookups with the dedicated application use.",
	Places:     []string{OnPremises, Online},
	Match:      bySharedDomain("DomainNames"),
	Recognizes: "Test-Shared -As DomainList -Want {DomainNames} -Live (Read-Property $_ 'DomainNames')",
	Properties: map[string]Property{
		"DomainNames":           {Type: domains, Write: change.Merge},
		"Enabled":               {Type: boolean},
		"FreeBusyAccessEnabled": {Type: boolean},
		"FreeBusyAccessLevel":   {Type: level},
		"MailTipsAccessEnabled": {Type: boolean},
		"MailTipsAccessLevel":   {Type: level},
		"DeliveryReportEnabled": {Type: boolean},
		"MailboxMoveEnabled":    {Type: boolean},
		"ArchiveAccessEnabled":  {Type: boolean},
		"PhotosEnabled":         {Type: boolean},
		"TargetOwaURL":          {Type: address},
		"TargetSharingEpr":      {Type: address},
		// Of relationships between forests, which sign in by federation.
		"TargetApplicationUri":  {Type: text},
		"TargetAutodiscoverEpr": {Type: address},
	},
	Risk: "lookups and mailbox moves between the two sides follow this object; a domain taken from another " +
		"relationship loses its own settings",
}, Cmdlets{Verbs: New | Set | Remove})
