package lab

import (
	"fmt"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/lab/entra"
)

// Fault is something that can be planted, in state or in the network, and what must find it.
type Fault struct {
	ID    string
	Title string
	// Turns is the check that fails because of it, and no other does; empty for a fault that only lookups can find.
	Turns string

	early func(*Lab) // before certificates are made and servers stand
	late  func(*Lab) // when everything is up
}

// Faults lists the faults that can be planted.
func Faults() []Fault {
	return []Fault{
		{
			ID: "directory.upn-differs", Turns: "directory.upn-matches-primary", Title: "three people of contoso sign in with a name that is not their primary SMTP address",
			early: func(l *Lab) {
				for _, m := range l.contoso().users[3:6] {
					m.upn = m.account[:1] + m.account[strings.Index(m.account, "."):] + "@" + l.contoso().domain
				}
			},
		},
		{
			ID: "directory.address-twice", Turns: "directory.unique-addresses", Title: "a person of fabrikam has an address that somebody in contoso has",
			early: func(l *Lab) {
				l.fabrikam().users[4].others = append(l.fabrikam().users[4].others, l.contoso().users[4].primary)
			},
		},
		{
			ID: "domains.relay-only", Turns: "domains.authoritative", Title: "fabrikam is authoritative for no domain",
			late: func(l *Lab) { l.fabrikam().org.Objects("AcceptedDomain")[0].Set("DomainType", "InternalRelay") },
		},
		{
			ID: "autodiscover.silent", Turns: "autodiscover.answers", Title: "nobody answers for fabrikam's autodiscover name",
			early: func(l *Lab) { l.fabrikam().silent = true },
		},
		{
			ID: "certificates.transport-expired", Turns: "certificates.transport", Title: "contoso's transport certificate has ended",
			early: func(l *Lab) {
				l.contoso().alter = func(d *leaf) { d.from, d.to = l.now().AddDate(-1, 0, 0), l.now().Add(-24*time.Hour) }
			},
		},
		{
			ID: "certificates.transport-alike", Turns: "certificates.transport-distinct", Title: "both forests' transport certificates have the same subject and issuer",
			early: func(l *Lab) {
				l.fabrikam().alter = func(d *leaf) { d.subject = l.contoso().transportLeaf().subject }
			},
		},
		{
			ID: "certificates.auth-missing", Turns: "certificates.auth", Title: "contoso's server does not have the auth certificate",
			late: func(l *Lab) {
				for _, c := range l.contoso().org.Objects("ExchangeCertificate") {
					if c.Bool("IsSelfSigned") {
						c.Remove()
					}
				}
			},
		},
		{
			ID: "servers.old", Turns: "servers.build", Title: "fabrikam runs a cumulative update that knows no dedicated application",
			early: func(l *Lab) { l.fabrikam().build = "Version 15.2 (Build 1258.12)" },
		},
		{
			ID: "domains.unverified", Turns: "domains.verified", Title: "fabrikam's domain is not verified in the tenant",
			late: func(l *Lab) {
				l.tenant.entra.Update(func(s *entra.State) {
					for _, d := range s.Domains {
						if d.Name == l.fabrikam().domain {
							d.Verified = false
						}
					}
				})
			},
		},
		{
			ID: "domains.missing-online", Turns: "domains.accepted", Title: "Exchange Online does not accept fabrikam's domain",
			late: func(l *Lab) { l.tenant.org.Object("AcceptedDomain", l.fabrikam().domain).Remove() },
		},
		{
			ID: "domains.no-coexistence", Turns: "domains.coexistence", Title: "the tenant has no coexistence domain",
			late: func(l *Lab) { l.tenant.org.Object("AcceptedDomain", coexistenceDomain).Remove() },
		},
		{
			ID: "tenant.ews-off", Turns: "tenant.ews-switch", Title: "EWS is switched off in the tenant",
			late: func(l *Lab) { l.tenant.org.Objects("OrganizationConfig")[0].Set("EwsEnabled", false) },
		},
		{
			ID: "access.right-missing", Turns: "access.onprem", Title: "the account may not run New-IntraOrganizationConnector in contoso",
			late: func(l *Lab) { l.contoso().org.Deny("New-IntraOrganizationConnector") },
		},
		{
			ID: "oauth.override-limited", Turns: "oauth.overrides", Title: "contoso's setting override for the dedicated application holds for another server only",
			late: func(l *Lab) {
				l.contoso().org.Seed("SettingOverride", "Name", "EnableExchangeHybrid3PAppFeature", "ComponentName", "Global", "SectionName", "ExchangeOnpremAsThirdPartyAppId",
					"Parameters", []string{"Enabled=true"}, "Server", []string{"EX2"}, "Reason", "trial")
			},
		},
		{
			ID: "lookup.vdir-address", Title: "contoso's EWS virtual directory publishes an address that nobody answers",
			late: func(l *Lab) {
				l.contoso().org.Objects("WebServicesVirtualDirectory")[0].Set("ExternalUrl", "https://gone."+l.contoso().domain+"/EWS/Exchange.asmx")
			},
		},
		{
			ID: "lookup.oauth-off", Turns: "oauth.virtual-directories", Title: "contoso's EWS virtual directory takes no tokens",
			late: func(l *Lab) {
				l.contoso().org.Objects("WebServicesVirtualDirectory")[0].Set("OAuthAuthentication", false)
			},
		},
	}
}

func (l *Lab) contoso() *forestSite  { return l.forests[0] }
func (l *Lab) fabrikam() *forestSite { return l.forests[1] }

// find looks faults up by their ids.
func find(ids []string) ([]Fault, error) {
	var found []Fault
next:
	for _, id := range ids {
		for _, f := range Faults() {
			if f.ID == id {
				found = append(found, f)
				continue next
			}
		}
		return nil, fmt.Errorf("no fault %q: hybridge lab faults lists them", id)
	}
	return found, nil
}
