package prereq

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
)

// sameMailPolicy is what both sides do with messages in a healthy deployment.
func sameMailPolicy(f *fact.Set) {
	asCheckers(f)
	yes := true
	tips := fact.MailTips{All: &yes, Mailboxes: &yes, Groups: &yes, LargeAudience: 25}
	fact.OnlineMailTips.Seed(f.Tenant, tips, nil)
	fact.OnlineTransportRules.Seed(f.Tenant, []fact.MailRule{disclaimer()}, nil)
	fact.OnlineJournalRules.Seed(f.Tenant, nil, nil)
	fact.OnlineJournalReports.Seed(f.Tenant, "", nil)
	fact.EnforcementReport.Seed(f.Tenant, fact.Enforcement{Known: true}, nil)
	fact.TLSA.SeedAll(f.Network, func(string) (dns.Answer, error) { return dns.Answer{}, dns.ErrAbsent })
	for _, forest := range f.Forests {
		fact.OwnMailTips.Seed(forest, tips, nil)
		fact.TransportRules.Seed(forest, []fact.MailRule{disclaimer(),
			{Name: "Old", Values: map[string]any{"DeleteMessage": true}}}, nil)
		fact.JournalRules.Seed(forest, nil, nil)
		fact.ArbitrationMailboxes.Seed(forest, []string{"Migration.8f3e7716-2011-43e4-96b1-aba62d229136",
			"SystemMailbox{1f05a927-1111-2222-3333-444444444444}"}, nil)
	}
}

func disclaimer() fact.MailRule {
	return fact.MailRule{Name: "Disclaimer", Enabled: true, Values: map[string]any{
		"ApplyHtmlDisclaimerText": "<p>Contoso</p>", "From": []string{"anna@contoso.com", "bob@contoso.com"}}}
}

// withEdge makes EDGE1 the server of contoso's mail.
func withEdge(f *fact.Set) {
	forest := f.Forests[0]
	forest.Answers.Edge = []string{"edge1.contoso.com"}
	servers, _ := fact.Servers.In(context.Background(), forest)
	fact.Servers.Seed(forest, append(servers, fact.Server{Name: "EDGE1", FQDN: "edge1.contoso.com",
		Version: servers[0].Version, Edge: true}), nil)
	fact.HybridConfigurations.Seed(forest, fact.HybridConfiguration{Exists: true, Edge: []string{"EDGE1"}}, nil)
	fact.EdgeSubscriptions.Seed(forest, []fact.EdgeSubscription{{Name: "EDGE1", Site: "Default-First-Site-Name"}}, nil)
	fact.EdgeSyncs.Seed(forest, []fact.EdgeSync{{Name: "EDGE1", Status: "Normal", Synced: today.Add(-time.Minute)}},
		nil)
	seen, err := fact.CertificateFile.In(context.Background(), forest)
	fact.MailServers.Seed(f.Network, "edge1.contoso.com", served(seen), err)
}

