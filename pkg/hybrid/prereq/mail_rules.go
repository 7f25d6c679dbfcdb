package prereq

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// mailPolicyChecks are about what the two sides do with a message: rules, MailTips, moderation.
var mailPolicyChecks = []Check{
	{
		ID:       "transport.rules",
		Title:    "Transport rules are the same on both sides",
		Scope:    PerForest,
		Severity: check.Warn,
		Needs:    []check.ID{"access.onprem-read", "access.online-read"},
		Reads:    fact.List(fact.TransportRules, fact.OnlineTransportRules),
		Why: "Transport rules are not synchronized. A message meets the rules of the side where its sender's mailbox " +
			"is: after a move, another set of rules applies.",
		Fix: "Make the rules alike. For rules that hybridge may copy, name them in the answers file, under " +
			"forests[].copyRules; hybridge plan then shows the copies.",
		Consider: "A rule on both sides acts twice on mail that crosses: a disclaimer is added twice unless an " +
			"exception looks for it.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			return compareRules(ctx, in, fact.TransportRules, fact.OnlineTransportRules,
				msg.Of("the enabled transport rules of forest %s and of the tenant are the same", in.Forest.Name()))
		}),
	},
	{
		ID:       "transport.journal-rules",
		Title:    "Journal rules are the same on both sides",
		Scope:    PerForest,
		Severity: check.Warn,
		Needs:    []check.ID{"access.onprem-read", "access.online-read"},
		Reads:    fact.List(fact.JournalRules, fact.OnlineJournalRules),
		Why: "Journal rules are not synchronized. Messages of people whose mailbox moves to a side without the rule " +
			"are not journaled any more.",
		Fix: "Make the rule on the other side too, with a journal mailbox outside of Exchange Online. For rules that " +
			"hybridge may copy, name them in the answers file, under forests[].copyRules.",
		Consider: "A message that crosses is journaled on both sides: the archive gets it twice.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			return compareRules(ctx, in, fact.JournalRules, fact.OnlineJournalRules,
				msg.Of("the enabled journal rules of forest %s and of the tenant are the same", in.Forest.Name()))
		}),
	},
	{
		ID:       "transport.journal-reports",
		Title:    "The tenant has an address for journal reports that cannot be delivered",
		Scope:    PerTenant,
		Severity: check.Warn,
		Needs:    []check.ID{"access.online-read"},
		Reads:    fact.List(fact.OnlineJournalRules, fact.OnlineJournalReports),
		Why: "Without the address, Exchange Online makes no journal rule, and Microsoft's wizard fails when it " +
			"copies the transport settings (HCW8110).",
		Fix:      "Set the address of a mailbox that is not journaled itself, outside of Exchange Online.",
		Consider: "Exchange Online does not journal messages from and to this address.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			there, err := fact.OnlineJournalRules.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			address, err := fact.OnlineJournalReports.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			wanted := len(there)
			for _, f := range in.Forests {
				// A forest whose rules cannot be read has its own check.
				rules, _ := fact.JournalRules.In(ctx, f)
				wanted += len(rules)
			}
			switch {
			case address != "":
				return check.Pass("reports go to %s", address)
			case wanted > 0:
				return check.Warned("there are journal rules, and the tenant has no address for reports that cannot " +
					"be delivered").FixWith("Set-TransportConfig -JournalingReportNdrTo 'ADDRESS'")
			}
			return check.Pass("no side has journal rules")
		}),
	},
	{
		ID:       "transport.mailtips",
		Title:    "MailTips have the same settings on both sides",
		Scope:    PerForest,
		Severity: check.Warn,
		Needs:    []check.ID{"access.onprem-read", "access.online-read"},
		Reads:    fact.List(fact.OwnMailTips, fact.OnlineMailTips),
		Why: "Each side judges MailTips for its own senders, and asks the other side about its recipients. Where the " +
			"settings differ, people see other warnings after their mailbox has moved. Two tips stay with one side " +
			"whatever the settings are: recipients outside of the organization, and their number in groups, are " +
			"judged for senders of the group's own side.",
		Fix:      "Set the same values on both sides.",
		Consider: "A lower threshold for a large audience warns of more groups.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			here, err := fact.OwnMailTips.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			there, err := fact.OnlineMailTips.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			var differ []string
			for _, s := range []struct {
				name string
				a, b *bool
			}{
				{"MailTipsAllTipsEnabled", here.All, there.All},
				{"MailTipsMailboxSourcedTipsEnabled", here.Mailboxes, there.Mailboxes},
				{"MailTipsGroupMetricsEnabled", here.Groups, there.Groups},
				{"MailTipsExternalRecipientsTipsEnabled", here.External, there.External},
			} {
				if s.a != nil && s.b != nil && *s.a != *s.b {
					differ = append(differ, s.name)
				}
			}
			if a, b := here.LargeAudience, there.LargeAudience; a > 0 && b > 0 && a != b {
				differ = append(differ, "MailTipsLargeAudienceThreshold")
			}
			if len(differ) > 0 {
				return check.Warned("forest %s and the tenant differ in %s", in.Forest.Name(),
					strings.Join(differ, ", ")).
					With("settings", differ).
					FixWith("Get-OrganizationConfig | Format-List MailTips*",
						"Set-OrganizationConfig -"+differ[0]+" ...")
			}
			return check.Pass("the settings of forest %s and of the tenant are the same", in.Forest.Name())
		}),
	},
	{
		ID:    "transport.moderation",
		Title: "The forest has the arbitration mailbox that moderation needs",
		Scope: PerForest,
		Needs: []check.ID{"access.onprem-read"},
		Reads: fact.List(fact.ArbitrationMailboxes),
		Why: "A message to a moderated recipient waits in the mailbox of the approval assistant until a moderator " +
			"decides. Without it, Exchange refuses the message. The tenant has its own.",
		Fix:      "Make the mailbox again: run Setup /PrepareAD, then enable the account.",
		Consider: "Setup /PrepareAD needs Enterprise Admins, and changes permissions in the whole forest.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			names, err := fact.ArbitrationMailboxes.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			// The rest of the name differs between organizations.
			const approval = "systemmailbox{1f05a927"
			if !slices.ContainsFunc(names,
				func(n string) bool { return strings.HasPrefix(strings.ToLower(n), approval) }) {
				return check.Failed("forest %s has no mailbox SystemMailbox{1f05a927-...} of the approval assistant",
					in.Forest.Name()).With("mailboxes", names).
					FixWith("Get-User 'SystemMailbox{1f05a927*' -ResultSize Unlimited",
						"Enable-Mailbox -Arbitration -Identity "+
							"'SystemMailbox{1f05a927-...}'")
			}
			return check.Pass("the approval assistant of forest %s has its mailbox", in.Forest.Name())
		}),
	},
	{
		ID:    "transport.inbound-addresses",
		Title: "Inbound connectors by address name public addresses, each one once",
		Scope: PerTenant,
		Needs: []check.ID{"access.online-read"},
		Reads: fact.List(fact.InboundConnectors),
		Why: "An inbound connector of type OnPremises takes mail of its addresses as mail of the organization. " +
			"Exchange Online sees the address that the internet sees: it never sees a private one. Where two " +
			"connectors name an address, it is not determined which one applies.",
		Fix: "Name the public addresses of the servers, or recognize them by their certificate " +
			"(TlsSenderCertificateName).",
		Consider: "Mail of an address that no connector names any more is filtered as mail from the internet, and " +
			"refused where Direct Send is rejected.",
		Run: mailOnly(judgeInboundAddresses),
	},
}

