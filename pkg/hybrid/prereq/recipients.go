package prereq

import (
	"cmp"
	"context"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// ruleChecks returns one check per rule for recipients. Declaring a rule adds its check.
func ruleChecks() []Check {
	var out []Check
	for _, r := range fact.Rules {
		c := Check{
			ID: check.ID(r.ID), Title: r.Title, Scope: PerForest, Timeout: scanLimit,
			Needs: []check.ID{"directory.reachable"}, Reads: fact.List(fact.Users),
			Why: r.Why, Fix: r.Fix, Consider: r.Consider,
			Run: func(ctx context.Context, in Input) check.Result { return judgeRule(ctx, in, r) },
		}
		if r.Warn {
			c.Severity = check.Warn
		}
		if r.Tenant {
			c.Needs = append(c.Needs, "access.entra-read")
			c.Reads = append(c.Reads, fact.TenantDomains)
		}
		out = append(out, c)
	}
	return out
}

func judgeRule(ctx context.Context, in Input, r fact.Rule) check.Result {
	scan, err := fact.Users.In(ctx, in.Forest)
	if err != nil {
		return check.Unknown(err)
	}
	if r.Tenant && scan.DomainsUnknown != nil {
		return check.Unknown(scan.DomainsUnknown)
	}
	shown, attribute := 1, scan.Conceals(r)
	if attribute != "" {
		shown = 0
	}
	if result, hidden := unseen(in.Forest, scan, shown, attribute); hidden {
		return result
	}
	if n := scan.Counts[r.ID]; n > 0 {
		first := scan.Findings[r.ID][0]
		what := msg.Plain(first.Value)
		if first.Value == "" {
			what = msg.Of("no value")
		}
		return check.Failed("%s of %s recipients with a wrong %s, first: %s (%s)", msg.Number(n),
			msg.Number(scan.Applied[r.ID]), r.Attribute, first.DN, what).
			With("count", n).With("recipients", firstOf(scan.Findings[r.ID], 100)).Listing(scan.Findings[r.ID])
	}
	if r.Attribute == "proxyAddresses" || r.Attribute == "mail" {
		if result, hidden := partlyUnseen(in.Forest, scan); hidden {
			return result
		}
	}
	return check.Pass("%s with this attribute checked", msg.Count(scan.Applied[r.ID], "%s recipient", "%s recipients"))
}

var recipientChecks = []Check{
	{
		ID:      "directory.unique-sign-in",
		Title:   "No sign-in name is another recipient's sign-in name or address",
		Scope:   PerOrganization,
		Needs:   []check.ID{"directory.reachable"},
		Timeout: 2 * scanLimit,
		Reads:   fact.List(fact.Duplicates, fact.Users),
		Why: "The tenant takes a sign-in name once, and refuses the second user or renames it. Exchange finds the " +
			"user of a token by sign-in name or address, and refuses a token that fits two (\"user-context in the " +
			"token is ambiguous\", 2000005).",
		Fix: "Give one of them another userPrincipalName, or remove the address from the other.",
		Consider: "The user whose sign-in name changes signs in with the new name. Mail to an address that is " +
			"removed no longer arrives.",
		Run: func(ctx context.Context, in Input) check.Result {
			return judgeDuplicates(ctx, in, true)
		},
	},
	{
		ID:       "forests.resource-forest",
		Title:    "Every forest has mailboxes of its own",
		Scope:    PerOrganization,
		Severity: check.Warn,
		Needs:    []check.ID{"directory.reachable"},
		Timeout:  scanLimit,
		Reads:    fact.List(fact.Users),
		Why: "Where all mailboxes are in a resource forest and the other forests have accounts only, hybrid is that " +
			"of one forest. A forest without Exchange needs no connectors, no certificate and no namespace.",
		Fix: "Name only the forests with Exchange under forests in the answers file. Synchronize the account " +
			"forests with the same Microsoft Entra Connect.",
		Consider: "None is known. Objects of hybrid are not made for a forest that is not in the answers file.",
		Run: func(ctx context.Context, in Input) check.Result {
			linkedIn, empty := "", []string{}
			for _, f := range in.Forests {
				scan, err := fact.Users.In(ctx, f)
				if err != nil {
					return check.Unknown(err)
				}
				if scan.Linked > 0 {
					linkedIn = cmp.Or(linkedIn, f.Name())
				}
				if scan.Users > 0 && scan.Mailboxes == 0 {
					empty = append(empty, f.Name())
				}
			}
			if linkedIn != "" && len(empty) > 0 {
				return check.Warned("%s has linked mailboxes, and no mailbox is in: %s", linkedIn,
					strings.Join(empty, ", "))
			}
			return check.Pass("no forest has accounts only")
		},
	},
	{
		ID:      "forests.public-folders",
		Title:   "Mail-enabled public folders are in one forest only",
		Scope:   PerOrganization,
		Needs:   []check.ID{"directory.reachable"},
		Timeout: scanLimit,
		Reads:   fact.List(fact.Users),
		Why:     "Exchange Online gives its users the public folders of one forest only.",
		Fix: "Choose one forest. Move the content of the others to it, or to shared mailboxes and groups, and " +
			"disable the folders there with Disable-MailPublicFolder.",
		Consider: "Mail to a folder that is disabled is returned to its sender.",
		Run: func(ctx context.Context, in Input) check.Result {
			var have []msg.Text
			for _, f := range in.Forests {
				scan, err := fact.Users.In(ctx, f)
				if err != nil {
					return check.Unknown(err)
				}
				if scan.PublicFolders > 0 {
					have = append(have, msg.Of("%s in %s", msg.Number(scan.PublicFolders), f.Name()))
				}
			}
			if len(have) > 1 {
				return check.Failed("%s have mail-enabled public folders: %s",
					msg.Count(len(have), "%s forest", "%s forests"), msg.Join(have, ", "))
			}
			return check.Pass("at most one forest has mail-enabled public folders")
		},
	},
	{
		ID:    "forests.organizations",
		Title: "Each forest is an Exchange organization of its own",
		Scope: PerOrganization,
		Needs: []check.ID{"access.onprem-read"},
		Reads: fact.List(fact.Organization),
		Why: "The tenant tells the organizations apart by their GUID. Two forests of the answers file with one GUID " +
			"are one organization: a plan would set it up twice.",
		Fix:      "Name the organization once under forests, or correct exchange.server of one of the two.",
		Consider: "None is known: only the answers file changes.",
		Run: func(ctx context.Context, in Input) check.Result {
			by := map[string]string{}
			for _, f := range in.Forests {
				o, err := fact.Organization.In(ctx, f)
				if err != nil {
					return check.Unknown(err)
				}
				if other := by[o.GUID]; other != "" {
					return check.Failed("%s and %s are the same Exchange organization (%s)", other, f.Name(), o.GUID)
				}
				by[o.GUID] = f.Name()
			}
			return check.Pass("%s", msg.Count(len(by), "%s organization", "%s organizations"))
		},
	},
	{
		ID:    "forests.own-domain",
		Title: "Each forest has a domain of its own",
		Scope: PerForest,
		Why: "Exchange Online finds a forest by an SMTP domain and the autodiscover name of this domain. A forest " +
			"that shares all its domains cannot be found.",
		Fix: "Name a domain of the forest's own under domains in the answers file. Make it an accepted domain of " +
			"type Authoritative.",
		Consider: "An authoritative forest refuses mail to addresses of the domain that it does not have.",
		Run: func(_ context.Context, in Input) check.Result {
			for _, name := range in.Forest.Answers.Domains {
				shared := false
				for _, f := range in.Forests {
					shared = shared || f != in.Forest && contains(f.Answers.Domains, name)
				}
				if !shared {
					return check.Pass("%s alone has %s", in.Forest.Name(), name)
				}
			}
			return check.Failed("%s shares all its domains with other forests: %s", in.Forest.Name(),
				someOf(in.Forest.Answers.Domains))
		},
	},
}

// judgeDuplicates returns the result for addresses, or for sign-in names.
func judgeDuplicates(ctx context.Context, in Input, signIn bool) check.Result {
	all, err := fact.Duplicates.In(ctx, in.Organization)
	if err != nil {
		return check.Unknown(err)
	}
	var duplicates []fact.Duplicate
	for _, d := range all {
		if d.SignIn() == signIn {
			duplicates = append(duplicates, d)
		}
	}
	if len(duplicates) == 0 {
		for _, f := range in.Forests {
			scan, err := fact.Users.In(ctx, f)
			if err != nil {
				return check.Unknown(err)
			}
			if result, hidden := unseen(f, scan, scan.Addressed, "proxyAddresses"); hidden {
				return result
			}
			if result, hidden := partlyUnseen(f, scan); hidden {
				return result
			}
		}
		if signIn {
			return check.Pass("every sign-in name has one holder")
		}
		return check.Pass("every address has one holder")
	}
	var listed []check.Finding
	for _, d := range duplicates {
		for _, o := range d.Owners {
			f := check.Finding{Forest: o.Forest, DN: o.DN, Attribute: "proxyAddresses", Value: d.Address,
				Rule: "directory.unique-addresses"}
			if signIn {
				f.Rule = "directory.unique-sign-in"
			}
			if o.SignIn {
				f.Attribute = "userPrincipalName"
			}
			listed = append(listed, f)
		}
	}
	first := duplicates[0]
	var holders []msg.Text
	for _, o := range first.Owners {
		holders = append(holders, msg.Of("%s in %s", o.DN, o.Forest))
	}
	what := msg.Count(len(duplicates), "%s address is", "%s addresses are")
	if signIn {
		what = msg.Count(len(duplicates), "%s sign-in name is", "%s sign-in names are")
	}
	return check.Failed("%s held by more than one recipient, first: %s (%s)", what, first.Address, some(holders)).
		With("count", len(duplicates)).With("addresses", firstOf(duplicates, 100)).Listing(listed)
}