// Each disorder of what the sides do with messages turns its check, and no other.
func TestMailPolicyDisorders(t *testing.T) {
	no := false
	for name, test := range map[string]struct {
		disturb func(t *testing.T, f *fact.Set, ca *authority)
		want    []string
	}{
		"a rule in the forest alone": {func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.TransportRules, f.Forests[0], func(r *[]fact.MailRule) {
				*r = append(*r, fact.MailRule{Name: "Block", Enabled: true})
			})
		}, []string{"warn transport.rules contoso"}},
		"a rule in the tenant alone": {func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.OnlineTransportRules, f.Tenant, func(r *[]fact.MailRule) {
				*r = append(*r, fact.MailRule{Name: "Block", Enabled: true})
			})
		}, []string{"warn transport.rules contoso", "warn transport.rules fabrikam"}},
		"a rule with another value": {func(t *testing.T, f *fact.Set, _ *authority) {
			r := disclaimer()
			r.Values["From"] = []string{"BOB@contoso.com"}
			fact.TransportRules.Seed(f.Forests[0], []fact.MailRule{r}, nil)
		}, []string{"warn transport.rules contoso"}},
		"a rule in another sequence and case": {func(t *testing.T, f *fact.Set, _ *authority) {
			r := disclaimer()
			r.Name, r.Values["From"] = "DISCLAIMER", []string{"BOB@contoso.com", "anna@contoso.com"}
			fact.TransportRules.Seed(f.Forests[0], []fact.MailRule{r}, nil)
		}, nil},
		"a rule that is off on one side": {func(t *testing.T, f *fact.Set, _ *authority) {
			r := disclaimer()
			r.Enabled = false
			fact.TransportRules.Seed(f.Forests[0], []fact.MailRule{r}, nil)
		}, []string{"warn transport.rules contoso"}},
		"a journal rule without its counterpart": {func(t *testing.T, f *fact.Set, _ *authority) {
			fact.JournalRules.Seed(f.Forests[0], []fact.MailRule{{Name: "All", Enabled: true}}, nil)
		}, []string{"warn transport.journal-reports tenant", "warn transport.journal-rules contoso"}},
		"journal rules on both sides, without an address for reports": {func(t *testing.T, f *fact.Set, _ *authority) {
			all := []fact.MailRule{{Name: "All", Enabled: true}}
			fact.OnlineJournalRules.Seed(f.Tenant, all, nil)
			for _, forest := range f.Forests {
				fact.JournalRules.Seed(forest, all, nil)
			}
		}, []string{"warn transport.journal-reports tenant"}},
		"MailTips are off in the forest": {func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.OwnMailTips, f.Forests[1], func(m *fact.MailTips) { m.All = &no })
		}, []string{"warn transport.mailtips fabrikam"}},
		"another threshold in the tenant": {func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.OnlineMailTips, f.Tenant, func(m *fact.MailTips) { m.LargeAudience = 100 })
		}, []string{"warn transport.mailtips contoso", "warn transport.mailtips fabrikam"}},
		"MailTips that the tenant does not show": {func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.OnlineMailTips.Seed(f.Tenant, fact.MailTips{}, nil)
		}, nil},
		"no approval assistant": {func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.ArbitrationMailboxes.Seed(f.Forests[0], []string{"Migration.8f3e7716-2011-43e4-96b1-aba62d229136"},
				nil)
		}, []string{"fail transport.moderation contoso"}},
		"a private address": {func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.InboundConnectors.Seed(f.Tenant, []fact.InboundConnector{{Name: "By address", Type: "OnPremises",
				Enabled: true, Addresses: []string{"203.0.113.7", "10.0.0.25"}}}, nil)
		}, []string{"fail transport.inbound-addresses tenant"}},
		"one address twice": {func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.InboundConnectors.Seed(f.Tenant, []fact.InboundConnector{{Name: "A", Type: "OnPremises",
				Enabled: true, Addresses: []string{"203.0.113.0/28"}}, {Name: "B", Type: "OnPremises", Enabled: true,
				Addresses: []string{"203.0.113.7"}}, {Name: "Off", Type: "OnPremises",
				Addresses: []string{"203.0.113.7"}}}, nil)
		}, []string{"warn transport.inbound-addresses tenant"}},
		"a private address of a connector that is off": {func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.InboundConnectors.Seed(f.Tenant, []fact.InboundConnector{{Name: "A", Type: "OnPremises",
				Addresses: []string{"10.0.0.25"}}}, nil)
		}, nil},
		"a rule of the tenant alone that is off": {func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.OnlineTransportRules, f.Tenant, func(r *[]fact.MailRule) {
				*r = append(*r, fact.MailRule{Name: "Block"})
			})
		}, nil},
		"addresses apart, and those of partners": {func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.InboundConnectors.Seed(f.Tenant, []fact.InboundConnector{{Name: "A", Type: "OnPremises",
				Enabled: true, Addresses: []string{"203.0.113.1", "203.0.113.2"}}, {Name: "P", Type: "Partner",
				Enabled: true, Addresses: []string{"203.0.113.1"}}}, nil)
		}, nil},
		"the clock runs": {func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.Servers, f.Forests[0], func(s *[]fact.Server) { (*s)[0].FQDN = "ex1.contoso.com" })
			fact.EnforcementReport.Seed(f.Tenant, fact.Enforcement{Known: true, Servers: []fact.ReportedServer{
				{FQDN: "EX1.contoso.com", Build: "15.2.2562.17", Detected: today.AddDate(0, 0, -40),
					Throttled: today.AddDate(0, 0, -10), Blocked: today.AddDate(0, 0, 20)}}}, nil)
		}, []string{"fail transport.enforcement contoso"}},
		"the clock is paused": {func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.Servers, f.Forests[0], func(s *[]fact.Server) { (*s)[0].FQDN = "ex1.contoso.com" })
			fact.EnforcementReport.Seed(f.Tenant, fact.Enforcement{Known: true, PausedUntil: today.AddDate(0, 0, 3),
				Servers: []fact.ReportedServer{{FQDN: "EX1.contoso.com", Build: "15.2.2562.17"}}}, nil)
		}, []string{"warn transport.enforcement contoso"}},
		"a server of no forest is reported": {func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.EnforcementReport.Seed(f.Tenant, fact.Enforcement{Known: true, Servers: []fact.ReportedServer{
				{FQDN: "mail.elsewhere.example"}}}, nil)
		}, nil},
		"the report cannot be read": {func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.EnforcementReport.Seed(f.Tenant, fact.Enforcement{}, errNoReport)
		}, nil},
		"an Edge server in order": {func(_ *testing.T, f *fact.Set, _ *authority) { withEdge(f) }, nil},
		"an Edge server that is not subscribed": {func(_ *testing.T, f *fact.Set, _ *authority) {
			withEdge(f)
			fact.EdgeSubscriptions.Seed(f.Forests[0], nil, nil)
		}, []string{"fail transport.edge-subscription contoso: edge1.contoso.com"}},
		"EdgeSync fails": {func(_ *testing.T, f *fact.Set, _ *authority) {
			withEdge(f)
			fact.EdgeSyncs.Seed(f.Forests[0],
				[]fact.EdgeSync{{Name: "EDGE1", Status: "Failed", Detail: "The LDAP server is unavailable."}}, nil)
		}, []string{"fail transport.edge-subscription contoso: edge1.contoso.com"}},
		"EdgeSync is two days behind": {func(_ *testing.T, f *fact.Set, _ *authority) {
			withEdge(f)
			fact.EdgeSyncs.Seed(f.Forests[0],
				[]fact.EdgeSync{{Name: "EDGE1", Status: "Normal", Synced: today.AddDate(0, 0, -2)}}, nil)
		}, []string{"fail transport.edge-subscription contoso: edge1.contoso.com"}},
		"an Edge server with its own certificate": {func(t *testing.T, f *fact.Set, ca *authority) {
			withEdge(f)
			fact.MailServers.Seed(f.Network, "edge1.contoso.com", served(ca.issue(t, leaf{cn: "EDGE1",
				names: []string{"EDGE1", "edge1.contoso.com"}, selfSigned: true})), nil)
		}, []string{"fail transport.edge-server contoso: edge1.contoso.com"}},
		"an Edge server with the certificate of last year": {func(t *testing.T, f *fact.Set, ca *authority) {
			withEdge(f)
			fact.MailServers.Seed(f.Network, "edge1.contoso.com", served(ca.issue(t, leaf{cn: "mail.contoso.com",
				names: []string{"mail.contoso.com"}})), nil)
		}, []string{"fail transport.edge-server contoso: edge1.contoso.com"}},
		"a TLSA record of the last certificate": {func(_ *testing.T, f *fact.Set, _ *authority) {
			pin(f, true, dns.Pin{Usage: 3, Selector: 1, Matching: 1, Data: make([]byte, 32)})
		}, []string{"fail transport.smart-host-tlsa contoso"}},
		"such a record without DNSSEC": {func(_ *testing.T, f *fact.Set, _ *authority) {
			pin(f, false, dns.Pin{Usage: 3, Selector: 1, Matching: 1, Data: make([]byte, 32)})
		}, []string{"warn transport.smart-host-tlsa contoso"}},
		"records of a kind that mail servers leave out": {func(_ *testing.T, f *fact.Set, _ *authority) {
			pin(f, true, dns.Pin{Usage: 1, Selector: 1, Matching: 1, Data: make([]byte, 32)})
		}, []string{"warn transport.smart-host-tlsa contoso"}},
		"the last record beside that of the certificate": {func(t *testing.T, f *fact.Set, _ *authority) {
			seen, err := fact.CertificateFile.In(t.Context(), f.Forests[0])
			if err != nil {
				t.Fatal(err)
			}
			key := sha256.Sum256(seen.Leaf.RawSubjectPublicKeyInfo)
			pin(f, true, dns.Pin{Usage: 3, Selector: 1, Matching: 1, Data: make([]byte, 32)},
				dns.Pin{Usage: 3, Selector: 1, Matching: 1, Data: key[:]})
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f, ca := healthy(t)
			test.disturb(t, f, ca)
			got, report := outcome(t, f)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			for _, r := range report.Results {
				if ids := mailPolicyIDs(); (r.Status == check.StatusFail || r.Status == check.StatusWarn) &&
					slices.Contains(ids, r.ID) && r.Remedy.Considerations.IsZero() {
					t.Errorf("%s says nothing of what its fix may break", r.ID)
				}
			}
		})
	}
}

