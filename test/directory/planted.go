package directory

import (
	"fmt"
	"strconv"
	"strings"

	lab "github.com/hybridge-cli/hybridge/pkg/lab/directory"
)

// Plan is the content of one forest, and the faults in it.
type Plan struct {
	Organization lab.Organization
	UPNSuffixes  []string
	Users        []lab.User

	Expect Expect
}

// Expect lists exactly what a check must find. Users are named by their sAMAccountName, addresses
// are in lower case.
type Expect struct {
	Users          int      `json:"users"`                    // that have mail
	UPNMismatch    []string `json:"upnMismatch"`              // one primary address, and another user principal name
	ManyPrimaries  []string `json:"manyPrimaries"`            // more than one primary address
	NoPrimary      []string `json:"noPrimary"`                // a mailbox without a primary address
	DuplicatesHere []string `json:"duplicateAddresses"`       // of two users of this forest
	DuplicatesBoth []string `json:"duplicatesAcrossForests"`  // of users of both forests
	Remote         int      `json:"remoteMailboxes"`          // users whose mailbox is in the cloud
	Disabled       int      `json:"disabledAccountsWithMail"` // shared mailboxes
}

// ForestSize is the number of ordinary users per forest.
const ForestSize = 300

// Planted returns the plan of the forest called name. The faults are at fixed places, so that both
// forests have all of them.
func Planted(name string) Plan {
	domain := name + ".example"
	p := Plan{UPNSuffixes: []string{name + ".com"}}
	p.Organization = organization(name, domain)
	for i := range ForestSize {
		id := fmt.Sprintf("%s%03d", name[:1], i)
		address := id + "@" + domain
		u := lab.User{Name: fmt.Sprintf("User %s, %03d", strings.ToUpper(name[:1]), i), SAMAccountName: id,
			OU: fmt.Sprintf("OU=D%d,OU=People", i%5), GivenName: "User", Surname: id,
			UPN: address, Mail: address, RecipientType: 1, ProxyAddresses: []string{"SMTP:" + address,
				"smtp:" + id + ".alias@" + domain, "X500:/o=" + name + "/cn=" + id}}
		switch i {
		case 10: // a suffix that mail does not use
			u.UPN = id + "@" + name + ".com"
			p.Expect.UPNMismatch = append(p.Expect.UPNMismatch, id)
		case 20: // a primary address by first and last name
			u.ProxyAddresses[0] = "SMTP:first.last" + id + "@" + domain
			u.Mail = "first.last" + id + "@" + domain
			p.Expect.UPNMismatch = append(p.Expect.UPNMismatch, id)
		case 30: // no user principal name
			u.UPN = ""
			p.Expect.UPNMismatch = append(p.Expect.UPNMismatch, id)
		case 40:
			u.ProxyAddresses = append(u.ProxyAddresses, "SMTP:second."+address)
			p.Expect.ManyPrimaries = append(p.Expect.ManyPrimaries, id)
		case 50:
			u.ProxyAddresses = u.ProxyAddresses[1:]
			p.Expect.NoPrimary = append(p.Expect.NoPrimary, id)
		case 60: // differs only in case: not a fault
			u.UPN = strings.ToUpper(address)
		case 70: // an alias that is the primary address of user 71
			other := fmt.Sprintf("%s%03d@%s", name[:1], 71, domain)
			u.ProxyAddresses = append(u.ProxyAddresses, "smtp:"+strings.ToUpper(other[:1])+other[1:])
			p.Expect.DuplicatesHere = append(p.Expect.DuplicatesHere, other)
		case 80: // the same alias in both forests
			u.ProxyAddresses = append(u.ProxyAddresses, "smtp:shared.80@merged.example")
			p.Expect.DuplicatesBoth = append(p.Expect.DuplicatesBoth, "shared.80@merged.example")
		case 90: // contoso's user 090 has the primary address of fabrikam's
			if name == "contoso" {
				u.ProxyAddresses = append(u.ProxyAddresses, "smtp:f090@fabrikam.example")
			}
			p.Expect.DuplicatesBoth = append(p.Expect.DuplicatesBoth, "f090@fabrikam.example")
		case 100:
			u.RecipientType, u.RemoteType, u.TargetAddress = 1<<31, 4, "SMTP:"+id+"@"+name+".mail.onmicrosoft.com"
			p.Expect.Remote++
		case 110:
			u.RecipientType, u.Disabled = 1<<2, true
			p.Expect.Disabled++
		}
		p.Users = append(p.Users, u)
		p.Expect.Users++
	}
	return p
}

