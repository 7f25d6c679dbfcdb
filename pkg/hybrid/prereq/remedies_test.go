package prereq

import (
	"slices"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// commandsOf are the commands that the finding of a check gives.
func commandsOf(t *testing.T, f *fact.Set, id check.ID) []string {
	t.Helper()
	_, report := outcome(t, f)
	i := slices.IndexFunc(report.Results, func(r check.Result) bool {
		return r.ID == id && r.Status != check.StatusPass && r.Status != check.StatusSkip
	})
	if i < 0 {
		t.Fatalf("%s found nothing", id)
	}
	return report.Results[i].Remedy.Commands
}

// A mitigation is blocked beside those that are blocked already: the list would be replaced.
func TestStaleMitigationKeepsTheList(t *testing.T) {
	f, _ := healthy(t)
	alter(t, fact.Servers, f.Forests[0], func(s *[]fact.Server) { (*s)[0].Mitigations = []string{"M2.1.0"} })
	got := commandsOf(t, f, "servers.stale-mitigation")
	if want := []string{"Set-ExchangeServer -Identity 'EX1' -MitigationsBlocked @{Add='M2.1.0'}"}; !slices.Equal(got,
		want) {
		t.Errorf("commands: %q", got)
	}
}

// The addresses of Exchange Online are known of one cloud. In another, a connector for them is not
// seen, and nothing passes.
func TestReceiveOverlapOfOtherClouds(t *testing.T) {
	for id, want := range map[string]check.Status{"worldwide": check.StatusFail, "gcc-high": check.StatusSkip,
		"21vianet": check.StatusSkip} {
		f, _ := healthy(t)
		c, ok := cloud.Get(id)
		if !ok {
			t.Fatal(id)
		}
		f.Cloud = c
		other := frontend("EX1")
		other.Identity, other.RemoteIPRanges = `EX1\Tenant`, []string{"40.92.0.0/15"}
		fact.ReceiveConnectors.Seed(f.Forests[0], []fact.ReceiveConnector{frontend("EX1"), other}, nil)
		i := slices.IndexFunc(flowChecks, func(c Check) bool { return c.ID == "transport.receive-overlap" })
		if r := flowChecks[i].Run(t.Context(), Input{Set: f, Forest: f.Forests[0]}); r.Status != want {
			t.Errorf("%s: %s, %s", id, r.Status, r.Summary)
		}
	}
}

// Only what keeps automatic replies back is changed: InternalLegacy lets the reply for colleagues
// pass, and External would hide it.
func TestAutomaticRepliesKeepTheirKind(t *testing.T) {
	for name, test := range map[string]struct {
		off  []string
		kind string
		want string
	}{
		"off":        {[]string{"AutoReplyEnabled"}, "InternalLegacy", "-AutoReplyEnabled $true"},
		"no replies": {nil, "None", "-AllowedOOFType External"},
		"both":       {[]string{"AutoReplyEnabled"}, "none", "-AutoReplyEnabled $true -AllowedOOFType External"},
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := healthy(t)
			fact.RemoteDomains.Seed(f.Forests[0], []fact.RemoteDomain{{Name: "Cloud",
				Domain: "contoso.mail.onmicrosoft.com", Off: test.off, OutOfOffice: test.kind}}, nil)
			got := commandsOf(t, f, "transport.remote-domain-replies")
			if want := []string{"Set-RemoteDomain -Identity 'Cloud' " + test.want}; !slices.Equal(got, want) {
				t.Errorf("commands: %q", got)
			}
		})
	}
}

// Of two connectors that route all mail, the one of the first forest stays, as the plan has it. The
// other one gets its own domains back: with * it would go on to take mail to the internet.
func TestCentralizedOnceKeepsTheFirstForest(t *testing.T) {
	connectors := []fact.OutboundConnector{
		{Name: "A fabrikam", Enabled: true, Centralized: true, RecipientDomains: []string{"*"},
			SmartHosts: []string{"mail.fabrikam.com"}},
		{Name: "B contoso", Enabled: true, Centralized: true, RecipientDomains: []string{"*"},
			SmartHosts: []string{"Mail.contoso.com"}}}
	for name, test := range map[string]struct {
		change func(c []fact.OutboundConnector)
		want   []string
	}{
		"both known": {func([]fact.OutboundConnector) {}, []string{"Set-OutboundConnector -Identity 'A fabrikam' " +
			"-RouteAllMessagesViaOnPremises $false -RecipientDomains 'fabrikam.com'"}},
		"not the first forest's": {func(c []fact.OutboundConnector) { c[1].SmartHosts = nil }, nil},
		"one of no forest": {func(c []fact.OutboundConnector) { c[0].SmartHosts = []string{"mx.x.example"} },
			nil},
		"domains by name": {func(c []fact.OutboundConnector) { c[0].RecipientDomains = []string{"x.example"} },
			[]string{"Set-OutboundConnector -Identity 'A fabrikam' -RouteAllMessagesViaOnPremises $false"}},
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := healthy(t)
			f.Answers.Features = append(answers.DefaultFeatures(), answers.CentralizedTransport)
			own := slices.Clone(connectors)
			test.change(own)
			fact.OutboundConnectors.Seed(f.Tenant, own, nil)
			if got := commandsOf(t, f, "transport.centralized-once"); !slices.Equal(got, test.want) {
				t.Errorf("commands: %q", got)
			}
		})
	}
}