// compareRules lists what differs between the rules of a forest and those of the tenant. A rule
// that is disabled counts only where the other side's is enabled.
func compareRules(ctx context.Context, in Input, own, online *fact.Query[[]fact.MailRule], same msg.Text) check.Result {
	here, err := own.In(ctx, in.Forest)
	if err != nil {
		return check.Unknown(err)
	}
	there, err := online.In(ctx, in.Tenant)
	if err != nil {
		return check.Unknown(err)
	}
	var lines []msg.Text
	var names []string
	add := func(name string, line msg.Text) {
		names, lines = append(names, name), append(lines, line)
	}
	for _, r := range here {
		other, found := fact.FindRule(there, r.Name)
		switch differs := r.Differs(other); {
		case !found && r.Enabled:
			add(r.Name, msg.Of("%s is in the forest alone", exchange.Quote(r.Name)))
		case found && (r.Enabled || other.Enabled) && len(differs) > 0:
			add(r.Name, msg.Of("%s differs in %s", exchange.Quote(r.Name), strings.Join(differs, ", ")))
		}
	}
	for _, r := range there {
		if _, found := fact.FindRule(here, r.Name); !found && r.Enabled {
			add(r.Name, msg.Of("%s is in the tenant alone", exchange.Quote(r.Name)))
		}
	}
	if len(lines) == 0 {
		return check.Pass("%s", same)
	}
	return check.Warned("%s between forest %s and the tenant: %s", msg.Count(len(lines), "%s rule differs",
		"%s rules differ"), in.Forest.Name(), some(lines)).With("rules", names)
}

// judgeInboundAddresses looks at the addresses of connectors of type OnPremises.
func judgeInboundAddresses(ctx context.Context, in Input) check.Result {
	connectors, err := fact.InboundConnectors.In(ctx, in.Tenant)
	if err != nil {
		return check.Unknown(err)
	}
	var private, twice []string
	var seen []struct {
		netip.Prefix
		connector string
	}
	count := 0
	for _, c := range connectors {
		if !c.Enabled || !strings.EqualFold(c.Type, "OnPremises") {
			continue
		}
		for _, text := range c.Addresses {
			p, ok := prefix(text)
			if !ok {
				continue // a range: Exchange Online takes none wider than 256 addresses
			}
			count++
			if a := p.Addr(); a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified() {
				private = append(private, c.Name+": "+text)
			}
			for _, o := range seen {
				if o.Overlaps(p) && o.connector != c.Name {
					twice = append(twice, text+": "+o.connector+", "+c.Name)
				}
			}
			seen = append(seen, struct {
				netip.Prefix
				connector string
			}{p, c.Name})
		}
	}
	switch {
	case len(private) > 0:
		name, _, _ := strings.Cut(private[0], ": ")
		return check.Failed("connectors name addresses that Exchange Online never sees: %s", someOf(private)).
			With("addresses", private).FixWith("Set-InboundConnector -Identity " + exchange.Quote(name) +
			" -SenderIPAddresses ADDRESS")
	case len(twice) > 0:
		return check.Warned("two connectors name one address: %s", someOf(twice)).With("addresses", twice)
	}
	return check.Pass("%s looked at", msg.Count(count, "%s address was", "%s addresses were"))
}

// prefix reads an address or ADDRESS/BITS.
func prefix(text string) (netip.Prefix, bool) {
	text = strings.TrimSpace(text)
	if p, err := netip.ParsePrefix(text); err == nil {
		return p, true
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, a.BitLen()), true
}