func mailPolicyIDs() (ids []check.ID) {
	for _, c := range slices.Concat(enforcementChecks, edgeChecks, mailPolicyChecks, daneChecks) {
		ids = append(ids, c.ID)
	}
	return ids
}

func pin(f *fact.Set, verified bool, pins ...dns.Pin) {
	a := dns.Answer{Verified: verified}
	for _, p := range pins {
		a.Records = append(a.Records, dns.Record{Type: dns.TLSA, Pin: &p})
	}
	fact.TLSA.Seed(f.Network, "mail.contoso.com", a, nil)
}

type noReport struct{}

func (noReport) Error() string { return "no report" }

var errNoReport = noReport{}

// The clock of transport enforcement says what comes next.
func TestClock(t *testing.T) {
	at := func(n int) time.Time { return today.AddDate(0, 0, n) }
	for want, r := range map[string]fact.ReportedServer{
		"refuses mail of EX1 since":    {Throttled: at(-40), Blocked: at(-10)},
		"and refuses some in 20 days":  {Throttled: at(-10), Blocked: at(20)},
		"delays mail of EX1 in 5 days": {Throttled: at(5), Blocked: at(35)},
		"counts EX1 (15.2.1.2)":        {Build: "15.2.1.2"},
	} {
		if got := clock(today, "EX1", r).String(); !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Where the mail host was not seen, its records are not judged. A host without STARTTLS has no certificate.
func TestPinsOfAHostThatIsNotSeen(t *testing.T) {
	for _, test := range []struct {
		seen fact.MailServer
		err  error
		want check.Status
	}{
		{fact.MailServer{}, nil, check.StatusSkip},
		{fact.MailServer{Err: errors.New("timed out")}, nil, check.StatusError},
		{fact.MailServer{}, errors.New("no route"), check.StatusError},
	} {
		set, _ := healthy(t)
		pin(set, true, dns.Pin{Usage: 3, Selector: 1, Matching: 1, Data: make([]byte, 32)})
		fact.MailServers.Seed(set.Network, "mail.contoso.com", test.seen, test.err)
		if r := judgePins(t.Context(), Input{Set: set, Forest: set.Forests[0]}); r.Status != test.want {
			t.Errorf("%v, %v: %s: %s", test.seen.Err, test.err, r.Status, r.Summary)
		}
	}
}
