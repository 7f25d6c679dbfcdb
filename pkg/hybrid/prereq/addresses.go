package prereq

import (
	"context"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

var addressChecks = []Check{
	{
		ID:      "directory.one-primary",
		Title:   "Every user has exactly one primary SMTP address",
		Scope:   PerForest,
		Needs:   []check.ID{"directory.reachable"},
		Timeout: scanLimit,
		Reads:   fact.List(fact.Users),
		Why: "Without exactly one address in capitals (SMTP:) a user is not synchronized, or gets an " +
			"unintended address.",
		Fix: "Correct proxyAddresses with Set-Mailbox or Set-RemoteMailbox -PrimarySmtpAddress.",
		Consider: "Mail goes out under the primary address that is kept. An address that is removed refuses mail: " +
			"keep the other one as an alias.",
		Run: func(ctx context.Context, in Input) check.Result {
			scan, err := fact.Users.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			if result, hidden := unseen(in.Forest, scan, scan.Addressed, "proxyAddresses"); hidden {
				return result
			}
			if scan.PrimaryCount == 0 {
				if result, hidden := partlyUnseen(in.Forest, scan); hidden {
					return result
				}
				return check.Pass("%s have one primary address each",
					msg.Count(scan.Mailboxes, "%s user", "%s users"))
			}
			first := scan.Primaries[0]
			what := msg.Of("none")
			if len(first.Primary) > 0 {
				what = msg.Plain(strings.Join(first.Primary, ", "))
			}
			var listed []check.Finding
			for _, p := range scan.Primaries {
				listed = append(listed, check.Finding{Forest: in.Forest.Name(), DN: p.DN, Attribute: "proxyAddresses",
					Value: strings.Join(p.Primary, " "), Rule: "directory.one-primary"})
			}
			return check.Failed("%s of %s users have not exactly one primary SMTP address, first: %s (%s)",
				msg.Number(scan.PrimaryCount), msg.Number(scan.Mailboxes), first.DN, what).
				With("count", scan.PrimaryCount).With("users", firstOf(scan.Primaries, 100)).
				Listing(listed)
		},
	},
	{
		ID:      "directory.unique-addresses",
		Title:   "No address belongs to two recipients, in a forest or across forests",
		Scope:   PerOrganization,
		Needs:   []check.ID{"directory.reachable"},
		Timeout: 2 * scanLimit,
		Reads:   fact.List(fact.Duplicates, fact.Users),
		Why: "The tenant accepts an address only once: the second user is not synchronized or loses the address, " +
			"and lookups reach the wrong calendar.",
		Fix: "Remove the address from all but one of these users.",
		Consider: "Mail to the address then reaches the recipient that keeps it alone, and the others lose sign-in " +
			"with it.",
		Run: func(ctx context.Context, in Input) check.Result {
			return judgeDuplicates(ctx, in, false)
		},
	},
}
