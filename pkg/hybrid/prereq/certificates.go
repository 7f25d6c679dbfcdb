package prereq

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/finding"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/smtp"
)

// The thresholds of certificate lifetimes, in days. Source: HealthChecker (CSS-Exchange).
const (
	warnDays = 60
	failDays = 30
	// a next auth certificate with fewer days is too short to help; source:
	// MonitorExchangeAuthCertificate (CSS-Exchange)
	nextDays = 120
)

// distribute is the fix where only the distribution of the auth certificate failed. A new one would
// break lookups until it is uploaded.
const distribute = "Do not make a new one: export it with its key from a server that has it, and import it on the " +
	"servers named with Import-ExchangeCertificate (Exchange does so by itself within some hours, unless sites keep " +
	"servers apart)."

var certificateChecks = []Check{
	{
		ID:    "certificates.transport",
		Title: "The transport certificate is valid, trusted and has the right names",
		Scope: PerForest,
		Reads: fact.List(fact.CertificateFile, fact.MailServers, fact.DeadAddresses),
		Why: "Mail between the sides is encrypted and recognized by this certificate: the tenant attributes mail " +
			"to the forest by its name.",
		Fix: "Get a certificate from a public authority with the forest's names (mail, autodiscover, EWS), import " +
			"it on every server that sends or receives, and enable it for SMTP; answer No when asked to overwrite " +
			"the default SMTP certificate.",
		Consider: "Partners may have written the name or issuer of the old certificate into their connectors. Keep " +
			"it until every server presents the new one.",
		Run: func(ctx context.Context, in Input) check.Result {
			seen, err := transportCertificates(ctx, in.Set, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			return judgeTransport(ctx, in, seen)
		},
	},
	{
		ID:    "certificates.transport-distinct",
		Title: "Each forest has its own transport certificate",
		Scope: PerOrganization,
		Needs: []check.ID{"certificates.transport"},
		Reads: fact.List(fact.CertificateFile, fact.MailServers),
		Why: "The tenant attributes mail to a forest by its certificate: it cannot distinguish two forests whose " +
			"certificates have the same common name and the same issuer.",
		Fix: "Get one certificate per forest, each with its own common name.",
		Consider: "The inbound connector of the tenant recognizes the forest by the name of the certificate. Apply a " +
			"plan right after the change: until then, mail from the forest counts as external.",
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
				return check.Warned("forests share the common name of their transport certificates: %s",
					strings.Join(alike, "; ")).With("shared", alike).
					Because("Their issuers differ, which Microsoft's rules allow; but the tenant's inbound " +
						"connectors know a forest by the name in its certificate alone, so two connectors would be " +
						"for the same mail.")
			}
			if len(shared) > 0 {
				return check.Failed("forests share the common name and the issuer of their transport certificates: %s",
					strings.Join(shared, "; ")).With("shared", shared)
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
		Why: "Exchange signs its tokens with this certificate. The tenant must know the same certificate that every " +
			"server has. When it expires, lookups fail.",
		Fix: "Stage a new one with hybridge rotate auth-certificate stage, and publish it when every server has it: the " +
			"tenant knows its key before Exchange signs with it. With MonitorExchangeAuthCertificate.ps1 (CSS-Exchange; " +
			"in a hybrid organization it requires -IgnoreHybridConfig $true), run hybridge apply before the effective " +
			"date, so that the application knows it. Answer No when asked to overwrite the default SMTP certificate.",
		Consider: "Tokens that are signed with the new certificate are refused until every server and Entra know it: " +
			"lookups and sign-ins to Outlook on the web fail. An effective date two days ahead avoids that.",
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
				return renew(in, auth, result(check.Failed("the auth certificate %s of %s is on none of its servers",
					auth.Current, in.Forest.Name())))
			}
			if len(lacking) > 0 {
				return result(check.Failed("the auth certificate %s of %s is missing on %s", auth.Current,
					in.Forest.Name(), someOf(lacking))).With("servers", lacking).Fix(distribute)
			}
			left := days(now, current.NotAfter)
			ends := day(current.NotAfter)
			switch {
			case now.After(current.NotAfter):
				return renew(in, auth, result(check.Failed("the auth certificate of %s ended on %s", in.Forest.Name(),
					ends)))
			case now.Before(current.NotBefore):
				return result(check.Failed("the auth certificate of %s is not valid before %s", in.Forest.Name(),
					day(current.NotBefore)))
			}
			var staged msg.Text
			if auth.Next != "" && !strings.EqualFold(auth.Next, auth.Current) {
				next, lacking := auth.Certificate(auth.Next)
				switch {
				case next == nil:
					return result(check.Warned("the next auth certificate %s of %s is on none of its servers",
						auth.Next, in.Forest.Name()))
				case !auth.NextEffective.IsZero() && auth.NextEffective.Before(now):
					return result(check.Warned("the next auth certificate %s of %s was to become the current one on "+
						"%s and "+
						"did not", auth.Next, in.Forest.Name(), day(auth.NextEffective))).
						Because("The service that changes over did not act: Exchange goes on signing with the old "+
							"certificate until that ends.").
						Fix("When hybridge plan has nothing to change for the application's keys, publish it by hand.").
						FixWith("Set-AuthConfig -PublishCertificate", "Set-AuthConfig -ClearPreviousCertificate")
				case auth.NextEffective.After(current.NotAfter):
					return result(check.Warned("the next auth certificate %s of %s becomes the current one on %s, and "+
						"the present one ends on %s", auth.Next, in.Forest.Name(), day(auth.NextEffective), ends)).
						Because("In between, no token of the forest is valid: lookups fail.").
						Fix("Publish it before: hybridge rotate auth-certificate publish.")
				case len(lacking) > 0:
					return result(check.Warned("the next auth certificate %s of %s is missing on %s", auth.Next,
						in.Forest.Name(), someOf(lacking))).With("servers", lacking)
				case days(now, next.NotAfter) > nextDays:
					staged = msg.Of("; the next one is staged")
				}
			}
			if staged.IsZero() && left < failDays {
				return result(check.Failed("the auth certificate of %s ends in %s and no next one is staged",
					in.Forest.Name(), daysLeft(left)))
			}
			if staged.IsZero() && left < warnDays {
				return result(check.Warned("the auth certificate of %s ends in %s", in.Forest.Name(), daysLeft(left)))
			}
			return result(check.Pass("the auth certificate is on %s and valid for %s%s",
				msg.Count(len(auth.Servers), "%s server", "%s servers"), daysLeft(left), staged))
		},
	},
}

