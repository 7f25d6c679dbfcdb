package prereq

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// endedAt names servers whose certificate for mail is not valid now, while that of another one is:
// certificates.transport fails where all are alike.
func endedAt(all []fact.MailDoor, now time.Time) (ended []string) {
	valid := false
	for _, d := range all {
		switch leaf := d.Mail.Certificate.Leaf; {
		case leaf == nil:
		case now.After(leaf.NotAfter) || now.Before(leaf.NotBefore):
			ended = append(ended, d.Server+" ("+day(leaf.NotBefore)+" to "+day(leaf.NotAfter)+")")
		default:
			valid = true
		}
	}
	if !valid {
		return nil
	}
	return ended
}

// storeChecks look at the certificates of each server: in its store, and as it presents them.
var storeChecks = []Check{
	{
		ID:     "certificates.mail-each",
		Title:  "Every server presents the forest's certificate for mail",
		Source: "source 002: privacy of the channel; exchange-hybrid 4.1; facts G 8",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.MailDoors),
		Why: "The tenant expects one name at every server. Mail that a load balancer leads to a server with another " +
			"certificate, or with one that has ended, waits and comes back (450 4.4.317 SubjectMismatch, CertExpired).",
		Fix: "Import the certificate on the servers named, and set TlsCertificateName of their default frontend " +
			"connector.",
		Consider: "Senders that pin the other certificate must learn this one.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			return mailDoors(ctx, in, func(all []fact.MailDoor) check.Result {
				holders := map[string][]string{}
				for _, d := range all {
					key := "none"
					if leaf := d.Mail.Certificate.Leaf; leaf != nil {
						key = certificate.Subject(leaf) + " issued by " + certificate.Issuer(leaf)
					}
					holders[key] = append(holders[key], d.Server)
				}
				if ended := endedAt(all, in.Now()); len(ended) > 0 {
					return check.Failed("the certificate for mail of %s has ended or not begun: %s",
						msg.Count(len(ended), "%s server", "%s servers"), someOf(ended)).With("servers", ended)
				}
				if len(holders) < 2 {
					return check.Pass("%s looked at", msg.Count(len(all), "%s server was", "%s servers were"))
				}
				var differ []string
				for _, key := range sorted(holders) {
					differ = append(differ, key+" ("+strings.Join(holders[key], ", ")+")")
				}
				return check.Failed("the servers of forest %s present %d certificates for mail: %s", in.Forest.Name(),
					len(holders), someOf(differ)).With("certificates", holders)
			})
		}),
	},
	{
		ID:     "certificates.mail-chain-each",
		Title:  "Every server sends the chain of its certificate for mail",
		Source: "issue 14: chain as served; facts G 9",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.MailDoors),
		Why: "A server without the intermediate certificate in its store sends the leaf alone: the tenant does not " +
			"trust it, while the other servers are trusted.",
		Fix:      "Import the intermediate certificates on the servers named, and restart the transport services.",
		Consider: "Mail waits while the transport services restart.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			return mailDoors(ctx, in, func(all []fact.MailDoor) check.Result {
				whole := map[string]bool{} // thumbprints of leaves that come with their chain somewhere
				complete := func(d fact.MailDoor) bool {
					return certificate.Verify(d.Mail.Certificate, in.Roots, "", in.Now()) == nil
				}
				for _, d := range all {
					if leaf := d.Mail.Certificate.Leaf; leaf != nil && complete(d) {
						whole[certificate.Thumbprint(leaf)] = true
					}
				}
				var cut []string
				for _, d := range all {
					leaf := d.Mail.Certificate.Leaf
					if leaf != nil && whole[certificate.Thumbprint(leaf)] && !complete(d) {
						cut = append(cut, d.Server)
					}
				}
				if len(cut) > 0 {
					return check.Failed("%s an incomplete chain: %s", msg.Count(len(cut), "%s server sends",
						"%s servers send"), someOf(cut)).With("servers", cut)
				}
				return check.Pass("%s looked at", msg.Count(len(all), "%s server was", "%s servers were"))
			})
		}),
	},
	{
		ID:     "certificates.send-connector",
		Title:  "Servers have the certificates that send connectors name",
		Source: "exchange-hybrid 4.1: 454 4.7.5; issue 14: bound to SMTP",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.SendConnectors, fact.CertificateStores),
		Why: "A connector names its certificate by issuer and subject. A server without such a certificate sends " +
			"nothing through the connector (454 4.7.5), and messages wait in its queue.",
		Fix: "Set TlsCertificateName to the issuer and subject of the present certificate (hybridge rotate " +
			"transport-certificate), or import the certificate on the servers named.",
		Consider: "The other side recognizes the sender by the certificate: its connectors must know the new name " +
			"first.",
		Run: stores(fact.SendConnectors, func(c fact.SendConnector) (string, string, []string) {
			return c.Name, ifEnabled(c.Enabled, c.TLSCertificateName), c.SourceServers
		}),
	},
	{
		ID:     "certificates.receive-connector",
		Title:  "Servers have the certificates that their receive connectors name",
		Source: "facts G 9: event 12014; issue 14: bound to SMTP",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.ReceiveConnectors, fact.CertificateStores),
		Why: "A receive connector whose certificate the server lacks offers no STARTTLS (event 12014): the tenant, " +
			"which requires TLS, delivers nothing through the server.",
		Fix: "Set TlsCertificateName of the connector to the issuer and subject of the present certificate, or " +
			"import the certificate on the server.",
		Consider: "Every sender at the connector sees the new certificate.",
		Run: stores(fact.ReceiveConnectors, func(c fact.ReceiveConnector) (string, string, []string) {
			return c.Identity, ifEnabled(c.Enabled, c.TLSCertificateName), []string{c.Server}
		}),
	},
	{
		ID:       "certificates.renewed-everywhere",
		Title:    "A renewed certificate is on every server",
		Source:   "facts B.7: newest certificate of the name is used; issue 14: each server asked",
		Severity: check.Warn,
		Scope:    PerForest, Needs: onPremisesRead,
		Reads: fact.List(fact.SendConnectors, fact.ReceiveConnectors, fact.CertificateStores),
		Why: "Exchange uses the newest certificate with the issuer and subject that a connector names, from the " +
			"import on. The servers named have only the older one, and stop with it.",
		Fix:      "Export the newest certificate with its key, and import it on the servers named.",
		Consider: "The server uses it at once. With the same issuer and subject, no connector must change.",
		Run: func(ctx context.Context, in Input) check.Result {
			held, err := fact.CertificateStores.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			send, err := fact.SendConnectors.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			receive, err := fact.ReceiveConnectors.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			named := map[string]certificate.Identifier{}
			add := func(name string) {
				if id, err := certificate.ParseIdentifier(name); err == nil {
					named[strings.ToLower(id.String())] = id
				}
			}
			for _, c := range send {
				add(c.TLSCertificateName)
			}
			for _, c := range receive {
				add(c.TLSCertificateName)
			}
			var behind []string
			for _, key := range sorted(named) {
				var newest *x509.Certificate
				for _, server := range sorted(held) {
					if c := newestOf(held[server], named[key]); c != nil &&
						(newest == nil || c.NotAfter.After(newest.NotAfter)) {
						newest = c
					}
				}
				for _, server := range sorted(held) {
					c := newestOf(held[server], named[key])
					if c != nil && c.NotAfter.Before(newest.NotAfter) {
						behind = append(behind, server+" ("+certificate.CommonName(named[key].Subject)+" until "+
							day(c.NotAfter)+", elsewhere until "+day(newest.NotAfter)+")")
					}
				}
			}
			if len(behind) > 0 {
				return check.Failed("%s only an older certificate: %s",
					msg.Count(len(behind), "%s server has", "%s servers have"), someOf(behind)).With("servers", behind)
			}
			return check.Pass("%s looked at", msg.Count(len(named), "%s certificate was", "%s certificates were"))
		},
	},
	{
		ID:     "certificates.internal-mail",
		Title:  "Every server has a valid certificate for mail between servers",
		Source: "exchange-hybrid 4.1: internal transport certificate; HealthChecker",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.TransportServices, fact.CertificateStores),
		Why: "Servers of one organization recognize each other by this certificate. When it is gone or has ended, " +
			"mail between servers waits, and so does mail to and from the tenant that passes two of them.",
		Fix: "Make a new one with New-ExchangeCertificate, without names and services, and answer Yes when asked to " +
			"overwrite the default SMTP certificate.",
		Consider: "An Edge subscription must be made again after the certificate changes.",
		Run: func(ctx context.Context, in Input) check.Result {
			held, err := fact.CertificateStores.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			return look(fact.TransportServices, "%s server has no valid certificate for mail between servers",
				"%s servers have no valid certificate for mail between servers",
				always(func(in Input, s fact.TransportService) flaw {
					store, listed := held[s.Name]
					if s.Certificate == "" || !listed {
						return flaw{}
					}
					c := byThumbprint(store, s.Certificate)
					switch {
					case c == nil:
						return flaw{object: s.Name + " (" + s.Certificate + " is not in its store)"}
					case in.Now().After(c.NotAfter):
						return flaw{object: s.Name + " (ended on " + day(c.NotAfter) + ")"}
					}
					return flaw{}
				}))(ctx, in)
		},
	},
	{
		ID:     "certificates.federation",
		Title:  "The certificate of the federation trust is valid",
		Source: "issue 14: federation certificate; exchange-hybrid P14, 6.1",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Trusts, fact.CertificateStores),
		Why: "Relationships with other organizations sign with this certificate. When it ends, their lookups fail, " +
			"and only a new trust helps.",
		Fix: "Make a new certificate before the old one ends, with Set-FederationTrust -Thumbprint and " +
			"-PublishFederationCertificate. A trust that no relationship uses can be removed.",
		Consider: "Partners must refresh their metadata (Set-FederationTrust -RefreshMetadata) after the change.",
		Run: func(ctx context.Context, in Input) check.Result {
			return judgeTrusts(ctx, in, func(t fact.Trust, c *x509.Certificate, _ []string) (check.Result, bool) {
				if c == nil {
					return check.Result{}, false // certificates.federation-everywhere fails on it
				}
				left := days(in.Now(), c.NotAfter)
				switch {
				case in.Now().After(c.NotAfter):
					return check.Failed("the certificate of the federation trust %s ended on %s", t.Name,
						day(c.NotAfter)), true
				case left < failDays:
					return check.Failed("the certificate of the federation trust %s ends in %s", t.Name,
						daysLeft(left)), true
				case left < warnDays:
					return check.Warned("the certificate of the federation trust %s ends in %s", t.Name,
						daysLeft(left)), true
				}
				return check.Result{}, false
			})
		},
	},
	{
		ID:     "certificates.federation-everywhere",
		Title:  "Every server has the certificate of the federation trust",
		Source: "exchange-hybrid 6.1: Test-FederationTrustCertificate",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Trusts, fact.CertificateStores),
		Why: "Each server signs requests to partners of the federation trust itself. On a server without the " +
			"certificate, lookups fail by chance.",
		Fix:      "Export it with its key from a server that has it, and import it on the servers named.",
		Consider: "None is known.",
		Run: func(ctx context.Context, in Input) check.Result {
			return judgeTrusts(ctx, in, func(t fact.Trust, _ *x509.Certificate, lacking []string) (check.Result, bool) {
				if len(lacking) == 0 {
					return check.Result{}, false
				}
				return check.Failed("the certificate of the federation trust %s is missing on %s", t.Name,
					someOf(lacking)).With("servers", lacking), true
			})
		},
	},
	{
		ID:     "certificates.inbound-distinct",
		Title:  "No two inbound connectors are for one certificate",
		Source: "exchange-hybrid 1.7 (a); failure-knowledge 1",
		Scope:  PerTenant, Needs: []check.ID{"access.online-read"}, Reads: fact.List(fact.InboundConnectors),
		Why: "Exchange Online chooses the connector by the name in the sender's certificate. With two for one name, " +
			"mail of a forest may arrive through the connector with the other's settings, and loses its internal " +
			"headers.",
		Fix: "Remove the connector that is left over, or give each forest a certificate with its own name.",
		Consider: "Mail that matched the removed connector arrives as anonymous mail when the other one does not " +
			"match it.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			connectors, err := fact.InboundConnectors.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			holders := map[string][]string{}
			for _, c := range connectors {
				name := strings.ToLower(c.CertificateName)
				if c.Enabled && strings.EqualFold(c.Type, "OnPremises") && name != "" {
					holders[name] = append(holders[name], c.Name)
				}
			}
			if shared := withSeveral(holders); len(shared) > 0 {
				return check.Failed("inbound connectors share the certificate name: %s", strings.Join(shared, "; ")).
					With("shared", shared)
			}
			return check.Pass("%s looked at", msg.Count(len(connectors), "%s inbound connector was",
				"%s inbound connectors were"))
		}),
	},
	{
		ID:     "certificates.revocation",
		Title:  "The transport certificate is not revoked",
		Source: "issue 14: revocation; facts G 12",
		Scope:  PerForest, Needs: []check.ID{"certificates.transport"},
		Reads: fact.List(fact.CertificateFile, fact.MailServers, fact.RevocationLists),
		Why: "Exchange and Exchange Online look at the authority's list of revoked certificates. With a revoked one, " +
			"the server offers no STARTTLS (CERT_TRUST_IS_REVOKED); where the list cannot be read, the check of the " +
			"chain fails too (CERT_TRUST_IS_OFFLINE_REVOCATION).",
		Fix: "Ask the authority why it revoked the certificate, and replace it (hybridge rotate " +
			"transport-certificate).",
		Consider: "Connectors must change when issuer or subject of the new certificate differ.",
		Run: func(ctx context.Context, in Input) check.Result {
			seen, err := transportCertificates(ctx, in.Set, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			var blind []error
			read := 0
			for _, c := range seen.certificates {
				for _, address := range c.Leaf.CRLDistributionPoints {
					if !strings.HasPrefix(strings.ToLower(address), "http://") {
						continue // LDAP, which only machines of its domain read
					}
					list, err := fact.RevocationLists.In(ctx, in.Network, address)
					if err == nil {
						if err = certificate.VerifyRevocations(c.Bundle, list, in.Roots, in.Now()); err != nil {
							err = fmt.Errorf("%s: %w", address, err)
						}
					}
					if err != nil {
						blind = append(blind, err)
						continue
					}
					read++
					for _, r := range list.RevokedCertificateEntries {
						if r.SerialNumber.Cmp(c.Leaf.SerialNumber) == 0 {
							return check.Failed("the transport certificate of forest %s was revoked on %s",
								in.Forest.Name(), day(r.RevocationTime)).With("list", address)
						}
					}
				}
			}
			switch {
			case read == 0 && len(blind) > 0:
				return check.Unknown(fmt.Errorf("%s: %w", in.Forest.Name(), errors.Join(blind...)))
			case read == 0:
				return check.Pass("the transport certificate of forest %s names no list of revoked certificates",
					in.Forest.Name())
			}
			return check.Pass("the transport certificate of forest %s is on no list of revoked certificates",
				in.Forest.Name())
		},
	},
}

