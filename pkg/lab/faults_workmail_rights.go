package lab

import (
	"context"
	"fmt"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/lab/workmail"
)

// provided stores an availability provider for contoso's domain. It is not the planned one.
func provided(s *workMailSite, endpoint, user string) {
	s.org.Provide(s.forest.domain, endpoint, user, s.forest.passwords[svcExchange])
}

// workMailRightsFaults are the faults of what decides who may ask whom, and of how the two systems
// find each other.
func workMailRightsFaults() []Fault {
	planned := plannedForWorkMail()
	return []Fault{
		{
			ID: "workmail.impaired", Turns: turns("workmail.organization"), May: planned,
			Diagnosis: "workmail.organization-state",
			Title:     "the organization in WorkMail is impaired",
			late:      inWorkMail(func(s *workMailSite) { s.org.Impair() }),
		},
		{
			ID: "workmail.autodiscover-moved", Turns: turns("workmail.autodiscover-dns"),
			May:       turns("autodiscover.answers", "autodiscover.service-point"),
			Diagnosis: "workmail.dns-moved",
			Title:     "autodiscover of contoso's domain is a CNAME of WorkMail",
			early: inContoso(func(f *forestSite) {
				f.alias = "autodiscover.mail." + workMailRegion + ".awsapps.com"
			}),
		},
		{
			ID: "workmail.resource-enabled", Turns: turns("workmail.resources"), Verdict: Warns,
			May:       turns("workmail.target-addresses"),
			Diagnosis: "workmail.resource",
			Title:     "a room of contoso is enabled for WorkMail",
			late: inWorkMail(func(s *workMailSite) {
				address := "room.vesuvio@" + s.forest.domain
				s.forest.org.Seed("Mailbox", "Name", "Room Vesuvio", "Alias", "room.vesuvio", "DisplayName",
					"Room Vesuvio", "PrimarySmtpAddress", address, "WindowsEmailAddress", address, "UserPrincipalName",
					address, "SamAccountName", "room.vesuvio", "EmailAddresses", []string{"SMTP:" + address},
					"RecipientTypeDetails", "RoomMailbox", "ServerName", firstLabel(s.forest.server))
				s.forest.premise.read()
				s.org.Register(address)
			}),
		},
		{
			ID: "workmail.two-forests", Turns: turns("workmail.one-directory"), Verdict: Warns,
			May:       turns("workmail.ownership-record"),
			Diagnosis: "workmail.two-forests",
			Title:     "the answers connect both forests with one organization in WorkMail",
			early: hook{forests: 2, do: func(l *Lab) {
				l.fabrikam().sharing = true
				l.fabrikam().employ(svcExchange)
			}},
			late: everywhere(func(l *Lab) {
				l.workMail.org.AddDomain(l.fabrikam().domain)
				l.fabrikam().org.Seed("SendConnector", "Name", "Internet", "AddressSpaces", []string{"SMTP:*;1"},
					"DNSRoutingEnabled", true)
			}),
		},
		{
			ID: "workmail.rules-gone", Turns: turns("workmail.access-rules"), Diagnosis: "workmail.rules-refuse",
			Title: "the organization in WorkMail has no access control rule left",
			late:  inWorkMail(func(s *workMailSite) { s.org.Rules = nil }),
		},
		{
			ID: "workmail.rules-narrow", Turns: turns("workmail.access-rules"), Verdict: Warns,
			Diagnosis: "workmail.rules-refuse",
			Title:     "an access control rule lets in the address of an office alone",
			late: inWorkMail(func(s *workMailSite) {
				s.org.Rules = []workmail.Rule{{Name: "Office", Effect: "ALLOW", IPRanges: []string{"198.51.100.0/24"}}}
			}),
		},
		{
			ID: "workmail.token-expired", Turns: turns("workmail.token"), Diagnosis: "workmail.token-expired",
			May:   turns("workmail.identity"),
			Title: "the personal access token of the service account has expired, while Identity Center is tried out",
			late: inWorkMail(func(s *workMailSite) {
				s.org.IdentityTried = true
				s.org.Tokens = []workmail.Token{{ID: "t1", Name: "Exchange", User: svcWorkMail,
					Expires: s.now().Add(-72 * time.Hour)}}
			}),
		},
		{
			ID: "workmail.token-expires", Turns: turns("workmail.token"), Verdict: Warns,
			May:       turns("workmail.identity"),
			Diagnosis: "workmail.token-expired",
			Title:     "the personal access token of the service account expires in ten days",
			late: inWorkMail(func(s *workMailSite) {
				s.org.IdentityTried = true
				s.org.Tokens = []workmail.Token{{ID: "t1", Name: "Exchange", User: svcWorkMail,
					Expires: s.now().Add(10*24*time.Hour + time.Hour)}}
			}),
		},
		{
			ID: "workmail.calendar-hidden", Turns: turns("workmail.calendar-permissions"), Verdict: Warns,
			Diagnosis: "mailbox.calendar-permission",
			Title:     "the default permission of a calendar in contoso is None",
			late: inContoso(func(f *forestSite) {
				f.premise.diary.hide(f.local().primary)
			}),
		},
		{
			ID: "workmail.group-closed", Turns: turns("workmail.groups"), Verdict: Warns,
			Diagnosis: "workmail.group-refuses",
			Title:     "a group of contoso takes mail of senders alone who have signed in to Exchange",
			late: inContoso(func(f *forestSite) {
				f.org.Object("DistributionGroup", "Sales").Set("RequireSenderAuthenticationEnabled", true)
			}),
		},
		{
			ID: "workmail.no-send-connector", Turns: turns("workmail.send-connector"),
			Diagnosis: "mail.no-route",
			Title:     "the send connector of contoso to the internet is disabled",
			late: inContoso(func(f *forestSite) {
				f.org.Object("SendConnector", "Internet").Set("Enabled", false)
			}),
		},
		{
			ID: "workmail.address-missing", Turns: turns("workmail.addresses"), Verdict: Warns,
			Diagnosis: "workmail.address-missing",
			Title:     "the service account has no address in the domain of WorkMail",
			late:      inWorkMail(func(s *workMailSite) { s.org.Aliasless = []string{svcWorkMail} }),
		},
		{
			ID: "workmail.record-gone", Turns: turns("workmail.ownership-record"), Verdict: Warns,
			Diagnosis: "domain.not-verified",
			Title:     "the TXT record with which WorkMail verified contoso's domain is no longer published",
			early:     inWorkMail(func(s *workMailSite) { s.unproved = true }),
		},
		{
			ID: "workmail.autodiscover-refuses", Turns: turns("workmail.front-ends"),
			Diagnosis: "workmail.front-end",
			Title:     "autodiscover of WorkMail answers 403 to every request",
			late:      inWorkMail(func(s *workMailSite) { s.service.AutodiscoverBroken = true }),
		},
		{
			ID: "workmail.many-domains", Turns: turns("workmail.quotas"), Verdict: Warns,
			Diagnosis: "workmail.quota",
			Title:     "the organization in WorkMail has 100 domains",
			late: inWorkMail(func(s *workMailSite) {
				for i := range 98 {
					s.org.AddDomain(fmt.Sprintf("brand%d.example", i+1))
				}
			}),
		},
		{
			ID: "workmail.provider-unreachable", Turns: turns("workmail.provider"), May: planned,
			Diagnosis: "workmail.provider-unusable",
			Title:     "WorkMail asks contoso at an address that no server answers",
			late: inWorkMail(func(s *workMailSite) {
				provided(s, "https://gone."+s.forest.domain+"/EWS/Exchange.asmx", s.forest.name+`\`+svcExchange)
			}),
		},
		{
			ID: "workmail.provider-account", Turns: turns("workmail.provider"), May: planned,
			Diagnosis: "workmail.provider-unusable",
			Title:     "WorkMail asks contoso with the account in a form that Exchange does not know",
			late: inWorkMail(func(s *workMailSite) {
				provided(s, s.forest.published(context.Background()), `CORP\`+svcExchange)
			}),
		},
		{
			ID: "workmail.certificate-private", Turns: turns("certificates.transport", "workmail.provider"),
			May:       append(planned, "autodiscover.answers", "workmail.basic", "ews.answers"),
			Diagnosis: "certificate.not-public",
			Title:     "contoso's transport certificate is signed by itself: WorkMail does not trust it",
			early:     inContoso(func(f *forestSite) { f.alter = func(d *leaf) { d.selfSigned = true } }),
			late: inWorkMail(func(s *workMailSite) {
				provided(s, s.forest.published(context.Background()), s.forest.name+`\`+svcExchange)
			}),
		},
	}
}

// plannedForWorkMail are the checks of what a plan for WorkMail makes: they look once a part of it is
// there.
func plannedForWorkMail() []CheckID {
	return turns("hybrid.availability-configuration", "hybrid.availability-address-space", "hybrid.work-mail-user",
		"hybrid.work-mail-domain")
}
