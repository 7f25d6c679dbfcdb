package deployment

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
	"github.com/hybridge-cli/hybridge/pkg/wire/psrp"
)

// otherServers are the Mailbox servers of a forest that the session is not connected to. Each gets a
// session of its own for one command: Exchange limits how many a user has.
func (d *Deployment) otherServers(f *forest, side *fact.Side) func(context.Context) ([]freebusy.Server, error) {
	via := f.answers.Exchange.Via
	if via == answers.ViaLocal || via == answers.ViaSnapIn {
		return nil
	}
	return func(ctx context.Context) (out []freebusy.Server, err error) {
		servers, err := fact.PlacedServers.In(ctx, side)
		if err != nil {
			return nil, err
		}
		own, err := url.Parse(remoteURL(f.answers.Exchange))
		if err != nil {
			return nil, err
		}
		for _, s := range servers {
			host := s.FQDN
			if s.Gone || host == "" || strings.EqualFold(host, own.Hostname()) ||
				strings.EqualFold(s.Name, own.Hostname()) {
				continue
			}
			address := *own
			address.Host = host
			if port := own.Port(); port != "" {
				address.Host += ":" + port
			}
			a := f.answers
			a.Exchange.URL = address.String()
			out = append(out, freebusy.Server{Name: host, Read: func(ctx context.Context, c exchange.Command) (
				[]exchange.Object, error) {
				if !mayHavePassword(f.answers, own, host) {
					return nil, fmt.Errorf("%s: Exchange lists the server %s, which is neither of the owner of %s "+
						"nor in the domain of the forest (directory.domain): no password is sent there, a Kerberos "+
						"ticket would be: %w", a.Name, link.Line(host), own.Hostname(), link.ErrUntrusted)
				}
				s, err := d.openRemote(ctx, a)
				if err != nil {
					return nil, err
				}
				defer func() { _ = s.Close(context.WithoutCancel(ctx)) }()
				return exchange.ReadOnly(s).Read(ctx, c)
			}})
		}
		return out, nil
	}
}

// mayHavePassword reports whether a host that Exchange lists may have the password of the forest's
// account. Who may change one server object in the directory names the host. Kerberos needs no such
// rule: it has no ticket for a stranger.
func mayHavePassword(a answers.Forest, own *url.URL, host string) bool {
	if kind := a.Exchange.Credential.Kind; own.Scheme != "https" || kind != answers.CredentialBasic &&
		kind != answers.CredentialPassword {
		return true
	}
	domain := strings.ToLower(strings.Trim(a.Directory.Domain, "."))
	return psrp.SameOwner(host, own.Hostname()) ||
		domain != "" && strings.HasSuffix(strings.ToLower(strings.TrimSuffix(host, ".")), "."+domain)
}

// moving tries the forest's migration endpoints in Exchange Online. An account that only reads lacks
// the right, and nothing else needs it.
func (d *Deployment) moving(f *forest, tenant *fact.Side) freebusy.Proof {
	return freebusy.Proof{Probe: "test-migrationserveravailability", To: f.answers.Name, Beyond: true,
		Try: func(ctx context.Context, _ freebusy.Step) (string, error) {
			endpoints, err := fact.MigrationEndpoints.In(ctx, tenant)
			if err != nil {
				return "", notNeeded(err)
			}
			var reached []string
			for _, e := range endpoints {
				if !e.Moves(f.answers.Namespace.EWS) {
					continue
				}
				session, err := d.reading(d.tenant.online)(ctx)
				if err != nil {
					return "", err
				}
				answer, err := fact.TryEndpoint(ctx, session, e.Name)
				switch {
				case err != nil:
					return "", notNeeded(err)
				case !answer.OK:
					return "", freebusy.Refused("online: Test-MigrationServerAvailability: the migration endpoint %s "+
						"does not reach %s: %s", e.Name, f.answers.Namespace.EWS, link.Line(answer.Message))
				}
				reached = append(reached, e.Name)
			}
			if len(reached) == 0 {
				return "", freebusy.ErrNotAsked
			}
			return "by " + strings.Join(reached, ", "), nil
		}}
}

// notNeeded is ErrNotAsked in the place of a right that only one proof needs.
func notNeeded(err error) error {
	if errors.Is(err, exchange.ErrNoCmdlet) || errors.Is(err, link.ErrAccess) {
		return fmt.Errorf("%w: %w", freebusy.ErrNotAsked, err)
	}
	return err
}

// tipsAsker is EWS for MailTips.
type tipsAsker interface {
	MailTips(ctx context.Context, sender string, recipients []string) ([]ews.MailTips, error)
}

