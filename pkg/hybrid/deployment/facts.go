package deployment

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/prereq"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
	"github.com/hybridge-cli/hybridge/pkg/wire/smtp"
)

// facts prepares what can be looked up; nothing is. Each verb begins with facts of its own.
func (d *Deployment) facts() *prereq.Facts {
	f := &prereq.Facts{Answers: d.answers, Cloud: d.cloud, Now: d.now, TXT: prereq.NewKeyed(d.txt), Aliases: prereq.NewKeyed(d.aliases)}
	if l, err := d.link.get(context.Background()); err == nil {
		f.Roots = l.Roots()
	}
	graph := d.tenant.graph.get
	f.Tenant = prereq.Tenant{
		Organization: prereq.NewFact(func(ctx context.Context) (entra.Organization, error) {
			return with(ctx, graph, (*entra.Client).Organization)
		}),
		Domains: prereq.NewFact(func(ctx context.Context) ([]entra.Domain, error) { return with(ctx, graph, (*entra.Client).Domains) }),
		Verification: prereq.NewKeyed(func(ctx context.Context, domain string) ([]entra.DomainRecord, error) {
			return with(ctx, graph, func(g *entra.Client, ctx context.Context) ([]entra.DomainRecord, error) {
				return g.VerificationRecords(ctx, domain)
			})
		}),
		ExchangePrincipal: d.principal(oauth.AppExchangeOnline),
		GraphPrincipal:    d.principal(oauth.AppGraph),
		Principal: prereq.NewKeyed(func(ctx context.Context, appID string) (entra.ServicePrincipal, error) {
			return d.principal(appID).Get(ctx)
		}),
		Permissions: prereq.NewFact(d.permissions),
		Applications: prereq.NewKeyed(func(ctx context.Context, name string) ([]map[string]any, error) {
			return with(ctx, graph, func(g *entra.Client, ctx context.Context) ([]map[string]any, error) {
				return desired.ApplicationsNamed(ctx, g, name)
			})
		}),
		Config: prereq.NewFact(func(ctx context.Context) (prereq.OnlineConfig, error) {
			return with(ctx, d.tenant.online.get, onlineConfig)
		}),
		AcceptedDomains: prereq.NewFact(func(ctx context.Context) ([]prereq.AcceptedDomain, error) {
			return with(ctx, d.tenant.online.get, func(s *guarded, ctx context.Context) ([]prereq.AcceptedDomain, error) {
				return acceptedDomains(ctx, s, "Exchange Online")
			})
		}),
		Rights: prereq.NewFact(func(ctx context.Context) (map[string]exchange.Allowance, error) {
			return with(ctx, d.tenant.online.get, func(s *guarded, ctx context.Context) (map[string]exchange.Allowance, error) {
				return s.Allowed(ctx, prereq.Cmdlets(desired.Online)...)
			})
		}),
	}
	for _, forest := range d.forests {
		f.Forests = append(f.Forests, d.forestFacts(forest))
	}
	f.Duplicates = prereq.NewFact(func(ctx context.Context) ([]prereq.Duplicate, error) { return prereq.FindDuplicates(ctx, f.Forests) })
	return f
}

// with opens a connection and asks it.
func with[C, T any](ctx context.Context, open func(context.Context) (C, error), ask func(C, context.Context) (T, error)) (T, error) {
	c, err := open(ctx)
	if err != nil {
		var zero T
		return zero, err
	}
	return ask(c, ctx)
}

func (d *Deployment) principal(appID string) *prereq.Fact[entra.ServicePrincipal] {
	return prereq.NewFact(func(ctx context.Context) (entra.ServicePrincipal, error) {
		return with(ctx, d.tenant.graph.get, func(g *entra.Client, ctx context.Context) (entra.ServicePrincipal, error) {
			return g.ServicePrincipal(ctx, appID)
		})
	})
}

// permissions are those that the credential's own token for Microsoft Graph names, when it can be read.
func (d *Deployment) permissions(ctx context.Context) ([]string, error) {
	t, err := d.tenant.tokens.get(ctx)
	if err != nil {
		return nil, err
	}
	token, err := t.source(d.cloud.Graph)(ctx)
	if err != nil {
		return nil, err
	}
	return prereq.TokenPermissions(token), nil
}

