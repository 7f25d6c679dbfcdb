package prereq

import (
	"context"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// Synchronization runs every 30 minutes. Microsoft sends an alert after three hours without one.
const (
	syncLate = 3 * time.Hour
	syncDead = 24 * time.Hour
)

var identityChecks = []Check{
	{
		ID:    "identity.synchronization",
		Title: "Directory synchronization is on",
		Scope: PerTenant,
		Needs: []check.ID{"access.entra-read"},
		Reads: fact.List(fact.Tenant),
		Why: "Hybrid needs every recipient on both sides. Microsoft Entra Connect or Cloud Sync makes the people of " +
			"the forests known to the tenant, and makes the coexistence domain.",
		Fix: "Install Microsoft Entra Connect or Cloud Sync with the option Exchange hybrid deployment, for all " +
			"forests in one installation.",
		Consider: "Accounts that exist on both sides are joined by address: fix duplicates and sign-in names before.",
		Run: func(ctx context.Context, in Input) check.Result {
			tenant, err := fact.Tenant.In(ctx, in.Tenant)
			switch {
			case err != nil:
				return check.Unknown(err)
			case tenant.OnPremisesSyncEnabled == nil:
				return check.Failed("the tenant was never synchronized with a directory")
			case !*tenant.OnPremisesSyncEnabled:
				return check.Failed("directory synchronization of the tenant is switched off")
			}
			return check.Pass("directory synchronization is on")
		},
	},
	{
		ID:    "identity.synchronization-recent",
		Title: "Directory synchronization runs",
		Scope: PerTenant,
		Needs: []check.ID{"access.entra-read", "identity.synchronization"},
		Reads: fact.List(fact.Tenant),
		Why: "What is changed in the forests does not reach the tenant: new people, addresses and moves that a plan " +
			"waits for.",
		Fix: "Look at the server of Microsoft Entra Connect (Synchronization Service Manager), or at Cloud Sync in " +
			"the Microsoft Entra admin center. End of support: 2.5.79.0 on 2026-10-23, 2.5.190.0 on 2027-02-02.",
		Consider: "The first run after a pause carries all changes at once. A run that would delete more than 500 " +
			"objects stops by default.",
		Run: func(ctx context.Context, in Input) check.Result {
			tenant, err := fact.Tenant.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			if tenant.OnPremisesSyncEnabled == nil || !*tenant.OnPremisesSyncEnabled {
				return check.NotApplicable("directory synchronization is off")
			}
			last := tenant.OnPremisesLastSyncDateTime
			if last == nil {
				return check.Failed("directory synchronization is on and has never run")
			}
			age := in.Now().Sub(*last)
			when := last.UTC().Format("2006-01-02 15:04")
			switch {
			case age > syncDead:
				return check.Failed("the last synchronization was at %s UTC", when)
			case age > syncLate:
				return check.Warned("the last synchronization was at %s UTC", when)
			}
			return check.Pass("the last synchronization was at %s UTC", when)
		},
	},
	{
		ID:    "identity.attribute-authority",
		Title: "Exchange attributes of new people are managed on-premises",
		Scope: PerTenant,
		Needs: []check.ID{"access.online-read"},
		Reads: fact.List(fact.CloudManagedByDefault),
		Why: "With ExchangeAttributesCloudManagedByDefault the tenant makes no mail user of a new synchronized " +
			"recipient: its mailbox cannot move to Exchange Online, and only Microsoft repairs it.",
		Fix: "Run Set-OrganizationConfig -ExchangeAttributesServerManagedByDefault in Exchange Online before " +
			"mailboxes, mail users or remote mailboxes are made on-premises.",
		Consider: "Attributes of people who are made from then on are changed on-premises only.",
		Run: func(ctx context.Context, in Input) check.Result {
			on, err := fact.CloudManagedByDefault.In(ctx, in.Tenant)
			switch {
			case err != nil:
				return check.Unknown(err)
			case on == nil:
				return check.Pass("Exchange Online does not show that the cloud manages them")
			case *on:
				return check.Failed("the cloud manages the Exchange attributes of every new synchronized recipient")
			}
			return check.Pass("the forests manage the Exchange attributes of new recipients")
		},
	},
	{
		ID:       "identity.federated-sign-in",
		Title:    "Federated domains have a sign-in server per forest",
		Scope:    PerForest,
		Severity: check.Warn,
		Needs:    []check.ID{"access.entra-read"},
		Reads:    fact.List(fact.TenantDomains),
		Why: "With federated sign-in, AD FS of one forest signs in people of another forest only over a two-way " +
			"forest trust. Without it, each forest needs its own AD FS.",
		Fix: "Compare the trusts in Active Directory Domains and Trusts with the AD FS farms. Or change the domain " +
			"to managed authentication (password hash synchronization).",
		Consider: "A domain that changes to managed authentication asks everybody to sign in again.",
		Run: func(ctx context.Context, in Input) check.Result {
			domains, err := fact.TenantDomains.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			federated := map[string]bool{}
			for _, d := range domains {
				if strings.EqualFold(d.AuthenticationType, "Federated") {
					federated[strings.ToLower(d.ID)] = true
				}
			}
			var own []string
			others := false
			for _, f := range in.Forests {
				for _, d := range f.Answers.Domains {
					switch {
					case !federated[strings.ToLower(d)]:
					case f == in.Forest:
						own = append(own, d)
					default:
						others = true
					}
				}
			}
			if len(own) > 0 && others {
				return check.Warned("%s and domains of other forests sign in with federation", someOf(own))
			}
			return check.Pass("the domains of several forests do not sign in with federation")
		},
	},
}