// mailDoors judges the mail services of the servers that DNS knows. What could not be seen is
// unknown, unless what was seen has a fault.
func mailDoors(ctx context.Context, in Input, judge func(all []fact.MailDoor) check.Result) check.Result {
	doors, err := fact.MailDoors.In(ctx, in.Forest)
	if err != nil {
		return check.Unknown(err)
	}
	var seen []fact.MailDoor
	var blind []error
	for _, d := range doors {
		switch {
		case d.Gone: // servers.gone fails on it
		case d.Err != nil:
			blind = append(blind, d.Err)
		case d.Mail.Certificate.Leaf == nil && d.Mail.Err != nil:
			blind = append(blind, fmt.Errorf("%s: %w", d.Host, d.Mail.Err))
		default:
			seen = append(seen, d)
		}
	}
	if r := judge(seen); r.Status != check.StatusPass || len(blind) == 0 {
		return r
	}
	return check.Unknown(errors.Join(blind...))
}

// ifEnabled returns the certificate that a connector needs: none when it is off.
func ifEnabled(enabled bool, certificateName string) string {
	if !enabled {
		return ""
	}
	return certificateName
}

// stores returns the Run of a check that looks for the certificates that connectors name in the
// stores of their servers. Stores of Edge servers cannot be read.
func stores[T any](
	q *fact.Query[[]T], names func(T) (connector, certificateName string, servers []string),
) func(context.Context, Input) check.Result {
	return func(ctx context.Context, in Input) check.Result {
		held, err := fact.CertificateStores.In(ctx, in.Forest)
		if err != nil {
			return check.Unknown(err)
		}
		return look(q, "%s connector names a certificate that is not there",
			"%s connectors name certificates that are not there", always(func(_ Input, c T) flaw {
				connector, name, servers := names(c)
				if name == "" {
					return flaw{}
				}
				id, err := certificate.ParseIdentifier(name)
				if err != nil {
					return flaw{object: connector + " (" + err.Error() + ")"}
				}
				var lacking []string
				for _, server := range servers {
					short, _, _ := strings.Cut(server, ".")
					for _, known := range sorted(held) {
						if strings.EqualFold(known, short) && newestOf(held[known], id) == nil {
							lacking = append(lacking, known)
						}
					}
				}
				if len(lacking) == 0 {
					return flaw{}
				}
				return flaw{object: connector + " (" + certificate.CommonName(id.Subject) + " on " +
					strings.Join(lacking, ", ") + ")"}
			}))(ctx, in)
	}
}