func (d *Deployment) forestFacts(forest *forest) *prereq.Forest {
	a := forest.answers
	session := forest.exchange.get
	f := &prereq.Forest{
		Answers: a,
		Directory: prereq.NewFact(func(ctx context.Context) (directory.RootDSE, error) {
			return with(ctx, forest.directory.get, func(dir *directory.Forest, _ context.Context) (directory.RootDSE, error) { return dir.RootDSE(), nil })
		}),
		Stream: func(ctx context.Context) iter.Seq2[directory.User, error] {
			dir, err := forest.directory.get(ctx)
			if err != nil {
				return func(yield func(directory.User, error) bool) { yield(directory.User{}, err) }
			}
			return dir.Users(ctx)
		},
		Organization: prereq.NewFact(func(ctx context.Context) (prereq.Organization, error) {
			return with(ctx, session, func(s *guarded, ctx context.Context) (prereq.Organization, error) {
				return organization(ctx, s, a.Name)
			})
		}),
		Servers: prereq.NewFact(func(ctx context.Context) ([]prereq.Server, error) {
			return with(ctx, session, func(s *guarded, ctx context.Context) ([]prereq.Server, error) { return servers(ctx, s, a.Name) })
		}),
		AcceptedDomains: prereq.NewFact(func(ctx context.Context) ([]prereq.AcceptedDomain, error) {
			return with(ctx, session, func(s *guarded, ctx context.Context) ([]prereq.AcceptedDomain, error) {
				return acceptedDomains(ctx, s, a.Name)
			})
		}),
		Rights: prereq.NewFact(func(ctx context.Context) (map[string]exchange.Allowance, error) {
			return with(ctx, session, func(s *guarded, ctx context.Context) (map[string]exchange.Allowance, error) {
				return s.Allowed(ctx, prereq.Cmdlets(desired.OnPremises)...)
			})
		}),
		CertificateFile: prereq.NewFact(func(ctx context.Context) (certificate.Bundle, error) {
			if a.Certificate == nil {
				return certificate.Bundle{}, fmt.Errorf("%s: transport certificate: %w", a.Name, prereq.ErrNoSource)
			}
			password, err := d.secret(ctx, a.Certificate.Password, "password of "+a.Certificate.PFX)
			if err != nil {
				return certificate.Bundle{}, fmt.Errorf("%s: transport certificate: %w", a.Name, err)
			}
			b, err := certificate.Load(d.path(a.Certificate.PFX), password)
			if err != nil {
				return certificate.Bundle{}, fmt.Errorf("%s: transport certificate: %w", a.Name, err)
			}
			return b, nil
		}),
		CertificateServed: prereq.NewFact(func(ctx context.Context) (certificate.Bundle, error) { return d.served(ctx, a.Namespace.SMTP) }),
		Autodiscover:      prereq.NewKeyed(d.autodiscover),
	}
	f.Users = prereq.NewFact(func(ctx context.Context) (prereq.UserScan, error) { return prereq.ScanUsers(a.Name, f.Stream(ctx)) })
	f.Auth = prereq.NewFact(func(ctx context.Context) (prereq.Auth, error) {
		list, err := f.Servers.Get(ctx)
		if err != nil {
			return prereq.Auth{}, err
		}
		return with(ctx, session, func(s *guarded, ctx context.Context) (prereq.Auth, error) { return auth(ctx, s, a.Name, list) })
	})
	f.VirtualDirectories = prereq.NewFact(func(ctx context.Context) ([]prereq.VirtualDirectory, error) {
		return with(ctx, session, func(s *guarded, ctx context.Context) ([]prereq.VirtualDirectory, error) {
			return virtualDirectories(ctx, s, a.Name)
		})
	})
	f.Objects = prereq.NewKeyed(func(ctx context.Context, cmdlet string) ([]exchange.Object, error) {
		return with(ctx, session, func(s *guarded, ctx context.Context) ([]exchange.Object, error) {
			return s.Run(ctx, exchange.Command{Name: cmdlet})
		})
	})
	return f
}

