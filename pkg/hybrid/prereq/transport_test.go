package prereq

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// frontend is the connector that Exchange's setup makes.
func frontend(server string) fact.ReceiveConnector {
	return fact.ReceiveConnector{
		Identity: server + `\Default Frontend ` + server, Server: server, Role: "FrontendTransport", Enabled: true,
		Bindings:       []string{"[::]:25", "0.0.0.0:25"},
		RemoteIPRanges: []string{"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "0.0.0.0-255.255.255.255"},
	}
}

// PowerShell takes typographic quotes for quotes: a name cannot end the text in which a command has it.
func TestNamesInCommandsOfMailFlow(t *testing.T) {
	const name = "Bob's and Eve\u2019s"
	set, _ := healthy(t)
	fact.InboundConnectors.Seed(set.Tenant, []fact.InboundConnector{{Name: name, TreatAsInternal: true,
		CloudHeader: true}}, nil)
	at := slices.IndexFunc(transportChecks, func(c Check) bool { return c.ID == "transport.internal-messages" })
	r := transportChecks[at].Run(t.Context(), Input{Set: set})
	if want := "Set-InboundConnector -Identity 'Bob''s and Eve\u2019\u2019s' -TreatMessagesAsInternal $false"; r.Status !=
		check.StatusFail || !slices.Equal(r.Remedy.Commands, []string{want}) {
		t.Errorf("%s: %q", r.Status, r.Remedy.Commands)
	}
}

// Each fault of mail flow turns its check, and no other.
func TestTransportDisorders(t *testing.T) {
	for name, test := range map[string]struct {
		disturb func(t *testing.T, f *fact.Set)
		want    []string
	}{
		"two connectors to the tenant": {func(t *testing.T, f *fact.Set) {
			alter(t, fact.SendConnectors, f.Forests[0], func(c *[]fact.SendConnector) {
				*c = append(*c, fact.SendConnector{Name: "Old",
					AddressSpaces: []string{"contoso.mail.onmicrosoft.com"}})
			})
		}, []string{"fail transport.send-connector contoso"}},
		"a connector to the tenant and elsewhere": {func(t *testing.T, f *fact.Set) {
			alter(t, fact.SendConnectors, f.Forests[0], func(c *[]fact.SendConnector) {
				(*c)[1].AddressSpaces = append((*c)[1].AddressSpaces, "smtp:partner.example;1")
			})
		}, []string{"fail transport.send-connector contoso"}},
		"no connector yet": {func(_ *testing.T, f *fact.Set) {
			fact.SendConnectors.Seed(f.Forests[0], nil, nil)
		}, nil},
		"IPv6 bindings gone": {func(_ *testing.T, f *fact.Set) {
			c := frontend("EX1")
			c.Bindings = c.Bindings[1:]
			fact.ReceiveConnectors.Seed(f.Forests[0], []fact.ReceiveConnector{c}, nil)
		}, []string{"fail transport.receive-connector contoso"}},
		"two frontend connectors": {func(_ *testing.T, f *fact.Set) {
			c := frontend("EX1")
			c.Identity = `EX1\Copy`
			fact.ReceiveConnectors.Seed(f.Forests[0], []fact.ReceiveConnector{frontend("EX1"), c}, nil)
		}, []string{"fail transport.receive-connector contoso"}},
		"Edge servers and Mailbox servers": {func(_ *testing.T, f *fact.Set) {
			fact.HybridConfigurations.Seed(f.Forests[0], fact.HybridConfiguration{Exists: true,
				Receiving: []string{"EX1"}, Edge: []string{"EDGE1"}}, nil)
		}, []string{"fail transport.edge-or-mailbox contoso"}},
		"a source below the floor": {func(t *testing.T, f *fact.Set) {
			alter(t, fact.Servers, f.Forests[0], func(s *[]fact.Server) {
				*s = append(*s, fact.Server{Name: "EDGE1", Version: "Version 15.2 (Build 1258.39)", Edge: true})
			})
			alter(t, fact.SendConnectors, f.Forests[0], func(c *[]fact.SendConnector) {
				(*c)[1].SourceServers = []string{"edge1"}
			})
		}, []string{"fail transport.enforcement contoso"}},
		"sources that Exchange does not show": {func(t *testing.T, f *fact.Set) {
			alter(t, fact.SendConnectors, f.Forests[0], func(c *[]fact.SendConnector) {
				(*c)[1].SourceServers = []string{"GONE1"}
			})
		}, []string{"error transport.enforcement contoso"}},
		"another server below the floor": {func(t *testing.T, f *fact.Set) {
			alter(t, fact.Servers, f.Forests[0], func(s *[]fact.Server) {
				*s = append(*s, fact.Server{Name: "EDGE1", Version: "Version 15.2 (Build 1258.39)", Edge: true})
			})
			alter(t, fact.SendConnectors, f.Forests[0], func(c *[]fact.SendConnector) {
				(*c)[1].SourceServers = []string{"EX1"}
			})
		}, nil},
		"a source whose version gets no updates": {func(t *testing.T, f *fact.Set) {
			alter(t, fact.Servers, f.Forests[0], func(s *[]fact.Server) {
				*s = append(*s, fact.Server{Name: "EDGE1", Version: "Version 15.1 (Build 2507.61)", Edge: true})
			})
			alter(t, fact.SendConnectors, f.Forests[0], func(c *[]fact.SendConnector) {
				(*c)[1].SourceServers = []string{"EDGE1"}
			})
		}, []string{"warn transport.enforcement contoso"}},
		"headers of Exchange are taken": {func(_ *testing.T, f *fact.Set) {
			fact.InboundConnectors.Seed(f.Tenant, []fact.InboundConnector{{Name: "Hybrid", CloudHeader: true}}, nil)
		}, nil},
		"all mail is internal": {func(_ *testing.T, f *fact.Set) {
			fact.InboundConnectors.Seed(f.Tenant, []fact.InboundConnector{{Name: "O'Neil", TreatAsInternal: true,
				CloudHeader: true}, {Name: "Printer", TreatAsInternal: true}}, nil)
		}, []string{"fail transport.internal-messages tenant"}},
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := healthy(t)
			test.disturb(t, f)
			got, _ := outcome(t, f)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Without secureMail, the checks of mail flow do not apply.
func TestTransportIsNotWanted(t *testing.T) {
	f, _ := healthy(t)
	f.Answers.Features = []answers.Feature{answers.FreeBusy}
	_, report := outcome(t, f)
	for _, r := range report.Results {
		if r.ID.Category() == "transport" && r.Status != check.StatusSkip {
			t.Errorf("%s %s: %s", r.ID, r.Scope, r.Status)
		}
	}
}

// What a server's mail service presents is judged where it was seen. A server that is gone is not asked;
// one that was not reached leaves the judgement open, unless what was seen has a fault.
func TestMailDoorsThatAreNotSeen(t *testing.T) {
	f, ca := healthy(t)
	whole := fact.MailDoor{Server: "EX1", Mail: served(ca.issue(t, leaf{cn: "mail.contoso.com"}))}
	silent := fact.MailDoor{Server: "EX2", Mail: fact.MailServer{Err: link.ErrUnreachable}}
	for name, tt := range map[string]struct {
		doors []fact.MailDoor
		fails bool
		want  check.Status
		seen  int
	}{
		"seen":                    {[]fact.MailDoor{whole}, false, check.StatusPass, 1},
		"one is gone":             {[]fact.MailDoor{whole, {Server: "EX2", Gone: true, Err: link.ErrUnreachable}}, false, check.StatusPass, 1},
		"one is not reached":      {[]fact.MailDoor{whole, silent}, false, check.StatusError, 1},
		"one is not asked":        {[]fact.MailDoor{whole, {Server: "EX2", Err: link.ErrUnreachable}}, false, check.StatusError, 1},
		"a fault, and one is not": {[]fact.MailDoor{whole, silent}, true, check.StatusFail, 1},
	} {
		fact.MailDoors.Seed(f.Forests[0], tt.doors, nil)
		seen := 0
		r := mailDoors(t.Context(), Input{Set: f, Forest: f.Forests[0]}, func(all []fact.MailDoor) check.Result {
			if seen = len(all); tt.fails {
				return check.Failed("no")
			}
			return check.Pass("yes")
		})
		if r.Status != tt.want || seen != tt.seen {
			t.Errorf("%s: %s of %d", name, r.Status, seen)
		}
	}
}
