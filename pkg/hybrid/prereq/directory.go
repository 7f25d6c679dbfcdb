package prereq

import (
	"context"
	"fmt"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// scanLimit limits reading the users of a forest: there may be a million on a slow line.
const scanLimit = 30 * time.Minute

var directoryChecks = []Check{
	{
		ID:    "directory.reachable",
		Title: "Active Directory can be read",
		Scope: PerForest,
		Reads: fact.List(fact.RootDSE),
		Why:   "Users, domains and the Exchange configuration are read from the forest's directory.",
		Fix: "Check directory.servers and directory.bind in the answers file, and network.caFile when your own " +
			"authority issued the certificate.",
		Run: func(ctx context.Context, in Input) check.Result {
			root, err := fact.RootDSE.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			switch root.Synchronized {
			case "TRUE":
				return check.Pass("%s answers", root.DNSHostName)
			case "FALSE":
				return check.Unknown(fmt.Errorf("%s has not completed its first replication: users and settings that "+
					"it does not show may exist", root.DNSHostName)).
					Fix("Name another domain controller in directory.servers, or wait until repadmin /showrepl shows " +
						"no error.")
			}
			return check.Warned("%s does not show isSynchronized, so its directory may be incomplete",
				root.DNSHostName).
				Because("Every domain controller of Active Directory shows it. Another LDAP server, or a proxy in " +
					"between, may show only a part of the directory.")
		},
	},
	{
		ID:      "directory.upn-matches-primary",
		Title:   "User principal names equal primary SMTP addresses",
		Scope:   PerForest,
		Needs:   []check.ID{"directory.reachable"},
		Timeout: scanLimit,
		Reads:   fact.List(fact.Users),
		Why: "Sign-in, and the tokens in which one side names a user to the other, use the user principal name. " +
			"Mail and lookups use the address. Where they differ, people cannot sign in with the address that they " +
			"know, and a token can name no user or another user. Amazon WorkMail requires them to be equal.",
		Fix: "Set userPrincipalName to the primary address (or the other way round) before the users are " +
			"synchronized.",
		Consider: "People sign in with the new name from then on. Applications and devices that store the old one, " +
			"paths in OneDrive and certificates of smart cards need a change, too.",
		Run: func(ctx context.Context, in Input) check.Result {
			scan, err := fact.Users.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			if result, hidden := unseen(in.Forest, scan, scan.Addressed, "proxyAddresses"); hidden {
				return result
			}
			if scan.SignIn > 1 && scan.Named == 0 {
				result, _ := unseen(in.Forest, scan, 0, "userPrincipalName")
				return result
			}
			if scan.MismatchCount == 0 {
				if result, hidden := partlyUnseen(in.Forest, scan); hidden {
					return result
				}
				return check.Pass("%s sign in with their primary address",
					msg.Count(scan.SignIn, "%s user", "%s users"))
			}
			first := scan.Mismatches[0]
			name := msg.Plain(first.UPN)
			if first.UPN == "" {
				name = msg.Of("nothing for %s", first.DN)
			}
			var listed []check.Finding
			for _, m := range scan.Mismatches {
				listed = append(listed, check.Finding{Forest: in.Forest.Name(), DN: m.DN,
					Attribute: "userPrincipalName", Value: m.UPN, Rule: "directory.upn-matches-primary",
					Suggestion: m.Primary})
			}
			return check.Failed("%s of %s users sign in with a name that is not their primary SMTP address, "+
				"first: %s (primary %s)",
				msg.Number(scan.MismatchCount), msg.Number(scan.SignIn), name, first.Primary).
				With("count", scan.MismatchCount).With("users", firstOf(scan.Mismatches, 100)).
				Listing(listed)
		},
	},
}