// one runs a cmdlet that prints one object.
func one(ctx context.Context, s exchange.Session, c exchange.Command) (exchange.Object, error) {
	return single(s.Run(ctx, c))
}

func single(objects []exchange.Object, err error) (exchange.Object, error) {
	if err != nil {
		return exchange.Object{}, err
	}
	if len(objects) != 1 {
		return exchange.Object{}, fmt.Errorf("%w: %d objects where one was expected", exchange.ErrUnreadable, len(objects))
	}
	return objects[0], nil
}

func organization(ctx context.Context, s exchange.Session, where string) (prereq.Organization, error) {
	o, err := one(ctx, s, exchange.Command{Name: "Get-OrganizationConfig"})
	if err != nil {
		return prereq.Organization{}, err
	}
	guid, err := o.String("Guid")
	if err != nil {
		return prereq.Organization{}, fmt.Errorf("%s: Get-OrganizationConfig: %w", where, err)
	}
	name, _ := o.String("Name")
	dn, _ := o.String("DistinguishedName")
	out := prereq.Organization{Name: name, GUID: strings.ToLower(guid), RootDomain: rootDomain(dn), EwsPolicy: ewsPolicy(o)}
	if out.EwsEnabled, err = ewsEnabled(o); err != nil {
		return prereq.Organization{}, fmt.Errorf("%s: Get-OrganizationConfig: %w", where, err)
	}
	return out, nil
}

// ewsEnabled reads the switch with three states; nil where it is not set or not told.
func ewsEnabled(o exchange.Object) (*bool, error) {
	on, err := o.Bool("EwsEnabled")
	switch {
	case err == nil:
		return &on, nil
	case !errors.Is(err, exchange.ErrNull) && !errors.Is(err, exchange.ErrAbsent):
		if text, _ := o.String("EwsEnabled"); text != "" {
			return nil, err
		}
	}
	return nil, nil
}

func ewsPolicy(o exchange.Object) (p prereq.EwsPolicy) {
	p.Mode, _ = o.String("EwsApplicationAccessPolicy")
	p.Allow, _ = o.Strings("EwsAllowList")
	p.Block, _ = o.Strings("EwsBlockList")
	return p
}

// rootDomain is the DNS name of the forest that a distinguished name of the configuration is in.
func rootDomain(dn string) string {
	_, domain, ok := strings.Cut(strings.ToLower(dn), ",cn=configuration,dc=")
	if !ok {
		return ""
	}
	return strings.ReplaceAll(domain, ",dc=", ".")
}