// renew adds the commands that give Exchange an auth certificate which it can sign with
// immediately. A new one that is staged two days ahead would leave lookups broken until then.
func renew(in Input, auth fact.AuthConfig, r check.Result) check.Result {
	var best *x509.Certificate
	for _, c := range auth.Known() {
		usable := in.Now().Before(c.NotAfter) && !in.Now().Before(c.NotBefore)
		if usable && (best == nil || c.NotAfter.After(best.NotAfter)) {
			best = c
		}
	}
	commands := func(thumbprint string) []string {
		return []string{
			"Set-AuthConfig -NewCertificateThumbprint " + thumbprint +
				" -NewCertificateEffectiveDate (Get-Date) -Force",
			"Set-AuthConfig -PublishCertificate", "Set-AuthConfig -ClearPreviousCertificate",
		}
	}
	after := msg.Of("Then restart the service MSExchangeServiceHost and the application pools MSExchangeOWAAppPool " +
		"and MSExchangeECPAppPool on every server, and run hybridge apply: the application must know the certificate.")
	if best == nil {
		return r.Fix("Make a new one with New-ExchangeCertificate (subject cn=Microsoft Exchange Server Auth "+
			"Certificate, "+
			"no services), and make it the current one now: Set-AuthConfig with its thumbprint and the present date, "+
			"then -PublishCertificate and -ClearPreviousCertificate. %s", after)
	}
	return r.Fix("A server has a valid one. Make it the current one now. %s", after).
		FixWith(commands(certificate.Thumbprint(best))...).With("valid", certificate.Thumbprint(best))
}

// withSeveral returns the keys that several forests have, with those forests.
func withSeveral(forests map[string][]string) []string {
	var out []string
	for _, key := range sorted(forests) {
		if len(forests[key]) > 1 {
			out = append(out, key+" ("+strings.Join(forests[key], ", ")+")")
		}
	}
	return out
}

// candidate is a certificate that may secure a forest's mail.
type candidate struct {
	certificate.Bundle
	source string // "file" or "served"
}

// probeLimit limits the wait for the SMTP server when the answers name the certificate file anyway.
const probeLimit = 50 * time.Second

// mailTLS is the observed TLS setup of a forest's mail.
type mailTLS struct {
	certificates []candidate
	server       fact.MailServer
	findings     []finding.Finding // about the mail server; not about its certificate
}

