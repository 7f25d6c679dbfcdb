package prereq

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
)

// notShared is the answer of the checks of a forest that takes no part.
func notShared(in Input) check.Result {
	return check.NotApplicable("forest %s takes no part in the interoperability with WorkMail (forests[].workmail)",
		in.Forest.Name())
}

// withWorkMail reports whether a forest takes part in the interoperability with WorkMail.
func withWorkMail(in Input) bool { return in.WorkMail != nil && in.Forest.Answers.WorkMail != nil }

var answersWorkMail = []check.ID{"access.workmail-read"}

// keepDNS is shown where a record leads to WorkMail, or is to be published for it.
const keepDNS = "While both systems share the domain, Exchange receives all mail and answers autodiscover. The " +
	"console of WorkMail shows MX and autodiscover as missing or inconsistent: that is expected, and nothing to " +
	"repair. A user whose mailbox is in Exchange gets no mail through WorkMail."

var workMailChecks = []Check{
	{
		ID:    "workmail.end-of-support",
		Title: "Amazon WorkMail is still in service",
		Scope: PerWorkMail,
		Why: "Amazon ends WorkMail on 2027-03-31: then its console, its API and all mailboxes are gone. Since " +
			"2026-04-30 it takes no new customers.",
		Fix: "Plan the way out now: aliases and groups first, then per user the mailbox and its contents. Take an " +
			"export of every mailbox before the end.",
		Run: func(_ context.Context, in Input) check.Result {
			if left := days(in.Now(), workmail.EndOfSupport); left > 0 {
				return check.Warned("WorkMail ends on 2027-03-31, in %s", daysLeft(left)).With("daysLeft", left)
			}
			return check.Failed("WorkMail has ended on 2027-03-31").With("daysLeft", 0)
		},
	},
	{
		ID:    "workmail.organization",
		Title: "The organization in WorkMail is active",
		Scope: PerWorkMail,
		Needs: answersWorkMail,
		Reads: fact.List(fact.WorkMailOrganization),
		Why:   "An organization that is not active refuses every request but the question for its state.",
		Fix: "Wait until an organization that was just created is active. Of one that is impaired or inactive, the " +
			"console says why (Organizations), and AWS Support helps.",
		Run: func(ctx context.Context, in Input) check.Result {
			o, err := fact.WorkMailOrganization.In(ctx, in.WorkMail)
			switch {
			case errors.Is(err, workmail.ErrNotFound) && in.Answers.WorkMail.Directory != "":
				left := workmail.DaysLeft(in.Now())
				return check.Failed("%s. hybridge plan creates it (workmail.directory); WorkMail takes no new "+
					"customers since %s, and ends in %s", err.Error(), workmail.NewCustomersEnd.Format(time.DateOnly),
					daysLeft(left)).FixWith("hybridge apply --accept "+desired.AcceptEndOfSupport).
					With("daysLeft", left)
			case errors.Is(err, workmail.ErrNotFound):
				left := workmail.DaysLeft(in.Now())
				return check.Failed("%s. hybridge creates none: WorkMail has taken no new customers since %s, and "+
					"ends in %s",
					err.Error(), workmail.NewCustomersEnd.Format(time.DateOnly), daysLeft(left)).With("daysLeft", left)
			case err != nil:
				return check.Unknown(err)
			case o.State != "Active":
				return check.Failed("organization %s is %s: %s", o.Alias, o.State, o.Problem).With("state", o.State)
			}
			return check.Pass("organization %s (%s) is active", o.Alias, o.ID)
		},
	},
	{
		ID:    "workmail.interoperability",
		Title: "The organization is in interoperability mode",
		Scope: PerWorkMail,
		Needs: []check.ID{"workmail.organization"},
		Reads: fact.List(fact.WorkMailOrganization),
		Why: "Only an organization in interoperability mode shares its domains with Exchange and takes availability " +
			"configurations. The mode is chosen when an organization is created.",
		Fix: "No API and no page of the console switches it on later: open a case at AWS Support. Switching it off " +
			"(console, Organization settings, Interoperability) cannot be undone.",
		Run: func(ctx context.Context, in Input) check.Result {
			o, err := fact.WorkMailOrganization.In(ctx, in.WorkMail)
			switch {
			case err != nil:
				return check.Unknown(err)
			case !o.Interoperability:
				return check.Failed("organization %s is not in interoperability mode", o.Alias)
			}
			return check.Pass("organization %s is in interoperability mode", o.Alias)
		},
	},
	{
		ID:    "workmail.directory",
		Title: "The organization uses an AD Connector that works",
		Scope: PerWorkMail,
		Needs: []check.ID{"workmail.organization"},
		Reads: fact.List(fact.WorkMailOrganization, fact.WorkMailDirectory),
		Why: "Interoperability needs the users of the on-premises directory. WorkMail reads them and signs them in " +
			"through an AD Connector; while that does not work, no one signs in.",
		Fix: "Check the AD Connector in the console of the Directory Service: the account that it signs in with, its " +
			"domain controllers, and the ports 53, 88 and 389 to them.",
		Run: func(ctx context.Context, in Input) check.Result {
			d, err := fact.WorkMailDirectory.In(ctx, in.WorkMail)
			switch {
			case err != nil:
				return check.Unknown(err)
			case d.ID == "":
				return check.Failed("the organization has no directory of its own: it shares none with Exchange")
			case d.Type != "ADConnector":
				return check.Failed("directory %s is of type %s and not an AD Connector", d.ID, d.Type)
			case d.Stage != "Active":
				return check.Failed("AD Connector %s is %s: %s", d.ID, d.Stage, d.Reason).With("stage", d.Stage)
			}
			return check.Pass("AD Connector %s reads %s as %s", d.ID, d.Name, d.Account).With("servers", d.Servers)
		},
	},
	{
		ID:    "workmail.new-directory",
		Title: "The AD Connector fits the organization that is to be created",
		Scope: PerWorkMail,
		Needs: answersWorkMail,
		Reads: fact.List(fact.WorkMailNamed, fact.WorkMailConnector),
		Why: "An organization is created with one directory (workmail.directory), and takes its alias. " +
			"Interoperability needs an AD Connector that works. Neither can be changed later.",
		Fix: "Name an AD Connector of the region. Give it the alias of the organization where it has none.",
		Run: func(ctx context.Context, in Input) check.Result {
			wanted := in.Answers.WorkMail
			if wanted.Directory == "" {
				return check.NotApplicable("the answers file names no directory to create an organization with " +
					"(workmail.directory)")
			}
			named, err := fact.WorkMailNamed.In(ctx, in.WorkMail)
			if err != nil {
				return check.Unknown(err)
			}
			if slices.ContainsFunc(named, func(o workmail.Organization) bool { return !o.Gone() }) {
				return check.NotApplicable("organization %s exists", wanted.Organization)
			}
			d, err := fact.WorkMailConnector.In(ctx, in.WorkMail, wanted.Directory)
			switch {
			case errors.Is(err, workmail.ErrNotFound):
				return check.Failed("the account has no directory %s in %s", wanted.Directory, wanted.Region)
			case err != nil:
				return check.Unknown(err)
			case d.Stage != "Active":
				return check.Failed("AD Connector %s is %s: %s", d.ID, d.Stage, d.Reason).With("stage", d.Stage)
			}
			if why := desired.NoOrganizationWith(d, wanted.Organization); !why.IsZero() {
				return check.Failed("%s", why)
			}
			return check.Pass("AD Connector %s reads %s as %s", d.ID, d.Name, d.Account)
		},
	},
	{
		ID:       "workmail.one-directory",
		Title:    "One forest has the users of the organization",
		Scope:    PerWorkMail,
		Severity: check.Warn,
		Why: "An organization has one directory, and an AD Connector reads one domain. Users of another forest " +
			"cannot be registered: that forest needs an AD Connector, an organization and an availability address " +
			"space of its own.",
		Fix: "Keep the section workmail in the forest of the AD Connector. For another forest, write an answers file " +
			"with its own organization.",
		Run: func(_ context.Context, in Input) check.Result {
			var sharing []string
			for _, f := range in.Forests {
				if f.Answers.WorkMail != nil {
					sharing = append(sharing, f.Name())
				}
			}
			switch len(sharing) {
			case 0:
				return check.Warned("no forest takes part in the interoperability (forests[].workmail)")
			case 1:
				return check.Pass("forest %s has the users", sharing[0])
			}
			return check.Warned("forests %s share one organization", strings.Join(sharing, ", "))
		},
	},
	{
		ID:    "workmail.enabled-user",
		Title: "A user is enabled for WorkMail",
		Scope: PerWorkMail,
		Needs: []check.ID{"workmail.organization"},
		Reads: fact.List(fact.WorkMailUsers),
		Why:   "WorkMail takes no availability configuration before a user is enabled.",
		Fix:   "List a user under workmail.users: hybridge plan registers the user.",
		Run: func(ctx context.Context, in Input) check.Result {
			if in.Answers.WorkMail.IsLeaving() {
				return leaves()
			}
			users, err := fact.WorkMailUsers.In(ctx, in.WorkMail)
			if err != nil {
				return check.Unknown(err)
			}
			enabled := 0
			for _, u := range users {
				if u.Enabled() && u.Person() {
					enabled++
				}
			}
			switch {
			case enabled == 0:
				return check.Failed("none of %s is enabled for WorkMail", msg.Count(len(users), "%s user", "%s users"))
			case enabled > 1000:
				return check.Warned("%s users are enabled: more than 1000 need a higher quota", msg.Number(enabled))
			}
			return check.Pass("%s enabled for WorkMail", msg.Count(enabled, "%s user is", "%s users are"))
		},
	},
	{
		ID:    "workmail.service-account",
		Title: "The service account in WorkMail is enabled",
		Scope: PerWorkMail,
		Needs: []check.ID{"workmail.organization"},
		Reads: fact.List(fact.WorkMailUsers),
		Why: "Exchange asks WorkMail for free/busy as this user (workmail.account). The user is created in the " +
			"on-premises directory and then enabled for WorkMail.",
		Fix: "Create the user in Active Directory, and list its address under workmail.users.",
		Run: func(ctx context.Context, in Input) check.Result {
			account := in.Answers.WorkMail.Account
			if account == nil {
				return check.Failed("the answers file names none (workmail.account): Exchange cannot ask WorkMail")
			}
			users, err := fact.WorkMailUsers.In(ctx, in.WorkMail)
			if err != nil {
				return check.Unknown(err)
			}
			for _, u := range users {
				if u.Enabled() && strings.EqualFold(u.Email, account.User) {
					return check.Pass("%s is enabled for WorkMail", account.User)
				}
			}
			if in.Answers.WorkMail.IsLeaving() {
				return leaves()
			}
			if contains(in.Answers.WorkMail.Users, account.User) {
				return check.Warned("%s is not enabled for WorkMail yet; hybridge plan registers it", account.User)
			}
			return check.Failed("%s is not enabled for WorkMail", account.User)
		},
	},
	{
		ID:       "workmail.users-visible",
		Title:    "WorkMail sees the users that are to be registered",
		Scope:    PerWorkMail,
		Severity: check.Warn,
		Needs:    []check.ID{"workmail.organization"},
		Reads:    fact.List(fact.WorkMailUsers, fact.Recipients),
		Why: "WorkMail reads the directory every four hours. A user who was created or changed since is not visible " +
			"yet: that is no failure, and a registration is refused until then.",
		Fix: "Wait up to four hours. A user who stays invisible is outside of what the AD Connector reads.",
		Run: func(ctx context.Context, in Input) check.Result {
			if in.Answers.WorkMail.IsLeaving() {
				return leaves()
			}
			users, err := fact.WorkMailUsers.In(ctx, in.WorkMail)
			if err != nil {
				return check.Unknown(err)
			}
			var pending []string
			for _, address := range in.Answers.WorkMail.Users {
				r, err := recipientOf(ctx, in, address)
				if errors.Is(err, exchange.ErrNotFound) {
					pending = append(pending, address+" (not in Exchange)")
					continue
				}
				if err != nil {
					return check.Unknown(err)
				}
				if !slices.ContainsFunc(users, func(u workmail.Entity) bool {
					return strings.EqualFold(u.Name, r.Account) || strings.EqualFold(u.Email, address)
				}) {
					pending = append(pending, address)
				}
			}
			if len(pending) > 0 {
				return check.Warned("WorkMail does not see %s yet: %s", msg.Count(len(pending), "%s user", "%s users"),
					someOf(pending)).With("users", firstOf(pending, 100))
			}
			return check.Pass("WorkMail sees all %s", msg.Count(len(in.Answers.WorkMail.Users), "%s user", "%s users"))
		},
	},
	{
		ID:       "workmail.resources",
		Title:    "No room or equipment is enabled for WorkMail",
		Scope:    PerWorkMail,
		Severity: check.Warn,
		Needs:    []check.ID{"workmail.organization"},
		Reads:    fact.List(fact.WorkMailUsers),
		Why: "In interoperability mode, resources are managed in Exchange and cannot be enabled in WorkMail. " +
			"WorkMail shows them among its users, and they can be booked from there.",
		Fix: "Deregister them from WorkMail. After the end of interoperability, they are made anew.",
		Run: func(ctx context.Context, in Input) check.Result {
			users, err := fact.WorkMailUsers.In(ctx, in.WorkMail)
			if err != nil {
				return check.Unknown(err)
			}
			var enabled []string
			for _, u := range users {
				if u.Enabled() && u.Role == "RESOURCE" {
					enabled = append(enabled, u.Email)
				}
			}
			if len(enabled) > 0 {
				return check.Warned("%s enabled for WorkMail: %s", msg.Count(len(enabled), "%s resource is",
					"%s resources are"), someOf(enabled))
			}
			return check.Pass("no resource is enabled for WorkMail")
		},
	},
	{
		ID:    "workmail.identity",
		Title: "Passwords of the directory work in WorkMail",
		Scope: PerWorkMail,
		Needs: []check.ID{"workmail.organization"},
		Reads: fact.List(fact.WorkMailIdentityMode),
		Why: "Where IAM Identity Center alone signs users in, no password of the directory works, and neither does " +
			"that of the service account with which Exchange asks.",
		Fix: "Make a personal access token for the service account, and put it in the place of its password " +
			"(workmail.account.password). A token expires after a year at most.",
		Run: func(ctx context.Context, in Input) check.Result {
			mode, err := fact.WorkMailIdentityMode.In(ctx, in.WorkMail)
			switch {
			case err != nil:
				return check.Unknown(err)
			case mode == "IDENTITY_PROVIDER_ONLY":
				return check.Failed("IAM Identity Center alone signs users in")
			case mode != "":
				return check.Warned("IAM Identity Center is being tried out (%s): passwords stop to work when it is "+
					"made the "+
					"only way", mode)
			}
			return check.Pass("users sign in with the passwords of the directory")
		},
	},
	{
		ID:    "workmail.provider",
		Title: "WorkMail can use its availability providers",
		Scope: PerWorkMail,
		Needs: []check.ID{"workmail.organization"},
		Reads: fact.List(fact.WorkMailAvailabilities, fact.WorkMailSignIn),
		Why: "WorkMail signs in at Exchange from the internet with the account that it has stored. This test alone " +
			"proves that it reaches EWS, trusts the certificate and has the right password. It looks up no calendar.",
		Fix: "Publish EWS on port 443 with a certificate of a public authority that is served with its " +
			"intermediates, and switch Basic on for it. Where the account is refused, try the other form of its name " +
			"(DOMAIN\\user, user@domain); hybridge plan writes the password again.",
		Run: func(ctx context.Context, in Input) check.Result {
			list, err := fact.WorkMailAvailabilities.In(ctx, in.WorkMail)
			if err != nil {
				return check.Unknown(err)
			}
			if len(list) == 0 {
				return check.NotApplicable("WorkMail has no availability configuration yet")
			}
			var bad []msg.Text
			for _, a := range list {
				s, err := fact.WorkMailSignIn.In(ctx, in.WorkMail, a.Domain)
				if err != nil {
					return check.Unknown(err)
				}
				if !s.Passed {
					bad = append(bad, msg.Of("%s (%s): %s", a.Domain, a.Endpoint+a.Lambda, s.Reason))
				}
			}
			if len(bad) > 0 {
				return check.Failed("WorkMail cannot use %s: %s", msg.Count(len(bad), "%s provider", "%s providers"),
					some(bad))
			}
			return check.Pass("WorkMail signs in at %s", msg.Count(len(list), "%s provider", "%s providers"))
		},
	},
	{
		ID:    "workmail.domains",
		Title: "WorkMail has the forest's domains, and they are verified",
		Scope: PerForest,
		Needs: []check.ID{"workmail.organization"},
		Reads: fact.List(fact.WorkMailDomain),
		Why:   "Mail of WorkMail users with addresses in a domain that is not verified bounces. " + keepDNS,
		Fix: "hybridge plan adds a domain. Publish the TXT record that WorkMail names for it, and no other record; " +
			"the verification takes up to 72 hours.",
		Run: func(ctx context.Context, in Input) check.Result {
			if !withWorkMail(in) {
				return notShared(in)
			}
			var bad []msg.Text
			var missing []string
			for _, name := range in.Forest.Answers.Domains {
				d, err := fact.WorkMailDomain.In(ctx, in.WorkMail, strings.ToLower(name))
				switch {
				case errors.Is(err, workmail.ErrNotFound) && in.Answers.WorkMail.IsLeaving():
				case errors.Is(err, workmail.ErrNotFound):
					missing = append(missing, name)
				case err != nil:
					return check.Unknown(err)
				case d.Ownership != "VERIFIED":
					record := msg.Text{}
					for _, r := range d.Records {
						if r.Type == "TXT" {
							record = msg.Of(" (TXT %s %s)", r.Host, r.Value)
						}
					}
					bad = append(bad, msg.Of("%s is %s%s", name, strings.ToLower(d.Ownership), record))
				}
			}
			if len(bad) > 0 {
				return check.Failed("%s not ready in WorkMail: %s",
					msg.Count(len(bad), "%s domain is", "%s domains are"),
					some(bad))
			}
			if len(missing) > 0 {
				return check.Warned("WorkMail does not have %s yet; hybridge plan adds it", strings.Join(missing, ", "))
			}
			return check.Pass("%s verified in WorkMail", msg.Count(len(in.Forest.Answers.Domains), "%s domain is",
				"%s domains are"))
		},
	},
	{
		ID:       "workmail.mx",
		Title:    "Mail for the forest's domains goes to Exchange, not to WorkMail",
		Scope:    PerForest,
		Reads:    fact.List(fact.MX),
		Why:      keepDNS,
		Fix:      "Set the MX record back to Exchange, or to the service in front of it.",
		Consider: "Mail that WorkMail took meanwhile stays in its mailboxes.",
		Run: func(ctx context.Context, in Input) check.Result {
			if !withWorkMail(in) {
				return notShared(in)
			}
			for _, name := range in.Forest.Answers.Domains {
				hosts, err := fact.MX.In(ctx, in.Network, name)
				if err != nil && !errors.Is(err, dns.ErrAbsent) && !errors.Is(err, dns.ErrEmpty) {
					return check.Unknown(err)
				}
				for _, h := range hosts {
					if host := strings.ToLower(strings.TrimSuffix(h, ".")); strings.HasPrefix(host, "inbound-smtp.") &&
						strings.HasSuffix(host, ".amazonaws.com") {
						return check.Failed("the MX record of %s leads to WorkMail (%s)", name, host)
					}
				}
			}
			return check.Pass("no MX record leads to WorkMail")
		},
	},
	{
		ID:    "workmail.autodiscover-dns",
		Title: "Autodiscover of the forest's domains leads to Exchange, not to WorkMail",
		Scope: PerForest,
		Reads: fact.List(fact.Aliases),
		Why:   keepDNS,
		Fix:   "Set the CNAME record autodiscover of the domain back to Exchange.",
		Run: func(ctx context.Context, in Input) check.Result {
			if !withWorkMail(in) {
				return notShared(in)
			}
			for _, name := range in.Forest.Answers.Domains {
				chain, err := fact.Aliases.In(ctx, in.Network, "autodiscover."+name)
				if err != nil && !errors.Is(err, dns.ErrAbsent) && !errors.Is(err, dns.ErrEmpty) {
					return check.Unknown(err)
				}
				for _, alias := range chain {
					if strings.HasSuffix(strings.ToLower(strings.TrimSuffix(alias, ".")), ".awsapps.com") {
						return check.Failed("autodiscover.%s leads to WorkMail (%s)", name, alias)
					}
				}
			}
			return check.Pass("autodiscover of no domain leads to WorkMail")
		},
	},
	{
		ID:    "workmail.basic",
		Title: "EWS takes Basic authentication from WorkMail",
		Scope: PerForest,
		Reads: fact.List(fact.EWSHosts),
		Why: "WorkMail signs in at EWS by Basic alone. A custom availability provider (a Lambda function) needs " +
			"neither Basic nor EWS on the internet.",
		Fix: "Switch Basic on for EWS, and let a reverse proxy in front of it pass Basic through. Or name a Lambda " +
			"function (forests[].workmail.lambda).",
		Consider: "Basic sends the password with each request: allow it for the directory of EWS alone, and limit " +
			"who reaches that.",
		Run: func(ctx context.Context, in Input) check.Result {
			switch {
			case !withWorkMail(in):
				return notShared(in)
			case in.Forest.Answers.WorkMail.Lambda != "":
				return check.NotApplicable("a Lambda function answers for the forest")
			}
			host := in.Forest.Answers.Namespace.EWS
			front, err := fact.EWSHosts.In(ctx, in.Network, host)
			switch {
			case err != nil:
				return check.Unknown(err)
			case front.Status == http.StatusUnauthorized && !contains(front.Schemes, "Basic"):
				return check.Failed("EWS at %s offers %s, and not Basic", host, strings.Join(front.Schemes, ", ")).
					FixWith("Get-WebServicesVirtualDirectory -ADPropertiesOnly | " +
						"Set-WebServicesVirtualDirectory -BasicAuthentication $true")
			case front.Status != http.StatusUnauthorized:
				return check.Unknown(errors.New(host + " answers " + http.StatusText(front.Status) +
					" and does not say what it takes"))
			}
			return check.Pass("EWS at %s takes Basic", host)
		},
	},
	{
		ID:    "workmail.ews-allowed",
		Title: "Exchange lets WorkMail use EWS",
		Scope: PerForest,
		Needs: []check.ID{"access.onprem-read"},
		Reads: fact.List(fact.Organization, fact.MailboxAccesses),
		Why: "WorkMail asks EWS on-premises. The switch of the organization, its policy for programs, and the switch " +
			"of the mailbox of its account may refuse it.",
		Fix:      "Set EwsEnabled to true, and take the policy away: the user agent of WorkMail is not documented.",
		Consider: "Other applications may use EWS from then on, too.",
		Run: func(ctx context.Context, in Input) check.Result {
			if !withWorkMail(in) {
				return notShared(in)
			}
			o, err := fact.Organization.In(ctx, in.Forest)
			switch {
			case err != nil:
				return check.Unknown(err)
			case o.EwsEnabled != nil && !*o.EwsEnabled:
				return check.Failed("EwsEnabled is false in %s", in.Forest.Name()).
					FixWith("Set-OrganizationConfig -EwsEnabled $true")
			case strings.EqualFold(o.EwsPolicy.Mode, "EnforceAllowList"):
				return check.Warned("EwsApplicationAccessPolicy is EnforceAllowList: WorkMail is refused unless the " +
					"list holds its user agent").FixWith("Set-OrganizationConfig -EwsApplicationAccessPolicy $null")
			}
			user := in.Forest.Answers.WorkMail.User
			if user == "" {
				return check.Pass("EWS is on in %s", in.Forest.Name())
			}
			_, name, qualified := strings.Cut(user, `\`)
			if !qualified {
				name = user
			}
			access, err := fact.MailboxAccesses.In(ctx, in.Forest, name)
			switch {
			case err != nil:
				return check.Unknown(err)
			case access.EwsEnabled != nil && !*access.EwsEnabled:
				return check.Failed("EwsEnabled is false for the mailbox of %s", user).
					FixWith("Set-CASMailbox -Identity " + exchange.Quote(name) + " -EwsEnabled $null")
			}
			return check.Pass("EWS is on in %s, and for %s", in.Forest.Name(), user)
		},
	},
	{
		ID:    "workmail.exchange-account",
		Title: "The service account in Exchange has a mailbox",
		Scope: PerForest,
		Needs: []check.ID{"access.onprem-read"},
		Reads: fact.List(fact.Recipients),
		Why: "WorkMail asks Exchange as this account (forests[].workmail.user). Any user with a mailbox will do: " +
			"calendars show free/busy to everyone in the organization by default.",
		Fix: "Name a user with a mailbox in this forest.",
		Run: func(ctx context.Context, in Input) check.Result {
			switch {
			case !withWorkMail(in):
				return notShared(in)
			case in.Forest.Answers.WorkMail.User == "":
				return check.NotApplicable("a Lambda function answers for the forest")
			}
			user := in.Forest.Answers.WorkMail.User
			_, name, qualified := strings.Cut(user, `\`)
			if !qualified {
				name = user
			}
			r, err := fact.Recipients.In(ctx, in.Forest, name)
			switch {
			case errors.Is(err, exchange.ErrNotFound):
				return check.Failed("Exchange does not know %s", user)
			case err != nil:
				return check.Unknown(err)
			case !strings.HasSuffix(r.Kind, "Mailbox") || strings.HasPrefix(r.Kind, "Remote"):
				return check.Failed("%s is a %s and has no mailbox in the forest", user, r.Kind)
			}
			return check.Pass("%s has a mailbox", user)
		},
	},
	{
		ID:    "workmail.password-characters",
		Title: "WorkMail can store the password of its account in Exchange",
		Scope: PerForest,
		Reads: fact.List(fact.ProviderPassword),
		Why: "WorkMail takes passwords of up to 256 characters, of Latin-1 alone (U+0020 to U+00FF). It refuses " +
			"another one when the availability configuration is written.",
		Fix: "Give the account another password, in Active Directory and in the place that the answers name " +
			"(forests[].workmail.password).",
		Consider: "Other services that sign in as the account need the new password, too.",
		Run: func(ctx context.Context, in Input) check.Result {
			switch {
			case !withWorkMail(in):
				return notShared(in)
			case in.Forest.Answers.WorkMail.Lambda != "":
				return check.NotApplicable("a Lambda function answers for the forest")
			}
			form, err := fact.ProviderPassword.In(ctx, in.Forest)
			switch {
			case err != nil:
				return check.Unknown(err)
			case form.Typed:
				return check.NotApplicable("the password is typed when a plan is applied, and judged then")
			case form.Fault != "":
				return check.Failed("WorkMail cannot store the password of %s: %s", in.Forest.Answers.WorkMail.User,
					form.Fault)
			}
			return check.Pass("WorkMail can store the password of %s", in.Forest.Answers.WorkMail.User)
		},
	},
	{
		ID:    "workmail.target-addresses",
		Title: "Users in WorkMail have target addresses that lead there",
		Scope: PerForest,
		Needs: []check.ID{"workmail.organization", "access.onprem-read"},
		Reads: fact.List(fact.WorkMailOrganization, fact.WorkMailUsers, fact.Recipients),
		Why: "Exchange finds the availability address space by the domain of the target address " +
			"(ExternalEmailAddress). It must be the domain of the organization in WorkMail, ALIAS.awsapps.com; mail " +
			"goes the same way.",
		Fix:     "Set-MailUser USER -ExternalEmailAddress NAME@ALIAS.awsapps.com",
		Timeout: 10 * time.Minute,
		Run: func(ctx context.Context, in Input) check.Result {
			if !withWorkMail(in) {
				return notShared(in)
			}
			o, err := fact.WorkMailOrganization.In(ctx, in.WorkMail)
			if err != nil {
				return check.Unknown(err)
			}
			users, err := fact.WorkMailUsers.In(ctx, in.WorkMail)
			if err != nil {
				return check.Unknown(err)
			}
			var wrong []msg.Text
			looked, left := 0, 0
			for _, u := range users {
				_, domain, _ := strings.Cut(u.Email, "@")
				if !u.Enabled() || !u.Person() || !contains(in.Forest.Answers.Domains, domain) {
					continue
				}
				if looked == mostLooked {
					left++
					continue
				}
				looked++
				r, err := fact.Recipients.In(ctx, in.Forest, u.Email)
				if errors.Is(err, exchange.ErrNotFound) {
					wrong = append(wrong, msg.Of("%s is not in Exchange", u.Email))
					continue
				}
				if err != nil {
					return check.Unknown(err)
				}
				switch _, target, _ := strings.Cut(r.Target, "@"); {
				case strings.HasSuffix(r.Kind, "Mailbox") && in.Answers.WorkMail.IsLeaving():
					// Its mailbox came back, and its content follows.
				case strings.HasSuffix(r.Kind, "Mailbox"):
					wrong = append(wrong, msg.Of("%s has a mailbox in Exchange too (%s)", u.Email, r.Kind))
				case !strings.EqualFold(target, o.TestDomain()):
					wrong = append(wrong, msg.Of("%s leads to %s", u.Email, r.Target))
				}
			}
			switch {
			case len(wrong) > 0:
				return check.Failed("lookups for %s do not reach WorkMail: %s",
					msg.Count(len(wrong), "%s user", "%s users"),
					some(wrong)).With("users", len(wrong))
			case left > 0:
				return check.Pass("%s of %s users were looked at, and lead to WorkMail", msg.Number(looked),
					msg.Number(looked+left))
			}
			return check.Pass("%s to WorkMail", msg.Count(looked, "%s user leads", "%s users lead"))
		},
	},
}

// mostLooked is how many users workmail.target-addresses looks up in Exchange, one by one.
const mostLooked = 200

// recipientOf looks an address up in the forest of its domain.
func recipientOf(ctx context.Context, in Input, address string) (fact.Recipient, error) {
	_, domain, _ := strings.Cut(address, "@")
	for _, f := range in.Forests {
		if contains(f.Answers.Domains, domain) {
			return fact.Recipients.In(ctx, f, address)
		}
	}
	return fact.Recipient{}, exchange.ErrNotFound
}
