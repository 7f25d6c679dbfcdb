package lab

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/spelling"
	"github.com/hybridge-cli/hybridge/pkg/lab/directory"
	"github.com/hybridge-cli/hybridge/pkg/lab/entra"
)

// CheckID and DiagnosisID are ids of the product. The lab does not import what it tests, so it
// declares its own types. test/e2e compares the ids.
type (
	CheckID     string
	DiagnosisID string
)

// Verdict is the result of the checks that report a fault.
type Verdict string

// The verdicts. A fault that only lookups can find has none.
const (
	Fails Verdict = "fail"
	Warns Verdict = "warn"
	Skips Verdict = "skip" // the account lacks the right to read
)

// Fault is a fault that can be planted, and the checks and diagnosis that must find it.
type Fault struct {
	ID    string
	Title string
	// Turns are the checks that report the fault, each with the verdict; no other check fails.
	// Empty for a fault that only lookups can find.
	Turns   []CheckID
	Verdict Verdict // Fails when empty
	// May are checks that can report the fault as well, whatever their verdict.
	May []CheckID
	// Diagnosis is the cause that explain and test must name.
	Diagnosis DiagnosisID
	// Value is the default of a fault that takes one, as in entra.lag=40s.
	Value string
	// Passes marks a fault that neither a check nor a lookup finds: an apply must survive it.
	Passes bool

	// Message marks a fault of mail flow, which "test --message" finds. Mail flow is set up as
	// Microsoft's wizard leaves it, but for the fault.
	Message bool

	// ByChance marks a fault that a lookup or a message meets only where the load balancer leads it to
	// the second server.
	ByChance bool

	// early runs before certificates are made and servers start: names, people, builds, network.
	// late runs when every server has started: objects, rights, tenant.
	early, late hook
	workMail    bool                             // the lab must have WorkMail
	between     bool                             // the forests of the lab must ask each other
	left        bool                             // the organization of the lab must have left hybrid
	edge        bool                             // contoso must have an Edge server
	servers     int                              // that each forest of the lab must have
	valued      func(l *Lab, value string) error // late, of a fault with a Value
}

// hook plants a fault in sites or network.
type hook struct {
	forests int  // that the lab must have
	online  bool // the lab must have Exchange Online, but with a fault of WorkMail
	do      func(*Lab)
}

func (h hook) plant(l *Lab) {
	if h.do != nil {
		h.do(l)
	}
}

// The sites that a hook changes. The first forest is contoso, the second fabrikam.
func inForest(n int, f func(*forestSite)) hook {
	return hook{forests: n, do: func(l *Lab) { f(l.forests[n-1]) }}
}

func inContoso(f func(*forestSite)) hook  { return inForest(1, f) }
func inFabrikam(f func(*forestSite)) hook { return inForest(2, f) }

func inTenant(f func(*tenantSite)) hook {
	return hook{online: true, do: func(l *Lab) { f(l.tenant) }}
}

func everywhere(f func(*Lab)) hook { return hook{online: true, do: f} }

func turns(ids ...CheckID) []CheckID { return ids }

