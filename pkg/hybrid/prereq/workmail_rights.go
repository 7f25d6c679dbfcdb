package prereq

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
)

// serviceAccount finds the user as which Exchange asks WorkMail; nil: it is not enabled.
func serviceAccount(ctx context.Context, in Input) (*workmail.Entity, error) {
	if in.Answers.WorkMail.Account == nil {
		return nil, nil
	}
	users, err := fact.WorkMailUsers.In(ctx, in.WorkMail)
	for _, u := range users {
		if u.Enabled() && strings.EqualFold(u.Email, in.Answers.WorkMail.Account.User) {
			return &u, nil
		}
	}
	return nil, err
}

func noServiceAccount() check.Result {
	return check.NotApplicable("the service account of WorkMail is not enabled: see workmail.service-account")
}

var workMailRightsChecks = []Check{
	{
		ID:    "workmail.access-rules",
		Title: "Access control rules of WorkMail let Exchange in",
		Scope: PerWorkMail,
		Needs: []check.ID{"workmail.organization"},
		Reads: fact.List(fact.WorkMailAccessRules, fact.WorkMailUsers),
		Why: "Exchange asks WorkMail by EWS and autodiscover, from the address with which its servers reach the " +
			"internet. DENY beats ALLOW, and where no rule matches, the request is refused: an organization without " +
			"rules refuses everything. A change takes up to five minutes.",
		Fix: "In the console of WorkMail (Organization, Access control rules), allow EWS and AutoDiscover for the " +
			"address of Exchange and the service account. To see the effect: aws workmail get-access-control-effect.",
		Run: func(ctx context.Context, in Input) check.Result {
			rules, err := fact.WorkMailAccessRules.In(ctx, in.WorkMail)
			if err != nil {
				return check.Unknown(err)
			}
			account, err := serviceAccount(ctx, in)
			switch {
			case err != nil:
				return check.Unknown(err)
			case account == nil:
				return noServiceAccount()
			}
			var unsure []msg.Text
			for _, action := range []string{"AutoDiscover", "EWS"} {
				switch effect, rule := workmail.Effect(rules, account.ID, action); effect {
				case workmail.Denied:
					if rule == "" {
						return check.Failed("no rule allows %s: it is refused", action).With("rules", len(rules))
					}
					return check.Failed("the rule %s refuses %s", rule, action)
				case workmail.ByAddress:
					unsure = append(unsure, msg.Of("%s (rule %s)", action, rule))
				}
			}
			if len(unsure) > 0 {
				return check.Warned("the address of Exchange decides about %s", msg.Join(unsure, ", "))
			}
			return check.Pass("EWS and autodiscover are allowed from everywhere")
		},
	},
	{
		ID:       "workmail.addresses",
		Title:    "Users in WorkMail have an address in both domains",
		Scope:    PerWorkMail,
		Severity: check.Warn,
		Needs:    []check.ID{"workmail.organization"},
		Reads:    fact.List(fact.WorkMailOrganization, fact.WorkMailUsers, fact.WorkMailAliases),
		Why: "Exchange sends mail and lookups to the address in ALIAS.awsapps.com, and people write to the one in " +
			"the domain of the organization. A user needs both.",
		Fix: "Deregister the user and register it again with its primary address, or ask AWS Support: in " +
			"interoperability mode, addresses are read from the directory and cannot be added in WorkMail.",
		Timeout: 10 * time.Minute,
		Run: func(ctx context.Context, in Input) check.Result {
			o, err := fact.WorkMailOrganization.In(ctx, in.WorkMail)
			if err != nil {
				return check.Unknown(err)
			}
			users, err := fact.WorkMailUsers.In(ctx, in.WorkMail)
			if err != nil {
				return check.Unknown(err)
			}
			domains := []string{}
			for _, f := range in.Forests {
				if f.Answers.WorkMail != nil {
					domains = append(domains, f.Answers.Domains...)
				}
			}
			var lacking []msg.Text
			looked := 0
			for _, u := range users {
				if !u.Enabled() || !u.Person() || looked == mostLooked {
					continue
				}
				looked++
				aliases, err := fact.WorkMailAliases.In(ctx, in.WorkMail, u.ID)
				if err != nil {
					return check.Unknown(err)
				}
				has := map[string]bool{}
				for _, a := range append(aliases, u.Email) {
					_, domain, _ := strings.Cut(strings.ToLower(a), "@")
					has[domain] = true
				}
				switch {
				case !has[strings.ToLower(o.TestDomain())]:
					lacking = append(lacking, msg.Of("%s has none in %s", u.Email, o.TestDomain()))
				case !slices.ContainsFunc(domains, func(d string) bool { return has[strings.ToLower(d)] }):
					lacking = append(lacking, msg.Of("%s has none in a domain of the forest", u.Email))
				case len(aliases) > 99:
					lacking = append(lacking, msg.Of("%s has %s addresses, and WorkMail takes 100", u.Email,
						msg.Number(len(aliases)+1)))
				}
			}
			if len(lacking) > 0 {
				return check.Warned("%s an address: %s", msg.Count(len(lacking), "%s user lacks", "%s users lack"),
					some(lacking))
			}
			return check.Pass("%s an address in both domains", msg.Count(looked, "%s user has", "%s users have"))
		},
	},
	{
		ID:    "workmail.token",
		Title: "The personal access token of the service account is valid",
		Scope: PerWorkMail,
		Needs: []check.ID{"workmail.organization"},
		Reads: fact.List(fact.WorkMailIdentityMode, fact.WorkMailUsers, fact.WorkMailTokens),
		Why: "With IAM Identity Center, Exchange signs in at WorkMail with a personal access token in the place of " +
			"the password. It expires, and free/busy ends on that day.",
		Fix: "Sign in to the web client of WorkMail as the service account (Settings, Personal access tokens), make " +
			"a new token, put it into workmail.account.password, remove the address space in Exchange and apply.",
		Run: func(ctx context.Context, in Input) check.Result {
			mode, err := fact.WorkMailIdentityMode.In(ctx, in.WorkMail)
			switch {
			case err != nil:
				return check.Unknown(err)
			case mode == "":
				return check.NotApplicable("users sign in with the passwords of the directory")
			}
			account, err := serviceAccount(ctx, in)
			switch {
			case err != nil:
				return check.Unknown(err)
			case account == nil:
				return noServiceAccount()
			}
			tokens, err := fact.WorkMailTokens.In(ctx, in.WorkMail, account.ID)
			if err != nil {
				return check.Unknown(err)
			}
			if len(tokens) == 0 {
				if mode == "IDENTITY_PROVIDER_ONLY" {
					return check.Failed("%s has no personal access token, and its password does not work",
						account.Email)
				}
				return check.Warned("%s has no personal access token yet", account.Email)
			}
			last := slices.MaxFunc(tokens, func(a, b workmail.Token) int { return a.Expires.Compare(b.Expires) })
			day := last.Expires.UTC().Format(time.DateOnly)
			switch left := days(in.Now(), last.Expires); {
			case left < 0:
				return check.Failed("the last token of %s expired on %s", account.Email, day)
			case left < 30:
				return check.Warned("the last token of %s expires on %s, in %s", account.Email, day, daysLeft(left)).
					With("daysLeft", left)
			}
			return check.Pass("the token of %s is valid until %s", account.Email, day)
		},
	},
	{
		ID:       "workmail.quotas",
		Title:    "The organization is within the quotas of WorkMail",
		Scope:    PerWorkMail,
		Severity: check.Warn,
		Needs:    []check.ID{"workmail.organization"},
		Reads:    fact.List(fact.WorkMailDomains),
		Why: "WorkMail takes 100 domains per organization. Its pages on quotas name 1000 too: a request to AWS " +
			"raises the number.",
		Fix: "Remove domains that no user has an address in, or request a higher quota (Service Quotas console).",
		Run: func(ctx context.Context, in Input) check.Result {
			domains, err := fact.WorkMailDomains.In(ctx, in.WorkMail)
			switch {
			case err != nil:
				return check.Unknown(err)
			case len(domains) >= 100:
				return check.Warned("the organization has %s domains", msg.Number(len(domains)))
			}
			return check.Pass("the organization has %s", msg.Count(len(domains), "%s domain", "%s domains"))
		},
	},
	{
		ID:    "workmail.front-ends",
		Title: "EWS and autodiscover of WorkMail answer",
		Scope: PerWorkMail,
		Reads: fact.List(fact.EWSHosts, fact.AutodiscoverHosts),
		Why: "Exchange finds WorkMail by autodiscover and asks its EWS. Both ask for a sign-in by Basic. Every " +
			"Exchange server has to reach them on port 443: this check looks from where hybridge runs.",
		Fix: "Let the Exchange servers out to these hosts on port 443, without inspection of TLS. Where autodiscover " +
			"of WorkMail refuses every request, ask AWS Support.",
		Run: func(ctx context.Context, in Input) check.Result {
			region := in.Answers.WorkMail.Region
			for _, f := range []struct {
				query *fact.Keyed[ews.Front]
				host  string
			}{
				{fact.EWSHosts, workmail.EWSHost(region)}, {fact.AutodiscoverHosts, workmail.AutodiscoverHost(region)},
			} {
				front, err := f.query.In(ctx, in.Network, f.host)
				switch {
				case err != nil:
					return check.Unknown(err)
				case front.Status != 401 || !contains(front.Schemes, "Basic"):
					return check.Failed("%s answers with status %s and does not ask for a sign-in by Basic", f.host,
						msg.Number(front.Status))
				}
			}
			return check.Pass("both ask for a sign-in by Basic")
		},
	},
	{
		ID:       "workmail.ownership-record",
		Title:    "The TXT records with which domains were verified are published",
		Scope:    PerForest,
		Severity: check.Warn,
		Needs:    []check.ID{"workmail.organization"},
		Reads:    fact.List(fact.WorkMailDomain, fact.TXT),
		Why: "WorkMail verified a domain by a TXT record, and takes the verification back some days after the record " +
			"is gone. Mail to the domain bounces then. " + keepDNS,
		Fix: "Publish the record at _amazonses.DOMAIN, or at DOMAIN where names with an underscore are not possible.",
		Run: func(ctx context.Context, in Input) check.Result {
			if !withWorkMail(in) {
				return notShared(in)
			}
			var gone []msg.Text
			looked := 0
			for _, name := range in.Forest.Answers.Domains {
				name = strings.ToLower(name)
				d, err := fact.WorkMailDomain.In(ctx, in.WorkMail, name)
				if errors.Is(err, workmail.ErrNotFound) {
					continue // workmail.domains
				}
				if err != nil {
					return check.Unknown(err)
				}
				for _, r := range d.Records {
					if r.Type != "TXT" || d.Ownership != "VERIFIED" {
						continue
					}
					looked++
					published, err := texts(ctx, in, r.Host, name)
					if err != nil {
						return check.Unknown(err)
					}
					if !slices.ContainsFunc(published, func(t string) bool { return strings.Contains(t, r.Value) }) {
						gone = append(gone, msg.Of("TXT %s %s", r.Host, r.Value))
					}
				}
			}
			if len(gone) > 0 {
				return check.Warned("%s not published: %s", msg.Count(len(gone), "%s record is", "%s records are"),
					some(gone))
			}
			return check.Pass("%s published", msg.Count(looked, "%s record is", "%s records are"))
		},
	},
	{
		ID:    "workmail.send-connector",
		Title: "Exchange has a way for mail to users in WorkMail",
		Scope: PerForest,
		Needs: []check.ID{"access.onprem-read"},
		Reads: fact.List(fact.SendConnectors),
		Why: "Mail for a user in WorkMail leaves Exchange for ALIAS.awsapps.com, which is a domain of the internet. " +
			"Without an enabled send connector for it, the mail stays in the queue.",
		Fix: "Make a send connector to the internet, or one for ALIAS.awsapps.com alone.",
		Run: func(ctx context.Context, in Input) check.Result {
			if !withWorkMail(in) {
				return notShared(in)
			}
			connectors, err := fact.SendConnectors.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			off := ""
			for _, c := range connectors {
				if !slices.ContainsFunc(c.AddressSpaces, leadsToWorkMail) {
					continue
				}
				if c.Enabled {
					return check.Pass("send connector %s leads to WorkMail", c.Name)
				}
				off = c.Name
			}
			if off != "" {
				return check.Failed("send connector %s leads to WorkMail and is disabled", off).
					FixWith("Set-SendConnector -Identity " + exchange.Quote(off) + " -Enabled $true")
			}
			return check.Failed("no send connector of %s leads to awsapps.com", in.Forest.Name())
		},
	},
	{
		ID:       "workmail.groups",
		Title:    "Groups in Exchange take mail of users in WorkMail",
		Scope:    PerForest,
		Severity: check.Warn,
		Needs:    []check.ID{"access.onprem-read"},
		Reads:    fact.List(fact.Groups),
		Why: "To Exchange, a user in WorkMail is a sender of the internet. A group takes mail of senders alone who " +
			"have signed in, unless RequireSenderAuthenticationEnabled is false: that is its default. Rooms behave " +
			"alike: they process meeting requests from outside with ProcessExternalMeetingMessages alone.",
		Fix: "Set-DistributionGroup GROUP -RequireSenderAuthenticationEnabled $false, for the groups that users in " +
			"WorkMail write to, and Set-CalendarProcessing ROOM -ProcessExternalMeetingMessages $true for their rooms.",
		Consider: "A group that takes mail from outside gets the mail of everyone. " +
			"AcceptMessagesOnlyFromSendersOrMembers names who may write.",
		Run: func(ctx context.Context, in Input) check.Result {
			if !withWorkMail(in) {
				return notShared(in)
			}
			groups, err := fact.Groups.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			var closed []string
			for _, g := range groups {
				if g.Closed {
					closed = append(closed, g.Address)
				}
			}
			if len(closed) > 0 {
				return check.Warned("%s mail of users in WorkMail: %s", msg.Count(len(closed), "%s group refuses",
					"%s groups refuse"), someOf(closed)).With("groups", firstOf(closed, 100))
			}
			return check.Pass("%s mail of users in WorkMail",
				msg.Count(len(groups), "%s group takes", "%s groups take"))
		},
	},
	{
		ID:       "workmail.calendar-permissions",
		Title:    "Calendars in Exchange show free/busy to everyone",
		Scope:    PerForest,
		Severity: check.Warn,
		Needs:    []check.ID{"access.onprem-read"},
		Reads:    fact.List(fact.CalendarSample),
		Why: "WorkMail asks as one service account, which sees what the default permission of a calendar shows. " +
			"Exchange grants free/busy (AvailabilityOnly) by default. A calendar without that looks free or is " +
			"refused.",
		Fix: "Set-MailboxFolderPermission USER:\\Calendar -User Default -AccessRights AvailabilityOnly. In WorkMail, " +
			"the user does the same (web client, calendar, Permissions).",
		Timeout: 10 * time.Minute,
		Run: func(ctx context.Context, in Input) check.Result {
			if !withWorkMail(in) {
				return notShared(in)
			}
			calendars, err := fact.CalendarSample.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			var hidden []string
			for _, c := range calendars {
				if c.Hidden() {
					hidden = append(hidden, c.Mailbox)
				}
			}
			if len(hidden) > 0 {
				return check.Warned("%s of %s that were looked at: %s", msg.Count(len(hidden),
					"%s calendar shows no free/busy", "%s calendars show no free/busy"), msg.Number(len(calendars)),
					someOf(hidden)).With("mailboxes", hidden)
			}
			return check.Pass("%s free/busy to everyone", msg.Count(len(calendars),
				"the calendar that was looked at (%s) shows", "all %s calendars that were looked at show"))
		},
	},
}

// texts are the TXT records at one of some names.
func texts(ctx context.Context, in Input, names ...string) ([]string, error) {
	var out []string
	for _, name := range names {
		found, err := fact.TXT.In(ctx, in.Network, strings.TrimSuffix(name, "."))
		if err != nil && !errors.Is(err, dns.ErrAbsent) && !errors.Is(err, dns.ErrEmpty) {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// leadsToWorkMail reports whether an address space ("smtp:*;1") holds the domains of WorkMail.
func leadsToWorkMail(space string) bool {
	kind, domain, ok := strings.Cut(strings.ToLower(space), ":")
	if !ok {
		kind, domain = "smtp", kind
	}
	domain, _, _ = strings.Cut(domain, ";")
	return kind == "smtp" && (domain == "*" || domain == "*.com" || domain == "awsapps.com" ||
		strings.HasSuffix(domain, ".awsapps.com"))
}
