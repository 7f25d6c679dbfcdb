package prereq

import (
	"context"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

var migrationChecks = []Check{{
	ID:    "migration.mrs-proxy",
	Title: "MRSProxy is open only where mailboxes are moved and servers are up to date",
	Scope: PerForest,
	Needs: []check.ID{"access.onprem-read"},
	Reads: fact.List(fact.VirtualDirectories, fact.Servers),
	Why: "Before the August 2026 security update, MRSProxy takes a sign-in that an attacker relays: in the published " +
		"chain the attacker then controls the server (CVE-2026-62911). hybridge plans MRSProxy only where the build " +
		"proves the update. Exchange shows cumulative updates only, so the build may not prove it.",
	Fix:      "Install the latest security update, or switch MRSProxy off until it is installed.",
	Consider: "Moves in progress wait or fail while MRSProxy is off.",
	Run: func(ctx context.Context, in Input) check.Result {
		directories, err := fact.VirtualDirectories.In(ctx, in.Forest)
		if err != nil {
			return check.Unknown(err)
		}
		servers, err := fact.Servers.In(ctx, in.Forest)
		if err != nil {
			return check.Unknown(err)
		}
		wanted := wants(in, answers.MoveMailbox)
		var open, old, untold, closed []string
		var off []string // commands
		for _, d := range directories {
			if d.Noun != fact.EWSDirectory {
				continue
			}
			i := slices.IndexFunc(servers, func(s fact.Server) bool { return strings.EqualFold(s.Name, d.Server()) })
			state := fact.Untold
			if i >= 0 {
				if b, err := servers[i].Build(); err == nil {
					state = b.Binds()
				}
			}
			shut := "Set-WebServicesVirtualDirectory -Identity " + exchange.Quote(d.Identity) +
				" -MRSProxyEnabled $false"
			switch {
			case d.MRSProxy && state == fact.Unfit:
				old, off = append(old, d.Identity), append(off, shut)
			case d.MRSProxy && !wanted:
				open, off = append(open, d.Identity), append(off, shut)
			case d.MRSProxy && state == fact.Untold:
				untold = append(untold, d.Identity)
			case !d.MRSProxy && wanted && state != fact.Fit:
				closed = append(closed, d.Identity)
			}
		}
		switch {
		case len(old) > 0:
			return check.Failed("MRSProxy is open on %s without the August 2026 security update: %s",
				msg.Count(len(old), "%s server", "%s servers"), someOf(old)).With("directories", old).FixWith(off...)
		case len(open) > 0:
			return check.Warned("MRSProxy is open although the features of the answers do not include moveMailbox: %s",
				someOf(open)).With("directories", open).
				Fix("Switch it off when no mailboxes are moved, to other forests included: write retire: [mrsProxy] " +
					"into the answers file and apply a plan with --accept mrs-proxy-off.").FixWith(off...)
		case len(untold) > 0:
			return check.Warned("MRSProxy is open, and the build number does not show whether the August 2026 "+
				"security update is installed: %s", someOf(untold)).With("directories", untold).
				Fix("Make sure that the update is installed: Get-Command ExSetup.exe on the server shows its file " +
					"version. Write it into forests[].exchange.builds.")
		case len(closed) > 0:
			return check.Pass("MRSProxy is closed, and hybridge opens it only where the build number proves the "+
				"August 2026 security update: not on %s", someOf(closed)).With("directories", closed).
				Fix("Where the update is installed, write the build into forests[].exchange.builds.")
		}
		return check.Pass("no MRSProxy is open without need or without the update")
	},
}, {
	ID:       "migration.endpoint",
	Title:    "The tenant has a migration endpoint for the forest",
	Scope:    PerForest,
	Severity: check.Warn,
	Needs:    []check.ID{"access.onprem-read", "access.online-read"},
	Reads: fact.List(fact.VirtualDirectories, fact.MigrationEndpoints, fact.OnlineConnectors,
		fact.OnlineRelationships),
	Why: "A migration endpoint holds the address of the forest and the account with which Exchange Online moves " +
		"mailboxes. hybridge does not make it: only Exchange Online PowerShell hands over the account's password. A " +
		"plan gives the commands.",
	Fix: "Make the endpoint in Exchange Online PowerShell, with an account that has the role Move Mailboxes alone. " +
		"Test-MigrationServerAvailability tries the address and the account first.",
	Consider: "The endpoint stores the password of the account. When the password changes, moves stop until " +
		"Set-MigrationEndpoint knows the new one.",
	Run: func(ctx context.Context, in Input) check.Result {
		switch {
		case in.Tenant == nil:
			return check.Result{Status: check.StatusSkip, Summary: noTenant}
		case !wants(in, answers.MoveMailbox):
			return check.NotApplicable("the features of the answers do not include moveMailbox")
		}
		directories, err := fact.VirtualDirectories.In(ctx, in.Forest)
		if err != nil {
			return check.Unknown(err)
		}
		if !slices.ContainsFunc(directories, func(d fact.VirtualDirectory) bool { return d.MRSProxy }) {
			return check.Pass("no server of forest %s is open for moves yet", in.Forest.Name())
		}
		endpoints, err := desired.EndpointsOf(ctx, in.Set, in.Forest)
		if err != nil {
			return check.Unknown(err)
		}
		if len(endpoints) > 0 {
			return check.Pass("the migration endpoint %s leads to %s", endpoints[0].Name,
				strings.ToLower(endpoints[0].RemoteServer))
		}
		host := strings.ToLower(in.Forest.Answers.Namespace.EWS)
		return check.Warned("forest %s is open for moves, and no migration endpoint leads to %s", in.Forest.Name(),
			host).
			FixWith(desired.MigrationEndpointCommands(host)...)
	},
}, {
	ID:    "migration.endpoint-answers",
	Title: "Exchange Online reaches the forest by its migration endpoint",
	Scope: PerForest,
	Needs: []check.ID{"access.online-read"},
	Reads: fact.List(fact.MigrationEndpoints, fact.EndpointTest, fact.OnlineConnectors, fact.OnlineRelationships),
	Why: "A move fails when the address of the endpoint is not reachable from the internet, when MRSProxy is closed " +
		"there, or when the password of the endpoint's account has changed. Exchange Online tries all three.",
	Fix: "Open MRSProxy and port 443 to Exchange Online without pre-authentication, or write the account's new " +
		"password (Set-MigrationEndpoint -Credentials).",
	Consider: "Port 443 without pre-authentication is open to the internet: limit it to the addresses of Exchange " +
		"Online.",
	Run: func(ctx context.Context, in Input) check.Result {
		switch {
		case in.Tenant == nil:
			return check.Result{Status: check.StatusSkip, Summary: noTenant}
		case !wants(in, answers.MoveMailbox):
			return check.NotApplicable("the features of the answers do not include moveMailbox")
		}
		endpoints, err := desired.EndpointsOf(ctx, in.Set, in.Forest)
		if err != nil {
			return check.Unknown(err)
		}
		host, tried := "", 0
		for _, e := range endpoints {
			host = strings.ToLower(e.RemoteServer)
			answer, err := fact.EndpointTest.In(ctx, in.Tenant, e.Name)
			if err != nil {
				return check.Unknown(err)
			}
			if !answer.OK {
				return check.Failed("the migration endpoint %s does not reach %s: %s", e.Name, host,
					link.Line(answer.Message)).
					FixWith("Test-MigrationServerAvailability -Endpoint "+exchange.Quote(e.Name),
						"Set-MigrationEndpoint -Identity "+exchange.Quote(e.Name)+" -Credentials (Get-Credential)")
			}
			tried++
		}
		if tried == 0 {
			return check.Pass("no migration endpoint leads to forest %s", in.Forest.Name())
		}
		return check.Pass("Exchange Online reaches %s by its migration endpoint", host)
	},
}}

// wants reports whether the answers want a feature.
func wants(in Input, f answers.Feature) bool {
	features := in.Answers.Features
	if len(features) == 0 {
		features = answers.DefaultFeatures()
	}
	return slices.Contains(features, f)
}