// Faults lists the faults that can be planted.
func Faults() []Fault {
	return slices.Concat([]Fault{
		{
			ID: "directory.upn-differs", Turns: turns("directory.upn-matches-primary"),
			Diagnosis: "user.upn-not-primary",
			Title:     "three people of contoso sign in with a name that is not their primary SMTP address",
			early: inContoso(func(f *forestSite) {
				for _, m := range f.users[3:6] {
					m.upn = m.account[:1] + m.account[strings.Index(m.account, "."):] + "@" + f.domain
				}
			}),
		},
		{
			ID: "directory.address-twice", Turns: turns("directory.unique-addresses"), Diagnosis: "user.address-twice",
			Title: "a person of fabrikam has an address of a person in contoso",
			early: hook{forests: 2, do: func(l *Lab) {
				l.fabrikam().users[4].others = append(l.fabrikam().users[4].others, l.contoso().users[4].primary)
			}},
		},
		{
			ID: "directory.addresses-hidden", Verdict: Skips,
			Turns: turns("directory.one-primary", "directory.unique-addresses", "directory.upn-matches-primary",
				"directory.unique-sign-in", "directory.address-format", "directory.address-length",
				"directory.address-domain", "directory.primary-domain", "directory.mail-matches-primary"),
			Diagnosis: "access.attribute-hidden",
			Title:     "the account may not read proxyAddresses of contoso's people",
			early:     inContoso(func(f *forestSite) { f.addressesHidden = true }),
		},
		{
			ID: "directory.blank-in-address", Turns: turns("directory.address-format"),
			Diagnosis: "user.attribute-invalid",
			Title:     "a person of contoso has an address with a blank",
			early: inContoso(blemish(func(u *directory.User, f *forestSite) {
				u.ProxyAddresses = append(u.ProxyAddresses, "smtp:old name@"+f.domain)
			})),
		},
		{
			ID: "directory.alias-invalid", Turns: turns("directory.nickname-format"),
			Diagnosis: "user.attribute-invalid",
			Title:     "a person of contoso has an alias (mailNickname) that begins with a period",
			early: inContoso(blemish(func(u *directory.User, _ *forestSite) {
				u.Attributes["mailNickname"] = []string{"." + u.SAMAccountName}
			})),
		},
		{
			ID: "directory.mailbox-on-both-sides", Turns: turns("directory.mailbox-twice"), Verdict: Warns,
			Diagnosis: "user.mailbox-twice",
			Title:     "a mailbox of contoso is marked as one that moved to Exchange Online",
			early:     inContoso(blemish(func(u *directory.User, _ *forestSite) { u.RemoteType = 4 })),
		},
		{
			ID: "directory.old-database", Turns: turns("directory.home-database"), Diagnosis: "user.mailbox-twice",
			Title: "a remote mailbox of contoso still has a mailbox database on-premises",
			early: hook{forests: 1, online: true, do: func(l *Lab) { // without a tenant, no mailbox has moved
				f := l.contoso()
				f.mar(func(u *directory.User) {
					if u.SAMAccountName == f.moved().account {
						u.Attributes = map[string][]string{"homeMDB": {f.database("DB1")}}
					}
				})
			}},
		},
		{
			ID: "identity.sync-off", Turns: turns("identity.synchronization"), Diagnosis: "identity.sync-off",
			Title: "directory synchronization of the tenant is switched off",
			late: inTenant(func(t *tenantSite) {
				off := false
				t.entra.Update(func(s *entra.State) { s.SyncEnabled = &off })
			}),
		},
		{
			ID: "identity.sync-stopped", Turns: turns("identity.synchronization-recent"),
			Diagnosis: "identity.sync-off",
			Title:     "directory synchronization ran two days ago for the last time",
			late: inTenant(func(t *tenantSite) {
				last := t.now().Add(-48 * time.Hour)
				t.entra.Update(func(s *entra.State) { s.LastSync = &last })
			}),
		},
		{
			ID: "domains.relay-only", Turns: turns("domains.authoritative", "domains.relay-route"),
			Diagnosis: "domain.not-authoritative",
			Title:     "fabrikam is authoritative for no domain",
			late: inFabrikam(func(f *forestSite) {
				f.org.Objects("AcceptedDomain")[0].Set("DomainType",
					"InternalRelay")
			}),
		},
		{
			ID: "autodiscover.silent", Turns: turns("autodiscover.answers"), Diagnosis: "autodiscover.unreachable",
			Title: "no server answers for fabrikam's autodiscover name",
			early: inFabrikam(func(f *forestSite) { f.network.silence(f.autodiscover + ":443") }),
		},
		{
			ID: "certificates.transport-expired", Turns: turns("certificates.transport"),
			Diagnosis: "certificate.expired",
			Title:     "contoso's transport certificate has expired",
			early: inContoso(func(f *forestSite) {
				f.alter = func(d *leaf) { d.from, d.to = f.now().AddDate(-1, 0, 0), f.now().Add(-24*time.Hour) }
			}),
		},
		{
			ID: "certificates.transport-alike", Turns: turns("certificates.transport-distinct"),
			Diagnosis: "certificate.not-distinct",
			Title:     "both forests' transport certificates have the same subject and issuer",
			early: hook{forests: 2, do: func(l *Lab) {
				l.fabrikam().alter = func(d *leaf) { d.subject = l.contoso().transportLeaf().subject }
			}},
		},
		{
			ID: "certificates.auth-missing", Turns: turns("certificates.auth"),
			Diagnosis: "oauth.auth-certificate-missing",
			Title:     "contoso's server does not have the auth certificate",
			late: inContoso(func(f *forestSite) {
				for _, c := range f.org.Objects("ExchangeCertificate") {
					if c.Bool("IsSelfSigned") {
						c.Remove()
					}
				}
			}),
		},
		{
			ID: "servers.old", Turns: turns("servers.build", "transport.enforcement"),
			Diagnosis: "oauth.shared-application-refused",
			Title:     "fabrikam runs a cumulative update that does not know the dedicated application",
			early:     inFabrikam(func(f *forestSite) { f.build = "Version 15.2 (Build 1258.12)" }),
		},
		{
			ID: "domains.unverified", Turns: turns("domains.verified", "directory.upn-suffix"),
			May: turns("directory.address-domain"), Diagnosis: "domain.not-verified",
			Title: "fabrikam's domain is not verified in the tenant",
			late: hook{forests: 2, online: true, do: func(l *Lab) {
				l.tenant.entra.Update(func(s *entra.State) {
					for _, d := range s.Domains {
						if d.Name == l.fabrikam().domain {
							d.Verified = false
						}
					}
				})
			}},
		},
		{
			ID: "domains.missing-online", Turns: turns("domains.accepted"), Diagnosis: "domain.not-accepted",
			Title: "Exchange Online does not accept fabrikam's domain",
			late: hook{forests: 2, online: true, do: func(l *Lab) {
				l.tenant.org.Object("AcceptedDomain", l.fabrikam().domain).Remove()
			}},
		},
		{
			ID: "domains.no-coexistence", Turns: turns("domains.coexistence"), Diagnosis: "domain.no-coexistence",
			Title: "the tenant has no coexistence domain",
			late:  inTenant(func(t *tenantSite) { t.org.Object("AcceptedDomain", coexistenceDomain).Remove() }),
		},
		{
			ID: "tenant.ews-off", Turns: turns("tenant.ews-switch"), Diagnosis: "ews.off-online",
			Title: "EWS is switched off in the tenant, as Microsoft does where EwsEnabled is not set",
			late:  inTenant(func(t *tenantSite) { t.org.Objects("OrganizationConfig")[0].Set("EwsEnabled", false) }),
		},
		{
			ID: "access.right-missing", Turns: turns("access.onprem-write"), Verdict: Warns,
			Diagnosis: "access.role-missing",
			Title:     "the account may not run New-IntraOrganizationConnector in contoso",
			late:      inContoso(func(f *forestSite) { f.org.Deny("New-IntraOrganizationConnector") }),
		},
		{
			ID: "access.view-only", Turns: turns("access.onprem-write", "access.online-write"), Verdict: Warns,
			Diagnosis: "access.role-missing",
			Title:     "the accounts may run Get and Test cmdlets only, in every forest and in Exchange Online",
			early: everywhere(func(l *Lab) {
				for _, f := range l.forests {
					f.viewOnly = true
				}
				l.tenant.viewOnly = true
			}),
		},
		{
			ID: "access.read-right-missing", Turns: turns("oauth.overrides"), Verdict: Skips,
			May: turns("access.onprem-read", "access.onprem-write", "hybrid.setting-override",
				"oauth.graph-route", "servers.stale-override", "servers.shifted-times", "servers.delegate-lookups",
				"servers.override-status"),
			Diagnosis: "access.role-missing",
			Value:     "Get-SettingOverride",
			Title:     "the account may not run one cmdlet in contoso, or in Exchange Online (online/CMDLET)",
			valued: func(l *Lab, value string) error {
				org := l.contoso().org
				if cmdlet, online := strings.CutPrefix(value, "online/"); online {
					org, value = l.tenant.org, cmdlet
				}
				if !strings.HasPrefix(value, "Get-") {
					return fmt.Errorf("fault access.read-right-missing=%s: a Get cmdlet is required", value)
				}
				org.Deny(value)
				return nil
			},
		},
		{
			ID: "oauth.override-limited", Turns: turns("oauth.overrides"), Diagnosis: "oauth.override-limited",
			Title: "contoso's setting override for the dedicated application applies to another server only",
			late: inContoso(func(f *forestSite) {
				f.org.Seed("SettingOverride", "Name", "EnableExchangeHybrid3PAppFeature", "ComponentName", "Global",
					"SectionName", "ExchangeOnpremAsThirdPartyAppId", "Parameters", []string{"Enabled=true"}, "Server",
					[]string{"EX2"}, "Reason", "trial")
			}),
		},
		{
			ID: "entra.lag", Value: "40s", Passes: true, Diagnosis: "entra.replication-lag",
			Title: "lists of Microsoft Graph miss a new object for so long",
			valued: func(l *Lab, value string) error {
				d, err := time.ParseDuration(value)
				if err != nil || d < 0 {
					return fmt.Errorf("fault entra.lag=%s: a duration such as 75s is required", value)
				}
				l.tenant.entra.Lag(d)
				return nil
			},
		},
		{
			ID: "entra.key-quota", Value: "150", Passes: true, Diagnosis: "entra.throttled",
			Title: "Microsoft Graph answers so many reads of keyCredentials per minute, and 429 without Retry-After " +
				"beyond",
			valued: func(l *Lab, value string) error {
				n, err := strconv.Atoi(value)
				if err != nil || n < 1 {
					return fmt.Errorf("fault entra.key-quota=%s: a number of reads is required", value)
				}
				l.tenant.entra.LimitKeyReads(n)
				return nil
			},
		},
		{
			ID: "exchange.typed-values", Passes: true, Diagnosis: "exchange.serialization",
			Title: "Exchange sends typed values, as with serializationLevel=Full, though the URL does not ask for it",
			early: everywhere(func(l *Lab) {
				for _, f := range l.forests {
					f.typed = true
				}
			}),
		},
		{
			ID: "lookup.vdir-address", Diagnosis: "ews.external-url",
			Title: "contoso's EWS virtual directory publishes an address that no server answers",
			late: inContoso(func(f *forestSite) {
				f.org.Objects("WebServicesVirtualDirectory")[0].Set("ExternalUrl",
					"https://gone."+f.domain+"/EWS/Exchange.asmx")
			}),
		},
		{
			ID: "lookup.shifted-times", Diagnosis: "lookup.times-shifted",
			Title: "contoso's Exchange shifts the times of the other side by two hours",
			late:  inContoso(func(f *forestSite) { f.premise.shift = 2 * time.Hour }),
		},
		{
			ID: "lookup.oauth-off", Turns: turns("oauth.virtual-directories"), Diagnosis: "oauth.virtual-directory-off",
			Title: "contoso's EWS virtual directory takes no tokens",
			late: inContoso(func(f *forestSite) {
				f.org.Objects("WebServicesVirtualDirectory")[0].Set("OAuthAuthentication", false)
			}),
		},
	}, probeFaults(), networkFaults(), reachFaults(), tenantFaults(), mailFaults(), upkeepFaults(), edgeFaults(),
		policyFaults(), serverFaults(), workMailFaults(), betweenFaults(), leavingFaults())
}

