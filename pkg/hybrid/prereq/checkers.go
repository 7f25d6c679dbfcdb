package prereq

import (
	"context"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// lookupRole is the role without which Exchange gives a token of the tenant no calendar; otherRoles
// serve other features.
const lookupRole = "UserApplication"

var otherRoles = []string{"ArchiveApplication", "LegalHoldApplication", "Mailbox Search", "MailboxSearchApplication",
	"TeamMailboxLifecycleApplication"}

// checkerChecks are those of Microsoft's FreeBusyChecker that no other category has.
var checkerChecks = []Check{
	{
		ID:     "oauth.partner-roles",
		Title:  "The account of Exchange Online's application has its roles",
		Source: "exchange-hybrid 6.1: FreeBusyChecker",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.PartnerApplications, fact.RolesOf),
		Why: "Exchange gives the tenant's lookups the rights of the account that the partner application is linked " +
			"to. Setup gives this account roles. Without UserApplication, every token of the tenant is refused; the " +
			"others serve archives, searches and holds.",
		Fix: "Run setup.exe /PrepareAD, which gives the roles again, or New-ManagementRoleAssignment for each one.",
		Consider: "setup.exe /PrepareAD writes other objects of Exchange in the directory too. Run it from the " +
			"newest version in the organization.",
		Run: func(ctx context.Context, in Input) check.Result {
			partners, err := fact.PartnerApplications.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			at := slices.IndexFunc(partners, func(p fact.PartnerApplication) bool {
				return strings.EqualFold(p.ApplicationIdentifier, oauth.AppExchangeOnline) && p.Realm == "" &&
					p.Account != ""
			})
			if at < 0 {
				return check.Pass("no partner application of Exchange Online has an account yet")
			}
			account := partners[at].Account
			roles, err := fact.RolesOf.In(ctx, in.Forest, account)
			if err != nil {
				return check.Unknown(err)
			}
			var lacks, commands []string
			for _, role := range append([]string{lookupRole}, otherRoles...) {
				if !slices.ContainsFunc(roles, func(have string) bool { return strings.EqualFold(have, role) }) {
					lacks = append(lacks, role)
					commands = append(commands, "New-ManagementRoleAssignment -Role "+exchange.Quote(role)+" -User "+
						exchange.Quote(account))
				}
			}
			switch {
			case len(lacks) == 0:
				return check.Pass("the account %s has its roles", account)
			case lacks[0] == lookupRole:
				return check.Failed("the account %s lacks the role %s: tokens of the tenant are refused", account,
					someOf(lacks)).With("roles", lacks).FixWith(commands...)
			}
			return check.Warned("the account %s lacks the roles %s", account, someOf(lacks)).With("roles", lacks).
				FixWith(commands...)
		},
	},
	{
		ID:       "tenant.sharing-policy",
		Title:    "The default sharing policies of both sides agree",
		Source:   "exchange-hybrid 6.1: FreeBusyChecker",
		Scope:    PerForest,
		Severity: check.Warn,
		Needs:    []check.ID{"access.onprem-read", "access.online-read"},
		Reads:    fact.List(fact.DefaultSharing, fact.OnlineDefaultSharing),
		Why: "The sharing policy says what people may show of their calendars to people of other organizations. Where " +
			"the sides differ, a person loses or gains that with the move of the mailbox.",
		Fix:      "Set the same values on both sides.",
		Consider: "A wider policy lets people publish more of their calendars.",
		Run: func(ctx context.Context, in Input) check.Result {
			if in.Tenant == nil {
				return check.Result{Status: check.StatusSkip, Summary: noTenant}
			}
			here, err := fact.DefaultSharing.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			there, err := fact.OnlineDefaultSharing.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			if slices.Equal(here, there) {
				return check.Pass("forest %s and the tenant let people share the same", in.Forest.Name())
			}
			return check.Warned("the default sharing policies differ: forest %s has %s, the tenant %s",
				in.Forest.Name(), someOf(orNone(here)), someOf(orNone(there))).
				With("forest", here).With("tenant", there).
				FixWith("Get-SharingPolicy | Format-List Name, Default, Domains")
		},
	},
}

func orNone(list []string) []string {
	if len(list) == 0 {
		return []string{"none"}
	}
	return list
}