// mailTips asks Exchange on-premises for the MailTips of a mailbox in the tenant that only the tenant
// can give. Where lookups go to Microsoft Graph it is left out: Graph gives automatic replies alone.
// Where the lookup fails, too: MailTips take its way.
func mailTips(client func(context.Context) (*ews.Client, error)) freebusy.Proof {
	ask := asking[*ews.Client, tipsAsker](client)
	return freebusy.Proof{Probe: "mailtips", To: desired.PlaceOnline, Beyond: true,
		Try: func(ctx context.Context, s freebusy.Step) (string, error) {
			if s.ThroughGraph() || !s.Works {
				return "", freebusy.ErrNotAsked
			}
			c, err := ask(ctx)
			if err != nil {
				return "", err
			}
			found, err := c.MailTips(ctx, s.From, []string{s.To})
			var status *link.StatusError
			switch {
			case errors.As(err, &status), errors.Is(err, ews.ErrNotEWS):
				return "", freebusy.NotSeen(err) // diverted on our own way
			case err != nil:
				return "", err
			case found[0].Err != nil:
				return "", freebusy.Refused("MailTips of %s: %v", s.To, found[0].Err)
			case len(found[0].Pending) > 0 || found[0].Replies == nil && found[0].Full == nil:
				return "", freebusy.Refused("the MailTips of %s are missing: Exchange got no answer about automatic "+
					"replies and a full mailbox (%s)", s.To, strings.Join(found[0].Pending, ", "))
			}
			return "", nil
		}}
}

// graphTips is Microsoft Graph for MailTips.
type graphTips interface {
	MailTips(ctx context.Context, as, recipient string) (entra.MailTips, error)
}

// tipsOf asks Exchange Online for the MailTips of a mailbox on-premises that only the forest can
// give. Nothing else needs the permission: without it nothing is asked, and a warning names it.
func (d *Deployment) tipsOf(f *forest, tenant *fact.Side) freebusy.Proof {
	ask := asking[*entra.Client, graphTips](d.tenant.graph.get)
	return freebusy.Proof{Probe: "mailtips", To: f.answers.Name, Beyond: true,
		Try: func(ctx context.Context, s freebusy.Step) (string, error) {
			if !s.Works {
				return "", freebusy.ErrNotAsked
			}
			grant, err := fact.Permissions.In(ctx, tenant)
			if err != nil {
				return "", freebusy.NotSeen(err)
			}
			if len(grant.Permissions) > 0 && !slices.ContainsFunc(entra.MailTipsPermissions, grant.Has) {
				d.warn("online -> " + f.answers.Name + ": MailTips were not asked for: the sign-in has no " +
					msg.Alternatives(entra.MailTipsPermissions).String() + " of Microsoft Graph")
				return "", freebusy.ErrNotAsked
			}
			c, err := ask(ctx)
			if err != nil {
				return "", err
			}
			found, err := c.MailTips(ctx, s.From, s.To)
			switch {
			case err != nil:
				return "", err
			case found.Err != nil:
				return "", freebusy.Refused("MailTips of %s: %v", s.To, found.Err)
			case found.Replies == nil && found.Full == nil:
				return "", freebusy.Refused("the MailTips of %s are missing: Exchange Online got no answer about "+
					"automatic replies and a full mailbox", s.To)
			case found.Replies == nil: // Graph may say false of a mailbox that it knows nothing of
				return "", freebusy.NotSeen(fmt.Errorf("microsoft graph says nothing about automatic replies of %s",
					s.To))
			}
			return "", nil
		}}
}

// exchangeOnlineID is the application id of Exchange Online, which tokens for it may name as their
// audience.
const exchangeOnlineID = "00000002-0000-0ff1-ce00-000000000000"

// signing presents what the Exchange servers of a forest present to Exchange Online: a token of the
// dedicated application, signed for with the auth certificate. It separates the certificate, the
// application and its rights from the servers, their clocks and their way out.
func (d *Deployment) signing(f *forest, session exchange.Reader, side *fact.Side) freebusy.Proof {
	return freebusy.Proof{Probe: "token", To: desired.PlaceOnline, Try: func(ctx context.Context, s freebusy.Step) (
		string, error) {
		c := f.answers.AuthCertificate
		password, err := d.secret(ctx, c.Password, "password of "+c.PFX)
		if err != nil {
			return "", freebusy.NotSeen(fmt.Errorf("%s: auth certificate: %w", f.answers.Name, err))
		}
		b, err := d.bundle(c.PFX, password)
		if err != nil {
			return "", freebusy.NotSeen(fmt.Errorf("%s: auth certificate: %w", f.answers.Name, err))
		}
		held := certificate.Thumbprint(b.Leaf)
		if signs := signsWith(ctx, session); signs != "" && signs != held {
			d.warn(fmt.Sprintf("%s: %s holds the certificate %s, and Exchange signs with %s: no token was asked for "+
				"with it; export the current auth certificate again (forests[].authCertificate)", f.answers.Name, c.PFX,
				held, signs))
			return "", freebusy.ErrNotAsked
		}
		servers, err := fact.AuthServers.In(ctx, side)
		if err != nil {
			return "", freebusy.NotSeen(err)
		}
		at := slices.IndexFunc(servers, func(a fact.AuthServer) bool {
			return a.Enabled && a.Type == "AzureAD" && a.ApplicationIdentifier != ""
		})
		if at < 0 {
			return "", freebusy.Refused("%s: no enabled auth server of Entra names an application "+
				"(ApplicationIdentifier): Exchange presents the application that it shares with the whole service, which "+
				"Exchange Online refuses", f.answers.Name)
		}
		return d.present(ctx, b, servers[at], s)
	}}
}

