package prereq

import (
	"context"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
)

var addressChecks = []Check{
	{
		ID:      "directory.one-primary",
		Title:   "Every user has exactly one primary SMTP address",
		Scope:   check.PerForest,
		Needs:   []check.ID{"directory.reachable"},
		Timeout: scanLimit,
		Why:     "Without exactly one address in capitals (SMTP:) a user is not synchronized, or under an address that nobody chose.",
		Fix:     "Correct proxyAddresses with Set-Mailbox or Set-RemoteMailbox -PrimarySmtpAddress.",
		Run: func(ctx context.Context, in Input) check.Result {
			scan, err := in.Forest.Users.Get(ctx)
			if err != nil {
				return check.Unknown(err)
			}
			if scan.PrimaryCount == 0 {
				return check.Pass("%s have one primary address each", plural(scan.Mailboxes, "user", "users"))
			}
			first := scan.Primaries[0]
			what := "none"
			if len(first.Primary) > 0 {
				what = strings.Join(first.Primary, ", ")
			}
			return check.Failed("%s of %s users have not exactly one primary SMTP address, first: %s (%s)", count(scan.PrimaryCount), count(scan.Mailboxes), first.DN, what).
				With("count", scan.PrimaryCount).With("users", firstOf(scan.Primaries, 100))
		},
	},
	{
		ID:      "directory.unique-addresses",
		Title:   "No address belongs to two users, in a forest or across forests",
		Scope:   check.PerOrganization,
		Needs:   []check.ID{"directory.reachable"},
		Timeout: 2 * scanLimit,
		Why:     "The tenant takes an address once: the second user is not synchronized or loses the address, and lookups reach the wrong calendar.",
		Fix:     "Take the address from all but one of its holders.",
		Run: func(ctx context.Context, in Input) check.Result {
			duplicates, err := in.Duplicates.Get(ctx)
			if err != nil {
				return check.Unknown(err)
			}
			if len(duplicates) == 0 {
				return check.Pass("every address has one holder")
			}
			first := duplicates[0]
			var holders []string
			for _, o := range first.Owners {
				holders = append(holders, o.DN+" in "+o.Forest)
			}
			return check.Failed("%s held by more than one user, first: %s (%s)", plural(len(duplicates), "address is", "addresses are"), first.Address, someOf(holders)).
				With("count", len(duplicates)).With("addresses", firstOf(duplicates, 100))
		},
	},
}
