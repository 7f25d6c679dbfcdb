package desired

import (
	"slices"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// An endpoint at the Hybrid Agent leads to the forest: the plan does not ask for another one.
func TestEndpointOfHybridAgent(t *testing.T) {
	const agent = "12345678-1234-1234-1234-123456789012.resource.mailboxmigration.his.msappproxy.net"
	holder := func(domain string) []fact.Holder {
		return []fact.Holder{{Name: "HybridIOC", Domains: []string{domain},
			TargetSharingEpr: "https://" + agent + "/EWS/Exchange.asmx"}}
	}
	for name, test := range map[string]struct {
		kind, host string
		connectors []fact.Holder
		forests    int
		want       []string // forests with an endpoint
	}{
		"published":                {"ExchangeRemoteMove", "Mail.contoso.com", nil, 2, []string{"contoso"}},
		"an agent of contoso":      {"ExchangeRemoteMove", agent, holder("Contoso.com"), 2, []string{"contoso"}},
		"an agent of another":      {"ExchangeRemoteMove", "1" + agent, holder("contoso.com"), 1, nil},
		"an agent, no lookups":     {"ExchangeRemoteMove", agent, nil, 1, []string{"contoso"}},
		"an agent, several alone":  {"ExchangeRemoteMove", agent, nil, 2, nil},
		"another kind of endpoint": {"IMAP", agent, holder("contoso.com"), 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			a, f := testAnswers(), testFacts()
			a.Forests = a.Forests[:test.forests]
			f.Tenant.Connectors = test.connectors
			set := f.set(a, worldwide(t))
			fact.MigrationEndpoints.Seed(set.Tenant, []fact.MigrationEndpoint{{Name: "E", Type: test.kind,
				RemoteServer: test.host}}, nil)
			var got []string
			for _, forest := range set.Forests {
				endpoints, err := EndpointsOf(t.Context(), set, forest)
				if err != nil {
					t.Fatal(err)
				}
				if len(endpoints) > 0 {
					got = append(got, forest.Name())
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("forests with an endpoint: %v", got)
			}
		})
	}
}

// MRSProxy is opened only on servers whose build proves the security update.
func TestMRSProxyOfSafeServers(t *testing.T) {
	for b, want := range map[fact.Build]fact.Fitness{
		build(15, 2, 2562, 46): fact.Fit, build(15, 2, 2562, 45): fact.Unfit, build(15, 2, 2562, 17): fact.Untold,
		build(15, 1, 2507, 72): fact.Fit, build(15, 2, 1258, 39): fact.Unfit, build(15, 2, 9999, 1): fact.Fit,
	} {
		if got := b.Binds(); got != want {
			t.Errorf("%s: %d, want %d", b, got, want)
		}
	}
	w, f, a := mailWorld(t)
	a.Features = []answers.Feature{answers.MoveMailbox}
	directory := func(server string, open bool) map[string]any {
		return map[string]any{"Name": server + `\EWS (Default Web Site)`, "MRSProxyEnabled": open,
			"InternalAuthenticationMethods": []string{"OAuth"}}
	}
	f.Forests[0].Servers = []fact.MailboxServer{server("EX1", build(15, 2, 2562, 53)),
		server("EX2", build(15, 2, 2562, 45)),
		server("EX3", build(15, 2, 2562, 17))}
	f.Forests[0].Directories = nil
	w.contoso.objects["WebServicesVirtualDirectory"] = nil
	for _, s := range f.Forests[0].Servers {
		w.contoso.objects["WebServicesVirtualDirectory"] = append(w.contoso.objects["WebServicesVirtualDirectory"],
			directory(s.Name, false))
		f.Forests[0].Directories = append(f.Forests[0].Directories,
			fact.VirtualDirectory{Noun: fact.EWSDirectory, Identity: s.Name + `\EWS (Default Web Site)`, OAuth: true})
	}
	p := makePlan(t, w, f, a)
	var opened []string
	for _, c := range p.Changes {
		if c.Kind == mailboxReplicationProxy.Noun {
			opened = append(opened, c.Name)
		}
	}
	if !slices.Equal(opened, []string{`EX1\EWS (Default Web Site)`}) {
		t.Errorf("opened: %v", opened)
	}
	w.carryOut(t, p)
	if again := makePlan(t, w, f, a); len(again.Changes) != 0 {
		t.Errorf("not converged: %s", ids(again))
	}
	if objectNamed(w.contoso, "WebServicesVirtualDirectory", `EX1\EWS (Default Web Site)`)["MRSProxyEnabled"] != true {
		t.Error("MRSProxy is closed")
	}
	// Undone, it is closed again.
	live, err := w.places["onprem/contoso"].Read(t.Context(), mailboxReplicationProxy)
	if err != nil || len(live) != 1 {
		t.Fatalf("%v, %v", live, err)
	}
	command, err := mailboxReplicationProxy.Command(change.Delete, "", nil, &live[0])
	if err != nil || command.Parameters["MRSProxyEnabled"] != false {
		t.Errorf("%v, %v", command, err)
	}
}