// transportCertificates returns the certificate that the answers name and, where it is visible, the
// one that the forest's SMTP name serves now. It adds the findings about the mail server.
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
	host := f.Answers.Namespace.SMTP
	if host == "" {
		if len(out.certificates) == 0 {
			return out, fmt.Errorf("%s: namespace.smtp: %w", f.Name(), fact.ErrNotConfigured)
		}
		return out, nil
	}
	server, err := fact.MailServers.In(ctx, set.Network, host)
	switch {
	case err != nil && len(out.certificates) == 0:
		return out, err
	case err != nil:
		out.findings = []finding.Finding{{ID: "unseen", Level: finding.Blind, Format: "%s could not be checked: %v",
			Args: []any{host, err}}}
		return out, nil
	}
	server.Address = host
	out.server, out.findings = server, smtp.Judge(server.Report, server.Err)
	if server.Certificate.Leaf != nil {
		out.certificates = append(out.certificates, candidate{server.Certificate, "served"})
	}
	return out, nil
}

// judgeTransport judges the certificates and the mail server of a forest. The worst finding is the
// result. The others are listed below it.
func judgeTransport(ctx context.Context, in Input, seen mailTLS) check.Result {
	var all []finding.Finding
	file := candidate{}
	for _, c := range seen.certificates {
		found := certificate.Judge(c.Bundle, certificate.Use{
			What: in.certificateName(c), Roots: in.Roots, Hosts: namespaces(in.Forest), Now: in.Now(), Mail: true,
			Served: c.source == "served",
		})
		if c.source == "file" {
			file = c
		}
		if c.source == "file" || file.Leaf == nil || !c.Leaf.Equal(file.Leaf) {
			all = append(all, found...)
			continue
		}
		for _, f := range found { // of the same certificate, as the server sends it
			if !slices.ContainsFunc(all, func(o finding.Finding) bool { return o.ID == f.ID }) {
				all = append(all, f)
			}
		}
	}
	all = append(all, seen.findings...)
	if seen.server.Banner != "" {
		all = append(all, judgeAddresses(ctx, in, net.JoinHostPort(in.Forest.Answers.Namespace.SMTP, "25"))...)
	}
	worst, found := finding.Worst(all)
	var r check.Result
	switch {
	case !found:
	case worst.Level == finding.Wrong:
		r = check.Failed("%s", text(worst))
	case worst.Level == finding.Doubtful:
		r = check.Warned("%s", text(worst))
	case file.Leaf == nil:
		r = check.Unknown(errors.New(worst.String()))
		r.Summary = text(worst)
	case worst.Level == finding.Unseen:
		r = check.Warned("the certificate file passes, but the mail server could not be checked: %s", text(worst))
	}
	if r.Status == "" && len(seen.certificates) > 0 {
		r = in.transportInOrder(ctx, seen.certificates, worst)
	}
	if worst.Fix != "" && r.Status != check.StatusPass {
		r = r.Fix("%s", msg.Text{Format: worst.Fix})
	}
	if others := besides(all, worst); len(others) > 0 {
		r.Detail = msg.Of("Seen besides: %s.", msg.Join(others, "; "))
	}
	if len(seen.certificates) > 0 {
		r = evidence(r, seen.certificates)
	}
	if host := in.Forest.Answers.Namespace.SMTP; seen.server.Address != "" {
		r = r.With("host", host).With("banner", seen.server.Banner)
		if len(seen.server.Capabilities) > 0 {
			r = r.With("capabilities", keywords(seen.server.Capabilities))
		}
	}
	return r
}

// transportInOrder passes, unless the tenant cannot attribute mail by the certificate.
func (in Input) transportInOrder(ctx context.Context, certificates []candidate, unseen finding.Finding) check.Result {
	for _, c := range certificates {
		if r, ok := attributed(ctx, in, c); !ok {
			return r
		}
	}
	leaf := certificates[0].Leaf
	name, left := certificate.CommonName(certificate.Subject(leaf)), daysLeft(days(in.Now(), leaf.NotAfter))
	if unseen.Level != 0 {
		return check.Pass("%s is valid for %s; the mail server was not checked: %s", name, left, text(unseen))
	}
	return check.Pass("%s is valid for %s", name, left)
}

// certificateName returns the name of a certificate for use in a sentence.
func (in Input) certificateName(c candidate) msg.Text {
	name := certificate.CommonName(certificate.Subject(c.Leaf))
	if c.source == "served" {
		return msg.Of("the certificate %s that %s serves for mail", name, in.Forest.Answers.Namespace.SMTP)
	}
	return msg.Of("the transport certificate %s of %s", name, in.Forest.Name())
}

