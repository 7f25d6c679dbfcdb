package lab

import (
	"slices"

	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
)

// MoveEveryone moves every mailbox of the forests to the tenant, as migration batches do.
func (l *Lab) MoveEveryone() {
	for _, f := range l.forests {
		for _, r := range f.org.Objects("Mailbox") {
			var pairs []any
			for _, name := range []string{"Name", "Alias", "DisplayName", "PrimarySmtpAddress", "WindowsEmailAddress",
				"UserPrincipalName", "SamAccountName"} {
				pairs = append(pairs, name, r.Get(name))
			}
			routing := r.String("Alias") + "@" + coexistenceDomain
			pairs = append(pairs, "EmailAddresses", append(slices.Clone(r.Strings("EmailAddresses")), "smtp:"+routing),
				"RemoteRoutingAddress", "SMTP:"+routing)
			r.Remove()
			f.org.Seed("RemoteMailbox", pairs...)
		}
		f.premise.read()
	}
	for _, r := range l.tenant.org.Objects("MailUser") {
		if synced, _ := r.Get("IsDirSynced").(bool); synced {
			_ = l.License(r.String("PrimarySmtpAddress"))
		}
	}
}

// LeadToCloud leads mail and autodiscover of the forests' domains to Exchange Online.
func (l *Lab) LeadToCloud() error {
	for _, f := range l.forests {
		l.zone.Remove(f.domain, dns.MX)
		name := "autodiscover." + f.domain
		for _, t := range []dns.Type{dns.A, dns.AAAA, dns.CNAME} {
			l.zone.Remove(name, t)
		}
		err := l.zone.Add(f.domain+". MX 0 "+exchanger(f.domain)+".", name+". CNAME autodiscover.outlook.com.")
		if err != nil {
			return err
		}
	}
	return nil
}

// LeadElsewhere takes what the tenant sends through the forests for others out of its connectors:
// mail for the internet and for domains that are not the forest's.
func (l *Lab) LeadElsewhere() {
	for _, c := range l.tenant.org.Objects("OutboundConnector") {
		for _, f := range l.forests {
			if slices.Contains(c.Strings("SmartHosts"), f.mail) {
				c.Set("RecipientDomains", []string{f.domain})
				c.Set("RouteAllMessagesViaOnPremises", false)
			}
		}
	}
}

// leave brings the lab to the end of the way out of hybrid: everyone is in Exchange Online, which
// manages the mailboxes, DNS leads there, and nothing of the hybrid is left.
func (l *Lab) leave() error {
	l.MoveEveryone()
	for _, r := range l.tenant.org.Objects("Mailbox") {
		r.Set("IsExchangeCloudManaged", true)
	}
	for _, f := range l.forests {
		for _, s := range f.org.Objects("ClientAccessService") {
			s.Set("AutoDiscoverServiceInternalUri", nil)
		}
	}
	return l.LeadToCloud()
}