// servers reads Get-ExchangeServer. A server that does not say which roles it has counts as having the Mailbox role: better looked at
// in vain than not.
func servers(ctx context.Context, s exchange.Session, where string) ([]prereq.Server, error) {
	objects, err := s.Run(ctx, exchange.Command{Name: "Get-ExchangeServer"})
	if err != nil {
		return nil, err
	}
	var out []prereq.Server
	for _, o := range objects {
		var server prereq.Server
		if server.Name, err = o.String("Name"); err != nil {
			return nil, fmt.Errorf("%s: Get-ExchangeServer: %w", where, err)
		}
		server.FQDN, _ = o.String("Fqdn")
		if server.Version, err = o.String("AdminDisplayVersion"); err != nil {
			return nil, fmt.Errorf("%s: Get-ExchangeServer: %s: %w", where, server.Name, err)
		}
		roles, roleErr := o.String("ServerRole")
		if mailbox, err := o.Bool("IsMailboxServer"); err == nil {
			server.Mailbox = mailbox
		} else {
			server.Mailbox = roleErr != nil || strings.Contains(roles, "Mailbox")
		}
		server.Edge, _ = o.Bool("IsEdgeServer")
		out = append(out, server)
	}
	slices.SortFunc(out, func(a, b prereq.Server) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// virtualDirectories reads what the directory knows of the virtual directories: asking IIS of every server takes minutes.
func virtualDirectories(ctx context.Context, s exchange.Session, where string) ([]prereq.VirtualDirectory, error) {
	var out []prereq.VirtualDirectory
	for _, noun := range prereq.VirtualDirectoryNouns {
		objects, err := desired.Get(ctx, s, exchange.Command{Name: "Get-" + noun, Parameters: map[string]any{"ADPropertiesOnly": true}})
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			d := prereq.VirtualDirectory{Noun: noun, OAuth: true}
			if d.Identity, err = o.String("Identity"); err != nil {
				return nil, fmt.Errorf("%s: Get-%s: %w", where, noun, err)
			}
			for _, methods := range []string{"InternalAuthenticationMethods", "ExternalAuthenticationMethods"} {
				list, err := o.Strings(methods)
				if err != nil {
					return nil, fmt.Errorf("%s: Get-%s: %s: %w", where, noun, d.Identity, err)
				}
				d.OAuth = d.OAuth && slices.ContainsFunc(list, func(m string) bool { return strings.EqualFold(m, "OAuth") })
			}
			d.ExternalURL, _ = o.String("ExternalUrl")
			out = append(out, d)
		}
	}
	return out, nil
}

func acceptedDomains(ctx context.Context, s exchange.Session, where string) ([]prereq.AcceptedDomain, error) {
	objects, err := s.Run(ctx, exchange.Command{Name: "Get-AcceptedDomain"})
	if err != nil {
		return nil, err
	}
	var out []prereq.AcceptedDomain
	for _, o := range objects {
		name, err := o.String("DomainName")
		if err != nil {
			return nil, fmt.Errorf("%s: Get-AcceptedDomain: %w", where, err)
		}
		d := prereq.AcceptedDomain{Name: strings.ToLower(name)}
		d.SubDomains, _ = o.Bool("MatchSubDomains")
		if base, wildcard := strings.CutPrefix(d.Name, "*."); wildcard {
			d.Name, d.SubDomains = base, true
		}
		d.Type, _ = o.String("DomainType")
		d.Coexistence, _ = o.Bool("IsCoexistenceDomain")
		d.Initial, _ = o.Bool("InitialDomain")
		out = append(out, d)
	}
	return out, nil
}

func onlineConfig(s *guarded, ctx context.Context) (prereq.OnlineConfig, error) {
	o, err := single(desired.ReadOnlineConfig(ctx, s))
	if err != nil {
		return prereq.OnlineConfig{}, err
	}
	var c prereq.OnlineConfig
	if guid, err := o.String("Guid"); err == nil {
		c.GUID = strings.ToLower(guid)
	}
	if c.EwsEnabled, err = ewsEnabled(o); err != nil {
		return prereq.OnlineConfig{}, fmt.Errorf("Get-OrganizationConfig of Exchange Online: %w", err)
	}
	c.EwsPolicy = ewsPolicy(o)
	if list, err := o.Value("EwsAllowedAppIDs"); err == nil {
		c.EwsAllowedAppIDs, c.ListKnown = desired.AppIDs(list), true
	}
	return c, nil
}

// auth reads the auth configuration, and of every Mailbox server the certificates in its store.
func auth(ctx context.Context, s exchange.Session, forest string, list []prereq.Server) (prereq.Auth, error) {
	o, err := one(ctx, s, exchange.Command{Name: "Get-AuthConfig"})
	if err != nil {
		return prereq.Auth{}, err
	}
	out := prereq.Auth{Servers: map[string][]*x509.Certificate{}}
	current, err := exchange.Optional(o.String("CurrentCertificateThumbprint"))
	if err != nil {
		return prereq.Auth{}, fmt.Errorf("%s: Get-AuthConfig: %w", forest, err)
	}
	out.Current = certificate.NormalThumbprint(current)
	if next, err := exchange.Optional(o.String("NextCertificateThumbprint")); err == nil {
		out.Next = certificate.NormalThumbprint(next)
	}
	out.NextEffective, _ = o.Time("NextCertificateEffectiveDate")
	for _, server := range list {
		if !server.Mailbox || server.Edge {
			continue
		}
		objects, err := s.Run(ctx, exchange.Command{Name: "Get-ExchangeCertificate", Parameters: map[string]any{"Server": server.Name}})
		if err != nil {
			return prereq.Auth{}, err
		}
		found := []*x509.Certificate{}
		for _, o := range objects {
			der, err := o.Bytes("RawData")
			if err != nil {
				return prereq.Auth{}, fmt.Errorf("%s: Get-ExchangeCertificate of %s: %w", forest, server.Name, err)
			}
			c, err := x509.ParseCertificate(der)
			if err != nil {
				continue // a store may hold what Go does not read; the auth certificate is not of that kind
			}
			found = append(found, c)
		}
		out.Servers[server.Name] = found
	}
	return out, nil
}

func (d *Deployment) resolver() *dns.Client {
	return &dns.Client{Resolvers: d.answers.Network.Resolvers}
}

func (d *Deployment) txt(ctx context.Context, domain string) ([]string, error) {
	a, err := d.resolver().Lookup(ctx, domain, dns.TXT)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, r := range a.Records {
		out = append(out, r.Text)
	}
	return out, nil
}

func (d *Deployment) aliases(ctx context.Context, host string) ([]string, error) {
	a, err := d.resolver().Lookup(ctx, host, dns.A)
	return a.Chain, err
}

// lookupSRV finds domain controllers with the answers' resolvers.
func (d *Deployment) lookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	full := "_" + service + "._" + proto + "." + name
	a, err := d.resolver().Lookup(ctx, full, dns.SRV)
	if err != nil {
		return "", nil, err
	}
	var out []*net.SRV
	for _, r := range a.Records {
		out = append(out, &net.SRV{Target: r.Target, Port: r.Port, Priority: r.Priority, Weight: r.Weight})
	}
	return full, out, nil
}