// evidence adds the identity of the first certificate, and of the second one when it differs.
func evidence(r check.Result, certificates []candidate) check.Result {
	c := certificates[0]
	for _, o := range certificates[1:] {
		if !o.Leaf.Equal(c.Leaf) {
			r = r.With("served", certificate.Thumbprint(o.Leaf))
		}
	}
	return r.With("source", c.source).With("thumbprint", certificate.Thumbprint(c.Leaf)).With("subject",
		certificate.Subject(c.Leaf)).
		With("issuer", certificate.Issuer(c.Leaf)).With("names", certificate.Names(c.Leaf)).With("notAfter",
		day(c.Leaf.NotAfter))
}

// text converts a finding to the text type of reports.
func text(f finding.Finding) msg.Text { return msg.Text{Format: f.Format, Args: f.Args} }

// besides returns the findings other than the worst one.
func besides(all []finding.Finding, worst finding.Finding) []msg.Text {
	var out []msg.Text
	skipped := false
	for _, f := range all {
		if !skipped && f.ID == worst.ID && f.String() == worst.String() {
			skipped = true
			continue
		}
		out = append(out, text(f))
	}
	return out
}

func keywords(c smtp.Capabilities) []string {
	var out []string
	for _, x := range c {
		out = append(out, x.Keyword)
	}
	return out
}

// attributed checks that the tenant can attribute mail by the certificate. One of its names must be
// a domain that the tenant accepts, or a host directly under one. A domain further up is not
// enough, unless it is accepted with its subdomains. Where the tenant's domains cannot be read,
// other checks say so.
func attributed(ctx context.Context, in Input, c candidate) (r check.Result, ok bool) {
	accepted, err := fact.OnlineAcceptedDomains.In(ctx, in.Tenant)
	if err != nil {
		return r, true
	}
	domains := slices.Clone(in.Forest.Answers.Domains) // domains.accepted checks whether these are accepted
	names := append([]string{certificate.CommonName(certificate.Subject(c.Leaf))}, certificate.Names(c.Leaf)...)
	for _, name := range names {
		_, parent, _ := strings.Cut(name, ".")
		if contains(domains, name) || contains(domains, parent) || findDomain(accepted, name) != nil ||
			findDomain(accepted, parent) != nil {
			return r, true
		}
	}
	return check.Warned("no name of the transport certificate of %s is in a domain that Exchange Online accepts: %s",
		in.Forest.Name(), someOf(names)).
		Because("Exchange Online attributes mail to the tenant whose accepted domain the certificate names, and then " +
			"to the connector. Mail with this certificate arrives as anonymous, or is refused (550 5.7.64 with " +
			"ATTR36).").
		Fix("Get a certificate with a name in one of the tenant's accepted domains, or have the tenant accept and " +
			"verify the certificate's domain."), false
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// namespaces returns the host names that a forest's certificate must contain.
func namespaces(f *fact.Side) []string {
	var out []string
	for _, host := range []string{f.Answers.Namespace.SMTP, f.Answers.Namespace.EWS, f.Answers.Namespace.Autodiscover} {
		if host != "" && !contains(out, host) {
			out = append(out, host)
		}
	}
	return out
}

// transportDisorder reports whether a forest's transport certificate contains a host's name and has
// a fault.
func transportDisorder(ctx context.Context, in Input, f *fact.Side, host string) bool {
	seen, err := transportCertificates(ctx, in.Set, f)
	return err == nil && slices.ContainsFunc(seen.certificates, func(c candidate) bool {
		return certificate.Covers(c.Leaf, host) && certificate.Verify(c.Bundle, in.Roots, "", in.Now()) != nil
	})
}

// transportToBlame names the forest whose transport certificate made a request fail: servers
// usually present the same certificate on port 443. certificates.transport alone reports the fault.
// The result is empty when the certificate is not the reason.
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
		hosts := []string{f.Answers.Exchange.Server, f.Answers.Namespace.Autodiscover, f.Answers.Namespace.EWS}
		if u, err := url.Parse(f.Answers.Exchange.URL); err == nil {
			hosts = append(hosts, u.Hostname())
		}
		if contains(hosts, refused.Host) && transportDisorder(ctx, in, f, refused.Host) {
			return f.Name()
		}
	}
	return ""
}
