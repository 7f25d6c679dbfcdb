package prereq

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// notAsked is the answer of the checks of a forest that the others do not ask as an account.
func notAsked(in Input) check.Result {
	return check.NotApplicable("forest %s takes no lookups of the other forests with an account (forests[].lookups)",
		in.Forest.Name())
}

// askedAs returns the account as which the other forests ask a forest; false when they do not.
func askedAs(in Input) (answers.Lookups, bool) {
	l := in.Forest.Answers.Lookups
	if l == nil || l.User == "" || !in.Answers.BetweenForests() {
		return answers.Lookups{}, false
	}
	return *l, true
}

var lookupChecks = []Check{
	{
		ID:    "lookups.way",
		Title: "Lookups for the other forests reach their address spaces",
		Scope: PerForest,
		Needs: []check.ID{"access.onprem-read"},
		Reads: fact.List(fact.AcceptedDomains, fact.Connectors, fact.Relationships),
		Why: "Exchange asks its own directory for domains that it is authoritative for, then connectors, then " +
			"relationships. An address space comes last, and there is no way back from what comes first.",
		Fix: "Make a domain of the other forest an internal relay domain. Disable the connector or the relationship, " +
			"or set lookups.access of the other forest to relationship.",
		Consider: "Another program may rest on the connector or the relationship: look who made it. Mail for " +
			"addresses that an internal relay domain does not know is passed on.",
		Run: func(ctx context.Context, in Input) check.Result {
			asked := 0
			for _, other := range in.Forests {
				if other == in.Forest || other.Answers.Lookups == nil {
					continue
				}
				asked++
				switch err := desired.Reaches(ctx, in.Forest, other); {
				case errors.Is(err, desired.ErrRefused):
					return check.Failed("%s", err.Error())
				case err != nil:
					return check.Unknown(err)
				}
			}
			if asked == 0 {
				return check.NotApplicable("forest %s asks no other forest (forests[].lookups)", in.Forest.Name())
			}
			return check.Pass("nothing takes the lookups for %s before",
				msg.Count(asked, "%s other forest", "%s other forests"))
		},
	},
	{
		ID:       "lookups.account",
		Title:    "Exchange accepts the account of the other forests' lookups",
		Scope:    PerForest,
		Severity: check.Warn,
		Needs:    []check.ID{"access.onprem-read"},
		Reads:    fact.List(fact.AvailabilityConfigs, fact.Recipients),
		Why: "Exchange takes lookups of another organization from the accounts of its availability configuration " +
			"alone. Each of the two may be a group. hybridge does not replace one that is set. An account with a " +
			"mailbox sees what that mailbox may see.",
		Fix: "Make the account a member of the group that is set, name the account that is set in forests[].lookups, " +
			"or replace it (Set-AvailabilityConfig). Use an account without a mailbox.",
		Consider: "Another organization may ask as the account that is set: it is refused once it is replaced.",
		Run: func(ctx context.Context, in Input) check.Result {
			l, asked := askedAs(in)
			if !asked {
				return notAsked(in)
			}
			live, err := fact.AvailabilityConfigs.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			set := live.OrgWide
			if l.Access == answers.AccessPerUser {
				set = live.PerUser
			}
			if fact.SameAccount(set, fact.OwnServers) {
				set = ""
			}
			if set != "" && !fact.SameAccount(set, l.User) {
				return check.Warned("forest %s accepts lookups of %s: whether %s is a member of it is not known",
					in.Forest.Name(), set, l.User).With("accepted", set)
			}
			r, err := fact.Recipients.In(ctx, in.Forest, l.User)
			switch {
			case errors.Is(err, exchange.ErrNotFound):
			case err != nil:
				return check.Unknown(err)
			case strings.HasSuffix(r.Kind, "Mailbox") && !strings.HasPrefix(r.Kind, "Remote"):
				return check.Warned("%s has a mailbox", l.User).With("mailbox", r.Primary)
			}
			if set == "" {
				return check.Pass("forest %s accepts no account yet; hybridge plan sets %s", in.Forest.Name(), l.User)
			}
			return check.Pass("forest %s accepts lookups of %s", in.Forest.Name(), set)
		},
	},
	{
		ID:       "lookups.anchor",
		Title:    "Autodiscover knows the address that the other forests ask for",
		Scope:    PerForest,
		Severity: check.Warn,
		Needs:    []check.ID{"access.onprem-read"},
		Reads:    fact.List(fact.Recipients),
		Why: "To find the EWS of another forest, Exchange asks its autodiscover for the address " + fact.Anchor +
			"@ and the domain. Where no mailbox has it, autodiscover does not know it " +
			"(MailboxGuidWithDomainNotFound) and the lookup fails.",
		Fix: "Add the address to a mailbox of this forest, one per domain: Set-Mailbox MAILBOX -EmailAddresses " +
			"@{Add='smtp:" + fact.Anchor + "@DOMAIN'}.",
		Consider: "An email address policy does not remove it. Entra synchronizes it with the other addresses.",
		Run: func(ctx context.Context, in Input) check.Result {
			if l := in.Forest.Answers.Lookups; l == nil || l.Access == answers.AccessRelationship ||
				!in.Answers.BetweenForests() {
				return notAsked(in)
			}
			var missing []string
			for _, d := range in.Forest.Answers.Domains {
				_, err := fact.Recipients.In(ctx, in.Forest, fact.Anchor+"@"+d)
				if errors.Is(err, exchange.ErrNotFound) {
					missing = append(missing, d)
				} else if err != nil {
					return check.Unknown(err)
				}
			}
			if len(missing) > 0 {
				slices.Sort(missing)
				return check.Warned("no mailbox of %s has the address %s@DOMAIN for %s", in.Forest.Name(), fact.Anchor,
					someOf(missing)).With("domains", missing)
			}
			return check.Pass("a mailbox of %s has the address in each domain", in.Forest.Name())
		},
	},
}
