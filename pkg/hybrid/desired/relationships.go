package desired

import (
	"context"
	"maps"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

var relationships = &Topic{
	ID:        "relationships",
	Title:     "Organization relationships",
	Features:  allowances,
	PerForest: true,
	Kinds:     []*Kind{organizationRelationship},
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
			online["TargetOwaURL"] = "https://" + p.Forest.Answers.Namespace.EWS + "/owa"
		}
		if hybridApplication.wanted(features) {
			onprem["TargetSharingEpr"] = cloud.EWS
		}
		p.Add(organizationRelationship, p.at(), coexistence, "On-premises to O365 - "+name,
			msg.Of("it says what %s and the tenant may ask of each other", forest),
			with(onprem, change.Properties{"DomainNames": []string{coexistence}, "Enabled": true}),
			All(p.at(), authServer, partnerApplication)...)
		if len(online) > 0 {
			p.Add(organizationRelationship, PlaceOnline, guid, "O365 to On-premises - "+guid,
				msg.Of("it says what the tenant and %s may ask of each other", forest),
				with(online, change.Properties{"DomainNames": domains, "Enabled": true}))
		}
		return nil
	},
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

// onlyOnPremises are the features that concern what the tenant may do on-premises, and nothing in
// the tenant.
var onlyOnPremises = map[answers.Feature]bool{answers.MoveMailbox: true, answers.OnlineArchive: true}

var organizationRelationship = Exchange.Declare(Kind{
	Noun:  "OrganizationRelationship",
	Title: "Organization relationship",
	Why: "Says what the other side may ask for (free/busy, MailTips, photos, mailbox moves) and where to ask. " +
		"On-premises it also carries the Exchange Online EWS address that lookups with the dedicated application use.",
	Places: []string{OnPremises, Online},
	Match:  bySharedDomain("DomainNames"),
	Properties: map[string]Property{
		"DomainNames":           {Type: domains, Write: change.Merge},
		"Enabled":               {Type: boolean},
		"FreeBusyAccessEnabled": {Type: boolean},
		"FreeBusyAccessLevel":   {Type: freeBusyLevel},
		"MailTipsAccessEnabled": {Type: boolean},
		"MailTipsAccessLevel":   {Type: text},
		"DeliveryReportEnabled": {Type: boolean},
		"MailboxMoveEnabled":    {Type: boolean},
		"ArchiveAccessEnabled":  {Type: boolean},
		"PhotosEnabled":         {Type: boolean},
		"TargetOwaURL":          {Type: address},
		"TargetSharingEpr":      {Type: address},
	},
	Risk: "lookups and mailbox moves between the two sides follow this object; a domain taken from another " +
		"relationship loses its own settings",
}, Cmdlets{Verbs: New | Set | Remove})
