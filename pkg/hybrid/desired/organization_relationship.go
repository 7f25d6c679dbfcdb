package desired

import "github.com/hybridge-cli/hybridge/pkg/engine/change"

var organizationRelationship = Exchange.Declare(Kind{
	Noun:  "OrganizationRelationship",
	Title: "Organization relationship",
	Why: "Says what the other side may ask for (free/busy, MailTips, photos, mailbox moves) and where to ask. On-premises it also carries the Exchange " +
		"Online EWS address that lookups with the dedicated application use.",
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
	Risk: "lookups and mailbox moves between the two sides follow this object; a domain taken from another relationship loses its own settings",
}, Cmdlets{Verbs: New | Set | Remove})
