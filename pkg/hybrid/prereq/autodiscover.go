package prereq

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

var autodiscoverChecks = []Check{
	{
		ID:    "autodiscover.answers",
		Title: "Autodiscover of the forest answers",
		Scope: PerForest,
		Reads: fact.List(fact.Aliases, fact.AutodiscoverHosts),
		Why:   "Exchange Online finds the forest's calendars by autodiscover, unless a connector names the address of EWS (TargetSharingEpr): at the forest's own name, without pre-authentication, and with a certificate that it can trust (the wizard's errors HCW8034 and HCW8057).",
		Fix:   "Publish /autodiscover/ of the Exchange servers on port 443 under the name, with a certificate that holds the name and a chain to a public authority; while mailboxes are in the forest the name must not lead to Exchange Online.",
		Run: func(ctx context.Context, in Input) check.Result {
			host := in.Forest.Answers.Namespace.Autodiscover
			if host == "" {
				return check.NotApplicable("the answers name no autodiscover host for %s", in.Forest.Name())
			}
			chain, err := fact.Aliases.In(ctx, in.Network, host)
			if err != nil && !errors.Is(err, dns.ErrAbsent) && !errors.Is(err, dns.ErrEmpty) && !errors.Is(err, fact.ErrNotConfigured) && !errors.Is(err, dns.ErrFailed) {
				return check.Unknown(err)
			}
			if at := slices.IndexFunc(chain, cloud.IsExchangeOnline); at >= 0 {
				return check.Failed("%s leads to Exchange Online (%s)", host, chain[at]).With("aliases", chain)
			}
			answer, err := fact.AutodiscoverHosts.In(ctx, in.Network, host)
			switch {
			case errors.Is(err, link.ErrUntrusted) && transportDisorder(ctx, in, in.Forest, host):
				return check.Unknown(err) // see transportToBlame
			case errors.Is(err, link.ErrUntrusted):
				return check.Failed("the certificate of %s is not to be trusted: %v", host, err).With("host", host)
			case refuses(err):
				return check.Failed("nothing answers at https://%s/autodiscover/: %v", host, err).With("host", host)
			case err != nil:
				return check.Unknown(err)
			}
			result := func(r check.Result) check.Result {
				return r.With("host", host).With("status", answer.Status).With("schemes", answer.Schemes)
			}
			switch {
			case answer.Status >= 300 && answer.Status < 400:
				target, err := url.Parse(answer.Location)
				if err == nil && cloud.IsExchangeOnline(target.Hostname()) {
					return result(check.Failed("autodiscover at %s redirects to Exchange Online (%s)", host, target.Hostname()))
				}
				return result(check.Warned("autodiscover at %s redirects to %q", host, answer.Location))
			case answer.Status == http.StatusUnauthorized && len(answer.Schemes) > 0:
				return result(check.Pass("autodiscover at %s asks for a sign-in (%s)", host, strings.Join(answer.Schemes, ", ")))
			case answer.Status == http.StatusUnauthorized:
				return result(check.Failed("autodiscover at %s answers 401 and offers no way to sign in: something before Exchange answers", host))
			case answer.Status == http.StatusOK:
				return result(check.Failed("autodiscover at %s answers without asking for a sign-in: something before Exchange answers", host))
			}
			return result(check.Failed("autodiscover at %s answers %d %s", host, answer.Status, http.StatusText(answer.Status)))
		},
	},
}

// refuses tells whether a connection failed because there is nobody: the name does not exist or the port is closed. Time running out
// may also be a firewall between here and there, and proves nothing.
func refuses(err error) bool {
	var name *net.DNSError
	return errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &name) && name.IsNotFound || errors.Is(err, dns.ErrAbsent) || errors.Is(err, dns.ErrEmpty)
}
