package prereq

import (
	"context"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

var oauthChecks = []Check{
	{
		ID:    "oauth.virtual-directories",
		Title: "EWS and autodiscover take the tenant's tokens",
		Scope: PerForest,
		Needs: []check.ID{"access.onprem-read"},
		Reads: fact.List(fact.VirtualDirectories, fact.Organization, fact.Servers),
		Why: "Exchange Online signs in to EWS and autodiscover with a token, at the address that EWS " +
			"publishes. Without OAuth on a server's virtual directory, or without an external address, its " +
			"lookups are refused there, or have no address.",
		Fix: "hybridge plan enables OAuth again on the virtual directories named and sets the external URL of EWS. " +
			"Restart IIS on those servers afterwards.",
		Consider: "A restart of IIS interrupts connected clients for about a minute. Other ways to sign in at the " +
			"directory stay.",
		Run: func(ctx context.Context, in Input) check.Result {
			directories, err := fact.VirtualDirectories.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			servers, err := fact.Servers.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			var closed, homeless, elsewhere, foreign, commands []string
			namespace := in.Forest.Answers.Namespace.EWS
			for _, d := range directories {
				set := "Set-" + d.Noun + " -Identity " + exchange.Quote(d.Identity)
				if !d.OAuth {
					closed = append(closed, d.Identity)
					commands = append(commands, set+" -OAuthAuthentication $true")
				}
				if d.Noun != fact.EWSDirectory {
					continue
				}
				u, err := url.Parse(d.ExternalURL)
				switch {
				case err != nil || u.Host == "":
					homeless = append(homeless, d.Identity)
					commands = append(commands, set+" -ExternalUrl "+exchange.Quote(desired.EWSAddress(in.Forest)))
				case desired.Unfit(in.Set, in.Forest, servers, d.ExternalURL):
					elsewhere = append(elsewhere, d.ExternalURL+" of "+d.Identity)
					commands = append(commands, set+" -ExternalUrl "+exchange.Quote(desired.EWSAddress(in.Forest)))
				case !contains(namespaces(in.Forest), u.Hostname()):
					foreign = append(foreign, u.Hostname()+" of "+d.Identity)
				}
			}
			organization, err := fact.Organization.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			refused, admit := refusal(organization.EwsPolicy)
			switch {
			case organization.EwsEnabled != nil && !*organization.EwsEnabled:
				return check.Failed("EWS is switched off in the organization of forest %s (EwsEnabled is false)",
					in.Forest.Name()).
					Fix("Switch EWS on again for the organization.").
					FixWith("Set-OrganizationConfig -EwsEnabled $null")
			case len(directories) == 0:
				return check.Failed("forest %s has no virtual directory of EWS or autodiscover", in.Forest.Name())
			case len(closed) > 0:
				r := check.Failed("%s no tokens (OAuth is off): %s",
					msg.Count(len(closed), "%s virtual directory takes", "%s virtual directories take"),
					someOf(closed)).
					With("oauthOff", closed)
				return r.Fix("Switch OAuth on again, then restart IIS on the server.").FixWith(commands...)
			case len(homeless) > 0:
				r := check.Failed("%s no external address: %s",
					msg.Count(len(homeless), "%s EWS virtual directory has", "%s EWS virtual directories have"),
					someOf(homeless)).
					With("noExternalUrl", homeless)
				return r.Fix("Give EWS the address at which it is published.").FixWith(commands...)
			case len(elsewhere) > 0:
				return check.Failed("EWS publishes an address that leads to another forest or to a server's internal "+
					"name, or that is not https at port 443: %s", someOf(elsewhere)).
					With("addresses", elsewhere).
					Fix("Give EWS the address at which it is published.").FixWith(commands...)
			case len(foreign) > 0:
				return check.Warned("EWS publishes an address that is none of the forest's namespaces: %s",
					someOf(foreign)).
					With("hosts", foreign).
					Because("Exchange Online goes to the address that EWS publishes, and gets a token only for " +
						"the hosts that the plan registers: those of namespace.ews and " +
						"namespace.autodiscover.").
					Fix("Give EWS the address of namespace.ews with Set-WebServicesVirtualDirectory " +
						"-ExternalUrl, or correct namespace.ews in the answers.")
			}
			if !refused.IsZero() {
				return check.Warned("EWS may refuse the tenant's lookups: %s", refused).Because(policyWhy).
					Fix("Let that program in, or take the policy away.").FixWith(admit)
			}
			return check.Pass("%s OAuth, EWS at https://%s/",
				msg.Count(len(directories), "%s virtual directory takes",
					"%s virtual directories take"), strings.ToLower(namespace))
		},
	},
	overrideCheck,
	applicationCheck,
	sharingCheck,
	federationCheck,
	routeCheck,
	authConfigCheck,
}

var overrideCheck = Check{
	ID:    "oauth.overrides",
	Title: "Each hybrid feature has exactly one setting override per server",
	Scope: PerForest,
	Needs: []check.ID{"access.onprem-read"},
	Reads: fact.List(fact.SettingOverrides, fact.MailboxServers),
	Why: "One setting override enables the dedicated application, another one the Graph route, for all servers " +
		"or per server. Without an override, a server keeps its old behaviour, and its lookups are refused. With " +
		"several, it falls back to the default.",
	Fix: "hybridge plan makes an override for each server that is left out.",
	Consider: "A second override for the same setting, such as one made by hand, makes a server fall back to its " +
		"default.",
	Run: func(ctx context.Context, in Input) check.Result {
		overrides, err := overridesOf(ctx, in.Forest)
		if err != nil {
			return check.Unknown(err)
		}
		servers, err := fact.MailboxServers.In(ctx, in.Forest)
		if err != nil {
			return check.Unknown(err)
		}
		names := map[string][]string{}
		for _, o := range overrides {
			section := strings.ToLower(o.Section)
			names[section] = append(names[section], o.Name)
		}
		var several, without []msg.Text
		for _, section := range sorted(names) {
			for _, s := range servers {
				for _, o := range overrides {
					if strings.EqualFold(o.Section, section) && o.Unclear(s) {
						return check.Unknown(desired.UnclearOverride(in.Forest, o, s))
					}
				}
				var of []string
				for _, o := range fact.Overriding(overrides, section, s) {
					of = append(of, o.Name)
				}
				switch len(of) {
				case 0:
					without = append(without,
						msg.Of("%s (the overrides are %s)", s.Name, strings.Join(names[section], ", ")))
				case 1:
				default:
					several = append(several, msg.Of("%s (%s)", s.Name, strings.Join(of, " and ")))
				}
			}
		}
		switch {
		case len(several) > 0:
			return check.Failed("several setting overrides for one feature on one server: %s", some(several)).
				Fix("Remove all but one with Remove-SettingOverride. Those that Exchange made itself " +
					"(FlightingServiceOverride_...) stay.")
		case len(without) > 0:
			return check.Failed("setting overrides of hybrid leave servers out: %s", some(without))
		}
		return check.Pass("%s, one per server and feature",
			msg.Count(len(overrides), "%s setting override", "%s setting overrides"))
	},
}

// crossPremises are the user agents of lookups from another Exchange organization, in both forms
// that logs show.
var crossPremises = []string{"ASProxy/CrossForest/EmailDomain//15.20.0.0",
	"ASProxy/CrossForest/EmailDomain/EXCH/15.20.0.0"}

const policyWhy = "EwsApplicationAccessPolicy is judged besides the switch and the list of applications: both " +
	"must let a request in. Lookups of another Exchange organization come as " +
	"ASProxy/CrossForest/EmailDomain."

// refusal says why the policy blocks lookups from another organization, and which command admits
// them. It is empty when the policy admits them.
func refusal(p fact.EwsPolicy) (why msg.Text, command string) {
	match := func(list []string) (pattern string) {
		for _, pattern := range list {
			expression := "(?i)^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$"
			if known, err := regexp.Compile(expression); err == nil &&
				slices.ContainsFunc(crossPremises, known.MatchString) {
				return pattern
			}
		}
		return ""
	}
	switch {
	case strings.EqualFold(p.Mode, "EnforceAllowList") && match(p.Allow) == "":
		return msg.Of("EwsApplicationAccessPolicy is EnforceAllowList, and EwsAllowList does not hold them"),
			"Set-OrganizationConfig -EwsApplicationAccessPolicy EnforceAllowList -EwsAllowList @{Add='ASProxy/*'}"
	case strings.EqualFold(p.Mode, "EnforceBlockList") && match(p.Block) != "":
		return msg.Of("EwsApplicationAccessPolicy is EnforceBlockList, and EwsBlockList holds them"),
			"Set-OrganizationConfig -EwsApplicationAccessPolicy EnforceBlockList -EwsBlockList @{Remove=" +
				exchange.Quote(match(p.Block)) + "}"
	case len(p.Closed) > 0:
		return msg.Of("%s is false, and Outlook shows no free/busy and no automatic replies",
				strings.Join(p.Closed, ", ")),
			"Set-OrganizationConfig -" + strings.Join(p.Closed, " $null -") + " $null"
	}
	return msg.Text{}, ""
}

// overridesOf returns the setting overrides of the sections that hybrid uses.
func overridesOf(ctx context.Context, f *fact.Side) ([]fact.SettingOverride, error) {
	overrides, err := fact.SettingOverrides.In(ctx, f)
	others := func(o fact.SettingOverride) bool { return !contains(desired.OverrideSections(), o.Section) }
	return slices.DeleteFunc(slices.Clone(overrides), others), err
}