// served is the certificate that a mail server serves after STARTTLS.
func (d *Deployment) served(ctx context.Context, host string) (certificate.Bundle, error) {
	if host == "" {
		return certificate.Bundle{}, fmt.Errorf("namespace.smtp: %w", prereq.ErrNoSource)
	}
	l, err := d.link.get(ctx)
	if err != nil {
		return certificate.Bundle{}, err
	}
	r, err := smtp.Probe(ctx, smtp.Options{Dial: l.DialContext, Timeout: d.limit()}, net.JoinHostPort(host, "25"), host)
	if err != nil && r.TLS == nil {
		return certificate.Bundle{}, err
	}
	if r.TLS == nil {
		return certificate.Bundle{}, fmt.Errorf("%s offers no STARTTLS: %w", host, smtp.ErrProtocol)
	}
	return certificate.FromPeer(r.TLS.Certificates)
}

// limit is how long a question without a limit of its own may take.
func (d *Deployment) limit() time.Duration { return cmp.Or(d.options.Timeout, 30*time.Second) }

// maxAnswer is how much of an unauthenticated answer is read, so that the connection can be used again.
const maxAnswer = 64 << 10

// autodiscover asks a host for autodiscover without credentials.
func (d *Deployment) autodiscover(ctx context.Context, host string) (prereq.Autodiscover, error) {
	client, err := d.anonymous(ctx)
	if err != nil {
		return prereq.Autodiscover{}, err
	}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, d.limit())
	defer cancel()
	u := url.URL{Scheme: "https", Host: host, Path: "/autodiscover/autodiscover.xml"}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return prereq.Autodiscover{}, err
	}
	response, err := client.Do(request)
	if err != nil {
		return prereq.Autodiscover{}, fmt.Errorf("autodiscover at %s: %w", host, link.Classify(err))
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer)
	out := prereq.Autodiscover{Status: response.StatusCode, Location: link.Printable(response.Header.Get("Location"))}
	for _, c := range link.Challenges(response.Header) {
		if !slices.Contains(out.Schemes, c.Scheme) {
			out.Schemes = append(out.Schemes, c.Scheme)
		}
	}
	if response.TLS != nil && len(response.TLS.PeerCertificates) > 0 {
		out.Certificate = response.TLS.PeerCertificates[0]
	}
	return out, nil
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Hostname()
}