// judgeTrusts judges the federation trusts with their certificates, where a server has them.
func judgeTrusts(
	ctx context.Context, in Input, judge func(t fact.Trust, c *x509.Certificate, lacking []string) (check.Result, bool),
) check.Result {
	trusts, err := fact.Trusts.In(ctx, in.Forest)
	if err != nil {
		return check.Unknown(err)
	}
	held, err := fact.CertificateStores.In(ctx, in.Forest)
	if err != nil {
		return check.Unknown(err)
	}
	for _, t := range trusts {
		if t.Thumbprint == "" {
			continue
		}
		c, lacking := held.Certificate(t.Thumbprint)
		if r, wrong := judge(t, c, lacking); wrong {
			return r
		}
	}
	return check.Pass("%s looked at", msg.Count(len(trusts), "%s federation trust was", "%s federation trusts were"))
}

// newestOf returns the newest certificate with an issuer and subject; nil: there is none.
func newestOf(store []*x509.Certificate, id certificate.Identifier) *x509.Certificate {
	var newest *x509.Certificate
	for _, c := range store {
		if certificate.IdentifierOf(c).Equal(id) && (newest == nil || c.NotAfter.After(newest.NotAfter)) {
			newest = c
		}
	}
	return newest
}

func byThumbprint(store []*x509.Certificate, thumbprint string) *x509.Certificate {
	for _, c := range store {
		if certificate.Thumbprint(c) == thumbprint {
			return c
		}
	}
	return nil
}
