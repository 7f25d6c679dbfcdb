package prereq

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

func TestMRSProxy(t *testing.T) {
	for name, test := range map[string]struct {
		build string
		open  bool
		moves bool
		want  []string
	}{
		"open and up to date":   {"Version 15.2 (Build 2562.46)", true, true, nil},
		"closed and up to date": {"Version 15.2 (Build 2562.53)", false, true, nil},
		"open below the update": {"Version 15.2 (Build 2562.45)", true, true,
			[]string{"fail migration.mrs-proxy contoso"}},
		"open on a version without any": {"Version 15.2 (Build 1258.12)", true, false,
			[]string{"fail migration.mrs-proxy contoso"}},
		"open, update not shown": {"Version 15.2 (Build 2562.17)", true, true,
			[]string{"warn migration.mrs-proxy contoso"}},
		"closed, update not shown": {"Version 15.2 (Build 2562.17)", false, true, nil},
		"closed and not wanted":    {"Version 15.2 (Build 2562.17)", false, false, nil},
		"open, up to date and not wanted": {"Version 15.2 (Build 2562.46)", true, false,
			[]string{"warn migration.mrs-proxy contoso"}},
		"open, build that cannot be read":   {"eleven", true, true, []string{"warn migration.mrs-proxy contoso"}},
		"closed, build that cannot be read": {"eleven", false, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := healthy(t)
			f.Answers.Features = []answers.Feature{answers.FreeBusy}
			if test.moves {
				f.Answers.Features = append(f.Answers.Features, answers.MoveMailbox)
			}
			alter(t, fact.Servers, f.Forests[0], func(s *[]fact.Server) { (*s)[0].Version = test.build })
			alter(t, fact.VirtualDirectories, f.Forests[0],
				func(d *[]fact.VirtualDirectory) { (*d)[0].MRSProxy = test.open })
			var got []string
			for _, finding := range allOf(outcome(t, f)) {
				if finding == "fail migration.mrs-proxy contoso" || finding == "warn migration.mrs-proxy contoso" ||
					finding == "error migration.mrs-proxy contoso" {
					got = append(got, finding)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func allOf[R any](findings []string, _ R) []string { return findings }

// A forest that is open for moves needs an endpoint of the right type.
func TestMigrationEndpointOfForest(t *testing.T) {
	const agent = "12345678-1234-1234-1234-123456789012.resource.mailboxmigration.his.msappproxy.net"
	missing := []string{"warn migration.endpoint contoso"}
	for name, test := range map[string]struct {
		kind, host string
		agent      string // of the tenant's connector
		want       []string
	}{
		"there":                           {"ExchangeRemoteMove", "Mail.contoso.com", "", nil},
		"none":                            {"", "", "", missing},
		"another type":                    {"IMAP", "mail.contoso.com", "", missing},
		"another host":                    {"ExchangeRemoteMove", "old.contoso.com", "", missing},
		"the Hybrid Agent's":              {"ExchangeRemoteMove", agent, agent, nil},
		"an agent that moves only":        {"ExchangeRemoteMove", agent, "", nil},
		"an agent that is gone":           {"ExchangeRemoteMove", "9" + agent[1:], agent, missing},
		"an agent, for another migration": {"IMAP", agent, agent, missing},
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := healthy(t)
			f.Forests = f.Forests[:1]
			if test.kind != "" {
				fact.MigrationEndpoints.Seed(f.Tenant, []fact.MigrationEndpoint{{Name: "x", Type: test.kind,
					RemoteServer: test.host}}, nil)
			}
			if test.agent != "" {
				fact.OnlineConnectors.Seed(f.Tenant, []fact.Holder{{Name: "HybridIOC", Leads: true,
					Domains:          []string{"contoso.com"},
					TargetSharingEpr: "https://" + test.agent + "/EWS/Exchange.asmx"}}, nil)
			}
			alter(t, fact.VirtualDirectories, f.Forests[0],
				func(d *[]fact.VirtualDirectory) { (*d)[0].MRSProxy = true })
			got, _ := outcome(t, f)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
