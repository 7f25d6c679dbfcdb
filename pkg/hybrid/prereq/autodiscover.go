package prereq

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/finding"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

var autodiscoverChecks = []Check{
	{
		ID:    "autodiscover.answers",
		Title: "Autodiscover of the forest answers",
		Scope: PerForest,
		Reads: fact.List(fact.Aliases, fact.AutodiscoverHosts, fact.DeadAddresses),
		Why: "Exchange Online finds the forest's calendars by autodiscover, unless a connector names the address " +
			"of EWS (TargetSharingEpr): at the forest's own name, without pre-authentication, and with a certificate " +
			"that it can trust (the wizard's errors HCW8034 and HCW8057).",
		Fix: "Publish /autodiscover/ of the Exchange servers on port 443 under the name, with a certificate that " +
			"holds the name and a chain to a public authority; while mailboxes are in the forest the name must not " +
			"lead to Exchange Online.",
		Consider: "A name that is published is reached by the whole internet: Exchange's own sign-in protects it, " +
			"and security updates count. Clients keep an old DNS answer until its time to live has passed.",
		Run: whilePublished(func(ctx context.Context, in Input) check.Result {
			host := in.Forest.Answers.Namespace.Autodiscover
			if host == "" {
				return check.NotApplicable("the answers name no autodiscover host for %s", in.Forest.Name())
			}
			chain, err := fact.Aliases.In(ctx, in.Network, host)
			if err != nil && !errors.Is(err, dns.ErrAbsent) && !errors.Is(err, dns.ErrEmpty) &&
				!errors.Is(err, fact.ErrNotConfigured) && !errors.Is(err, dns.ErrFailed) {
				return check.Unknown(err)
			}
			if at := slices.IndexFunc(chain, cloud.IsExchangeOnline); at >= 0 {
				return check.Failed("%s leads to Exchange Online (%s)", host, chain[at]).With("aliases", chain)
			}
			answer, err := fact.AutodiscoverHosts.In(ctx, in.Network, host)
			return judgeFront(ctx, in, "autodiscover", host, answer, err)
		}),
	},
	{
		ID:    "ews.answers",
		Title: "EWS of the forest answers",
		Scope: PerForest,
		Reads: fact.List(fact.EWSHosts, fact.DeadAddresses),
		Why: "Exchange Online asks the forest for calendars at its EWS address, without pre-authentication and " +
			"with its own token.",
		Fix: "Publish /EWS/ of the Exchange servers on port 443 under the name, with a certificate that holds the " +
			"name and a chain to a public authority.",
		Consider: "A name that is published is reached by the whole internet: limit it to the addresses of " +
			"Exchange Online on the firewall where clients do not need it.",
		Run: whilePublished(func(ctx context.Context, in Input) check.Result {
			host := in.Forest.Answers.Namespace.EWS
			if host == "" {
				return check.NotApplicable("the answers name no EWS host for %s", in.Forest.Name())
			}
			answer, err := fact.EWSHosts.In(ctx, in.Network, host)
			return judgeFront(ctx, in, "EWS", host, answer, err)
		}),
	},
}

// judgeFront judges the answer at an Exchange address that Exchange Online must reach. A failure on
// our own path to it is no finding.
func judgeFront(ctx context.Context, in Input, service, host string, answer ews.Front, err error) check.Result {
	var all []finding.Finding
	switch {
	case link.ByProxy(err):
		all = append(all, ews.JudgeConnection(host, err))
	case errors.Is(err, link.ErrUntrusted) && transportDisorder(ctx, in, in.Forest, host):
		return check.Unknown(err) // see transportToBlame
	case errors.Is(err, link.ErrUntrusted):
		return check.Failed("the certificate of %s is not to be trusted: %v", host, err).With("host", host)
	case refuses(err):
		return check.Failed("nothing answers for %s at https://%s: %v", service, host, err).With("host", host)
	case err != nil:
		all = append(all, ews.JudgeConnection(host, err))
	default:
		all = append(all, answer.Judge(cloud.IsExchangeOnline)...)
		all = append(all, judgeFrontCertificate(ctx, in, host, answer)...)
		all = append(all, judgeAddresses(ctx, in, net.JoinHostPort(host, "443"))...)
	}
	worst, found := finding.Worst(all)
	var r check.Result
	switch {
	case !found:
		r = check.Pass("%s at %s asks for a sign-in (%s)", service, host, strings.Join(answer.Schemes, ", "))
	case worst.Level == finding.Wrong:
		r = check.Failed("%s", text(worst))
	case worst.Level == finding.Doubtful:
		r = check.Warned("%s", text(worst))
	default:
		r = check.Unknown(err)
		r.Summary = text(worst)
	}
	if worst.Fix != "" {
		r = r.Fix("%s", msg.Text{Format: worst.Fix})
	}
	if others := besides(all, worst); len(others) > 0 {
		r = r.Because("Seen besides: %s.", msg.Join(others, "; "))
	}
	r = r.With("host", host)
	if answer.Status != 0 {
		r = r.With("status", answer.Status).With("schemes", answer.Schemes)
	}
	return r
}

// judgeAddresses reports the addresses of a host that do not answer although another one does.
// Connections to such a host fail at random.
func judgeAddresses(ctx context.Context, in Input, address string) []finding.Finding {
	found, err := fact.DeadAddresses.In(ctx, in.Network, address)
	if err != nil || len(found.Dead) == 0 || len(found.Dead) == found.All {
		return nil
	}
	var dead []string
	for _, d := range found.Dead {
		dead = append(dead, d.Address)
	}
	return []finding.Finding{{
		ID: "dead-address", Level: finding.Doubtful, Format: "%d of %d addresses of %s do not answer: %s",
		Args: []any{len(dead), found.All, address, someOf(dead)},
		Fix:  "Remove the address from DNS, or publish the service there too.",
	}}
}

// judgeFrontCertificate judges the certificate of a web address, unless it is the transport
// certificate, which certificates.transport judges.
func judgeFrontCertificate(ctx context.Context, in Input, host string, answer ews.Front) []finding.Finding {
	b, err := certificate.FromPeer(answer.Certificates)
	if err != nil {
		return nil // tests may seed an answer without one
	}
	b.Staple = answer.Staple
	seen, err := transportCertificates(ctx, in.Set, in.Forest)
	if err == nil && slices.ContainsFunc(seen.certificates, func(c candidate) bool { return c.Leaf.Equal(b.Leaf) }) {
		return nil
	}
	return certificate.Judge(b, certificate.Use{
		What: msg.Of("the certificate that %s serves for https", host), Roots: in.Roots, Hosts: []string{host},
		Now: in.Now(), Served: true,
	})
}

// refuses reports whether a connection failed because nothing listens: the name does not exist or
// the port is closed. A timeout proves nothing: a firewall in between may be the cause.
func refuses(err error) bool {
	var name *net.DNSError
	return !link.ByProxy(err) && (errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &name) && name.IsNotFound ||
		errors.Is(err, dns.ErrAbsent) || errors.Is(err, dns.ErrEmpty))
}