// signsWith is the thumbprint of the certificate with which Exchange signs; empty when the account
// may not see it.
func signsWith(ctx context.Context, session exchange.Reader) string {
	found, err := session.Read(ctx, exchange.Command{Name: "Get-AuthConfig"})
	if err != nil || len(found) != 1 {
		return ""
	}
	thumbprint, _ := found[0].String("CurrentCertificateThumbprint")
	return certificate.NormalThumbprint(thumbprint)
}

// present asks for a token and asks for the calendar of the lookup with it.
func (d *Deployment) present(ctx context.Context, b certificate.Bundle, server fact.AuthServer, s freebusy.Step) (
	string, error) {
	l, err := d.link.get(ctx)
	if err != nil {
		return "", err
	}
	client := l.Client(nil)
	defer client.CloseIdleConnections()
	resource, audiences, role := d.cloud.ExchangeResource, []string{exchangeOnlineID}, "full_access_as_app"
	if s.ThroughGraph() {
		resource, audiences, role = d.cloud.Graph, nil, "Calendars.Read"
	}
	token, err := oauth.ClientCredentials{
		TokenURL: strings.TrimRight(d.cloud.Login, "/") + "/" + url.PathEscape(server.Realm) + "/oauth2/v2.0/token",
		ClientID: server.ApplicationIdentifier, Scope: strings.TrimRight(resource, "/") + "/.default",
		Certificate: b.Leaf, Key: b.Key,
	}.Token(ctx, client)
	if refused := (*oauth.Error)(nil); errors.As(err, &refused) && errors.Is(refused, link.ErrAccess) {
		return "", freebusy.Refused("Entra gives the application %s no token for the auth certificate: %v",
			server.ApplicationIdentifier, err)
	}
	if err != nil {
		return "", freebusy.NotSeen(err)
	}
	note := "application " + server.ApplicationIdentifier
	if claims, err := token.Claims(); err == nil {
		roles := claims.Strings("roles")
		if wrong := claimed(claims, server, append(audiences, resource)); wrong != "" {
			return note, freebusy.Refused("the token of the application %s does not fit: %s",
				server.ApplicationIdentifier, wrong)
		}
		if !slices.Contains(roles, role) {
			return note, freebusy.Refused("the token of the application %s has the permissions [%s] and not %s: an "+
				"administrator has to consent to it", server.ApplicationIdentifier, strings.Join(roles, ", "), role)
		}
		note += ", permissions " + strings.Join(roles, ", ")
	} // tokens are opaque to clients; what counts is whether the service takes it
	day := d.now().UTC().Truncate(24 * time.Hour)
	window := freebusy.Window{Start: day, End: day.Add(24 * time.Hour)}
	bearer := func(context.Context) (string, error) { return token.Value.Reveal(), nil }
	pairs := []freebusy.Pair{{From: s.Address, To: s.Address}}
	var seen []freebusy.Seen
	if s.ThroughGraph() {
		seen, err = freebusy.Graph(func(context.Context) (freebusy.Schedules, error) {
			return entra.New(entra.Options{Graph: d.cloud.Graph, HTTP: client, Token: bearer, Waiting: d.waiting})
		})(ctx, pairs, window)
	} else {
		signed := l.Client(link.Bearer{Token: bearer})
		defer signed.CloseIdleConnections()
		seen, err = freebusy.EWS(func(context.Context) (freebusy.Calendars, error) {
			// Exchange's own user agent: access policies go by it
			return &ews.Client{URL: d.cloud.EWS, HTTP: signed, AnchorMailbox: s.Address, Impersonate: s.Address,
				UserAgent: "ASProxy/CrossForest/EmailDomain", Timeout: 2 * d.limit()}, nil
		})(ctx, pairs, window)
	}
	if err == nil {
		err = seen[0].Err
	}
	var status *link.StatusError
	switch {
	case err == nil:
		return "", nil
	case errors.As(err, &status):
		return note, freebusy.Refused("shown the token, %s answers: %v", desired.PlaceOnline, err)
	}
	return note, fmt.Errorf("shown the token, %s answers: %w", desired.PlaceOnline, err)
}

// claimed compares the claims of a token with what it was asked for.
func claimed(claims oauth.Claims, server fact.AuthServer, audiences []string) string {
	trimmed := func(s string) string { return strings.ToLower(strings.TrimRight(s, "/")) }
	if given := claims.Strings("aud"); !slices.ContainsFunc(given, func(a string) bool {
		return slices.ContainsFunc(audiences, func(want string) bool { return trimmed(a) == trimmed(want) })
	}) {
		return fmt.Sprintf("it is for %s and not for %s", strings.Join(given, ", "), audiences[len(audiences)-1])
	}
	for _, c := range []struct{ name, want string }{{"appid", server.ApplicationIdentifier}, {"tid", server.Realm}} {
		if given := claims.String(c.name); given != "" && !strings.EqualFold(given, c.want) {
			return fmt.Sprintf("%s is %s and not %s", c.name, link.Line(given), c.want)
		}
	}
	return ""
}