// blemish changes one person on-premises in the directory.
func blemish(change func(*directory.User, *forestSite)) func(*forestSite) {
	return func(f *forestSite) {
		f.mar(func(u *directory.User) {
			if u.SAMAccountName == f.users[5].account {
				change(u, f)
			}
		})
	}
}

// mar adds a change to those of other faults.
func (f *forestSite) mar(change func(*directory.User)) {
	before := f.blemish
	f.blemish = func(u *directory.User) {
		if before != nil {
			before(u)
		}
		change(u)
	}
}

func (l *Lab) contoso() *forestSite  { return l.forests[0] }
func (l *Lab) fabrikam() *forestSite { return l.forests[1] }

// Exit is the exit code of check with the fault planted.
func (f Fault) Exit() int {
	switch {
	case len(f.Turns) == 0 || f.Verdict == Warns:
		return 0
	case f.Verdict == Skips:
		return 9
	}
	return 3
}

// CheckFaults reports whether the faults (ID or ID=VALUE) can be planted, all of them, in a lab with
// this number of forests.
func CheckFaults(ids []string, forests int) error {
	_, err := find(ids, forests)
	return err
}

// find looks faults up by their ids, with their values filled in.
func find(ids []string, forests int) ([]Fault, error) {
	var found []Fault
next:
	for _, id := range ids {
		name, value, valued := strings.Cut(id, "=")
		for _, f := range Faults() {
			if f.ID != name {
				continue
			}
			if needs := max(f.early.forests, f.late.forests); needs > forests {
				return nil, fmt.Errorf("fault %s needs %d forests, and the lab has %d: raise --forests", id, needs,
					forests)
			}
			if valued && f.Value == "" {
				return nil, fmt.Errorf("fault %s takes no value", name)
			}
			if valued {
				f.Value = value
			}
			found = append(found, f)
			continue next
		}
		var ids []string
		for _, f := range Faults() {
			ids = append(ids, f.ID)
		}
		return nil, fmt.Errorf("no fault %q%s: hybridge lab faults lists them", name, spelling.DidYouMean(name, ids))
	}
	gone := slices.IndexFunc(found, func(f Fault) bool { return f.left })
	asks := slices.IndexFunc(found, func(f Fault) bool { return f.workMail })
	if gone >= 0 && asks >= 0 {
		return nil, fmt.Errorf("faults %s and %s exclude each other: WorkMail asks mailboxes of an organization, and "+
			"one that has left hybrid has none on-premises: plant one of them", found[gone].ID, found[asks].ID)
	}
	return found, nil
}