// entries are the organizational units and the users.
func (p Plan) entries(domainDN string) []lab.Entry {
	out := []lab.Entry{lab.NewEntry("OU=People,"+domainDN, "objectClass", "organizationalUnit")}
	for i := range 5 {
		out = append(out, lab.NewEntry(fmt.Sprintf("OU=D%d,OU=People,%s", i, domainDN), "objectClass",
			"organizationalUnit"))
	}
	for _, u := range p.Users {
		e := u.Entry(domainDN)
		control := 512 | 32 // NORMAL_ACCOUNT; PASSWD_NOTREQD, as no one signs in with them
		if u.Disabled {
			control |= 2
		}
		e.Attributes["userAccountControl"] = []string{strconv.Itoa(control)}
		out = append(out, e)
	}
	return out
}

func organization(name, domain string) lab.Organization {
	return lab.Organization{
		Name: strings.ToUpper(name[:1]) + name[1:],
		Servers: []lab.ExchangeServer{
			{FQDN: "ex1." + domain, Major: 15, Minor: 2, Build: 2562, Revision: 17,
				ExternalURL:     "https://mail." + domain,
				AutodiscoverURL: "https://autodiscover." + domain + "/Autodiscover/Autodiscover.xml",
				MRSProxy:        true, TLSCertificate: []byte("\x30\x82\x00\xff not a real certificate")},
			{FQDN: "ex2." + domain, Major: 15, Minor: 1, Build: 2507, Revision: 6,
				ExternalURL:     "https://mail." + domain,
				AutodiscoverURL: "https://autodiscover." + domain + "/Autodiscover/Autodiscover.xml"},
		},
		AcceptedDomains: []lab.AcceptedDomain{{Domain: domain, Default: true},
			{Domain: name + ".mail.onmicrosoft.com", Type: 2}},
		Relationships: []lab.Relationship{{Name: "On-premises to O365 - 1",
			Domains: []string{name + ".mail.onmicrosoft.com", name + ".onmicrosoft.com"}, Enabled: true,
			Actions:         []string{"MSExchange.SharingCalendarFreeBusyEnabled", "MSExchange.MailTipsAccessEnabled"},
			ApplicationURI:  "outlook.com",
			AutodiscoverURL: "https://autodiscover-s.outlook.com/autodiscover/autodiscover.svc/WSSecurity"}},
		Connectors: []lab.Connector{{Name: "HybridIOC - 1", Domains: []string{name + ".mail.onmicrosoft.com"},
			DiscoveryEndpoint: "https://autodiscover-s.outlook.com/autodiscover/autodiscover.svc", Enabled: true}},
		AddressSpaces: []lab.AddressSpace{{Forest: "other.example", AccessMethod: "OrgWideFB", User: `OTHER\svc`,
			UseServiceAccount: true, ProxyURL: "https://proxy.example/EWS",
			AutodiscoverURL: "https://autodiscover.other.example/autodiscover/autodiscover.xml"}},
		AuthThumbprints: []string{"0102030405060708090A0B0C0D0E0F1011121314",
			"1415161718191A1B1C1D1E1F2021222324252627"},
		AuthServers: []lab.AuthServer{{Name: "EvoSts - 1", IssuerName: "https://sts.windows.net/9c2b/",
			Realm: "9c2b0c7e-0000-4000-8000-000000000001",
			MetadataURL: "https://login.microsoftonline.com/" + name +
				".onmicrosoft.com/federationmetadata/2007-06/federationmetadata.xml",
			ApplicationIdentifier: "1d2e3f40-0000-4000-8000-000000000002", Type: "AzureAD", Enabled: true,
			DefaultAuthorization: true, Domains: []string{domain}}},
		PartnerApplications: []lab.PartnerApplication{{Name: "Exchange Online",
			ApplicationIdentifier: "00000002-0000-0ff1-ce00-000000000000", Enabled: true, UseAuthServer: true}},
		Hybrid: &lab.Hybrid{Domains: []string{domain},
			TLSCertificateName: "<I>CN=Example CA<S>CN=mail." + domain, SmartHost: "mail." + domain,
			Features: 1 | 2 | 4 | 64},
		AddressTemplates: []string{"SMTP:%m@" + domain, "smtp:%m@" + name + ".mail.onmicrosoft.com"},
		SendConnectors: []lab.SendConnector{{Name: "Outbound to Office 365 - 1",
			AddressSpaces: []string{"SMTP:" + name + ".mail.onmicrosoft.com;1"}}},
	}
}
