package prereq

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
)

// The thresholds of certificate lifetimes, in days. Source: HealthChecker (CSS-Exchange).
const (
	warnDays = 60
	failDays = 30
)

var certificateChecks = []Check{
	{
		ID:    "certificates.transport",
		Title: "The transport certificate is valid, trusted and rightly named",
		Scope: check.PerForest,
		Why:   "Mail between the sides is encrypted and recognized by this certificate: the tenant attributes mail to the forest by its name.",
		Fix:   "Get a certificate from a public authority with the forest's names (mail, autodiscover, EWS), import it on every server that sends or receives, and enable it for SMTP.",
		Run: func(ctx context.Context, in Input) check.Result {
			bundle, source, err := transportCertificate(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			leaf := bundle.Leaf
			now := in.Now()
			left := days(now, leaf.NotAfter)
			result := func(r check.Result) check.Result {
				return r.With("source", source).With("thumbprint", certificate.Thumbprint(leaf)).With("subject", certificate.Subject(leaf)).
					With("issuer", certificate.Issuer(leaf)).With("names", certificate.Names(leaf)).With("notAfter", leaf.NotAfter.UTC().Format("2006-01-02"))
			}
			name := certificate.CommonName(certificate.Subject(leaf))
			switch {
			case now.After(leaf.NotAfter):
				return result(check.Failed("the transport certificate %s of %s ended on %s", name, in.Forest.Name(), leaf.NotAfter.UTC().Format("2006-01-02")))
			case now.Before(leaf.NotBefore):
				return result(check.Failed("the transport certificate %s of %s is not valid before %s", name, in.Forest.Name(), leaf.NotBefore.UTC().Format("2006-01-02")))
			case certificate.SelfSigned(leaf):
				return result(check.Failed("the transport certificate %s of %s is self-signed: the tenant does not trust it", name, in.Forest.Name()))
			}
			if err := certificate.Verify(bundle, in.Roots, "", now); err != nil {
				return result(check.Failed("the transport certificate %s of %s is not trusted: %v", name, in.Forest.Name(), err))
			}
			var lacking []string
			for _, host := range namespaces(in.Forest) {
				if !certificate.Covers(leaf, host) {
					lacking = append(lacking, host)
				}
			}
			if len(lacking) > 0 {
				return result(check.Failed("the transport certificate %s of %s lacks %s", name, in.Forest.Name(), strings.Join(lacking, ", ")))
			}
			if name == "" {
				return result(check.Failed("the transport certificate of %s has no subject name: connectors cannot name it", in.Forest.Name()))
			}
			if _, client := certificate.Usable(leaf); !client {
				return result(check.Warned("the transport certificate %s of %s is not made for clients (extended key usage): the server may not be able to present it to the tenant", name, in.Forest.Name()))
			}
			if left < warnDays {
				return result(check.Warned("the transport certificate %s of %s ends in %s", name, in.Forest.Name(), plural(left, "day", "days")))
			}
			return result(check.Pass("%s is valid for %s", name, plural(left, "day", "days")))
		},
	},
	{
		ID:    "certificates.transport-distinct",
		Title: "Every forest has a transport certificate of its own",
		Scope: check.PerOrganization,
		Needs: []check.ID{"certificates.transport"},
		Why:   "The tenant tells the forests' mail apart by the certificate: two forests whose certificates have the same common name and the same issuer are one to it.",
		Fix:   "Get each forest a certificate with a common name of its own.",
		Run: func(ctx context.Context, in Input) check.Result {
			if len(in.Forests) < 2 {
				return check.NotApplicable("there is only one forest")
			}
			holders := map[string][]string{}
			for _, f := range in.Forests {
				bundle, _, err := transportCertificate(ctx, f)
				if err != nil {
					return check.Unknown(err)
				}
				key := strings.ToLower(certificate.CommonName(certificate.Subject(bundle.Leaf))) + " of " + certificate.Issuer(bundle.Leaf)
				holders[key] = append(holders[key], f.Name())
			}
			var shared []string
			for _, key := range sorted(holders) {
				if len(holders[key]) > 1 {
					shared = append(shared, fmt.Sprintf("%s (%s)", key, strings.Join(holders[key], ", ")))
				}
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
		Scope: check.PerForest,
		Needs: []check.ID{"access.onprem"},
		Why:   "Exchange signs its tokens with it; what the tenant knows of it must be what every server has. When it ends, lookups end.",
		Fix:   "Renew it with MonitorExchangeAuthCertificate.ps1 (CSS-Exchange) or New-ExchangeCertificate and Set-AuthConfig, then run hybridge apply to upload it to the application.",
		Run: func(ctx context.Context, in Input) check.Result {
			auth, err := in.Forest.Auth.Get(ctx)
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
					r = r.With("notAfter", current.NotAfter.UTC().Format("2006-01-02"))
				}
				return r
			}
			if current == nil {
				return result(check.Failed("the auth certificate %s of %s is on none of its servers", auth.Current, in.Forest.Name()))
			}
			if len(lacking) > 0 {
				return result(check.Failed("the auth certificate %s of %s is missing on %s", auth.Current, in.Forest.Name(), someOf(lacking))).With("servers", lacking)
			}
			left := days(now, current.NotAfter)
			ends := current.NotAfter.UTC().Format("2006-01-02")
			switch {
			case now.After(current.NotAfter):
				return result(check.Failed("the auth certificate of %s ended on %s", in.Forest.Name(), ends))
			case now.Before(current.NotBefore):
				return result(check.Failed("the auth certificate of %s is not valid before %s", in.Forest.Name(), current.NotBefore.UTC().Format("2006-01-02")))
			}
			staged := ""
			if auth.Next != "" && !strings.EqualFold(auth.Next, auth.Current) {
				next, lacking := auth.Certificate(auth.Next)
				switch {
				case next == nil:
					return result(check.Warned("the next auth certificate %s of %s is on none of its servers", auth.Next, in.Forest.Name()))
				case len(lacking) > 0:
					return result(check.Warned("the next auth certificate %s of %s is missing on %s", auth.Next, in.Forest.Name(), someOf(lacking))).With("servers", lacking)
				case days(now, next.NotAfter) >= warnDays:
					staged = "; the next one is staged"
				}
			}
			if staged == "" && left < failDays {
				return result(check.Failed("the auth certificate of %s ends in %s and no next one is staged", in.Forest.Name(), plural(left, "day", "days")))
			}
			if staged == "" && left < warnDays {
				return result(check.Warned("the auth certificate of %s ends in %s", in.Forest.Name(), plural(left, "day", "days")))
			}
			return result(check.Pass("the auth certificate is on %s and valid for %s%s", plural(len(auth.Servers), "server", "servers"), plural(left, "day", "days"), staged))
		},
	},
}

// transportCertificate is the certificate that the answers name, else what the forest's SMTP name serves, and which of the two it is.
func transportCertificate(ctx context.Context, f *Forest) (certificate.Bundle, string, error) {
	bundle, err := f.CertificateFile.Get(ctx)
	if err == nil {
		return bundle, "file", nil
	}
	if !errors.Is(err, ErrNoSource) {
		return certificate.Bundle{}, "", err
	}
	bundle, err = f.CertificateServed.Get(ctx)
	return bundle, "served", err
}

// namespaces are the host names that a forest's certificate must hold.
func namespaces(f *Forest) []string {
	var out []string
	for _, host := range []string{f.Answers.Namespace.SMTP, f.Answers.Namespace.EWS, f.Answers.Namespace.Autodiscover} {
		if host != "" && !contains(out, host) {
			out = append(out, host)
		}
	}
	return out
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if strings.EqualFold(e, s) {
			return true
		}
	}
	return false
}

// AuthCertificates are the current and the next auth certificate as the desired state uploads them.
func AuthCertificates(a Auth) []desired.AuthCertificate {
	var out []desired.AuthCertificate
	for _, thumbprint := range []string{a.Current, a.Next} {
		if thumbprint == "" || len(out) > 0 && strings.EqualFold(thumbprint, a.Current) {
			continue
		}
		if c, _ := a.Certificate(thumbprint); c != nil {
			out = append(out, desired.AuthCertificate{DER: c.Raw, NotAfter: c.NotAfter})
		}
	}
	return out
}
