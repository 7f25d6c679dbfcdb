package prereq

import (
	"context"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

var transportChecks = []Check{
	{
		ID:    "transport.send-connector",
		Title: "One send connector leads to the tenant, and to nothing else",
		Scope: PerForest,
		Needs: []check.ID{"access.onprem-read"},
		Reads: fact.List(fact.SendConnectors),
		Why: "Exchange chooses between send connectors of one address space by their cost and their servers: mail to " +
			"the tenant may take the one that removes the headers of internal mail. A connector with further address " +
			"spaces sends mail of other domains to Exchange Online. Microsoft's wizard refuses both (HCW8011, " +
			"HCW8039).",
		Fix:      "Keep one send connector for the coexistence domain, with that address space alone.",
		Consider: "Mail to an address space that is removed takes the next connector that fits.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			coexistence, err := coexistenceDomain(ctx, in)
			if err != nil {
				return check.Unknown(err)
			}
			connectors, err := fact.SendConnectors.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			var names, more []string
			for _, c := range connectors {
				var others []string
				leads := false
				for _, space := range c.AddressSpaces {
					if domain := spaceDomain(space); domain == coexistence {
						leads = true
					} else {
						others = append(others, domain)
					}
				}
				if leads {
					names = append(names, c.Name)
					more = append(more, others...)
				}
			}
			switch {
			case len(names) > 1:
				return check.Failed("%d send connectors of forest %s lead to %s: %s", len(names), in.Forest.Name(),
					coexistence, someOf(names)).With("connectors", names).
					Fix("Remove the address space from all but one of them, or remove them (Remove-SendConnector).")
			case len(more) > 0:
				return check.Failed("the send connector %s leads to other domains too: %s", names[0], someOf(more)).
					With("addressSpaces", more).
					Fix("Move the other address spaces to a connector of their own (New-SendConnector, " +
						"Set-SendConnector -AddressSpaces).")
			case len(names) == 0:
				return check.Pass("no send connector leads to %s yet; hybridge plan makes it", coexistence)
			}
			return check.Pass("the send connector %s leads to %s alone", names[0], coexistence)
		}),
	},
	{
		ID:    "transport.receive-connector",
		Title: "Every Mailbox server has a frontend receive connector for mail from everywhere",
		Scope: PerForest,
		Needs: []check.ID{"access.onprem-read"},
		Reads: fact.List(fact.Servers, fact.ReceiveConnectors),
		Why: "Mail from the tenant arrives on port 25 at the default frontend receive connector. Microsoft's wizard " +
			"and hybridge find it by its bindings to port 25 on all addresses of IPv4 and IPv6 (HCW8010).",
		Fix: "Restore the bindings of the default frontend connector.",
		Consider: "Another connector with the same binding and the same remote addresses takes the mail in its " +
			"place: compare them first.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			if len(in.Forest.Answers.Edge) > 0 {
				return check.NotApplicable("mail from the tenant arrives at the Edge servers of forest %s",
					in.Forest.Name())
			}
			servers, err := fact.Servers.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			connectors, err := fact.ReceiveConnectors.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			var faults []string
			count := 0
			for _, s := range servers {
				// Exchange 2010 has no frontend transport, and carries no mail of the tenant.
				if b, err := s.Build(); !s.Mailbox || s.Edge || err == nil && b.Major < 15 {
					continue
				}
				count++
				if _, err := desired.DefaultFrontend(connectors, s.Name); err != nil {
					faults = append(faults, err.Error())
				}
			}
			if len(faults) > 0 {
				return check.Failed("%s", strings.Join(faults, "; ")).With("servers", faults)
			}
			return check.Pass("%s", msg.Count(count, "%s server has it", "%s servers have it"))
		}),
	},
	{
		ID:    "transport.edge-or-mailbox",
		Title: "Mail flows through Mailbox servers or through Edge servers, not both",
		Scope: PerForest,
		Needs: []check.ID{"access.onprem-read"},
		Reads: fact.List(fact.HybridConfigurations),
		Why: "A record of the hybrid configuration that names Edge servers and Mailbox servers is refused by " +
			"Microsoft's wizard (HCW8043), and mail takes either way.",
		Fix: "Name the Edge servers in forests[].edge of the answers file, or remove them there; hybridge plan then " +
			"clears the other list.",
		Consider: "Mail to and from the tenant takes the other way from then on: the firewall, the certificate and " +
			"the smart host have to fit it.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			record, err := fact.HybridConfigurations.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			mailbox := append(append([]string{}, record.Sending...), record.Receiving...)
			if len(record.Edge) > 0 && len(mailbox) > 0 {
				return check.Failed("the hybrid configuration of forest %s names Edge servers (%s) and Mailbox "+
					"servers "+
					"(%s)", in.Forest.Name(), someOf(record.Edge), someOf(mailbox))
			}
			return check.Pass("the hybrid configuration of forest %s names one kind of server at most",
				in.Forest.Name())
		}),
	},
	{
		ID:    "transport.internal-messages",
		Title: "No inbound connector makes strangers' mail internal",
		Scope: PerTenant,
		Needs: []check.ID{"access.online-read"},
		Reads: fact.List(fact.InboundConnectors),
		Why: "TreatMessagesAsInternal takes all mail of a connector as internal, whatever its headers say; it is for " +
			"mail servers other than Exchange. With CloudServicesMailEnabled, which keeps Exchange's own verdict, " +
			"Exchange Online accepts only one of the two.",
		Fix: "Switch TreatMessagesAsInternal off on the connectors of Exchange servers.",
		Consider: "Applications and devices that send through the connector lose the trust: their mail is filtered, " +
			"and may be marked as external.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			connectors, err := fact.InboundConnectors.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			var both, commands []string
			for _, c := range connectors {
				if c.TreatAsInternal && c.CloudHeader {
					both = append(both, c.Name)
					commands = append(commands, "Set-InboundConnector -Identity "+exchange.Quote(c.Name)+
						" -TreatMessagesAsInternal $false")
				}
			}
			if len(both) > 0 {
				return check.Failed("%s both TreatMessagesAsInternal and CloudServicesMailEnabled: %s",
					msg.Count(len(both), "%s inbound connector has", "%s inbound connectors have"), someOf(both)).
					With("connectors", both).FixWith(commands...)
			}
			return check.Pass("%s looked at", msg.Count(len(connectors), "%s inbound connector was",
				"%s inbound connectors were"))
		}),
	},
}

// mailOnly makes a check not applicable where the answers want no mail flow.
func mailOnly(run func(context.Context, Input) check.Result) func(context.Context, Input) check.Result {
	return func(ctx context.Context, in Input) check.Result {
		switch {
		case in.Tenant == nil:
			return check.Result{Status: check.StatusSkip, Summary: noTenant}
		case !desired.WantsMail(in.Answers.Features):
			return check.NotApplicable("the features of the answers do not include secureMail")
		}
		return run(ctx, in)
	}
}

// spaceDomain returns the domain of an address space: that of smtp:contoso.com;1 is contoso.com.
func spaceDomain(space string) string {
	_, domain, ok := strings.Cut(space, ":")
	if !ok {
		domain = space
	}
	domain, _, _ = strings.Cut(domain, ";")
	return strings.ToLower(strings.TrimSpace(domain))
}
