package lab

import (
	"time"

	"github.com/hybridge-cli/hybridge/pkg/lab/workmail"
)

// inWorkMail plants a fault when every server has started.
func inWorkMail(f func(*workMailSite)) hook {
	return hook{do: func(l *Lab) { f(l.workMail) }}
}

// workMailFaults are the faults of Amazon WorkMail and of what it needs of Exchange and DNS. A lab
// with one of them has WorkMail.
func workMailFaults() []Fault {
	faults := []Fault{
		{
			ID: "workmail.no-interoperability", Turns: turns("workmail.interoperability"),
			Diagnosis: "workmail.no-interoperability",
			Title:     "the organization in WorkMail is not in interoperability mode",
			late:      inWorkMail(func(s *workMailSite) { s.org.Interoperability = false }),
		},
		{
			ID: "workmail.migration-role", Turns: turns("workmail.migration-access"), Verdict: Warns,
			Diagnosis: "workmail.migration-role",
			Title:     "the impersonation role of a migration tool is still there",
			late:      inWorkMail(func(s *workMailSite) { s.org.AddRole("migration", "FULL_ACCESS") }),
		},
		{
			ID: "workmail.organization-missing", Turns: turns("workmail.organization"),
			Diagnosis: "workmail.organization-missing",
			Title:     "the account has no organization with the alias of the answers",
			late:      inWorkMail(func(s *workMailSite) { s.org.Rename("woodgrove") }),
		},
		{
			ID: "workmail.no-organization", Turns: turns("workmail.organization"),
			Diagnosis: "workmail.organization-missing",
			Title:     "the account has an AD Connector, and no organization in WorkMail; the answers name the AD Connector",
			early:     inWorkMail(func(s *workMailSite) { s.absent = true }),
			late:      inWorkMail((*workMailSite).forget),
		},
		{
			ID: "workmail.other-alias", Turns: turns("workmail.organization", "workmail.new-directory"),
			Diagnosis: "workmail.other-alias",
			Title:     "the AD Connector for a new organization has another alias than the organization",
			early:     inWorkMail(func(s *workMailSite) { s.absent = true }),
			late: inWorkMail(func(s *workMailSite) {
				s.forget()
				s.connector.Alias = "woodgrove"
			}),
		},
		{
			ID: "workmail.connector-down", Turns: turns("workmail.directory"), Diagnosis: "workmail.connector-down",
			Title: "the AD Connector of WorkMail does not work",
			late:  inWorkMail(func(s *workMailSite) { s.connector.Stage = "Impaired" }),
		},
		{
			ID: "workmail.nobody-enabled", Turns: turns("workmail.enabled-user", "workmail.service-account"),
			Diagnosis: "workmail.not-enabled",
			Title:     "no user is enabled for WorkMail",
			late:      inWorkMail(func(s *workMailSite) { s.org.Deregister() }),
		},
		{
			ID: "workmail.domain-pending", Turns: turns("workmail.domains"), Diagnosis: "domain.not-verified",
			Title: "contoso's domain is added to WorkMail and not verified: its TXT record is missing",
			late: inWorkMail(func(s *workMailSite) {
				s.service.TXT = nil
				s.org.Unverify(s.forest.domain)
			}),
		},
		{
			ID: "workmail.domain-missing", Turns: turns("workmail.domains"), Verdict: Warns,
			Diagnosis: "domain.not-verified",
			Title:     "contoso's domain is not added to WorkMail",
			late:      inWorkMail(func(s *workMailSite) { s.org.RemoveDomain(s.forest.domain) }),
		},
		{
			ID: "workmail.mx-moved", Turns: turns("workmail.mx"),
			Diagnosis: "workmail.dns-moved",
			Title:     "the MX record of contoso leads to WorkMail",
			early: inContoso(func(f *forestSite) {
				f.exchanger = "inbound-smtp." + workMailRegion + ".amazonaws.com"
			}),
		},
		{
			ID: "workmail.basic-off", Turns: turns("workmail.basic"), Diagnosis: "workmail.basic-off",
			Title: "EWS of contoso takes no Basic authentication",
			late: inContoso(func(f *forestSite) {
				f.org.Objects("WebServicesVirtualDirectory")[0].Set("BasicAuthentication", false)
			}),
		},
		{
			ID: "workmail.identity-center", Turns: turns("workmail.identity", "workmail.token"),
			Diagnosis: "workmail.identity-center",
			Title:     "IAM Identity Center alone signs users of WorkMail in",
			late:      inWorkMail(func(s *workMailSite) { s.org.IdentityOnly = true }),
		},
		{
			ID: "workmail.account-without-mailbox", Turns: turns("workmail.exchange-account"),
			Diagnosis: "workmail.account-without-mailbox",
			Title:     "the account as which WorkMail asks Exchange has no mailbox",
			late:      inContoso(func(f *forestSite) { f.org.Object("Mailbox", "Service availability").Remove() }),
		},
		{
			ID: "workmail.target-address", Turns: turns("workmail.target-addresses"),
			Diagnosis: "workmail.target-address",
			Title:     "the target address of a user in WorkMail is in another domain",
			late: inWorkMail(func(s *workMailSite) {
				s.forest.org.Object("MailUser", "Service workmail").Set("ExternalEmailAddress",
					"SMTP:svc-workmail@mail."+s.forest.domain)
			}),
		},
		{
			ID: "workmail.sync-pending", Turns: turns("workmail.users-visible"), Verdict: Warns,
			Diagnosis: "workmail.sync-pending",
			Title:     "WorkMail reads the directory every four hours, and does not see a new user yet",
			late: inWorkMail(func(s *workMailSite) {
				kept := s.people()
				for i, p := range kept {
					if p.Mail == s.forest.amazon().primary {
						kept = append(kept[:i:i], kept[i+1:]...)
						break
					}
				}
				now := s.connector.People
				s.connector.Every, s.connector.People = 4*time.Hour, func() []workmail.Person { return kept }
				s.org.Sync()
				s.connector.People = now
			}),
		},
		{
			ID: "workmail.ews-closed", Turns: turns("workmail.ews-allowed"),
			May:       turns("hybrid.organization-ews", "oauth.virtual-directories"),
			Diagnosis: "workmail.ews-closed",
			Title:     "EWS of contoso is switched off",
			late: inContoso(func(f *forestSite) {
				f.org.Objects("OrganizationConfig")[0].Set("EwsEnabled", false)
			}),
		},
	}
	faults = append(faults, workMailRightsFaults()...)
	faults = append(faults, workMailProviderFaults()...)
	for i := range faults {
		faults[i].workMail = true
	}
	return faults
}
