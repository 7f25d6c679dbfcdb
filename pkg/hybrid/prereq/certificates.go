package prereq

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// The thresholds of certificate lifetimes, in days. Source: HealthChecker (CSS-Exchange).
const (
	warnDays = 60
	failDays = 30
	nextDays = 120 // a next auth certificate with no more is no relief; source: MonitorExchangeAuthCertificate (CSS-Exchange)
)

// distribute is what to do where only the distribution of the auth certificate failed: a new one would end lookups until it is uploaded.
const distribute = "Do not make a new one: export it with its key from a server that has it, and import it on the servers named with Import-ExchangeCertificate (Exchange does so by itself within some hours, unless sites keep servers apart)."

var certificateChecks = []Check{
	{
		ID:    "certificates.transport",
		Title: "The transport certificate is valid, trusted and rightly named",
		Scope: PerForest,
		Reads: fact.List(fact.CertificateFile, fact.MailServers),
		Why:   "Mail between the sides is encrypted and recognized by this certificate: the tenant attributes mail to the forest by its name.",
		Fix:   "Get a certificate from a public authority with the forest's names (mail, autodiscover, EWS), import it on every server that sends or receives, and enable it for SMTP; answer No when asked to overwrite the default SMTP certificate.",
		Run: func(ctx context.Context, in Input) check.Result {
			seen, err := transportCertificates(ctx, in.Set, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			if seen.clear {
				host := in.Forest.Answers.Namespace.SMTP
				return check.Failed("the mail server %s offers no STARTTLS: it shows no certificate, and mail with the tenant needs TLS", host).With("host", host).With("capabilities", seen.offers).
					Fix("Enable TLS on the receive connector of port 25, and look for a firewall that inspects SMTP and takes STARTTLS out of the server's answer.")
			}
			var first check.Result
			for i, c := range seen.certificates {
				r := judgeTransport(in, c)
				if r.Status == check.StatusPass {
					r = attributed(ctx, in, c, r)
				}
				if r.Status != check.StatusPass {
					return r
				}
				if i == 0 {
					first = r
				}
			}
			return first
		},
	},
	{
		ID:    "certificates.transport-distinct",
		Title: "Every forest has a transport certificate of its own",
		Scope: PerOrganization,
		Needs: []check.ID{"certificates.transport"},
		Reads: fact.List(fact.CertificateFile, fact.MailServers),
		Why:   "The tenant tells the forests' mail apart by the certificate: two forests whose certificates have the same common name and the same issuer are one to it.",
		Fix:   "Get each forest a certificate with a common name of its own.",
		Run: func(ctx context.Context, in Input) check.Result {
			if len(in.Forests) < 2 {
				return check.NotApplicable("there is only one forest")
			}
			holders, names := map[string][]string{}, map[string][]string{}
			for _, f := range in.Forests {
				seen, err := transportCertificates(ctx, in.Set, f)
				if err != nil {
					return check.Unknown(err)
				}
				for _, c := range seen.certificates {
					name := strings.ToLower(certificate.CommonName(certificate.Subject(c.Leaf)))
					if name != "" && !contains(names[name], f.Name()) {
						names[name] = append(names[name], f.Name())
					}
					key := certificate.NameAndIssuer(c.Leaf)
					if !contains(holders[key], f.Name()) {
						holders[key] = append(holders[key], f.Name())
					}
				}
			}
			shared, alike := withSeveral(holders), withSeveral(names)
			if len(shared) == 0 && len(alike) > 0 {
				return check.Warned("forests share the common name of their transport certificates: %s", strings.Join(alike, "; ")).With("shared", alike).
					Because("Their issuers differ, which Microsoft's rules allow; but the tenant's inbound connectors know a forest by the name in its certificate alone, so two connectors would be for the same mail.")
			}
			if len(shared) > 0 {
				return check.Failed("forests share the common name and the issuer of their transport certificates: %s", strings.Join(shared, "; ")).With("shared", shared)
			}
			return check.Pass("the certificates of all %d forests differ in common name or issuer", len(in.Forests))
		},
	},
	{
		ID:    "certificates.auth",
		Title: "The Exchange auth certificate is on every server and valid",
		Scope: PerForest,
		Needs: []check.ID{"access.onprem-read"},
		Reads: fact.List(fact.Auth),
		Why:   "Exchange signs its tokens with it; what the tenant knows of it must be what every server has. When it ends, lookups end.",
		Fix: "Stage a new one with MonitorExchangeAuthCertificate.ps1 (CSS-Exchange; in a hybrid organization it wants -IgnoreHybridConfig $true), or with New-ExchangeCertificate and Set-AuthConfig -NewCertificateThumbprint and an effective date two days ahead; " +
			"run hybridge apply before that date, so that the application knows it. Answer No when asked to overwrite the default SMTP certificate.",
		Run: func(ctx context.Context, in Input) check.Result {
			auth, err := fact.Auth.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			if auth.Current == "" {
				return check.Failed("the Exchange organization of %s has no current auth certificate", in.Forest.Name())
			}
			current, lacking := auth.Certificate(auth.Current)
			now := in.Now()
			result := func(r check.Result) check.Result {
				r = r.With("current", auth.Current).With("next", auth.Next)
				if current != nil {
					r = r.With("notAfter", day(current.NotAfter))
				}
				return r
			}
			if current == nil {
				return result(check.Failed("the auth certificate %s of %s is on none of its servers", auth.Current, in.Forest.Name()))
			}
			if len(lacking) > 0 {
				return result(check.Failed("the auth certificate %s of %s is missing on %s", auth.Current, in.Forest.Name(), someOf(lacking))).With("servers", lacking).Fix(distribute)
			}
			left := days(now, current.NotAfter)
			ends := day(current.NotAfter)
			switch {
			case now.After(current.NotAfter):
				return result(check.Failed("the auth certificate of %s ended on %s", in.Forest.Name(), ends))
			case now.Before(current.NotBefore):
				return result(check.Failed("the auth certificate of %s is not valid before %s", in.Forest.Name(), day(current.NotBefore)))
			}
			var staged msg.Text
			if auth.Next != "" && !strings.EqualFold(auth.Next, auth.Current) {
				next, lacking := auth.Certificate(auth.Next)
				switch {
				case next == nil:
					return result(check.Warned("the next auth certificate %s of %s is on none of its servers", auth.Next, in.Forest.Name()))
				case len(lacking) > 0:
					return result(check.Warned("the next auth certificate %s of %s is missing on %s", auth.Next, in.Forest.Name(), someOf(lacking))).With("servers", lacking)
				case days(now, next.NotAfter) > nextDays:
					staged = msg.Of("; the next one is staged")
				}
			}
			if staged.IsZero() && left < failDays {
				return result(check.Failed("the auth certificate of %s ends in %s and no next one is staged", in.Forest.Name(), daysLeft(left)))
			}
			if staged.IsZero() && left < warnDays {
				return result(check.Warned("the auth certificate of %s ends in %s", in.Forest.Name(), daysLeft(left)))
			}
			return result(check.Pass("the auth certificate is on %s and valid for %s%s", msg.Count(len(auth.Servers), "%s server", "%s servers"), daysLeft(left), staged))
		},
	},
}

// withSeveral are the keys of several forests, with them.
func withSeveral(forests map[string][]string) []string {
	var out []string
	for _, key := range sorted(forests) {
		if len(forests[key]) > 1 {
			out = append(out, key+" ("+strings.Join(forests[key], ", ")+")")
		}
	}
	return out
}

// candidate is a certificate that a forest's mail may be sent and received with.
type candidate struct {
	certificate.Bundle
	source string // "file" or "served"
}

// probeLimit is how long the SMTP server is waited for when a file names the certificate anyway:
// outbound port 25 is often closed.
const probeLimit = 10 * time.Second

// mailTLS is what can be seen of how a forest secures its mail.
type mailTLS struct {
	certificates []candidate
	clear        bool     // the mail server offers no STARTTLS
	offers       []string // what it offers instead
}

// transportCertificates are the certificate that the answers name and, where it can be seen and is
// another, the one that the forest's SMTP name serves now.
func transportCertificates(ctx context.Context, set *fact.Set, f *fact.Side) (mailTLS, error) {
	var out mailTLS
	file, err := fact.CertificateFile.In(ctx, f)
	switch {
	case err == nil:
		out.certificates = append(out.certificates, candidate{file, "file"})
		limited, cancel := context.WithTimeout(ctx, probeLimit)
		defer cancel()
		ctx = limited
	case !errors.Is(err, fact.ErrNotConfigured):
		return out, err
	}
	if f.Answers.Namespace.SMTP == "" {
		if len(out.certificates) == 0 {
			return out, fmt.Errorf("%s: namespace.smtp: %w", f.Name(), fact.ErrNotConfigured)
		}
		return out, nil
	}
	server, err := fact.MailServers.In(ctx, set.Network, f.Answers.Namespace.SMTP)
	switch {
	case err != nil && len(out.certificates) == 0:
		return out, err
	case err != nil:
	case !server.StartTLS:
		out.clear = true
		for _, c := range server.Capabilities {
			out.offers = append(out.offers, c.Keyword)
		}
	case len(out.certificates) == 0 || !server.Certificate.Leaf.Equal(file.Leaf):
		out.certificates = append(out.certificates, candidate{server.Certificate, "served"})
	}
	return out, nil
}

// judgeTransport judges one certificate of a forest.
func judgeTransport(in Input, c candidate) check.Result {
	leaf, forest := c.Leaf, in.Forest.Name()
	now := in.Now()
	left := days(now, leaf.NotAfter)
	name := certificate.CommonName(certificate.Subject(leaf))
	what := msg.Of("the transport certificate %s of %s", name, forest)
	if c.source == "served" {
		what = msg.Of("the certificate %s that %s serves for mail", name, in.Forest.Answers.Namespace.SMTP)
	}
	result := func(r check.Result) check.Result {
		return r.With("source", c.source).With("thumbprint", certificate.Thumbprint(leaf)).With("subject", certificate.Subject(leaf)).
			With("issuer", certificate.Issuer(leaf)).With("names", certificate.Names(leaf)).With("notAfter", day(leaf.NotAfter))
	}
	switch {
	case now.After(leaf.NotAfter):
		return result(check.Failed("%s ended on %s", what, day(leaf.NotAfter)))
	case now.Before(leaf.NotBefore):
		return result(check.Failed("%s is not valid before %s", what, day(leaf.NotBefore)))
	case certificate.SelfSigned(leaf):
		return result(check.Failed("%s is self-signed: the tenant does not trust it", what))
	}
	if err := certificate.Verify(c.Bundle, in.Roots, "", now); err != nil {
		return result(check.Failed("%s is not trusted: %v", what, err))
	}
	var lacking []string
	for _, host := range namespaces(in.Forest) {
		if !certificate.Covers(leaf, host) {
			lacking = append(lacking, host)
		}
	}
	switch _, client := certificate.Usable(leaf); {
	case len(lacking) > 0:
		return result(check.Failed("%s lacks %s", what, strings.Join(lacking, ", ")))
	case name == "":
		return result(check.Failed("%s has no common name: connectors cannot name it", what))
	case left < failDays:
		return result(check.Failed("%s ends in %s", what, daysLeft(left)))
	case !client:
		return result(check.Warned("%s is not made for clients (extended key usage): the server may not be able to present it to the tenant", what)).
			Because("For mail to the tenant the server is the client and shows this certificate. Microsoft says nothing about certificates for servers alone; public authorities are ceasing to issue others (DigiCert by 2027-03-01).").
			Fix("Send a message to a cloud mailbox and look at its headers: while it arrives as internal, nothing needs to be done.")
	case left < warnDays:
		return result(check.Warned("%s ends in %s", what, daysLeft(left)))
	}
	return result(check.Pass("%s is valid for %s", name, daysLeft(left)))
}

// attributed looks whether the tenant can tell by the certificate whose mail it is: a name of it must be a domain that the tenant accepts, or a host right
// under one; a domain further up is not enough. Where the tenant's domains cannot be read, other checks say so.
func attributed(ctx context.Context, in Input, c candidate, r check.Result) check.Result {
	accepted, err := fact.OnlineAcceptedDomains.In(ctx, in.Tenant)
	if err != nil {
		return r
	}
	domains := slices.Clone(in.Forest.Answers.Domains) // whether these are accepted is what domains.accepted tells
	for _, d := range accepted {
		domains = append(domains, d.Name)
	}
	names := append([]string{certificate.CommonName(certificate.Subject(c.Leaf))}, certificate.Names(c.Leaf)...)
	for _, name := range names {
		_, parent, _ := strings.Cut(name, ".")
		if contains(domains, name) || contains(domains, parent) {
			return r
		}
	}
	w := check.Warned("no name of the transport certificate of %s is in a domain that Exchange Online accepts: %s", in.Forest.Name(), someOf(names)).
		Because("Exchange Online attributes mail to the tenant whose accepted domain the certificate names, and then to the connector. Mail with this certificate arrives as anonymous, or is refused (550 5.7.64 with ATTR36).").
		Fix("Get a certificate with a name in one of the tenant's accepted domains, or have the tenant accept and verify the certificate's domain.")
	w.Evidence = r.Evidence
	return w
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// namespaces are the host names that a forest's certificate must hold.
func namespaces(f *fact.Side) []string {
	var out []string
	for _, host := range []string{f.Answers.Namespace.SMTP, f.Answers.Namespace.EWS, f.Answers.Namespace.Autodiscover} {
		if host != "" && !contains(out, host) {
			out = append(out, host)
		}
	}
	return out
}

// transportDisorder tells whether a forest's transport certificate holds a host's name and is not in order.
func transportDisorder(ctx context.Context, in Input, f *fact.Side, host string) bool {
	seen, err := transportCertificates(ctx, in.Set, f)
	return err == nil && slices.ContainsFunc(seen.certificates, func(c candidate) bool {
		return certificate.Covers(c.Leaf, host) && certificate.Verify(c.Bundle, in.Roots, "", in.Now()) != nil
	})
}

// transportToBlame names the forest whose transport certificate is why a question could not be put: its servers answer with the same one
// on port 443 as a rule. One fault is told once, by certificates.transport. Empty when it is not the reason.
func transportToBlame(ctx context.Context, in Input, err error) string {
	var refused *link.HostError
	if !errors.Is(err, link.ErrUntrusted) || !errors.As(err, &refused) {
		return ""
	}
	forests := in.Forests
	if in.Forest != nil {
		forests = []*fact.Side{in.Forest}
	}
	for _, f := range forests {
		hosts := []string{f.Answers.Exchange.Server, f.Answers.Namespace.Autodiscover}
		if u, err := url.Parse(f.Answers.Exchange.URL); err == nil {
			hosts = append(hosts, u.Hostname())
		}
		if contains(hosts, refused.Host) && transportDisorder(ctx, in, f, refused.Host) {
			return f.Name()
		}
	}
	return ""
}
