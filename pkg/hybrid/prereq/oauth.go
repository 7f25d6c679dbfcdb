package prereq

import (
	"context"
	"net/url"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

var oauthChecks = []Check{
	{
		ID:    "oauth.virtual-directories",
		Title: "EWS and autodiscover take the tenant's tokens",
		Scope: check.PerForest,
		Needs: []check.ID{"access.onprem"},
		Why:   "Exchange Online signs in to EWS and autodiscover with a token, at the address that EWS publishes. Without OAuth on a server's virtual directory, or without an external address, its lookups are refused there, or go nowhere.",
		Fix:   "Switch OAuth on again on the virtual directories named, give EWS its external address, and restart IIS on those servers.",
		Run: func(ctx context.Context, in Input) check.Result {
			directories, err := in.Forest.VirtualDirectories.Get(ctx)
			if err != nil {
				return check.Unknown(err)
			}
			var closed, homeless, foreign, commands []string
			namespace := in.Forest.Answers.Namespace.EWS
			for _, d := range directories {
				if !d.OAuth {
					closed = append(closed, d.Identity)
					commands = append(commands, "Set-"+d.Noun+" -Identity "+exchange.Quote(d.Identity)+" -OAuthAuthentication $true")
				}
				if d.Noun != ewsDirectory {
					continue
				}
				u, err := url.Parse(d.ExternalURL)
				switch {
				case err != nil || u.Host == "":
					homeless = append(homeless, d.Identity)
					commands = append(commands, "Set-"+d.Noun+" -Identity "+exchange.Quote(d.Identity)+" -ExternalUrl "+exchange.Quote("https://"+namespace+"/EWS/Exchange.asmx"))
				case !contains(namespaces(in.Forest), u.Hostname()):
					foreign = append(foreign, u.Hostname()+" of "+d.Identity)
				}
			}
			switch {
			case len(directories) == 0:
				return check.Failed("forest %s has no virtual directory of EWS or autodiscover", in.Forest.Name())
			case len(closed) > 0:
				r := check.Failed("%s no tokens (OAuth is off): %s", plural(len(closed), "virtual directory takes", "virtual directories take"), someOf(closed)).With("oauthOff", closed)
				return r.Fix("Switch OAuth on again, then restart IIS on the server.", commands...)
			case len(homeless) > 0:
				r := check.Failed("%s no external address: %s", plural(len(homeless), "EWS virtual directory has", "EWS virtual directories have"), someOf(homeless)).With("noExternalUrl", homeless)
				return r.Fix("Give EWS the address at which it is published.", commands...)
			case len(foreign) > 0:
				return check.Warned("EWS publishes an address that is none of the forest's namespaces: %s", someOf(foreign)).With("hosts", foreign).
					Because("Exchange Online goes to the address that EWS publishes, and gets a token only for the hosts that the plan registers: those of namespace.ews and namespace.autodiscover.").
					Fix("Give EWS the address of namespace.ews with Set-WebServicesVirtualDirectory -ExternalUrl, or correct namespace.ews in the answers.")
			}
			return check.Pass("%s OAuth, EWS at https://%s/", plural(len(directories), "virtual directory takes", "virtual directories take"), strings.ToLower(namespace))
		},
	},
}

const (
	ewsDirectory          = "WebServicesVirtualDirectory"
	autodiscoverDirectory = "AutodiscoverVirtualDirectory"
)

// VirtualDirectoryNouns are the nouns of the virtual directories that lookups come in by.
var VirtualDirectoryNouns = []string{ewsDirectory, autodiscoverDirectory}
